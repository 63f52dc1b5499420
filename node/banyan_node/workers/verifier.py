"""Signatures shared out among threads: libsodium runs without the interpreter's lock, so two cores check two at a time.

Short runs carry as many signatures as entries. A hop to another thread costs what a few checks do, so few are checked
where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signed, Signer, sign_all, verify_all

FEW = 24
"""Signatures that are not worth a hop."""


class Verifier:
    """One more thread beside the one that asks."""

    def __init__(self) -> None:
        self._other = ThreadPoolExecutor(1, "verifier")

    def __call__(self, realm: Realm, checks: Sequence[Signed]) -> list[BadSignature | None]:
        if len(checks) < FEW:
            return verify_all(realm, checks)
        half = len(checks) // 2
        theirs = self._other.submit(verify_all, realm, checks[half:])
        return verify_all(realm, checks[:half]) + theirs.result()

    def sign(self, todo: Sequence[tuple[Signer, EntryId]]) -> list[bytes]:
        """Signatures are shared out in the same way."""
        if len(todo) < FEW:
            return sign_all(todo)
        half = len(todo) // 2
        theirs = self._other.submit(sign_all, todo[half:])
        return sign_all(todo[:half]) + theirs.result()

    def close(self) -> None:
        self._other.shutdown()
