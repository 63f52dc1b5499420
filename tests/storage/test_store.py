"""The store returns what it was given, on either engine, and forgets only what it was told to forget."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.checkpoint import ControlRef, make_checkpoint
from banyan_crdt.entry import Entry
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log
from banyan_crdt.logs import NOTHING
from banyan_crdt.ops import Body, Op, decode_body, part_of
from banyan_crdt.parts import content_of, make_part, open_part
from banyan_crdt.realm import MAIN, TEST
from banyan_storage import acts, id_index
from banyan_storage import tables as t
from banyan_storage.check import verify
from banyan_storage.engine import Engine, WriteTxn
from banyan_storage.errors import CorruptStore, StorageError, StoreVersion
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.reader import StoreReader
from banyan_storage.store import Append, Store
from banyan_storage.upgrade import STEPS, upgrade
from banyan_storage.viewhook import ArrivedPart, CountedEntry, NoViews
from tests.storage.accounts import STORE_ID, Account, bodies, head_of, open_engine, open_store, sign


@pytest.fixture(params=["memory", "lmdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(request.param, tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def store(engine: Engine) -> Store:
    return open_store(engine)


NOW_S = 1_800_000_000


def check(store: Store) -> None:
    store.commit()
    with store.snapshot() as reader:
        assert verify(reader, lambda account, n: None) == []


def started(store: Store, name: str = "an", n: int = 5) -> Account:
    account = Account(name)
    account.open(store)
    account.write(store, n)
    return account


def test_what_was_appended_is_read_back_bit_for_bit(store: Store) -> None:
    account = started(store, n=40)
    assert store.chain(account.log) == account.chain
    assert store.chain(account.log, 7, 9) == account.chain[7:9]
    assert list(store.walk(account.log, 3)) == account.chain[3:]
    assert store.control(account.id) == tuple(account.control)
    assert [store.entry(e.id) for e in account.chain] == account.chain
    assert [store.id_at(account.log, q) for q in range(41)] == [*(e.id for e in account.chain), None]
    assert store.head(account.log) == head_of(account.chain)
    assert store.heads(account.id) == {
        control_log(account.id): head_of(account.control),
        account.log: store.head(account.log),
    }
    assert store.place(account.chain[4].id) == (account.log, 4)
    assert store.chain(account.log, 50, 60) == []
    check(store)


def test_what_was_never_held_is_answered_with_nothing(store: Store) -> None:
    account = Account("nobody")
    e = account.control[0].id
    assert store.head(account.log) == Head(0, None, 0)
    assert store.chain(account.log) == [] == store.loose(account.log)
    assert store.entry(e) is None
    assert not store.has(e)
    assert store.part(e, 0) is None
    assert store.withheld(e, 0) is None
    assert store.next_signed(account.log, 0) is None
    assert store.control(account.id) == ()
    assert not store.erase_part(e, 0, None)
    assert store.put_parts([(e, 0, account.salt)]) == 0
    store.set_signature(e, bytes(64))
    assert store.last_arrival == 0
    assert not any(store.counts())


def test_an_id_that_shares_only_its_first_half_is_not_taken_for_the_entry(store: Store) -> None:
    account = started(store)
    other = EntryId(account.chain[0].id[:16] + bytes(16))
    assert store.entry(other) is None
    assert not store.has(other)
    assert store.part(other, 0) is None


@pytest.mark.parametrize("kept", [0, 1, 8, 50])
def test_a_row_of_a_damaged_page_in_the_place_of_an_entry_is_said_to_be_damage(engine: Engine, kept: int) -> None:
    store = open_store(engine)
    account = started(store)
    store.commit()
    log, last, txn = account.log, account.chain[-1].id, engine.write()
    for key, raw in list(txn.scan(t.ENTRIES)):
        txn.put(t.ENTRIES, key, raw[:kept])
    for asked in (
        lambda: store.entry(last),
        lambda: store.line(last),
        lambda: store.place(last),
        lambda: store.is_counted(last),
        lambda: store.at(2),
        lambda: store.name_at(2),
        lambda: store.chain(log),
        lambda: store.lines(log, 0, 5),
        lambda: store.id_at(log, 1),
        lambda: store.arrivals(0, 5),
    ):
        with pytest.raises(CorruptStore, match="less than those with which every record begins"):
            asked()
    assert verify(store, lambda account, n: None)


def test_others_see_only_what_is_committed_and_the_writer_sees_all(store: Store) -> None:
    account = started(store)
    with store.snapshot() as reader:
        assert reader.head(account.log).length == 0
        assert list(reader.accounts()) == []
    store.commit()
    account.write(store, 2)
    assert store.head(account.log).length == 7
    with store.snapshot() as reader:
        assert reader.head(account.log).length == 5
        assert reader.chain(account.log) == account.chain[:5]
        assert reader.last_arrival == 7
        assert store.last_arrival == 9
        assert reader.store_id == STORE_ID


def test_a_rollback_leaves_nothing_behind_and_the_next_append_works(store: Store) -> None:
    account = started(store)
    store.commit()
    before, digest = store.counts(), store.digest()
    stranger = started(store, "stranger")
    account.write(store, 3)
    store.put_note(b"cursor", b"9")
    store.rollback()
    assert store.counts() == before
    assert store.digest() == digest
    assert not store.has(stranger.chain[0].id)
    assert store.note(b"cursor") is None
    account.chain = account.chain[:5]
    account.write(store, 1)
    assert store.last_arrival == 8
    check(store)


def test_a_store_keeps_its_name_and_everything_else_over_a_restart(tmp_path: Path) -> None:
    store = open_store(open_engine("lmdb", tmp_path / "store"))
    assert store.fresh
    account = started(store)
    store.put_note(b"own log", b"\x07")
    store.commit()
    digest = store.digest()
    store.close()
    again = open_store(open_engine("lmdb", tmp_path / "store"), store_id=b"another 16 bytes")
    assert not again.fresh
    assert again.store_id == STORE_ID
    assert again.note(b"own log") == b"\x07"
    assert again.digest() == digest
    assert again.chain(account.log) == account.chain
    account.write(again, 1)
    assert again.last_arrival == 8
    again.close()


def test_a_store_of_another_realm_is_refused(engine: Engine) -> None:
    open_store(engine)
    back = "of the realm 'test', not of 'main'.*; leave node.realm at 'test', or give 'main' a home of its own"
    with pytest.raises(StorageError, match=back):
        Store(engine, MAIN, new_store_id=STORE_ID, views=NoViews())


def test_a_store_of_an_older_schema_is_refused_with_what_to_do(engine: Engine) -> None:
    open_store(engine)
    engine.write().put(t.META, t.SCHEMA_KEY, t.u32(min(STEPS)))
    with pytest.raises(StoreVersion, match="`banyan up`, or a command that writes, brings it there"):
        open_store(engine)
    engine.write().put(t.META, t.SCHEMA_KEY, t.u32(min(STEPS) - 1))
    assert not upgrade(engine, NOW_S, pytest.fail)
    with pytest.raises(StoreVersion, match="export it with the program that wrote it"):
        open_store(engine)
    engine.write().put(t.META, t.SCHEMA_KEY, t.u32(t.SCHEMA + 1))
    assert not upgrade(engine, NOW_S, pytest.fail)
    with pytest.raises(StoreVersion, match="use the newer program"):
        open_store(engine)


def test_entries_whose_ids_begin_alike_are_told_apart(store: Store) -> None:
    account = started(store, n=1)
    (first,), _ = account.run(1)
    twin = Entry(EntryId(first.id[:8] + bytes(24)), first.header, first.ops, first.sig)
    store.append([Append(account.log, [first], bodies([first]), (), Head(2, first.id, 0))])
    for _ in range(2):
        assert not store.has(twin.id)
        assert store.entry(first.id) == first
        store.commit()
    other = LogId(account.id, account.device.key, 2)
    store.rewrite(other, [], [twin], Head(0, None, 0), NOW_S)
    for _ in range(2):
        assert [store.place(e) for e in (first.id, twin.id)] == [(account.log, 1), (other, 1)]
        assert [store.is_counted(e) for e in (first.id, twin.id)] == [True, False]
        assert store.by_half(twin.id[:16]) is not None
        store.commit()


def test_an_entry_says_what_its_parent_is_also_when_that_is_gone(store: Store) -> None:
    account = started(store, n=6)
    chain = account.chain
    store.rewrite(account.log, chain[:2], chain[4:], head_of(chain[:2]), NOW_S)
    assert store.loose(account.log) == chain[4:]
    assert [store.entry(e.id) for e in chain] == [*chain[:2], None, None, *chain[4:]]


def test_what_came_as_one_run_is_one_row_and_a_long_one_is_cut(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    account = started(store, n=20)
    rows = store.txn.count(t.CHAIN)
    assert rows < 4
    monkeypatch.setattr(t, "MAX_STRETCH", 3)
    account.write(store, 20)
    assert store.txn.count(t.CHAIN) == rows + 7
    assert store.chain(account.log) == account.chain
    assert [store.chain(account.log, q, q + 5) for q in range(36)] == [account.chain[q : q + 5] for q in range(36)]
    assert [store.next_signed(account.log, q) for q in (0, 19, 20, 39, 40)] == [19, 19, 39, 39, None]
    check(store)


def test_an_append_that_does_not_continue_the_log_is_refused(store: Store) -> None:
    account = started(store)
    entries, _ = account.run(2)
    with pytest.raises(ValueError, match="does not continue a log of 5"):
        store.append([Append(account.log, entries[1:], bodies(entries[1:]), (), Head(6, entries[1].id, 0))])


def test_an_append_that_hangs_on_another_entry_than_the_last_is_refused(store: Store) -> None:
    account = started(store)
    other, _ = account.run(2, below=account.chain[:4], tag="fork")
    with pytest.raises(ValueError, match="does not continue a log of 5"):
        store.append([Append(account.log, other[1:], bodies(other[1:]), (), Head(6, other[1].id, 0))])
    assert store.head(account.log) == head_of(account.chain)
    check(store)


def test_a_run_that_does_not_come_right_after_its_parent_says_what_its_parent_is(store: Store) -> None:
    an, binh = started(store, "an"), started(store, "binh")
    for account in (an, binh, an, binh):
        account.write(store, 3)
        assert store.chain(account.log) == account.chain
    check(store)


def test_the_frontier_comes_in_the_order_of_logs_and_makes_the_digest(store: Store) -> None:
    accounts = sorted((started(store, name) for name in "abcdef"), key=lambda a: a.id)
    heads = list(store.all_heads())
    assert heads == sorted(heads)
    assert len(heads) == 12
    assert [log.account for log, _ in store.all_heads(accounts[3].id)] == [a.id for a in accounts[3:] for _ in range(2)]
    assert list(store.accounts()) == [a.id for a in accounts]
    assert store.digest() == frontier_digest(heads)
    counts = store.counts()
    assert (counts.accounts, counts.logs, counts.entries, counts.counted, counts.parts) == (6, 12, 42, 42, 36)


def test_a_checkpoint_takes_the_place_of_the_one_before_and_is_gone_when_dropped(store: Store) -> None:
    account = started(store)
    place = ControlRef(1, account.control[1].id)
    first, second = (make_checkpoint(TEST, account.id, account.device, n, place, []) for n in (1, 2))
    before = store.heads(account.id)
    arrival = store.last_arrival
    store.put_checkpoint(first)
    check(store)
    store.put_checkpoint(second)
    assert list(store.checkpoints(account.id)) == [second]
    store.rollback()
    assert store.checkpoint(account.id, account.device.key) == first
    store.put_checkpoint(second)
    assert store.heads(account.id) == before | {second.log_id: second.head}
    assert list(store.heads(account.id))[1:] == [second.log_id, account.log], "before the logs of its writer"
    check(store)
    store.drop_checkpoint(second.log_id)
    assert store.heads(account.id) == before
    assert store.checkpoint(account.id, account.device.key) is None
    assert store.last_arrival == arrival, "it is no arrival"
    check(store)


def test_a_part_is_lacking_until_it_arrives(store: Store) -> None:
    account = Account("an")
    account.open(store)
    items = account.write(store, 5, parts=False)
    store.commit()
    first = store.lacking(b"", 2)
    rest = store.lacking(first[-1].cursor, 10)
    assert [(x.entry, x.op) for x in first + rest] == [(i, op) for i, op, _ in items]
    assert [x.part for x in first + rest] == [part_of(decode_body(e.ops).ops[0]) for e in account.chain]
    assert store.put_parts(items[1:3]) == 2 == 2 + store.put_parts(items[1:3])
    assert [x.entry for x in store.lacking(b"", 10)] == [items[k][0] for k in (0, 3, 4)]
    assert [store.part(i, op) for i, op, _ in items] == [None, items[1][2], items[2][2], None, None]
    check(store)


def test_a_batch_continues_several_logs_and_one_log_twice_with_the_parts_at_hand(store: Store) -> None:
    an, binh = started(store, "an", n=2), Account("binh")
    binh.open(store)
    first, second = an.run(2), an.run(3, below=[*an.chain, *an.run(2)[0]])
    other, chain = binh.run(2), [*an.chain, *first[0], *second[0]]
    raws = [[raw for _, _, raw in items] for _, items in (first, other, second)]
    store.append(
        [
            Append(an.log, first[0], bodies(first[0]), raws[0], head_of(chain[:4])),
            Append(binh.log, other[0], bodies(other[0]), [None, raws[1][1]], head_of(other[0])),
            Append(an.log, second[0], bodies(second[0]), raws[2][:1], head_of(chain)),
        ]
    )
    assert store.chain(an.log) == chain
    assert store.head(binh.log) == head_of(other[0])
    assert [x.entry for x in store.lacking(b"", 9)] == [other[0][0].id, second[0][1].id, second[0][2].id]
    for entry, op, raw in (*first[1], *other[1][1:], *second[1][:1]):
        assert store.part(entry, op) == raw
    store.put_parts([*other[1], *second[1]])
    assert store.lacking(b"", 9) == []
    store.commit()
    check(store)


def test_contents_are_those_of_the_arrivals_that_are_named(store: Store) -> None:
    account = Account("an")
    account.open(store)
    items = account.write(store, 5)
    n = store.number_of(items[0][0]) or 0
    named = [n, n + 1, n + 4]
    assert store.contents(named) == {k: [(0, items[k - n][2])] for k in named}


def test_a_part_that_was_erased_is_not_taken_back_until_the_erasure_is_lifted(store: Store) -> None:
    account = Account("an")
    account.open(store)
    items = account.write(store, 3, parts=False)
    store.put_parts(items[:2])
    entry = items[0][0]
    assert store.erase_part(entry, 0, b"order 17, signed")
    assert store.erase_part(items[2][0], 0, None)
    assert store.part(entry, 0) is None
    assert store.withheld(entry, 0) == b"order 17, signed"
    assert store.withheld(items[2][0], 0) == b""
    assert store.withheld(items[1][0], 0) is None
    assert store.lacking(b"", 9) == []
    assert store.put_parts(items) == 0
    check(store)
    assert store.want_part(entry, 0)
    assert not store.want_part(entry, 0)
    assert [x.entry for x in store.lacking(b"", 9)] == [entry]
    assert store.put_parts(items) == 1
    assert store.part(entry, 0) == items[0][2]
    check(store)


def test_a_signature_that_came_later_lets_a_run_end_there(store: Store) -> None:
    account = started(store, n=6)
    assert [store.next_signed(account.log, q) for q in range(8)] == [5, 5, 5, 5, 5, 5, None, None]
    signed = sign(account.device, account.chain[2])
    assert signed.sig is not None
    store.set_signature(signed.id, signed.sig)
    assert [store.next_signed(account.log, q) for q in range(4)] == [2, 2, 2, 5]
    assert store.entry(signed.id) == signed
    store.set_signature(signed.id, bytes(64))
    assert store.entry(signed.id) == signed
    check(store)


def test_a_later_signature_is_marked_where_what_counts_ends_without_one(store: Store) -> None:
    account = started(store, n=6)
    chain = account.chain
    store.rewrite(account.log, chain[:4], chain[4:], head_of(chain[:4]), NOW_S)
    assert store.next_signed(account.log, 0) is None
    signed = sign(account.device, chain[1])
    assert signed.sig is not None
    store.set_signature(signed.id, signed.sig)
    assert [store.next_signed(account.log, q) for q in (0, 1, 2)] == [1, 1, None]
    check(store)


def test_a_later_signature_of_a_branch_is_not_marked_in_what_counts(store: Store) -> None:
    account = started(store, n=6)
    other, _ = account.run(3, below=account.chain[:2], tag="fork")
    store.add_loose(account.log, other, t.BRANCH, NOW_S)
    signed = sign(account.device, other[0])
    assert signed.sig is not None
    store.set_signature(signed.id, signed.sig)
    assert store.loose(account.log)[0] == signed
    assert store.next_signed(account.log, 0) == 5
    check(store)


def test_a_rewriting_keeps_signatures_and_adds_those_that_came(store: Store) -> None:
    account = started(store, n=6)
    unsigned = [e._replace(sig=None) for e in account.chain]
    store.rewrite(account.log, unsigned, [], head_of(unsigned), NOW_S)
    assert store.chain(account.log) == account.chain
    assert store.next_signed(account.log, 0) == 5
    check(store)
    chain = [sign(account.device, e) if q == 2 else e for q, e in enumerate(unsigned)]
    store.rewrite(account.log, chain, [], head_of(chain), NOW_S)
    assert [store.next_signed(account.log, q) for q in (0, 2, 3)] == [2, 2, 5]
    assert store.entry(chain[2].id) == chain[2]
    check(store)


@pytest.mark.parametrize("keep", [0, 2, 5, 6])
def test_what_is_shortened_is_held_beside_with_its_content_and_no_more_is_asked_for(store: Store, keep: int) -> None:
    account = Account("an")
    account.open(store)
    items = account.write(store, 3)
    account.write(store, 3, parts=False)
    assert not store.any_loose()
    chain = account.chain
    store.shorten(account.log, head_of(chain[:keep], flag=1), NOW_S)
    assert store.held(account.log) == (chain[:keep], chain[keep:])
    assert [store.part(i, op) for i, op, _ in items] == [raw for _, _, raw in items]
    assert [x.entry for x in store.lacking(b"", 9)] == [e.id for e in chain[:keep] if e.header.seq >= 3]
    assert {row.kind for row in store.loose_rows(account.log)} <= {t.QUARANTINED}
    assert [store.is_counted(e.id) for e in chain] == [e.header.seq < keep for e in chain]
    assert acts_of(store) == [("recounted", account.id)] * (keep < 6), (
        "whoever reads acts learns that entries count no more"
    )
    check_but_for_signatures(store)
    store.rewrite(account.log, chain, [], head_of(chain), NOW_S)
    assert [x.entry for x in store.lacking(b"", 9)] == [e.id for e in chain[3:]]
    check(store)


def acts_of(store: Store) -> list[tuple[str, AccountId]]:
    store.commit()
    with store.snapshot() as reader:
        return [(act.kind, act.account) for act in acts.after(reader.txn, 0)]


def check_but_for_signatures(store: Store) -> None:
    store.commit()
    with store.snapshot() as reader:
        assert [p for p in verify(reader, lambda account, n: None) if "vouches for" not in p.sentence] == []


def test_what_came_with_a_gap_before_it_is_found_where_it_came(store: Store) -> None:
    account = started(store, n=4)
    other, _ = account.run(2, below=account.chain[:2], tag="fork")
    store.add_loose(account.log, other, t.BRANCH, NOW_S)
    chosen = [*account.chain[:2], *other]
    store.rewrite(account.log, chosen, account.chain[2:], head_of(chosen), NOW_S)
    assert store.held(account.log) == (chosen, account.chain[2:])
    check(store)


def test_what_counted_is_quarantined_and_what_never_did_is_a_branch_each_since_it_was_so(store: Store) -> None:
    account = started(store, n=4)
    other, _ = account.run(1, below=account.chain[:2], tag="fork")
    chain = account.chain
    store.add_loose(account.log, other, t.BRANCH, NOW_S)
    store.rewrite(account.log, chain[:2], [*chain[2:], *other], head_of(chain[:2], flag=1), NOW_S + 5)
    store.rewrite(account.log, chain[:3], [chain[3], *other], head_of(chain[:3]), NOW_S + 9)
    rows = {row.n: (row.kind, row.since) for row in store.loose_rows(account.log)}
    assert rows == {
        store.number_of(chain[3].id): (t.QUARANTINED, NOW_S + 5),
        store.number_of(other[0].id): (t.BRANCH, NOW_S),
    }


def test_only_what_does_not_count_is_dropped(store: Store) -> None:
    account = started(store, n=4)
    other, items = account.run(2, below=account.chain[:2], tag="fork")
    assert not store.any_loose()
    store.add_loose(account.log, other, t.BRANCH, NOW_S)
    assert store.loose(account.log) == other
    assert store.put_parts(items) == 0, "nothing that counts names it"
    with pytest.raises(ValueError, match="counts, so it cannot be dropped"):
        store.drop_loose(account.log, [account.chain[3].id])
    store.drop_loose(account.log, [e.id for e in other])
    assert store.held(account.log) == (account.chain, [])
    assert not any(store.has(e.id) for e in other)
    check(store)


def test_only_children_of_the_entry_are_its_children(store: Store) -> None:
    account = started(store, n=4)
    branches = [account.run(3, below=account.chain[:1], tag=tag)[0] for tag in "abc"]
    for branch in branches:
        store.add_loose(account.log, branch, t.BRANCH, NOW_S)
    assert store.children(account.log, branches[1][0].id, 2) == [branches[1][1]]
    assert len(store.children(account.log, account.chain[0].id, 1)) == 3


def test_of_what_is_held_beside_that_below_a_pin_is_named_before_what_is_higher(store: Store) -> None:
    account = started(store, n=2)
    high, _ = account.run(9, tag="high")
    low, _ = account.run(2, below=account.chain[:1], tag="low")
    store.add_loose(account.log, high, t.BRANCH, NOW_S)
    store.add_loose(account.log, low, t.VOUCHED, NOW_S)
    found = store.highest_loose(account.log, 3)
    assert found == [(2, low[1].id), (1, low[0].id), (10, high[8].id)]


def test_a_fork_moves_entries_aside_and_a_pin_moves_them_back_with_number_and_parts(store: Store) -> None:
    account = started(store, n=6)
    chain = [*account.chain[:2], sign(account.device, account.chain[2]), *account.chain[3:]]
    numbers = {a.id: a.n for a in store.arrivals(0, 99)}
    other, items = account.run(2, below=chain[:3], tag="fork")
    store.rewrite(account.log, chain[:3], [*chain[3:], *other], head_of(chain[:3], flag=1), NOW_S)
    store.put_parts(items)
    assert store.held(account.log) == (chain[:3], sorted([*chain[3:], *other], key=lambda e: (e.header.seq, e.id)))
    assert store.head(account.log) == Head(3, chain[2].id, 1)
    assert store.is_counted(chain[2].id)
    assert not store.is_counted(chain[3].id)
    assert store.has(chain[3].id)
    check(store)
    store.rewrite(account.log, chain, [], head_of(chain), NOW_S)
    assert store.held(account.log) == (chain, [])
    assert {a.id: a.n for a in store.arrivals(0, 99)} == numbers
    assert all(store.part(e.id, 0) is not None for e in chain)
    assert store.part(other[0].id, 0) is None
    assert not any(store.has(e.id) for e in other)
    check(store)


def test_arrival_numbers_are_never_given_twice(store: Store) -> None:
    account = started(store, n=4)
    store.commit()
    last = store.last_arrival
    store.rewrite(account.log, [], [], Head(0, None, 0), NOW_S)
    check(store)
    assert store.last_arrival == last
    assert [a.log.log for a in store.arrivals(0, 99)] == [0, 0]
    entries, account.chain = account.chain, []
    store.append([Append(account.log, entries, bodies(entries), (), head_of(entries))])
    assert [a.n for a in store.arrivals(last, 99)] == list(range(last + 1, last + 5))
    assert [(a.log, a.seq, a.id) for a in store.arrivals(last + 2, 1)] == [(account.log, 2, entries[2].id)]
    check(store)


def test_a_log_goes_from_its_end_in_steps_each_of_which_leaves_a_whole_log(store: Store) -> None:
    account = started(store, n=4)
    for _ in range(2):
        account.write(store, 3)
    last, _ = account.run(3)
    for some in (last[:1], last[1:]):  # a run whose entries do not arrive one after the other
        account.chain += some
        store.append([Append(account.log, some, bodies(some), (), head_of(account.chain))])
        started(store, name=f"other {len(account.chain)}")
    chain = list(account.chain)
    beside, _ = account.run(3, below=chain[:5], tag="fork")
    store.add_loose(account.log, beside[:2], t.BRANCH, NOW_S)
    store.commit()
    seen: list[int] = []
    steps = []
    while dropped := store.drop_end(account.log, 2, seen.extend):
        store.commit()
        check(store)
        steps.append((dropped, store.head(account.log).length))
        assert store.held(account.log) == (chain[: steps[-1][1]], [])
    assert steps == [(2, 13), (3, 10), (3, 7), (3, 4), (4, 0)]
    assert len(set(seen)) == len(chain) + 2
    assert not any(store.has(e.id) or store.part(e.id, 0) is not None for e in (*chain, *beside))
    assert store.head(account.log) == NOTHING
    assert account.log not in store.logs(account.id)


def test_what_was_lost_with_its_transaction_is_not_at_hand_after_it(engine: Engine) -> None:
    store = open_store(engine, Seen())
    an, binh = Account("an"), Account("binh")
    an.open(store)
    binh.open(store)
    an.write(store, 2)
    store.commit()
    chain = list(an.chain)
    other, _ = an.run(1, below=chain[:1], tag="fork")
    store.add_loose(an.log, other, t.BRANCH, NOW_S)
    store.commit()
    an.write(store, 3, parts=False)
    store.drop_loose(an.log, [other[0].id])
    assert not store.any_loose()
    store.rollback()
    assert store.any_loose()
    assert store.head(an.log) == head_of(chain)
    assert store.lacking(b"", 9) == []
    entries, items = binh.run(3)
    store.append([Append(binh.log, entries, bodies(entries), [raw for _, _, raw in items], head_of(entries))])
    assert store.last_arrival == store.number_of(entries[2].id) == 10
    store.erase_part(entries[1].id, 0, None)
    store.want_part(entries[1].id, 0)
    assert store.put_parts(items) == 1  # the views are told of this entry, not of that of this number before
    check(store)


def test_what_is_lacking_is_durable_with_what_it_belongs_to(store: Store) -> None:
    account = Account("an")
    account.open(store)
    account.write(store, 3, parts=False)
    store.commit()
    with store.snapshot() as reader:
        assert [x.entry for x in reader.lacking(b"", 9)] == [e.id for e in account.chain]
        assert reader.counts().lacking == 3


def test_ids_of_what_went_or_was_lost_are_not_indexed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_index, "YOUNG_IDS", 4)
    monkeypatch.setattr(id_index, "LEAST", 1)
    an, binh = started(store, "an"), started(store, "binh")
    for k in range(6):
        an.write(store, 2)
        kept = binh.chain
        gone, _ = binh.run(2, tag=f"lost {k}")
        store.append([Append(binh.log, gone, bodies(gone), (), head_of([*kept, *gone]))])
        check(store)
        store.rewrite(binh.log, kept, [], head_of(kept), NOW_S)
        check(store)
        binh.write(store, 1)
        lost = binh.chain.pop()
        store.rollback()
        assert not store.has(lost.id)
        assert not store.has(gone[0].id)
    check(store)
    assert store.txn.count(t.IDS)


@pytest.mark.parametrize("how", ["append", "beside", "rewrite"])
def test_what_was_erased_stays_erased_when_its_entry_goes_and_comes_again(store: Store, how: str) -> None:
    account = Account("an")
    account.open(store)
    items = account.write(store, 3)
    chain = account.chain
    assert store.erase_part(chain[1].id, 0, b"order 17, signed")
    assert store.erase_part(chain[2].id, 0, None)
    store.rewrite(account.log, [], [], Head(0, None, 0), NOW_S)
    assert store.withheld(chain[1].id, 0) is None
    check(store)
    if how == "append":
        store.append([Append(account.log, chain, bodies(chain), (), head_of(chain))])
    elif how == "rewrite":
        store.rewrite(account.log, chain, [], head_of(chain), NOW_S)
    else:
        store.add_loose(account.log, chain, t.BRANCH, NOW_S)
        store.rewrite(account.log, chain, [], head_of(chain), NOW_S)
    assert store.put_parts(items) == 1
    assert [store.withheld(e.id, 0) for e in chain] == [None, b"order 17, signed", b""]
    assert [store.part(e.id, 0) is None for e in chain] == [False, True, True]
    check(store)


def test_lifting_an_erasure_asks_for_nothing_that_does_not_count(store: Store) -> None:
    account = started(store, n=4)
    chain = account.chain
    store.erase_part(chain[3].id, 0, None)
    store.shorten(account.log, head_of(chain[:2], flag=1), NOW_S)
    assert store.want_part(chain[3].id, 0)
    assert store.lacking(b"", 9) == []


def test_a_log_of_which_nothing_counts_is_in_no_frontier(store: Store) -> None:
    account = started(store)
    empty = started(store, "b")
    digest_with = store.digest()
    store.rewrite(empty.log, [], [], Head(0, None, 0), NOW_S)
    assert empty.log not in store.heads(empty.id)
    assert empty.log not in store.logs(empty.id)
    assert store.digest() != digest_with
    assert account.log in store.heads(account.id)
    without = store.digest()
    store.rewrite(empty.log, [], [], Head(0, None, 1), NOW_S)
    assert store.heads(empty.id)[empty.log] == Head(0, None, 1), "a fork at its first entry"
    assert store.digest() != without


def test_the_name_of_a_log_of_which_nothing_is_left_goes_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    store = open_store(open_engine("lmdb", tmp_path / "store"))
    kept, gone = started(store, "kept"), started(store, "gone")
    numbers = {t.number(key) for key, _ in store.txn.scan(t.LOGS)}
    store.rewrite(gone.log, [], [], NOTHING, NOW_S)
    check(store)
    assert store.txn.get(t.HEADS, t.log_name(gone.log)) is None
    assert store.counts().logs == 3
    store.close()
    store = open_store(open_engine("lmdb", tmp_path / "store"))
    later = started(store, "later")
    assert later.chain == store.chain(later.log)
    assert store.txn.get(t.LOGS, t.u32(max(numbers))) is None
    assert len({t.number(key) for key, _ in store.txn.scan(t.LOGS)} - numbers) == 2
    gone.chain.clear()
    gone.write(store, 3)
    check(store)
    assert store.chain(gone.log) == gone.chain
    assert store.chain(kept.log) == kept.chain
    store.close()


def test_names_that_older_programs_kept_are_taken_away_and_those_in_use_are_not(store: Store) -> None:
    accounts = [started(store, f"account {k}") for k in range(6)]
    for account in accounts[:3]:
        lid = store._log(account.log)[0]
        store._rewrite(account.log, [], [], NOTHING, NOW_S)  # as `rewrite` once did
        assert store.txn.get(t.LOGS, t.u32(lid)) is not None
    suspended = accounts[3]
    store.rewrite(suspended.log, [], suspended.chain, NOTHING, NOW_S)
    store.commit()
    cursor, goes = b"", 0
    while (after := store.reclaim(cursor, 4)) is not None:
        cursor, goes = after, goes + 1
    assert goes == 3
    check(store)
    assert store.counts().logs == 9
    assert store.loose(suspended.log) == suspended.chain
    assert [store.chain(a.log) for a in accounts[4:]] == [a.chain for a in accounts[4:]]


def test_parts_of_entries_that_stopped_counting_are_not_asked_for(store: Store) -> None:
    account = Account("an")
    account.open(store)
    account.write(store, 4, parts=False)
    chain = account.chain
    store.rewrite(account.log, chain[:2], chain[2:], head_of(chain[:2]), NOW_S)
    assert [x.entry for x in store.lacking(b"", 9)] == [e.id for e in chain[:2]]
    store.rewrite(account.log, chain, [], head_of(chain), NOW_S)
    assert [x.entry for x in store.lacking(b"", 9)] == [e.id for e in chain]
    void = Body((), (), True, 0)
    store.rebuild_views(account.id, [(e, void if q == 1 else decode_body(e.ops)) for q, e in enumerate(chain)])
    assert [x.entry for x in store.lacking(b"", 9)] == [chain[q].id for q in (0, 2, 3)]


class Seen:
    """Views that record their calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def opened(self, txn: WriteTxn, fresh: bool) -> None:
        return

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append], firsts: Sequence[int]) -> None:
        for (log, entries, counted, parts, head, *_), first in zip(batch, firsts, strict=True):
            assert [reader.number_of(e.id) for e in entries] == list(range(first, first + len(entries)))
            assert all(reader.entry(e.id) == e for e in entries)
            assert reader.head(log).length >= head.length
            assert all(reader.part(e.id, 0) == raw for e, raw in zip(entries, parts, strict=False))
            self.calls.append(("added", log, len(entries), len(counted)))

    def rebuilt(self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[CountedEntry]) -> None:
        rebuilt = list(counted)
        assert all(reader.number_of(e.id) == n for n, e, _ in rebuilt)
        self.calls.append(("rebuilt", account, [e.header.seq for _, e, _ in rebuilt]))

    def put_off(self, txn: WriteTxn, account: AccountId) -> bool:
        return False

    def fold_again(
        self, txn: WriteTxn, reader: StoreReader, size: int, wanting: Any, of: AccountId | None = None
    ) -> bool:
        return False

    def cleared(self, txn: WriteTxn, account: AccountId, size: int) -> bool:
        return False

    def taken_out(self, txn: WriteTxn, reader: StoreReader, account: AccountId, gone: Sequence[CountedEntry]) -> bool:
        self.calls.append(("taken out", account, [e.header.seq for _, e, _ in gone]))
        return False

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        for n, entry, op_index, _, content in arrived:
            assert reader.at(n) == entry
            assert reader.part(entry.id, op_index) is not None
            self.calls.append(("arrived", entry.id, op_index, content))

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        assert reader.part(entry.id, op_index) is None
        self.calls.append(("erased", entry.id, op_index))

    def judged(self, txn: WriteTxn, account: AccountId, key: bytes) -> None:
        self.calls.append(("judged", account, key))


