"""Pictures of a profile: set, shown beside posts, fetched by followers, and gone when they were replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.ids import AccountId, Ref, account_from_text
from banyan_crdt.ops import Put
from banyan_node.api import LocalBackend
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.media import prefetch
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance
from banyan_schema.media import Media
from banyan_schema.social import PROFILE, OpDraft, set_profile, undo
from banyan_storage.blob_names import unseen
from banyan_storage.due import Work
from tests.node.pictures import film, photo
from tests.node.real import converged, load_settings, make_home
from tests.node.test_media import call, check, collect, held, here, pair, posted

DAY_S = 86_400


@pytest.fixture
def an(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as opened:
        opened.call("account.create", name="an", hosted=False)
        yield opened


def put(node: LocalBackend, path: Path) -> dict[str, Any]:
    return dict(node.call("media.put", path=str(path)))


def test_a_picture_is_shown_with_the_profile_and_beside_posts_until_it_is_taken_away(
    an: LocalBackend, tmp_path: Path
) -> None:
    face, wide = put(an, photo(tmp_path / "a.jpg")), put(an, photo(tmp_path / "b.jpg", 900, 300))
    an.call("post", text="một")
    assert an.call("feed")["posts"][0]["avatar"] is None
    given = {"avatar": {"blob": face["blob"], "description": " Em và mèo "}, "banner": {"blob": wide["blob"]}}
    answer = an.call("profile.set", fields={"bio": "x"}, pictures=given)
    shown = an.call("profile.get")
    assert shown["pictures"] == answer["pictures"]
    assert shown["fields"] == answer["fields"] == {"bio": "x", "name": "an"}
    avatar, banner = shown["pictures"]["avatar"], shown["pictures"]["banner"]
    assert (avatar["blob"], avatar["description"], avatar["here"]) == (face["blob"], "Em và mèo", True)
    assert (avatar["preview"], avatar["preview_here"]) == (face["preview"], True)
    assert (banner["blob"], banner["description"], banner["type"]) == (wide["blob"], None, "image/jpeg")
    assert an.call("feed")["posts"][0]["avatar"] == face["preview"]
    an.call("profile.set", pictures={"avatar": None})
    shown = an.call("profile.get")
    assert (list(shown["pictures"]), shown["fields"]) == (["banner"], {"bio": "x", "name": "an"})
    assert an.call("feed")["posts"][0]["avatar"] is None
    an.call("profile.set", pictures={"avatar": given["avatar"]})
    assert an.call("profile.get")["pictures"]["avatar"] == avatar
    assert an.call("store.verify")["problems"] == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pictures": {"photo": None}}, "'photo' is no picture of a profile; those are avatar and banner."),
        ({"fields": {"banner": "x"}}, "'banner' is a picture; give it in 'pictures', as `media.put` answered it."),
        ({"fields": {}, "pictures": {}}, "No field is given; name at least one field or picture of the profile."),
        ({"pictures": {"avatar": {"blob": "ab" * 32}}}, "The blob abababababababab... is not here; fetch it first"),
    ],
)
def test_what_is_no_picture_is_refused_and_nothing_changes(an: LocalBackend, given: dict[str, Any], says: str) -> None:
    before = an.call("digest")
    with pytest.raises(CallError, match=says.replace("(", r"\(")):
        an.call("profile.set", **given)
    assert an.call("digest") == before


def test_a_film_is_no_picture_and_a_long_description_is_said(an: LocalBackend, tmp_path: Path) -> None:
    sea = put(an, film(tmp_path / "sea.mp4", 5_000))
    before = an.call("digest")
    with pytest.raises(CallError, match=r"is no picture but video/mp4; put a picture instead"):
        an.call("profile.set", fields={"bio": "x"}, pictures={"avatar": {"blob": sea["blob"]}})
    face = put(an, photo(tmp_path / "a.jpg", 300, 200))
    with pytest.raises(CallError, match="the profile field 'avatar' has 5000 bytes; 4096 is the most"):
        an.call("profile.set", pictures={"avatar": {"blob": face["blob"], "description": "x" * 5_000}})
    assert an.call("digest") == before


def say(c: Context, now: float, *fields: tuple[str, str, Media | None], who: AccountId | None = None) -> None:
    """Fields as another program may write them."""
    mine = who or hosted.my_account(c)
    salt, q, drafts = hosted.salt_of(c, mine), c.queries(), list[OpDraft]()
    for name, value, media in fields:
        draft = set_profile(salt, name, value, media=media)
        assert isinstance(draft.op, Put)
        drafts.append(draft._replace(op=draft.op._replace(refs=q.live(mine, draft.op))))
    append(c, mine, drafts, now)


def test_fields_of_other_programs_are_shown_as_what_they_are(an: LocalBackend) -> None:
    clip = Media(b"f" * 32, 9, "video/mp4")
    say(an.context, time.time(), ("avatar", "https://example.org/a.png", None), ("banner", "", clip), ("x", "y", clip))
    an.context.store.commit()
    shown = an.call("profile.get")
    assert shown["pictures"] == {}
    assert shown["fields"] == {"avatar": "https://example.org/a.png", "name": "an", "x": "y"}


def test_an_import_brings_pictures_where_none_was_ever_set(an: LocalBackend, tmp_path: Path) -> None:
    face, wide = (put(an, photo(tmp_path / f"{n}.jpg", n, 200))["blob"] for n in (300, 500))
    found = an.call("move.profile", fields={"bio": "x", "avatar": "no picture"}, dry=True)
    assert found == {"came": ["bio"], "without": ["avatar", "banner"], "entries": 0}
    given = {"avatar": {"blob": face, "description": "ă" * 9_000}, "banner": {"blob": wide}}
    assert an.call("move.profile", pictures=given, dry=True)["came"] == ["avatar", "banner"]
    an.call("profile.set", pictures={"banner": {"blob": face}})
    an.call("profile.set", pictures={"banner": None})
    assert an.call("move.profile", pictures=given) == {"came": ["avatar"], "without": [], "entries": 1}
    pictures = an.call("profile.get")["pictures"]
    assert list(pictures) == ["avatar"]
    assert pictures["avatar"]["description"].endswith("ă…")
    assert an.call("move.profile", pictures=given) == {"came": [], "without": [], "entries": 0}


def test_the_blobs_of_a_profile_are_listed_shown_and_kept_as_those_of_posts(an: LocalBackend, tmp_path: Path) -> None:
    face = put(an, photo(tmp_path / "a.jpg"))
    an.call("profile.set", pictures={"avatar": {"blob": face["blob"], "description": "mèo"}})
    me = an.call("profile.get")["account"]
    found = an.call("media.show", blob=face["blob"][:12])
    assert (found["posts"], found["profiles"]) == ([], [{"account": me, "name": "an", "field": "avatar"}])
    assert (found["type"], found["description"], found["preview"]) == ("image/jpeg", "mèo", face["preview"])
    assert {row["blob"]: row["named"] for row in an.call("media.list")["blobs"]} == {
        face["blob"]: True,
        face["preview"]: True,
    }
    with pytest.raises(CallError, match="or take the picture out of the profile"):
        an.call("media.drop", blob=face["blob"])
    collect(time.time() + 2 * DAY_S, an.context, 0.0)
    assert an.call("media.show", blob=face["blob"])["whole"]


async def test_a_follower_has_the_picture_by_itself_and_who_follows_later_too(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        await posted(one, text="một")
        face = await call(one, "media.put", path=str(photo(tmp_path / "a.jpg")))
        await call(one, "profile.set", pictures={"avatar": {"blob": face["blob"]}})
        await here(two, face["preview"])
        await here(two, face["blob"])
        await converged([one, two])
        (row,) = [post for post in (await call(two, "feed"))["posts"] if post["text"] == "một"]
        assert row["avatar"] == face["preview"]
        stranger = str((await call(one, "account.create", name="Chi", hosted=True))["account"])
        other = await call(one, "media.put", path=str(photo(tmp_path / "b.jpg", 700, 500)))
        await call(one, "profile.set", pictures={"avatar": {"blob": other["blob"]}}, by=stranger)
        await converged([one, two])
        await trio.sleep(1.5)  # longer than a look for what is fetched by itself
        assert not await held(two, other["blob"]), "nobody there follows Chi"
        await call(two, "follow", account=stranger)
        await here(two, other["blob"])


async def test_a_picture_that_was_replaced_goes_after_30_days_at_every_node_and_one_that_is_shown_stays(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as (one, two):
        old, new, wide = [
            await call(one, "media.put", path=str(photo(tmp_path / f"{n}.jpg", n, 300))) for n in (401, 501, 601)
        ]
        await call(one, "profile.set", pictures={"avatar": {"blob": old["blob"]}, "banner": {"blob": wide["blob"]}})
        for made in (old, wide):
            await here(two, made["blob"])
            await here(two, made["preview"])
        await call(one, "profile.set", pictures={"avatar": {"blob": new["blob"]}}, fields={"bio": "một"})
        await call(one, "profile.set", pictures={"banner": None}, fields={"bio": "hai"})
        await here(two, new["blob"])
        await here(two, new["preview"])
        await converged([one, two])
        for node in (one, two):
            assert await node.worker.call(partial(erase, time.time())) == 0  # it notes when they were replaced
            with trio.fail_after(60):
                while await held(node, old["preview"]):
                    await trio.sleep(0.05)
            assert await held(node, new["preview"])
            assert await node.worker.call(partial(erase, time.time() + 29 * DAY_S)) == 0
            later = time.time() + 32 * DAY_S
            assert await node.worker.call(partial(erase, later)) == 2
            assert await node.worker.call(partial(erase, later + 40 * DAY_S)) == 0
            assert await node.worker.call(lambda c, now: c.store.due(Work.REPLACED, 1 << 60, 9)) == []
            await node.worker.call(partial(collect, later))
            assert [await held(node, made["blob"]) for made in (old, wide, new)] == [False, False, True]
            await node.worker.call(check)
        assert (await call(two, "profile.get", account=await me(one)))["fields"]["bio"] == "hai"


async def me(node: Any) -> str:
    return str((await call(node, "profile.get"))["account"])


def erase(later: float, c: Context, now: float) -> int:
    """As the node does it, at a later time."""
    return maintenance.erase_replaced(c, later).number


def shown_write(an: LocalBackend, name: str = "avatar") -> tuple[AccountId, Ref]:
    """The account, and the write of a picture that it shows."""
    who = account_from_text(an.call("profile.get")["account"])
    op = set_profile(hosted.salt_of(an.context, who), name, "").op
    assert isinstance(op, Put)
    (ref,) = an.context.queries().live(who, op)
    return who, ref


def due(an: LocalBackend) -> list[bytes]:
    return [row.key for row in an.context.store.due(Work.REPLACED, 1 << 60, 9)]


def test_only_the_picture_that_is_shown_is_fetched_by_itself(an: LocalBackend) -> None:
    first, second = (Media(bytes([n]) * 32, 9, "image/png", preview=bytes([n + 1]) * 32) for n in (1, 3))
    for face in (first, second):
        say(an.context, time.time(), ("avatar", "", face))
    an.context.store.commit()
    q = an.context.queries()
    rows, page = unseen(q.reader.txn, b"", 9), prefetch._look(an.context, b"", frozenset())
    assert {key: place.roots for key, place in page.wanted.items()} == {rows[1]: (second.preview, second.blob)}
    assert (page.done, page.faded) == (rows[:1], [first.preview])


def test_a_write_that_is_live_again_when_it_is_looked_at_stays(an: LocalBackend, tmp_path: Path) -> None:
    """As after a cut of the thief who replaced it."""
    face = put(an, photo(tmp_path / "a.jpg", 400, 300))["blob"]
    an.call("profile.set", pictures={"avatar": {"blob": face}})
    who, ref = shown_write(an)
    now = time.time()
    assert erase(now, an.context, now) == 0
    assert due(an) == [], "what is live is not noted"
    an.context.store.set_due(Work.REPLACED, who + ref.entry + bytes(2), 0)
    assert erase(now, an.context, now) == 0
    assert due(an) == []
    assert an.call("profile.get")["pictures"]["avatar"]["blob"] == face


def test_a_write_that_comes_after_what_replaces_it_and_content_that_comes_later_are_erased_too(
    an: LocalBackend, tmp_path: Path
) -> None:
    face = put(an, photo(tmp_path / "a.jpg", 400, 300))["blob"]
    an.call("profile.set", pictures={"avatar": {"blob": face}})
    (who, ref), now, store = shown_write(an), time.time(), an.context.store
    key, n = who + ref.entry + bytes(2), store.number_of(ref.entry)
    assert n is not None
    erase(now, an.context, now)
    assert due(an) == []
    an.call("profile.set", pictures={"avatar": None})
    erase(now, an.context, now)
    assert due(an) == [key]
    store.drop_due(Work.REPLACED, key)
    maintenance._note_replaced(an.context, who, n, int(now * 1000))
    assert due(an) == [key]
    raw = store.part(ref.entry, 0)
    assert raw is not None
    store.drop_part(ref.entry, 0)
    assert erase(now + 32 * DAY_S, an.context, now) == 0
    assert due(an) == [key], "it is looked at again"
    store.put_parts([(ref.entry, 0, raw)])
    assert erase(now + 65 * DAY_S, an.context, now) == 1
    assert (due(an), store.counts().lacking) == ([], 0)


def test_nothing_is_erased_while_an_account_shows_only_a_part(an: LocalBackend, tmp_path: Path) -> None:
    face = put(an, photo(tmp_path / "a.jpg", 400, 300))["blob"]
    an.call("profile.set", pictures={"avatar": {"blob": face}})
    (who, ref), now, store = shown_write(an), time.time(), an.context.store
    assert erase(now, an.context, now) == 0  # it reads what has arrived
    store.set_due(Work.REPLACED, who + ref.entry + bytes(2), 0)
    assert store.rebuild_views_later(who, 0)
    assert store.fold_again(9), "it is cleared"
    assert erase(now, an.context, now) == 0
    while store.fold_again(99):
        pass
    assert erase(now + 32 * DAY_S, an.context, now) == 0
    assert an.call("profile.get")["pictures"]["avatar"]["blob"] == face


def test_nobody_has_the_picture_of_another_account_erased(an: LocalBackend, tmp_path: Path) -> None:
    face = put(an, photo(tmp_path / "a.jpg", 400, 300))["blob"]
    an.call("profile.set", pictures={"avatar": {"blob": face}})
    _, ref = shown_write(an)
    thief = account_from_text(an.call("account.create", name="thief", hosted=True)["account"])
    draft = set_profile(hosted.salt_of(an.context, thief), "avatar", "")
    assert isinstance(draft.op, Put)
    now = time.time()
    append(an.context, thief, [draft._replace(op=draft.op._replace(refs=(ref,)))], now)
    append(an.context, thief, [undo(PROFILE, [ref])], now)
    assert erase(now, an.context, now) == 0
    assert due(an) == []
    an.context.store.set_due(Work.REPLACED, thief + ref.entry + bytes(2), 0)
    assert erase(now + 99 * DAY_S, an.context, now) == 0
    assert an.call("profile.get")["pictures"]["avatar"]["blob"] == face


def test_exports_have_the_pictures_and_another_node_that_imports_the_archive_shows_the_same(
    an: LocalBackend, tmp_path: Path
) -> None:
    face, wide = put(an, photo(tmp_path / "a.jpg")), put(an, photo(tmp_path / "b.jpg", 900, 300))
    given = {"avatar": {"blob": face["blob"], "description": 'a <b> "cat"'}, "banner": {"blob": wide["blob"]}}
    an.call("profile.set", pictures=given)
    who = an.call("profile.get")["account"]
    for form, name in (("activitystreams", "streams"), ("html", "site"), ("archive", "an.banyan")):
        an.call("account.export", account=who, path=str(tmp_path / name), format=form)
    actor = json.loads((tmp_path / "streams/actor.json").read_text())
    icon = actor["icon"]
    assert (icon["type"], icon["mediaType"], icon["name"]) == ("Image", "image/jpeg", 'a <b> "cat"')
    assert "name" not in actor["image"]
    assert "attachment" not in actor, "a picture is no text of the profile"
    for image, made in ((icon, face), (actor["image"], wide)):
        assert image["url"] == f"media_attachments/{made['blob']}.jpg"
        assert (tmp_path / "streams" / image["url"]).stat().st_size == image["size"] == made["size"]
    page = (tmp_path / "site/index.html").read_text()
    assert f'<img class="banner" src="pictures/{wide["blob"]}.jpg" alt="">' in page
    assert 'alt="a &lt;b&gt; &quot;cat&quot;">' in page
    assert (tmp_path / f"site/pictures/{face['blob']}.jpg").stat().st_size == face["size"]
    other = make_home(tmp_path / "other")
    with open_local(other, load_settings(other)) as there:
        taken = there.call("archive.import", path=str(tmp_path / "an.banyan"))
        assert taken["digest"] == taken["expected"]
        assert there.call("digest", account=who) == an.call("digest", account=who)
        shown, known = (node.call("profile.get", account=who)["pictures"] for node in (there, an))
        assert shown == {name: {**row, "here": False, "preview_here": False} for name, row in known.items()}
        there.call("account.export", account=who, path=str(tmp_path / "empty"), format="html")
        page = (tmp_path / "empty/index.html").read_text()
        assert "<img" not in page
        assert face["blob"] in page
        assert there.call("store.verify")["problems"] == []
