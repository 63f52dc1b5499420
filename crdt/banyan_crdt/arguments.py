"""The arguments of operations: each of the shape that its operation takes, or the whole entry is void."""

from __future__ import annotations

from typing import Any


class Void(Exception):
    """An argument is not what its operation takes."""


def need(ok: bool) -> None:
    if not ok:
        raise Void


def sized(v: Any, n: int) -> Any:
    if type(v) is not bytes or len(v) != n:
        raise Void
    return v


def unsigned(v: Any, bits: int) -> int:
    if type(v) is not int or v >> bits:
        raise Void
    return v


def array(v: Any, n: int | None = None) -> list[Any]:
    if type(v) is not list or (n is not None and len(v) != n):
        raise Void
    return v
