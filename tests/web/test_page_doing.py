"""What a person does on the pages without scripts: drafts, edits, lists, groups, events, channels, settings."""

from __future__ import annotations

import re
import time
import wave
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import trio
from PIL import Image

from banyan_web.page.formats import account_path, post_path
from tests.web.browser import logged_in
from tests.web.door import Door, open_node
from tests.web.test_page import call, csrf_of


class Person:
    """Somebody with a browser that runs no scripts."""

    def __init__(self, door: Door, did: str, http: httpx.AsyncClient) -> None:
        self.door, self.did, self.http = door, did, http

    async def see(self, path: str, status: int = 200) -> str:
        answer = await self.http.get(path, headers={"accept-language": "en"}, follow_redirects=True)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-900:])
        return unescape(answer.text)

    async def send(self, path: str, status: int = 303, files: Any = None, **data: Any) -> str:
        """Sends a form; returns where it leads, or what a refusal says."""
        given = {"csrf": csrf_of((await self.http.get("/home")).text), "to": "/home", **data}
        given = {name.replace("__", "[]"): value for name, value in given.items()}
        answer = await self.http.post(path, data=given, files=files)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-900:])
        return str(answer.headers["location"]) if status == 303 else unescape(answer.text)

    async def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await call(self.door, "feed", account=self.did, by=self.did))["posts"]
        return found


def path_of(kind: str, uri: str) -> str:
    return f"/{kind}/{post_path(uri).removeprefix('/@')}"


def picture(folder: Path) -> bytes:
    Image.new("RGB", (60, 40), (200, 30, 30)).save(folder / "a.png")
    return (folder / "a.png").read_bytes()


async def test_a_person_writes_keeps_changes_and_deletes(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door, httpx.AsyncClient(base_url=door.url, timeout=60) as http:
        an, _ = await door.person("An")
        binh, _ = await door.person("binh")
        http.cookies.set("banyan", logged_in(door, an, "An")["value"])
        me, png = Person(door, an, http), picture(tmp_path)
        words: dict[str, Any] = {
            "text": "một bức ảnh @binh",
            "warning": "đỏ",
            "lang": "vi",
            "audience": "unlisted",
            "once": "1" * 32,
        }
        files = [("media[]", ("a.png", png, "image/png")), ("media[]", ("", b"", "application/octet-stream"))]
        for _ in range(2):  # a second click
            assert await me.send("/post", files=files, **words, alt__=["màu đỏ", ""]) == "/home?said=posted"
        (row,) = await me.rows()
        assert (row["warning"], row["lang"], row["audience"]) == ("đỏ", "vi", "unlisted")
        assert [one["account"] for one in row["mentions"]] == [binh]
        form = await me.see(path_of("edit", row["uri"]))
        assert ("một bức ảnh" in form, 'value="màu đỏ"' in form, "poll_hours" in form) == (True, True, False)
        blob = row["media"][0]["blob"]
        kept: dict[str, Any] = {"kept__": [blob], "kept_alt__": ["rất đỏ"], "lang": "vi"}
        await me.send("/edit", edits=row["uri"], text="một bức tranh", warning="", **kept)
        assert "The post was changed." in await me.see(post_path(row["uri"]) + "?said=edited")
        (row,) = await me.rows()
        assert (row["text"], row["warning"], row["media"][0]["description"]) == ("một bức tranh", None, "rất đỏ")
        assert "một bức ảnh" in await me.see(path_of("history", row["uri"]))
        # a poll that is kept, gone on with, and published
        poll: dict[str, Any] = {"options__": ["phở", "bún", "", ""], "several": "1", "poll_hours": "72"}
        assert await me.send("/post", do="draft", text="ăn gì?", **poll) == "/drafts?said=kept"
        (draft,) = (await call(door, "drafts", by=an))["drafts"]
        assert draft["poll"]["choices"] == "several"
        form = await me.see(f"/compose?draft={draft['id']}")
        assert ("ăn gì?" in form, 'value="phở"' in form, draft["id"] in form) == (True, True, True)
        await me.send("/post", draft=draft["id"], text="ăn gì trưa nay?", **poll)
        row = (await me.rows())[0]
        assert (row["text"], len(row["poll"]["options"])) == ("ăn gì trưa nay?", 2)
        assert (await call(door, "drafts", by=an))["drafts"] == []
        # later, by a clock that is seven hours ahead of UTC
        due = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 86_400 + 7 * 3_600))
        assert await me.send("/post", text="mai", due=due, zone="-420") == "/drafts?said=scheduled"
        (draft,) = (await call(door, "drafts", by=an))["drafts"]
        assert abs(draft["due"] / 1000 - time.time() - 86_400) < 120
        assert "mai" in await me.see("/drafts")
        await me.send("/drafts/drop", id=draft["id"])
        # a deletion is for ever, so it asks, and the words stay
        assert "3 days" not in await me.see(path_of("delete", row["uri"]))
        assert await me.send("/delete", uri=row["uri"], keep="1") == "/home?said=deleted_kept"
        assert "Post it again" in await me.see("/home?said=deleted_kept")
        (draft,) = (await call(door, "drafts", by=an))["drafts"]
        assert (await me.send("/drafts/publish", id=draft["id"])).endswith("?said=posted")
        assert (await me.rows())[0]["text"] == "ăn gì trưa nay?"
        theirs = (await call(door, "post", text="của Bình", by=binh))["uri"]
        await me.send("/post", quote=theirs, text="hay")
        assert (await me.rows())[0]["quote"]["uri"] == theirs
        await me.send("/bookmark", uri=theirs)
        assert "của Bình" in await me.see("/bookmarks")
        for path in ("edit", "delete"):
            await me.see(path_of(path, theirs), 403)
        for bad in ({"due": "mai"}, {"zone": "x", "due": due}, {"options__": ["a", "b"], "poll_hours": "5"}):
            assert "This cannot be done so." in await me.send("/post", 422, text="x", **bad)


