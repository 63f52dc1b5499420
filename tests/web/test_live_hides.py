"""What `/live/events` tells whom: who is logged in hears nothing of whom and what their timelines hide."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_web.page import live
from tests.web.browser import logged_in
from tests.web.door import Door, open_node
from tests.web.lines import open_lines
from tests.web.test_page import call


class Watchers:
    """Streams by name, and what each told: (event, data). They are read as long as the nursery runs."""

    def __init__(self, door: Door, nursery: trio.Nursery) -> None:
        self.door, self._nursery = door, nursery
        self.told: dict[str, list[tuple[str, Any]]] = {}

    async def open(self, name: str, did: str | None = None, path: str = "/live/events") -> None:
        self.told[name] = []
        cookie = None if did is None else str(logged_in(self.door, did, name)["value"])
        await self._nursery.start(self._hear, name, path, cookie)

    async def _hear(self, name: str, path: str, cookie: str | None, task_status: Any) -> None:
        async with open_lines(self.door.url, path, None, cookie=cookie) as lines:
            event = ""
            async for line in lines:
                if line.startswith("retry"):
                    task_status.started()
                elif line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.told[name].append((event, json.loads(line.removeprefix("data: "))))

    async def heard(self, name: str, words: str) -> Any:
        """The data of an event with these words."""
        with trio.fail_after(60):
            while True:
                for _, data in self.told[name]:
                    if words in json.dumps(data, ensure_ascii=False):
                        return data
                await trio.sleep(0.02)

    def texts(self, name: str) -> list[str | None]:
        """Of its posts."""
        return [data["text"] for event, data in self.told[name] if event == "post"]

    def tells_of(self, name: str, did: str) -> bool:
        return did in json.dumps(self.told[name])


async def test_who_is_logged_in_hears_what_their_timelines_show(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        who = {name: (await door.person(name))[0] for name in ("An", "Bình", "Chi", "Dũng", "Em", "Giang", "Hoa")}
        an = who["An"]
        for name in ("Bình", "Hoa"):
            await call(door, "mute", account=who[name], by=an)
        await call(door, "block", account=who["Chi"], by=an)
        await call(door, "block", account=an, by=who["Dũng"])
        await call(door, "filter.set", words="phim", by=an)
        await call(door, "filter.set", words="mưa", action="warn", by=an)
        for at, words in (("public", "chợ"), ("home", "sách")):
            await call(door, "filters.set", title=at, words=[{"words": words}], contexts=[at], by=an)
        watch = Watchers(door, nursery)
        await watch.open("nobody")
        await watch.open("An", an)
        await watch.open("An at home", an, "/live/events?where=home")

        async def say(name: str, text: str) -> str:
            uri: str = (await call(door, "post", text=text, by=who[name]))["uri"]
            await watch.heard("nobody", uri)
            return uri

        muted, filtered = await say("Bình", "một"), await say("Em", "hai bộ phim")
        await say("Chi", "ba")
        await say("Dũng", "bốn")
        await call(door, "react", uri=filtered, emoji="🌳", by=who["Hoa"])
        await say("Em", "năm ngày mưa")
        await say("Giang", "sáu cái chợ")
        await say("Em", "bảy quyển sách")
        await say("An", "tám tôi xem phim")
        warned = await watch.heard("An", "mưa")
        assert (warned["text"], warned["warning"]) == (None, "mưa")
        for name in ("An", "An at home"):
            await watch.heard(name, "tám")
        every = ["một", "hai bộ phim", "ba", "bốn", "năm ngày mưa", "sáu cái chợ", "bảy quyển sách", "tám tôi xem phim"]
        assert watch.texts("nobody") == every
        # whom one blocks is hidden, and not who blocks one: as in timelines
        assert watch.texts("An") == ["bốn", None, "bảy quyển sách", "tám tôi xem phim"]
        assert watch.texts("An at home") == ["bốn", None, "sáu cái chợ", "tám tôi xem phim"]
        page = (await call(door, "feed", all=True, by=an))["posts"]
        assert [row["text"] for row in page] == ["tám tôi xem phim", "bảy quyển sách", "năm ngày mưa", "bốn"]
        assert [(watch.tells_of("nobody", did), watch.tells_of("An", did)) for did in (who["Bình"], who["Hoa"])] == [
            (True, False),
            (True, False),
        ], "nor that they signed something else"

        made = await call(door, "decision.add", account=who["Bình"], posts=[muted], verdict="label", text="Quảng cáo")
        assert (await watch.heard("nobody", "Quảng cáo"))["shown"]
        judged = await watch.heard("An", muted)
        assert (judged["shown"], judged["text"], judged["warning"]) == (False, None, None)
        await call(door, "decision.undo", id=made["id"])

        await call(door, "mute", account=who["Bình"], undo=True, by=an)
        await say("Bình", "chín")
        await watch.heard("An", "chín")
        await call(door, "decision.add", account=who["Giang"], verdict="limit")
        await call(door, "follow", account=who["Giang"], by=an)
        await call(door, "post", text="mười", by=who["Giang"])
        await say("Em", "mười một")
        assert (await watch.heard("An", "mười"))["text"] == "mười", (
            "who follows an account hears it though it is limited"
        )
        assert "mười" not in watch.texts("nobody")
        nursery.cancel_scope.cancel()


async def test_only_posts_that_entries_brought_are_told_and_unlisted_ones_at_home_alone(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        who = {name: (await door.person(name))[0] for name in ("An", "Bình", "Chi")}
        await call(door, "follow", account=who["Bình"], by=who["An"])
        watch = Watchers(door, nursery)
        await watch.open("nobody")
        await watch.open("home", who["An"], "/live/events?where=home")
        await watch.open("Chi", who["Chi"], "/live/events?where=home")
        first = (await call(door, "post", text="một", by=who["Bình"]))["uri"]
        other = (await call(door, "post", text="hai", by=who["Chi"]))["uri"]
        await call(door, "repost", uri=other, by=who["Bình"])
        await call(door, "react", uri=other, emoji="🌳", by=who["Bình"])
        await call(door, "follow", account=who["Chi"], by=who["Bình"])
        await call(door, "edit", uri=first, text="một, sửa lại")
        await call(door, "post", text="ba, không đăng chung", audience="unlisted", by=who["Bình"])
        await call(door, "post", text="bốn", by=who["Chi"])
        for name in watch.told:
            await watch.heard(name, "bốn")
        for name in ("nobody", "Chi"):
            assert watch.texts(name) == ["một", "hai", "bốn"]
        assert watch.texts("home") == ["một", "hai", "ba, không đăng chung", "bốn"]
        said = [data["entries"] for event, data in watch.told["nobody"] if event == "said"]
        assert sum(said) == 4, "the repost, the reaction, the follow and the edit"
        page = (await call(door, "feed", by=who["An"]))["posts"]
        assert "ba, không đăng chung" in [row["text"] for row in page], "as a page has it that is loaded anew"
        nursery.cancel_scope.cancel()


async def test_nothing_is_missed_that_happens_once_a_stream_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        listening = []

        class Answer(live.EventStream):
            def __init__(self, told: AsyncGenerator[bytes, None]) -> None:
                listening.append(len(door.node.backend._events._listening))
                super().__init__(told)

        monkeypatch.setattr(live, "EventStream", Answer)
        await Watchers(door, nursery).open("nobody")
        assert listening == [1]
        nursery.cancel_scope.cancel()


async def test_what_everybody_hears_is_made_once_however_many_watch(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        an, _ = await door.person("An")
        await call(door, "post", text="một", by=an)
        watch = Watchers(door, nursery)
        for n in range(30):
            await watch.open(f"{n}")

        def asked() -> dict[str, float]:
            found = dict[str, float]()
            for metric in door.node.metrics.registry.collect():
                for one in metric.samples:
                    if one.name == "banyan_call_seconds_count":
                        found[one.labels["method"]] = one.value
            return found

        before = asked()
        uri = (await call(door, "post", text="hai", by=an))["uri"]
        for n in range(30):
            assert (await watch.heard(f"{n}", uri))["text"] == "hai"
        more = {method: count - before.get(method, 0) for method, count in asked().items()}
        assert {method: count for method, count in more.items() if count} == {
            "post": 1,
            "firehose": 1,
            "profile.get": 1,
            "posts.get": 1,
        }
        nursery.cancel_scope.cancel()


async def test_an_answer_that_is_hidden_from_its_conversation_leaves_the_pages_that_are_open(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        (an, _), (binh, _) = [await door.person(name) for name in ("An", "Bình")]
        watch = Watchers(door, nursery)
        await watch.open("nobody")
        root = (await call(door, "post", text="gốc", by=an))["uri"]
        answer = (await call(door, "reply", uri=root, text="lời xấu", by=binh))["uri"]
        await watch.heard("nobody", "lời xấu")

        async def judged(undo: bool) -> list[tuple[bool, str | None]]:
            before = len(watch.told["nobody"])
            await call(door, "thread.hide", uri=answer, undo=undo, by=an)
            with trio.fail_after(60):
                while len(watch.told["nobody"]) == before:
                    await trio.sleep(0.02)
            told = watch.told["nobody"][before:]
            assert {(event, data["uri"]) for event, data in told} == {("judged", answer)}
            return [(data["shown"], data["text"]) for _, data in told]

        assert await judged(False) == [(False, None)]
        assert await judged(True) == [(True, "lời xấu")]
        nursery.cancel_scope.cancel()
