"""What a screen costs on a node with a million posts: methods of the API, as a platform asks them for one of its users.

The store has 1,000,000 posts by 10,000 accounts hosted on one node, which is started anew (`cold`: each first answer is
of a process that has read nothing yet). One account follows 1,000 others, has 10,000 notifications, and asks:

home           its home timeline of 50, page after page: posts and reposts, with names, counts, quotes, its own filters
explained      the same, with the reason of each post
catch_up       what those whom it follows responded to most, of the newest 1,000
thread_500     a conversation of 500 answers, in pages of 200
thread_10000   one of 10,000 answers, a page of 200 from anywhere in it
notifications  a page of 40, alike things in one row
search_word    the newest 20 of a word that is in one post of a hundred; search_two: of two words; search_phrase: of a
               phrase; search_common: of the commonest word
profile        a profile with its counts
counts         one count: followers, follows or posts of an account; answers, reposts or reactions of a post
trends         the tags of a week

Then one client posts, one post after the other, alone and while eight readers ask for the home timeline without pause,
in turn (`--rounds`).

python -m bench social --json
"""

from __future__ import annotations

import json
import random
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import trio

from banyan_crdt.ids import AccountId, account_to_text
from banyan_node.context import Context
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.hosting import hosted
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_reading.queries import queries
from banyan_replica.intake.author import EntryDraft
from banyan_schema.social import (
    OpDraft,
    Post,
    ReplyTo,
    Target,
    post_from_text,
    post_key,
    post_to_text,
    react,
    relate,
    repost,
    set_profile,
    write_post,
)
from bench.harness import anon_mb, arguments, finish, latencies_ms, percentile, say, workplace
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

YEAR_MS = 365 * 24 * 3_600_000
AN_ENTRY = 100
"""Operations of one entry."""
SPREAD_S, APART_S = 120, 0.005
"""Before now, when the store is written; and between those who react and repost: not all do in one millisecond."""
WORDS = 20_000
READERS = 8
SETTLED_S = 3.0
"""Until counts are asked for: a thread that still works for the start makes each wait for the interpreter, 0.2 ms."""
POSTS_ALONE = 200
ASKED = 200
"""Of each kind."""
MINE = 0
"""The account that reads."""


STARTS = (*"bcdđghklmnstvx", "ng", "nh", "ph", "th", "tr")
VOWELS, ENDS = "aăâeêioôơuưảẽọủạ", ("", *"nmtcpi", "ng", "nh", "ch")


class Plan(NamedTuple):
    accounts: int
    posts: int
    follows: int
    wide: int
    """Answers of the larger conversation."""
    narrow: int
    notices: int


FULL = Plan(10_000, 1_000_000, 1_000, 10_000, 500, 10_000)
QUICK = Plan(100, 4_000, 50, 400, 50, 200)


def word(n: int) -> str:
    """A word of two syllables, with marks."""

    def syllable(k: int) -> str:
        k, start = divmod(k, len(STARTS))
        k, vowel = divmod(k, len(VOWELS))
        return f"{STARTS[start]}{VOWELS[vowel]}{ENDS[k % len(ENDS)]}"

    return syllable(n * 7919 + 3) + syllable(n * 104_729 + 11)


