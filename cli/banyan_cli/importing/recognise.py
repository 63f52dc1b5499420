"""Tells whose archive a file is, so that a person who took the wrong command is told the right one."""

from __future__ import annotations

import re

from banyan_cli.errors import BadInput
from banyan_cli.importing.archives import PACKED, Archive

_SIGNS: dict[str, str] = {
    "mastodon": r"(^|/)(outbox|actor)\.json$",
    "twitter": r"(^|/)(tweets?|note-tweet|follow(er|ing)|account)(-part\d+)?\.js$",
    "facebook": r"(^|/)(your_facebook_activity|posts/your_posts|profile_information/|comments_and_reactions/|friends/)",
    "youtube": r"(^|/)(YouTube[^/]*/|subscriptions/|subscriptions\.csv$|playlists?/|watch-history\.)",
}
_HTML = re.compile(r"(^|/)(start_here|index|your_posts[^/]*)\.html$")


def service_of(names: frozenset[str]) -> str | None:
    """The command that reads such files, or None."""
    for service, sign in _SIGNS.items():
        found = re.compile(sign)
        if any(found.search(name) for name in names):
            return service
    return None


def packed_in(archive: Archive) -> BadInput | None:
    """The refusal of an archive whose files are archives."""
    packed = sorted(name for name in archive.names if name.lower().endswith(PACKED))
    if not packed:
        return None
    more = f" and {len(packed) - 1:,} more" if packed[1:] else ""
    return BadInput(f"{archive.label} holds another archive, {packed[0]}{more}: unpack it, then import what was in it.")


def no_such_files(archive: Archive, service: str, expected: str) -> BadInput:
    """The refusal of an archive that has nothing of this service."""
    other = service_of(archive.names)
    if other is not None and other != service:
        return BadInput(f"{archive.label} is an archive of {other.capitalize()}: use `banyan import {other}`.")
    if service == "facebook" and any(_HTML.search(name) for name in archive.names):
        return BadInput(f"{archive.label} has web pages; ask Facebook for your information again, as JSON.")
    if packed := packed_in(archive):
        return packed
    some = ", ".join(sorted(archive.names)[:3])
    return BadInput(f"{archive.label} is no archive of {service.capitalize()}: expected {expected}; it has {some}.")
