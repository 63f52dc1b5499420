"""Ids as people type them: any beginning that fits one thing only, some of a post's last digits, an account's name.

What a command shows is noted in the home, so that the next one can be `banyan reply 3fa81b02 "..."` or `banyan follow
"Minh Anh"`. Ids that were not shown are looked up at the node. A short form that fits two things is refused, with the
candidates. The note is a convenience for people: nothing else reads it, and it can be lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from banyan_cli.errors import BadInput
from banyan_node.home.folder import Home, write_private


class Caller(Protocol):
    """What a command is given: its home, and who answers its calls."""

    home: Home

    def call(self, method: str, **params: Any) -> Any: ...


SHORT = 8
"""Digits of a post's key that are shown: the last ones, because the first are the time, which is similar in posts of
the same time."""
SHORT_BLOB = 12
"""Digits of a blob that are shown."""
KEY = 32
"""Digits of a post's key."""
LEAST = 4
"""Digits that a short form of a post has at least."""
WHOLE = 54
"""Characters of an account's id at least."""
FEW = 4
"""Candidates that a sentence names."""
TITLED = ("groups", "events", "channels", "episodes", "playlists")
"""What has a title beside an address."""
_MOST = 2000
_HEX = frozenset("0123456789abcdef")


def short(uri: str) -> str:
    """How a post is shown."""
    return uri.rpartition("/")[2][-SHORT:]


def note(home: Home, **shown: Iterable[dict[str, Any]]) -> None:
    """Note rows of answers as shown, by their kind: `posts` with who wrote them, `accounts`, or one of TITLED. The
    latest are kept. Never fails a command."""
    noted = _read(home)
    for kind, rows in shown.items():
        for row in rows:
            if kind != "accounts":
                noted[kind].pop(row["uri"], None)
                noted[kind][row["uri"]] = 1 if kind == "posts" else row.get("title", row.get("name"))
            if kind in ("accounts", "posts") and row.get("name") and "account" in row:
                noted["accounts"].pop(row["account"], None)
                noted["accounts"][row["account"]] = row["name"]
    latest = {kind: dict(list(table.items())[-_MOST:]) for kind, table in noted.items()}
    try:
        write_private(_path(home), json.dumps(latest, ensure_ascii=False).encode())
    except OSError:
        return


def post(s: Caller, text: str) -> str:
    """The uri that a person means: by its last or first digits, the first of those shown, or ACCOUNT/DIGITS. Raises
    BadInput."""
    who, slash, digits = text.strip().rstrip("…").rpartition("/")
    digits = digits.lower()
    if slash and who.startswith("did:") and len(digits) == KEY:
        return f"{who}/{digits}"
    if len(digits) < LEAST or not set(digits) <= _HEX:
        raise BadInput(
            f"'{text}' is no post; give its address, or the last {SHORT} digits as `banyan feed` shows them."
        )
    if slash:
        page = s.call("feed", account=account(s, who), limit=1_000)
        known = [row["uri"] for row in page["posts"]]
    else:
        known = list(_read(s.home)["posts"])
        if not fitting(known, digits):
            known = [row["uri"] for row in s.call("feed", all=True, limit=1_000)["posts"]]
    found = fitting(known, digits)
    if len(found) != 1:
        why = "no post held here has it" if not found else f"it fits {listed(found)}"
        raise BadInput(f"'{text}' is not clear: {why}; give more digits, or the address that `feed --json` prints.")
    return found[0]


def fitting(uris: Iterable[str], digits: str) -> list[str]:
    """Posts or groups whose key ends so; where none does, those whose key, or what is shown of it, begins so."""
    keys = [(uri, uri.rpartition("/")[2]) for uri in uris]
    ends = [uri for uri, key in keys if key.endswith(digits)]
    return ends or [uri for uri, key in keys if key.startswith(digits) or key[-SHORT:].startswith(digits)]


def acting(s: Caller, by: str | None) -> str | None:
    """The account of `--as`; None: the one of this node, which the node knows."""
    return None if by is None else account(s, by)


def account(s: Caller, text: str) -> str:
    """The account that a person means: an id, its beginning or a name. BadInput where it fits none or several."""
    wanted = text.strip().removeprefix("@").rstrip("…")
    if wanted.startswith("did:") and len(wanted) >= WHOLE:
        return wanted
    if "@" in wanted:
        return _with_handle(s, wanted)
    found = [(account, name) for account, name in _read(s.home)["accounts"].items() if name == wanted]
    if not found and wanted:
        rows = s.call("find", text=wanted)["accounts"]
        found = [(row["account"], row["name"]) for row in rows]
    if len(found) > 1:
        raise BadInput(f"'{text}' fits {listed([_named(*each) for each in found])}; give the one you mean.")
    if not found:
        raise BadInput(
            f"'{text}' is no account that is held here: no name and no beginning of an id fits. Give the whole id, "
            "did:banyan:z..., which `banyan id` shows on the node of its owner."
        )
    return found[0][0]


