"""The bench's side of the attack laboratory: one row per attack, each with honest nodes of its own."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from banyan_crdt.ids import AccountId, account_to_text
from banyan_sim.attack import NOTHING
from bench.attack.attack import named, names, names_of_chosen
from bench.attack.monitor import PHASES, Monitor
from bench.attack.table import cells_of, table
from bench.attack.verdict import hurts
from bench.harness import BenchError, arguments, at_least, finish, result_of, say, workplace
from bench.rig.people import copied, filling, kept, open_account, post, write_in_turn
from bench.rig.processes import Child, new_home

WRITERS, ENTRIES, FEW_ENTRIES = 20, 1_000, 100
"""What the honest nodes hold before, of each writer and with --quick: a newcomer catches up with it."""
EVERY_S = 2.0
"""How often the victim is looked at."""
JOIN_AT = 0.25
"""The share of the attack after which the newcomer comes."""
DRAIN_S = 10.0
"""How long after the last post those that are late may still come."""
LATER_S = 30.0
"""How long the newcomer may need that comes when the strangers are gone."""
MAX_BYTES = "1 GB"
"""The largest store of a victim, so that a row can show where the strangers' share of it ends."""
QUICK = (NOTHING, "forged_witness", "half_open")
"""The rows of --quick: they cost the machine little and leave nothing behind that must be waited for."""


def base_home(folder: Path, entries: int) -> Path:
    """A home with posts of people whose ids are in its file `people`."""

    def make(place: Path) -> None:
        with filling(new_home(place)) as author:
            people = [open_account(author, n)[0] for n in range(WRITERS)]
            write_in_turn(author, iter([(p, [post(p, n) for n in range(entries)]) for p in people]), each_signed=False)
        (place / "people").write_bytes(b"".join(p.id for p in people))

    return kept(folder, f"attacked-{WRITERS}x{entries}", make)


def once(folder: Path, name: str, args: Namespace) -> dict[str, Any]:
    """One row: the three phases of one attack. If an honest process ends under it, or says nothing for a minute, the
    row has `ended`: what it said. Raises BenchError if one ends before, or if the strangers' own process ends."""
    attack, place = named(name), folder / f"attack-{secrets.token_hex(4)}"
    identities = max(attack.needs, args.identities)
    say(f"{name}: {attack.about}")
    full = base_home(folder, args.entries)
    raw = (full / "people").read_bytes()
    people = [AccountId(raw[n : n + 32]) for n in range(0, len(raw), 32)]
    held = {account.hex(): args.entries for account in people}
    follows = [account_to_text(account) for account in people] if args.interest == "follows" else []
    roles = "victim", "neighbour", "newcomer", "newcomer"
    new = [new_home(place / name) for name in ("neighbour", "newcomer", "later")]
    homes = [copied(full, place / "victim"), *new]
    try:
        with ExitStack() as open_:
            play = list[Child]()
            for role, home in zip(roles, homes, strict=True):
                flags = {"storage.max_bytes": MAX_BYTES}
                if role == "victim":
                    flags["interest.mode"] = args.interest
                play.append(open_.enter_context(Child(f"bench.attack.honest:{role}", [home], flags, follows=follows)))
            victim, neighbour, newcomer, later = play
            outside = open_.enter_context(
                Child("bench.attack.outside:attackers", [], attack=name, identities=identities)
            )
            told = {**victim.hear(), "held": held}
            where = neighbour.hear()
            ids = told["address"].rsplit("/", 1)[1], where.rsplit("/", 1)[1]
            neighbour.ask(told)
            newcomer.hear()
            later.hear()
            outside.ask({**told, "neighbour": where})
            watch = Monitor(victim, neighbour, homes[0])
            victim.ask({"post": args.rate})
            time.sleep(EVERY_S)  # the first posts find the tree of the gossip unsettled
            _watch(watch, ids, "before", args.around)
            try:
                outside.ask("attack")
                _watch(watch, ids, "during", args.seconds * JOIN_AT)
                newcomer.ask(told)
                _watch(watch, ids, "during", args.seconds * (1 - JOIN_AT))
                came = newcomer.ask("came")
                price = outside.ask("stop")
                later.ask(told)
                _watch(watch, ids, "after", args.around)
                rest = _came(later)
                victim.ask("hush")
                _drain(watch, ids)
            except (BenchError, OSError) as why:
                if not outside.alive:
                    raise  # the attack is at fault, not the victim
                return {"about": attack.about, "ended": str(why)}
            finally:
                for child in (*play, outside):  # a victim with a backlog would stop slowly, and its home goes anyway
                    child.kill()
            phases = {phase: watch.figures(phase) for phase in PHASES}
            took = {"newcomer_s": came and round(came, 1), "newcomer_after_s": rest and round(rest, 1)}
            return {"about": attack.about, "seconds": args.seconds, "price": price, **phases, **took}
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _watch(watch: Monitor, ids: tuple[str, str], phase: str, seconds: float) -> None:
    """Samples for so long, and says so on standard error."""
    end = time.monotonic() + seconds
    while True:
        say(str(watch.sample(phase, ids)))
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(EVERY_S, left))


