"""How texts are folded for search, and what a person's question means.

Each text is indexed twice: folded, without case and marks (`đảm đang` is `dam dang`), and exact, without case only. A
word of a question that has marks is looked for among the exact ones, any other among the folded ones. So `dam dang`
finds `đảm đang`, and `đám` does not find `đam`.

A question is words, all of which must be there, `"phrases in quotes"`, beginnings of words of three letters or more
(`phở*`), what must not be there (`-word`), and filters: `from:ACCOUNT`, `to:ACCOUNT`, `since:2026-01-31`,
`until:2026-02-28`, `lang:vi`, `has:media`, `has:poll`, `is:reply`, `#tag`.

Chinese, Japanese, Thai, Lao, Khmer and Burmese have no spaces between words. There each character is a word, and a
word of a question is a phrase of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from banyan_schema.social.post import tag_fold, tags_in

LEAST_BEGINNING = 3
MOST_TERMS = 32
MOST_BYTES = 1_024
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RARE = 0x3000
"""From this character on they are signs of Chinese and Japanese, and others that few write; few of them have marks."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_LANGUAGE = re.compile(r"[a-z]{2,8}")
_PART = re.compile(r'(-?)(?:([a-z]+):)?("[^"]*"?|\S+)', re.IGNORECASE)
FILTERS = ("from", "to", "since", "until", "lang", "has", "is", "in")
HAS = ("media", "poll", "link", "warning")
IS = ("reply", "quote")


class BadQuestion(ValueError):
    """A question that means nothing; the message says what to do."""


class _Unmarked(dict[int, int | None]):
    """A table for `str.translate` that takes away marks, filled as characters come, but for rare ones: strangers choose
    them, and all would take a hundred megabytes."""

    def __missing__(self, code: int) -> int | None:
        found = None if unicodedata.combining(chr(code)) else code
        if code < _RARE:
            self[code] = found
        return found


_UNMARKED = _Unmarked()


def exact(text: str) -> str:
    """Without case."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def fold(text: str) -> str:
    """Without case and marks."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return unicodedata.normalize("NFC", plain.translate(_UNMARKED))


def words_of(text: str) -> list[str]:
    """The words of an exact or folded text."""
    return _WORD.findall(text)


@dataclass(frozen=True, slots=True)
class Term:
    """words: one after another. exactly: they have marks. beginning: of the last one only the beginning is given."""

    words: tuple[str, ...]
    exactly: bool
    beginning: bool = False


@dataclass(slots=True)
class SearchQuery:
    """wanted, unwanted: terms. marks: what must be marked on a post, such as its tags (`mark_of_account`). tags: of
    these at least one must be. accounts: by `from` and `to`, as typed. since_ms, until_ms: from when, and before when,
    milliseconds since 1970."""

    wanted: list[Term] = field(default_factory=list)
    unwanted: list[Term] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    accounts: list[tuple[str, str]] = field(default_factory=list)
    since_ms: int | None = None
    until_ms: int | None = None


def read_question(text: str) -> SearchQuery:
    """Raises BadQuestion with a sentence."""
    if len(text.encode()) > MOST_BYTES:
        raise BadQuestion(f"the question has more than {MOST_BYTES} bytes: shorten it")
    out = SearchQuery()
    for minus, name, value in _PART.findall(text):
        name = name.lower()
        if not name and value.endswith(":") and value[:-1].lower() in FILTERS:
            name, value = value[:-1].lower(), ""
        if name and name not in FILTERS:
            name, value = "", f"{name}:{value}"
        bare = value.strip('"')
        if name:
            _filter(out, name, bare, bool(minus))
        elif bare.startswith("#") and not value.startswith('"'):
            _no_minus(minus, value)
            out.marks.append("x" + _one(tag_fold(_tag(bare[1:]))))
        else:
            term = _term(value)
            if term is not None:
                (out.unwanted if minus else out.wanted).append(term)
    if not (out.wanted or out.marks or out.accounts):
        raise BadQuestion("nothing to look for: give a word, a #tag, or from:ACCOUNT, also beside since: and until:")
    if out.since_ms is not None and out.until_ms is not None and out.since_ms >= out.until_ms:
        raise BadQuestion("since: is later than until:, so nothing is between them")
    if len(out.wanted) + len(out.unwanted) + len(out.marks) > MOST_TERMS:
        raise BadQuestion(f"the question has more than {MOST_TERMS} words: leave some out")
    return out


def _filter(out: SearchQuery, name: str, value: str, minus: bool) -> None:
    _no_minus(minus, name)
    if not value:
        raise BadQuestion(f"{name}: has nothing behind it")
    if name in ("from", "to"):
        out.accounts.append((name, value))
    elif name == "lang":
        language = value.split("-")[0].lower()
        if not _LANGUAGE.fullmatch(language):
            raise BadQuestion(f"lang:{value[:40]} is no language: write it as lang:vi")
        out.marks.append("l" + _one(language))
    elif name == "has":
        out.marks.append("h" + _among("has", value.lower(), HAS))
    elif name == "is":
        out.marks.append("i" + _among("is", value.lower(), IS))
    elif name == "in":
        out.marks.append("g" + _one(value.lower()))
    elif name == "since":
        out.since_ms = _day(name, value)
    else:
        out.until_ms = _day(name, value) + 86_400_000


def with_any_tag(tags: Iterable[str]) -> SearchQuery:
    """A question for posts with at least one of these tags. Raises BadQuestion."""
    return SearchQuery(tags=["x" + _one(tag_fold(_tag(tag))) for tag in tags])


def _no_minus(minus: object, what: str) -> None:
    if minus:
        raise BadQuestion(f"-{what}: only a word or a phrase can be left out")


def _among(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadQuestion(f"{name}:{value} is not known: there are {', '.join(f'{name}:{one}' for one in known)}")
    return value


def _tag(value: str) -> str:
    if tags_in(f"#{value}") != (unicodedata.normalize("NFC", value),):
        raise BadQuestion(f"'#{value[:40]}' is no tag: it has letters, digits and _")
    return value


def _one(value: str) -> str:
    """The value as one word of the index."""
    return value.encode().hex()


def _day(name: str, value: str) -> int:
    try:
        return int(datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise BadQuestion(f"{name}:{value[:40]} is no day: write it as 2026-01-31") from None


def _term(value: str) -> Term | None:
    """None if there is no letter in it."""
    phrase = value.startswith('"')
    beginning = value.endswith("*") and not phrase
    if "*" in value.rstrip('*"') or ((phrase or value.startswith("*")) and value.endswith("*")):
        raise BadQuestion(f"'{value[:40]}' has a * where it means nothing: it stands behind the beginning of a word")
    said = exact(value)
    words = tuple(words_of(said))
    if not words:
        return None
    if beginning and re.fullmatch(f"[{_UNSPACED}]", words[-1]):
        beginning = False
    if beginning and len(words[-1]) < LEAST_BEGINNING:
        raise BadQuestion(f"'{value[:40]}' is too short: the beginning of a word has {LEAST_BEGINNING} letters or more")
    folded = tuple(words_of(fold(value)))
    exactly = folded != words
    return Term(words if exactly else folded, exactly, beginning)


def mark_of_account(name: str, account: bytes) -> str:
    """name: `from` or `to`."""
    return name[0] + account.hex()[:32]
