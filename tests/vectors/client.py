"""A second implementation, small: what docs/protocol.md says, in plain Python that imports nothing of Banyan.

It makes accounts and entries, says and reads the messages of section 11, and computes roots, sketches and sums. A value
is what CBOR has: int, bytes, None, list. `test_client.py` lets it talk to a real node.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

from nacl.signing import SigningKey

MESSAGES = (
    *("hello", "gossip", "root", "sums", "heads", "want", "data", "credit", "want-parts", "parts", "replay", "scan"),
    *("scanned", "witness", "bye", "answered", "sketch", "cells", "names", "replayed", "interest", "shared"),
    *("want-notices", "notices"),
)
CODE = {name: code for code, name in enumerate(MESSAGES, 1)}


# -- section 1: bytes, hashes, realms, signatures


def write(v: Any) -> bytes:
    if v is None:
        return b"\xf6"
    if isinstance(v, int):
        return _head(0, v)
    if isinstance(v, bytes):
        return _head(2, len(v)) + v
    return _head(4, len(v)) + b"".join(map(write, v))


def _head(major: int, n: int) -> bytes:
    if n < 24:
        return bytes((major << 5 | n,))
    width = 1 if n < 1 << 8 else 2 if n < 1 << 16 else 4 if n < 1 << 32 else 8
    return bytes((major << 5 | 23 + width.bit_length(),)) + n.to_bytes(width, "big")


def read(raw: bytes) -> Any:
    v, end = _read(raw, 0)
    assert end == len(raw), "something trails"
    assert write(v) == raw, "not the one spelling"
    return v


def _read(raw: bytes, at: int) -> tuple[Any, int]:
    first, at = raw[at], at + 1
    if first == 0xF6:
        return None, at
    major, n = first >> 5, first & 31
    assert major in (0, 2, 4), f"major type {major}"
    if n >= 24:
        width = 1 << n - 24
        n, at = int.from_bytes(raw[at : at + width], "big"), at + width
    if major == 0:
        return n, at
    if major == 2:
        assert at + n <= len(raw), "cut off"
        return raw[at : at + n], at + n
    out = []
    for _ in range(n):
        v, at = _read(raw, at)
        out.append(v)
    return out, at


def H(tag: str, *parts: bytes) -> bytes:
    return hashlib.sha256(b"banyan/1/" + tag.encode() + b"\0" + b"".join(parts)).digest()


BIRTH_MS = 1_767_225_600_000
REALM = H("realm", write([b"test", BIRTH_MS, 10_000, 2_000, 67_108_864, 33_554_432]))


class Key:
    """A secret key, from a name."""

    def __init__(self, name: str) -> None:
        self._key = SigningKey(hashlib.sha256(name.encode()).digest())
        self.key = bytes(self._key.verify_key)
        self.digest = H("key", self.key)

    def sign(self, name: bytes) -> bytes:
        return bytes(self._key.sign(b"banyan/1/sig\0" + REALM + name).signature)


# -- sections 2 to 4: entries, operations, runs


def lipmaa(n: int) -> int:
    m, po3, x = 1, 3, n
    while m < n:
        po3 *= 3
        m = (po3 - 1) // 2
    po3 //= 3
    if m != n:
        while x:
            m = (po3 - 1) // 2
            po3 //= 3
            x %= m
        if m != po3:
            po3 = m
    return n - po3


def part_of(salt: bytes, content: bytes) -> tuple[list[Any], bytes]:
    """[hash, size] for the operation, and the bytes."""
    raw = write([salt, content])
    return [H("part", raw), len(raw)], raw


class Log:
    """Entries of one log: what was hashed of each, in order."""

    def __init__(self, account: bytes, by: Key, number: int, time_ms: int) -> None:
        self.account, self.by, self.number = account, by, number
        self.time = time_ms << 16
        self.ids: list[bytes] = []
        self.headers: list[bytes] = []
        self.rows: list[list[Any]] = []
        self.totals: list[int] = []
        self.times: list[int] = []

    def add(self, ops: list[Any], parts: int = 0) -> bytes:
        """Appends an entry. `parts`: the bytes of content that it declares."""
        raw, seq = write([[], ops]), len(self.ids)
        prev = self.ids[-1] if seq else None
        at = lipmaa(seq + 1) - 1
        skip = None if at < 0 or at >= seq - 1 else self.ids[at]
        self.time += 1
        total = (self.totals[-1] if seq else 0) + len(raw) + parts
        account = b"" if self.number == 0 and seq == 0 else self.account
        header = [1, account, self.by.key, self.number, seq, prev, skip, self.time, total, H("ops", raw)]
        self.headers.append(write(header))
        self.ids.append(H("entry", REALM, self.headers[-1]))
        self.rows.append([self.time - (self.times[-1] if seq else 0), parts, raw])
        self.totals.append(total)
        self.times.append(self.time)
        return self.ids[-1]

    def run(self, first: int, stop: int) -> bytes:
        """Entries first .. stop - 1 under one signature."""
        rows = [list(row) for row in self.rows[first:stop]]
        rows[0][0] = self.times[first]
        targets = {at for n in range(first, stop) if 0 <= (at := lipmaa(n + 1) - 1) < n - 1}
        skips = [[n, self.ids[n]] for n in sorted(targets) if n < first]
        prev = self.ids[first - 1] if first else None
        base = self.totals[first - 1] if first else 0
        sig = self.by.sign(self.ids[stop - 1])
        return write([self.account, self.by.key, self.number, first, prev, base, skips, rows, sig])

    @property
    def name(self) -> list[Any]:
        return [self.account, bytes(32) if self.number == 0 else self.by.key, self.number]

    @property
    def head(self) -> list[Any]:
        """[account, writer, log, length, id, flag]"""
        return [*self.name, len(self.ids), self.ids[-1], 0]


def read_run(run: bytes) -> list[bytes]:
    """The ids of its entries."""
    account, writer, number, first, prev, total, skips, rows, _ = read(run)
    known, ids, time = dict(skips), list[bytes](), 0
    for n, (dt, parts, ops) in enumerate(rows):
        seq = first + n
        at = lipmaa(seq + 1) - 1
        skip = None if at < 0 or at >= seq - 1 else ids[at - first] if at >= first else known[at]
        time, total = time + dt, total + len(ops) + parts
        prev_id = ids[-1] if ids else prev
        ids.append(
            H("entry", REALM, write([1, account, writer, number, seq, prev_id, skip, time, total, H("ops", ops)]))
        )
    return ids


class Account:
    """An account of one entry: `init` and a grant of logs 1 to 8 to one device."""

    def __init__(self, name: str, time_ms: int) -> None:
        self.root, following = Key(f"{name} root"), Key(f"{name} next")
        self.device, self.time_ms = Key(f"{name} device"), time_ms
        part, self.salt = part_of(hashlib.sha256(name.encode()).digest()[:16], b"s" * 32)
        init = [16, [[self.root.digest, following.digest]], part]
        grant = [17, self.device.key, 1, 8, 8, None, None, None]
        self.control = Log(b"", self.root, 0, time_ms)
        self.id = self.control.add([init, grant], parts=part[1])
        self.control.account = self.id

    def item(self) -> list[Any]:
        """The control log as an item of `data`."""
        header, ops = self.control.headers[0], self.control.rows[0][2]
        return [0, self.id, [[header, self.root.sign(self.id), ops]], [self.salt]]

    def log(self, number: int = 1) -> Log:
        return Log(self.id, self.device, number, self.time_ms)


POSTS = H("coll", b"post")[:8]


def post(name: str, content: bytes) -> tuple[list[Any], bytes, int]:
    """A put with a part, its bytes, and how many."""
    part, raw = part_of(hashlib.sha256(name.encode()).digest()[:16], content)
    return [1, POSTS, hashlib.sha256(name.encode()).digest()[16:], [], part], raw, part[1]


# -- section 9: the frontier


def head_bytes(head: Sequence[Any]) -> bytes:
    account, writer, number, length, entry, flag = head
    return b"".join(
        (account, writer, number.to_bytes(4, "big"), length.to_bytes(8, "big"), entry or bytes(32), bytes((flag,)))
    )


def root_of(heads: Sequence[Sequence[Any]]) -> bytes:
    total = sum(int.from_bytes(H("head", head_bytes(h)), "big") for h in heads)
    return (total % (1 << 256)).to_bytes(32, "big")


# -- section 11: sketches and sums

P = (1 << 61) - 1
CELLS = 4_096


def word(raw: bytes) -> int:
    return int.from_bytes(raw[:8], "big") >> 3


class Table:
    """Cells and sums of heads under the key of a salt (empty: the realm's id)."""

    def __init__(self, heads: Sequence[Sequence[Any]], salt: bytes = b"") -> None:
        used = salt or REALM
        self.key = [
            int.from_bytes(hashlib.sha256(b"banyan/1/sketch\0" + bytes((n,)) + used).digest()[:16], "big") % P
            for n in range(7)
        ]
        self.items = {self.place(h): self.weight(h) for h in heads}
        self.accounts = {self.place(h): h[0] for h in heads}
        self.cells = [[0, 0, 0] for _ in range(CELLS)]
        for h, t in self.items.items():
            for i in walk(h):
                self.cells[i] = [(x + t * pow(h, k, P)) % P for k, x in enumerate(self.cells[i])]

    def place(self, head: Sequence[Any]) -> int:
        account, writer, number = head[:3]
        name = H("log", account, writer, number.to_bytes(4, "big"))
        return (self.key[0] * word(account) + self.key[1] * word(name) + self.key[2]) % P

    def weight(self, head: Sequence[Any]) -> int:
        length, entry, flag = head[3], head[4] or bytes(32), head[5]
        d, e, f, g = self.key[3:]
        tag = (d * word(entry) + e * word(entry[8:16]) + f * flag + g) % P
        return int((length % (1 << 31) << 29 | tag & (1 << 29) - 1) % P)

    def probes(self) -> bytes:
        bits, i = [], 0
        while i < CELLS:
            bits.append(self.cells[i][0] & 15)
            i += 1 + i // 32
        return bytes(a << 4 | b for a, b in zip(bits[::2], bits[1::2], strict=True))

    def children(self, prefix: bytes) -> list[list[Any]]:
        """What `sums` says below a prefix of nibbles."""
        out = []
        for n in range(16):
            start = "".join(f"{x:x}" for x in (*prefix, n))
            inside = [h for h, account in self.accounts.items() if account.hex().startswith(start)]
            s0, s1 = sum(self.items[h] for h in inside) % P, sum(self.items[h] * h for h in inside) % P
            out.append([len(inside), s0.to_bytes(8, "big") + s1.to_bytes(8, "big")])
        return out


def walk(h: int, cells: int = CELLS) -> list[int]:
    out, i, r = [], 0, (h * 0x9E3779B97F4A7C15 + 1) % (1 << 64)
    while i < cells:
        out.append(i)
        r = r * 0xDA942042E4DD58B5 % (1 << 64)
        i += max(1, math.ceil((i + 1.5) * (2.0**26 / math.sqrt((r >> 12) + 1) - 1)))
    return out


def unpack(raw: bytes) -> list[list[int]]:
    cells = []
    for at in range(0, len(raw), 23):
        s0, s1 = (int.from_bytes(raw[at + k : at + k + 8], "big") for k in (0, 8))
        s2 = int.from_bytes(raw[at + 16 : at + 23], "big") | (s0 >> 61) << 56 | (s1 >> 61) << 59
        cells.append([s0 & P, s1 & P, s2])
    return cells


def pack(cells: Sequence[Sequence[int]]) -> bytes:
    out = b""
    for s0, s1, s2 in cells:
        s0, s1 = s0 | (s2 >> 56 & 7) << 61, s1 | (s2 >> 59) << 61
        out += s0.to_bytes(8, "big") + s1.to_bytes(8, "big") + (s2 % (1 << 56)).to_bytes(7, "big")
    return out


def peel(here: Sequence[Sequence[int]], there: Sequence[Sequence[int]]) -> tuple[dict[int, int], int]:
    """place -> t here - t there, and how many cells stay undecoded."""
    cells = [[(a - b) % P for a, b in zip(x, y, strict=True)] for x, y in zip(here, there, strict=False)]
    found: dict[int, int] = {}
    moved = True
    while moved:
        moved = False
        for i, (s0, s1, s2) in enumerate(cells):
            if not s0 or s1 * s1 % P != s0 * s2 % P:
                continue
            h = s1 * pow(s0, -1, P) % P
            visited = walk(h, len(cells))
            if i in visited:
                found[h], moved = s0, True
                for k in visited:
                    cells[k] = [(x - s0 * pow(h, n, P)) % P for n, x in enumerate(cells[k])]
    return found, sum(any(c) for c in cells)


def withholding(platform: Key, time_ms: int, entry: bytes, op: int, order: bytes) -> bytes:
    statement = write([1, platform.key, time_ms, entry, op, order, b"", b"", None])
    return write([statement, platform.sign(H("withheld", statement))])
