"""Checkpoints: their bytes, how they join, and what they pin."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from banyan_crdt.checkpoint import MAX_PINS, Checkpoint, decode_checkpoint, encode_checkpoint, standing
from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry
from banyan_crdt.errors import BadSignature, Malformed, Oversized
from banyan_crdt.ids import EntryId, LogId, checkpoint_log, control_log, is_checkpoint, is_control
from banyan_crdt.ops import Close, Pin, Rotate
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.signing import verify
from banyan_crdt.state import AccountState, account_state
from tests.crdt.make import Person, digest, follow, signer


def state_of(person: Person, checkpoints: Sequence[Checkpoint], *logs: Iterable[Entry]) -> AccountState:
    """The state, after checking that every order of the checkpoints, with doubles, gives the same."""
    held: dict[LogId, list[Entry]] = {}
    for log in logs:
        for e in log:
            held.setdefault(e.log_id, []).append(e)
    made = account_state(TEST, person.id, person.control, held, checkpoints)
    for order in itertools.islice(itertools.permutations(checkpoints), 24):
        again = account_state(TEST, person.id, person.control, held, [*order, *order[:1]])
        assert again.heads == made.heads
    return made


def forked(person: Person, device: str = "phone", number: int = 1) -> tuple[list[Entry], list[Entry]]:
    """Two logs with one name that differ from the third entry on."""
    ours = person.write(6, device, number)
    return ours, person.write(3, device, number, below=ours[:2], tag="thief")


def test_its_bytes_say_all_of_it_and_no_other_bytes_say_the_same() -> None:
    an = Person()
    log = an.write(3)
    made = an.checkpoint("phone", n=7, pins=[an.pin(log[-1])])
    raw = encode_checkpoint(made)
    assert decode_checkpoint(TEST, raw) == made
    verify(TEST, *made.signed)
    other = decode_checkpoint(MAIN, raw)
    assert other.id != made.id
    with pytest.raises(BadSignature):
        verify(MAIN, *other.signed)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises((Malformed, BadSignature)):
            verify(TEST, *decode_checkpoint(TEST, bytes(changed)).signed)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, b"short"),
        (1, bytes(32)),
        (1, b"short"),
        (2, 0),
        (2, 1 << 48),
        (3, [1]),
        (3, [1 << 48, bytes(32)]),
        (4, None),
        (4, [[bytes(32), 1, 1]]),
        (4, [[bytes(32), 1 << 32, 1, bytes(32)]]),
        (4, [[bytes(32), 1, 1, bytes(32)], [bytes(32), 1, 2, bytes(32)]]),
        (4, [[bytes(32), k, 0, bytes(32)] for k in range(MAX_PINS + 1)]),
        (5, bytes(63)),
    ],
)
def test_another_shape_is_malformed(at: int, value: Any) -> None:
    an = Person()
    made = an.checkpoint("phone")
    fields: list[Any] = [made.account, made.writer, made.n, list(made.control), [], made.sig]
    fields[at] = value
    with pytest.raises(Malformed):
        decode_checkpoint(TEST, encode(fields))
    with pytest.raises(Oversized):
        decode_checkpoint(TEST, bytes(40_000))


def test_256_pins_of_any_log_fit() -> None:
    an = Person()
    pins = [Pin(an.key("phone"), (1 << 32) - 1 - k, (1 << 48) - 1, EntryId(bytes(32))) for k in range(MAX_PINS)]
    made = an.checkpoint("root0", pins=pins)
    assert decode_checkpoint(TEST, encode_checkpoint(made)) == made


def test_it_is_named_in_the_frontier_like_a_log_and_is_not_the_control_log() -> None:
    an = Person()
    made = an.checkpoint("phone", n=3)
    assert made.log_id == checkpoint_log(an.id, an.key("phone"))
    assert is_checkpoint(made.log_id)
    assert not is_control(made.log_id)
    assert is_control(control_log(an.id))
    assert not is_checkpoint(control_log(an.id))
    assert not is_checkpoint(an.log())
    assert state_of(an, [made]).heads[made.log_id] == made.head


def test_of_one_writer_the_greatest_stands_in_whatever_order_they_come() -> None:
    an = Person()
    log = an.write(9)
    said = [an.checkpoint("phone", n=n, pins=[an.pin(e)]) for n, e in ((1, log[8]), (2, log[0]), (2, log[1]))]
    last = max(said[1:], key=lambda c: c.id)
    for order in itertools.permutations(said):
        assert standing(order) == {an.key("phone"): last}


def test_a_writer_that_was_never_granted_says_nothing() -> None:
    an = Person()
    assert an.checkpoint("nobody").log_id not in state_of(an, [an.checkpoint("nobody"), an.checkpoint("root1")]).heads


def test_the_roots_checkpoint_pins_what_control_pins_would() -> None:
    an = Person()
    ours, theirs = forked(an)
    assert state_of(an, [], ours, theirs).logs[an.log()].head.length == 2
    root = an.checkpoint("root0", pins=[an.pin(ours[4])])
    counted = state_of(an, [root], ours, theirs).logs[an.log()]
    assert (counted.head.length, counted.pinned, counted.forked) == (6, 5, False)


def test_a_rotated_out_roots_checkpoint_does_not_count_and_the_next_ones_does() -> None:
    an = Person()
    ours, theirs = forked(an)
    old = an.checkpoint("root0", pins=[an.pin(theirs[-1])])
    an.say(an.rotate(0, "root2"), by="root1")
    assert state_of(an, [old], ours, theirs).heads.keys() == {control_log(an.id), an.log()}
    new = an.checkpoint("root1", pins=[an.pin(ours[3])])
    assert state_of(an, [old, new], ours, theirs).logs[an.log()].head.id == ours[-1].id


def test_control_pins_speak_before_the_root_and_the_root_before_a_notary() -> None:
    an = Person()
    an.grant("notary", stratum=1)
    ours, theirs = forked(an)
    notary = an.checkpoint("notary", pins=[an.pin(theirs[3])])
    assert state_of(an, [notary], ours, theirs).logs[an.log()].head.id == theirs[-1].id
    root = an.checkpoint("root0", pins=[an.pin(ours[3])])
    assert state_of(an, [notary, root], ours, theirs).logs[an.log()].head.id == ours[-1].id
    an.say(an.pin(theirs[2]))
    assert state_of(an, [notary, root], ours, theirs).logs[an.log()].head.id == theirs[-1].id


def test_a_notarys_checkpoint_speaks_before_its_own_logs_and_after_those_of_lower_strata() -> None:
    an = Person()
    an.grant("notary", stratum=3)
    an.grant("first", stratum=2)
    ours, theirs = forked(an)
    said = an.checkpoint("notary", pins=[an.pin(ours[3])])

    def pinning(device: str) -> list[Entry]:
        return [follow(an.full(device), an.log(device), [], an.pin(theirs[3]))]

    assert state_of(an, [said], ours, theirs, pinning("notary")).logs[an.log()].head.id == ours[-1].id
    assert state_of(an, [said], ours, theirs, pinning("first")).logs[an.log()].head.id == theirs[-1].id


def test_a_checkpoint_pins_only_logs_of_a_higher_stratum_than_its_writers() -> None:
    an = Person()
    an.grant("tablet", stratum=8)
    ours, theirs = forked(an)
    said = [an.checkpoint(by, pins=[an.pin(ours[3])]) for by in ("phone", "tablet")]
    assert state_of(an, said, ours, theirs).logs[an.log()].head.length == 2


def test_a_writer_of_several_grants_pins_by_the_lowest_of_them() -> None:
    for strata in ((1, 9), (9, 1)):
        an = Person()
        for k, stratum in enumerate(strata):
            an.grant("notary", first=1 + 8 * k, stratum=stratum)
        ours, theirs = forked(an)
        said = an.checkpoint("notary", pins=[an.pin(ours[3])])
        assert state_of(an, [said], ours, theirs).logs[an.log()].head.id == ours[-1].id


def test_a_writer_that_was_cut_off_pins_no_more_but_its_checkpoint_is_held() -> None:
    an = Person()
    an.grant("notary", stratum=1)
    ours, theirs = forked(an)
    said = an.checkpoint("notary", pins=[an.pin(ours[3])])
    an.say(an.cut("notary"))
    s = state_of(an, [said], ours, theirs)
    assert s.logs[an.log()].head.length == 2
    assert s.heads[said.log_id] == said.head


def test_of_a_closed_account_checkpoints_are_held_and_pin_nothing() -> None:
    an = Person()
    ours, theirs = forked(an)
    an.say(Close())
    root = an.checkpoint("root0", pins=[an.pin(ours[3])])
    assert state_of(an, [root], ours, theirs).heads.keys() == {control_log(an.id), root.log_id}


def test_it_pins_whatever_control_entry_it_names() -> None:
    an = Person()
    ours, theirs = forked(an)
    elsewhere = follow("x", control_log(an.id), an.control, Rotate(0, digest("y")))
    root = an.checkpoint("root0", names=elsewhere, pins=[an.pin(ours[3])])
    assert state_of(an, [root], ours, theirs).logs[an.log()].head.id == ours[-1].id


def test_any_order_of_entries_and_checkpoints_is_one_state() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        an = Person(f"p{seed}", within=("phone", "tablet"))
        an.grant("notary", stratum=2)
        an.say(an.rotate(0, "root2"), by="root1")
        beside = [an.say(an.grant_op("evil"), by=by, below=an.control[:k]) for by, k in (("root1", 1), ("root0", 2))]
        ours, theirs = forked(an)
        names = [*an.control, *beside]
        said = [
            an.checkpoint(
                rng.choice(("phone", "tablet", "notary", "root0", "root1", "evil")), rng.choice(names), n, pins
            )
            for n in range(1, 4)
            for pins in ([], [an.pin(rng.choice(ours))], [an.pin(rng.choice(theirs))])
        ]
        states = []
        for _ in range(6):
            for some in (names, ours, theirs, said):
                rng.shuffle(some)
            states.append(account_state(TEST, an.id, names, {an.log(): [*theirs, *ours]}, said))
        assert len({str(sorted(s.heads.items())) for s in states}) == 1, seed
        assert signer("x").key not in states[0].checkpoints
