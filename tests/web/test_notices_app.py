"""Notifications, as a client library sees them: of each kind, in pages, in groups."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import trio
from mastodon.errors import MastodonNotFoundError

from tests.node.real import converged
from tests.web.door import Door, open_node
from tests.web.library import Person, person


async def said_to(an: Person, *others: Person, post: str) -> None:
    """The others answer, quote, mention, favourite, boost and follow."""
    for other in others:
        await other.node("follow", account=an.did)
        await other.node("react", uri=post, emoji="❤")
        await other.node("repost", uri=post)
        await other.node("reply", uri=post, text="trả lời")
        await other.node("quote", uri=post, text="nhắc lại")
        await other.node("post", text="này @an", mentions=[an.did])


def types(rows: list[Any]) -> list[str]:
    return [row["type"] for row in rows]


async def two(a: Door, b: Door) -> tuple[Person, Person, Person]:
    an, binh, chi = await person(a, "an"), await person(a, "binh"), await person(b, "chi")
    await converged([a.node, b.node])
    return an, binh, chi


async def test_each_kind_is_told_as_a_type_that_apps_know(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, _, chi = await two(a, b)
        post = (await an.node("post", text="một"))["uri"]
        await converged([a.node, b.node])
        await said_to(an, chi, post=post)
        await converged([a.node, b.node])
        rows = await an.ask("notifications")
        assert types(rows) == ["mention", "mention", "mention", "reblog", "favourite", "follow"]
        assert {row["account"]["display_name"] for row in rows} == {"chi"}
        contents = [row["status"]["content"] for row in rows if row.get("status")]
        assert ["này" in contents[0], "nhắc lại" in contents[1], "trả lời" in contents[2]] == [True] * 3
        own = [row["status"]["uri"] for row in rows if row["type"] in ("reblog", "favourite")]
        assert own == [post, post], "these are about one's own post"
        assert rows[0]["status"]["account"]["uri"] == chi.did
        one = await an.ask("notifications", id=rows[3]["id"])
        assert (one["id"], one["type"], one["status"]["uri"]) == (rows[3]["id"], "reblog", post)
        with pytest.raises(MastodonNotFoundError):
            await an.ask("notifications", id="7")

        await an.ask("account_update_credentials", locked=True)
        hoa = await person(a, "hoa")
        await hoa.ask("account_follow", (await an.ask("me"))["id"])
        (asked, *_) = await an.ask("notifications")
        assert (asked["type"], asked["account"]["display_name"]) == ("follow_request", "hoa")
        await an.ask("follow_request_authorize", asked["account"]["id"])
        (followed, *_) = await an.ask("notifications")
        assert (followed["type"], followed["id"]) == ("follow", asked["id"])
        assert await hoa.ask("notifications") == [], "that one was accepted has no type"

        closes = int(time.time() * 1_000) + 700
        poll = {"options": ["phở", "bún"], "closes_ms": closes}
        asking = (await an.node("post", text="ăn gì?", poll=poll))["uri"]
        await trio.sleep(1)
        (ended, *_) = await an.ask("notifications")
        assert (ended["type"], ended["status"]["uri"]) == ("poll", asking)
        assert (await an.ask("notifications", id=ended["id"]))["id"] == ended["id"]

        await an.node("handle.domain", domain="an.example")
        await an.node("official.verify", account=chi.did, title="Y tế")
        await an.ask("account_follow", await an.id_of(chi))
        await chi.node("post", text="bão", urgency="urgent")
        await converged([a.node, b.node])
        (urgent, *_) = await an.ask("notifications")
        assert (urgent["type"], urgent["status"]["account"]["uri"]) == ("status", chi.did)

        group = (await chi.node("group.create", name="nhóm", kind="closed"))["uri"]
        await chi.node("group.invite", group=group, account=an.did)
        await converged([a.node, b.node])
        assert (await an.ask("notifications"))[0]["id"] == urgent["id"], "an invitation of a group has no type"
        assert "group_invite" in [row["kind"] for row in (await an.node("notifications"))["notices"]]


async def test_pages_filters_and_the_mark_of_what_is_read(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await two(a, b)
        post = (await an.node("post", text="một"))["uri"]
        await converged([a.node, b.node])
        await said_to(an, binh, chi, post=post)
        await converged([a.node, b.node])
        every = await an.ask("notifications")
        ids = [row["id"] for row in every]
        assert len(ids) == 12
        assert ids == sorted(ids, reverse=True)
        paged, page = [], await an.ask("notifications", limit=5)
        while page:
            paged += [row["id"] for row in page]
            assert len(page) <= 5
            page = await an.ask("fetch_next", page)
        assert paged == ids
        newer = await an.ask("notifications", since_id=ids[4])
        assert [row["id"] for row in newer] == ids[:4]
        above = await an.ask("notifications", min_id=ids[6], limit=3)
        assert [row["id"] for row in above] == ids[3:6]
        assert [row["id"] for row in await an.ask("fetch_previous", above)] == ids[:3]
        between = await an.ask("notifications", max_id=ids[2], since_id=ids[5])
        assert [row["id"] for row in between] == ids[3:5]
        assert set(types(await an.ask("notifications", types=["follow", "reblog"]))) == {"follow", "reblog"}
        without = await an.ask("notifications", exclude_types=["mention", "favourite"])
        assert sorted(types(without)) == ["follow", "follow", "reblog", "reblog"]
        assert await an.ask("notifications", types=["admin.sign_up"]) == []
        of_chi = await an.ask("notifications", account_id=await an.id_of(chi))
        assert len(of_chi) == 6
        assert {row["account"]["uri"] for row in of_chi} == {chi.did}

        assert (await an.ask("notifications_unread_count"))["count"] == 12
        await an.ask("notifications_dismiss", ids[2])
        assert (await an.ask("notifications_unread_count"))["count"] == 11
        assert [row["id"] for row in await an.ask("notifications")] == [*ids[:2], *ids[3:]]
        with pytest.raises(MastodonNotFoundError):
            await an.ask("notifications", id=ids[2])
        await an.ask("markers_set", ["notifications"], [ids[1]])
        assert (await an.ask("markers_get", ["notifications"]))["notifications"]["last_read_id"] == ids[1]
        assert (await an.ask("notifications_unread_count"))["count"] == 1

        await an.ask("account_mute", await an.id_of(chi))
        assert {row["account"]["uri"] for row in await an.ask("notifications")} == {binh.did}
        gone = (await an.ask("notifications", types=["mention"]))[0]["status"]["uri"]
        await a.node.backend.call("delete", {"uri": gone})
        assert len(await an.ask("notifications")) == 5
        await an.ask("notifications_clear")
        await an.ask("account_unmute", await an.id_of(chi))
        assert await an.ask("notifications") == []
        assert (await an.node("notifications.unread"))["unread"] == 0
        await binh.node("reply", uri=post, text="nữa")
        assert types(await an.ask("notifications")) == ["mention"]


async def test_alike_notifications_are_one_group(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await two(a, b)
        post = (await an.node("post", text="một"))["uri"]
        await converged([a.node, b.node])
        await said_to(an, binh, chi, post=post)
        await converged([a.node, b.node])
        found = await an.ask("grouped_notifications")
        kinds = [group["type"] for group in found["notification_groups"]]
        assert sorted(kinds) == ["favourite", "follow", *["mention"] * 6, "reblog"]
        assert {row["display_name"] for row in found["accounts"]} == {"binh", "chi"}
        by_type = {group["type"]: group for group in found["notification_groups"]}
        liked = by_type["favourite"]
        (status,) = [row for row in found["statuses"] if row["id"] == liked["status_id"]]
        assert status["uri"] == post
        assert (liked["notifications_count"], len(liked["sample_account_ids"])) == (2, 2)
        assert liked["page_min_id"] < liked["page_max_id"] == liked["most_recent_notification_id"]
        assert by_type["follow"].get("status_id") is None
        known = {row["id"] for row in found["accounts"]} | {row["id"] for row in found["statuses"]}
        for group in found["notification_groups"]:
            assert {*group["sample_account_ids"]} <= known
            assert group.get("status_id") is None or group["status_id"] in known

        alone = await an.ask("grouped_notification", liked["group_key"])
        assert [group["group_key"] for group in alone["notification_groups"]] == [liked["group_key"]]
        who = await an.ask("grouped_notification_accounts", liked["group_key"])
        assert sorted(row["display_name"] for row in who) == ["binh", "chi"]
        single = by_type["mention"]["group_key"]
        assert (await an.ask("grouped_notification", single))["notification_groups"][0]["notifications_count"] == 1
        with pytest.raises(MastodonNotFoundError):
            await an.ask("grouped_notification", "favourite-1-nothing")
        apart = await an.ask("grouped_notifications", grouped_types=["follow"])
        assert sum(group["type"] == "favourite" for group in apart["notification_groups"]) == 2
        assert await an.ask("unread_grouped_notifications_count") == 9
        newest = found["notification_groups"][0]["group_key"]
        await an.ask("dismiss_grouped_notification", newest)
        assert await an.ask("unread_grouped_notifications_count") == 8
        await an.ask("dismiss_grouped_notification", liked["group_key"])
        assert "favourite" not in types(await an.ask("notifications"))
        first = await an.ask("grouped_notifications", limit=4)
        assert len(first["notification_groups"]) <= 4


async def test_nothing_is_filtered_from_notifications(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an = await person(door, "an")
        assert (await an.ask("notifications_policy"))["for_not_following"] == "accept"
        said = await an.ask("update_notifications_policy", for_not_following="filter")
        assert said["for_not_following"] == "accept", "what is answered is what holds"
        assert await an.ask("notification_requests") == []
        assert await an.ask("notifications_merged")
        assert await an.ask("notifications") == []
