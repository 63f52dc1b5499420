"""Duties as data: what a law asks of a platform, line by line, each with its source. The files are in this folder.

    name, title, scope
    [[duty]]    name, source, says, role; within_h and from: hours after whose request
    [strikes]   source, many = [[count, days] ...], lock_d = [days ...], role; after these locks one for good
    [appeal]    source, window_d, role
    [[class]]   name, source, says, keep = "sealed" | "never", role
    [[reserved]] source, words, role

A class with keep = "never" is erased when it is withheld; only the commitment of the order stays. `role` is the person
who answers for the line: `banyan duties check` says for which nobody does.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

FROM = ("authority", "user", "court")


class Duty(NamedTuple):
    """One thing to do. `within_h`: hours after a request of `by`; None: always."""

    name: str
    source: str
    says: str
    role: str
    within_h: int | None = None
    by: str = ""


class Strikes(NamedTuple):
    """See `order_rules.locks`."""

    source: str
    many: tuple[tuple[int, int], ...]
    lock_d: tuple[int, ...]
    role: str


class AppealRule(NamedTuple):
    """For how many days after an order's first checkpoint one can appeal."""

    source: str
    window_d: int
    role: str


class OrderClass(NamedTuple):
    """A kind of content. `keep`: whether a sealed copy stays, so that it can be restored."""

    name: str
    source: str
    says: str
    keep: Literal["sealed", "never"]
    role: str


class Reserved(NamedTuple):
    """Words that no account's name may have."""

    source: str
    words: tuple[str, ...]
    role: str


@dataclass(frozen=True, slots=True)
class DutyFile:
    """What one law asks. `scope`: where it applies, as a charter names it."""

    name: str
    title: str
    scope: str
    duties: tuple[Duty, ...]
    strikes: Strikes | None
    appeal: AppealRule | None
    classes: tuple[OrderClass, ...]
    reserved: tuple[Reserved, ...]

    def lines(self) -> list[tuple[str, str, str]]:
        """(name, source, role) of everything that somebody has to do."""
        out = [(one.name, one.source, one.role) for one in self.duties]
        out += [(one.name, one.source, one.role) for one in self.classes]
        out += [("strikes", one.source, one.role) for one in (self.strikes,) if one is not None]
        out += [("appeal", one.source, one.role) for one in (self.appeal,) if one is not None]
        return out + [("reserved", one.source, one.role) for one in self.reserved]

    def reserved_in(self, name: str) -> str | None:
        """The reserved word that an account's name has, or None."""
        folded = f" {unicodedata.normalize('NFC', name).casefold()} "
        return next((w for one in self.reserved for w in one.words if f" {w} " in folded), None)


def unmanned(file: DutyFile, persons: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Those lines whose role nobody has."""
    return [line for line in file.lines() if not persons.get(line[2], "").strip()]


def read_duties(raw: str, where: str) -> DutyFile:
    """A file of duties. Raises ValueError with a sentence that names the place."""
    try:
        v = tomllib.loads(raw)
    except tomllib.TOMLDecodeError as why:
        raise ValueError(f"{where} is no TOML: {why}") from None
    of = _Table(v, where, "name title scope duty strikes appeal class reserved")
    file = DutyFile(
        of.text("name"),
        of.text("title"),
        of.text("scope"),
        tuple(map(_duty, of.tables("duty", "name source says role within_h from"))),
        next(map(_strikes, of.tables("strikes", "source many lock_d role")), None),
        next(map(_appeal, of.tables("appeal", "source window_d role")), None),
        tuple(map(_class, of.tables("class", "name source says keep role"))),
        tuple(map(_reserved, of.tables("reserved", "source words role"))),
    )
    names = [name for name, _, _ in file.lines() if name != "reserved"]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise ValueError(f"{where} has two lines named '{twice}'")
    return file


class _Table:
    """A table of the file and the keys that it may have, of which those without a default it must have."""

    def __init__(self, v: Any, where: str, keys: str) -> None:
        if type(v) is not dict:
            raise ValueError(f"{where} is a table")
        self.values, self.where, known = v, where, keys.split()
        if strange := next(iter(sorted(v.keys() - {*known})), None):
            near = get_close_matches(strange, known, 1)
            meant = f"; do you mean '{near[0]}'?" if near else f": it has {', '.join(known)}"
            raise ValueError(f"{where} has no '{strange:.60}'{meant}")

    def take(self, key: str, of: type, kind: str, default: Any = None) -> Any:
        if key not in self.values and default is None:
            raise ValueError(f"{self.where} lacks '{key}'")
        value = self.values.get(key, default)
        if type(value) is not of or (key in self.values and value in ("", [], {})):
            raise ValueError(f"'{key}' of {self.where} is {kind}, not {value!r:.60}")
        return value

    def text(self, key: str, *among: str) -> str:
        """One of `among`, if there are any."""
        found: str = self.take(key, str, "a text")
        if among and found not in among:
            raise ValueError(f"'{key}' of {self.where} is one of {', '.join(among)}, not '{found:.60}'")
        return found

    def number(self, key: str, default: int | None = None) -> int:
        found: int = self.take(key, int, "a whole number", default)
        if found < 0:
            raise ValueError(f"'{key}' of {self.where} is a whole number, not {found}")
        return found

    def tables(self, key: str, keys: str) -> list[_Table]:
        """One of [key], several of [[key]]."""
        found = self.values.get(key, [])
        if type(found) is list:
            return [_Table(row, f"[[{key}]] {n} of {self.where}", keys) for n, row in enumerate(found, 1)]
        return [_Table(found, f"[{key}] of {self.where}", keys)]


def _duty(t: _Table) -> Duty:
    hours = t.number("within_h", 0)
    by = t.text("from", *FROM) if hours else ""
    return Duty(t.text("name"), t.text("source"), t.text("says"), t.text("role"), hours or None, by)


def _strikes(t: _Table) -> Strikes:
    many, lock_d = t.take("many", list, "a list"), t.take("lock_d", list, "a list")
    pairs = all(type(p) is list and len(p) == 2 and all(type(n) is int and n > 0 for n in p) for p in many)
    if not pairs or not all(type(n) is int and n > 0 for n in lock_d):
        raise ValueError(f"{t.where}: many = [[count, days], ...] and lock_d = [days, ...], in whole numbers")
    return Strikes(t.text("source"), tuple((p[0], p[1]) for p in many), tuple(lock_d), t.text("role"))


def _appeal(t: _Table) -> AppealRule:
    return AppealRule(t.text("source"), t.number("window_d"), t.text("role"))


def _class(t: _Table) -> OrderClass:
    keep: Literal["sealed", "never"] = "never" if t.text("keep", "sealed", "never") == "never" else "sealed"
    return OrderClass(t.text("name"), t.text("source"), t.text("says"), keep, t.text("role"))


def _reserved(t: _Table) -> Reserved:
    words = t.take("words", list, "a list of words")
    if not all(type(w) is str and w == unicodedata.normalize("NFC", w).casefold() for w in words):
        raise ValueError(f"'words' of {t.where} are in small letters")
    return Reserved(t.text("source"), tuple(words), t.text("role"))
