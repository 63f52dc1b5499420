"""Thefts of several moves: the thief replies to the answer, fills logs, branches lower, or comes before the posts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from banyan_crdt.entry import MAX_CONTROL, MORE_REVOKING, Entry
from banyan_crdt.ops import Close, Drop, Op, Recover
from banyan_crdt.realm import TEST
from banyan_replica.intake.clock_bounds import checkpoints_allowed
from banyan_replica.intake.log_recount import BESIDE_ENTRIES
from banyan_replica.sync.item_builder import log_items
from tests.crdt.make import START, add, follow
from tests.replica.helpers import START_S, data
from tests.thefts.rows import HIGH, Result, fork, speak, tomb_all
from tests.thefts.scene import AFTER, BETWEEN, OTHER, OWNERS, THIEF, Scene
from tests.thefts.thieves import CURRENT, DEVICE, HOME, HOME_ALL, OLD_NEXT, ROOT, Said, cut_device

LATER = 40
"""Days between a deletion that was taken back and the same once more."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """`act` is the theft and whatever follows; it returns what is seen. `required`: whether all must come back."""

    key: str
    does: str
    act: Callable[[], Result]
    required: bool = True
    unharmed: bool = False
    """Whether nothing may go at any node."""
    why: str = ""


def _halfway(s: Scene) -> Result:
    """What is seen before the answer, with a node that joins now."""
    s.spread()
    s.join(BETWEEN)
    return Result((s.look(OWNERS), s.look(OTHER)), s.look(BETWEEN), (None, None), None, None)


def _in_the_end(s: Scene, half: Result) -> Result:
    s.join(AFTER)
    return half._replace(
        answered=(s.look(OWNERS), s.look(OTHER)), between_answered=s.look(BETWEEN), after=s.look(AFTER)
    )


def _answered(s: Scene, said: Said) -> Result:
    half = _halfway(s)
    s.answer(*said)
    return _in_the_end(s, half)


def answers_the_answer() -> Result:
    s = Scene()
    speak(s, HOME, Close())
    half = _halfway(s)
    s.answer(*HOME.answer(s))
    for at in (None, 1):
        speak_from(s, at, Drop(s.person.key("phone"), 1))
    fork(0)(s, HOME)
    tomb_all(s, HOME)
    s.spread()
    return _in_the_end(s, half)


def speak_from(s: Scene, at: int | None, *ops: Op) -> None:
    """The thief of a home speaks from a chosen place of the honest control log."""
    path = s.base[:at]
    first = len(path)
    for who, op in (*HOME.opening(s), *((s.next_key(ROOT), op) for op in ops)):
        path = [*path, s.says(path, who, op)]
    s.send_control(*path[first:])


def branches_ever_lower() -> Result:
    s = Scene()
    for at in range(len(s.base), 0, -1):
        speak_from(s, at, Close())
        s.spread(2)
    return _answered(s, HOME.answer(s))


def fills_the_control_log() -> Result:
    """All places with pins, then those that are left for what revokes with drops of logs that nobody writes."""
    s = Scene()
    path, by = list(s.base), s.key(ROOT)
    while len(path) < MAX_CONTROL + MORE_REVOKING:
        full = len(path) >= MAX_CONTROL
        path.append(s.says(path, by, Drop(s.person.key("phone"), 2) if full else s.person.pin(s.log[0])))
    s.send_control(*path[len(s.base) :])
    return _answered(s, CURRENT.answer(s))


def drops_and_grants_again() -> Result:
    s = Scene()
    speak(s, CURRENT, Drop(s.person.key("phone"), 1), s.person.grant_op("phone"))
    return _answered(s, CURRENT.answer(s))


def pins_a_fork_by_the_root() -> Result:
    s = Scene()
    rival = s.rivals(0, 1)[0]
    s.send_log(rival, 0)
    s.spread(2)
    speak(s, CURRENT, s.person.pin(rival[0]))
    half = _halfway(s)
    new = s.next_key(ROOT)
    s.answer(*CURRENT.answer(s), *cut_device(s, new))
    return _in_the_end(s, half)


def dates_back() -> Result:
    """The device's grant ended long ago; the thief dates his entries before that."""
    s = Scene(until=int(START_S + 3_600) * 1000 << 16)
    s.wait(100)
    fork(0)(s, DEVICE)
    return _answered(s, DEVICE.answer(s))


