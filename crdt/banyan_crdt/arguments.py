"""Checks the arguments of operations. If one has the wrong shape, the whole entry is void."""

from __future__ import annotations

from typing import Any


class Void(Exception):
    """An argument is not what its operation takes."""


def need(ok: bool) -> None:
    """Raises Void unless `ok`."""
    if not ok:
        raise Void


def sized(v: Any, n: int) -> Any:
    """`v`, if it is a byte string of `n` bytes; otherwise raises Void."""
    if type(v) is not bytes or len(v) != n:
        raise Void
    return v


def unsigned(v: Any, bits: int) -> int:
    """`v`, if it is an unsigned integer of at most `bits` bits; otherwise raises Void."""
    if type(v) is not int or v >> bits:
        raise Void
    return v


def array(v: Any, n: int | None = None) -> list[Any]:
    """`v`, if it is an array (of `n` elements); otherwise raises Void."""
    if type(v) is not list or (n is not None and len(v) != n):
        raise Void
    return v