async def test_a_person_is_in_groups_goes_to_events_and_follows_channels(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door, httpx.AsyncClient(base_url=door.url, timeout=60) as http:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        http.cookies.set("banyan", logged_in(door, binh, "Bình")["value"])
        me = Person(door, binh, http)
        group = (await call(door, "group.create", name="Vườn", kind="request", by=an))["uri"]
        await me.send("/groups/join", group=group)
        assert "Take the wish back" in await me.see(path_of("groups", group))
        await call(door, "group.accept", group=group, account=binh, by=an)
        await me.send("/post", group=group, text="trong vườn")
        assert "trong vườn" in await me.see(path_of("groups", group))
        assert "Bình" in await me.see(path_of("groups", group) + "/members")
        assert "Vườn" in await me.see("/groups")
        assert (await me.send("/groups", name="Bếp", kind="open")).startswith("/groups/z")
        begins = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 86_400))
        said: dict[str, Any] = {
            "title": "Tết; trồng, cây",
            "begins": begins,
            "tz": "Asia/Ho_Chi_Minh",
            "place": "Huế",
            "text": "găng tay",
        }
        at = await me.send("/events", **said)
        page = await me.see(at)
        assert ("Tết; trồng, cây" in page, begins.replace("T", " ") in page) == (True, True)
        (event,) = (await call(door, "event.list", account=binh))["events"]
        await me.send("/events/reply", event=event["uri"], answer="yes")
        assert "I come (1)" in await me.see(at)
        await me.send("/events/reply", event=event["uri"], answer="undo")
        assert "I come (0)" in await me.see(at)
        calendar = (await http.get(at + "/event.ics")).text
        assert ("SUMMARY:Tết\\; trồng\\, cây\r\n" in calendar, "\r\nEND:VCALENDAR\r\n" in calendar) == (True, True)
        await me.send("/events", event=event["uri"], **said | {"title": "Tết"})
        assert "Tết" in await me.see("/events?only=own")
        assert "no time zone" in await me.send("/events", 422, **said | {"tz": "Mars/Base"})
        await me.send("/events/delete", 422, event=event["uri"])
        await me.send("/events/delete", event=event["uri"], sure="1")
        await me.see(at, 404)
        channel = (await call(door, "channel.set", title="Chuyện", by=an))["uri"]
        await me.send("/channels/subscribe", channel=channel)
        assert "Chuyện" in await me.see("/channels")
        at = await me.send("/channels", title="Của Bình", kind="audio")
        (own,) = (await call(door, "channel.list", account=binh, by=binh))["channels"]
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, 8_000, 0, "NONE", ""))
            file.writeframes(b"\0\0" * 8_000)
        raw = (tmp_path / "a.wav").read_bytes()
        files = [("media[]", ("a.wav", raw, "audio/wav"))]
        made = await me.send(
            "/channels/episode",
            files=files,
            channel=own["uri"],
            title="Một",
            season="1",
            chapters="0:00 Mở\n1:02:03 Hết",
        )
        page = await me.see(made)
        assert ("<audio" in page, "1:02:03" in page, "Một" in page) == (True, True, True)
        assert "is no chapter" in await me.send(
            "/channels/episode", 422, files=files, channel=own["uri"], title="Hai", chapters="later"
        )


