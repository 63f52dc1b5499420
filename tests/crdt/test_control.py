"""Whose keys may act for an account: thieves, tied keys, recovery, cuts. Any order of the entries gives one path."""

import itertools
import random
import time
from collections.abc import Iterable, Sequence

import pytest

from banyan_crdt.checkpoint import ControlRef
from banyan_crdt.control import Control, control_op, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, control_log
from banyan_crdt.ops import (
    Close,
    Drop,
    Grant,
    Host,
    Init,
    Op,
    Part,
    Pin,
    Recover,
    Rotate,
    Slot,
    decode_body,
    encode_ops,
)
from tests.crdt.make import NOBODY, POSTS, Person, add, b32, digest, follow, make_part, signer


def path(entries: Iterable[Entry]) -> list[Entry]:
    return list(resolved(entries).path)


def resolved(entries: Iterable[Entry]) -> Control:
    """The control state, after checking that every order and doubled entries give the same."""
    held = list(entries)
    c = resolve_control(held)
    rng = random.Random(1)
    for _ in range(6):
        rng.shuffle(held)
        other = resolve_control([*held, *held[:3]])
        assert ([e.id for e in other.path], other.frozen) == ([e.id for e in c.path], c.frozen)
        assert [e.id for e in other.keep] == [e.id for e in c.keep]
    assert [e.id for e in resolve_control(c.keep).path] == [e.id for e in c.path]
    assert resolve_control(c.keep).frozen == c.frozen
    return c


def thief(person: Person, below: Sequence[Entry], by: str, *ops: Op) -> Entry:
    return follow(by, control_log(person.id), below, *ops)


def test_one_path_is_followed_to_its_end() -> None:
    an = Person()
    an.say(an.rotate(0, "root2"), by="root1")
    an.grant("tablet", by="root1")
    c = resolved(an.control)
    assert list(c.path) == an.control
    assert not c.frozen
    assert c.keys[0] == Slot(an.digest("root1"), an.digest("root2"))
    assert c.grant_of(an.key("phone"), 1)
    assert c.grant_of(an.key("tablet"), 8)
    assert c.grant_of(an.key("tablet"), 9) is None
    assert c.grant_of(an.key("tablet"), 0) is None


def test_a_key_that_the_path_does_not_authorise_says_nothing() -> None:
    an = Person()
    op = an.grant_op("tablet")
    for by in ("root1", "rec0", "rec1", "phone", "stranger"):
        assert path([*an.control, an.say(op, by=by, below=an.control)]) == an.control
    for by in ("root0", "root2", "rec0", "rec1"):
        assert path([*an.control, an.say(an.rotate(0, "x"), by=by, below=an.control)]) == an.control
    assert path([*an.control, an.say(an.rotate(2, "x"), by="root1", below=an.control)]) == an.control
    for by in ("root0", "root1", "rec1"):
        take = Recover(an.digest("x0"), an.digest("x1"))
        assert path([*an.control, an.say(take, by=by, below=an.control)]) == an.control


def test_a_second_inception_inside_a_log_is_inert() -> None:
    an = Person()
    again = an.say(Init((Slot(an.digest("root0"), an.digest("root1")),), None), below=an.control)
    assert path([*an.control, again]) == an.control


def test_an_inception_is_signed_by_the_root_that_it_names() -> None:
    slot = Slot(digest("a"), digest("b"))
    assert path([follow("b", control_log(NOBODY), [], Init((slot,), None))]) == []
    assert len(path([follow("a", control_log(NOBODY), [], Init((slot,), None))])) == 1


def test_a_control_entry_is_one_control_op_or_pins() -> None:
    an = Person()
    pin = Pin(an.key("phone"), 1, 0, EntryId(b32("x")))
    grant = an.grant_op("tablet")
    for ops in ((grant, grant), (grant, pin), (), (add("x"),), (pin, add("x"))):
        assert control_op(decode_body(encode_ops(ops))) == ()
        assert path([*an.control, an.say(*ops, below=an.control)]) == an.control
    assert len(control_op(decode_body(encode_ops((pin, pin))))) == 2
    unknown = follow(an.full("root0"), control_log(an.id), an.control, raw=bytes.fromhex("82808181182a"))
    assert path([*an.control, unknown]) == an.control


