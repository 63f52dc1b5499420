"""Accounts and what they do to one another, as a client library sees it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mastodon.errors import MastodonAPIError, MastodonNotFoundError
from PIL import Image

from tests.node.real import converged
from tests.web.door import open_node
from tests.web.library import Person, person


def names(rows: list[Any]) -> list[str]:
    return [row["display_name"] for row in rows]


async def test_an_account_is_found_by_each_of_its_names_and_says_when_it_was_opened(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await person(a, "an"), await person(a, "Bình Minh"), await person(b, "chi")
        await converged([a.node, b.node])
        mine = await an.ask("account_verify_credentials")
        assert (mine["username"], mine["acct"], mine["display_name"]) == ("an", "an", "an")
        assert abs(mine["created_at"] - datetime.now(UTC)) < timedelta(minutes=2)
        assert (mine["last_status_at"], mine["statuses_count"], mine["locked"]) == (None, 0, False)
        assert mine["source"]["privacy"] == "public"
        await an.node("post", text="xin chào")
        mine = await an.ask("account_verify_credentials")
        assert mine["statuses_count"] == 1
        assert mine["last_status_at"].date() == datetime.now(UTC).date()
        for name in ("an", "@an", "AN", f"an@{a.url.removeprefix('http://')}", an.did):
            assert (await binh.ask("account_lookup", name))["id"] == mine["id"], name
        tail = chi.did.removeprefix("did:banyan:")
        away = await an.ask("account_lookup", tail)
        assert (away["acct"], away["display_name"], away["uri"]) == (tail, "chi", chi.did)
        assert away["id"] == (await chi.ask("me"))["id"], "an id is the same at every node"
        assert (await chi.ask("me"))["acct"] == "chi", "at home it has the name that it has there"
        spaced = await an.ask("account_lookup", binh.did)
        assert spaced["acct"] == binh.did.removeprefix("did:banyan:"), "no name has spaces"
        found = await an.ask("accounts", [mine["id"], away["id"], "0" * 78])
        assert [row["id"] for row in found] == [mine["id"], away["id"]]
        for nobody in ("nobody", "an@elsewhere.example", "did:banyan:z" + "2" * 43):
            with pytest.raises(MastodonNotFoundError):
                await an.ask("account_lookup", nobody)
        for id_ in ("1", "9" * 78, "0" * 77 + "7"):
            with pytest.raises(MastodonNotFoundError):
                await an.ask("account", id_)


async def test_a_handle_is_shown_once_a_platform_confirms_it_whom_this_node_follows(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh = await person(a, "an"), await person(a, "binh")
        chi, dung = await person(b, "chi"), await person(b, "dung")
        await chi.node("handle.domain", domain="chi.example")
        await dung.node("handle.claim", handle="dung@chi.example")
        await chi.node("handle.confirm", handle="dung@chi.example", account=dung.did)
        await converged([a.node, b.node])
        tail = dung.did.removeprefix("did:banyan:")
        assert (await binh.ask("account_lookup", tail))["acct"] == tail, "anybody can claim a domain"
        with pytest.raises(MastodonNotFoundError):
            await binh.ask("account_lookup", "dung@chi.example")
        await an.ask("account_follow", await an.id_of(chi))
        found = await binh.ask("account_lookup", "@dung@chi.example")
        assert (found["acct"], found["username"], found["uri"]) == ("dung@chi.example", "dung", dung.did)
        with pytest.raises(MastodonNotFoundError):
            await binh.ask("account_lookup", "dung")
        assert (await binh.ask("account_search", "dung@chi.example"))[0]["uri"] == dung.did


async def test_following_a_locked_account_of_another_node_is_asked_for_and_accepted(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await person(a, "an"), await person(a, "binh"), await person(b, "chi")
        await converged([a.node, b.node])
        id_ = await an.id_of(chi)
        assert (await an.ask("account_follow", id_))["following"]
        (said,) = await an.ask("account_relationships", [id_])
        assert (said["id"], said["following"], said["followed_by"], said["requested"]) == (id_, True, False, False)
        assert not (await an.ask("account_unfollow", id_))["following"]
        assert not (await an.ask("account_unfollow", id_))["following"], "twice is no mistake"
        await converged([a.node, b.node])
        assert (await chi.ask("account_update_credentials", locked=True))["locked"]
        await converged([a.node, b.node])
        assert (await an.ask("account", id_))["locked"]
        said = await an.ask("account_follow", id_)
        assert (said["following"], said["requested"]) == (False, True)
        await binh.ask("account_follow", id_)
        await converged([a.node, b.node])
        asking = await chi.ask("follow_requests")
        assert sorted(names(asking)) == ["an", "binh"]
        assert (await chi.ask("account_verify_credentials"))["source"]["follow_requests_count"] == 2
        first = await chi.ask("follow_requests", limit=1)
        assert names(first + await chi.ask("fetch_next", first)) == names(asking)
        mine, his = await chi.id_of(an), await chi.id_of(binh)
        (before,) = await chi.ask("account_relationships", mine)
        assert (before["followed_by"], before["requested_by"]) == (False, True)
        said = await chi.ask("follow_request_authorize", mine)
        assert (said["followed_by"], said["requested_by"]) == (True, False)
        assert not (await chi.ask("follow_request_reject", his))["followed_by"]
        assert await chi.ask("follow_requests") == []
        await converged([a.node, b.node])
        (said,) = await an.ask("account_relationships", [id_])
        assert (said["following"], said["requested"]) == (True, False)
        (refused,) = await binh.ask("account_relationships", [id_])
        assert (refused["following"], refused["requested"]) == (False, True), "a refusal is not told"
        assert names(await an.ask("account_followers", id_)) == ["an"]
        assert not (await chi.ask("account_remove_from_followers", mine))["followed_by"]
        with pytest.raises(MastodonAPIError, match="not locked"):
            await an.ask("account_remove_from_followers", await an.id_of(binh))


async def test_followers_are_paged_and_familiar_ones_named(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        people = [await person(a, name) for name in ("an", "binh", "chi", "dung")]
        em = await person(b, "em")
        await converged([a.node, b.node])
        id_ = await people[0].id_of(em)
        for one in people:
            await one.ask("account_follow", id_)
        page = await people[0].ask("account_followers", id_, limit=3)
        assert len(page) == 3
        rest = await people[0].ask("fetch_next", page)
        assert sorted(names(page + rest)) == ["an", "binh", "chi", "dung"]
        assert not await people[0].ask("fetch_next", rest)
        an, binh, chi = people[:3]
        await an.ask("account_follow", await an.id_of(binh))
        await an.ask("account_follow", await an.id_of(chi))
        every = await an.ask("account_following", (await an.ask("me"))["id"])
        first = await an.ask("account_following", (await an.ask("me"))["id"], limit=2)
        assert names(first + await an.ask("fetch_next", first)) == names(every)
        assert sorted(names(every)) == ["binh", "chi", "em"]
        (familiar,) = await an.ask("account_familiar_followers", id_)
        assert (familiar["id"], sorted(names(familiar["accounts"]))) == (id_, ["binh", "chi"])
        await binh.ask("account_follow", await binh.id_of(people[3]))
        (one,) = await an.ask("suggestions_v2")
        assert (one["account"]["display_name"], one["source"]) == ("dung", "past_interactions")
        assert names(await an.ask("suggestions_v1")) == ["dung"]
        assert sorted(names(await an.ask("directory"))) == ["an", "binh", "chi", "dung"]
        assert names(await an.ask("directory", order="new", limit=2, offset=1)) == ["binh", "chi"]
        assert (await an.ask("account", id_))["followers_count"] == 4


async def test_mutes_end_blocks_hide_and_notes_stay_private(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await person(a, "an"), await person(a, "binh"), await person(b, "chi")
        await converged([a.node, b.node])
        id_ = await an.id_of(chi)
        said = await an.ask("account_mute", id_, duration=3600)
        assert (said["muting"], said["muting_notifications"]) == (True, True)
        (muted,) = await an.ask("mutes")
        left = muted["mute_expires_at"] - datetime.now(UTC)
        assert timedelta(minutes=59) < left <= timedelta(minutes=60)
        assert muted["id"] == id_
        assert (await an.ask("account_mute", id_))["muting"]
        assert (await an.ask("mutes"))[0]["mute_expires_at"] is None
        assert not (await an.ask("account_unmute", id_))["muting"]
        assert not (await an.ask("account_unmute", id_))["muting"]
        assert await an.ask("mutes") == []

        await an.ask("account_follow", id_)
        said = await an.ask("account_block", id_)
        assert (said["blocking"], said["following"]) == (True, False)
        await an.ask("account_block", await an.id_of(binh))
        page = await an.ask("blocks", limit=1)
        assert sorted(names(page + await an.ask("fetch_next", page))) == ["binh", "chi"]
        await converged([a.node, b.node])
        (theirs,) = await chi.ask("account_relationships", await chi.id_of(an))
        assert theirs["blocked_by"], "blocks are public"
        assert not (await an.ask("account_unblock", id_))["blocking"]

        assert (await an.ask("account_note_set", id_, "bạn học"))["note"] == "bạn học"
        await converged([a.node, b.node])
        (theirs,) = await chi.ask("account_relationships", await chi.id_of(an))
        assert theirs["note"] == ""
        assert (await an.ask("account_note_set", id_, ""))["note"] == ""
        assert (await an.ask("account_note_set", id_, ""))["note"] == ""
        with pytest.raises(MastodonAPIError, match="cannot follow itself"):
            await an.ask("account_follow", (await an.ask("me"))["id"])


def picture(colour: str) -> io.BytesIO:
    made = io.BytesIO()
    Image.new("RGB", (400, 300), colour).save(made, "PNG")
    made.seek(0)
    return made


async def test_a_profile_is_changed_with_pictures_fields_and_defaults(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, chi = await person(a, "an"), await person(b, "chi")
        said = await an.ask(
            "account_update_credentials",
            display_name="An Nguyễn",
            note="Dòng một\nhai <b>\n\nhttps://an.example/?a=1&b=2.",
            avatar=picture("red"),
            avatar_mime_type="image/png",
            header=picture("blue"),
            header_mime_type="image/png",
            avatar_description="màu đỏ",
            fields=[("Trang", "https://an.example"), ("Ở", "Huế")],
            default_language="vi",
            default_sensitive=True,
            default_privacy="unlisted",
        )
        assert said["display_name"] == "An Nguyễn"
        assert said["note"].startswith("<p>Dòng một<br />hai &lt;b&gt;</p><p><a href=")
        assert '"https://an.example/?a=1&amp;b=2"' in said["note"]
        assert said["source"]["note"] == "Dòng một\nhai <b>\n\nhttps://an.example/?a=1&b=2."
        assert {one["name"]: one["value"] for one in said["source"]["fields"]} == {
            "Trang": "https://an.example",
            "Ở": "Huế",
        }
        shown = {one["name"]: one["value"] for one in said["fields"]}
        assert shown["Ở"] == "Huế"
        assert shown["Trang"].startswith('<a href="https://an.example"')
        source = said["source"]
        assert (source["language"], source["sensitive"], source["privacy"]) == ("vi", True, "unlisted")
        chosen = await an.ask("preferences")
        assert (chosen["posting:default:language"], chosen["posting:default:visibility"]) == ("vi", "unlisted")
        assert said["avatar_description"] == "màu đỏ"
        blob = said["avatar"].rpartition("/")[2]
        assert said["avatar"] == f"{a.url}/media/{blob}"
        assert (await a.node.backend.call("media.show", {"blob": blob}))["type"] in (
            "image/jpeg",
            "image/png",
            "image/webp",
        )
        assert said["header"] not in (said["avatar"], "")
        await converged([a.node, b.node])
        away = await chi.ask("account_lookup", an.did)
        assert (away["display_name"], away["avatar"]) == ("An Nguyễn", f"{b.url}/media/{blob}")

        kept = await an.ask("account_update_credentials", fields=[("Ở", "Đà Nẵng")])
        assert [(one["name"], one["value"]) for one in kept["fields"]] == [("Ở", "Đà Nẵng")]
        assert (kept["display_name"], kept["avatar"]) == ("An Nguyễn", said["avatar"])
        assert kept["source"]["language"] == "vi"
        other = await an.ask("account_update_credentials", avatar_description="đỏ")
        assert (other["avatar"], other["avatar_description"]) == (said["avatar"], "đỏ")
        given = {"authorization": f"Bearer {a.token(an.did)}"}
        profile = (await a.client().http.get("/api/v1/profile", headers=given)).json()
        assert (profile["note"], profile["avatar"]) == (source["note"], said["avatar"])
        assert profile["fields"][0]["value"] == "Đà Nẵng"
        body = {"display_name": "An", "fields_attributes": {"0": {"name": "Ở", "value": "Huế"}}}
        changed = (await a.client().http.patch("/api/v1/profile", headers=given, json=body)).json()
        assert (changed["display_name"], changed["fields"][0]["value"]) == ("An", "Huế")
        assert changed.keys() == profile.keys()
        assert (await a.client().http.get("/api/v1/profile")).status_code == 401
        gone = await an.ask("account_delete_avatar")
        assert (gone["avatar"], gone["header"]) == (f"{a.url}/static/avatar.png", said["header"])
        assert (await an.ask("account_delete_header"))["header"] == f"{a.url}/static/banner.png"
        assert (await a.client().http.get("/api/v1/profile", headers=given)).json()["avatar"] is None
        for wrong, says in (
            ({"fields": [("handle", "x")]}, "cannot be called"),
            ({"default_privacy": "private"}, "everybody can read"),
            ({"default_language": "<"}, "a tag such as"),
            ({"display_name": "x" * 5_000}, "bytes"),
            ({"avatar": io.BytesIO(b"no picture"), "avatar_mime_type": "image/png", "display_name": "y"}, "422"),
        ):
            with pytest.raises(MastodonAPIError, match=says):
                await an.ask("account_update_credentials", **wrong)
        assert (await an.ask("me"))["display_name"] == "An", "nothing is half done"


async def test_accounts_are_searched_by_the_beginnings_of_their_names(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an = await person(a, "an")
        for name in ("lan", "Hoa"):
            await person(a, name)
        lan = await person(b, "Lân Vũ")
        await converged([a.node, b.node])
        assert sorted(names(await an.ask("account_search", "LAN"))) == ["Lân Vũ", "lan"]
        assert names(await an.ask("account_search", "lân")) == ["Lân Vũ"]
        assert names(await an.ask("account_search", "vu la")) == ["Lân Vũ"]
        assert await an.ask("account_search", "an vu") == []
        assert await an.ask("account_search", "lan", following=True) == []
        await an.ask("account_follow", await an.id_of(lan))
        assert names(await an.ask("account_search", "la")) == ["Lân Vũ", "lan"], "whom one follows comes first"
        assert names(await an.ask("account_search", "lan")) == ["lan", "Lân Vũ"], "but for the one that is called so"
        assert names(await an.ask("account_search", "lan", following=True)) == ["Lân Vũ"]
        assert names(await an.ask("account_search", "la", limit=1, offset=1)) == ["lan"]
        far = "did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH"
        assert await an.ask("account_search", far) == []
        (one,) = await an.ask("account_search", far, resolve=True)
        assert (one["uri"], one["display_name"]) == (far, "")
        assert (await an.ask("account_follow", one["id"]))["following"], "following it is what makes it come"
        assert (await an.ask("account", one["id"]))["uri"] == far
        assert far in [row["uri"] for row in await an.ask("account_following", (await an.ask("me"))["id"])]


async def test_an_account_that_went_on_as_another_says_so(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, chi = await person(a, "an"), await person(b, "chi")
        await converged([a.node, b.node])
        assert (await an.ask("account_lookup", chi.did))["moved"] is None
        await an.node("move.from", account=chi.did)
        await converged([a.node, b.node])
        assert (await an.ask("account_lookup", chi.did))["moved"] is None, "one alone cannot say so"
        await chi.node("move.to", account=an.did)
        await converged([a.node, b.node])
        found = await an.ask("account_lookup", chi.did)
        assert (found["moved"]["acct"], found["display_name"]) == ("an", "chi")
        assert found["moved"]["moved"] is None


async def test_without_a_person_only_what_is_public_is_answered(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an = await person(door, "an")
        id_ = (await an.ask("me"))["id"]
        nobody = door.client()
        assert (await nobody.get(f"/api/v1/accounts/{id_}"))["acct"] == "an"
        for path in ("relationships", "verify_credentials", "search?q=an", f"{id_}/lists"):
            await nobody.get(f"/api/v1/accounts/{path}", 401)
        app = Person(door, an.did)
        app.api.access_token = door.token(None)
        with pytest.raises(MastodonAPIError, match="needs a person"):
            await app.ask("account_note_set", id_, "x")
        assert (await door.client(an.did, "profile").get("/api/v1/accounts/verify_credentials"))["id"] == id_
        await door.client(an.did, "read:lists").get("/api/v1/accounts/verify_credentials", 403)
        reader = door.client(an.did, "read")
        await reader.post(f"/api/v1/accounts/{id_}/follow", 403)
        (said,) = await reader.get("/api/v1/accounts/relationships", id=id_)
        assert (said["id"], said["following"]) == (id_, False)
