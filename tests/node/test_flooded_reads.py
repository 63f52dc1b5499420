"""However much strangers say about somebody's post, what its people read costs the same: rows that are read, counted.

FLOODS is the table of what may be said very often, `reads` that of what is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from tests.node.test_moderation import a_node
from tests.web.test_costs_of_strangers import Rows

FIRST, ALL = 210, 450
"""So many things of each kind are said before the first look, and before the second."""
FIRST_CROWD, CROWD = 30, 60
"""The same where each is said by another account."""
FACES = "😀😁😂😃😄😅😆😇😈😉😊😋😌😍😎😏😐😑😒😓😔😕😖😗😘😙"
NUMBERS = count()
Said = dict[str, Any]
BY_ONE: dict[str, Callable[[str, int], Said]] = {
    "replies": lambda uri, n: {"do": "reply", "uri": uri, "text": "x"},
    "quotes": lambda uri, n: {"do": "quote", "uri": uri, "text": "x"},
    "mentions": lambda uri, n: {"do": "post", "text": "x", "mentions": [uri.partition("/")[0]]},
    "emojis": lambda uri, n: {"do": "react", "uri": uri, "emoji": FACES[n // 26] + FACES[n % 26]},
    "tags": lambda uri, n: {"do": "post", "text": "x", "tags": [f"{n}t{k}" for k in range(8)]},
}
BY_MANY: dict[str, Said] = {
    "reactions": {"do": "react", "emoji": "❤"},
    "reposts": {"do": "repost"},
    "votes": {"do": "vote", "options": [0]},
}


def reads(uri: str) -> dict[str, Said]:
    an = uri.partition("/")[0]
    return {
        "post.get": {"uri": uri},
        "thread": {"uri": uri},
        "feed of quotes": {"quotes": uri},
        "feed of home": {"as": "an"},
        "feed of everybody": {"all": True},
        "feed of an account": {"account": an},
        "reactions": {"uri": uri},
        "reposts": {"uri": uri},
        "notifications": {"as": "an"},
        "followers": {"account": an},
        "profile.get": {"account": an},
    }


def _say(node: LocalBackend, said: list[Said]) -> None:
    for at in range(0, len(said), 1_000):
        some = [{"id": f"{next(NUMBERS)}", **one} for one in said[at : at + 1_000]]
        rows = node.call("bulk.write", operations=some)["rows"]
        assert [row for row in rows if row["state"] != "done"] == []


def _look(node: LocalBackend, rows: Rows, uri: str) -> dict[str, int]:
    found = {}
    node.call("post.get", uri=uri)  # what is kept of before is compared with what was touched since, once
    for name, params in reads(uri).items():
        before, limit = rows.read, {} if name in ("post.get", "profile.get") else {"limit": 20}
        node.call(name.partition(" ")[0], **params, **limit)
        found[name] = rows.read - before
    return found


def test_floods_make_no_page_dearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(monkeypatch)
    with a_node(tmp_path) as (node, who):
        poll = {"options": ["a", "b"], "choices": "one", "closes_ms": time.time_ns() // 1_000_000 + 3_600_000}
        uri = node.call("post", text="một", by="an", poll=poll)["uri"]
        looks, at, crowd = list[dict[str, int]](), 0, 0
        for to, members in ((FIRST, FIRST_CROWD), (ALL, CROWD)):
            _say(node, [{"do": "account.create", "name": f"s{n}", "hosted": True} for n in range(crowd, members)])
            said = [{"as": "bình", **make(uri, n)} for make in BY_ONE.values() for n in range(at, to)]
            said += [{"as": f"s{n}", "uri": uri, **one} for one in BY_MANY.values() for n in range(crowd, members)]
            said += [{"as": f"s{n}", "do": "follow", "account": who["an"]} for n in range(crowd, members)]
            _say(node, said)
            at, crowd = to, members
            looks.append(_look(node, rows, uri))
        dearer = {name: (looks[0][name], cost) for name, cost in looks[1].items() if cost > 1.2 * looks[0][name] + 20}
        assert not dearer
