"""A check finds nothing in a sound store, even after a kill, and names the changes in a damaged one."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan_crdt.checkpoint import Checkpoint, ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.entry import Entry, encode_header, entry_id, skip_seq
from banyan_crdt.ids import AccountId, EntryId, Head
from banyan_crdt.ops import Pin, decode_body, part_of
from banyan_crdt.realm import TEST
from banyan_crdt.run import run_row_bytes
from banyan_crdt.signing import Signer
from banyan_storage import id_index, salvage
from banyan_storage import tables as t
from banyan_storage.check import compact, stats, verify
from banyan_storage.engine import Engine, Table
from banyan_storage.entry_records import decode_line, encode_record, record_name
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store, snapshot
from tests.storage.accounts import Account, head_of, open_engine, open_store, sign

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["memory", "lmdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(request.param, tmp_path / "store")
    yield opened
    opened.close()


NOW_S = 1_800_000_000


def problems(engine: Engine) -> list[str]:
    engine.commit()
    with snapshot(engine, TEST) as reader:
        return [f"{p.where}: {p.sentence}" for p in verify(reader, lambda account, n: None)]


def filled(engine: Engine) -> tuple[Store, Account]:
    store = open_store(engine)
    account = Account("an")
    account.open(store)
    account.write(store, 8)
    account.write(store, 2, parts=False)
    store.commit()
    return store, account


def n_of(engine: Engine, entry: EntryId) -> bytes:
    n = StoreReader(engine.write(), TEST).number_of(EntryId(entry))
    assert n is not None
    return t.u48(n)


def replace_record(engine: Engine, at: Entry, by: Entry) -> None:
    n = n_of(engine, at.id)
    raw = engine.write().get(t.ENTRIES, n) or b""
    engine.write().put(t.ENTRIES, n, encode_record(t.number(raw[1:5]), by))


def test_a_sound_store_has_no_problem_and_progress_is_told(engine: Engine) -> None:
    store, account = filled(engine)
    assert problems(engine) == []
    told = []
    with store.snapshot() as reader:
        verify(reader, lambda account, n: told.append((account, n)))
        found = stats(reader)
    assert told == [(account.id, 0)]
    assert (found.counts.entries, found.counts.lacking, found.forked, found.longest) == (12, 2, 0, 10)


def test_changed_operations_are_found(engine: Engine) -> None:
    _, account = filled(engine)
    e = account.chain[3]
    replace_record(engine, e, e._replace(ops=e.ops[:-1] + bytes([e.ops[-1] ^ 1])))
    assert any("its bytes hash to another id" in p for p in problems(engine))


def test_a_record_with_a_flag_that_no_record_has_is_found(engine: Engine) -> None:
    _, account = filled(engine)
    n = n_of(engine, account.chain[3].id)
    raw = engine.write().get(t.ENTRIES, n) or b""
    engine.write().put(t.ENTRIES, n, bytes((raw[0] | 128,)) + raw[1:])
    assert any("is not there, or not entry 3" in p for p in problems(engine))


def test_records_of_an_earlier_schema_are_read_as_they_were_written(engine: Engine) -> None:
    """Each with a long number of its place and its total, and the whole of its operations."""
    store, account = filled(engine)
    chain, lines, txn = list(store.walk(account.log)), store.lines(account.log, 0, 10), engine.write()
    bodies = {entry.id: entry.ops for log in store.heads(account.id) for entry in store.walk(log)}
    for n, raw in list(txn.scan(t.ENTRIES)):
        lid, seq, entry = record_name(raw)
        line = decode_line(t.number(n), raw)
        start = struct.pack(">BIHIQQ32s", raw[0] & 31, lid, 0, seq, line.time, line.total, entry)
        hashes = raw[51 : 51 + 32 * (raw[0] & 14).bit_count() + 64 * (raw[0] & 1)]
        txn.put(t.ENTRIES, n, start + hashes + bodies[entry])
        assert len(txn.get(t.ENTRIES, n) or b"") > len(raw)
    engine.commit()
    assert problems(engine) == []
    assert (list(store.walk(account.log)), store.lines(account.log, 0, 10)) == (chain, lines)


def test_an_account_under_a_name_that_its_first_entry_does_not_give_is_found(engine: Engine) -> None:
    _, account = filled(engine)
    txn, other = engine.write(), AccountId(bytes([account.id[0] ^ 1]) + account.id[1:])
    for table in (t.HEADS, t.ACCOUNTS):
        for key, raw in list(txn.prefix(table, account.id)):
            txn.delete(table, key)
            txn.put(table, other + key[32:], raw)
    for lid, name in list(txn.scan(t.LOGS)):
        txn.put(t.LOGS, lid, other + name[32:])
    wanted = f"the record is the first entry of account {account.id.hex()[:16]}, not of this one"
    assert wanted in " ".join(problems(engine))


def test_a_forged_signature_is_found(engine: Engine) -> None:
    _, account = filled(engine)
    e = account.chain[-1]
    replace_record(engine, e, e._replace(sig=bytes(64)))
    assert any("does not verify" in p for p in problems(engine))


def test_an_entry_without_a_signature_above_is_found(engine: Engine) -> None:
    store, account = filled(engine)
    store.rewrite(account.log, account.chain[:9], [], head_of(account.chain[:9]), NOW_S)
    store.commit()
    assert any("no signature that is held vouches for entry 8" in p for p in problems(engine))


def test_the_signature_of_a_tail_beyond_a_cut_vouches_for_what_counts(engine: Engine) -> None:
    store, account = filled(engine)
    store.rewrite(account.log, account.chain[:5], account.chain[5:8], head_of(account.chain[:5]), NOW_S)
    store.commit()
    assert problems(engine) == []


def test_loose_branches_are_checked_up_to_where_they_meet_the_chain(engine: Engine) -> None:
    store, account = filled(engine)
    chain = [*account.chain[:3], sign(account.device, account.chain[3])]
    branch, _ = account.run(20, below=chain, tag="fork")
    store.rewrite(account.log, chain, [*account.chain[4:], *branch], head_of(chain, flag=1), NOW_S)
    store.commit()
    assert problems(engine) == []
    wrong = branch[7]._replace(header=branch[7].header._replace(prev=EntryId(bytes(32))))
    replace_record(engine, branch[7], wrong)
    assert any("hangs on 0000000000000000, which is not held" in p for p in problems(engine))


def test_a_branch_that_skips_to_another_entry_than_its_ancestor_is_found(engine: Engine) -> None:
    store, account = filled(engine)
    chain = [*account.chain[:3], sign(account.device, account.chain[3])]
    branch, _ = account.run(4, below=chain, tag="fork")
    assert skip_seq(7) == 3
    lie = branch[3].header._replace(skip=account.chain[2].id)
    last = sign(account.device, branch[3]._replace(id=entry_id(TEST, encode_header(lie)), header=lie))
    branch = [*branch[:2], sign(account.device, branch[2]), last]
    store.rewrite(account.log, chain, [*account.chain[4:], *branch], head_of(chain, flag=1), NOW_S)
    store.commit()
    (found,) = problems(engine)
    assert "the skip link of entry 7 names another entry" in found


def test_a_wrong_mark_of_a_signature_is_found(engine: Engine) -> None:
    filled(engine)
    key, value = engine.write().last(t.CHAIN) or (b"", b"")
    stretch = t.stretch_of(key, value)
    engine.write().put(t.CHAIN, key, t.chain_value(stretch.n, stretch.size, not stretch.signed))
    (found,) = problems(engine)
    assert "the index has a wrong mark for the signature of entry 9" in found


def test_a_signature_vouches_for_no_more_than_a_run_holds(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _, account = filled(engine)
    monkeypatch.setattr("banyan_storage.check.MAX_RUN_BYTES", sum(run_row_bytes(e.ops) for e in account.chain[4:8]))
    assert [p.split("for entry ")[1][0] for p in problems(engine)] == ["0", "1", "2", "3"]


def test_each_control_entry_needs_a_signature_of_its_own(engine: Engine) -> None:
    _, account = filled(engine)
    replace_record(engine, account.control[0], account.control[0]._replace(sig=None))
    assert any("no signature that is held vouches for entry 0" in p for p in problems(engine))


def test_content_that_is_wanted_though_it_is_held_or_is_of_another_name_is_found(engine: Engine) -> None:
    _, account = filled(engine)
    held, lacked = (n_of(engine, account.chain[k].id) + b"\0\0" for k in (2, 9))
    wanted = engine.write().get(t.LACKING, lacked)
    assert wanted is not None
    engine.write().put(t.LACKING, lacked, bytes(32) + wanted[32:])
    (op,) = decode_body(account.chain[2].ops).ops
    part = part_of(op)
    assert part is not None
    engine.write().put(t.LACKING, held, t.wanted_value(part))
    found = problems(engine)
    assert len(found) == 2
    assert "is wanted, but it is held" in found[0]
    assert "its entry names another part or none" in found[1]


def test_an_entry_that_has_no_place_is_found(engine: Engine) -> None:
    store, account = filled(engine)
    branch, _ = account.run(1, below=account.chain[:3], tag="fork")
    store.add_loose(account.log, branch, t.BRANCH, NOW_S)
    store.commit()
    assert problems(engine) == []
    key, _ = engine.write().last(t.LOOSE) or (b"", b"")
    engine.write().delete(t.LOOSE, key)
    (found,) = problems(engine)
    assert "13 entries are held, of which 12 count and 0 are loose" in found


def test_an_id_that_was_lost_or_is_of_nothing_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_index, "YOUNG_IDS", 4)
    store, account = filled(engine)
    account.write(store, 8)
    store.commit()
    assert problems(engine) == []
    row = engine.write().last(t.IDS)
    assert row is not None
    engine.write().delete(t.IDS, *row)
    assert any("is not found by its id" in p for p in problems(engine))
    engine.write().put(t.IDS, *row)
    assert problems(engine) == []
    engine.write().put(t.IDS, row[0][:8] + t.u48(9_999), b"")
    assert any("of an arrival after 12 that is not held" in p for p in problems(engine))
    engine.write().put(t.META, t.IDS_KEY, t.u48(20_000))
    assert any("ids of them are indexed" in p for p in problems(engine))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (t.CHAIN, "the chain has"),
        (t.LOGS, "stands for nothing"),
        (t.ENTRIES, "is not there"),
        (t.HEADS, "logs have numbers"),
    ],
)
def test_a_row_that_was_lost_is_found(engine: Engine, table: Table, says: str) -> None:
    filled(engine)
    last = engine.write().last(table)
    assert last is not None
    engine.write().delete(table, *last)
    assert any(says in p for p in problems(engine))


@pytest.mark.parametrize("row", [b"", b"\1", b"\0\7"])
def test_grants_that_the_control_log_does_not_give_are_found(engine: Engine, row: bytes) -> None:
    _, account = filled(engine)
    engine.write().put(t.ACCOUNTS, account.id, row)
    assert any("the grants kept beside its control log are not what the log says" in p for p in problems(engine))


def with_checkpoints(engine: Engine) -> tuple[Checkpoint, Checkpoint]:
    """Of the device and of the root."""
    store, account = filled(engine)
    place = ControlRef(1, account.control[1].id)
    pins = [Pin(account.log.writer, account.log.log, 9, account.chain[9].id)]
    device = make_checkpoint(TEST, account.id, account.device, 1 << 40, place, [])
    root = make_checkpoint(TEST, account.id, account.root, 1, place, pins)
    for made in (device, root):
        store.put_checkpoint(made)
    store.commit()
    return device, root


def test_checkpoints_are_sound_and_are_no_long_logs(engine: Engine) -> None:
    with_checkpoints(engine)
    assert problems(engine) == []
    assert stats(StoreReader(engine.write(), TEST)).longest == 10


def test_a_checkpoint_that_was_changed_lost_or_is_not_its_writers_to_make_is_found(engine: Engine) -> None:
    device, root = with_checkpoints(engine)
    write, key = engine.write(), root.account + root.writer
    raw = write.get(t.CHECKPOINTS, key) or b""
    for wrong, says in (
        (raw[:-1] + bytes((raw[-1] ^ 1,)), "does not verify"),
        (raw[:-1], "not CBOR"),
        (encode_checkpoint(device), "another one is stored there"),
    ):
        write.put(t.CHECKPOINTS, key, wrong)
        assert any(says in p for p in problems(engine)), says
    write.delete(t.CHECKPOINTS, key)
    assert any("only its head is there" in p for p in problems(engine))
    write.put(t.CHECKPOINTS, key, raw)
    name = t.log_name(root.log_id)
    lid, head = t.head_of_value(write.get(t.HEADS, name) or b"")
    write.put(t.HEADS, name, t.head_value(lid, head._replace(length=2)))
    assert any("its head is not number 1" in p for p in problems(engine))
    write.put(t.HEADS, name, t.head_value(lid, head))
    assert problems(engine) == []
    stranger = make_checkpoint(TEST, root.account, Signer(TEST, bytes(32)), 1, root.control, [])
    store = open_store(engine)
    store.put_checkpoint(stranger)
    assert any("the control log names no such writer" in p for p in problems(engine))


def test_a_number_of_a_checkpoint_that_stands_for_something_else_is_found(engine: Engine) -> None:
    _, root = with_checkpoints(engine)
    lid = (engine.write().get(t.HEADS, t.log_name(root.log_id)) or b"")[:4]
    name = engine.write().get(t.LOGS, lid) or b""
    engine.write().put(t.LOGS, lid, bytes([name[0] ^ 1]) + name[1:])
    assert any("stands for something else" in p for p in problems(engine))


def test_a_repair_drops_checkpoints_that_are_wrong_or_not_their_writers_to_make(engine: Engine) -> None:
    _, root = with_checkpoints(engine)
    write, key = engine.write(), root.account + root.writer
    stranger = Signer(TEST, bytes(32))
    other = make_checkpoint(TEST, root.account, stranger, 1, root.control, [])
    raw = write.get(t.CHECKPOINTS, key) or b""
    write.put(t.CHECKPOINTS, key, raw[:-1] + bytes((raw[-1] ^ 1,)))
    write.put(t.CHECKPOINTS, other.account + other.writer, encode_checkpoint(other))
    salvage.indexes(write, TEST)
    held = {name[32:] for name, _ in write.scan(t.CHECKPOINTS)}
    assert root.writer not in held
    assert stranger.key not in held
    assert len(held) == 1
    assert not any("checkpoint" in p for p in problems(engine))


def test_a_head_that_runs_ahead_of_its_chain_is_found(engine: Engine) -> None:
    _, account = filled(engine)
    name = t.log_name(account.log)
    lid, head = t.head_of_value(engine.write().get(t.HEADS, name) or b"")
    engine.write().put(t.HEADS, name, t.head_value(lid, Head(11, head.id, 0)))
    assert any("the head says 11 entries" in p and "the chain has 10" in p for p in problems(engine))


def test_a_part_that_is_not_what_its_entry_names_is_found(engine: Engine) -> None:
    _, account = filled(engine)
    key = n_of(engine, account.chain[2].id) + b"\0\0"
    engine.write().put(t.PARTS, key, b"something else")
    engine.write().put(t.PARTS, key[:-1] + b"\5", b"named by nobody")
    engine.write().put(t.WITHHELD, n_of(engine, account.chain[3].id) + b"\0\0", b"")
    found = problems(engine)
    assert len(found) == 3
    assert "these 14 bytes are not the part" in found[0]
    assert "no entry names it" in found[1]
    assert "erased" in found[2]


def test_a_compacted_copy_is_the_same_store(tmp_path: Path) -> None:
    engine = open_engine("lmdb", tmp_path / "store")
    store, account = filled(engine)
    for _ in range(20):
        account.write(store, 50)
        store.commit()
    digest = store.digest()
    size = compact(engine, tmp_path / "copy")
    store.close()
    assert 0 < size.after <= size.before
    copy = LmdbEngine(tmp_path / "copy", t.STORE_TABLES, read_only=True)
    assert problems(copy) == []
    with snapshot(copy, TEST) as reader:
        assert reader.digest() == digest
    copy.close()


APPENDER = """
import sys
from pathlib import Path
from tests.storage.accounts import Account, open_engine, open_store

