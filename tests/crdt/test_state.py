"""The state of an account is a function of the set of its entries; equal frontiers are equal states."""

import random
from collections.abc import Sequence

import pytest

from banyan_crdt.cells import fold
from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry, encode_header, make_entry
from banyan_crdt.errors import BadSignature, NotYet
from banyan_crdt.frontier import frontier_digest, head_bytes, head_item
from banyan_crdt.ids import Head, LogId, control_log
from banyan_crdt.logs import must_hold
from banyan_crdt.ops import Close, Drop
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.run import decode_control
from banyan_crdt.state import AccountState, account_state
from tests.crdt.make import Person, add, follow, make_part


def state(person: Person, control: Sequence[Entry], *logs: Sequence[Entry]) -> AccountState:
    by_log: dict[LogId, list[Entry]] = {}
    for e in {e.id: e for log in logs for e in log}.values():
        by_log.setdefault(e.log_id, []).append(e)
    return account_state(TEST, person.id, control, by_log)


def busy() -> tuple[Person, list[Sequence[Entry]]]:
    an = Person("busy")
    an.grant("notary", stratum=1)
    an.grant("tablet", stratum=9)
    log = an.write(3)
    a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
    note = [follow(an.full("notary"), an.log("notary"), [], an.pin(b[3]))]
    an.say(an.cut("tablet"))
    return an, [a, b, note, an.write(2, device="tablet"), an.write(1, number=3)]


def test_any_order_gives_one_frontier_and_one_set_of_cells() -> None:
    an, logs = busy()
    want = state(an, an.control, *logs)
    rng = random.Random(7)
    for _ in range(30):
        mixed = [rng.sample(log, len(log)) for log in rng.sample(logs, len(logs))]
        got = state(an, rng.sample(an.control, len(an.control)), *mixed)
        assert got.heads == want.heads
        assert fold(got.counted()) == fold(want.counted())


def test_what_is_kept_says_the_same_as_what_came() -> None:
    an, logs = busy()
    want = state(an, an.control, *logs)
    held = []
    for log, c in want.logs.items():
        given = [e for some in logs for e in some if e.log_id == log]
        keep = must_hold(TEST, want.control.grant_of(log.writer, log.log), c, given)
        held.append([*c.chain, *(e for e in given if e.id in keep)])
    assert state(an, want.control.keep, *held).heads == want.heads


def test_more_entries_never_change_what_a_pin_chose() -> None:
    an, logs = busy()
    chosen = state(an, an.control, *logs).logs[an.log()].chain[:4]
    more = an.write(6, tag="thief")
    assert state(an, an.control, *logs, more).logs[an.log()].chain[:4] == chosen


def test_an_account_of_which_nothing_is_held_has_no_heads() -> None:
    an = Person()
    assert state(an, []).heads == {}
    assert state(an, [], an.write(2)).heads == {}


def test_a_closed_account_keeps_its_control_log_alone() -> None:
    an = Person()
    an.say(Close())
    assert state(an, an.control, an.write(2)).heads.keys() == {control_log(an.id)}


def test_a_dropped_log_has_no_head() -> None:
    an = Person()
    an.say(Drop(an.key("phone"), 1))
    assert state(an, an.control, an.write(2), an.write(1, number=2)).heads.keys() == {
        control_log(an.id),
        an.log("phone", 2),
    }


def test_an_entry_of_a_frozen_account_still_counts_under_the_grants_below_the_fork() -> None:
    an = Person()
    a, b = (an.say(an.grant_op(n), below=an.control) for n in ("tablet", "laptop"))
    heads = state(an, [*an.control, a, b], an.write(2), an.write(1, device="tablet")).heads
    assert heads[control_log(an.id)] == Head(2, an.control[-1].id, 1)
    assert heads[an.log()].length == 2
    assert an.log("tablet") not in heads


def test_void_entries_stay_in_the_log_and_count_as_no_operations() -> None:
    an = Person()
    log = an.write(2)
    broken = follow(an.full("phone"), an.log(), log, raw=encode([[], [[7, b"short"]]]))
    s = state(an, an.control, [*log, broken], an.write(1, number=2))
    assert s.heads[an.log()] == Head(3, broken.id, 0)
    assert [len(body.ops) for _, body in s.counted()] == [1, 1, 0, 1]


def test_an_entry_names_no_content_that_was_declared_by_those_before_it() -> None:
    an = Person()
    part, _ = make_part("x")
    first = follow(an.full("phone"), an.log(), [], add("a"), parts=part.size)
    second = follow(an.full("phone"), an.log(), [first], add("b", part))
    third = follow(an.full("phone"), an.log(), [first, second], add("c", part), parts=part.size)
    assert [len(b.ops) for _, b in state(an, an.control, [first, second, third]).counted()] == [1, 0, 1]


def test_the_digest_names_every_head_and_nothing_else() -> None:
    an, logs = busy()
    heads = sorted(state(an, an.control, *logs).heads.items())
    digest = frontier_digest(heads)
    assert digest == frontier_digest(sorted(state(an, an.control[::-1], *logs[::-1]).heads.items()))
    for i, (log, head) in enumerate(heads):
        for other in (head._replace(length=head.length + 1), head._replace(flag=1 - head.flag), head._replace(id=None)):
            assert frontier_digest([*heads[:i], (log, other), *heads[i + 1 :]]) != digest
            assert head_item(log, other) != head_item(log, head)
        assert len(head_bytes(log, head)) == 109


def test_an_entry_of_another_realm_has_another_id_and_no_valid_signature() -> None:
    an = Person()
    e = an.control[0]
    assert e.sig is not None
    raw = encode_header(e.header)
    assert make_entry(MAIN, raw, e.ops, e.sig).id != e.id
    with pytest.raises(BadSignature):
        decode_control(MAIN, [raw, e.sig, e.ops])


def test_version_2_is_not_yet() -> None:
    an = Person()
    e = an.control[0]
    with pytest.raises(NotYet) as caught:
        decode_control(TEST, [encode([2, *e.header]), e.sig, e.ops])
    assert caught.value.reason == "version"


def test_a_log_that_its_pinner_forks_loses_nothing() -> None:
    an = Person()
    an.grant("notary", stratum=1)
    log = an.write(4)
    pin = follow(an.full("notary"), an.log("notary"), [], an.pin(log[1]))
    fork = follow(an.full("notary"), an.log("notary"), [], add("fork"))
    s = state(an, an.control, log, [pin, fork])
    assert s.heads[an.log("notary")] == Head(0, None, 1)
    assert s.heads[an.log()].length == 4
