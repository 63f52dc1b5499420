"""The story: what two people do who live at two nodes, step by step, with any client.

A step names the methods of the client that it needs; a client that has no word for one leaves the step out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import trio

from tests.interop.said import Client, Person, Poll, Post, Refusal, Told
from tests.node.real import converged
from tests.web.door import Door


class Scene:
    """an lives at the node behind `here`, binh at the one behind `there`. They find each other, and write posts, in the
    first steps; the later ones go on with those."""

    def __init__(self, here: Door, there: Door, an: Client, binh: Client, picture: Path) -> None:
        self.here, self.there, self.an, self.binh, self.picture = here, there, an, binh, picture
        self.an_is: Person
        self.binh_is: Person
        self.binh_here: Person
        self.an_there: Person
        self.phở: Post
        self.answer: Post

    async def settle(self) -> None:
        """Until both nodes hold the same."""
        await converged([self.here.node, self.there.node])

    async def texts(self, client: Client, what: str, of: str = "") -> list[str]:
        """Of a timeline, once both nodes hold the same."""
        await self.settle()
        return [post.text for post in await client.timeline(what, of)]

    async def notices(self, client: Client) -> list[tuple[str, str]]:
        await self.settle()
        return await client.notices()


Do = Callable[[Scene], Awaitable[None]]


class Step(NamedTuple):
    says: str
    needs: frozenset[str]
    do: Do


STORY: list[Step] = []


def step(says: str, *needs: str) -> Callable[[Do], Do]:
    def add(do: Do) -> Do:
        STORY.append(Step(says, frozenset(needs), do))
        return do

    return add


async def soon(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """What comes a moment later, such as by the search index."""
    with trio.move_on_after(10):
        while await look() != wanted:
            await trio.sleep(0.1)
    assert await look() == wanted


@step("somebody logs in through the login page and is who they are")
async def who(at: Scene) -> None:
    at.an_is, at.binh_is = await at.an.me(), await at.binh.me()
    assert (at.an_is.acct, at.an_is.name) == ("an", "an")
    assert (at.binh_is.acct, at.binh_is.name) == ("binh", "binh")


@step("people of another node are found by their name and followed")
async def follow(at: Scene) -> None:
    await at.settle()
    at.binh_here, at.an_there = await at.an.find("binh"), await at.binh.find("an")
    assert (at.binh_here.name, at.an_there.name) == ("binh", "an")
    await at.an.tie("follow", at.binh_here)
    await at.binh.tie("follow", at.an_there)
    assert await at.notices(at.an) == [("follow", at.binh_here.acct)]
    assert await at.an.people("following") == [at.binh_here.acct]
    assert await at.binh.people("followers") == [at.an_there.acct]


@step("a post with a picture is seen at the other node")
async def picture(at: Scene) -> None:
    at.phở = await at.an.post("Phở #bữasáng", picture=(at.picture, "Một bát phở"))
    await at.settle()
    (seen,) = await at.binh.timeline("home")
    assert (seen.id, seen.text, seen.by) == (at.phở.id, "Phở #bữasáng", at.an_there.acct)
    assert seen.described in (None, ("Một bát phở",))
    async with httpx.AsyncClient(timeout=60) as http:
        got = await http.get(seen.media[0])
    assert got.headers["content-type"] == "image/png"


@step("a poll is voted in at the other node")
async def poll(at: Scene) -> None:
    asked = await at.an.post("Ăn gì?", poll=["phở", "bún"])
    await at.settle()
    there = (await at.binh.show(asked.id)).poll
    assert there is not None
    assert (there.options, there.votes) == (("phở", "bún"), (0, 0))
    assert await at.binh.vote(there.id, 1) == Poll(there.id, ("phở", "bún"), (0, 1), (1,))
    await at.settle()
    here = (await at.an.show(asked.id)).poll
    assert here is not None
    assert here.votes == (0, 1)
    with pytest.raises(Refusal, match="already voted"):
        await at.binh.vote(there.id, 0)
    await at.an.delete(asked.id)


@step("an answer of the other node is in the conversation")
async def answer(at: Scene) -> None:
    at.answer = await at.binh.post("Ngon!", answers=at.phở.id, warning="đói")
    await at.settle()
    assert await at.an.thread(at.phở.id) == [at.phở.id, at.answer.id]
    seen = await at.an.show(at.answer.id)
    assert (seen.text, seen.by, seen.answers) == ("Ngon!", at.binh_here.acct, at.phở.id)
    assert seen.warning in (None, "đói")
    assert (await at.an.notices())[0] == ("mention", at.binh_here.acct)


@step("an edit is seen at the other node, with what was said before", "edit", "history")
async def edit(at: Scene) -> None:
    assert (await at.an.edit(at.phở.id, "Phở bò #bữasáng")).text == "Phở bò #bữasáng"
    await at.settle()
    assert (await at.binh.show(at.phở.id)).text == "Phở bò #bữasáng"
    assert await at.binh.history(at.phở.id) == ["Phở #bữasáng", "Phở bò #bữasáng"]


@step("a favourite and a boost come home, and can be taken back")
async def marks(at: Scene) -> None:
    await at.binh.mark("favourite", at.phở.id)
    await at.binh.mark("boost", at.phở.id)
    assert {*(await at.notices(at.an))[:2]} == {("favourite", at.binh_here.acct), ("reblog", at.binh_here.acct)}
    assert await at.an.boosted_by(at.phở.id) == [at.binh_here.acct]
    assert [post.id for post in await at.binh.timeline("favourites")] == [at.phở.id]
    boost = (await at.an.timeline("account", at.binh_here.acct))[0]
    assert (boost.boosted_by, boost.by, boost.media != ()) == (at.binh_here.acct, "an", True)
    await at.binh.mark("unboost", at.phở.id)
    await at.binh.mark("unfavourite", at.phở.id)
    await at.settle()
    assert await at.an.boosted_by(at.phở.id) == []


@step("who favoured a post is told", "favourited_by")
async def favourited(at: Scene) -> None:
    await at.binh.mark("favourite", at.phở.id)
    await at.settle()
    assert await at.an.favourited_by(at.phở.id) == [at.binh_here.acct]
    await at.binh.mark("unfavourite", at.phở.id)
    await at.settle()
    assert await at.an.favourited_by(at.phở.id) == []


@step("who quoted a post is told", "quote", "quoted_by")
async def quoted(at: Scene) -> None:
    said = await at.binh.quote(at.phở.id, "Xem này")
    await at.settle()
    assert await at.an.quoted_by(at.phở.id) == await at.binh.quoted_by(at.phở.id) == [said.id]
    await at.binh.delete(said.id)
    await at.settle()
    assert await at.an.quoted_by(at.phở.id) == []


@step("bookmarks and pins are kept")
async def kept(at: Scene) -> None:
    await at.an.mark("bookmark", at.answer.id)
    assert [post.id for post in await at.an.timeline("bookmarks")] == [at.answer.id]
    await at.an.mark("unbookmark", at.answer.id)
    assert await at.an.timeline("bookmarks") == []
    await at.an.mark("pin", at.phở.id)
    with pytest.raises(Refusal, match="cannot be pinned"):
        await at.an.mark("pin", at.answer.id)
    await at.an.mark("unpin", at.phở.id)


@step("a list has a timeline of its own")
async def lists(at: Scene) -> None:
    await at.an.make_list("Bạn bè", at.binh_here)
    assert await at.an.lists() == ["Bạn bè"]
    assert [post.id for post in await at.an.timeline("list", "Bạn bè")] == [at.answer.id]
    await at.an.drop_list("Bạn bè")
    assert await at.an.lists() == []


@step("what is filtered is hidden, and comes back with the filter's end", "filter")
async def filtered(at: Scene) -> None:
    said = await at.binh.post("Kết quả bóng đá")
    made = await at.an.filter("bóng đá")
    assert await at.an.filters() == ["bóng đá"]
    assert "Kết quả bóng đá" not in await at.texts(at.an, "home")
    await at.an.unfilter(made)
    assert "Kết quả bóng đá" in await at.texts(at.an, "home")
    await at.binh.delete(said.id)


@step("people, tags and posts are found, the latter by their address too")
async def search(at: Scene) -> None:
    await soon(lambda: at.binh.search("phở"), ([], ["phở"], [at.phở.id]))
    people, tags, posts = await at.binh.search("bữasáng")
    assert (people, tags, posts) == ([], ["bữasáng"], [at.phở.id])
    assert (await at.an.search("binh"))[0] == [at.binh_here.acct]
    assert await at.an.search(at.phở.url) == ([], [], [at.phở.id])
    assert await at.texts(at.an, "tag", "BỮASÁNG") == [(await at.an.show(at.phở.id)).text]


@step("an app that listens is told what happens at the other node", "listen")
async def streams(at: Scene) -> None:
    for over in ("sse", "websocket"):
        if f"listen {over}" in at.an.LACKS:
            continue
        async with at.an.listen(over, "user") as home, at.an.listen(over, "#tết") as tagged:
            said = await at.binh.post(f"Chúc mừng năm mới #tết qua {over}")
            assert await home.next() == await tagged.next() == Told("update", said.id)
            await at.binh.edit(said.id, "Chúc mừng #tết")
            assert await home.next() == await tagged.next() == Told("status.update", said.id)
            await at.binh.mark("favourite", at.phở.id)
            assert await home.next() == Told("notification", "favourite")
            await at.binh.mark("unfavourite", at.phở.id)
            await at.binh.delete(said.id)
            assert await home.next() == await tagged.next() == Told("delete", said.id)


@step("a post can be written for later")
async def later(at: Scene) -> None:
    await at.an.schedule("Hẹn mai", datetime.now(UTC) + timedelta(hours=1))
    assert "Hẹn mai" not in await at.texts(at.an, "home")


@step("what is written for later can be looked at and taken back", "scheduled", "unschedule")
async def not_later(at: Scene) -> None:
    assert await at.an.scheduled() == ["Hẹn mai"]
    await at.an.unschedule("Hẹn mai")
    assert await at.an.scheduled() == []


@step("whoever is muted is not seen, until that ends")
async def mute(at: Scene) -> None:
    await at.binh.post("Nghe tôi này")
    await at.an.tie("mute", at.binh_here)
    assert await at.an.people("muted") == [at.binh_here.acct]
    assert "Nghe tôi này" not in await at.texts(at.an, "home")
    await at.an.tie("unmute", at.binh_here)
    assert await at.an.people("muted") == []
    assert "Nghe tôi này" in await at.texts(at.an, "home")


@step("every page of a list follows the one before, as the client pages")
async def pages(at: Scene) -> None:
    said = [(await at.an.post(f"Số {n} #đếm")).id for n in range(5)][::-1]
    await at.settle()
    for id_ in said:
        await at.binh.mark("favourite", id_)
        await at.binh.mark("bookmark", id_)
    await at.settle()
    assert (await at.binh.every("home"))[:5] == said
    assert await at.an.every("account", "an") == [*said, at.phở.id]
    assert (await at.binh.every("public"))[:5] == said
    assert {*await at.binh.every("favourites")} == {*said}
    if "every bookmarks" not in at.binh.LACKS:
        assert {*await at.binh.every("bookmarks")} == {*said}
    if "every bookmarks" not in at.binh.LACKS:
        assert {*await at.binh.every("bookmarks")} == {*said}

    async def tagged() -> list[str]:
        return await at.binh.every("tag", "đếm")

    await soon(tagged, said)


@step("notifications are paged too", "every notices")
async def notified(at: Scene) -> None:
    every = await at.an.every("notices")
    assert len(every) == len({*every}) == len(await at.an.notices())
    assert len(every) >= 7, "a follower, an answer, five favourites"


@step("whoever is blocked is not seen, and not followed any more")
async def block(at: Scene) -> None:
    await at.an.tie("block", at.binh_here)
    assert await at.an.people("blocked") == [at.binh_here.acct]
    assert await at.an.people("following") == []
    assert not {"Nghe tôi này", "Ngon!"} & {*await at.texts(at.an, "home")}
    await at.an.tie("unblock", at.binh_here)
    assert await at.an.people("blocked") == []


@step("what is deleted is gone at both nodes")
async def delete(at: Scene) -> None:
    await at.an.delete(at.phở.id)
    await at.settle()
    for client in (at.an, at.binh):
        with pytest.raises(Refusal, match="Record not found"):
            await client.show(at.phở.id)
    assert (await at.binh.show(at.answer.id)).answers is None


@step("a client whose token is revoked can do nothing more", "revoke")
async def revoke(at: Scene) -> None:
    await at.an.revoke()
    with pytest.raises(Refusal, match="access token is invalid"):
        await at.an.me()
    assert (await at.binh.me()).acct == "binh"