store = open_store(open_engine("lmdb", Path(sys.argv[1])))
accounts = [Account(f"{sys.argv[2]}-{k}") for k in range(3)]
for account in accounts:
    account.open(store)
while True:
    for account in accounts:
        account.write(store, 3, parts=len(account.chain) % 2 == 0)
    store.commit()
    print(" ".join(f"{len(a.chain)}:{a.chain[-1].id.hex()}" for a in accounts), flush=True)
"""


def test_a_kill_in_the_middle_of_appends_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    for round_ in range(3):
        command = [sys.executable, "-c", APPENDER, str(tmp_path / "store"), str(round_)]
        path = os.pathsep.join([str(ROOT), *(str(ROOT / room) for room in ("crdt", "storage"))])
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(4 + 9 * round_)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        child.stdout.close()
        child.wait()
        promised = [p.split(":") for p in [line for line in lines if line.endswith("\n")][-1].split()]
        engine = open_engine("lmdb", tmp_path / "store")
        assert problems(engine) == []
        with snapshot(engine, TEST) as reader:
            for k, (length, last) in enumerate(promised):
                log = Account(f"{round_}-{k}").log
                assert reader.head(log).length >= int(length)
                assert reader.id_at(log, int(length) - 1) == bytes.fromhex(last)
        engine.close()
