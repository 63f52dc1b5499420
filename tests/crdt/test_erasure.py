"""Who obeys the wish of an account to be erased, and when: the product against a model's own words.

The model keeps, for one node, what every look at the account saw: is it closed, wished for, and by which entries that
revoke. The node may erase at a moment if all looks of the 30 days before saw the same, and the time of the wish, 90
days at most, has come. A thief of the root writes and dates entries as he likes; whatever he does, a recovery within
30 days of his wish finds everything at every node.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from banyan_crdt.control import resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Close, Recover, encode_ops
from banyan_crdt.state import DAY_MS, GRACE_MS, MOST_MS, KnownWish, erasure_dep, look, wish_of
from tests.crdt.make import TICK, Person, follow

DAY = DAY_MS


@dataclass
class Story:
    """The honest path of one account, told by its own words beside the entries."""

    an: Person
    rng: random.Random
    root: str = "root0"
    roots: int = 0
    said: list[tuple[str, int | None]] = field(default_factory=list)
    """Of each entry after the first two: what it does, and of a close the time of its wish, None without one."""

    def add(self, entry: Entry, what: str, from_ms: int | None = None) -> None:
        self.an.control = [*self.an.control[: entry.header.seq], entry]
        self.said = [*self.said[: entry.header.seq - 2], (what, from_ms)]

    def close(self, from_ms: int | None, below: int | None = None) -> Entry:
        deps = () if from_ms is None else (erasure_dep(from_ms),)
        path = self.an.control[:below]
        raw = encode_ops((Close(),), deps)
        time = path[-1].header.time + self.rng.randrange(1, 1_000) * TICK
        return follow(self.an.full(self.root), self.an.log("phone", 0), path, raw=raw, time=time)

    def step(self, now_ms: int) -> None:
        what = self.rng.choice(("wish", "wish", "wish", "close", "grant", "rotate", "cut", "recover"))
        if what in ("wish", "close"):
            from_ms = now_ms + self.rng.choice((-DAY, 0, 20 * DAY, 60 * DAY, 4_000 * DAY)) if what == "wish" else None
            self.add(self.close(from_ms), "close", from_ms)
        elif what == "grant":
            granted = self.an.grant_op(f"tablet {len(self.said)}")
            self.add(self.an.say(granted, by=self.root, below=self.an.control), what)
        elif what == "cut":
            self.add(self.an.say(self.an.cut("phone"), by=self.root, below=self.an.control), what)
        elif what == "rotate":
            self.roots += 1
            following = self.an.rotate(0, f"root{self.roots + 1}")
            self.root = f"root{self.roots}"
            self.add(self.an.say(following, by=self.root, below=self.an.control), what)
        elif not any(name == "recover" for name, _ in self.said):  # it undoes some of the end
            self.roots = 10
            op = Recover(self.an.digest("root10"), self.an.digest("root11"))
            at = self.rng.randrange(2, len(self.an.control) + 1)
            self.add(self.an.say(op, by="rec0", below=self.an.control[:at]), what)
            self.root = "root10"

    def stands(self) -> tuple[EntryId, EntryId, int] | None:
        """Of the wish that stands: its entry, the last one that revokes, its time."""
        closes = [n for n, (what, _) in enumerate(self.said) if what == "close"]
        revoking = [n for n, (what, _) in enumerate(self.said) if what != "grant"]
        from_ms = self.said[closes[-1]][1] if closes else None
        if from_ms is None:
            return None
        return self.an.control[closes[-1] + 2].id, self.an.control[revoking[-1] + 2].id, from_ms


def test_nobody_obeys_before_thirty_days_of_the_account_as_it_stands() -> None:
    obeyed = restarted = taken_back = 0
    for seed in range(60):
        rng = random.Random(seed)
        story, now_ms = Story(Person(f"an {seed}"), rng), 1_800_000_000_000
        seen: KnownWish | None = None
        looks: list[tuple[int, tuple[EntryId, EntryId, int] | None]] = []
        everything: list[Entry] = []
        for _ in range(12):
            if rng.random() < 0.5:
                story.step(now_ms)
            everything += [e for e in story.an.control if e not in everything]
            rng.shuffle(everything)
            control, before, stands = resolve_control(everything), seen, story.stands()
            assert [e.id for e in control.path] == [e.id for e in story.an.control]
            seen = look(seen, control, now_ms)
            looks.append((now_ms, stands))
            taken_back += before is not None and seen is None
            restarted += before is not None and seen is not None and before != seen
            now_ms += rng.randrange(1, 20) * DAY
            since = now_ms
            for at, saw in reversed(looks):
                if saw != stands:
                    break
                since = at
            if stands is None:
                assert seen is None
                continue
            may = now_ms - since >= GRACE_MS and (now_ms >= stands[2] or now_ms - since >= MOST_MS)
            assert seen is not None
            assert (now_ms >= seen.until_ms) == may
            assert tuple(seen.wish) == (stands[0], stands[2], stands[1])
            obeyed += may
    assert min(obeyed, restarted, taken_back) > 20, (obeyed, restarted, taken_back)


def test_a_thief_of_the_root_can_void_no_undo_however_he_dates_and_orders() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        story, now_ms = Story(Person(f"an {seed}"), rng), 1_800_000_000_000
        honest, met = list(story.an.control), now_ms
        seen: KnownWish | None = None
        while now_ms < met + GRACE_MS:  # rotations, cuts, wishes of long ago, in any order
            for _ in range(rng.randrange(3)):
                what = rng.choice((0, None, 1))
                if what == 1:
                    story.step(DAY)
                else:
                    story.add(story.close(what), "close", what)
            if any(name == "recover" for name, _ in story.said):
                break  # he has no recovery key
            seen = look(seen, resolve_control(story.an.control), now_ms)
            assert seen is None or now_ms < seen.until_ms
            now_ms += rng.randrange(0, 7) * DAY
        undo = Recover(story.an.digest("mine0"), story.an.digest("mine1"))
        whole = [*story.an.control, story.an.say(undo, by="rec0", below=honest)]
        assert look(seen, resolve_control(whole), now_ms) is None


def test_a_frozen_account_is_not_erased_and_a_node_of_the_last_release_sees_it_closed() -> None:
    story = Story(Person("an"), random.Random(1))
    wished = story.close(5)
    control = resolve_control([*story.an.control, wished])
    assert control.closed
    assert (found := wish_of(control)) is not None
    assert found.from_ms == 5
    other = story.an.say(story.an.grant_op("tablet"), below=story.an.control)
    frozen = resolve_control([*story.an.control, wished, other])
    assert frozen.frozen
    assert wish_of(frozen) is None
    story.add(wished, "close", 5)
    tied = [story.an.say(story.an.grant_op(name), below=story.an.control) for name in ("tablet", "laptop")]
    frozen = resolve_control([*story.an.control, *tied])
    assert (frozen.frozen, frozen.closed, wish_of(frozen)) == (True, True, None)
    assert wish_of(resolve_control([*story.an.control, story.close(None)])) is None, "the last one takes it back"
