"""What a page of everybody's posts costs on a node with few accounts and with many, in milliseconds of CPU.

public     the 20 newest posts that answer nothing, page by page: the public timeline of apps
answers    the same with answers: `feed --all`, the first page of the site
local      of accounts hosted here, which are all
tag        20 posts with a tag, from the index of words
counts     the size of the graph

Each account wrote two posts. The questions run in turn in two nodes' stores, in this process, without HTTP; a commit
between any two of them, so that nothing that is kept is of use but what a busy node keeps too.

python -m bench everybody --json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from banyan_crdt.ids import AccountId
from banyan_node.api import LocalBackend
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.hosting import hosted
from banyan_node.local import open_local
from bench.harness import arguments, finish, interleaved, median, workplace
from bench.rig.people import copied, filling, kept, open_account, post, write_in_turn
from bench.rig.processes import new_home

FEW, MANY, MANY_QUICKLY = 1_000, 100_000, 10_000
EACH, ASKS = 2, 40
"""Posts of an account; questions of a round."""


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
        hosted.note(ctx, hosted.Hosted(AccountId(raw[32 * n : 32 * n + 32]), n + 1, ""), False)
    ctx.store.commit()


def asked(node: LocalBackend, **params: Any) -> Callable[[], float]:
    """Seconds of CPU of a page, the median: pages follow one another, and somebody posts between them."""

    def run() -> float:
        place, spent = dict[str, Any](), list[float]()
        for n in range(ASKS):
            node.call("post", text=f"between {n} #tag")
            began = time.process_time()
            found = node.call("feed", all=True, limit=20, **params, **place)
            spent.append(time.process_time() - began)
            place = {"before": found["before"]} if found["before"] and n % 10 else {}
        return median(spent)

    return run


def measured(node: LocalBackend, method: str, **params: Any) -> Callable[[], float]:
    def run() -> float:
        spent = []
        for _ in range(ASKS):
            began = time.process_time()
            node.call(method, **params)
            spent.append(time.process_time() - began)
        return median(spent)

    return run


def cases(node: LocalBackend) -> dict[str, Callable[[], float]]:
    return {
        "public": asked(node, replies=False),
        "answers": asked(node),
        "local": asked(node, local=True),
        "tag": measured(node, "search", question="#tag", limit=20),
        "counts": measured(node, "graph.stats"),
    }


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("everybody", __doc__, argv)
    many = MANY_QUICKLY if args.quick else MANY
    with workplace(args.folder) as folder, ExitStack() as open_nodes:
        runs = dict[str, Callable[[], float]]()
        for count in (FEW, many):
            made = kept(folder, f"everybody-{count}", partial(filled, count))
            home = Home(copied(made, folder / f"run-{count}"))
            node = open_nodes.enter_context(open_local(home, settings.load(home, {"node.realm": "test"}, env={})))
            node.call("account.create", name="own")
            host_all(node, home.path)
            runs |= {f"{name} {count}": run for name, run in cases(node).items()}
        found = {name: median(spent) * 1000 for name, spent in interleaved(args.rounds, runs).items()}
    kinds = [name.partition(" ")[0] for name in runs if name.endswith(f" {FEW}")]
    finish(
        args,
        "everybody",
        accounts=[FEW, many],
        cpu_ms={kind: [round(found[f"{kind} {FEW}"], 2), round(found[f"{kind} {many}"], 2)] for kind in kinds},
        ratio_to_small={kind: round(found[f"{kind} {many}"] / found[f"{kind} {FEW}"], 2) for kind in kinds},
    )
