"""Checks and makes batches of signatures in two threads: libsodium releases the GIL, so two cores work at a time.

Runs of one entry have as many signatures as entries. Handing work to another thread costs as much as a few checks, so
small batches stay on the calling thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId
from banyan_crdt.realm import Realm
from banyan_crdt.signing import SignatureClaim, Signer, sign_all, verify_all

FEW = 24
"""The least number of signatures that are shared with the other thread."""


class Verifier:
    """One thread in addition to the calling one."""

    def __init__(self) -> None:
        self._other = ThreadPoolExecutor(1, "verifier")

    def __call__(self, realm: Realm, checks: Sequence[SignatureClaim]) -> list[BadSignature | None]:
        if len(checks) < FEW:
            return verify_all(realm, checks)
        half = len(checks) // 2
        theirs = self._other.submit(verify_all, realm, checks[half:])
        return verify_all(realm, checks[:half]) + theirs.result()

    def sign(self, todo: Sequence[tuple[Signer, EntryId]]) -> list[bytes]:
        """Signatures, made in the same way."""
        if len(todo) < FEW:
            return sign_all(todo)
        half = len(todo) // 2
        theirs = self._other.submit(sign_all, todo[half:])
        return sign_all(todo[:half]) + theirs.result()

    def close(self) -> None:
        self._other.shutdown()