def _came(newcomer: Child) -> float | None:
    """How long it needed, seconds; None if it is not finished in time."""
    came: float | None
    end = time.monotonic() + LATER_S
    while (came := newcomer.ask("came")) is None and time.monotonic() < end:
        time.sleep(0.1)
    return came


def _drain(watch: Monitor, ids: tuple[str, str]) -> None:
    """Waits until every post was acknowledged and is at the neighbour, or the time is over."""
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        last = watch.sample("drain", ids)
        if not last.waiting and not last.away:
            return
        time.sleep(0.5)


def measured(folder: Path, args: Namespace) -> dict[str, Any]:
    """The figures: rows by attack, and which hurt. Ctrl-C ends with the rows that are finished, and a row whose
    strangers failed is left out. With --kept the file holds what is finished at any moment."""
    rows: dict[str, dict[str, Any]] = {}
    sizes = {"seconds": args.seconds, "identities": args.identities, "rate": args.rate, "around_s": args.around}
    sizes["interest"] = args.interest
    figures: dict[str, Any] = {"hurts": [], "failed": [], "sizes": sizes, "attacks": rows}
    for name in args.attack:
        try:
            rows[name] = once(folder, name, args)
        except KeyboardInterrupt:
            if not rows:
                raise
            say(f"stopped in {name}; the rows before it are whole")
            break
        except BenchError as why:
            if not rows and name == args.attack[-1]:
                raise
            say(f"{name} was not measured: {why}")
            figures["failed"].append(name)
            continue
        rows[name]["hurts"] = hurts(rows[name], rows.get(NOTHING))
        figures["hurts"] = [name for name, row in rows.items() if row["hurts"]]
        say(f"{name}: {'; '.join(rows[name]['hurts']) or 'held'}")
        if args.kept:
            draft = args.kept.with_name(args.kept.name + ".new")
            draft.write_text(json.dumps(result_of(args, "attack", **figures)) + "\n", "utf-8")
            draft.replace(args.kept)
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--attack",
            choices=names(),
            action="append",
            metavar="NAME",
            help=f"default: all, with --interest follows half. {', '.join(names())}",
        )
        parser.add_argument(
            "--interest",
            choices=("all", "follows"),
            default="all",
            help="which accounts the victim holds; with follows those that it follows, and half of the attacks",
        )
        parser.add_argument("--seconds", type=at_least(2), help="of each attack; default: 30, with --quick 4")
        parser.add_argument("--identities", type=at_least(1), help="strangers at once; default: 50, with --quick 8")
        parser.add_argument("--rate", type=at_least(1), default=5, help="posts of the victim a second; default: 5")
        parser.add_argument("--kept", type=Path, metavar="FILE", help="the result so far, written after each row")

    args = arguments("attack", __doc__, argv, rounds=1, more=more)
    args.attack = args.attack or (
        list(QUICK) if args.quick else names() if args.interest == "all" else names_of_chosen()
    )
    args.seconds = args.seconds or (4 if args.quick else 30)
    args.identities = args.identities or (8 if args.quick else 50)
    args.around = 2 if args.quick else 6
    args.entries = FEW_ENTRIES if args.quick else ENTRIES
    with workplace(args.folder) as folder:
        figures = measured(folder, args)
    if not args.json:
        print(table(cells_of(figures["attacks"])))
    finish(args, "attack", **figures)
