"""What a link carries beyond news while the root of an account moves many heads to and fro: its checkpoints pin one of
two branches of each log, and then none.

uv run python -m tests.replica.flips [LOGS] [SECONDS] [HOURS] [WAY]: for so many logs and a checkpoint in every so many
seconds, for each hour, in kB: what the attacker wrote, what the link carried beyond news, and how much more that is
than with checkpoints that pin nothing; then, in seconds, how late a post was at most of which each node writes one a
minute, and which is not pushed. The ways are those of `Flips`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from banyan_crdt.checkpoint import ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.codec import decode
from banyan_crdt.entry import Entry
from banyan_crdt.ids import LogId
from banyan_crdt.ops import Grant, Pin
from banyan_crdt.run import decode_run
from banyan_replica.gossip.frames import PushFrame
from banyan_replica.wire.data_items import decode_item
from banyan_replica.wire.message_table import decode_message
from banyan_replica.wire.messages import CheckpointItem, ControlItem, DataItems, GossipFrame, Item, RunItem
from tests.crdt.make import TICK, follow, signer
from tests.replica.forging import WIDE, Forger, Pair
from tests.replica.helpers import data

Way = Literal["pins", "chain", "both", "apart", "chosen"]
WAYS: tuple[Way, ...] = get_args(Way)
A_PAGE = 200
"""Pins in an entry of a notary."""


class Meter:
    """Counts what the two nodes of a world say to each other. again: bytes beyond entries and checkpoints that the one
    or the other did not have."""

    def __init__(self, w: Pair) -> None:
        self.w, self.again = w, 0
        self._seen: set[tuple[str, bytes]] = set()
        w.lost = self._passes

    def _passes(self, sender: str, to: str, raw: bytes) -> bool:
        if sender in self.w.replicas and to in self.w.replicas:
            m, items = decode_message(raw), list[Item]()
            if isinstance(m, DataItems):
                items = list(m.items)
            elif isinstance(m, GossipFrame) and isinstance(m.frame, PushFrame):
                items = [decode_item(decode(push.payload)) for push in m.frame.items]
            self.again += len(raw) - sum(self._news(sender, to, item) for item in items)
        return False

    def _news(self, sender: str, to: str, item: Item) -> int:
        if isinstance(item, RunItem):
            keys, size = [bytes(e.id) for e in decode_run(self.w.realm, item.run).entries], len(item.run)
        elif isinstance(item, ControlItem):
            keys, size = [bytes(e[0]) for e in item.entries], sum(len(x) for e in item.entries for x in e)
        elif isinstance(item, CheckpointItem):
            keys, size = [item.checkpoint], len(item.checkpoint)
        else:
            return 0
        new = sum((to, key) not in self._seen for key in keys)
        self._seen.update((name, key) for key in keys for name in (sender, to))
        return size * new // len(keys)


class Flips:
    """Two linked nodes that hold two branches of each of so many logs, and a stranger who tells checkpoints.

    way: "pins": to one node, and each pins all the logs. "chain": each pins one entry of a notary, that pins all of
    them. "both": to both nodes at once. "apart": so, and one pins them while the other pins nothing. "chosen": the
    nodes hold chosen accounts."""

    def __init__(self, logs: int, way: Way = "pins") -> None:
        self.w, self.who, self.wrote, self._n = Pair(WIDE), Forger(WIDE), 0, 0
        self.who.say(Grant(self.who.device, 1, 100_000, 8, None, None, None))
        notary = signer("notary", WIDE).key
        self.who.say(Grant(notary, 1, 9, 4, None, None, None))
        self.people = {name: self.w.person(name, f"of {name}") for name in "ab"}
        branches = [[self.who.write(1, salt=salt, log=k) for salt in (0, 7)] for k in range(1, logs + 1)]
        pins = [
            [Pin(self.who.device, k, 0, log[0].id) for k, log in enumerate(side, 1)]
            for side in zip(*branches, strict=True)
        ]
        self._pins, chains = pins[0] if pins else [], list[list[Entry]]()
        if way == "chain":
            chains = [self._chain(LogId(self.who.id, notary, 1), side) for side in pins]
            self._pins = [Pin(notary, 1, len(chain) - 1, chain[-1].id) for chain in chains[:1]]
        for name in "ab":
            self.w.control(name, self.who)
            if way == "chosen":
                chosen = [self.who.id, *(person.id for person in self.people.values())]
                self.w.replicas[name].set_interest(chosen, self.w.now)
            for log in [*chains, *(log for side in branches for log in side)]:
                self.w.give(name, log)
        self.w.link("a", "b")
        self.w.until(self.w.same, 60)
        self._told, self._apart = "ab" if way in ("both", "apart") else "a", way == "apart"
        for name in self._told:
            self.w.rogue(f"x{name}", name, realm=WIDE.id)

    def _chain(self, log: LogId, pins: Sequence[Pin]) -> list[Entry]:
        out = list[Entry]()
        for at in range(0, len(pins), A_PAGE):
            time = self.who.at + (len(out) + 1) * TICK
            out.append(follow("notary", log, out, *pins[at : at + A_PAGE], realm=WIDE, time=time))
        return out

    def flip(self, seconds: float) -> None:
        """One more checkpoint, and the time to the next."""
        made = self._checkpoint()
        for name in self._told:
            self.wrote += len(made)
            self.w.say(f"x{name}", name, data(CheckpointItem(made)))
            made = self._checkpoint() if self._apart else made
        self.w.run(seconds)

    def _checkpoint(self) -> bytes:
        self._n += 1
        end, pins = self.who.control[-1], self._pins if self._n % 2 else []
        place = ControlRef(end.header.seq, end.id)
        return encode_checkpoint(make_checkpoint(WIDE, self.who.id, signer("root", WIDE), self._n, place, pins))

    def post(self) -> None:
        """Each node writes a post that is not pushed."""
        for name, person in self.people.items():
            self.w.post(name, person, 1)

    def told(self) -> bool:
        """Whether both have all posts."""
        logs = [person.log() for person in self.people.values()]
        return all(self.w.head("a", log) == self.w.head("b", log) for log in logs)


class Spell(NamedTuple):
    """wrote: bytes of the attacker. again: bytes of the link beyond news. late: seconds."""

    wrote: int
    again: int
    late: float


def measure(logs: int, seconds: float, minutes: Sequence[int], way: Way = "pins") -> list[Spell]:
    """Spells of so many minutes, one after the other."""
    there, out = Flips(logs, way), list[Spell]()
    w, meter = there.w, Meter(there.w)
    for spell in minutes:
        wrote, again, worst = there.wrote, meter.again, 0.0
        for _ in range(spell):
            there.post()
            began, late = w.now, 60.0
            while w.now < began + 60:
                there.flip(seconds)
                if there.told():
                    late = min(late, w.now - began)
            worst = max(worst, late)
        out.append(Spell(there.wrote - wrote, meter.again - again, worst))
    return out


def main() -> None:
    logs, seconds, hours = (int(x) for x in (*sys.argv[1:4], *("250", "5", "2")[len(sys.argv[1:4]) :]))
    way = (*(way for way in WAYS if way in sys.argv[4:]), WAYS[0])[0]
    quiet, flips = (measure(n, seconds, [60] * hours, way) for n in (0, logs))
    for hour, idle in zip(flips, quiet, strict=True):
        kb = [x // 1_000 for x in (hour.wrote, hour.again, hour.again - idle.again)]
        print(way, logs, *kb, f"{hour.late:.0f}", flush=True)


if __name__ == "__main__":
    main()
