"""How fast entries of others come in: decode, verify, judge, store, views, commit, on the store that nodes use.

20 writers x 5,000 posts of about 300 bytes, as runs with their content, the way peers send them.

python -m bench.ingest --json
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, LogId, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run, encode_run, skips_below, verify_run
from banyan_crdt.signing import Signer
from banyan_crdt.social import Post, post_key, write_post
from banyan_node.author import Author, Draft, grant_to
from banyan_node.context import TABLES
from banyan_node.ingest import Ingest, PartItem
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.views import SocialViews

BIRTH_MS = TEST.birth_ms + 86_400_000
RUN_ENTRIES = 250
COMMIT_ENTRIES = 5_000
TEXT_BYTES = 190
"""With headers, links and salt an entry of such a post takes about 300 bytes on the way."""


class Sent(NamedTuple):
    """What a peer sends: one run and the content of its entries."""

    run: bytes
    parts: list[PartItem]


class Sender(NamedTuple):
    account: AccountId
    control: tuple[Entry, ...]
    sent: list[Sent]


def drawn(seed: str) -> Callable[[int], bytes]:
    """Bytes that look random and are the same in every run."""
    count = 0

    def draw(n: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.sha256(f"{seed} {count}".encode()).digest()[:n]

    return draw


def opened(engine: Engine) -> Ingest:
    return Ingest(Store(engine, TEST, new_store_id=bytes(16), views=SocialViews()), TEST)


def sender(number: int, entries: int) -> Sender:
    """One account's log as it travels, written in a store of its own."""
    ingest = opened(MemoryEngine(TABLES))
    draw = drawn(f"writer {number}")
    author = Author(ingest, TEST, draw)
    root, following, device = (Signer(TEST, draw(32)) for _ in range(3))
    account, control = author.open_account(
        [(root, key_digest(following.key))], draw(32), [grant_to(device.key)], BIRTH_MS
    )
    log = LogId(account, device.key, 1)
    sent: list[Sent] = []
    base = 0
    for first in range(0, entries, RUN_ENTRIES):
        drafts = []
        for n in range(first, min(entries, first + RUN_ENTRIES)):
            text = f"post {n} of {number}: ".ljust(TEXT_BYTES, "x")
            made = write_post(post_key(draw(32), draw(16)), Post(text, created_ms=BIRTH_MS))
            drafts.append(Draft((made.op,), (made.content,)))
        for written in author.append(log, device, drafts, BIRTH_MS + first):
            start = written.entries[0].header.seq
            skips = [(s, ingest.store.id_at(log, s)) for s in skips_below(start, len(written.entries))]
            run = encode_run(written.entries, base, [(s, i) for s, i in skips if i is not None])
            sent.append(Sent(run, list(written.parts)))
            base = written.entries[-1].header.total
    return Sender(account, control, sent)


def take(senders: list[Sender], ingest: Ingest) -> int:
    """Everything of everybody, in turn, as it would come from many peers; returns how many entries counted."""
    entries = waiting = 0
    now = BIRTH_MS + 3_600_000
    for s in senders:
        ingest.control(s.account, s.control, now)
    for turn in zip(*(s.sent for s in senders), strict=True):
        for sent in turn:
            run = decode_run(TEST, sent.run)
            verify_run(TEST, run)
            added = len(ingest.run(run, now))
            ingest.parts(sent.parts)
            entries, waiting = entries + added, waiting + added
            if waiting >= COMMIT_ENTRIES:
                ingest.store.commit()
                waiting = 0
    ingest.store.commit()
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--entries", type=int, default=5_000, help="of each writer")
    parser.add_argument("--folder", type=Path, help="where to make the store (default: the system's temporary folder)")
    parser.add_argument("--profile", action="store_true", help="print where the time goes; figures are then too low")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a sentence")
    args = parser.parse_args()
    senders = [sender(n, args.entries) for n in range(args.writers)]
    bytes_sent = sum(len(x.run) + sum(len(p.raw) for p in x.parts) for s in senders for x in s.sent)
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        engine = LmdbEngine(Path(folder) / "store", TABLES)
        ingest = opened(engine)
        if args.profile:
            profile.enable()
        start = time.perf_counter()
        entries = take(senders, ingest)
        seconds = time.perf_counter() - start
        profile.disable()
        used = engine.sizes().used
        engine.close()
    figures = {
        "entries": entries,
        "seconds": round(seconds, 2),
        "entries_per_second": round(entries / seconds),
        "bytes_per_entry": round(bytes_sent / entries),
        "stored_bytes_per_entry": round(used / entries),
    }
    if args.json:
        print(json.dumps({"bench": "ingest", "writers": args.writers, **figures}, indent=2))
    else:
        print("  ".join(f"{name} {value}" for name, value in figures.items()))
    if args.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
