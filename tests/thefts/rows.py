"""What a thief does with stolen keys, row by row, and what each node has before and after the owner's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from banyan_crdt.ops import Close, Drop, Op, Recover, Rotate
from tests.crdt.make import follow
from tests.thefts.scene import AFTER, BETWEEN, OTHER, OWNERS, Scene, Seen
from tests.thefts.thieves import DEVICE, HOME, NEXT, OLD_NEXT, PLATFORM, ROOT, THIEVES, Said, Thief

CHECKPOINTS = True
"""Whether the rows of old keys are acted with a checkpoint too."""
HIGH = 15
"""Where a high fork parts from the owner's log."""
DAYS = (29, 31)
"""Between a theft and its answer: just within what is kept, and just beyond."""
Act = Callable[[Scene, Thief], None]


def speak(s: Scene, t: Thief, *ops: Op) -> None:
    """The thief's opening, then his operations, on the honest control log up to where his key has a rank."""
    path = s.base[: t.at]
    assert t.speaks is not None
    by = t.speaks(s)
    first = len(path)
    for who, op in (*t.opening(s), *((by, op) for op in ops)):
        path = [*path, s.says(path, who, op)]
    s.send_control(*path[first:])
    if t.witness:
        s.spread(1)
        s.send_checkpoint(t.witness, path[first])


def tomb_all(s: Scene, t: Thief) -> None:
    """With the device's key in its own log; else a device of the thief's is let in."""
    if t.device:
        s.send_log([*s.log, follow(s.person.full("phone"), s.person.log(), s.log, *s.tombs())], len(s.log))
        return
    speak(s, t, s.person.grant_op("thief"))
    s.spread(2)
    s.send_log([follow(s.person.full("thief"), s.person.log("thief"), [], *s.tombs())], 0)


def fork(seq: int) -> Act:
    def act(s: Scene, t: Thief) -> None:
        for rival in s.rivals(seq):
            s.send_log(rival, seq)

    return act


def pin_a_fork(s: Scene, t: Thief) -> None:
    """The notary pins what the thief wrote from entry 0 on."""
    rival = s.rivals(0, 1)[0]
    s.send_log(rival, 0)
    s.spread(2)
    s.send_log([follow(s.person.full("notary"), s.person.log("notary"), [], s.person.pin(rival[0]))], 0)


def pin_nothing(s: Scene, t: Thief) -> None:
    """The notary pins entries that do not exist."""
    made = s.log[-1].header
    pins = [s.person.pin(s.log[-1])._replace(seq=made.seq + 100 + k, id=s.log[k % len(s.log)].id) for k in range(8)]
    s.send_log([follow(s.person.full("notary"), s.person.log("notary"), [], *pins)], 0)


def tie(s: Scene, t: Thief) -> None:
    """The owner writes with the same key at the same vertex before she hears of the thief."""
    if t.at is None:
        opening = t.opening(s)
        by, op = opening[0] if opening else (s.key(ROOT), s.person.pin(s.log[-1]))
        mine = s.says(s.base, by, _hers(s, op))
        r = s.replica(OWNERS)
        r.ingest.control(s.person.id, [mine], r.wall_ms(s.world.now))
        r.writes.publish_control(s.person.id, s.world.now)
        s.world.drain(OWNERS)
    speak(s, t, *(() if t.opening(s) else (s.person.pin(s.log[0]),)))


def _hers(s: Scene, op: Op) -> Op:
    if isinstance(op, Rotate):
        return op._replace(next=s.person.digest(s.fresh_key()))
    if isinstance(op, Recover):
        return Recover(s.person.digest(s.fresh_key()), s.person.digest(s.fresh_key()))
    return op


class Action(NamedTuple):
    name: str
    act: Act
    by_device: bool = False
    by_notary: bool = False
    by_control: bool = False


