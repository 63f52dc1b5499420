"""What this node remembers for itself: every kind is declared once, checked, and brought to the program's version."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import AccountId, CellKey, EntryId, LogId, Ref, WriterKey
from banyan_crdt.realm import TEST
from banyan_schema.address import Target
from banyan_storage import local_tables as local
from banyan_storage.alliance_tables import MEMBERS, Member
from banyan_storage.errors import CorruptStore, StoreVersion
from banyan_storage.local_state import MARK, TEXT, U32, U64, Kind, LocalRows, LocalValue, held, opened
from banyan_storage.local_tables import LOCAL, RETIRED
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.tables import META, NOTE, STORE_TABLES
from banyan_storage.transaction import FEW
from banyan_storage.viewhook import NoViews

ROOT = Path(__file__).parents[2]
AN, ENTRY = AccountId(b"a" * 32), EntryId(b"e" * 32)
POST = Target(AN, CellKey(b"k" * 16))


@pytest.fixture
def store() -> Store:
    return Store(MemoryEngine(STORE_TABLES), TEST, new_store_id=bytes(16), views=NoViews())


def test_no_row_can_be_of_two_kinds() -> None:
    names = [kind.prefix for kind in LOCAL.values()] + [*RETIRED]
    assert len({*names}) == len(names)
    open_ended = [kind.prefix for kind in LOCAL.values() if isinstance(kind, LocalRows)] + [*RETIRED]
    assert [(a, b) for a in open_ended for b in names if a != b and b.startswith(a)] == []


def _bytes_in(path: Path) -> Iterator[bytes]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            yield node.value


def test_no_module_names_a_prefix_or_writes_such_rows_but_those_that_declare_them() -> None:
    prefixes = {kind.prefix for kind in LOCAL.values()} | {*RETIRED}
    rooms = ("storage", "reading", "replica", "node", "web", "cli", "sim")
    for path in [path for room in rooms for path in (ROOT / room).glob("banyan_*/**/*.py")]:
        if path.name not in ("local_tables.py", "alliance_tables.py", "local_state.py"):
            assert not prefixes & {*_bytes_in(path)}, path
            if path.name not in ("store.py", "partial_frontier.py", "index.py"):
                assert ".put_note(" not in path.read_text(), path


def test_the_owner_of_each_kind_is_a_module() -> None:
    for name, kind in LOCAL.items():
        assert importlib.util.find_spec(kind.owner), name


def test_rows_have_the_bytes_that_earlier_programs_wrote(store: Store) -> None:
    log = LogId(AN, WriterKey(b"w" * 32), 7)
    wrote: list[tuple[LocalRows[Any, Any], Any, Any, bytes, bytes]] = [
        (local.HOSTED, AN, local.HostedNumber(3, "an"), b"hosted:" + AN, b"\x82\x03\x42an"),
        (local.HOSTED_AT, (3, AN), True, b"hosted at:\0\0\0\3" + AN, b""),
        (local.OWN_TIPS, log, [ENTRY], b"own:" + AN + b"w" * 32 + b"\0\0\0\7", ENTRY),
        (local.SEALED_CONTENT, (POST, Ref(ENTRY, 1)), b"x", b"sealed content:" + POST.raw + ENTRY + b"\0\1", b"x"),
        (local.DECISIONS_ABOUT, (AN, 1), True, b"decisions about:" + AN + b"\xff" * 7 + b"\xfe", b""),
        (local.MET, b"s" * 16, (1, 2), b"met:" + b"s" * 16, bytes(7) + b"\1" + bytes(7) + b"\2"),
        (local.BANNED_NETWORKS, "::/8", local.NetworkBanRow("x", 1, None), b"banned network:::/8", b"\x83\x41x\1\xf6"),
        (
            local.STATED,
            POST,
            local.PeerStatement(True, WriterKey(b"w" * 32), "o", "", "", 1, 0),
            b"stated of post:" + POST.raw,
            b"\x87\1\x58\x20" + b"w" * 32 + b"\x41o\x40\x40\1\0",
        ),
        (local.REPORTS_TODAY, AN, (9, 2), b"reports today:" + AN, b"[9,2]"),
    ]
    for kind, key, value, name, raw in wrote:
        kind.put(store, key, value)
        assert [*store.notes(kind.prefix)] == [(name, raw)]
        assert [*kind.rows(store)] == [(key, value)]
        kind.put(store, key, None)
    assert [*store.notes()] == []


def test_a_key_of_another_size_is_not_written(store: Store) -> None:
    with pytest.raises(ValueError, match="31 bytes instead of 32"):
        MEMBERS.put(store, AccountId(bytes(31)), Member(0, "a.vn"))


def test_a_damaged_row_and_one_that_nothing_declares_are_named_and_the_others_are_counted(store: Store) -> None:
    local.AWAITED.put(store, AN, True)
    local.NEXT_INDEX.put(store, 4)
    store.put_note(b"hosted:" + AN, b"\x82\x03\x43an")
    store.put_note(b"of nobody:x", b"y")
    store.put_note(b"selfish", b"y")
    found = held(store, LOCAL)
    assert (found["awaited"].rows, found["awaited"].bytes, found["next index"].rows) == (1, 40, 1)
    damaged = [row for one in found.values() for row in one.damaged]
    assert len(damaged) == 3
    assert all("no kind that this program knows" in row.sentence for row in found[""].damaged)
    assert "'hosted' is damaged" in found["hosted"].damaged[0].sentence
    assert all(row.sentence.isascii() and row.sentence.isprintable() for row in damaged)
    with pytest.raises(CorruptStore, match="local state is damaged"):
        local.HOSTED.get(store, AN)


def test_rows_of_an_earlier_version_are_made_new_or_go_and_a_later_version_is_refused() -> None:
    txn = MemoryEngine(STORE_TABLES).write()
    for key in (b"n:a", b"n:b", b"gone:a", b"old:a", b"v"):
        txn.put(META, NOTE + key, b"\0\0\0\1")
    new: list[Kind] = [
        LocalRows(b"n:", "", TEXT, U64, 2, lambda raw, version: bytes(4) + raw),
        LocalRows(b"gone:", "", TEXT, MARK, 2),
        LocalValue(b"v", "", U32),
    ]
    for _ in range(2):
        opened(txn, new, [b"old:"], ())
        assert [(key, len(raw)) for key, raw in txn.prefix(META, NOTE)] == [
            (b"note:n:a", 8),
            (b"note:n:b", 8),
            (b"note:v", 4),
        ]
    with pytest.raises(StoreVersion, match="'n:' of the store are of version 2, and this program knows 1"):
        opened(txn, [LocalRows(b"n:", "", TEXT, U64)], [], ())


def test_the_keys_of_a_kind_with_few_rows_are_known_at_once_and_follow_every_write(store: Store) -> None:
    kind, others = LocalRows(b"kind:", "", TEXT, MARK), LocalRows(b"other:", "", TEXT, MARK)
    assert store.few_notes(kind.prefix) == frozenset()
    kind.put(store, "a", True)
    others.put(store, "b", True)
    assert store.few_notes(kind.prefix) == frozenset({b"kind:a"})
    assert kind.among_few(store, "a")
    assert not kind.among_few(store, "b")
    store.commit()
    kind.put(store, "a", None)
    assert not kind.among_few(store, "a")
    store.rollback()
    assert kind.among_few(store, "a"), "what was deleted is there again"
    for n in range(FEW):
        kind.put(store, str(n), True)
    assert store.few_notes(kind.prefix) is None, "so many are not remembered"
    assert kind.among_few(store, "a")
    assert kind.among_few(store, "7")
    assert not kind.among_few(store, "b")
