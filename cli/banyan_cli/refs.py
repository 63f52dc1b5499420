"""Short names for what was shown: the last hexadecimal digits of a post, the name of an account.

What a command shows is noted in the home, so that the next one may say `banyan reply 3fa81b02 "..."` or `banyan follow
"Minh Anh"`. A short name that fits two things is refused, with both. It is a convenience for people: nothing else reads
the note, and losing it loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from banyan_cli.errors import BadInput
from banyan_node.home import Home, write_private

SHORT = 8
"""Digits of a post's key that are shown: the last, for the first are the time, and alike in what came together."""
_MOST = 2000
_HEX = frozenset("0123456789abcdef")


def short(uri: str) -> str:
    """How a post is shown."""
    return uri.rpartition("/")[2][-SHORT:]


def remember(home: Home, posts: Iterable[str] = (), accounts: Iterable[tuple[str, str]] = ()) -> None:
    """Note posts (uris) and accounts (id, name) as shown; the latest are kept. Never fails a command."""
    note = _read(home)
    for uri in posts:
        note["posts"].pop(uri, None)
        note["posts"][uri] = 1
    for account, name in accounts:
        if name:
            note["accounts"].pop(account, None)
            note["accounts"][account] = name
    latest = {kind: dict(list(table.items())[-_MOST:]) for kind, table in note.items()}
    try:
        write_private(_path(home), json.dumps(latest, ensure_ascii=False).encode())
    except OSError:
        return


def remember_rows(home: Home, rows: Iterable[dict[str, Any]]) -> None:
    """Note posts and their authors, as `feed` and `thread` answer them."""
    listed = list(rows)
    remember(home, (r["uri"] for r in listed), ((r["account"], r["name"]) for r in listed))


def post(home: Home, text: str) -> str:
    """The uri that a person means. Raises BadInput."""
    if "/" in text:
        return text
    digits = text.lower()
    if len(digits) < 4 or not set(digits) <= _HEX:
        raise BadInput(
            f"'{text}' is no post; give its address, or the last {SHORT} digits as `banyan feed` shows them."
        )
    found = [uri for uri in _read(home)["posts"] if uri.rpartition("/")[2].endswith(digits)]
    if len(found) != 1:
        why = "none of the posts shown lately ends with it" if not found else f"it fits {' and '.join(found[:3])}"
        raise BadInput(f"'{text}' is not clear: {why}; give the whole address, which `banyan feed --json` prints.")
    return found[0]


def account(home: Home, text: str) -> str:
    """The account that a person means: an id, or a name shown lately, else what was typed (the node may know it)."""
    if text.startswith("did:"):
        return text
    wanted = text.removeprefix("@")
    found = [account for account, name in _read(home)["accounts"].items() if name == wanted]
    if len(found) > 1:
        raise BadInput(f"{len(found)} accounts are called '{wanted}': {', '.join(found[:4])}; give the one you mean.")
    return found[0] if found else wanted


def _path(home: Home) -> Any:
    return home.path / "shown.json"


def _read(home: Home) -> dict[str, dict[str, Any]]:
    empty: dict[str, dict[str, Any]] = {"posts": {}, "accounts": {}}
    try:
        note = json.loads(_path(home).read_text("utf-8"))
        return {kind: dict(note[kind]) for kind in empty}
    except (OSError, ValueError, KeyError, TypeError):
        return empty