class Writer:
    """Writes the store: each account in a few entries with many operations."""

    def __init__(self, ctx: Context, plan: Plan) -> None:
        self.ctx, self.plan, self.rng = ctx, plan, random.Random(5)
        self.accounts: list[AccountId] = []
        self.words = [word(n) for n in range(WORDS)]
        self.weights = list(accumulate(1 / (n + 10) for n in range(WORDS)))
        self.now = time.time() - SPREAD_S

    def text(self) -> str:
        return " ".join(self.rng.choices(self.words, cum_weights=self.weights, k=self.rng.randrange(5, 30)))

    def say(self, account: AccountId, drafts: Iterator[OpDraft] | list[OpDraft], after_s: float = 0) -> None:
        several = list(drafts)
        groups = [several[at : at + AN_ENTRY] for at in range(0, len(several), AN_ENTRY)]
        entries = [EntryDraft(tuple(d.op for d in group), tuple(d.content for d in group)) for group in groups]
        log = hosted.writable_log(self.ctx, account)
        self.ctx.replica.writes.publish(log, self.ctx.device, entries, self.now + after_s, push=False)

    def post(self, account: AccountId, n: int, **more: Any) -> tuple[Target, OpDraft]:
        at = int(self.now * 1000) - self.rng.randrange(YEAR_MS)
        key = post_key(hosted.salt_of(self.ctx, account), n.to_bytes(16, "big"), at)
        tags = (self.words[int(self.rng.random() ** 4 * 500)],) if self.rng.random() < 0.1 else ()
        return Target(account, key), write_post(key, Post(self.text(), created_ms=at, tags=tags, **more))

    def commit(self) -> None:
        while self.ctx.replica.next_effect() is not None:
            if self.ctx.store.pending:
                self.ctx.store.commit()
        self.ctx.store.commit()

    def run(self) -> dict[str, str]:
        """Returns the conversations, by name."""
        plan, rng = self.plan, self.rng
        for n in range(plan.accounts):
            made = hosted.create(self.ctx, f"person {n}", int(self.now * 1000), mine=n == MINE)
            self.accounts.append(made.account)
            salt = hosted.salt_of(self.ctx, made.account)
            self.say(made.account, [set_profile(salt, "name", f"Người {n}")])
            if n % 500 == 499:
                self.commit()
        each, sample = plan.posts // plan.accounts, list[Target]()
        for n, account in enumerate(self.accounts):
            made_posts = [self.post(account, k) for k in range(each)]
            sample += [target for target, _ in rng.sample(made_posts, min(3, each))]
            self.say(account, [draft for _, draft in made_posts])
            if n % 100 == 99:
                self.commit()
                say(f"{(n + 1) * each:,} posts")
        for n, account in enumerate(self.accounts[1:]):
            salt = hosted.salt_of(self.ctx, account)
            drafts = [relate(salt, "follow", other) for other in rng.sample(self.accounts, min(20, plan.accounts // 3))]
            drafts += [react(salt, target, rng.choice("❤👍😂")) for target in rng.sample(sample, 20)]
            drafts += [repost(salt, target) for target in rng.sample(sample, 2)]
            self.say(account, drafts, n * APART_S)  # two of one account share a millisecond, no others
        self.commit()
        me = self.accounts[MINE]
        salt = hosted.salt_of(self.ctx, me)
        others = rng.sample(self.accounts[1:], min(plan.follows, plan.accounts - 1))
        self.say(me, [relate(salt, "follow", other) for other in others])
        roots = {}
        for name, size in (("wide", plan.wide), ("narrow", plan.narrow)):
            root, draft = self.post(me, 1 << 40 | size)
            self.say(me, [draft])
            self._answers(root, size)
            roots[name] = post_to_text(root)
        self.commit()
        root, draft = self.post(me, 1 << 41)
        self.say(me, [draft])
        for n in range(plan.notices):
            account = self.accounts[1 + n % (plan.accounts - 1)]
            salt = hosted.salt_of(self.ctx, account)
            self.say(account, [react(salt, Target(me, root.key), rng.choice("❤👍😂"))])
            if n % 1_000 == 999:
                self.commit()
        self.commit()
        return roots

    def _answers(self, root: Target, size: int) -> None:
        held = [root]
        for n in range(size):
            account = self.rng.choice(self.accounts)
            parent = root if self.rng.random() < 0.6 else self.rng.choice(held[-200:])
            target, draft = self.post(account, 1 << 42 | size << 20 | n, reply=ReplyTo(root, parent))
            held.append(target)
            self.say(account, [draft])
            if n % 1_000 == 999:
                self.commit()


def build(home: Home, plan: Plan) -> dict[str, Any]:
    """A store, and its index of posts. Returns what the asking side must know."""
    with open_local(home, settings.load(home, {"node.realm": "test"}, env={})) as backend:
        writer = Writer(backend.context, plan)
        began = time.perf_counter()
        roots = writer.run()
        wrote = time.perf_counter() - began
        began = time.perf_counter()
        assert backend.context.search is not None
        backend.call("search", question=writer.words[100])
        indexed = time.perf_counter() - began
        me = account_to_text(writer.accounts[MINE])
    return {"roots": roots, "me": me, "write_s": round(wrote, 1), "index_s": round(indexed, 1)}


def built(folder: Path, plan: Plan) -> tuple[Path, dict[str, Any]]:
    """A store of this plan, with what the asking side must know: that of the run before, if it is there; views and an
    index that the code changed since are built."""
    home, file = folder / f"social-{plan.posts}", folder / f"social-{plan.posts}.json"
    if file.exists():
        there = Home(home)
        with open_local(there, settings.load(there, {"node.realm": "test"}, env={}), say=say) as backend:
            backend.call("search", question=word(100))
    else:
        made = build(Home(new_home(home)), plan)
        file.write_text(json.dumps(made))
    return home, json.loads(file.read_text())


async def reader(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """The node that is asked."""
    node, rng = nodes[0], random.Random(9)
    params["words"] = [word(n) for n in range(WORDS)]
    line.say("ready")
    while True:
        match await line.hear():
            case {"kind": kind, "count": count}:
                times = await _times(_asks(node, kind, params, rng), count)
                line.say({"times": times, "anon_mb": anon_mb()})
            case {"counts": count}:
                await trio.sleep(SETTLED_S)
                line.say({"times": _counts(node, params, count), "anon_mb": anon_mb()})
            case {"post": count}:
                line.say(await _posting(node, count))
            case {"post_while_read": count}:
                async with trio.open_nursery() as nursery:
                    for _ in range(READERS):
                        nursery.start_soon(_loop, _asks(node, "home", params, rng))
                    await trio.sleep(1)
                    times = await _posting(node, count)
                    nursery.cancel_scope.cancel()
                line.say(times)


async def _loop(asks: Iterator[Callable[[], Awaitable[Any]]]) -> None:
    for ask in asks:
        await ask()


async def _posting(node: Node, count: int) -> list[float]:
    """Each post by another of a hundred accounts, so that a store that is kept takes many runs."""
    times = []
    for n in range(count):
        who = f"person {random.randrange(100)}"
        began = time.perf_counter()
        await node.backend.call("post", {"text": f"post {n}", "as": who})
        times.append(time.perf_counter() - began)
    return times


def _counts(node: Node, params: dict[str, Any], count: int) -> list[float]:
    """Each of another account, or of one of two posts."""
    assert node.context is not None
    c, times, rng = node.context, [], random.Random(7)
    with queries(c.engine, c.realm, c.store.late_ids) as q:
        accounts = list(islice(q.reader.accounts(), 10_000))
        posts = [post_from_text(root) for root in params["roots"].values()]
        for n in range(count):
            account, post = rng.choice(accounts), rng.choice(posts)
            asks: tuple[Callable[[], object], ...] = (
                partial(q.account_totals, [account]),
                partial(q.totals, [post]),
                partial(q.reactions, [post]),
            )
            began = time.perf_counter()
            asks[n % len(asks)]()
            times.append(time.perf_counter() - began)
    return times


async def _times(asks: Iterator[Callable[[], Awaitable[Any]]], count: int) -> list[float]:
    times = []
    for _, ask in zip(range(count), asks, strict=False):
        began = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - began)
    return times


def _asks(node: Node, kind: str, params: dict[str, Any], rng: random.Random) -> Iterator[Callable[[], Awaitable[Any]]]:
    """Yields the next request, without end."""
    call, words, roots = node.backend.call, params["words"], params["roots"]
    pages: dict[str, Any] = {}

    async def paged(method: str, given: dict[str, Any], field: str, pages_most: int) -> None:
        """The next page; the first one again after some."""
        found = await call(method, {**given, **pages})
        pages.clear()
        if found[field] and rng.random() > 1 / pages_most:
            pages[field] = found[field]

    while True:
        common, rare, other = words[0], words[rng.randrange(300, 2_000)], words[rng.randrange(20, 300)]
        match kind:
            case "home":
                yield partial(paged, "feed", {"limit": 50}, "before", 10)
            case "explained":
                yield partial(call, "feed", {"limit": 50, "explain": True})
            case "catch_up":
                yield partial(call, "feed", {"limit": 50, "rank": "catch_up"})
            case "thread_500":
                yield partial(paged, "thread", {"uri": roots["narrow"]}, "after", 3)
            case "thread_10000":
                yield partial(paged, "thread", {"uri": roots["wide"]}, "after", 50)
            case "notifications":
                yield partial(paged, "notifications", {}, "before", 20)
            case "search_word":
                yield partial(call, "search", {"question": rare})
            case "search_two":
                yield partial(call, "search", {"question": f"{other} {rare}"})
            case "search_phrase":
                yield partial(call, "search", {"question": f'"{common} {other}"'})
            case "search_common":
                yield partial(call, "search", {"question": common})
            case "profile":
                yield partial(call, "profile.get", {})
            case _:
                yield partial(call, "trends", {"hours": 168})


KINDS = (
    *("home", "explained", "catch_up", "thread_500", "thread_10000", "notifications"),
    *("search_word", "search_two", "search_phrase", "search_common", "profile", "counts", "trends"),
)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--kind", action="append", choices=KINDS, help="only this; may be given again")

    args = arguments("social", __doc__, argv, rounds=1, more=more)
    plan, count = (QUICK, 20) if args.quick else (FULL, ASKED)
    cases: dict[str, dict[str, Any]] = {}
    with workplace(args.folder) as folder:
        home, about = built(folder, plan)
        say(f"written in {about['write_s']} s, indexed in {about['index_s']} s")
        for kind in args.kind or KINDS:  # a process for each, so that the first answers are cold
            with Child("bench.social:reader", [home], **about) as node:
                node.hear()
                answer = node.ask({"counts": count * 50} if kind == "counts" else {"kind": kind, "count": count})
            times = answer["times"]
            cases[kind] = {"asked": len(times), "first_ms": round(times[0] * 1e3, 3), **latencies_ms(times)}
            say(f"{kind}: {cases[kind]}")
        with Child("bench.social:reader", [home], **about) as node:
            node.hear()
            posts = 20 if args.quick else POSTS_ALONE
            alone, beside = list[float](), list[float]()
            for _ in range(args.rounds):
                alone += node.ask({"post": posts})
                beside += node.ask({"post_while_read": posts})
        cases["post alone"], cases[f"post beside {READERS} readers"] = latencies_ms(alone), latencies_ms(beside)
        sizes = {"store_mb": _mb(home / "store"), "index_mb": _mb(home / "search.db")}
    finish(
        args,
        "social",
        **latencies_ms([case["p50_ms"] / 1e3 for case in cases.values()]),
        anon_mb=round(answer["anon_mb"], 1),
        sizes={**plan._asdict(), **sizes},
        seconds={"write": about["write_s"], "index": about["index_s"]},
        post_ratio=round(percentile(beside, 0.5) / percentile(alone, 0.5), 2),
        cases=cases,
    )


def _mb(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_blocks * 512 for file in files) / 1e6, 1)


if __name__ == "__main__":
    main()
