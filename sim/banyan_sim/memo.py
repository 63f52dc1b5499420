"""Signatures checked once in a world, not once at each of its replicas.

A check is a pure function of (key, signed bytes, signature). The memo's key is all three, and only checks that passed
are remembered, so no replica can accept what it would refuse alone. libsodium's function is replaced while the memo is
in use, and restored afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nacl.bindings import crypto_sign_open as check

from banyan_crdt import signing


@contextmanager
def remembered_signatures(on: bool = True) -> Iterator[None]:
    """The memo. Only one thread may use it."""
    door = vars(signing)
    passed: dict[tuple[bytes, bytes], bytes] = {}

    def remembering(signed: bytes, key: bytes) -> bytes:
        found = passed.get((signed, key))
        if found is None:
            found = passed[signed, key] = check(signed, key)
        return found

    if on:
        door["crypto_sign_open"] = remembering
    try:
        yield
    finally:
        door["crypto_sign_open"] = check
