"""A realm is one network: its constants are in every hash and signature, so one key on two networks is no fork.

Limits are a function of one header: an entry may be number n of its log only when n <= burst + rate * days since the
grant. So every node, whatever else it holds, gives the same answer; and a log that ran into its limit goes on the
next day instead of being broken for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from banyan_crdt.codec import encode
from banyan_crdt.ids import H, RealmId

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Realm:
    """The constants of one network. Changing any of them makes another network."""

    name: str
    birth_ms: int
    """No quota grows before this, so a fresh key cannot date its grant back and claim decades of allowance."""
    entry_burst: int = 10_000
    entries_per_day: int = 2_000
    byte_burst: int = 64 << 20
    bytes_per_day: int = 32 << 20

    @cached_property
    def id(self) -> RealmId:
        constants = [self.birth_ms, self.entry_burst, self.entries_per_day, self.byte_burst, self.bytes_per_day]
        return RealmId(H("realm", encode([self.name.encode(), *constants])))

    def entries_allowed(self, elapsed_ms: int) -> int:
        """How many entries a log may hold `elapsed_ms` after its grant."""
        return self.entry_burst + self.entries_per_day * max(0, elapsed_ms) // DAY_MS

    def bytes_allowed(self, elapsed_ms: int) -> int:
        """How large `total` may be `elapsed_ms` after the grant, bytes."""
        return self.byte_burst + self.bytes_per_day * max(0, elapsed_ms) // DAY_MS


MAIN = Realm("main", birth_ms=1_767_225_600_000)  # 2026-01-01
TEST = Realm("test", birth_ms=1_767_225_600_000)
REALMS = {realm.name: realm for realm in (MAIN, TEST)}
