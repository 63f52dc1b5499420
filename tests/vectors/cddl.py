"""The grammar in docs/protocol.md, read from the page: does a value match a rule, and a random value that does.

As much of CDDL (RFC 8610) as the page uses. Rules whose comment says what CDDL cannot (pieces of so many bytes,
nibbles) are looked at by name. Imports nothing of Banyan.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, NamedTuple

_TOKEN = re.compile(r"h''|\.\.|\.size|[\[\]/,:=*()]|\d+|[a-zA-Z][\w-]*")
PIECES = {"names16": 16, "names32": 32, "places8": 8, "cells23": 23, "accounts32": 32}
NIBBLES = ("prefix", "prefix14")
UTF8 = ("address", "peer-id")


class Member(NamedTuple):
    least: int
    most: int | None
    of: Any


class Grammar:
    """`loose`: rules that match anything, where a later layer reads them."""

    def __init__(self, page: str, loose: tuple[str, ...] = ()) -> None:
        self.rules: dict[str, Any] = {}
        self._loose = loose
        for block in re.findall(r"```cddl\n(.*?)```", page, re.DOTALL):
            if "‖" not in block:  # that of the archive, which is no CBOR as a whole
                self._read([t for line in block.splitlines() for t in _TOKEN.findall(line.split(";")[0])])

    # -- reading

    def _read(self, tokens: list[str]) -> None:
        self._t, self._at = tokens, 0
        while self._at < len(self._t):
            name = self._next()
            assert self._next() == "=", f"a rule begins with a name and =, this one with {name}"
            assert name not in self.rules, f"two rules have the name {name}"
            self.rules[name] = self._type()

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._t[at] if at < len(self._t) else ""

    def _next(self) -> str:
        self._at += 1
        return self._t[self._at - 1]

    def _type(self) -> Any:
        choices = [self._one()]
        while self._peek() == "/":
            self._next()
            choices.append(self._one())
        return choices[0] if len(choices) == 1 else ("or", choices)

    def _one(self) -> Any:
        token = self._next()
        if token == "[":
            return self._array()
        if token.isdigit():
            if self._peek() != "..":
                return ("range", int(token), int(token))
            self._next()
            return ("range", int(token), int(self._next()))
        if token == "h''":
            return ("bytes", 0, 0)
        if token == "bstr":
            return ("bytes", *self._size()) if self._peek() == ".size" else ("bytes", 0, None)
        return {"uint": ("range", 0, (1 << 64) - 1), "null": ("null",)}.get(token, ("rule", token))

    def _size(self) -> tuple[int, int]:
        self._next()
        if self._peek() != "(":
            return (n := int(self._next()), n)
        self._next()
        least, _, most, _ = int(self._next()), self._next(), int(self._next()), self._next()
        return least, most

    def _array(self) -> Any:
        members: list[Member] = []
        while self._peek() != "]":
            least: int = 1
            most: int | None = 1
            if self._peek() == "*" or self._peek(1) == "*":
                least = int(self._next()) if self._peek() != "*" else 0
                self._next()
                most = int(self._next()) if self._peek().isdigit() else None
            if self._peek(1) == ":":  # a label
                self._next()
                self._next()
            members.append(Member(least, most, self._type()))
            if self._peek() == ",":
                self._next()
        self._next()
        return ("array", members)

    # -- matching

    def matches(self, v: Any, rule: str) -> bool:
        return self._fits(v, ("rule", rule))

    def _fits(self, v: Any, kind: Any) -> bool:
        match kind:
            case ("rule", name):
                return name in self._loose or (self._fits(v, self.rules[name]) and self._said(v, name))
            case ("or", choices):
                return any(self._fits(v, c) for c in choices)
            case ("null",):
                return v is None
            case ("range", least, most):
                return type(v) is int and least <= v <= most
            case ("bytes", least, most):
                return type(v) is bytes and least <= len(v) and (most is None or len(v) <= most)
            case ("array", members):
                return type(v) is list and self._members(v, members)
        raise AssertionError(kind)

    def _members(self, v: list[Any], members: list[Member]) -> bool:
        at = 0
        for m in members:  # greedy: in this grammar what may occur several times comes last, or alone
            n = 0
            while at < len(v) and (m.most is None or n < m.most) and self._fits(v[at], m.of):
                at, n = at + 1, n + 1
            if n < m.least:
                return False
        return at == len(v)

    def _said(self, v: Any, name: str) -> bool:
        """What a comment says of a rule."""
        if name in PIECES:
            return not len(v) % PIECES[name]
        if name in UTF8:
            return bool(v.decode("utf-8", "ignore").encode() == v)
        return name not in NIBBLES or all(n < 16 for n in v)

    # -- making

    def random(self, rng: Random, rule: str) -> Any:
        return self._made(rng, ("rule", rule))

    def _made(self, rng: Random, kind: Any) -> Any:
        match kind:
            case ("rule", name) if name in PIECES:
                return rng.randbytes(PIECES[name] * rng.randrange(4))
            case ("rule", name) if name in UTF8:
                return rng.choice("aé").encode() * rng.randrange(1, 5)
            case ("rule", name):
                v = self._made(rng, self.rules[name])
                return bytes(n & 15 for n in v) if name in NIBBLES else v
            case ("or", choices):
                return self._made(rng, rng.choice(choices))
            case ("null",):
                return None
            case ("range", least, most):
                return rng.choice([least, most, rng.randint(least, most)])
            case ("bytes", least, most):
                longest = least + 40 if most is None else most
                return rng.randbytes(
                    rng.choice([least, min(longest, 600), rng.randint(least, min(longest, least + 40))])
                )
            case ("array", members):
                return [self._made(rng, m.of) for m in members for _ in range(self._often(rng, m))]
        raise AssertionError(kind)

    def _often(self, rng: Random, m: Member) -> int:
        most = m.least + 3 if m.most is None else m.most
        some = rng.randint(m.least, min(most, m.least + 3))
        return int(rng.choice([m.least, some, min(most, 70)]))
