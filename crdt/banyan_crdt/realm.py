"""A realm is one network. Its id is in every entry id and signature, so one key used on two networks makes no fork.

Limits depend on one header: an entry may be number n of its log only if n <= burst + rate * days since the grant. So
every node gives the same answer, whatever else it holds, and a log that reached its limit continues the next day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from banyan_crdt.codec import encode
from banyan_crdt.ids import H, RealmId

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Realm:
    """The constants of one network. Times are milliseconds since 1970. Changing any constant makes another network."""

    name: str
    birth_ms: int
    """Quotas grow from this time on at the earliest, so a grant that is dated back gains nothing."""
    entry_burst: int = 10_000
    entries_per_day: int = 2_000
    byte_burst: int = 64 << 20
    bytes_per_day: int = 32 << 20

    @cached_property
    def id(self) -> RealmId:
        """H("realm", CBOR of the constants), 32 bytes."""
        constants = [self.birth_ms, self.entry_burst, self.entries_per_day, self.byte_burst, self.bytes_per_day]
        return RealmId(H("realm", encode([self.name.encode(), *constants])))

    def entries_allowed(self, elapsed_ms: int) -> int:
        """How many entries a log may hold `elapsed_ms` milliseconds after its grant."""
        return self.entry_burst + self.entries_per_day * max(0, elapsed_ms) // DAY_MS

    def bytes_allowed(self, elapsed_ms: int) -> int:
        """How large `total` may be, in bytes, `elapsed_ms` milliseconds after the grant."""
        return self.byte_burst + self.bytes_per_day * max(0, elapsed_ms) // DAY_MS

    def allows_after(self, entries: int, total: int) -> int:
        """The first `elapsed_ms` at which a log may hold so many entries and bytes."""
        entries_ms = -(-(entries - self.entry_burst) * DAY_MS // self.entries_per_day)
        bytes_ms = -(-(total - self.byte_burst) * DAY_MS // self.bytes_per_day)
        return max(0, entries_ms, bytes_ms)


MAIN = Realm("main", birth_ms=1_767_225_600_000)  # 2026-01-01
TEST = Realm("test", birth_ms=1_767_225_600_000)
REALMS = {realm.name: realm for realm in (MAIN, TEST)}
