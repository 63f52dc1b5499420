"""Random histories of accounts that thieves write in, from the model's generator, with what the kernel makes of them.

    python -m tests.js.histories --sets 5000 --seed S > FILE && node js/test/histories.js FILE

One JSON value a line, in the form of tests/vectors/forks.json, with the realm and the cells.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from typing import Any

from banyan_crdt.cells import Cell, fold
from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import AccountId
from banyan_crdt.state import AccountState
from tests.model.agreement import checkpoints_of
from tests.model.concrete import REALM, Concrete, RealJudge, concrete
from tests.model.scenarios import scenario
from tests.model.signed import Said
from tests.vectors.shown import entry, log_name

REALM_JSON = {
    "id": REALM.id.hex(),
    "birthMs": REALM.birth_ms,
    "entryBurst": REALM.entry_burst,
    "entriesPerDay": REALM.entries_per_day,
    "byteBurst": REALM.byte_burst,
    "bytesPerDay": REALM.bytes_per_day,
}


def histories(seed: str, sets: int) -> Iterator[dict[str, Any]]:
    """Each set twice for each of its accounts: without checkpoints, and with."""
    for n in range(sets):
        rng = random.Random(f"{seed}/{n}")
        c = concrete(scenario(rng), rng)
        judge = RealJudge(c)
        for said in ([], checkpoints_of(rng, c)):
            for account in c.symbolic.accounts:
                of_account = [one for one in said if one.real.account == account]
                yield told(f"{seed}/{n}", c, judge, AccountId(bytes(account)), of_account)


def told(name: str, c: Concrete, judge: RealJudge, account: AccountId, said: list[Said]) -> dict[str, Any]:
    s = judge.state(account, c.symbolic.everything, -1, said)
    own = [e for e in c.real if e.account == account]
    logs = {tuple(log_name(e.log_id)): [entry(o) for o in own if o.log_id == e.log_id] for e in own if e.header.log}
    heads = sorted(s.heads.items())
    return {
        "name": name,
        "realm": REALM_JSON,
        "account": account.hex(),
        "control": [entry(e) for e in own if not e.header.log],
        "logs": [{"log": log, "entries": entries} for log, entries in logs.items()],
        "checkpoints": [encode_checkpoint(one.real).hex() for one in said],
        "frozen": s.control.frozen,
        "path": [e.id.hex() for e in s.control.path],
        "heads": [[*log_name(log), h.length, h.id.hex() if h.id else None, h.flag] for log, h in heads],
        "digest": frontier_digest(heads).hex(),
        "cells": cells(s),
    }


def cells(s: AccountState) -> dict[str, Any]:
    found = fold(s.counted())

    def name(cell: Cell) -> str:
        return f"{cell[0].hex()}/{cell[1].hex()}"

    return {
        "registers": {name(c): [[e.hex(), i] for (_, e, i), _ in live] for c, live in found.registers.items()},
        "sets": {name(c): sorted(elem.hex() for elem in elems) for c, elems in found.sets.items()},
        "counters": {name(c): n for c, n in found.counters.items()},
        "tombs": sorted(map(name, found.tombs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.js.histories", description=__doc__)
    parser.add_argument("--sets", type=int, default=1_000)
    parser.add_argument("--seed", default="1")
    args = parser.parse_args()
    for history in histories(args.seed, args.sets):
        print(json.dumps(history))


if __name__ == "__main__":
    main()
