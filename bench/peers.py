"""Compares other systems of signed feeds with this one: a fresh reader fetches equal messages over loopback, in turn.

Hypercore, Secure Scuttlebutt (ssb-db2 with ssb-ebt) and OrbitDB come from the npm registry in the versions of
bench/peers/package-lock.json. Each fetches a whole feed in the way that its own documents describe, between two
processes, both on disk. Every message has the same text of 190 bytes; one of our entries then has about 300.

The clock is the reader's: it runs from the dial, so handshakes count, until everything is held. Afterwards the store of
each other system is closed, opened again without a peer, and its messages are counted and compared; ours is compared
with its peer's by the digests of heads and views. Systems take turns within a round, and a ratio is one of medians.
`cpu_ratios` compares what both processes of a system spent on a message, which other work on the machine moves less.
What is not equal is said in `not_equal`.

python -m bench peers --json
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench import catchup
from bench.harness import BenchError, arguments, at_least, finish, interleaved, median, say, workplace
from bench.rig.npm import CaughtUp, Installed, catch_up, install
from bench.rig.people import TEXT_BYTES, runs_home, singles_homes

OURS = "banyan"
WRITERS = 20
ENTRIES, QUICK_ENTRIES, ORBITDB_ENTRIES = 10_000, 4_000, 2_000
MOST_A_LOG = 10_000
"""The entries that one of our logs may hold on its first day; cases of one writer have no more."""
MOST_SINGLES, MOST_CORES = 20_000, 1_000

NOT_EQUAL: dict[str, dict[str, str]] = {
    "link": {
        "banyan": "libp2p: TCP, noise, yamux",
        "hypercore": "TCP, its noise secret stream",
        "ssb": "TCP, secret handshake and box stream, muxrpc",
        "orbitdb": "libp2p: TCP, noise, yamux; gossipsub for heads, bitswap for blocks",
    },
    "signatures checked by the reader": {
        "banyan": "one Ed25519 a run; every entry is hashed and linked",
        "hypercore": "one Ed25519 for the length of a core; every block is hashed into its Merkle tree",
        "ssb": "one Ed25519 a message",
        "orbitdb": "one secp256k1 an entry",
    },
    "on disk when the clock stops": {
        "banyan": "LMDB, fsync at each commit",
        "hypercore": "RocksDB, written and not fsynced: what the system has not written back is lost with its power",
        "ssb": "append-only log, fsync at each block of 64 kB",
        "orbitdb": "LevelDB, written and not fsynced: what the system has not written back is lost with its power",
    },
    "indexes when the clock stops": {
        "banyan": "all: entries, frontier, and the social views (timelines, threads, counts) in the same transaction",
        "hypercore": "tree and bitfield; there are no views of what blocks say",
        "ssb": "base, keys and ebt indexes go on after it; none of what posts say (ssb-db2/core)",
        "orbitdb": "log index and heads; none of what entries say",
    },
    "what the reader knows before": {
        "banyan": "nothing: it takes every account its peer holds, with the keys that may write there",
        "hypercore": "the key of every core",
        "ssb": "the id of every feed",
        "orbitdb": "the address of the database",
    },
    "how much is asked for at once": {
        "banyan": "frames of runs under credits of some MB",
        "hypercore": "block by block, 48 requests under way a core over TCP (its default; 512 is no faster)",
        "ssb": "the feed from a sequence on; written as batches of 250 ms (its default; less is no faster)",
        "orbitdb": "block by block along the links of the log, up to 17 of an entry at once",
    },
    "language": {
        "banyan": "Python; hashing, signatures and store in C; several threads, one of which judges",
        "hypercore": "JavaScript; hashing, signatures and store in C and C++",
        "ssb": "JavaScript; hashing and signatures in C",
        "orbitdb": "JavaScript; hashing and signatures by Node.js or in JavaScript; store in C++",
    },
    "writers": {
        "banyan": "an account each, with its control log",
        "hypercore": "a core each",
        "ssb": "a feed each",
        "orbitdb": "one: a database is one log of all writers, so 20 writers are not run",
    },
}
"""What differs although the payload is equal, by topic and system."""

SINGLE = f"{OURS}_single_posts"
THEIR_SINGLE = "hypercore_single_posts"
AWAY = f"{SINGLE}_away"
CASES = (
    "hypercore",
    "ssb",
    "hypercore_range",
    "orbitdb",
    f"hypercore_{WRITERS}_writers",
    f"ssb_{WRITERS}_writers",
    f"hypercore_range_{WRITERS}_writers",
    THEIR_SINGLE,
    SINGLE,
    AWAY,
)
LEFT_OUT = {
    "hypercore_range": "another way to ask, as fast",
    "orbitdb": "5 ms a message make it long",
    f"hypercore_{WRITERS}_writers": "one writer is measured",
    f"ssb_{WRITERS}_writers": "one writer is measured",
    f"hypercore_range_{WRITERS}_writers": "another way to ask, as fast",
    THEIR_SINGLE: "one writer is measured",
    SINGLE: "one writer is measured",
    AWAY: "one writer is measured",
}
"""What --quick does not run, and why."""


class Case(NamedTuple):
    """One line of the result. against: the line of ours that its ratios are to."""

    system: str
    version: str
    entries: int
    writers: int
    run: Callable[[], CaughtUp]
    against: str = ""
    note: str = ""


def ours(folder: Path, source: Path, start: Path | None = None) -> CaughtUp:
    """A fresh node, or one with the home `start`, fetches from one with the home `source`. The clock starts at the
    dial, as for the other systems."""
    got = catchup.once(folder, source, start)
    return CaughtUp(got["seconds"] + got["dial_ms"] / 1e3, got["cpu_s"], got["holder"]["cpu_s"], got["bytes"])


def plan(args: Namespace, installed: Installed, folder: Path) -> dict[str, Case]:
    """The cases in the order in which a round takes them: those of --case with ours of the same size, else all."""
    v = installed.versions
    hypercore, ssb = f"hypercore {v['hypercore']}", f"ssb-db2 {v['ssb-db2']}, ssb-ebt {v['ssb-ebt']}"
    orbitdb = f"@orbitdb/core {v['@orbitdb/core']}, helia {v['helia']}"
    wanted = args.case or [name for name in CASES if not (args.quick and name in LEFT_OUT)]
    cases: dict[str, Case] = {}

    def theirs(name: str, version: str, mine: str, writers: int, count: int, note: str, **more: Any) -> None:
        if name in wanted:
            system = name.split("_")[0]
            settings = {"entries": count, "writers": writers, "text_bytes": TEXT_BYTES, **more}
            run = partial(catch_up, installed, system, settings, folder)
            cases[name] = Case(system, version, count, writers, run, mine, note)

    for writers in (1, WRITERS):
        size = "" if writers == 1 else f"_{writers}_writers"
        mine, entries = OURS + size, min(args.entries, writers * MOST_A_LOG)
        theirs(f"hypercore{size}", hypercore, mine, writers, entries, "download({start: 0, end: -1})", ask="all")
        theirs(f"ssb{size}", ssb, mine, writers, entries, "classic feeds by ssb-ebt")
        theirs(
            f"hypercore_range{size}",
            hypercore,
            mine,
            writers,
            entries,
            "download({start: 0, end: length})",
            ask="range",
        )
        if writers == 1:
            fewer = f"{args.orbitdb_entries:,} entries, so that it takes seconds; compared by the message"
            theirs("orbitdb", orbitdb, mine, 1, args.orbitdb_entries, fewer)
        if any(case.against == mine for case in cases.values()):
            source = runs_home(folder, writers, entries // writers)
            cases[mine] = Case(OURS, "", entries, writers, partial(ours, folder, source))
    entries = min(args.entries, MOST_SINGLES)
    cores = min(entries, MOST_CORES)
    each_its_own = "a core for each block, as many as a command line names; compared by the message"
    theirs(THEIR_SINGLE, hypercore, SINGLE, cores, cores, each_its_own, ask="all")
    if SINGLE in wanted or THEIR_SINGLE in cases:
        full, _ = singles_homes(folder, entries)
        alone = "one post each by as many writers; each brings two entries of control along, which are not counted"
        cases[SINGLE] = Case(OURS, "", entries, entries, partial(ours, folder, full), note=alone)
    if AWAY in wanted:
        entries = min(2 * args.entries, MOST_SINGLES)
        full, away = singles_homes(folder, entries)
        apart = (
            "one post each by as many writers, to a node that was away: it knows the accounts; against one hypercore"
        )
        cases[AWAY] = Case(OURS, "", entries, entries, partial(ours, folder, full, away), note=apart)
    return cases


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--case", action="append", choices=CASES, help="only this; may be given again")
        parser.add_argument(
            "--entries",
            type=at_least(WRITERS),
            default=None,
            help=f"default: {ENTRIES:,}, with --quick {QUICK_ENTRIES:,}",
        )
        parser.add_argument(
            "--orbitdb-entries", type=at_least(1), default=ORBITDB_ENTRIES, help=f"default: {ORBITDB_ENTRIES:,}"
        )

    args = arguments("peers", __doc__, argv, rounds=5, more=more)
    args.entries = (args.entries or (QUICK_ENTRIES if args.quick else ENTRIES)) // WRITERS * WRITERS
    if args.entries > WRITERS * MOST_A_LOG:
        most = WRITERS * MOST_A_LOG
        raise BenchError(f"{args.entries:,} entries by {WRITERS} writers are more than their logs may hold, {most:,}")
    installed = install(args.folder)
    with workplace(args.folder) as folder:
        cases = plan(args, installed, folder)
        found = interleaved(args.rounds, {name: _told(name, case) for name, case in cases.items()})
    systems = {name: _line(case, found[name]) for name, case in cases.items()}
    against = {name: case.against for name, case in cases.items() if case.against}
    shared: dict[str, Any] = {}
    if OURS in systems:
        shared["entries_per_second"] = systems[OURS]["entries_per_second"]
    if args.quick and not args.case:
        shared["left_out"] = LEFT_OUT
    if not args.json:
        _show(systems, against)
    finish(
        args,
        "peers",
        **shared,
        systems=systems,
        ratios=_ratios(systems, against, lambda x: x["entries_per_second"]),
        cpu_ratios=_ratios(systems, against, lambda x: 1 / x["cpu_us_per_entry"]),
        not_equal=NOT_EQUAL,
        sizes={
            "entries": args.entries,
            "text_bytes": TEXT_BYTES,
            "writers": sorted({case.writers for case in cases.values()}),
        },
        node=installed.node_version,
    )


def _told(name: str, case: Case) -> Callable[[], CaughtUp]:
    def told() -> CaughtUp:
        got = case.run()
        say(f"{name}: {case.entries:,} entries in {got.seconds:.2f} s")
        return got

    return told


def _line(case: Case, rows: Sequence[CaughtUp]) -> dict[str, Any]:
    seconds = [row.seconds for row in rows]
    cpu = median([row.reader_cpu_s + row.writer_cpu_s for row in rows])
    return {
        **({"version": case.version} if case.version else {}),
        "entries": case.entries,
        "writers": case.writers,
        "seconds": round(median(seconds), 3),
        "entries_per_second": round(case.entries / median(seconds)),
        "spread": [round(case.entries / s) for s in sorted(seconds, reverse=True)],
        "reader_cpu_s": round(median([row.reader_cpu_s for row in rows]), 3),
        "writer_cpu_s": round(median([row.writer_cpu_s for row in rows]), 3),
        "cpu_us_per_entry": round(1e6 * cpu / case.entries, 1),
        "stored_bytes_per_entry": round(median([row.stored for row in rows]) / case.entries),
        "durable": NOT_EQUAL["on disk when the clock stops"][case.system],
        **({"note": case.note} if case.note else {}),
    }


def _ratios(
    systems: Mapping[str, dict[str, Any]], against: Mapping[str, str], figure: Callable[[dict[str, Any]], float]
) -> dict[str, float]:
    """Ours by theirs, above 1 where ours is better; single posts are set against one Hypercore core too."""
    out = {name: round(figure(systems[mine]) / figure(systems[name]), 2) for name, mine in against.items()}
    for mine in (SINGLE, AWAY):
        if mine in systems and "hypercore" in systems:
            name = f"hypercore_to_{mine.removeprefix(OURS + '_')}"
            out[name] = round(figure(systems[mine]) / figure(systems["hypercore"]), 2)
    return out


def _show(systems: Mapping[str, dict[str, Any]], against: Mapping[str, str]) -> None:
    """The result for a person: a line a system, then what is not equal."""
    rates = _ratios(systems, against, lambda x: x["entries_per_second"])
    print(f"{'':24}{'entries/s':>10}{'ours/theirs':>13}{'cpu us each':>13}{'bytes each':>12}  version")
    for name, x in systems.items():
        ratio = f"{rates[name]:.2f}" if name in rates else ""
        print(
            f"{name:24}{x['entries_per_second']:>10,}{ratio:>13}{x['cpu_us_per_entry']:>13.1f}"
            f"{x['stored_bytes_per_entry']:>12,}  {x.get('version', '')}"
        )
    print("\nNot equal:")
    for topic, said in NOT_EQUAL.items():
        print(f"  {topic}")
        for system, what in said.items():
            print(f"    {system:10} {what}")
    print()


if __name__ == "__main__":
    main()
