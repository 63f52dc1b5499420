"""What a link carries while one of two honest nodes cannot take what an attacker gave the other, and how late posts are
that are not pushed.

uv run python -m tests.replica.stuck [LOGS ...]: for so many logs of one entry, in kB: what they are, and what the link
carries in the first hour, in the second and in the third beside what it carries without them; then, in seconds, how
late a post was at most of which each node writes one a minute.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from banyan_crdt.errors import Reason
from banyan_crdt.ops import Grant
from tests.crdt.make import Person, run_bytes
from tests.replica.forging import WIDE, Forger, Pair
from tests.replica.test_refusals import refuse


class Stuck(NamedTuple):
    """minutes: bytes that the link carried in each. wrote: bytes of the attacker's logs. late: seconds."""

    minutes: list[int]
    wrote: int
    late: float

    def hour(self, n: int) -> int:
        return sum(self.minutes[60 * n : 60 * n + 60])


class Scene(NamedTuple):
    """wrote: bytes of the attacker's logs. people: who writes at each node."""

    w: Pair
    who: Forger
    wrote: int
    people: dict[str, Person]

    def minute(self) -> tuple[int, float]:
        """Each node writes a post that is not pushed. Returns the bytes that the link carried, and how late one was."""
        before = sum(self.w.bytes.values())
        for name, person in self.people.items():
            self.w.post(name, person, 1)
        logs = [p.log() for p in self.people.values()]
        late = self.w.until(lambda: all(self.w.head("a", log) == self.w.head("b", log) for log in logs), 600)
        self.w.run(60 - late % 60)
        return sum(self.w.bytes.values()) - before, late


def scene(logs: int, reason: Reason = "busy") -> Scene:
    """a holds the logs, and b refuses them."""
    w, who = Pair(WIDE), Forger(WIDE)
    who.say(Grant(who.device, 1, 100_000, 8, None, None, None))
    people = {name: w.person(name, f"of {name}") for name in "ab"}
    for name in "ab":
        w.control(name, who)
    w.link("a", "b")
    w.until(w.same, 60)
    refuse(w, "b", who.id, reason)
    wrote = 0
    for k in range(1, logs + 1):
        log = who.write(1, log=k)
        wrote += len(run_bytes(log, 0, 1))
        assert not w.give("a", log)
    return Scene(w, who, wrote, people)


def measure(logs: int, minutes: int) -> Stuck:
    there = scene(logs)
    seen = [there.minute() for _ in range(minutes)]
    return Stuck([carried for carried, _ in seen], there.wrote, max(late for _, late in seen))


def main() -> None:
    quiet = measure(0, 180)
    for logs in map(int, sys.argv[1:] or ("300", "1000", "3000", "10000")):
        stuck = measure(logs, 180)
        hours = [(stuck.hour(n) - quiet.hour(n)) // 1_000 for n in range(3)]
        print(logs, stuck.wrote // 1_000, *hours, f"{stuck.late:.0f}", flush=True)
    print("without them", *(quiet.hour(n) // 1_000 for n in range(3)), f"{quiet.late:.0f}")


if __name__ == "__main__":
    main()
