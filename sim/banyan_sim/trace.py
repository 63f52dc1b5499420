"""The trace: one hash over all that happened in a world, in order. The same seed must give the same hash.

It must depend on the seed alone: on names, bytes and virtual time, and never on addresses in memory, the order of a
set, the wall clock or the system's randomness.
"""

from __future__ import annotations

import hashlib


class Trace:
    """`events` counts what was added."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(b"banyan/sim/trace\0", digest_size=16)
        self.events = 0

    def add(self, now: float, what: str, who: str, other: str = "", data: bytes = b"") -> None:
        """`now`: virtual seconds. Every field is framed, so that different histories give different hashes."""
        self.events += 1
        self._hash.update(f"{now!r} {what} {who} {other} {len(data)}\n".encode() + data)

    def hex(self) -> str:
        """The hash of everything up to now."""
        return self._hash.hexdigest()