async def test_a_person_sets_who_they_are_and_what_they_read(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door, httpx.AsyncClient(base_url=door.url, timeout=60) as http:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        http.cookies.set("banyan", logged_in(door, an, "An")["value"])
        me, png = Person(door, an, http), picture(tmp_path)
        files = {"avatar": ("a.png", png, "image/png"), "banner": ("", b"", "application/octet-stream")}
        said: dict[str, Any] = {
            "name": "An Nguyễn",
            "bio": "phở",
            "key__": ["Quê", ""],
            "value__": ["Huế", ""],
            "avatar_alt": "đỏ",
        }
        await me.send("/settings/profile", files=files, **said, locked="1")
        profile = await call(door, "profile.get", account=an)
        assert (profile["name"], profile["fields"]["Quê"], profile["fields"]["locked"]) == ("An Nguyễn", "Huế", "yes")
        assert profile["pictures"]["avatar"]["description"] == "đỏ"
        await call(door, "follow", account=an, by=binh)
        assert "Who asks to follow you" in await me.see("/notifications")
        await me.send("/requests", account=binh, do="accept")
        assert "Bình" in await me.see(account_path(an) + "/followers")
        await me.send("/settings/profile", name="An", key__=[""], value__=[""], no_avatar="1")
        profile = await call(door, "profile.get", account=an)
        assert (profile["fields"]["Quê"], "avatar" in profile["pictures"]) == ("", False)
        await me.send("/settings/posting", lang="vi", audience="unlisted")
        assert re.search(r'<option value="unlisted" selected', await me.see("/compose"))
        await me.send("/settings/filters", words="bóng đá", action="hide")
        await call(door, "post", text="hôm nay có bóng đá", by=binh)
        assert "có bóng đá" not in await me.see("/")
        (one,) = (await call(door, "filters", by=an))["filters"]
        await me.send("/settings/filters", do="drop", id=one["id"])
        assert "có bóng đá" in await me.see("/")
        await me.send("/mute", account=binh)
        assert "có bóng đá" not in await me.see("/local")
        assert "Bình" in await me.see("/settings")
        await me.send("/mute", account=binh, undo="1")
        await me.send("/lists", title="Bạn")
        (one,) = (await call(door, "lists", by=an))["lists"]
        await me.send("/lists/member", id=one["id"], account=binh)
        assert "có bóng đá" in await me.see(f"/lists/{one['id']}")
        await me.send("/lists/delete", id=one["id"], sure="1")
        assert 'action="/follow"' in await me.see(account_path(binh))
        await me.send("/block", account=binh)
        page = await me.see(account_path(binh))
        assert ("Unblock" in page, 'action="/follow"' in page) == (True, False)
        page = await me.send("/follow", 403, account=binh)
        assert "unblock them first" in page
        assert "Load the page again" not in page
        await me.send("/block", account=binh, undo="1")
        await call(door, "block", account=an, by=binh)
        assert 'action="/follow"' not in await me.see(account_path(binh))
        assert "blocks this account" in await me.send("/follow", 403, account=binh)
        assert 'data-theme="dark"' in await me.see("/theme/dark?to=/about")
        with trio.fail_after(60):
            while (await call(door, "search", question="bóng"))["behind"]:
                await trio.sleep(0.02)
        for path in ("/search?q=An", "/search", "/more", "/favourites", account_path(an) + "/groups", "/own"):
            await me.see(path)
