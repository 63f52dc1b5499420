"""What a token may do, in the words of Mastodon and some of this node.

`read` allows all that begins with `read:`; `follow` is the old word for follows, blocks and mutes. Apps can ask a
person for what is of persons (`GRANTED`). `host`, `admin` and `firehose` are of the node: only `banyan token add` gives
them.
"""

from __future__ import annotations

from banyan_web.door_store import SCOPES
from banyan_web.refusals import HttpRefusal

_BOTH = ("accounts", "blocks", "bookmarks", "favourites", "filters", "follows", "lists", "mutes", "notifications")
READ = tuple(f"read:{part}" for part in (*_BOTH, "search", "statuses"))
WRITE = tuple(f"write:{part}" for part in (*_BOTH, "conversations", "media", "reports", "statuses"))
GRANTED = ("profile", "read", *READ, "write", *WRITE, "follow", "push")
"""What a person can allow an app."""
EVERY = (*GRANTED, *(scope for scope in SCOPES if scope not in GRANTED))


def scopes_in(text: str, allowed: tuple[str, ...] = GRANTED) -> tuple[str, ...]:
    """The scopes of a text, each once, separated by spaces. Raises HttpRefusal if one is not allowed."""
    found = tuple(dict.fromkeys(text.replace("+", " ").split()))
    for scope in found:
        if scope not in allowed:
            raise HttpRefusal(422, f"{scope[:40]!r} is no scope that can be given; those are {', '.join(allowed)}.")
    return found


def covers(given: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    """Whether who has `given` has all of `asked`."""
    return all(scope in given or scope.partition(":")[0] in given for scope in asked)
