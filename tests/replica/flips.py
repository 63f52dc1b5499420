"""What a link carries beyond news while the root of an account moves many heads to and fro: its checkpoints pin one of
two branches of each log, and then none.

uv run python -m tests.replica.flips [LOGS] [SECONDS] [MINUTES]: for so many logs and a checkpoint in every so many
seconds, in kB an hour: what the attacker wrote, what the link carried beyond news, of that in the second half; then, in
seconds, how late a post was at most of which each node writes one a minute, and which is not pushed.
"""

from __future__ import annotations

import sys

from banyan_crdt.checkpoint import Place, encode_checkpoint, make_checkpoint
from banyan_crdt.codec import decode
from banyan_crdt.ops import Grant, Pin
from banyan_crdt.run import decode_run
from banyan_replica.gossip.frames import Pushes
from banyan_replica.wire import (
    CheckpointItem,
    ControlItem,
    DataItems,
    GossipFrame,
    Item,
    RunItem,
    decode_item,
    decode_message,
)
from tests.crdt.make import signer
from tests.replica.forging import WIDE, Forger, Pair
from tests.replica.helpers import data


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
            elif isinstance(m, GossipFrame) and isinstance(m.frame, Pushes):
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
    """Two linked nodes that hold two branches of each of so many logs, and a stranger who tells one of them
    checkpoints."""

    def __init__(self, logs: int) -> None:
        self.w, self.who, self.wrote, self._n = Pair(WIDE), Forger(WIDE), 0, 0
        self.who.say(Grant(self.who.device, 1, 100_000, 8, None, None, None))
        self.people = {name: self.w.person(name, f"of {name}") for name in "ab"}
        self._pins: list[Pin] = []
        branches = [[self.who.write(1, salt=salt, log=k) for salt in (0, 7)] for k in range(1, logs + 1)]
        for name in "ab":
            self.w.control(name, self.who)
            for k, (one, other) in enumerate(branches, 1):
                self.w.give(name, one)
                self.w.give(name, other)
                if name == "a":
                    self._pins.append(Pin(self.who.device, k, 0, one[0].id))
        self.w.link("a", "b")
        self.w.until(self.w.same, 60)
        self.w.rogue("x", "a", realm=WIDE.id)

    def flip(self, seconds: float) -> None:
        """One more checkpoint, and the time to the next."""
        self._n += 1
        end, pins = self.who.control[-1], self._pins if self._n % 2 else []
        place = Place(end.header.seq, end.id)
        made = encode_checkpoint(make_checkpoint(WIDE, self.who.id, signer("root", WIDE), self._n, place, pins))
        self.wrote += len(made)
        self.w.say("x", "a", data(CheckpointItem(made)))
        self.w.run(seconds)

    def post(self) -> None:
        """Each node writes a post that is not pushed."""
        for name, person in self.people.items():
            self.w.post(name, person, 1)

    def told(self) -> bool:
        """Whether both have all posts."""
        logs = [person.log() for person in self.people.values()]
        return all(self.w.head("a", log) == self.w.head("b", log) for log in logs)


def main() -> None:
    logs, seconds, minutes = (int(x) for x in (*sys.argv[1:], *("250", "5", "60")[len(sys.argv) - 1 :]))
    there = Flips(logs)
    w, meter, worst, half = there.w, Meter(there.w), 0.0, 0
    for minute in range(minutes):
        there.post()
        began, late = w.now, None
        while w.now < began + 60:
            there.flip(seconds)
            if late is None and there.told():
                late = w.now - began
        worst = max(worst, 60.0 if late is None else late)
        half = meter.again if minute < minutes // 2 else half
    per_hour = [x * 60 // minutes // 1_000 for x in (there.wrote, meter.again, 2 * (meter.again - half))]
    print(logs, *per_hour, f"{worst:.0f}", flush=True)


if __name__ == "__main__":
    main()
