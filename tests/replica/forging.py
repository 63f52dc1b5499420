"""An attacker who writes what he likes with keys of his own, and honest replicas that are given it in virtual time."""

from __future__ import annotations

from collections.abc import Sequence

from banyan_crdt.entry import Entry, skip_seq
from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId, CellKey, EntryId, Head, LogId, coll, control_log, key_digest
from banyan_crdt.ops import Count, Grant, Init, Op, Pin, Slot, Unknown
from banyan_crdt.realm import TEST, Realm
from banyan_crdt.run import decode_run
from tests.crdt.make import NOBODY, TICK, follow, run_bytes, signer
from tests.replica.helpers import World

BIRTH_MS = TEST.birth_ms
DAY_MS = 86_400_000
NOW_S = BIRTH_MS / 1000 + 40 * 86_400
NARROW = Realm("narrow", BIRTH_MS, 20, 1, 1 << 20, 1 << 20)
"""A log may hold 20 entries, and one more each day."""
WIDE = TEST


class Forger:
    """An account whose owner writes what he likes, of the realm."""

    def __init__(self, realm: Realm, number: int = 0) -> None:
        self.realm, self.at = realm, (BIRTH_MS + DAY_MS + number) << 16
        slot = Slot(key_digest(signer("root", realm).key), bytes(32))
        born = follow("root", control_log(NOBODY), [], Init((slot,), None), realm=realm, time=self.at)
        self.id = AccountId(born.id)
        self.control = [born]
        self.device = signer("device", realm).key
        self.log = LogId(self.id, self.device, 1)
        self.say(Grant(self.device, 1, 99, 8, None, None, None))

    def say(self, *ops: Op) -> None:
        self.control.append(follow("root", control_log(self.id), self.control, *ops, realm=self.realm))

    def pin(self, seq: int, entry: EntryId) -> Pin:
        return Pin(self.device, self.log.log, seq, entry)

    def write(
        self,
        n: int,
        below: Sequence[Entry] = (),
        salt: int = 0,
        pad: int = 0,
        every: int = 0,
        log: int = 1,
        by: str = "device",
        days: int = 0,
    ) -> list[Entry]:
        """n entries over `below`, of which the last is signed, and each one after `every` others. days: later than the
        entry below, the first of them."""
        out, name = list(below), LogId(self.id, signer(by, self.realm).key, log)
        for j in range(n):
            k = len(out)
            op: Op = (
                Unknown(99, (k + salt, bytes(pad))) if pad else Count(coll("post"), CellKey(bytes(16)), k + salt + 1)
            )
            time = out[-1].header.time + TICK if out else self.at + (k + 1) * TICK
            time += (days * DAY_MS << 16) if j == 0 else 0
            signed = j == n - 1 or bool(every and (j + 1) % every == 0)
            out.append(follow(by, name, out, op, realm=self.realm, time=time, signed=signed))
        return out


def proof(log: Sequence[Entry], last: int) -> list[Entry]:
    """Entries from the last of the log down to one that links to place `last`."""
    out, at = list[Entry](), len(log) - 1
    while at > last:
        out.append(log[at])
        target = skip_seq(at)
        at = target if target is not None and target >= last else at - 1
    return out


class Pair(World):
    """Two nodes that are given things, and then linked."""

    def __init__(self, realm: Realm) -> None:
        super().__init__("a", "b", realm=realm)
        self.now = NOW_S

    def control(self, name: str, who: Forger) -> None:
        replica = self.replicas[name]
        replica.ingest.control(who.id, who.control, replica.wall_ms(self.now))
        self.drain(name)

    def give(
        self, name: str, log: Sequence[Entry], first: int = 0, stop: int | None = None, proof: Sequence[Entry] = ()
    ) -> str:
        """Gives a run to a node. Returns why it was not taken, or an empty string. proof: of a pin above it."""
        replica = self.replicas[name]
        run = decode_run(self.realm, run_bytes(log, first, len(log) if stop is None else stop))
        try:
            replica.ingest.run(run, replica.wall_ms(self.now), proof=[e.header for e in proof])
        except NotYet as why:
            return why.reason
        finally:
            self.drain(name)
        return ""

    def heads(self, log: LogId) -> list[Head]:
        return [self.head(name, log) for name in ("a", "b")]

    def pass_time(self, seconds: float) -> int:
        """Runs, and makes a link that ended again. Returns how many bytes went over it."""
        before = sum(self.bytes.values())
        for _ in range(int(seconds // 10)):
            if "b" not in self.replicas["a"].links:
                self.link("a", "b")
            self.run(10)
        return sum(self.bytes.values()) - before
