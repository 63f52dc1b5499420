"""Where a run joins held entries, and how a peer proves that its entries are below a pinned one."""

from __future__ import annotations

import pytest

from banyan_crdt.entry import Entry, decode_header, skip_seq
from banyan_crdt.errors import WrongLink
from banyan_crdt.ids import Head
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run, encode_run, skips_below
from banyan_replica.intake.joints import proof, stands_above
from tests.crdt.make import Person, add, follow
from tests.replica.helpers import NOW_MS, give
from tests.replica.judging import held, ids, known, sound


def lying(log: list[Entry], first: int, stop: int, about: int) -> bytes:
    """A run of the log that names a wrong entry as a skip target."""
    skips = [(q, log[q + (q == about)].id) for q in skips_below(first, stop - first)]
    return encode_run(log[first:stop], log[first - 1].header.total, skips)


def test_the_parent_of_a_run_must_be_in_its_own_log() -> None:
    an = Person()
    log, node = an.write(3), known(an)
    give(node, log)
    other = follow(an.full("phone"), an.log(number=2), log, add("x"))
    with pytest.raises(WrongLink, match="entry 3 does not follow entry 2 of log 1"):
        give(node, [*log, other], 3)
    assert not node.store.has(other.id)


def test_a_run_leaves_no_place_of_its_log_out() -> None:
    an = Person()
    log, node = an.write(6), known(an)
    give(node, log, 0, 3)
    assert skip_seq(5) is None
    total = log[2].header.total
    jump = follow(an.full("phone"), an.log(), log[:5], add("x"), prev=log[2].id, total=total + len(log[5].ops))
    with pytest.raises(WrongLink, match="entry 5 does not follow entry 2 of log 1"):
        node.run(decode_run(TEST, encode_run([jump], total, [])), NOW_MS)
    assert node.head(an.log()).length == 3


def test_a_branch_begins_after_its_parent_in_time_and_total() -> None:
    an = Person()
    log, node = an.write(6), known(an)
    give(node, log)
    early = follow(an.full("phone"), an.log(), log[:3], add("x"), time=log[2].header.time)
    with pytest.raises(WrongLink, match="does not follow its parent"):
        give(node, [*log[:3], early], 3)
    other = an.write(1, below=log[:2], tag="x")
    with pytest.raises(WrongLink, match="total"):
        node.run(decode_run(TEST, encode_run(other[2:], log[1].header.total - 1, [])), NOW_MS)
    assert node.head(an.log()) == Head(6, log[5].id, 0)


def test_a_lie_in_the_upper_part_of_a_run_is_rejected_where_its_lower_part_is_held() -> None:
    an = Person()
    log, node = an.write(40), known(an)
    give(node, log, 0, 38)
    assert skip_seq(39) == 12
    assert skip_seq(37) != 12
    with pytest.raises(WrongLink, match="another entry at 12"):
        node.run(decode_run(TEST, lying(log, 36, 40, about=12)), NOW_MS)
    assert node.head(an.log()).length == 38
    assert give(node, log, 36) == 2


def test_a_branch_skips_to_its_own_ancestors() -> None:
    an = Person()
    log, node = an.write(40), known(an)
    branch = an.write(8, below=log[:32], tag="x")
    assert (skip_seq(37), skip_seq(38)) == (33, 25)
    give(node, log)
    give(node, branch, 32, 37)
    with pytest.raises(WrongLink, match="another entry at 33"):
        node.run(decode_run(TEST, lying(branch, 37, 40, about=33)), NOW_MS)
    give(node, branch, 37)
    assert held(node, an.log()) == (ids(log[:32]), {*ids(log, 32), *ids(branch, 32)})
    sound(node)


def test_a_proof_leads_by_one_way_from_a_pinned_entry_to_the_entry_that_it_is_for() -> None:
    an = Person()
    log, node = an.write(60), known(an)
    give(node, log)
    pinned = {log[50].id}
    for last in (49, 48, 33, 20, 12, 3, 0):
        headers = [decode_header(raw) for raw in proof(node.store, an.log(), 50, last)]
        assert stands_above(TEST, headers, pinned, log[last])
        assert not stands_above(TEST, headers, {log[49].id}, log[last]), "it begins at what nothing pins"
        assert not stands_above(TEST, headers[:-1], pinned, log[last]), "it ends above"
        assert not stands_above(TEST, headers, pinned, log[last + 1]), "it is for another"
        for k in range(1, len(headers)):
            assert not stands_above(TEST, [*headers[:k], *headers[k + 1 :]], pinned, log[last]), "it jumps"
    every = [e.header for e in log[50:20:-1]]
    assert not stands_above(TEST, every, pinned, log[20]), "it takes another way than the one"
    other = an.write(1, below=log[:20], tag="thief")
    headers = [decode_header(raw) for raw in proof(node.store, an.log(), 50, 20)]
    assert not stands_above(TEST, headers, pinned, other[20]), "it is for another entry of that place"


def test_a_proof_of_another_log_shows_nothing() -> None:
    an, bo = Person(), Person("bo")
    log, other = an.write(30), bo.write(30)
    node = known(an)
    give(node, log)
    headers = [decode_header(raw) for raw in proof(node.store, an.log(), 25, 10)]
    assert not stands_above(TEST, headers, {other[25].id}, other[10])
    assert not stands_above(TEST, headers, {log[25].id}, other[10])
