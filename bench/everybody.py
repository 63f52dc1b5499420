"""What anybody can ask of a node with few accounts and with many, in milliseconds of CPU; and what a post costs that
arrives there.

public     the 20 newest posts that answer nothing, page by page: the public timeline of apps
answers    the same with answers: `feed --all`, the first page of the site
local      of accounts hosted here, which are all
tag        20 posts with a tag, from the index of words
word       20 posts with a word that is in all of them
home       the home timeline of an account that follows 100
list       a timeline of 50 on a list
profile    an account with its counts; posts: its 20 newest
counts     the size of the graph

Each account wrote two posts. Each question is asked in two nodes' stores in turn, in this process, without HTTP.
Somebody posts between any two pages, so that nothing that is kept is of use but what a busy node keeps too.

`live` is what a post costs that arrives alone: frame, signature, verdict, views and commit, in microseconds of CPU, on
a store with the posts of all by time (the view `recent`) and on one without these rows, in turn.

python -m bench everybody --json
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from banyan_crdt.ids import AccountId, account_to_text
from banyan_node.api import LocalBackend
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.hosting import hosted
from banyan_node.local import open_local
from banyan_replica.sync.item_builder import log_items
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import DataItems
from banyan_storage.engine import Item, Table
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_writes import LmdbWriter
from banyan_storage.views.social.timeline import RECENT
from bench.growth import PeerStore
from bench.harness import BenchError, arguments, at_least, finish, median, workplace
from bench.rig.people import copied, filling, kept, known_account, open_account, post, write_in_turn
from bench.rig.processes import new_home

FEW, MANY, MANY_QUICKLY = 1_000, 100_000, 10_000
EACH, ASKS = 2, 40
"""Posts of an account; questions of a round."""
FOLLOWED, LISTED = 100, 50


def filled(accounts: int, place: Path) -> None:
    home = new_home(place)
    with filling(home) as author:
        people = [open_account(author, n)[0] for n in range(accounts)]

        def work() -> Iterator[Any]:
            for n in range(2, 2 + EACH):
                yield from ((one, [post(one, n)]) for one in people)

        write_in_turn(author, work(), each_signed=False)
    (home / "people").write_bytes(b"".join(one.id for one in people))


def host_all(node: LocalBackend, home: Path) -> None:
    """Notes the accounts as hosted here; the keys are not needed to read."""
    raw, ctx = (home / "people").read_bytes(), node.context
    for n in range(len(raw) // 32):
        hosted.note(ctx, hosted.LocalAccount(AccountId(raw[32 * n : 32 * n + 32]), n + 1, ""), False)
    ctx.store.commit()


def asked(node: LocalBackend, **params: Any) -> Iterator[float]:
    """Seconds of CPU of each page: pages follow one another, and somebody posts between them."""
    place = dict[str, Any]()
    for n in count():
        node.call("post", text=f"between {n} #tag")
        began = time.process_time()
        found = node.call("feed", limit=20, **params, **place)
        yield time.process_time() - began
        place = {"before": found["before"]} if found["before"] and n % 10 else {}


def measured(node: LocalBackend, method: str, **params: Any) -> Iterator[float]:
    """Seconds of CPU of each call."""
    while True:
        began = time.process_time()
        node.call(method, **params)
        yield time.process_time() - began


class _Writer(LmdbWriter):
    """Writes no row of the view `recent`."""

    def put_many(self, table: Table, items: Iterable[Item], append: bool = False) -> None:
        if table != RECENT:
            super().put_many(table, items, append)


class _Without(LmdbEngine):
    """A store without these rows."""

    def __init__(self, path: Path, tables: Iterable[Table]) -> None:
        super().__init__(path, tables)
        self._writer = _Writer(self)


def arriving(folder: Path, made: Path, posts: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU of a post that arrives alone, with the rows of `recent` and without: totals, in turn."""
    raw = (made / "people").read_bytes()[: 32 * posts]
    people = [known_account(n, AccountId(raw[32 * n : 32 * n + 32])) for n in range(posts)]
    with filling(copied(made, folder / "news")) as author:
        write_in_turn(author, ((one, [post(one, 2 + EACH)]) for one in people), each_signed=True)
        news = [item for one in people for item in log_items(author.store, one.log, EACH)]
    frames = [encode_message(DataItems([item])) for item in news]
    spent = dict.fromkeys(("with", "without"), 0.0)
    for n in range(rounds):
        stores = {
            "with": PeerStore(copied(made, folder / "with")),
            "without": PeerStore(copied(made, folder / "without"), _Without),
        }
        before = {name: store.entries() for name, store in stores.items()}
        for at, frame in enumerate(frames):
            for name in sorted(stores, reverse=(at + n) % 2 == 0):
                began = time.process_time()
                stores[name].take([frame])
                spent[name] += time.process_time() - began
        for name, store in stores.items():
            if store.entries() != before[name] + posts:
                raise BenchError(f"{store.entries() - before[name]} of {posts} posts arrived")
            store.close()
    return {name: round(seconds / posts / rounds * 1e6, 1) for name, seconds in spent.items()}


def cases(node: LocalBackend, people: list[str]) -> dict[str, Iterator[float]]:
    for who in people[:FOLLOWED]:
        node.call("follow", account=who)
    named = node.call("list.set", title="some")["id"]
    node.call("list.add", id=named, accounts=people[:LISTED])
    return {
        "public": asked(node, all=True, replies=False),
        "answers": asked(node, all=True),
        "local": asked(node, all=True, local=True),
        "tag": measured(node, "search", question="#tag", limit=20),
        "word": measured(node, "search", question="post", limit=20),
        "home": asked(node),
        "list": asked(node, in_list=named),
        "profile": measured(node, "profile.get", account=people[7]),
        "posts": measured(node, "feed", account=people[7], limit=20),
        "counts": measured(node, "graph.stats"),
    }


def compared(runs: Sequence[Iterator[float]], times: int) -> list[float]:
    """The medians of each, in milliseconds. They take turns, so that a slow second of the machine affects all."""
    next_of = [[next(run) for run in runs] for _ in range(times)]
    return [round(median(one) * 1000, 3) for one in zip(*next_of, strict=True)]


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--accounts", type=at_least(FEW), help="of the larger node; default: 100000")

    args = arguments("everybody", __doc__, argv, more=more)
    many, posts = args.accounts or (MANY_QUICKLY if args.quick else MANY), 100 if args.quick else FEW
    with workplace(args.folder) as folder, ExitStack() as open_nodes:
        runs = list[dict[str, Iterator[float]]]()
        for accounts in (FEW, many):
            made = kept(folder, f"everybody-{accounts}", partial(filled, accounts))
            home = Home(copied(made, folder / f"run-{accounts}"))
            node = open_nodes.enter_context(open_local(home, settings.load(home, {"node.realm": "test"}, env={})))
            node.call("account.create", name="own")
            host_all(node, home.path)
            raw = (made / "people").read_bytes()
            people = [account_to_text(AccountId(raw[32 * n : 32 * n + 32])) for n in range(FOLLOWED)]
            runs.append(cases(node, people))
        found = {kind: compared([run[kind] for run in runs], ASKS * args.rounds) for kind in runs[0]}
        live = arriving(folder, kept(folder, f"everybody-{FEW}", partial(filled, FEW)), posts, args.rounds)
    finish(
        args,
        "everybody",
        accounts=[FEW, many],
        live_cpu_us=live,
        live_ratio=round(live["with"] / live["without"], 3),
        cpu_ms=found,
        ratio_to_small={kind: round(many / few, 2) for kind, (few, many) in found.items()},
    )
