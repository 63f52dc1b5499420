"""The pages of an LMDB 0.9 data file (64-bit, little-endian), read with plain reads and checked.

LMDB has no checksums and believes what it reads: a wrong bit in a page can kill the process, and a wrong list of free
pages lets it write over pages in use. So every page in use is checked here before LMDB is trusted with a file that may
be damaged: its number, its kind, its bounds, the order of its keys, what it leads to, and the counts of each table.
What keys and values say is checked elsewhere (check.py).
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from banyan_storage.engine import Item
from banyan_storage.errors import CorruptStore, begin_again

FAULTS = 100
"""Faults that are named; after so many the rest is not looked for."""
_META = struct.Struct("<IIQQ48s48sQQ")  # magic, version, address, map size, free db, main db, last page, txn
_DB = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, branch, leaf, overflow pages, entries, root
_PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_NODE = struct.Struct("<HHHH")  # low, high, flags, key size
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER, _NONE = 16, (1 << 64) - 1
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE, _FIXED, _SUB_PAGE = 1, 2, 4, 8, 0x20, 0x40
_BIG, _SUB, _DUPS = 1, 2, 4
_INTEGER_KEY, _DUP_SORT, _DUP_FIXED = 8, 4, 0x10
_MOST_DEPTH = 32
_MOST_KEY, _MOST_PAGE = 511, 1 << 16


class _Db(NamedTuple):
    """One tree, as its parent describes it."""

    page_size: int
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int


class _Meta(NamedTuple):
    free: _Db
    main: _Db
    last: int
    txn: int


@dataclass(slots=True)
class _TreeStats:
    """What was found of one tree."""

    branches: int = 0
    leaves: int = 0
    overflows: int = 0
    entries: int = 0
    last: bytes | None = None
    """The key before, in the order of the tree."""
    least: bytes = b""
    """The branches above say that no key here is less."""


class Pages:
    """The pages that one commit uses. txn: which commit; None: the last one.

    Raises CorruptStore if its meta page cannot be used. While it is read, `faults` grows, and `used`: what each page is
    used for.
    """

    def __init__(self, path: Path, txn: int | None = None) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self.faults: list[str] = []
        self.used: dict[int, str] = {0: "the first meta page", 1: "the second meta page"}
        try:
            self._size, metas = self._metas()
            chosen = [m for m in metas if m.txn == txn] if txn is not None else metas
            if not chosen:
                raise self._damaged(f"of its last two commits none is {txn}")
            self.meta = max(chosen, key=lambda meta: meta.txn)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _metas(self) -> tuple[int, list[_Meta]]:
        """The size of pages, and the meta pages that can be used."""
        whole = os.pread(self._file.fileno(), 2 * _MOST_PAGE, 0)  # at once: another thread may commit
        size = int.from_bytes(whole[_HEADER + 24 : _HEADER + 28], "little")
        if size & (size - 1) or not 512 <= size <= _MOST_PAGE:
            self._fault(f"the first meta page says that pages have {size} bytes")
            size = os.sysconf("SC_PAGE_SIZE")
        found = list[_Meta]()
        for number in (0, 1):
            raw = whole[number * size :]
            if len(raw) < _HEADER + _META.size:
                self._fault(f"the file ends within meta page {number}")
                continue
            page, _, flags, _, _ = _PAGE.unpack_from(raw)
            magic, version, _, _, free, main, last, txn = _META.unpack_from(raw, _HEADER)
            meta = _Meta(_Db(*_DB.unpack(free)), _Db(*_DB.unpack(main)), last, txn)
            kind = page, magic, version, meta.free.page_size
            if kind != (number, _MAGIC, _VERSION, size) or not flags & _META_PAGE:
                self._fault(f"meta page {number} is none of LMDB's")
                continue
            if txn & 1 != number and txn:
                self._fault(f"meta page {number} says that it is of commit {txn}, which has the other one")
            found.append(meta)
        if not found:
            raise self._damaged("neither of its meta pages is one")
        if len(found) == 2 and abs(found[0].txn - found[1].txn) != 1 and found[0].txn + found[1].txn:
            self._fault(f"the last two commits have the numbers {found[0].txn} and {found[1].txn}")
        return size, found

    def _damaged(self, what: str) -> CorruptStore:
        return CorruptStore(f"{self._path} is damaged: {what}; {begin_again(self._path.parent)}")

    def _fault(self, what: str) -> None:
        if len(self.faults) < FAULTS:
            self.faults.append(what)

    # -- the whole file

    def check(self, only: Collection[str] | None = None) -> list[str]:
        """Everything that is wrong, as sentences. Reads all pages in use; only: those that lead to these tables, and
        theirs."""
        main = self.meta.main
        if main.flags & ~_DUP_SORT or main.page_size not in (0, self._size):
            self._fault(f"the table of tables has the flags {main.flags:#x}")
        for name, db in self.tables().items():
            if only is None or name in only:
                deque(self.rows(name, db), maxlen=0)
        if only is None:
            self._free_pages()
        return self.faults

    def tables(self) -> dict[str, _Db]:
        """Every table that can be found."""
        found = dict[str, _Db]()
        seen = _TreeStats()
        for key, value, flags in self._tree("the table of tables", self.meta.main, seen):
            name = key.decode("ascii", "replace")
            if flags != _SUB or len(value) != _DB.size:
                self._fault(f"the table {name!r} has no description")
                continue
            db = _Db(*_DB.unpack(value))
            if db.flags not in (0, _DUP_SORT, _DUP_SORT | _DUP_FIXED) or db.page_size not in (0, self._size):
                self._fault(f"table {name} has the flags {db.flags:#x}")
            found[name] = db
        self._counted("the table of tables", self.meta.main, seen)
        return found

    def rows(self, name: str, db: _Db) -> Iterator[Item]:
        """The rows of a table that can be read, in order; faults are noted and passed over."""
        seen = _TreeStats()
        for key, value, flags in self._tree(f"table {name}", db, seen):
            if flags & _DUPS:
                if not db.flags & _DUP_SORT:
                    self._fault(f"table {name} has several values of one key, and may not")
                    continue
                values = list(self._values(f"table {name}", value, flags, _FIXED if db.flags & _DUP_FIXED else 0))
                seen.entries += len(values) - 1
                yield from ((key, one) for one in values)
            elif flags & _SUB:
                self._fault(f"table {name} has a table inside")
            else:
                yield key, value
        self._counted(f"table {name}", db, seen)

    def _values(self, name: str, value: bytes, flags: int, fixed: int) -> Iterator[bytes]:
        """The values of one key of a table that may have several. fixed: `_FIXED` if all have one size."""
        if not flags & _SUB:
            last: bytes | None = None
            for one, _, kind in self._nodes(name, value, len(value), _LEAF | _SUB_PAGE | fixed):
                if kind or (last is not None and last >= one):
                    self._fault(f"{name}: the values of a key are in a wrong order")
                    continue
                last = one
                yield one
            return
        if len(value) != _DB.size:
            self._fault(f"{name}: the values of a key have no description")
            return
        db, seen = _Db(*_DB.unpack(value)), _TreeStats()
        if db.flags != (_DUP_FIXED if fixed else 0):
            self._fault(f"{name}: the values of a key have the flags {db.flags:#x}")
            return
        for one, rest, kind in self._tree(name, db, seen):
            if kind or rest:
                self._fault(f"{name}: a value of a key has a value")
            yield one
        self._counted(f"{name}, the values of a key", db, seen)

    def _counted(self, name: str, db: _Db, seen: _TreeStats) -> None:
        said = db.branches, db.leaves, db.overflows, db.entries
        found = seen.branches, seen.leaves, seen.overflows, seen.entries
        if db.flags & _DUP_SORT:
            # LMDB adds the pages of a key's values here, and forgets some where such a tree is emptied. It only tells
            # these two numbers, so a wrong one is no damage.
            said = *found[:2], *said[2:]
        if said != found:
            self._fault(f"{name} says it has {said} branches, leaves, overflow pages and rows; found are {found}")

    def _free_pages(self) -> None:
        """The lists of free pages may name no page in use, and none twice."""
        db, seen = self.meta.free, _TreeStats()
        if db.flags & 0xFF != _INTEGER_KEY:
            self._fault(f"the table of free pages has the flags {db.flags:#x}")
        for key, value, _ in self._tree("the table of free pages", db, seen, integers=True):
            count = int.from_bytes(value[:8], "little")
            if len(key) != 8 or len(value) % 8 or len(value) < 8 * (count + 1):
                self._fault(f"a list of {count} free pages has {len(value)} bytes")
                continue
            for at in range(8, 8 * (count + 1), 8):
                self._use(int.from_bytes(value[at : at + 8], "little"), "a free page")
        self._counted("the table of free pages", db, seen)

    # -- one tree

    def _use(self, number: int, name: str) -> bool:
        """Notes what a page is used for; no page is used twice."""
        if not 2 <= number <= self.meta.last:
            self._fault(f"page {number} is {name}, and the file has pages 2 to {self.meta.last}")
        elif number in self.used:
            self._fault(f"page {number} is {name}, and {self.used[number]} too")
        else:
            self.used[number] = name
            return True
        return False

    def _tree(self, name: str, db: _Db, seen: _TreeStats, integers: bool = False) -> Iterator[tuple[bytes, bytes, int]]:
        """(key, value, flags) of every leaf node, in order."""
        if db.root == _NONE:
            if db.depth:
                self._fault(f"{name} has no page, and {db.depth} levels")
            return
        if not 1 <= db.depth <= _MOST_DEPTH:
            self._fault(f"{name} has {db.depth} levels")
            return
        yield from self._below(name, db, db.root, 1, seen, integers)

    def _below(
        self, name: str, db: _Db, number: int, level: int, seen: _TreeStats, integers: bool
    ) -> Iterator[tuple[bytes, bytes, int]]:
        if not self._use(number, f"of {name}"):
            return
        raw = os.pread(self._file.fileno(), self._size, number * self._size)
        leaf = level == db.depth
        kind = _BRANCH if not leaf else _LEAF | _FIXED if db.flags == _DUP_FIXED else _LEAF
        if len(raw) < self._size or _PAGE.unpack_from(raw)[0] != number:
            said = f"says it is page {_PAGE.unpack_from(raw)[0]}" if len(raw) == self._size else "is beyond the end"
            self._fault(f"page {number} of {name} {said}")
            return
        seen.leaves += leaf
        seen.branches += not leaf
        for k, (key, value, flags) in enumerate(self._nodes(f"page {number} of {name}", raw, self._size, kind)):
            order = key[::-1] if integers else key
            if k or leaf:  # the first key of a branch stands for all that are less
                if (seen.last is not None and order <= seen.last) or order < seen.least:
                    self._fault(f"page {number} of {name}: its keys are in a wrong order")
                    if leaf:
                        continue
                if leaf:
                    seen.last = order
                else:
                    seen.least = order
            if not leaf:
                yield from self._below(name, db, int.from_bytes(value, "little"), level + 1, seen, integers)
                continue
            if flags & _BIG:
                found = self._overflow(name, value, seen)
                if found is None:
                    continue
                value, flags = found, flags & ~_BIG
            seen.entries += 1
            yield key, value, flags

    def _nodes(self, where: str, raw: bytes, size: int, kind: int) -> list[tuple[bytes, bytes, int]]:
        """(key, value, flags) of a page's nodes; the value of a branch's node is the number of the page below."""
        if size < _HEADER:
            self._fault(f"{where} has {size} bytes")
            return []
        _, pad, flags, lower, upper = _PAGE.unpack_from(raw)
        if flags & ~0x10 != kind:
            self._fault(f"{where} is of kind {flags:#x}, not {kind:#x}")
            return []
        count = (lower - _HEADER) // 2
        if not _HEADER <= lower <= upper <= size or lower % 2 or count < (2 if kind == _BRANCH else 1):
            self._fault(f"{where} is used up to byte {lower} and from byte {upper} of {size}")
            return []
        if kind & _FIXED:
            if not pad or count * pad != size - _HEADER - (upper - lower):
                self._fault(f"{where} has {count} values of {pad} bytes, used up to {lower} and from {upper} of {size}")
                return []
            return [(raw[at : at + pad], b"", 0) for at in range(_HEADER, _HEADER + count * pad, pad)]
        found, used = list[tuple[bytes, bytes, int]](), 0
        for (at,) in struct.iter_unpack("<H", raw[_HEADER:lower]):
            if not upper <= at <= size - _NODE.size:
                self._fault(f"{where} has a row at byte {at}, outside of {upper} to {size}")
                continue
            low, high, node_flags, key_size = _NODE.unpack_from(raw, at)
            start = at + _NODE.size
            key = raw[start : start + key_size]
            if kind == _BRANCH:
                value = (low | high << 16 | node_flags << 32).to_bytes(8, "little")
                end, node_flags = start + key_size, 0
            else:
                end = start + key_size + (8 if node_flags & _BIG else low | high << 16)
                value = raw[start + key_size : end]
                if node_flags & _BIG:
                    value += (low | high << 16).to_bytes(4, "little")
            if end > size or key_size > _MOST_KEY or key_size < (kind != _BRANCH) or node_flags & ~7:
                self._fault(f"{where} has a row with {key_size} bytes of key up to byte {end}, flags {node_flags:#x}")
                continue
            used += end - at + (end - at) % 2
            found.append((key, value, node_flags))
        if used != size - upper:
            self._fault(f"{where} has rows of {used} bytes in {size - upper}")
        return found

    def _overflow(self, name: str, value: bytes, seen: _TreeStats) -> bytes | None:
        """The bytes of a large value."""
        number, length = int.from_bytes(value[:8], "little"), int.from_bytes(value[8:], "little")
        raw = os.pread(self._file.fileno(), _HEADER + length, number * self._size) if number <= self.meta.last else b""
        found, _, flags, low, high = _PAGE.unpack_from(raw.ljust(_HEADER, b"\0"))
        pages, needed = low | high << 16, -(-(_HEADER + length) // self._size)
        if len(raw) < _HEADER + length or (found, flags & ~0x10) != (number, _OVERFLOW) or pages < needed:
            self._fault(f"page {number} of {name} is not the {needed} pages of a large value")
            return None
        if number + pages - 1 > self.meta.last:
            self._fault(
                f"page {number} of {name} is the first of {pages} pages, and {self.meta.last} is the last of all"
            )
            return None
        seen.overflows += pages  # they may be more than it needs: a value that was replaced by a shorter one
        used = [self._use(number + k, f"of {name}, of a large value") for k in range(pages)]
        return raw[_HEADER:] if all(used) else None