def _with_handle(s: Caller, handle: str) -> str:
    """The account of a handle that a platform confirms."""
    rows = s.call("handle.find", handle=handle)["accounts"]
    found = [row for row in rows if row["platforms"]]
    if len(found) == 1:
        return str(found[0]["account"])
    if found:
        raise BadInput(
            f"'{handle}' fits {listed([_named(r['account'], r['name']) for r in found])}; give the one you mean."
        )
    claimed = (
        f"{listed([_named(r['account'], r['name']) for r in rows])} only claims it" if rows else "nobody claims it"
    )
    raise BadInput(f"No platform that is held here confirms '{handle}': {claimed}. Give the whole id of the account.")


def _named(account: str, name: str) -> str:
    return f"{name} ({account})" if name else account


def one_of(what: str, text: str, known: Sequence[str], source: str) -> str:
    """The only one of `known` that begins with `text`, or ends with it. what, source: for the sentence. BadInput."""
    wanted = text.strip().rstrip("…")
    folded = wanted.lower() if set(wanted.lower()) <= _HEX else wanted
    begins = [each for each in known if each.startswith((wanted, folded))] if wanted else []
    found = begins or ([each for each in known if each.endswith((wanted, folded))] if wanted else [])
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"'{text}' fits {listed(found)}; give more of the {what} you mean.")
    some = f"there {'is' if len(known) == 1 else 'are'} {listed(known)}" if known else "there is none"
    raise BadInput(f"'{text}' is no {what} here: {some}; {source} lists them.")


def own_list(s: Caller, which: str, by: str | None) -> str:
    """The id of a list of the reader, by title or id. Raises BadInput."""
    rows = s.call("lists", by=by)["lists"]
    found = [one["id"][:SHORT] for one in rows if one["title"] == which]
    if len(found) > 1:
        raise BadInput(f"'{which}' is the title of {len(found)} lists: give one of {listed(found)}.")
    return _of_mine("list", which, rows, "title")


def own_filter(s: Caller, which: str, by: str | None) -> str:
    """The id of a filter of the reader, by its words or id. Raises BadInput."""
    return _of_mine("filter", which, s.call("filters", by=by)["filters"], "words")


def _of_mine(what: str, which: str, rows: list[dict[str, Any]], field: str) -> str:
    found = [str(row["id"]) for row in rows if row[field] == which]
    return found[0] if len(found) == 1 else one_of(what, which, [row["id"] for row in rows], f"`banyan {what} ls`")


def listed(candidates: Sequence[str]) -> str:
    """`a, b and c`; if there are many, the first few."""
    shown, more = list(candidates[:FEW]), len(candidates) - FEW
    if more > 0:
        shown.append(f"{more} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def shown_posts(home: Home) -> list[str]:
    """Short forms of the posts shown lately, the latest first."""
    return [short(uri) for uri in reversed(_read(home)["posts"])]


def shown_accounts(home: Home) -> dict[str, str]:
    """Accounts shown lately with their names, the latest first."""
    return dict(reversed(_read(home)["accounts"].items()))


_LISTED: dict[str, tuple[str, str, int, tuple[dict[str, Any], ...]]] = {
    "group": ("`banyan group ls`", "groups", 1_000, ({},)),
    "event": ("`banyan event ls`", "event.list", 200, ({}, {"answered": True})),
    "channel": ("`banyan channel ls`", "channel.list", 200, ({}, {"subscribed": True})),
    "playlist": ("`banyan playlist ls`", "playlist.list", 200, ({},)),
    "episode": ("`banyan channel show`", "", 0, ()),
}
"""Of what has a title: the command that shows addresses, and the calls that list those of the reader."""


def _titled(what: str) -> Callable[[Caller, str, str | None], str]:
    source, method, limit, calls = _LISTED[what]

    def address(s: Caller, text: str, by: str | None) -> str:
        """The address of the one that a person means: an address, the title of one, or its digits, of those that were
        shown and those of the reader. Raises BadInput."""
        wanted = text.strip()
        if wanted.startswith("did:") and "/" in wanted:
            return wanted
        known = _read(s.home)[f"{what}s"]
        for given in calls:
            rows = s.call(method, by=by, limit=limit, **given)[f"{what}s"]
            known |= {row["uri"]: row.get("title", row.get("name")) for row in rows}
        found = [uri for uri, title in known.items() if str(title) == wanted] or fitting(
            known, wanted.rstrip("…").lower()
        )
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(f"'{text}' fits {listed(found)}; give the address of the one you mean.")
        raise BadInput(
            f"'{text}' is no {what} of yours or shown lately; give its address, as {source} --json shows it."
        )

    return address


group, event, channel, playlist, episode = map(_titled, ("group", "event", "channel", "playlist", "episode"))


def _path(home: Home) -> Any:
    return home.path / "shown.json"


def _read(home: Home) -> dict[str, dict[str, Any]]:
    empty: dict[str, dict[str, Any]] = {kind: {} for kind in ("posts", "accounts", *TITLED)}
    try:
        note = json.loads(_path(home).read_text("utf-8"))
        return {kind: dict(note.get(kind, {})) for kind in empty}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return empty
