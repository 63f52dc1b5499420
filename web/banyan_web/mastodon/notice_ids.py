"""Ids of notifications: the place of one among all that an account hears of, as a number of 20 digits, newer ones
greater. Another node has other ids, because a place says in which order things arrived."""

from __future__ import annotations

from banyan_web.refusals import Refused

DIGITS, PLACE_BYTES = 20, 8
LARGEST = (1 << (8 * PLACE_BYTES)) - 1


def notice_id(place: str) -> str:
    """place: as the node answers it."""
    return f"{int(place, 16):0{DIGITS}d}"


def place_of(id_: str) -> str:
    """The inverse; zeros at the beginning may be missing. Raises Refused."""
    if not 0 < len(id_) <= DIGITS or not id_.isascii() or not id_.isdigit() or int(id_) > LARGEST:
        raise Refused(404, "Record not found")
    return int(id_).to_bytes(PLACE_BYTES, "big").hex()
