"""Ids for apps, which take them for texts of digits, newer ones greater. They say all that is needed to find the thing,
so no table of them is kept:

    account         the 32 bytes of the account's id as a number, 78 digits
    post            milliseconds since 1970, plus FIRST, 15 digits; account and key of the post as a number, 116 digits
    repost          the same of the repost; a bit, account that reposted, and the post in short as a number, 116 digits
    thing           what somebody keeps to themselves, such as a list: its 16 bytes as a number, 39 digits

Ids of one kind are equally long, and those of posts and reposts are one kind, because they stand in one timeline: so
the later is the greater as a number, as a text, and for apps that compare the lengths first. FIRST makes them begin
with no zero: a stream names a deleted post by its digits alone, which some clients read as a JSON number. Of other ids
up to LOST_ZEROS may be missing, because some clients read them as numbers.

Which post a repost is of, the node finds among what the account reposted in that millisecond.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, account_from_text, account_to_text
from banyan_schema.address import SHORT_BYTES, short
from banyan_schema.social import Target, post_from_text, post_to_text
from banyan_web.refusals import gone

ACCOUNT_DIGITS, TIME_DIGITS, REST_DIGITS, THING_DIGITS = 78, 15, 116, 39
STATUS_DIGITS = TIME_DIGITS + REST_DIGITS
FIRST = 10**14
LOST_ZEROS = 8
_POST_BYTES = 48
_REPOST = 1 << (8 * _POST_BYTES)
_TIMES = 1 << 48
KEPT = 50_000
"""Ids that are kept made: the same posts and accounts stand on many pages."""


class PostId(NamedTuple):
    uri: str
    time_ms: int


class RepostId(NamedTuple):
    """by: the DID of who reposted it. short: of the post, 32 hexadecimal digits."""

    by: str
    time_ms: int
    short: str


@lru_cache(KEPT)
def account_id(did: str) -> str:
    """The id of an account, from its DID."""
    return f"{int.from_bytes(account_from_text(did), 'big'):0{ACCOUNT_DIGITS}d}"


def did_of(id_: str) -> str:
    """The DID of an account's id. Raises HttpRefusal if it is none."""
    return account_to_text(AccountId(_bytes(id_, ACCOUNT_DIGITS, 32)))


def thing_id(key: str) -> str:
    """The id of a list, filter or keyword. key: as the node answers it, 32 hexadecimal digits."""
    return f"{int(key, 16):0{THING_DIGITS}d}"


def thing_of(id_: str) -> str:
    """The inverse. Raises HttpRefusal."""
    return _bytes(id_, THING_DIGITS, 16).hex()


@lru_cache(KEPT)
def status_id(uri: str, time_ms: int) -> str:
    """The id of a post. time_ms: of the post."""
    return _id(time_ms, int.from_bytes(post_from_text(uri).raw, "big"))


@lru_cache(KEPT)
def repost_id(uri: str, by: str, time_ms: int) -> str:
    """The id of a repost. time_ms: when it was reposted."""
    return id_of_repost(RepostId(by, time_ms, short(post_from_text(uri)).hex()))


def id_of_repost(repost: RepostId) -> str:
    """The inverse of `parsed`."""
    raw = account_from_text(repost.by) + bytes.fromhex(repost.short)
    return _id(repost.time_ms, _REPOST | int.from_bytes(raw, "big"))


def parsed(id_: str) -> PostId | RepostId:
    """What an id names. Raises HttpRefusal."""
    if len(id_) != STATUS_DIGITS or not id_.isascii() or not id_.isdigit():
        raise gone()
    time_ms, number = int(id_[:TIME_DIGITS]) - FIRST, int(id_[TIME_DIGITS:])
    if not 0 <= time_ms < _TIMES or number >= 2 * _REPOST:
        raise gone()
    raw = (number % _REPOST).to_bytes(_POST_BYTES, "big")
    account, rest = AccountId(raw[:-SHORT_BYTES]), raw[-SHORT_BYTES:]
    if number >= _REPOST:
        return RepostId(account_to_text(account), time_ms, rest.hex())
    return PostId(post_to_text(Target(account, CellKey(rest))), time_ms)


def _id(time_ms: int, number: int) -> str:
    return f"{time_ms + FIRST:0{TIME_DIGITS}d}{number:0{REST_DIGITS}d}"


def _bytes(digits: str, count: int, size: int) -> bytes:
    if not count - LOST_ZEROS <= len(digits) <= count or not digits.isascii() or not digits.isdigit():
        raise gone()
    try:
        return int(digits).to_bytes(size, "big")
    except (OverflowError, BanyanError):
        raise gone() from None


# Ids of notifications: the place of one among all that an account hears of, as a number of 20 digits, newer ones
# greater. Another node has other ids, because a place says in which order things arrived.

DIGITS, PLACE_BYTES = 20, 8
LARGEST = (1 << (8 * PLACE_BYTES)) - 1


def notice_id(place: str) -> str:
    """place: as the node answers it."""
    return f"{int(place, 16):0{DIGITS}d}"


def place_of(id_: str) -> str:
    """The inverse; zeros at the beginning may be missing. Raises HttpRefusal."""
    if not 0 < len(id_) <= DIGITS or not id_.isascii() or not id_.isdigit() or int(id_) > LARGEST:
        raise gone()
    return int(id_).to_bytes(PLACE_BYTES, "big").hex()