def test_two_branches_of_one_key_freeze_the_account_at_the_fork_and_both_are_kept() -> None:
    an = Person()
    a, b = (an.say(an.grant_op(n), below=an.control) for n in ("tablet", "laptop"))
    c = resolved([*an.control, a, b])
    assert c.frozen
    assert list(c.path) == an.control
    assert {e.id for e in c.keep} == {e.id for e in (*an.control, a, b)}
    assert c.grant_of(an.key("phone"), 1)
    assert not c.grant_of(an.key("tablet"), 1)


def test_of_a_tie_both_branches_are_kept_down_to_the_first_entry_that_shows_their_rank() -> None:
    an = Person()
    quick = [an.say(an.rotate(0, "x"), by="root1", below=an.control)]
    slow = [an.say(an.grant_op("tablet"), below=an.control)]
    slow.append(an.say(an.rotate(0, "y"), by="root1", below=[*an.control, *slow]))
    beyond = [an.say(an.grant_op("more"), by="root1", below=[*an.control, *branch]) for branch in (quick, slow)]
    c = resolved([*an.control, *quick, *slow, *beyond])
    assert c.frozen
    assert {e.id for e in c.keep} == {e.id for e in (*an.control, *quick, *slow)}
    assert {e.id for e in c.beside} == {e.id for e in (*quick, *slow, *beyond)}


@pytest.mark.parametrize("by", ["root0", "root1", "rec1"])
def test_only_the_current_key_of_a_recovery_slot_recovers(by: str) -> None:
    an = Person()
    recover = Recover(an.digest("new0"), an.digest("new1"))
    assert path([*an.control, an.say(recover, by=by, below=an.control)]) == an.control
    an.say(recover, by="rec0")
    an.say(Recover(an.digest("newer0"), an.digest("newer1")), by="rec0")  # the recovery keys are as they were
    assert path(an.control) == an.control