def floods_a_fresh_node() -> Result:
    """A node that meets the thief first: its room for branches is full before it hears of the owner's log."""
    s = Scene()
    fork(0)(s, DEVICE)
    s.spread()
    s.world.start(BETWEEN)
    s.replica(BETWEEN).ingest.control(s.person.id, s.base, int(s.world.now * 1000))
    s.world.drain(BETWEEN)
    s.world.rogue(f"{THIEF}2", BETWEEN)
    room = 0
    for branch, first, stop in _junk(s):
        s.send_log(branch[:stop], first, to=BETWEEN, by=f"{THIEF}2")
        room = s.replica(BETWEEN).ingest.slow.room(s.person.log()).entries
    assert room == BESIDE_ENTRIES, f"the flood filled {room} places of {BESIDE_ENTRIES}"
    half = Result((s.look(OWNERS), s.look(OTHER)), s.look(BETWEEN), (None, None), None, None)
    s.world.link(BETWEEN, OTHER)
    s.spread()
    s.answer(*DEVICE.answer(s))
    s.spread(30)
    return _in_the_end(s, half)


def _junk(s: Scene) -> Iterator[tuple[list[Entry], int, int]]:
    """(branch, first, stop) of runs of 256 entries: as many as there is room for, and some more."""
    for k in range(2 + BESIDE_ENTRIES // 1024):
        branch = [follow(s.person.full("phone"), s.person.log(), [], add(f"junk {k}"), time=START + 5 + k)]
        while len(branch) < 1024:
            signed = len(branch) % 256 == 255
            branch.append(
                follow(s.person.full("phone"), s.person.log(), branch, add(f"j{k}.{len(branch)}"), signed=signed)
            )
        yield from ((branch, first, first + 256) for first in range(0, 1024, 256))
    for k in range(300):
        one = follow(s.person.full("phone"), s.person.log(), [], add(f"last {k}"), time=START + 100 + k)
        yield [one], 0, 1


def archive_in_the_end() -> Result:
    """Nothing is left anywhere; the owner's archive is read in after her answer, at one node."""
    s = Scene()
    archive = list(log_items(s.store(OWNERS), s.person.log(), 0))
    fork(0)(s, DEVICE)
    s.spread()
    s.world.stop(OWNERS)
    s.wait(31)
    half = _halfway(s)
    s.answer(*DEVICE.answer(s))
    s.world.rogue("archive", OTHER)
    s.world.say("archive", OTHER, data(*archive))
    s.spread(20)
    return _in_the_end(s, half)


def tombs_then_freezes() -> Result:
    s = Scene()
    tomb_all(s, DEVICE)
    s.spread(2)
    speak(s, HOME_ALL, Recover(s.person.digest("thief8"), s.person.digest("thief9")))
    return _answered(s, HOME_ALL.answer(s))


def tombs_twice() -> Result:
    """He deletes in a second log, takes that back by forking it, and deletes once more when the days have passed."""
    s = Scene()
    phone = s.person.full("phone")
    second, third = s.person.log(number=2), s.person.log(number=3)
    s.send_log([follow(phone, second, [], *s.tombs())], 0)
    s.spread()
    s.wait(1)
    for k in range(2):
        s.send_log([follow(phone, second, [], add(f"back {k}"))], 0)
    s.spread()
    s.wait(LATER)
    s.send_log([follow(phone, third, [], *s.tombs())], 0)
    half = _halfway(s)
    s.wait(1)
    s.answer(*DEVICE.answer(s))
    return _in_the_end(s, half)


def vouched_by_a_daily_pin(home_gone: bool = False) -> Result:
    """Her device writes on a journey. The thief is quicker, and the node that holds the root pins what it hears."""
    s = Scene(posts=HIGH + 1)
    s.posts_alone()
    rival = s.rivals(HIGH, 1)[0]
    s.send_log(rival, HIGH)
    s.spread(2)
    r = s.replica(OTHER)
    pin = s.says(s.base, s.key(ROOT), s.person.pin(rival[-1]))
    r.ingest.control(s.person.id, [pin], r.wall_ms(s.world.now))
    r.writes.publish_control(s.person.id, s.world.now)
    s.world.drain(OTHER)
    s.world.link(OWNERS, OTHER)
    s.spread()
    if home_gone:
        s.world.stop(OWNERS)
    half = _halfway(s)
    s.answer(*CURRENT.answer(s), *cut_device(s, s.next_key(ROOT)))
    return _in_the_end(s, half)


def pins_in_a_checkpoint(by: str | None) -> Result:
    """He forks at 0 and signs a newer checkpoint that pins his branch; `by` None: with the current root's key."""
    s = Scene(notary=True, checkpoint=True)
    rival = s.rivals(0, 1)[0]
    s.send_log(rival, 0)
    s.spread(2)
    s.send_checkpoint(by or s.key(ROOT), s.last, s.person.pin(rival[0]))
    half = _halfway(s)
    if by is None:
        s.answer(*CURRENT.answer(s), *cut_device(s, s.next_key(ROOT)))
    return _in_the_end(s, half)


def forks_by_the_device_alone() -> Result:
    """The root has pinned the log as it stood."""
    s = Scene(checkpoint=True)
    fork(0)(s, DEVICE)
    return _in_the_end(s, _halfway(s))


def unpins_and_forks() -> Result:
    """A newer checkpoint of the root without pins takes hers away; its number is the last that the day allows."""
    s = Scene(checkpoint=True)
    s.send_checkpoint(s.key(ROOT), s.last, n=checkpoints_allowed(TEST, int(s.world.now * 1000)))
    s.spread(2)
    fork(0)(s, DEVICE)
    half = _halfway(s)
    s.answer(*CURRENT.answer(s), *cut_device(s, s.next_key(ROOT)))
    return _in_the_end(s, half)


def uses_up_the_numbers(*witnesses: str) -> Result:
    """The device's checkpoints of today are used up, for an entry that does not exist; then an old root ties."""
    s = Scene((ROOT, ROOT), checkpoint=True, witnesses=witnesses)
    nothing = s.last._replace(id=s.log[0].id)
    s.send_checkpoint("phone", nothing, n=checkpoints_allowed(TEST, int(s.world.now * 1000)))
    s.spread(2)
    speak(s, OLD_NEXT, Close())
    return _answered(s, HOME.answer(s)) if len(witnesses) == 1 else _in_the_end(s, _halfway(s))


SEQUENCES = [
    Sequence(
        "home folder", "close; after the answer: drop, at the inception too, fork at 0, tomb all", answers_the_answer
    ),
    Sequence("home folder", "close, from every vertex down to the inception", branches_ever_lower),
    Sequence("current root", "fill the control log and the places for what revokes", fills_the_control_log),
    Sequence("current root", "drop the log and grant it again", drops_and_grants_again),
    Sequence("current root and device", "fork at 0 and pin the fork in the control log", pins_a_fork_by_the_root),
    Sequence(
        "current root and device, with checkpoints",
        "fork at 0 and pin the fork in a newer checkpoint of the root",
        lambda: pins_in_a_checkpoint(None),
    ),
    Sequence(
        "current root and device, with checkpoints",
        "a newer checkpoint of the root without pins, the last number of the day; fork at 0",
        unpins_and_forks,
    ),
    Sequence("device, with checkpoints", "fork at 0", forks_by_the_device_alone, unharmed=True),
    Sequence(
        "device, with checkpoints",
        "fork at 0 and pin the fork in a newer checkpoint of the device",
        lambda: pins_in_a_checkpoint("phone"),
        unharmed=True,
    ),
    Sequence(
        "notary and device, with checkpoints",
        "fork at 0 and pin the fork in a newer checkpoint of the notary",
        lambda: pins_in_a_checkpoint("notary"),
        unharmed=True,
    ),
    Sequence(
        "old root, once the next key, and one device of two witnesses",
        "use up the device's checkpoints of the day for an entry that does not exist; close",
        lambda: uses_up_the_numbers("phone", "tablet"),
        unharmed=True,
    ),
    Sequence(
        "old root, once the next key, and the device that is the one witness",
        "the same",
        lambda: uses_up_the_numbers("phone"),
    ),
    Sequence("device, its grant ended 100 days ago", "fork at 0, dated before the end", dates_back),
    Sequence(
        "device", "fork below posts that nobody has heard of; the daily pin vouches for it", vouched_by_a_daily_pin
    ),
    Sequence("device", "the same, and the device is gone", lambda: vouched_by_a_daily_pin(home_gone=True)),
    Sequence("device", "fork at 0; fill a fresh node's room for branches first", floods_a_fresh_node),
    Sequence("device", "fork at 0; answer after 31 days, home gone; then her archive is read in", archive_in_the_end),
    Sequence(
        "home folder made with --keep-recovery",
        "tomb all, then recover",
        tombs_then_freezes,
        required=False,
        why="the account is frozen above the deletions, so nothing cuts them off.",
    ),
    Sequence("device", f"tomb all, take it back, tomb all again {LATER} days later; cut the next day", tombs_twice),
]
