"""Random checkpoints of a set of entries, as honest keys and thieves would sign them, symbolic and real.

Who signs may be granted, a root of now or of once, or nobody. What is named is an entry of the control log that counts
or of any other branch, now and then with a wrong number or an entry that does not exist.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from banyan_crdt.checkpoint import Checkpoint as RealCheckpoint
from banyan_crdt.checkpoint import ControlRef, make_checkpoint
from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.ops import Pin
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer
from tests.model.spec import Checkpoint, Entry, Id, granted_by

NOTHING = bytes(range(32))
"""The id of no entry."""


class Said(NamedTuple):
    symbolic: Checkpoint
    real: RealCheckpoint


def draw(
    rng: random.Random,
    entries: Sequence[Entry],
    honest: Collection[Id],
    realm: Realm,
    signer: Callable[[str], Signer],
    most: int = 6,
) -> list[Said]:
    """entries: symbolic, with real ids. honest: ids of control entries that are named more often."""
    out: list[Said] = []
    for account in dict.fromkeys(e.account for e in entries):
        own = [e for e in entries if e.account == account]
        controls, logs = [e for e in own if not e.log], [e for e in own if e.log]
        likely = [e for e in controls if e.id in honest]
        granted, roots = sorted(granted_by(controls)), sorted({e.signer for e in controls})
        for _ in range(rng.randrange(1, most + 1)):
            r = rng.random()
            by = rng.choice(granted if r < 0.7 and granted else roots if r < 0.95 else ["nobody"])
            named = rng.choice(likely if likely and rng.random() < 0.5 else controls)
            seq, i = named.seq, named.id
            if rng.random() < 0.05:
                seq, i = rng.choice([(seq + 1, i), (seq, NOTHING)])
            pins: dict[tuple[str, int], tuple[str, int, int, Id]] = {}
            for e in rng.sample(logs, min(len(logs), rng.choice([0, 0, 1, 2, 3]))):
                pins[e.name] = (*e.name, e.seq, e.id if rng.random() < 0.95 else NOTHING)
            out.append(_sign(realm, signer, account, by, rng.randrange(1, 4), (seq, i), tuple(pins.values())))
    return out


def _sign(
    realm: Realm,
    signer: Callable[[str], Signer],
    account: Id,
    by: str,
    n: int,
    place: tuple[int, Id],
    pins: tuple[tuple[str, int, int, Id], ...],
) -> Said:
    real_pins = [Pin(signer(writer).key, log, seq, EntryId(i)) for writer, log, seq, i in pins]
    at = ControlRef(place[0], EntryId(place[1]))
    real = make_checkpoint(realm, AccountId(account), signer(by), n, at, real_pins)
    return Said(Checkpoint(real.id, account, by, n, *place, pins), real)
