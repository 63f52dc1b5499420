"""Naming accounts to receivers of this version and older ones: nobody is charged for it, whatever is lost, and both
sides soon compare the most important accounts that the receiver has room for."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice

import pytest

from banyan_crdt.ids import AccountId
from banyan_replica.peers.limits import Limits
from banyan_replica.sync import partial_frontier as naming
from banyan_replica.sync.partial_frontier import ADD, REMOVE, REPLACE, Names, SentNames
from banyan_replica.wire.messages import Interest, Shared
from tests.needs import numbers
from tests.replica.helpers import World

LIMIT = 24


def split(raw: bytes) -> list[bytes]:
    return [raw[k : k + 16] for k in range(0, len(raw), 16)]


def digest(names: set[bytes] | list[bytes]) -> bytes:
    return (sum(int.from_bytes(name[:8], "big") for name in names) % (1 << 64)).to_bytes(8, "big")


class OldReceiver:
    """The rule of older nodes: a set, and points for a frame that would make it more than `LIMIT` names."""

    def __init__(self, room: int) -> None:
        self.held, self.points = set[bytes](), 0

    def told(self, frame: Interest) -> None:
        named = set(split(frame.names))
        held = {REPLACE: named, ADD: self.held | named, REMOVE: self.held - named}[frame.how]
        if len(held) > LIMIT:
            self.points += 10
        else:
            self.held = held

    def make_room(self, room: int) -> None:
        self.held = set()

    @property
    def digest(self) -> bytes:
        return digest(self.held)


class Receiver:
    """The rule of this version: a list, of which the first names are kept."""

    def __init__(self, room: int) -> None:
        self.held, self.points, self.room = list[bytes](), 0, room

    def told(self, frame: Interest) -> None:
        named = [*dict.fromkeys(split(frame.names))]
        if frame.how == REPLACE:
            self.held = named
        elif frame.how == ADD:
            self.held += [name for name in named if name not in self.held]
        else:
            self.held = [name for name in self.held if name not in named]
        self.held = self.held[: self.room]

    def make_room(self, room: int) -> None:
        self.room = room
        self.held = self.held[:room]

    @property
    def digest(self) -> bytes:
        return digest(self.held)


class OldSender:
    """The rule of older nodes: new names before those that go, all names again while the digest is wrong."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.held, self.again_at, self.again_s = rng, set[bytes](), 30.0, 30.0

    def limit(self, names: list[bytes]) -> list[Interest]:
        chosen = set(sorted(names)[:LIMIT])
        come, go = chosen - self.held, self.held - chosen
        self.held = chosen
        return [*self._frames(ADD, come), *self._frames(REMOVE, go)]

    def answered(self, told: bytes, now: float) -> list[Interest]:
        if told == digest(self.held) or now < self.again_at:
            return []
        self.again_s = min(2 * self.again_s, 3_600)
        self.again_at = now + self.again_s
        return self.all()

    def all(self) -> list[Interest]:
        return [Interest(REPLACE, b""), *self._frames(ADD, self.held)]

    def _frames(self, how: int, names: set[bytes]) -> list[Interest]:
        ordered = sorted(names)
        return [Interest(how, b"".join(ordered[k : k + 5])) for k in range(0, len(ordered), 5)]


def accounts(rng: random.Random, number: int) -> list[AccountId]:
    return [AccountId(rng.randbytes(32)) for _ in range(number)]