ACTIONS = [
    Action("tomb all", tomb_all, by_device=True, by_control=True),
    Action("cut the device", lambda s, t: speak(s, t, s.person.cut("phone")), by_control=True),
    Action("drop the log", lambda s, t: speak(s, t, Drop(s.person.key("phone"), s.person.log().log)), by_control=True),
    Action("close", lambda s, t: speak(s, t, Close()), by_control=True),
    Action("rotate", lambda s, t: speak(s, t, s.person.rotate(ROOT, "thief9")), by_control=True),
    Action(
        "recover",
        lambda s, t: speak(s, t, Recover(s.person.digest("thief8"), s.person.digest("thief9"))),
        by_control=True,
    ),
    Action("fork high", fork(HIGH), by_device=True),
    Action("fork at 0, ids ground", fork(0), by_device=True),
    Action("freeze by tie", tie, by_control=True),
    Action("pin a fork at 0", pin_a_fork, by_notary=True, by_device=True),
    Action("pin what does not exist", pin_nothing, by_notary=True),
]


def can(t: Thief, a: Action) -> bool:
    if a.by_notary:
        return t.notary and (t.device or not a.by_device)
    return (a.by_device and t.device) or (a.by_control and t.speaks is not None)


@dataclass(frozen=True, slots=True)
class Row:
    """One theft, acted out. `days`: between the theft and the answer. `home_gone`: the owner's node goes with it."""

    thief: Thief
    action: Action
    days: int = 0
    home_gone: bool = False
    checkpoint: bool = False

    @property
    def key(self) -> str:
        if not self.thief.checkpoint:
            return self.thief.name
        return f"{self.thief.name} ({'with a' if self.checkpoint else 'no'} checkpoint)"

    @property
    def unharmed(self) -> bool:
        """Whether no node may be affected, so that there is nothing to answer."""
        return self.checkpoint and self.thief.checkpoint

    @property
    def required(self) -> bool:
        return self.unharmed or (self.thief.stronger and self.days <= 30)


class Result(NamedTuple):
    """What the owner's node, another and a newly joined one show; then after the answer, and later."""

    at_once: tuple[Seen | None, Seen | None]
    between: Seen | None
    answered: tuple[Seen | None, Seen | None]
    between_answered: Seen | None
    after: Seen | None

    @property
    def before(self) -> list[Seen]:
        return [x for x in (*self.at_once, self.between) if x is not None]

    @property
    def in_the_end(self) -> list[Seen]:
        return [x for x in (*self.answered, self.between_answered, self.after) if x is not None]

    @property
    def back(self) -> bool:
        """Whether everything that the owner wrote is everywhere, and her entry is the account's last."""
        return all(x.well for x in self.in_the_end)

    @property
    def unharmed(self) -> bool:
        return self.back and all(x.well for x in self.before)


def run(row: Row) -> Result:
    t = row.thief
    s = Scene(**{"checkpoint": row.checkpoint, **t.setup})
    row.action.act(s, t)
    s.spread()
    if row.home_gone or t.home_gone:
        s.world.stop(OWNERS)
    s.join(BETWEEN)
    at_once, between = (s.look(OWNERS), s.look(OTHER)), s.look(BETWEEN)
    if row.days:
        s.wait(row.days)
    said: Said = [] if row.unharmed else t.answer(s)
    if said:
        s.answer(*said)
    s.join(AFTER)
    return Result(at_once, between, (s.look(OWNERS), s.look(OTHER)), s.look(BETWEEN), s.look(AFTER))


def every_row() -> Iterable[Row]:
    for t in THIEVES:
        for checkpoint in (False, True) if CHECKPOINTS and t.checkpoint else (False,):
            yield from (Row(t, a, checkpoint=checkpoint) for a in ACTIONS if can(t, a))


def named(name: str) -> Action:
    return next(a for a in ACTIONS if a.name == name)


def late_rows() -> Iterable[Row]:
    """The same with days between: what is kept for 30 days, and what is lost after them."""
    cases = [
        (DEVICE, "tomb all"),
        (DEVICE, "fork at 0, ids ground"),
        (NEXT, "cut the device"),
        (OLD_NEXT, "freeze by tie"),
        (HOME, "close"),
        (PLATFORM, "close"),
    ]
    for t, name in cases:
        for gone in (True,) if t.home_gone else (False, True):
            yield from (Row(t, named(name), days, home_gone=gone) for days in DAYS)
