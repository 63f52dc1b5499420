"""The rules of this server, its terms and its privacy policy: texts of the operator, read when the door opens."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from banyan_node.home.sections import HttpSettings
from banyan_node.home.values import lacks_file, read_text, why_no_text
from banyan_node.operator_errors import ConfigError


class Notice(NamedTuple):
    """A text, and when its file was changed: milliseconds since 1970."""

    text: str
    changed_ms: int


class ServerRules(NamedTuple):
    """rules: their ids are their numbers, from 1. terms, privacy: None where there are none."""

    rules: tuple[str, ...] = ()
    terms: Notice | None = None
    privacy: Notice | None = None

    @staticmethod
    def read(http: HttpSettings, home: Path) -> ServerRules:
        """home: the folder of relative paths. Raises ConfigError."""
        terms, privacy = _read("http.terms", home, http.terms), _read("http.privacy", home, http.privacy)
        return ServerRules(tuple(http.rules), terms, privacy)

    def rule(self, number: str) -> str | None:
        """The text of a rule by its id."""
        at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
        return self.rules[at - 1] if 0 < at <= len(self.rules) else None


def _read(setting: str, folder: Path, name: str) -> Notice | None:
    if not name:
        return None
    path = folder / name
    try:
        if (why := lacks_file(path) or why_no_text(path)) is None:
            return Notice(read_text(path), path.stat().st_mtime_ns // 1_000_000)
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise ConfigError(f"{setting} names {path}, which {why}.")