class Exchange:
    """A real node that holds chosen accounts, and a model of a receiver, of whose answers some are late."""

    def __init__(self, model: Callable[[int], OldReceiver | Receiver], seed: int, room: int = 1_000) -> None:
        self.rng, self.loses = random.Random(seed), 0.0
        self.w = World("h", limits=Limits(interest=LIMIT), seed=seed)
        self.receiver, self.model, self.room = model(room), model, room
        self.late = list[bytes]()
        self.names = list[bytes]()

    def link(self) -> None:
        self.receiver = self.model(self.room)
        self.late.clear()
        self.w.heard["o"].clear()
        self.w.rogue("o", "h")

    def limit(self, chosen: list[AccountId]) -> None:
        self.names = [account[:16] for account in chosen]
        self.w.replicas["h"].set_interest(chosen, self.w.now)
        self.w.drain("h")

    def go_on(self, seconds: float, late: int = 0) -> None:
        """late: how many answers stay on their way."""
        self.w.run(seconds)
        for frame in self.w.heard["o"]:
            if isinstance(frame, Interest) and self.rng.random() >= self.loses:
                self.receiver.told(frame)
                assert len(self.receiver.held) <= LIMIT
        self.w.heard["o"].clear()
        self.late.append(self.receiver.digest)
        while len(self.late) > late:
            self.w.say("o", "h", Shared(self.late.pop(0), bytes(32)))

    def compares(self) -> bool:
        """Whether both compare the first names, as many as the receiver has room for."""
        pair = self.w.replicas["h"].sync.interests.shared_with("o")
        room = self.receiver.room if isinstance(self.receiver, Receiver) else LIMIT
        wanted = set(islice(self.names, min(room, LIMIT)))
        return pair.ours is not None and pair.ours.known and set(pair.share.names) == wanted == set(self.receiver.held)

    def soon(self, within: float) -> None:
        start = self.w.now
        while not self.compares():
            assert self.w.now - start < within, f"not compared within {within} s"
            self.go_on(1.0)


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "FRAME", 5)


MODELS = pytest.mark.parametrize("model", [OldReceiver, Receiver])


@MODELS
@pytest.mark.parametrize("seed", numbers(30))
def test_whatever_is_lost_a_receiver_charges_nothing_and_compares_in_the_end(
    model: Callable[[int], OldReceiver | Receiver], seed: int
) -> None:
    x = Exchange(model, seed, room=random.Random(seed).choice([5, 20, 30]))
    every, rng = accounts(x.rng, 70), x.rng
    x.limit(rng.sample(every, 40))
    x.link()
    for _ in range(60):
        x.loses = rng.choice([0.0, 0.0, 0.5])
        if rng.random() < 0.4:
            x.limit(rng.sample(every, rng.randrange(1, 60)))
        if rng.random() < 0.05:
            x.receiver.make_room(rng.choice([3, 10, 30]))
        if rng.random() < 0.05:
            x.w.unlink("o", "h")
            x.link()
        x.go_on(rng.choice([0.1, 1.0, 6.0]), late=rng.randrange(3))
        assert x.receiver.points == 0
    x.loses = 0.0
    pair = x.w.replicas["h"].sync.interests.shared_with("o")
    assert pair.ours is not None
    x.soon(pair.ours.pause_s + 60)
    assert x.receiver.points == 0
    assert x.w.cut == []


@MODELS
@pytest.mark.parametrize("number", [1, 7, 23, 24, 60])
def test_names_that_change_all_the_time_leave_both_comparing(
    model: Callable[[int], OldReceiver | Receiver], number: int
) -> None:
    """One follow every few seconds, or many, at the bound."""
    x = Exchange(model, number)
    every = accounts(x.rng, 400)
    x.limit(every[:LIMIT])
    x.link()
    for k in range(60):
        x.limit(every[: LIMIT + k] if number == 1 else every[:2] + x.rng.sample(every[2:], number))
        for _ in range(5):
            x.go_on(1.0)
        x.soon(5)
    assert x.receiver.points == 0


@MODELS
@pytest.mark.parametrize("lost", range(12))
def test_wherever_the_names_are_cut_off_both_compare_within_half_a_minute(
    model: Callable[[int], OldReceiver | Receiver], lost: int
) -> None:
    x = Exchange(model, lost)
    every = accounts(x.rng, 60)
    x.limit(every[:30])
    x.link()
    x.go_on(1.0)
    x.soon(10)
    x.limit(every[20:44])
    x.w.run(0.5)
    frames = [m for m in x.w.heard["o"] if isinstance(m, Interest)]
    x.w.heard["o"][:] = frames[:lost] + frames[lost + 1 :]
    x.soon(30)
    for _ in range(10):
        x.go_on(6.0)
    x.limit(every[40:])
    x.w.run(0.5)
    x.w.heard["o"][:] = x.w.heard["o"][:lost]
    x.soon(30)
    x.w.unlink("o", "h")
    x.link()
    x.soon(10)
    assert x.receiver.points == 0