def test_the_last_places_of_a_control_log_are_for_what_revokes(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    an.grant("tablet")
    monkeypatch.setattr("banyan_crdt.control.MAX_CONTROL", 3)
    assert path([*an.control, an.say(an.grant_op("late"), below=an.control)]) == an.control
    an.say(an.cut("tablet"))
    an.say(an.rotate(0, "root2"), by="root1")
    assert path([*an.control, an.say(an.pin(an.write(1)[0]), by="root1", below=an.control)]) == an.control
    an.say(Drop(an.key("phone"), 1), by="root1")
    assert path(an.control) == an.control


def test_the_last_bytes_of_a_control_log_are_for_what_revokes(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    full = an.control[-1].header.total
    monkeypatch.setattr("banyan_crdt.control.MAX_CONTROL_BYTES", full)
    assert path([*an.control, an.say(an.grant_op("late"), below=an.control)]) == an.control
    an.say(an.cut("phone"))
    assert path(an.control) == an.control
    monkeypatch.setattr("banyan_crdt.control.MORE_REVOKING_BYTES", an.control[-1].header.total - full)
    assert path([*an.control, an.say(Close(), below=an.control)]) == an.control


def test_a_grant_covers_as_many_logs_as_it_says() -> None:
    an = Person(device=None)
    an.grant("phone", first=5, logs=2)
    c = resolved(an.control)
    assert [n for n in range(10) if c.grant_of(an.key("phone"), n)] == [5, 6]


def test_the_next_key_thaws_what_a_stolen_root_froze() -> None:
    an = Person()
    stolen = an.say(an.grant_op("thief"), below=an.control)
    mine = an.say(an.grant_op("laptop"), below=an.control)
    rotate = an.say(an.rotate(0, "root2"), by="root1", below=[*an.control, mine])
    assert path([*an.control, stolen, mine, rotate]) == [*an.control, mine, rotate]


def test_the_recovery_key_undoes_a_thief_of_the_root_and_of_its_next_key() -> None:
    an = Person()
    theirs: list[Entry] = list(an.control)
    for k in range(5):
        theirs.append(thief(an, theirs, an.full("root1") if k == 0 else f"x{k}", an_rotate(f"x{k + 1}")))
    assert path(theirs) == theirs
    back = an.say(Recover(an.digest("new0"), an.digest("new1")), by="rec0", below=an.control)
    c = resolved([*theirs, back])
    assert list(c.path) == [*an.control, back]
    assert c.keys[0] == Slot(an.digest("new0"), an.digest("new1"))


def an_rotate(to_next: str) -> Op:
    return Rotate(0, digest(to_next))


def test_a_thief_with_a_rotated_out_key_cannot_climb_generations() -> None:
    """The counter-example to generations counted along a branch. The thief holds root1, which has been rotated out.

    root0 commits to root1; root1 rotates to root2, root2 to root3, and the account lives on. From the vertex that
    commits to root1 the thief branches off, rotates with root1 to keys of his own, and on and on: by generations his
    branch is the strongest. Judged at the fork his own keys have no rank, and root1 ties with root1.
    """
    an = Person()
    fork = list(an.control)
    an.say(an.rotate(0, "root2"), by="root1")
    an.say(an.rotate(0, "root3"), by="root2")
    an.grant("tablet", by="root2")
    climb = [thief(an, fork, an.full("root1"), an_rotate("x0"))]
    for k in range(12):
        climb.append(thief(an, [*fork, *climb], f"x{k}", an_rotate(f"x{k + 1}")))
    climb.append(thief(an, [*fork, *climb], "x11", Grant(signer("thief").key, 1, 1, 0, None, None, None)))
    c = resolved([*an.control, *climb])
    assert c.frozen
    assert list(c.path) == fork
    back = an.say(Recover(an.digest("new0"), an.digest("new1")), by="rec0", below=an.control)
    assert path([*an.control, *climb, back]) == [*an.control, back]


def test_a_rotated_out_current_key_loses_to_its_successor() -> None:
    an = Person()
    fork = list(an.control)
    an.say(an.rotate(0, "root2"), by="root1")
    stolen = an.say(Close(), by="root0", below=fork)
    assert path([*an.control, stolen]) == an.control


def test_above_the_vertex_that_committed_to_it_a_rotated_out_key_is_nothing() -> None:
    an = Person()
    for k in range(1, 4):
        an.say(an.rotate(0, f"root{k + 1}"), by=f"root{k}")
    for stolen in ("root0", "root1", "root2"):
        assert path([*an.control, an.say(Close(), by=stolen, below=an.control)]) == an.control


def test_the_next_recovery_key_beats_the_recovery_key() -> None:
    an = Person()
    stolen = an.say(Recover(digest("x0"), digest("x1")), by="rec0", below=an.control)
    mine = an.say(an.rotate(1, "rec2"), by="rec1", below=an.control)
    c = resolved([*an.control, stolen, mine])
    assert list(c.path) == [*an.control, mine]
    assert c.keys[1] == Slot(an.digest("rec1"), an.digest("rec2"))


def test_grants_of_a_path_that_is_left_go_with_it() -> None:
    an = Person()
    stolen = an.say(an.grant_op("thief"), below=an.control)
    assert resolved([*an.control, stolen]).grant_of(an.key("thief"), 1)
    mine = an.say(an.rotate(0, "root2"), by="root1", below=an.control)
    assert resolved([*an.control, stolen, mine]).grant_of(an.key("thief"), 1) is None


def test_the_first_grant_that_covers_a_log_wins() -> None:
    an = Person(device=None)
    an.grant("phone", first=1, logs=2, stratum=3)
    an.grant("phone", first=2, logs=2, stratum=5)
    c = resolved(an.control)
    strata = [g.grant.stratum if (g := c.grant_of(an.key("phone"), n)) else None for n in range(5)]
    assert strata == [None, 3, 3, 5, None]


def test_close_empties_all_grants_for_good() -> None:
    an = Person()
    an.say(Close())
    an.grant("tablet")
    c = resolved(an.control)
    assert c.closed
    assert c.grant_of(an.key("phone"), 1) is None
    assert c.grant_of(an.key("tablet"), 1) is None


def test_drop_empties_one_log() -> None:
    an = Person()
    an.say(Drop(an.key("phone"), 2))
    c = resolved(an.control)
    assert c.grant_of(an.key("phone"), 1)
    assert c.grant_of(an.key("phone"), 2) is None


def test_the_last_host_on_the_path_hosts() -> None:
    an = Person()
    for n in ("one", "two"):
        an.say(Host(AccountId(an.key(n))))
    assert resolved(an.control).host == AccountId(an.key("two"))


def test_the_first_cut_of_a_writer_wins_and_later_grants_and_pins_of_it_are_inert() -> None:
    an = Person()
    log = an.write(5)
    an.say(an.cut("phone", log[1]))
    an.say(an.cut("phone", log[3]))
    an.grant("phone", first=20)
    an.say(an.pin(log[4]))
    c = resolved(an.control)
    assert c.cuts[an.key("phone")][1].seq == 1
    assert c.grant_of(an.key("phone"), 20) is None
    assert [p.seq for p in c.pins[an.key("phone"), 1]] == [1]


def test_a_cut_or_a_pin_of_what_has_no_grant_yet_is_inert() -> None:
    an = Person(device=None)
    log = an.write(2)
    an.say(an.cut("phone", log[0]))
    an.say(an.pin(log[1]))
    an.grant("phone")
    c = resolved(an.control)
    assert not c.cuts
    assert not c.pins
    assert c.grant_of(an.key("phone"), 1)


def test_the_salt_is_that_of_the_inception() -> None:
    an = Person()
    op = resolved(an.control).salt_op
    assert op is not None
    assert op.salt == make_part("an account", b32("account salt an")[:16])[0] == Part(*op.salt or ())


def test_an_entry_with_a_wrong_link_hangs_nowhere() -> None:
    an = Person()
    for n in range(8):
        an.grant(f"device{n}")
    good = an.control[7]
    root, log = an.full("root0"), control_log(an.id)
    op = an.grant_op("late")
    for wrong in (
        follow(root, log, an.control[:7], op, skip=an.control[2].id),
        follow(root, log, an.control[:7], op, time=an.control[6].header.time),
        follow(root, log, an.control[:7], op, total=0),
        follow(root, log, an.control[:7], op, parts=(64 << 10) + 1),
    ):
        assert path([*an.control[:7], wrong]) == an.control[:7]
    assert path([*an.control[:7], good]) == an.control[:8]


def test_what_hangs_on_nothing_held_does_not_count() -> None:
    an = Person()
    an.grant("tablet")
    assert path([an.control[0], *an.control[2:]]) == an.control[:1]
    assert path(an.control[1:]) == []


def test_a_grant_without_collections_is_for_all_of_them() -> None:
    an = Person(device=None)
    an.say(Grant(an.key("phone"), 1, 1, 0, (POSTS,), 7, b32("box")))
    g = resolved(an.control).grant_of(an.key("phone"), 1)
    assert g is not None
    assert (g.grant.colls, g.grant.until, g.grant.x25519) == ((POSTS,), 7, b32("box"))


def test_a_path_of_two_thousand_forks_is_read_in_a_moment() -> None:
    """Anyone can make such an account; reading everything below each fork took seconds."""
    an = Person(device=None)
    beside: list[Entry] = []
    for k in range(2_000):
        beside.append(an.say(an.grant_op("thief"), by=f"root{k}", below=an.control))
        an.say(an.rotate(0, f"root{k + 2}"), by=f"root{k + 1}")
    began = time.process_time()
    c = resolve_control([*beside, *an.control])
    assert time.process_time() - began < 3.0
    assert list(c.path) == an.control


# -- the inception's grants, and witnesses


def test_the_inception_may_grant_and_grants_elsewhere_stand_alone() -> None:
    an = Person(within=("phone", "tablet"))
    c = resolved(an.control)
    assert len(c.path) == 1
    assert [c.grants[an.key(d)][0].order for d in ("phone", "tablet")] == [0, 1]
    two = an.say(an.grant_op("watch"), an.grant_op("car"), below=an.control)
    assert len(path([*an.control, two])) == 1
    init = decode_body(an.control[0].ops).ops[0]
    for ops in ((init, an.rotate(0, "x")), (init, init), (an.grant_op("phone"), init), (init, an.pin(two))):
        odd = follow("an root0", control_log(NOBODY), [], *ops)
        assert not path([odd])


def tie() -> tuple[Person, Entry]:
    """The root was rotated twice. A thief has root1, which the inception had committed to."""
    an = Person(within=("phone", "tablet"))
    an.say(an.rotate(0, "root2"), by="root1")
    an.say(an.rotate(0, "root3"), by="root2")
    return an, an.say(Rotate(0, digest("evil")), by="root1", below=an.control[:1])


def test_a_rotated_out_next_root_freezes_without_a_witness_and_neither_freezes_nor_rewrites_with_one() -> None:
    an, evil = tie()
    assert resolved([*an.control, evil]).frozen
    for names in an.control[1:]:
        c = resolve_control([*an.control, evil], [an.checkpoint("phone", names)])
        assert list(c.path) == an.control
        assert not c.frozen
        assert [e.id for e in c.beside] == [evil.id]


def test_a_checkpoint_of_the_vertex_itself_or_of_an_entry_that_is_not_held_vouches_for_nobody() -> None:
    an, evil = tie()
    unheld = an.grant("watch", by="root2")
    wrong = an.checkpoint("phone", an.control[1])._replace(control=ControlRef(2, an.control[1].id))
    for said in (an.checkpoint("phone", an.control[0]), an.checkpoint("phone", unheld), wrong):
        assert resolve_control([*an.control[:-1], evil], [said]).frozen


def test_two_witnesses_that_disagree_freeze_and_the_evidence_shows_both() -> None:
    an, evil = tie()
    said = [an.checkpoint("phone"), an.checkpoint("tablet", evil)]
    c = resolve_control([*an.control, evil], said)
    assert c.frozen
    assert list(c.path) == an.control[:1]
    assert resolve_control(c.keep, said).frozen
    assert {e.id for e in c.keep} == {e.id for e in (*an.control, evil)}


def test_of_three_branches_the_evidence_is_of_those_that_witnesses_name() -> None:
    an, _ = tie()
    branches = [an.say(Rotate(0, digest(f"evil{k}")), by="root1", below=an.control[:1]) for k in range(4)]
    for one, two in itertools.permutations(branches, 2):
        said = [an.checkpoint("phone", one), an.checkpoint("tablet", two)]
        c = resolve_control([*an.control, *branches], said)
        assert c.frozen
        assert resolve_control(c.keep, said).frozen, "else whoever has only the evidence would follow one of them"


def test_what_a_witness_names_beside_the_path_is_kept_as_evidence() -> None:
    an, evil = tie()
    stale = an.say(an.grant_op("watch"), by="root2", below=an.control)
    named = an.say(an.grant_op("car"), by="root2", below=[*an.control, stale])
    an.say(an.rotate(0, "root4"), by="root3")  # a stronger key took the place of both
    said = [an.checkpoint("phone", named)]
    c = resolve_control([*an.control, evil, stale, named], said)
    assert list(c.path) == an.control
    again = resolve_control([*c.keep, evil], said)
    assert (again.frozen, [e.id for e in again.path]) == (False, [e.id for e in an.control])
    assert resolve_control([*an.control, evil], said).frozen, "without it nobody vouches"


def test_no_witness_overrides_a_stronger_key() -> None:
    an, evil = tie()
    recover = an.say(Recover(an.digest("root9"), an.digest("root10")), by="rec0", below=an.control[:1])
    c = resolve_control([*an.control, evil, recover], [an.checkpoint("phone"), an.checkpoint("tablet")])
    assert [e.id for e in c.path] == [an.id, recover.id]


def test_writers_granted_below_the_vertex_or_cut_off_above_it_are_no_witnesses() -> None:
    an = Person(within=("phone",))
    an.say(an.cut("phone"))
    below = list(an.control)
    an.say(an.rotate(0, "root2"), by="root1")
    an.grant("watch", by="root1")
    evil = an.say(Rotate(0, digest("evil")), by="root1", below=below)
    for by in ("phone", "watch", "root1"):
        assert resolve_control([*an.control, evil], [an.checkpoint(by)]).frozen


def test_a_thief_with_a_device_and_a_rotated_out_root_rewrites_where_no_other_device_speaks() -> None:
    """The root and its only witness were stolen. A second witness would freeze it, a recovery key undoes it."""
    an, evil = tie()
    stolen = an.checkpoint("phone", evil, n=1 << 40)
    c = resolve_control([*an.control, evil], [an.checkpoint("phone"), stolen])
    assert [e.id for e in c.path] == [an.id, evil.id]
    assert resolve_control([*an.control, evil], [stolen, an.checkpoint("tablet")]).frozen
    recover = an.say(Recover(an.digest("root9"), an.digest("root10")), by="rec0")
    assert list(resolve_control([*an.control, evil], [stolen]).path) == an.control
    assert an.control[-1] == recover


def test_a_device_that_was_cut_off_later_is_a_witness_of_what_came_before() -> None:
    an, evil = tie()
    an.say(an.cut("phone"), by="root2")
    assert list(resolve_control([*an.control, evil], [an.checkpoint("phone", an.control[2])]).path) == an.control


def test_dropping_checkpoints_of_writers_that_the_path_does_not_grant_changes_nothing() -> None:
    an, evil = tie()
    below = an.say(an.grant_op("car"), by="evil", below=[an.control[0], evil])
    said = [an.checkpoint("phone"), an.checkpoint("car", below), an.checkpoint("root0", evil)]
    c = resolve_control([*an.control, evil, below], said)
    again = resolve_control([*an.control, evil, below], [s for s in said if c.entitles(s.writer)])
    assert (again.path, again.frozen, again.keep) == (c.path, c.frozen, c.keep)
