"""A platform's backend at the door of a node: accounts opened in bulk, then operations published in bulk.

The node runs as `banyan up --http`, in a process of its own; the client is this process, on the same machine. It sends
lines as NDJSON (/v1/accounts/bulk, /v1/operations) over HTTP and reads the answers while it writes. The clock runs from
the first byte sent to the last byte of the last answer. An operation is answered once it is durable: entry, views and
the note of its id, in one transaction, with fsync.

posts       posts of 140 characters, by all accounts in turn; each is an entry of its own, with its own signature
mixed       of each ten: five posts, two replies, two reactions, a follow
again       the same lines of `posts` once more: each is found and answered, none is written
beside      the p50 and p99 of a single post by another client, one after the other, while `posts` comes in bulk

python -m bench hosting --json
python -m bench hosting --accounts 2000 --operations 50000 --connections 4 --json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx

from banyan_node.home.folder import Home
from banyan_web.door_store import DoorStore
from bench.harness import ROOT, BenchError, anon_mb, arguments, at_least, cpu_s, finish, latencies_ms, say, workplace

ACCOUNTS, OPERATIONS = 1_000, 20_000
QUICK_ACCOUNTS, QUICK_OPERATIONS = 100, 2_000
TEXT = 140
START_S = 60.0
NDJSON = {"content-type": "application/x-ndjson"}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("hosting", __doc__, argv, rounds=1, more=_more)
    accounts = args.accounts or (QUICK_ACCOUNTS if args.quick else ACCOUNTS)
    operations = args.operations or (QUICK_OPERATIONS if args.quick else OPERATIONS)
    with workplace(args.folder) as folder:
        home = folder / "hosting"
        shutil.rmtree(home, ignore_errors=True)
        _run(home, "init", "--role", "platform", "--name", "Lotus", "--realm", "test")
        with _node(home) as (pid, port):
            door = DoorStore(Home(home).door)
            token = door.mint(None, "bench", ("read", "write", "host"))
            door.close()
            client = Client(port, token, args.connections)
            found = measure(client, pid, accounts, operations)
            found["node_anon_mb"] = anon_mb(pid)
        _check(home, found)
    finish(args, "hosting", accounts=accounts, operations=operations, connections=args.connections, cases=found)


def _more(p: argparse.ArgumentParser) -> None:
    p.add_argument("--accounts", type=at_least(10), default=None)
    p.add_argument("--operations", type=at_least(100), default=None)
    p.add_argument(
        "--connections", type=at_least(1), default=1, help="requests at once, over which the lines are spread"
    )


class Client:
    """Sends lines over some connections at once."""

    def __init__(self, port: int, token: str, connections: int) -> None:
        self.port, self.token, self.connections = port, token, connections

    def send(self, path: str, lines: Sequence[bytes]) -> tuple[float, list[Any]]:
        """(seconds, the answers). The lines of one connection stay in order."""
        shares = [lines[n :: self.connections] for n in range(self.connections)]
        raw: list[bytes] = [b""] * self.connections

        def one(n: int) -> None:
            raw[n] = self._talk(path, b"\n".join(shares[n]) + b"\n")

        threads = [Thread(target=one, args=(n,)) for n in range(self.connections)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        rows = [json.loads(row) for answer in raw for row in answer.splitlines()]
        if len(rows) != len(lines):
            raise BenchError(f"{len(lines)} lines had {len(rows)} answers")
        return seconds, rows

    def _talk(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self.token}\r\ncontent-length: {len(body)}"
        )
        with socket.create_connection(("127.0.0.1", self.port)) as line:
            whole = f"{head}\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n".encode() + body
            writing = Thread(target=line.sendall, args=(whole,))
            writing.start()
            pieces = []
            while piece := line.recv(1 << 18):
                pieces.append(piece)
            writing.join()
        head_, _, rest = b"".join(pieces).partition(b"\r\n\r\n")
        if b" 200 " not in head_.splitlines()[0]:
            raise BenchError(f"the door answered {head_.splitlines()[0].decode()}: {rest[:200].decode()}")
        return _unchunked(rest)


def _unchunked(raw: bytes) -> bytes:
    out, at = list[bytes](), 0
    while True:
        end = raw.index(b"\r\n", at)
        size = int(raw[at:end], 16)
        if size == 0:
            return b"".join(out)
        out.append(raw[end + 2 : end + 2 + size])
        at = end + 4 + size


def measure(client: Client, pid: int, accounts: int, operations: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = [json.dumps({"name": f"person {n}", "profile": {"bio": "phở"}}).encode() for n in range(accounts)]
    seconds, rows = client.send("/v1/accounts/bulk", names)
    dids = [row["account"] for row in rows]
    found["accounts"] = {"per_second": round(accounts / seconds), "seconds": round(seconds, 2)}
    say(f"{accounts:,} accounts in {seconds:.1f} s")

    rng = random.Random(7)
    posts = [_line(f"p{n}", dids[n % accounts], do="post", text=_text(rng)) for n in range(operations)]
    uris = found_uris(_case(found, "posts", client, pid, posts))
    mixed = []
    for n in range(operations):
        who, uri = rng.choice(dids), rng.choice(uris)
        kind = n % 10
        if kind < 5:
            mixed.append(_line(f"m{n}", who, do="post", text=_text(rng)))
        elif kind < 7:
            mixed.append(_line(f"m{n}", who, do="reply", uri=uri, text=_text(rng)))
        elif kind < 9:
            mixed.append(_line(f"m{n}", who, do="react", uri=uri, emoji=rng.choice("🌳🌸👍🎉")))
        else:
            other = rng.choice([one for one in rng.sample(dids, 2) if one != who])
            mixed.append(_line(f"m{n}", who, do="follow", account=other))
    _case(found, "mixed", client, pid, mixed)
    again = _case(found, "again", client, pid, posts)
    if not all(row["repeated"] for row in again):
        raise BenchError("an operation that came again was done again")
    found["beside"] = _beside(client, dids, rng, operations)
    return found


def found_uris(rows: Sequence[Any]) -> list[str]:
    return [row["answer"]["uri"] for row in rows]


def _case(found: dict[str, Any], name: str, client: Client, pid: int, lines: Sequence[bytes]) -> list[Any]:
    before = cpu_s(pid)
    seconds, rows = client.send("/v1/operations", lines)
    if bad := [row for row in rows if row["status"] != 200]:
        raise BenchError(f"{len(bad)} of {len(rows)} operations were refused, such as {bad[0]}")
    found[name] = {
        "per_second": round(len(lines) / seconds),
        "seconds": round(seconds, 2),
        "node_cpu_us": round(1e6 * (cpu_s(pid) - before) / len(lines)),
    }
    say(f"{name}: {len(lines):,} operations in {seconds:.1f} s, {len(lines) / seconds:,.0f}/s")
    return rows


def _beside(client: Client, dids: Sequence[str], rng: random.Random, operations: int) -> dict[str, float]:
    """What a single post waits while others come in bulk."""
    waits, over = list[float](), Event()

    def single() -> None:
        headers = {"authorization": f"Bearer {client.token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{client.port}", headers=headers) as http:
            n = 0
            while not over.is_set():
                began = time.perf_counter()
                op = {"id": f"single {n}", "as": dids[0], "do": "post", "text": _text(rng)}
                http.post("/v1/operations", json=op).raise_for_status()
                waits.append(time.perf_counter() - began)
                n += 1

    thread = Thread(target=single)
    thread.start()
    lines = [_line(f"b{n}", rng.choice(dids), do="post", text=_text(rng)) for n in range(operations)]
    client.send("/v1/operations", lines)
    over.set()
    thread.join()
    return {**latencies_ms(waits), "posts": len(waits)}


def _line(id: str, by: str, **more: str) -> bytes:
    return json.dumps({"id": id, "as": by, **more}, ensure_ascii=False).encode()


def _text(rng: random.Random) -> str:
    return f"{rng.randrange(1 << 60)} ".ljust(TEXT, "x")


def _check(home: Path, found: dict[str, Any]) -> None:
    """The store is sound after kill -9."""
    said = _run(home, "store", "verify")
    if said["problems"]:
        raise BenchError(f"the store has {len(said['problems'])} problems")
    found["store_bytes"] = sum(file.stat().st_size for file in home.rglob("*.mdb"))


def _run(home: Path, *words: str) -> Any:
    line = [sys.executable, "-m", "banyan_cli", "--json", "--home", str(home), *words]
    done = subprocess.run(line, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr[:300]}")
    return json.loads(done.stdout) if done.stdout.strip() else None


@contextmanager
def _node(home: Path) -> Iterator[tuple[int, int]]:
    """(its process, the port of its door). It ends by SIGKILL: what was answered must be there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "banyan_cli", "--home", str(home), "up", "--http", f"127.0.0.1:{port}"]
    quiet = subprocess.DEVNULL
    node = subprocess.Popen(line, cwd=ROOT, env=_environment(), stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            if node.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the node in {home} did not start")
            time.sleep(0.1)
        yield node.pid, port
    finally:
        node.send_signal(signal.SIGKILL)
        node.wait(60)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/openapi.json").status_code == 200
    except httpx.HTTPError:
        return False


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BANYAN_")}


if __name__ == "__main__":
    main()
