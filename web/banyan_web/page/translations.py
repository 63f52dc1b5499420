"""The texts for people, in English and Vietnamese, each a line of translations.csv. A page is in one language; what
people wrote stays in theirs."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("en", "vi")
Words = Mapping[str, Mapping[str, str]]
"""By language and key."""


def _texts() -> dict[str, Words]:
    """By what stands before the dot of a key; empty: those of the pages."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    lines = (files(__package__) / "translations.csv").read_text("utf-8").splitlines()
    for row in csv.DictReader(lines):
        room, _, key = row["key"].rpartition(".")
        for lang in LANGUAGES:
            found.setdefault(room, {}).setdefault(lang, {})[key] = row[lang]
    return {**found}


_TEXTS = _texts()
WORDS, MODERATION, LOGIN, PUSH = (_TEXTS[room] for room in ("", "moderation", "login", "push"))


def counted(words: Mapping[str, str], count: int, key: str) -> str:
    """A number and what it counts: `1 reply`, `2 replies`."""
    one = words.get(f"{key}_1")
    return f"{count} {one if count == 1 and one else words[key]}"


_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([0-9.]{1,5}))?\s*")


def language_of(accepted: str) -> str:
    """The language that an Accept-Language header likes best among ours."""
    best, liked = "en", 0.0
    for part in accepted[:400].split(","):
        found = _RANGE.fullmatch(part)
        if found is None or found[1].lower() not in LANGUAGES:
            continue
        try:
            quality = 1.0 if found[2] is None else float(found[2])
        except ValueError:
            continue
        if quality > liked:
            best, liked = found[1].lower(), quality
    return best
