"""An archive has everything that a store holds; a damaged or incomplete one says where, and is still usable."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from banyan_crdt.checkpoint import ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, control_log
from banyan_crdt.realm import REALMS, TEST
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_storage.archive import (
    ArchiveDamaged,
    CheckpointFrame,
    ControlFrame,
    DoneFrame,
    EndFrame,
    Frame,
    NotAnArchive,
    NotResumable,
    PartsFrame,
    RunFrame,
    StartFrame,
    export_archive,
    read_archive,
    whole_until,
)
from banyan_storage.engine import Engine
from banyan_storage.store import Append, Store
from banyan_storage.viewhook import NoViews
from tests.storage.accounts import STORE_ID, Account, bodies, head_of, open_engine, open_store, sign


@pytest.fixture(params=["memory", "lmdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(request.param, tmp_path / "store")
    yield opened
    opened.close()


NOW_S = 1_800_000_000


def filled(engine: Engine, names: str = "abc") -> tuple[Store, list[Account]]:
    """Accounts in the order of their ids; the first has a fork above an unsigned entry."""
    store = open_store(engine)
    accounts = sorted((Account(name) for name in names), key=lambda a: a.id)
    for account in accounts:
        account.open(store)
        for n in (1, 30, 1030):
            account.write(store, min(n, 1000), b"x" * 50)
    forked = accounts[0]
    chain = forked.chain[:500]
    branch, items = forked.run(3, below=chain, tag="fork")
    store.rewrite(forked.log, chain, [*forked.chain[500:], *branch], head_of(chain, flag=1), NOW_S)
    store.put_parts(items)
    store.commit()
    return store, accounts


def export(store: Store, resume_from: Account | None = None) -> bytes:
    stream = io.BytesIO()
    told: list[int] = []
    with store.snapshot() as reader:
        export_archive(reader, stream, lambda account, n: told.append(n), resume_from.id if resume_from else None)
    assert told == sorted(told)
    return stream.getvalue()


def resumed(store: Store, raw: bytes) -> tuple[int, AccountId | None]:
    with store.snapshot() as reader:
        return whole_until(io.BytesIO(raw), reader)


def read_until_damage(raw: bytes) -> tuple[list[Frame], ArchiveDamaged | None]:
    frames: list[Frame] = []
    try:
        for frame in read_archive(io.BytesIO(raw)):
            frames.append(frame)
    except ArchiveDamaged as damage:
        return frames, damage
    return frames, None


def judge(frames: list[Frame]) -> tuple[dict[EntryId, Entry], dict[tuple[EntryId, int], bytes]]:
    """The entries of an archive, after checking that each has a signature and follows an earlier one; and the parts."""
    entries: dict[EntryId, Entry] = {}
    parts: dict[tuple[EntryId, int], bytes] = {}
    for frame in frames:
        if isinstance(frame, ControlFrame):
            for value in frame.entries:
                e = decode_control(TEST, value)
                entries[e.id] = e
        elif isinstance(frame, RunFrame):
            run = decode_run(TEST, frame.run)
            verify_run(TEST, run)
            assert run.log.account == frame.account
            assert run.prev is None or run.base == entries[run.prev].header.total
            entries.update({e.id: e for e in run.entries if e.id not in entries or e.sig})
        elif isinstance(frame, PartsFrame):
            assert all(entry in entries for entry, _, _ in frame.parts)
            parts.update({(entry, op): raw for entry, op, raw in frame.parts})
    return entries, parts


def test_an_archive_holds_every_entry_and_every_part_and_each_is_proved(engine: Engine) -> None:
    store, accounts = filled(engine)
    frames = list(read_archive(io.BytesIO(export(store))))
    assert frames[0] == StartFrame(TEST.id)
    assert frames[-1] == EndFrame(store.digest())
    assert [f.account for f in frames if isinstance(f, DoneFrame)] == [a.id for a in accounts]
    entries, parts = judge(frames)
    held = [e for a in accounts for log in (control_log(a.id), a.log) for kind in store.held(log) for e in kind]
    assert {i: e._replace(sig=None) for i, e in entries.items()} == {e.id: e._replace(sig=None) for e in held}
    assert len(parts) == store.counts().parts
    assert all(store.part(entry, op) == raw for (entry, op), raw in parts.items())


def test_checkpoints_stand_behind_the_control_entries_of_their_account(engine: Engine) -> None:
    store, accounts = filled(engine)
    last = accounts[-1]
    made = make_checkpoint(TEST, last.id, last.device, 3, ControlRef(1, last.control[1].id), [])
    store.put_checkpoint(made)
    store.commit()
    frames = list(read_archive(io.BytesIO(export(store))))
    at = frames.index(CheckpointFrame(last.id, encode_checkpoint(made)))
    assert isinstance(frames[at - 1], ControlFrame)
    assert sum(isinstance(f, CheckpointFrame) for f in frames) == 1
    assert frames[-1] == EndFrame(store.digest())


def test_an_export_that_broke_off_is_resumed_after_the_last_whole_account(engine: Engine) -> None:
    store, accounts = filled(engine)
    whole = export(store)
    for cut in (0, 10, 2_000, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        keep, account = resumed(store, whole[:cut])
        done = next((a for a in accounts if a.id == account), None)
        assert whole[:keep] + export(store, done) == whole
        assert (keep == 0) == (done is None)


def test_an_export_does_not_go_on_in_a_file_that_this_store_did_not_begin(engine: Engine) -> None:
    store, _ = filled(engine)
    whole = export(store)
    other = export(filled(open_engine("memory", Path()), "def")[0])
    empty = export(Store(open_engine("memory", Path()), REALMS["main"], new_store_id=STORE_ID, views=NoViews()))
    start = len(empty) // 2
    for wrong, why in (
        (b"hi", "begin"),
        (b"PK\3\4" + bytes(100), "begin"),
        (bytes(36), "begin"),
        (whole[:40] + b"my diary" * 20, "begin"),
        (empty, "realm"),
        (empty[:start], "realm"),
        (other, "another store"),
        (other[: len(other) - 9], "another store"),
    ):
        with pytest.raises(NotResumable, match=why):
            resumed(store, wrong)
    assert resumed(store, whole)[0] < len(whole)
    assert resumed(store, whole[:40]) == resumed(store, b"") == (0, None)
    Account("late").open(store)
    store.commit()
    with pytest.raises(NotResumable, match="it is whole"):
        resumed(store, whole)


def test_an_archive_that_is_cut_off_says_where_and_gives_what_came_before(engine: Engine) -> None:
    store, _ = filled(engine, "a")
    whole = export(store)
    frames, none = read_until_damage(whole)
    assert none is None
    for cut in range(0, len(whole), len(whole) // 50):
        got, damage = read_until_damage(whole[:cut])
        assert damage is not None
        assert f"at byte {damage.offset} " in str(damage)
        assert "everything before it is good" in str(damage)
        assert damage.offset <= cut
        assert got == frames[: len(got)]


def test_any_flipped_bit_is_found_at_its_frame(engine: Engine) -> None:
    store, _ = filled(engine, "a")
    whole = export(store)
    frames, _ = read_until_damage(whole)
    for at in range(0, len(whole), len(whole) // 60):
        damaged = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        got, damage = read_until_damage(damaged)
        assert damage is not None
        assert damage.offset <= at
        assert got == frames[: len(got)]
        if isinstance(damage, NotAnArchive):
            assert at < 4  # the bytes by which an archive is known
        else:
            with suppress(NotResumable):  # where the damage is in the first frame
                assert resumed(store, damaged)[0] <= at


def test_something_else_is_not_taken_for_an_archive() -> None:
    for raw in (b"hi", b"PK\3\4" + bytes(100), bytes(36), b"1 2\n3 4\n" * 20):
        with pytest.raises(NotAnArchive):
            list(read_archive(io.BytesIO(raw)))
    with pytest.raises(ArchiveDamaged, match="at byte 0 of the archive: it ends here") as why:
        list(read_archive(io.BytesIO(b"")))
    assert not isinstance(why.value, NotAnArchive)


def test_long_logs_leave_in_runs_that_every_receiver_takes(engine: Engine) -> None:
    store = open_store(engine)
    account = Account("long")
    account.open(store)
    for _ in range(3):
        account.write(store, 1024, None)
    entries, _ = account.run(20, b"")
    signed = [sign(account.device, e) for e in entries]
    store.append([Append(account.log, signed, bodies(signed), (), head_of([*account.chain, *signed]))])
    store.commit()
    runs = [decode_run(TEST, f.run) for f in read_archive(io.BytesIO(export(store))) if isinstance(f, RunFrame)]
    assert [len(r.entries) for r in runs] == [1024, 1024, 1024, 20]
    assert [e.id for r in runs for e in r.entries] == [e.id for e in [*account.chain, *signed]]