def test_a_receiver_without_room_compares_the_first_names_and_more_once_there_is_room() -> None:
    x = Exchange(Receiver, 1, room=6)
    every = accounts(x.rng, 40)
    x.limit(every[:20])
    x.link()
    x.soon(20)
    x.limit([every[30], *every[:20]])  # followed by this node itself
    x.soon(5)
    x.receiver.make_room(30)
    x.soon(60)
    x.receiver.make_room(2)
    x.soon(20)
    sent = x.w.bytes["h", "o"]
    for _ in range(3_600):
        x.go_on(1.0)
    x.soon(2)
    assert x.w.bytes["h", "o"] - sent < 200_000


@pytest.mark.parametrize("seed", numbers(20))
@pytest.mark.parametrize("shuffled", [False, True])
def test_an_older_sender_is_charged_nothing_and_is_compared_with(seed: int, shuffled: bool) -> None:
    rng = random.Random(seed)
    w = World("a", limits=Limits(interest=LIMIT, interest_kept=2 * LIMIT), seed=seed)
    sender, every = OldSender(rng), [account[:16] for account in accounts(rng, 70)]
    sender.limit(every[:40])
    w.rogue("r", "a", partial=1)
    start = w.now
    w.say("r", "a", *sender.all())
    for _ in range(12):
        frames = sender.limit(rng.sample(every, rng.randrange(1, 60)))
        if shuffled:
            rng.shuffle(frames)
        w.say("r", "a", *frames)
        w.heard["r"].clear()
        w.run(6)
        told = [m.told for m in w.heard["r"] if isinstance(m, Shared)]
        assert told[-1] == digest(sender.held), "both compare"
    w.say("r", "a", *sender.limit(rng.sample(every, 50))[: rng.randrange(4)])  # and the others are lost
    w.run(31)
    w.heard["r"].clear()
    w.say("r", "a", *sender.answered(bytes(8), w.now - start))
    w.run(6)
    assert [m.told for m in w.heard["r"] if isinstance(m, Shared)][-1] == digest(sender.held)
    assert (w.points("a", "r"), w.rejections("a"), w.cut) == (0, [], [])


def test_names_are_as_a_list_of_which_the_first_are_kept() -> None:
    rng = random.Random(3)
    every = [rng.randbytes(16) for _ in range(40)]
    held, model = Names(), Receiver(12)
    for _ in range(400):
        frame = Interest(rng.choice([REPLACE, ADD, ADD, REMOVE]), b"".join(rng.choices(every, k=rng.randrange(15))))
        before = set(held.held)
        come, go = held.receive(frame, 12)
        model.told(frame)
        assert list(held.held) == model.held
        assert (set(come), set(go)) == (set(model.held) - before, before - set(model.held))
        assert held.digest == model.digest
        number = rng.randrange(len(held) + 1)
        assert held.first(digest(model.held[:number])) == number
        assert held.first(rng.randbytes(8)) is None


def test_a_receiver_that_answers_nothing_new_is_sent_names_ever_more_slowly() -> None:
    rng = random.Random(4)
    sent, ordered, frames = SentNames(LIMIT), Names(rng.randbytes(16) for _ in range(20)), 0
    sent.frames(ordered, 0.0, b"")
    for now in range(0, 3_600, 5):
        sent.answered(b"no such ", now)
        frames += len(sent.again(ordered, now, rng.randbytes(16)))
    assert 3 < frames < 10


def test_names_on_their_way_do_not_count_as_forgotten() -> None:
    rng = random.Random(5)
    sent, ordered, receiver = SentNames(LIMIT), Names(rng.randbytes(16) for _ in range(20)), Receiver(30)
    for n, frame in enumerate(sent.frames(ordered, 0.0, b"")):
        receiver.told(frame)
        sent.answered(receiver.digest, n)
        assert (sent.known, sent.again(ordered, n, b"")) == (n == 3, [])
    assert sent.keeps == ordered.held


def test_a_name_for_which_there_is_no_room_changes_nothing_of_what_is_compared() -> None:
    x = Exchange(Receiver, 6, room=6)
    every = accounts(x.rng, 20)
    x.limit(every[:6])
    x.link()
    x.soon(5)
    x.limit(every[:7])
    x.soon(20)
    x.limit(every[:9])
    assert x.compares()
