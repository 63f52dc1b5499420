"""Sums over the frontier by prefix of the account id: "what differs?" without naming what is equal.

Each head is hashed to 256 bits and added, modulo 2^256, to the sum of every prefix of its account's id up to DEPTH
nibbles (negentropy's fingerprint, over a tree). A head that moves costs DEPTH + 1 additions; deeper ranges are summed
from the store when somebody asks, which happens only where many accounts share a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from banyan_crdt.frontier import head_item
from banyan_crdt.ids import AccountId, Head, LogId

DEPTH = 4
"""65,536 buckets: about 15 accounts each at a million."""
_MOD = 1 << 256


class HeadSource(Protocol):
    def all_heads(self, start: AccountId | None = None) -> Iterator[tuple[LogId, Head]]: ...


class FrontierTree:
    """Counts and sums of heads below every prefix."""

    def __init__(self, source: HeadSource) -> None:
        self._source = source
        self._counts: dict[bytes, int] = {}
        self._sums: dict[bytes, int] = {}
        self.rebuild()

    def rebuild(self) -> None:
        """Read the whole frontier again."""
        self._counts.clear()
        self._sums.clear()
        for log, head in self._source.all_heads():
            self._add(log, head_item(log, head), 1)

    @property
    def count(self) -> int:
        """How many logs have a head."""
        return self._counts.get(b"", 0)

    @property
    def root(self) -> bytes:
        """32 bytes; equal at two nodes exactly when their frontiers are."""
        return self._sums.get(b"", 0).to_bytes(32, "big")

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        """A head moved; a head of length 0 without flag is no head."""
        there, here = _is_head(old), _is_head(new)
        delta = (head_item(log, new) if here else 0) - (head_item(log, old) if there else 0)
        self._add(log, delta % _MOD, int(here) - int(there))

    def children(self, prefix: bytes) -> list[tuple[int, bytes]]:
        """(count, sum) below each next nibble."""
        if len(prefix) < DEPTH:
            names = [prefix + bytes((n,)) for n in range(16)]
            return [(self._counts.get(p, 0), self._sums.get(p, 0).to_bytes(32, "big")) for p in names]
        counts, sums = [0] * 16, [0] * 16
        for log, head in self.heads(prefix):
            n = nibble(log.account, len(prefix))
            counts[n] += 1
            sums[n] = (sums[n] + head_item(log, head)) % _MOD
        return [(c, s.to_bytes(32, "big")) for c, s in zip(counts, sums, strict=True)]

    def heads(self, prefix: bytes) -> Iterator[tuple[LogId, Head]]:
        """The heads below a prefix, in order."""
        start = bytes(a << 4 | b for a, b in zip(prefix[::2], (prefix[1:] + b"\0")[::2], strict=False)).ljust(32, b"\0")
        for log, head in self._source.all_heads(AccountId(start)):
            if any(nibble(log.account, i) != n for i, n in enumerate(prefix)):
                return
            yield log, head

    def _add(self, log: LogId, delta: int, more: int) -> None:
        prefix = b""
        for depth in range(DEPTH + 1):
            if more:
                self._counts[prefix] = self._counts.get(prefix, 0) + more
            self._sums[prefix] = (self._sums.get(prefix, 0) + delta) % _MOD
            prefix += bytes((nibble(log.account, depth),))


def nibble(account: bytes, i: int) -> int:
    byte = account[i >> 1]
    return byte & 15 if i & 1 else byte >> 4


def _is_head(head: Head) -> bool:
    return bool(head.length or head.flag)


def by_account(heads: Iterable[tuple[LogId, Head]]) -> dict[AccountId, dict[LogId, Head]]:
    out: dict[AccountId, dict[LogId, Head]] = {}
    for log, head in heads:
        out.setdefault(log.account, {})[log] = head
    return out
