"""The rules of this server, its terms and its privacy policy: texts of the operator, read when the door opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from banyan_node.operator_errors import ControlError

LONGEST = 256 << 10
"""Bytes of a text."""


class Notice(NamedTuple):
    """A text, and when its file was changed: milliseconds since 1970."""

    text: str
    changed_ms: int


class House(NamedTuple):
    """rules: their ids are their numbers, from 1. terms, privacy: None where there are none."""

    rules: tuple[str, ...] = ()
    terms: Notice | None = None
    privacy: Notice | None = None

    @staticmethod
    def read(rules: Sequence[str], terms: str, privacy: str) -> House:
        """terms, privacy: paths, or empty. Raises ControlError."""
        return House(tuple(rules), _read("http.terms", terms), _read("http.privacy", privacy))

    def rule(self, number: str) -> str | None:
        """The text of a rule by its id."""
        at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
        return self.rules[at - 1] if 0 < at <= len(self.rules) else None


def _read(setting: str, path: str) -> Notice | None:
    if not path:
        return None
    try:
        raw, changed = Path(path).read_bytes(), Path(path).stat().st_mtime_ns // 1_000_000
        if len(raw) > LONGEST:
            raise ValueError(f"it has more than {LONGEST:,} bytes")
        return Notice(raw.decode(), changed)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ControlError(f"{setting} names {path}, which cannot be read ({why}).") from error