def test_views_hear_of_everything_that_counts_inside_the_transaction(engine: Engine) -> None:
    seen = Seen()
    store = open_store(engine, seen)
    account = Account("an")
    account.open(store)
    seen.calls.clear()
    items = account.write(store, 2, b"hello")
    loose, loose_items = account.run(1, below=account.chain[:1], tag="fork")
    chain = account.chain
    store.rewrite(account.log, chain, loose, head_of(chain), NOW_S)
    store.put_parts([*loose_items, *items])
    store.erase_part(chain[0].id, 0, None)
    store.rebuild_views(account.id, zip(chain, bodies(chain), strict=True))
    assert seen.calls == [
        ("added", account.log, 2, 2),
        *[("arrived", e.id, 0, b"hello") for e in chain],
        ("erased", chain[0].id, 0),
        ("rebuilt", account.id, [0, 1]),
    ]


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65_000, 65_536, 70_000])
def test_content_is_cut_out_of_a_part_as_the_strict_decoder_would(size: int) -> None:
    content = bytes(k % 251 for k in range(size))
    part, raw = make_part(bytes(16), content)
    assert content_of(raw) == open_part(part, raw) == content


def test_notes_are_kept_apart_from_what_the_store_keeps_for_itself(store: Store) -> None:
    store.put_note(b"store id", b"mine")
    store.put_note(b"peer:1", b"a")
    store.put_note(b"peer:2", b"b")
    store.put_note(b"peer:1", None)
    assert store.store_id == STORE_ID
    assert store.note(b"store id") == b"mine"
    assert list(store.notes(b"peer:")) == [(b"peer:2", b"b")]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_work_commits_and_crashes_leaves_a_store_that_verifies(seed: int) -> None:
    """A model of lists beside the store; power is lost at random, and then both go back to the last commit."""
    rng = random.Random(seed)
    engine = MemoryEngine(open_engine("memory", Path()).tables)
    store = open_store(engine)
    accounts = [Account(f"{seed}-{k}") for k in range(4)]
    for account in accounts:
        account.open(store)
    store.commit()
    safe = {account.name: list(account.chain) for account in accounts}
    for _ in range(150):
        account = rng.choice(accounts)
        act = rng.random()
        if act < 0.5:
            account.write(store, rng.randint(1, 4), parts=rng.random() < 0.7)
        elif act < 0.65 and account.chain:
            keep = rng.randrange(len(account.chain) + 1)
            while 0 < keep < len(account.chain) and account.chain[keep - 1].sig is None:
                keep -= 1
            loose = account.chain[keep:] if rng.random() < 0.5 else []
            store.rewrite(
                account.log, account.chain[:keep], loose, head_of(account.chain[:keep], flag=int(bool(loose))), NOW_S
            )
            store.rewrite(account.log, account.chain[:keep], [], head_of(account.chain[:keep]), NOW_S)
            account.chain = account.chain[:keep]
        elif act < 0.75 and account.chain:
            store.erase_part(rng.choice(account.chain).id, 0, None)
        elif act < 0.9:
            store.commit()
            safe = {a.name: list(a.chain) for a in accounts}
        else:
            if rng.random() < 0.5:
                store = open_store(engine := engine.crash())
            else:
                store.rollback()
            for a in accounts:
                a.chain = list(safe[a.name])
        assert [store.chain(a.log) for a in accounts] == [a.chain for a in accounts]
    check(store)
