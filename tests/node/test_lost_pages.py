"""A page of the data file that reads as zeros, or with a wrong bit: no row of local state is lost without a word.

By hand, every page: `LOST_PAGES=all uv run pytest tests/node/test_lost_pages.py`.
"""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import closing, suppress
from pathlib import Path

from banyan_crdt.realm import MAIN
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep.repair import page_faults, repair
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages
from banyan_storage.local_tables import RESTORING, TWICE
from banyan_storage.tables import META, NOTE
from tests.node.real import load_settings
from tests.node.test_local_repair import Judged, verify_again

PAGE = 4096
KINDS = "table meta", "table copies", "the table of tables"


def _shown(home: Home, judged: Judged) -> set[str]:
    shown = set[str]()
    with open_local(home, load_settings(home)) as node:
        for post in judged.posts:
            with suppress(CallError):
                node.call("post.get", uri=post, **{"as": judged.an})
                shown.add(post)
    return shown


def _rows(home: Home) -> list[tuple[bytes, bytes]]:
    """Those that are there twice. (A store whose table `meta` is gone looks for its accounts, RESTORING.)"""
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        rows = [(key[len(NOTE) :], raw) for key, raw in engine.write().prefix(META, NOTE)]
        return [(name, raw) for name, raw in rows if name.startswith(TWICE) and name != RESTORING.prefix]


def _of_rows(page: bytes, everything: bool) -> set[int]:
    """Bytes of keys and values of a leaf, each a byte of the page: both ends of some rows, or of all."""
    flags, lower = struct.unpack_from("<HH", page, 10)
    found = set[int]()
    for (at,) in [*struct.iter_unpack("<H", page[16:lower])][:: 1 if everything else 4] if flags & 2 else ():
        low, _, _, key = struct.unpack_from("<HHHH", page, at)
        found |= {at + 8 + k for k in (0, key // 2, key - 1, key, key + low - 1)[: 5 if low else 3]}
    return found


def test_what_was_hidden_stays_so_whichever_page_is_lost(tmp_path: Path) -> None:
    judged = Judged(tmp_path)
    judged.hide_more(24)
    shown, home = _shown(judged.home, judged), Home(tmp_path / "again")
    assert judged.posts[2] in shown
    assert len(shown) == 1
    before = _rows(judged.home)
    with Pages(judged.home.store / DATA) as pages:
        assert pages.check() == []
        used = {page: of for page, of in pages.used.items() if of.startswith("of ")}
    everything = os.environ.get("LOST_PAGES") == "all"
    wanted = [page for page, of in used.items() if everything or of[3:] in KINDS]
    damage: list[tuple[int, int, int | None]] = [(page, 0, None) for page in wanted]
    damage += [(p, byte, bit) for p in wanted for byte in (12, 16) for bit in (0, 4) if everything or not p % 5]
    data = (judged.home.store / DATA).read_bytes()
    for page in wanted if everything else wanted[::3]:
        damage += [(page, byte, page % 8) for byte in _of_rows(data[page * PAGE :][:PAGE], everything)]
    refused = 0
    for page, byte, bit in damage:
        shutil.rmtree(home.path, ignore_errors=True)
        shutil.copytree(judged.home.path, home.path)
        at = page * PAGE + byte
        with (home.store / DATA).open("r+b") as file:
            file.seek(at)
            file.write(bytes(PAGE) if bit is None else bytes([data[at] ^ 1 << bit]))
        where = f"page {page} {used[page]}, byte {byte}, bit {bit}"
        faults = page_faults(home)
        assert faults or byte > 16, where
        try:
            done = repair(home, MAIN, lambda sentence: None)
        except StorageError:
            refused += 1
            assert page_faults(home) == faults, where  # it stays as it was
            continue
        assert done.left == verify_again(home), where
        assert _shown(home, judged) <= shown, where
        assert _rows(home) == before, where
    assert refused <= sum(used[page] == "of the table of tables" for page, _, _ in damage)
