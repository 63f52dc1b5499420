"""How fast a film goes from one node to another: two processes of one node each, over loopback, with a post of it.

`put_mb_per_second`: reading, hashing and storing the file at the first node, durably. `mb_per_second`: from the call
that asks for it at the second node until all of it is durable there; each chunk is hashed by both. `post_ms`: how long
posts take from the first node to the second, published one after the other meanwhile, beside `post_idle_ms` without the
film. `anon_mb`: memory of the two processes before it goes, and at the end (the giver) or at its highest (the taker).
`cpu_s`: of each process while it goes, the posts included (the giver's also while the taker joins).

python -m bench blobs --json
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from banyan_node.node import Node
from bench.harness import anon_mb, arguments, cpu_s, finish, interleaved, median, percentile, workplace
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

SIZE, QUICK = 1_000_000_000, 100_000_000
HEAD = b"\0\0\0\x18ftypisom\0\0\2\0isommp41"
"""The beginning of an MP4."""
POST_S = 0.2
PIECE = 1 << 20


async def giver(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Puts the file, posts it, and then posts texts."""
    node = nodes[0]
    await node.backend.call("account.create", {"name": "giver", "hosted": False})
    began = time.perf_counter()
    put = await node.backend.call("media.put", {"path": params["file"]})
    took = time.perf_counter() - began
    await node.backend.call("post", {"text": "a film", "media": [{"blob": put["blob"]}]})
    line.say({"address": node.edge.addresses[0], "blob": put["blob"], "put_s": took, "anon_mb": anon_mb()})
    async with trio.open_nursery() as nursery:
        posting = nursery.cancel_scope
        nursery.start_soon(_post, node)
        cpu = cpu_s()
        async for _ in line:
            line.say({"giver_most": anon_mb(), "giver_cpu": cpu_s() - cpu})
        posting.cancel()


async def _post(node: Node) -> None:
    while True:
        await node.backend.call("post", {"text": f"{time.time_ns()}"})
        await trio.sleep(POST_S)


async def taker(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Dials, waits for the posts, then fetches the film while it notes when posts come."""
    node, late = nodes[0], list[float]()
    line.say("ready")
    asked = await line.hear()
    assert await node.links.dial_now(asked["address"]) is None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, node, late)
        with trio.fail_after(60):
            while len(late) < 20:
                await trio.sleep(0.1)
        idle, before, most = list(late), anon_mb(), anon_mb()
        late.clear()
        began, cpu = time.perf_counter(), cpu_s()
        while not (state := await node.backend.call("media.fetch", {"blob": asked["blob"], "wait_s": 0.2}))["whole"]:
            assert not state["failed"], state["failed"]
            most = max(most, anon_mb())
        took = time.perf_counter() - began
        nursery.cancel_scope.cancel()
    used = cpu_s() - cpu
    line.say({"s": took, "before": before, "most": most, "idle": idle, "late": late, "taker_cpu": used})
    await line.hear()


async def _watch(node: Node, late: list[float]) -> None:
    seen, newest = set[str](), 0
    while True:
        for row in (await node.backend.call("feed", {"all": True, "limit": 20}))["posts"]:
            if row["uri"] not in seen and row["text"].isdigit():
                seen.add(row["uri"])
                if row["time_ms"] >= newest:
                    newest = row["time_ms"]
                    late.append((time.time_ns() - int(row["text"])) / 1e6)
        await trio.sleep(0.01)


def once(folder: Path, size: int) -> dict[str, Any]:
    file, homes = folder / "film.mp4", [folder / "giver", folder / "taker"]
    with file.open("wb") as out:
        out.write(HEAD + os.urandom(PIECE - len(HEAD)))
        for _ in range(size // PIECE - 1):
            out.write(os.urandom(PIECE))
    flags = {"media.strangers_rate": "1 TB"}
    try:
        one, two = map(new_home, homes)
        with (
            Child("bench.blobs:giver", [one], flags, file=str(file)) as gives,
            Child("bench.blobs:taker", [two]) as takes,
        ):
            known, _ = gives.hear(), takes.hear()
            found: dict[str, Any] = takes.ask({"address": known["address"], "blob": known["blob"]})
            return found | {"put_s": known["put_s"], "giver": known["anon_mb"], **gives.ask("most")}
    finally:
        file.unlink()
        for home in homes:
            shutil.rmtree(home, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("blobs", __doc__, argv)
    size = (QUICK if args.quick else SIZE) // PIECE * PIECE
    with workplace(args.folder) as folder:
        rows = interleaved(args.rounds, {"": partial(once, folder, size)})[""]
    finish(
        args,
        "blobs",
        mb_per_second=round(median([size / 1e6 / row["s"] for row in rows]), 1),
        put_mb_per_second=round(median([size / 1e6 / row["put_s"] for row in rows]), 1),
        post_ms={"p50": _shares(rows, "late", 0.5), "p99": _shares(rows, "late", 0.99)},
        post_idle_ms={"p50": _shares(rows, "idle", 0.5), "p99": _shares(rows, "idle", 0.99)},
        cpu_s={key: round(median([row[f"{key}_cpu"] for row in rows]), 1) for key in ("giver", "taker")},
        anon_mb={
            "giver": [round(median([row[key] for row in rows]), 1) for key in ("giver", "giver_most")],
            "taker": [round(median([row[key] for row in rows]), 1) for key in ("before", "most")],
        },
        sizes={"bytes": size},
    )


def _shares(rows: list[dict[str, Any]], key: str, share: float) -> float:
    return round(median([percentile(row[key], share) for row in rows if row[key]]), 1)


if __name__ == "__main__":
    main()
