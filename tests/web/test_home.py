"""A home timeline compared with a plain model of it (home_model.py), on two real nodes that gossip.

People follow, lock, mute, filter, post, edit, delete, repost and react in random order, on both nodes; one who comes
later is followed before anything of it has arrived. After every few steps pages of random sizes are read, by the API of
the node and by the door, and between two pages of one reader people go on.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from tests.node.real import converged, make_home, make_node, running
from tests.web.door import Client, Door, open_node
from tests.web.home_model import Network, Said

WORDS = ("phim", "mưa", "chợ", "sách")
STEPS, CHECK_EVERY = 110, 3
DEEDS = (
    *("post", "post", "post", "reply", "quote", "repost", "repost", "react", "react", "edit", "delete", "unrepost"),
    *("follow", "follow", "follow", "unfollow", "lock", "unlock", "accept", "accept", "unaccept", "newcomer"),
    *("mute", "mute", "block", "unmute", "filter", "unfilter", "bookmark", "bookmark", "rename", "rename", "unreact"),
)


class World:
    """Two nodes, and what was said on them. here: the accounts of the node with the door."""

    def __init__(self, door: Door, other: Node, seed: int) -> None:
        self.door, self.other, self.rng = door, other, random.Random(f"home {seed}")
        self.model = Network()
        self.here: dict[str, Client] = {}
        self.there: list[str] = []
        self.blocked: set[tuple[str, str]] = set()
        """(who, whom it blocks)"""
        self.behind = False
        """Whether something was written that the other node may not have."""

    async def call(self, who: str, method: str, **params: Any) -> Any:
        """A writing of `who`, at its node. No two have one millisecond."""
        await trio.sleep(0.002)
        node = self.door.node if who in self.here else self.other
        if "uri" not in params or method in ("reply", "quote", "repost", "react", "bookmark"):
            params["as"] = who
        answer = await node.backend.call(method, params)
        self.behind = True
        return answer

    async def settled(self) -> None:
        if self.behind:
            await converged([self.door.node, self.other])
            self.behind = False

    async def people(self) -> None:
        for n in range(3):
            did, client = await self.door.person(f"an{n}")
            self.here[did] = client
            await self.named(did, f"an{n}")
        for n in range(3):
            await self.newcomer(f"lan{n}")
        await self.settled()

    async def newcomer(self, name: str, follower: str | None = None) -> None:
        """follower: follows it, and reads, before anything of it has come."""
        given = {"name": name, **({"hosted": True} if self.there else {})}
        did: str = (await self.other.backend.call("account.create", given))["account"]
        self.there.append(did)
        self.behind = True
        if follower is not None:
            await self.call(follower, "follow", account=did)
            self.model.follows.add((follower, did))
            await self.door.node.backend.call("feed", {"as": follower})
        await self.named(did, name)
        if follower is not None:
            made = await self.call(did, "post", text="chào")
            await self.note(did, made["uri"], "chào")

    async def named(self, who: str, name: str) -> None:
        self.model.names[who] = name
        await self.call(who, "profile.set", fields={"name": name})

    # -- what people do

    async def step(self) -> None:
        rng, model = self.rng, self.model
        everybody = [*self.here, *self.there]
        who, whom = rng.sample(everybody, 2)
        uris = [*model.posts]
        uri = rng.choice(uris) if uris else None
        match rng.choice(DEEDS):
            case "post":
                text = f"{rng.choice(WORDS)} {rng.randrange(1000)}"
                made = await self.call(who, "post", text=text)
                await self.note(who, made["uri"], text)
            case "reply" if uri:
                await self.settled()
                made = await self.call(who, "reply", uri=uri, text="vâng")
                await self.note(who, made["uri"], "vâng", uri)
            case "quote" if uri:
                await self.settled()
                made = await self.call(who, "quote", uri=uri, text="xem này")
                await self.note(who, made["uri"], "xem này", quotes=uri)
            case "repost" if uri and (who, uri) not in model.reposts:
                await self.settled()
                await self.call(who, "repost", uri=uri)
                model.reposts[who, uri] = await self.reposted_ms(who, uri)
            case "unrepost" if model.reposts:
                by, of = rng.choice(sorted(model.reposts))
                if of in model.posts:
                    await self.settled()
                    await self.call(by, "repost", uri=of, undo=True)
                    del model.reposts[by, of]
            case "react" if uri:
                await self.settled()
                emoji = rng.choice("❤👍")
                await self.call(who, "react", uri=uri, emoji=emoji)
                model.reactions.add((who, uri, emoji))
            case "unreact" if model.reactions:
                by, to, emoji = rng.choice(sorted(model.reactions))
                if to in model.posts:
                    await self.settled()
                    await self.call(by, "react", uri=to, emoji=emoji, undo=True)
                    model.reactions.discard((by, to, emoji))
            case "edit" if uri:
                said = model.posts[uri]
                said.text, said.edited = f"{rng.choice(WORDS)} sửa {rng.randrange(1000)}", True
                await self.call(said.author, "edit", uri=uri, text=said.text)
            case "delete" if uri and rng.random() < 0.5:
                await self.call(model.posts[uri].author, "delete", uri=uri)
                model.forget(uri)
            case "follow" if {(who, whom), (whom, who)} & self.blocked:
                await self.settled()
                with pytest.raises(CallError, match="blocks"):
                    await self.call(who, "follow", account=whom)
            case "follow":
                await self.settled()  # the other may have ended a block
                await self.call(who, "follow", account=whom)
                model.follows.add((who, whom))
            case "unfollow" if model.follows and rng.random() < 0.5:
                who, whom = rng.choice(sorted(model.follows))
                await self.call(who, "follow", account=whom, undo=True)
                model.follows.discard((who, whom))
            case "lock" if who not in model.locked:
                await self.settled()
                await self.call(who, "lock")
                model.lock(who)
            case "unlock" if model.locked:
                who = rng.choice(sorted(model.locked))
                await self.call(who, "lock", undo=True)
                model.locked.discard(who)
            case "accept":
                asked = sorted((b, a) for a, b in model.follows if model.waits(a, b))
                if asked:
                    await self.settled()
                    owner, follower = rng.choice(asked)
                    await self.call(owner, "follow.accept", account=follower)
                    model.accepted.add((owner, follower))
            case "unaccept":
                let = sorted(pair for pair in model.accepted if pair[0] in model.locked)
                if let:
                    owner, follower = rng.choice(let)
                    await self.call(owner, "follow.accept", account=follower, undo=True)
                    model.accepted.discard((owner, follower))
            case "mute" | "block" as what if not any(one == (who, whom) for one in model.unseen):
                await self.call(who, what, account=whom)
                model.unseen.add((who, whom))
                if what == "block":
                    model.follows.discard((who, whom))
                    self.blocked.add((who, whom))
            case "unmute" if model.unseen:
                who, whom = rng.choice(sorted(model.unseen))
                for what in ("mute", "block"):
                    with_undo = {"account": whom, "undo": True}
                    try:
                        await self.call(who, what, **with_undo)
                    except CallError as why:  # it was the other one
                        if "nothing to undo" not in why.message:
                            raise
                model.unseen.discard((who, whom))
                self.blocked.discard((who, whom))
            case "filter" if who in self.here and who not in model.words:
                model.words[who] = rng.choice(WORDS)
                await self.call(who, "filter.set", words=model.words[who])
            case "unfilter" if model.words:
                who = rng.choice(sorted(model.words))
                (row,) = (await self.door.node.backend.call("filters", {"as": who}))["filters"]
                await self.call(who, "filter.delete", id=row["id"])
                del model.words[who]
            case "bookmark":
                await self.settled()
                who = rng.choice([*self.here])
                uri = rng.choice(sorted(model.seen(who)) or [None])
                if uri is None:
                    return
                gone = (who, uri) in model.bookmarks
                await self.call(who, "bookmark", uri=uri, undo=gone)
                (model.bookmarks.discard if gone else model.bookmarks.add)((who, uri))
            case "rename":
                who = rng.choice(sorted(by for by, _ in model.reposts) or [who])
                await self.named(who, f"tên {rng.randrange(1000)}")
            case "newcomer" if len(self.there) < 5 and rng.random() < 0.5:
                await self.newcomer(f"mới{len(self.there)}", rng.choice([*self.here]))

    async def note(self, who: str, uri: str, text: str, reply_to: str | None = None, quotes: str | None = None) -> None:
        node = self.door.node if who in self.here else self.other
        (row,) = (await node.backend.call("posts.get", {"uris": [uri], "as": ""}))["posts"]
        self.model.posts[uri] = Said(who, text, row["time_ms"], reply_to, quotes)

    async def reposted_ms(self, who: str, uri: str) -> int:
        node = self.door.node if who in self.here else self.other
        (row,) = (await node.backend.call("posts.get", {"uris": [uri], "as": who}))["posts"]
        when: int = row["mine"]["reposted_ms"]
        return when

    # -- what is read

    async def api_pages(self, reader: str, pages: int) -> None:
        """Pages by the API, one below the other; between them people go on."""
        before, below = None, None
        for _ in range(pages):
            await self.settled()
            limit = self.rng.randint(1, 12)
            page = await self.door.node.backend.call("feed", {"as": reader, "limit": limit, "before": before})
            wanted, last = self.model.page(reader, below, limit)
            found = [(row["uri"], tuple(one["account"] for one in row["reposted"])) for row in page["posts"]]
            assert found == [tuple(row) for row in wanted]
            for row in page["posts"]:
                self.is_right(reader, row)
            assert (page["before"] is None) == (last is None)
            if last is None:
                return
            before, below = page["before"], int(page["before"][:12], 16)
            assert below == last
            if self.rng.random() < 0.5:
                await self.step()

    def is_right(self, reader: str, row: dict[str, Any]) -> None:
        model, uri = self.model, row["uri"]
        said = model.posts[uri]
        assert (row["text"], row["edited"], row["time_ms"]) == (said.text, said.edited, said.time_ms)
        assert (row["account"], row["name"]) == (said.author, model.names[said.author])
        assert (row["replies"], row["reactions"], row["reposts"]) == (
            model.replies(uri),
            model.reacted(uri),
            model.reposted(uri),
        )
        assert [one["name"] for one in row["reposted"]] == [model.names[one["account"]] for one in row["reposted"]]
        mine = row["mine"]
        did = (set(mine["reactions"]), mine["reposted_ms"] is not None, mine["bookmarked"])
        assert did == model.mine(reader, uri)
        assert (row["quote"] and row["quote"]["text"]) == model.quoted(reader, uri)
        parent = model.posts.get(said.reply_to or "")
        assert (row["reply_to"], row["reply_to_ms"]) == (said.reply_to, parent and parent.time_ms)

    async def upwards(self, reader: str) -> None:
        """From the oldest line up: the same posts, none twice."""
        await self.settled()
        seen, after = list[str](), "0" * 112
        while True:
            asked = {"as": reader, "limit": self.rng.randint(2, 9), "after": after}
            page = await self.door.node.backend.call("feed", asked)
            seen = [row["uri"] for row in page["posts"]] + seen
            if page["after"] is None:
                break
            after = page["after"]
        assert set(seen) == self.model.seen(reader)

    async def door_pages(self, reader: str) -> None:
        """The whole timeline by the door."""
        await self.settled()
        client, seen, ids, place = self.here[reader], set[str](), list[str](), dict[str, Any]()
        while page := await client.get("/api/v1/timelines/home", limit=self.rng.randint(1, 10), **place):
            for one in page:
                self.is_shown(reader, one)
                seen.add((one["reblog"] or one)["uri"])
            ids += [one["id"] for one in page]
            place = {"max_id": page[-1]["id"]}
        assert ids == sorted(set(ids), reverse=True)
        assert seen == self.model.seen(reader)

    def is_shown(self, reader: str, one: dict[str, Any]) -> None:
        model, inner = self.model, one["reblog"] or one
        uri = inner["uri"]
        said = model.posts[uri]
        if one["reblog"]:
            assert (one["account"]["uri"], uri) in model.reposts
        assert inner["content"] == f"<p>{said.text}</p>"
        assert (inner["edited_at"] is not None) == said.edited
        assert inner["account"]["uri"] == said.author
        counts = (inner["replies_count"], inner["favourites_count"], inner["reblogs_count"])
        assert counts == (model.replies(uri), sum(model.reacted(uri).values()), model.reposted(uri))
        emojis, reposted, bookmarked = model.mine(reader, uri)
        assert (inner["favourited"], inner["reblogged"], inner["bookmarked"]) == (bool(emojis), reposted, bookmarked)
        assert (inner["in_reply_to_id"] is not None) == (said.reply_to in model.posts)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_home_timeline_is_what_the_model_says(tmp_path: Path, seed: int) -> None:
    async with (
        open_node(tmp_path / "a") as door,
        running(make_node(make_home(tmp_path / "b"), [door.node.edge.addresses[0]])) as other,
    ):
        world = World(door, other, seed)
        await world.people()
        for n in range(STEPS):
            await world.step()
            if n % CHECK_EVERY == 0:
                for reader in world.here:
                    await world.api_pages(reader, world.rng.choice((1, 1, 2, 9)))
                await world.door_pages(world.rng.choice([*world.here]))
        for reader in world.here:
            await world.upwards(reader)
            await world.door_pages(reader)
