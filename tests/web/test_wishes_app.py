"""What somebody wants to see and hear of, as a client library sees it: tags, conversations, filters, lists, trends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from mastodon.errors import MastodonAPIError, MastodonNotFoundError

from banyan_web.mastodon.streaming import endpoints
from tests.node.real import converged
from tests.web.door import open_node
from tests.web.library import Person, person
from tests.web.test_streaming import Heard, Listening
from tests.web.test_streaming import app as streaming_app


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mastodon.py closes a stream at the next heartbeat."""
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)


def said(rows: list[Any]) -> list[str]:
    """Texts of posts, or of what was reposted."""
    return [(row.reblog or row).content.removeprefix("<p>").removesuffix("</p>").split(" <")[0] for row in rows]


async def home(who: Person) -> list[str]:
    return said(await who.ask("timeline_home"))


async def test_posts_of_a_tag_that_one_follows_are_at_home_and_in_streams(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await person(a, "an"), await person(a, "binh"), await person(b, "chi")
        await converged([a.node, b.node])
        await an.ask("account_follow", await an.id_of(binh))
        made = await an.ask("tag_follow", "HàNội")
        assert (made.name, made.following) == ("HàNội", True)
        assert [tag.name for tag in await an.ask("followed_tags")] == ["HàNội"]
        assert (await an.ask("tag", "hànội")).following is True
        assert (await binh.ask("tag", "hànội")).following is False
        listening = Listening(a)
        heard: Heard = await listening.to(streaming_app(a, an.did), "stream_user")
        for n in range(9):
            await chi.node("post", text=f"c{n} #hànội")
            await binh.node("post", text=f"b{n}" + " #HÀNỘI" * (n % 2))
        await chi.node("post", text="không #huế")
        await chi.node("post", text="kín #hànội", audience="unlisted")
        await converged([a.node, b.node])
        got = await heard.next(18)
        assert sorted(said([status for _, status in got])) == sorted([f"{who}{n}" for who in "bc" for n in range(9)])
        with trio.fail_after(60):
            while len(await an.ask("timeline_home", limit=40)) < 18:  # the index follows a moment later
                await trio.sleep(0.05)
        whole = await an.ask("timeline_home", limit=40)
        assert [row.id for row in whole] == sorted({row.id for row in whole}, reverse=True)
        assert len(whole) == 18
        paged, page = list[Any](), await an.ask("timeline_home", limit=5)
        while page:
            paged += page
            page = await an.ask("fetch_next", page)
        assert [row.id for row in paged] == [row.id for row in whole]
        up = await an.ask("timeline_home", min_id=whole[-1].id, limit=7)
        assert [row.id for row in up] == [row.id for row in whole[-8:-1]]
        await an.ask("account_mute", await an.id_of(chi))
        assert len(await an.ask("timeline_home", limit=40)) == 9
        await an.ask("account_unmute", await an.id_of(chi))
        assert (await an.ask("tag_unfollow", "hànội")).following is False
        assert sorted(await home(an)) == [f"b{n}" for n in range(9)]
        assert await an.ask("followed_tags") == []
        with pytest.raises(MastodonNotFoundError):
            await an.ask("tag_follow", "a b")
        await listening.close()


@pytest.mark.parametrize("workers", ["0", "1"])
async def test_a_post_of_a_followed_tag_is_at_home_as_it_is_at_that_moment(tmp_path: Path, workers: str) -> None:
    async with open_node(tmp_path, http__workers=workers) as door:
        an, binh, chi = [await person(door, name) for name in ("an", "binh", "chi")]
        await an.ask("tag_follow", "chợ")
        uris = [(await binh.node("post", text=f"{text} #chợ"))["uri"] for text in ("cá", "rau")]
        with trio.fail_after(60):
            while len(await home(an)) < 2:  # the index follows a moment later
                await trio.sleep(0.05)
        by_text = {row.content[3:6]: row.id for row in await an.ask("timeline_home")}
        fish, greens = by_text["cá "], by_text["rau"]

        async def rows() -> dict[str, Any]:
            return {row.id: row for row in await an.ask("timeline_home")}

        for _ in range(2):
            assert [row.favourited for row in (await rows()).values()] == [False, False]
        await an.ask("status_favourite", fish)
        await chi.ask("status_favourite", fish)
        found = await rows()
        assert [(found[id_].favourited, found[id_].favourites_count) for id_ in (fish, greens)] == [
            (True, 2),
            (False, 0),
        ]
        call = door.node.backend.call
        await call("edit", {"uri": uris[0], "text": "tôm #chợ"})
        assert (await rows())[fish].content.startswith("<p>tôm")
        hides = await an.ask("create_filter_v2", "rau", ["home"], "hide", keywords_attributes=[{"keyword": "rau"}])
        assert [*await rows()] == [fish]
        await an.ask("delete_filter_v2", hides.id)
        assert {*await rows()} == {greens, fish}
        await an.ask("account_block", await an.id_of(binh))
        assert await rows() == {}
        await an.ask("account_unblock", await an.id_of(binh))
        await call("delete", {"uri": uris[1]})
        assert [*await rows()] == [fish]


async def test_tags_of_a_profile_and_what_is_talked_about(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        for text in ("một #Tết #hoa", "hai #tết", "ba"):
            await an.node("post", text=text)
        with trio.fail_after(60):
            while len(await an.ask("timeline_hashtag", "tết")) < 2:
                await trio.sleep(0.05)
        assert sorted(tag.name.lower() for tag in await an.ask("featured_tag_suggestions")) == ["hoa", "tết"]
        made = await an.ask("featured_tag_create", "#Tết")
        assert (made.name, int(made.statuses_count)) == ("Tết", 2)
        (shown,) = await binh.ask("account_featured_tags", await binh.id_of(an))
        assert (shown.id, shown.last_status_at is None) == (made.id, False)
        assert [tag.name for tag in await an.ask("featured_tag_suggestions")] == ["hoa"]
        assert (await an.ask("me")).fields == []
        await an.ask("featured_tag_create", "hoa")
        await an.ask("featured_tag_delete", made.id)
        assert [tag.name for tag in await an.ask("featured_tags")] == ["hoa"]
        with pytest.raises(MastodonNotFoundError):
            await an.ask("featured_tag_delete", made.id)
        with pytest.raises(MastodonAPIError, match="Tag is invalid"):
            await an.ask("featured_tag_create", "a b")

        first, second = [row["uri"] for row in (await an.node("feed"))["posts"]][:2]
        await binh.node("react", uri=second, emoji="❤")
        await binh.node("repost", uri=first)
        assert [row.uri for row in await an.ask("trending_statuses")] == [first, second]
        await binh.ask("account_mute", await binh.id_of(an))
        assert await binh.ask("trending_statuses") == []
        assert await an.ask("trending_links") == []


async def test_of_a_muted_conversation_nothing_is_told(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        post = await an.ask("status_post", "một")
        answer = await binh.ask("status_reply", post, "hai")
        other = await an.ask("status_post", "khác")
        assert [row.type for row in await an.ask("notifications")] == ["mention"]
        assert (await an.ask("status_mute", answer.id)).muted is True
        assert (await an.ask("status", post.id)).muted is True
        assert ((await an.ask("status", other.id)).muted, (await binh.ask("status", post.id)).muted) == (False, False)
        await binh.ask("status_reply", post, "ba")
        await binh.ask("status_favourite", post.id)
        assert await an.ask("notifications") == []
        assert (await an.node("notifications.unread"))["unread"] == 0
        await binh.ask("status_favourite", other.id)
        assert [row.type for row in await an.ask("notifications")] == ["favourite"]
        assert (await an.ask("status_unmute", post.id)).muted is False
        assert len(await an.ask("notifications")) == 4


async def test_a_filter_counts_where_one_said_and_finds_parts_of_words_if_asked(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        await an.ask("account_follow", await an.id_of(binh))
        await binh.ask("status_post", "bóngđá hay")
        made = await an.ask(
            "create_filter_v2", "Thể thao", ["public"], "hide",
            keywords_attributes=[{"keyword": "bóng", "whole_word": False}])  # fmt: skip
        assert (made.context, made.keywords[0].whole_word) == (["public"], False)
        assert await home(an) == ["bóngđá hay"]
        assert await an.ask("timeline_public") == []
        assert len(await an.ask("account_statuses", await an.id_of(binh))) == 1
        changed = await an.ask("update_filter_v2", made.id, context=["home", "account"])
        assert (changed.context, changed.keywords[0].keyword) == (["home", "account"], "bóng")
        assert (await home(an), len(await an.ask("timeline_public"))) == ([], 1)
        assert (await an.ask("filters"))[0].context == ["home", "account"]
        word = await an.ask("update_filter_v2", made.id, keywords_attributes=[
            {"id": made.keywords[0].id, "whole_word": True}])  # fmt: skip
        assert word.keywords[0].whole_word is True
        assert len(await home(an)) == 1


async def test_what_of_an_account_is_at_home_is_as_one_said(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, binh, chi = await person(door, "an"), await person(door, "binh"), await person(door, "chi")
        id_ = await an.id_of(binh)
        await an.ask("account_follow", id_)
        listening = Listening(door)
        heard: Heard = await listening.to(streaming_app(door, an.did), "stream_user")
        theirs = await chi.ask("status_post", "của Chi")
        await binh.ask("status_reblog", theirs.id)
        await binh.ask("status_post", "tiếng Việt", language="vi")
        await binh.ask("status_post", "English", language="en")
        await binh.node("reply", uri=theirs.uri, text="đáp")
        assert sorted(await home(an)) == ["English", "của Chi", "tiếng Việt", "đáp"]
        await heard.next(4)
        stands = await an.ask("account_follow", id_, reblogs=False)
        assert (stands.showing_reblogs, stands.languages) == (False, None)
        stands = await door.client(an.did).post(f"/api/v1/accounts/{id_}/follow", languages=["vi"])
        assert (stands["showing_reblogs"], stands["languages"]) == (False, ["vi"])
        assert sorted(await home(an)) == sorted(["tiếng Việt", "đáp"])
        await binh.ask("status_unreblog", theirs.id)
        await binh.ask("status_reblog", theirs.id)
        await binh.ask("status_post", "again", language="en-GB")
        await binh.ask("status_post", "nữa", language="vi")
        events = [(event, body) for event, body in await heard.next(2)]
        assert [event for event, _ in events if event == "update"] == ["update"]
        assert said([events[-1][1]]) == ["nữa"]
        await an.ask("account_unfollow", id_)
        stands = await an.ask("account_follow", id_)
        assert (stands.showing_reblogs, stands.languages) == (True, None)

        made = await an.ask("list_create", "bạn", replies_policy="none", exclusive=True)
        await an.ask("list_accounts_add", made.id, [id_])
        assert await home(an) == []
        of_list = said(await an.ask("timeline_list", made.id))
        assert "nữa" in of_list
        assert "đáp" not in of_list
        changed = await an.ask("list_update", made.id, "bạn", replies_policy="followed", exclusive=False)
        assert (changed.replies_policy, changed.exclusive) == ("followed", False)
        assert "đáp" not in said(await an.ask("timeline_list", made.id)), "Chi is not followed"
        await an.ask("account_follow", await an.id_of(chi))
        assert "đáp" in said(await an.ask("timeline_list", made.id))
        assert "nữa" in await home(an)
        await listening.close()
