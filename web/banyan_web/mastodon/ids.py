"""Ids for apps, which take them for texts of digits, newer ones greater. They say all that is needed to find the thing,
so no table of them is kept:

    account   the 32 bytes of the account's id as a number, 78 digits
    post      milliseconds since 1970, plus FIRST, 15 digits; account and key of the post as a number, 116 digits
    repost    the same of the repost; account and key of the post, account that reposted, 193 digits
    thing     what somebody keeps to themselves, such as a list: its 16 bytes as a number, 39 digits

Digits of a post are fixed in number, and so are those of a repost, so the first fifteen order both by time. FIRST makes
them begin with no zero: a stream names a deleted post by its digits alone, which some clients read as a JSON number.
Some clients read an id in a Link header as a number, and send it without the zeros that it begins with: so up to
LOST_ZEROS may be missing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, account_from_text, account_to_text
from banyan_schema.social import Target, post_from_text, post_to_text
from banyan_web.refusals import Refused

ACCOUNT_DIGITS, TIME_DIGITS, POST_DIGITS, REPOST_DIGITS, THING_DIGITS = 78, 15, 116, 193, 39
FIRST = 10**14
LOST_ZEROS = 8
_GONE = "Record not found"
KEPT = 50_000
"""Ids that are kept made: the same posts and accounts stand on many pages."""


class RepostId(NamedTuple):
    """uri: of the post. by: the DID of who reposted it."""

    uri: str
    by: str


@lru_cache(KEPT)
def account_id(did: str) -> str:
    """The id of an account, from its DID."""
    return f"{int.from_bytes(account_from_text(did), 'big'):0{ACCOUNT_DIGITS}d}"


def did_of(id_: str) -> str:
    """The DID of an account's id. Raises Refused if it is none."""
    return account_to_text(AccountId(_bytes(id_, ACCOUNT_DIGITS, 32)))


def thing_id(key: str) -> str:
    """The id of a list, filter or keyword. key: as the node answers it, 32 hexadecimal digits."""
    return f"{int(key, 16):0{THING_DIGITS}d}"


def thing_of(id_: str) -> str:
    """The inverse. Raises Refused."""
    return _bytes(id_, THING_DIGITS, 16).hex()


@lru_cache(KEPT)
def status_id(uri: str, time_ms: int) -> str:
    """The id of a post. time_ms: of the post."""
    target = post_from_text(uri)
    return f"{time_ms + FIRST:0{TIME_DIGITS}d}{int.from_bytes(target.account + target.key, 'big'):0{POST_DIGITS}d}"


@lru_cache(KEPT)
def repost_id(uri: str, by: str, time_ms: int) -> str:
    """The id of a repost. time_ms: when it was reposted."""
    target = post_from_text(uri)
    rest = target.account + target.key + account_from_text(by)
    return f"{time_ms + FIRST:0{TIME_DIGITS}d}{int.from_bytes(rest, 'big'):0{REPOST_DIGITS}d}"


def time_of(id_: str) -> int:
    """The milliseconds that an id of a post or repost begins with. Raises Refused."""
    _named(id_)
    return int(_whole(id_)[:TIME_DIGITS]) - FIRST


def uri_of(id_: str) -> str:
    """The URI of the post that an id names, or whose repost it names. Raises Refused."""
    found = _named(id_)
    return found.uri if isinstance(found, RepostId) else found


def reposted_by(id_: str) -> str | None:
    """Who reposted, if the id is of a repost. Raises Refused."""
    found = _named(id_)
    return found.by if isinstance(found, RepostId) else None


def _named(id_: str) -> str | RepostId:
    id_ = _whole(id_)
    rest = id_[TIME_DIGITS:]
    time = id_[:TIME_DIGITS]
    if not time.isascii() or not time.isdigit() or int(time) < FIRST:
        raise Refused(404, _GONE)
    if len(rest) == POST_DIGITS:
        return _uri(_bytes(rest, POST_DIGITS, 48))
    raw = _bytes(rest, REPOST_DIGITS, 80)
    return RepostId(_uri(raw[:48]), account_to_text(AccountId(raw[48:])))


def _whole(id_: str) -> str:
    """The id of a post or repost, with the zeros that a client lost."""
    for digits in (TIME_DIGITS + POST_DIGITS, TIME_DIGITS + REPOST_DIGITS):
        if digits - LOST_ZEROS <= len(id_) <= digits:
            return id_.rjust(digits, "0")
    return id_


def _uri(raw: bytes) -> str:
    return post_to_text(Target(AccountId(raw[:32]), CellKey(raw[32:])))


def _bytes(digits: str, count: int, size: int) -> bytes:
    if not count - LOST_ZEROS <= len(digits) <= count or not digits.isascii() or not digits.isdigit():
        raise Refused(404, _GONE)
    try:
        return int(digits).to_bytes(size, "big")
    except (OverflowError, BanyanError):
        raise Refused(404, _GONE) from None
