"""The vectors of what people say together, read a second time: by HMAC, JSON and sets alone."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, account_to_text
from banyan_schema.registry import SOCIAL

V: dict[str, Any] = json.loads((Path(__file__).parent / "social.json").read_text())
WHATS = ("moderator", "accept", "refuse", "invite", "ban", "remove", "pin")
_ACCOUNT, _KEY = bytes.fromhex(V["group"]["account"]), bytes.fromhex(V["group"]["key"])


def cell_key(*parts: bytes) -> str:
    salt = bytes.fromhex(V["salt"])
    return hmac.digest(salt, b"banyan/1/cell\0" + encode(list(parts)), "sha256")[:16].hex()


@pytest.mark.parametrize("said", V["said"], ids=lambda said: str(said["name"]))
def test_content_is_read_and_written_again(said: dict[str, Any]) -> None:
    of = SOCIAL.by_name[said["collection"]]
    assert of.layout is not None
    fields = zip(of.layout.names, of.layout.fields, strict=True)
    values = [field.json.take(said["fields"][name]) if name in said["fields"] else None for name, field in fields]
    assert of.layout.encode(of.layout.make(*values)).hex() == said["content"]


def test_cells_are_named_as_the_page_says() -> None:
    by_name = {said["name"]: (said["key"], said["element"]) for said in V["said"]}
    here = (_ACCOUNT, _KEY)
    assert by_name["a join"] == (cell_key(b"group.join"), cell_key(b"group.join", *here))
    assert by_name["a join"] == by_name["a join that tells a moderator"]
    whom, post = _ACCOUNT, bytes.fromhex(by_name["a post in a group"][0])
    of_group = cell_key(b"group.act", *here)
    assert by_name["an invitation"] == (of_group, cell_key(b"group.act", *here, b"\3", whom, b""))
    assert by_name["a post removed"] == (of_group, cell_key(b"group.act", *here, b"\5", whom, post))
    there = (_ACCOUNT, post)
    assert by_name["an accepted follower"] == (cell_key(b"follow.answer"), cell_key(b"follow.answer", whom))
    assert by_name["a refused follower"] == by_name["an accepted follower"]
    assert by_name["where an account went"] == (cell_key(b"moved.to"), None)
    assert by_name["what an account was"] == (cell_key(b"moved.from"), cell_key(b"moved.from", whom))
    assert by_name["an official channel"] == (cell_key(b"official"), cell_key(b"official", whom))
    confirmed = cell_key(b"handle"), cell_key(b"handle", b"lan@vn.example")
    assert by_name["a handle that is confirmed"] == confirmed
    assert by_name["a handle that is claimed"] == (cell_key(b"profile", b"handle"), None)
    assert by_name["a profile that is locked"] == (cell_key(b"profile", b"locked"), None)
    assert by_name["an avatar"] == (cell_key(b"profile", b"avatar"), None)
    assert by_name["an avatar that was taken away"] == by_name["an avatar"]
    assert by_name["an answer"] == (cell_key(b"event.reply"), cell_key(b"event.reply", *there))
    invited = cell_key(b"event.invite", *there), cell_key(b"event.invite", *there, whom)
    assert by_name["an invitation to an event"] == invited
    assert by_name["a subscription"] == (cell_key(b"subscription"), cell_key(b"subscription", *here))
    assert by_name["a reaction"] == (cell_key(b"reaction", *there), cell_key(b"reaction", "🌳".encode()))
    assert by_name["a repost"] == (cell_key(b"repost"), cell_key(b"repost", *there))
    for name in ("follow", "block"):
        assert by_name[f"a {name}"] == (cell_key(name.encode()), cell_key(name.encode(), whom))
    assert V["group"]["digest"] == sha256(b"banyan/1/group\0" + _ACCOUNT + _KEY).digest()[:8].hex()


@pytest.mark.parametrize("history", V["groups"], ids=lambda history: str(history["kind"]))
def test_a_history_of_a_group_gives_its_members_its_requests_and_its_posts(history: dict[str, Any]) -> None:
    """The rules of docs/social.md over sets."""
    names = {ident: name for name, ident in ((n, _did(i)) for n, i in history["accounts"].items())}
    joins, acts, posts = set[str](), list[tuple[str, str, str]](), list[tuple[str, str]]()
    blocks, mine = set[str](), list[tuple[str, str, str]]()
    for step in history["said"]:
        by, fields = step["by"], step.get("fields", {})
        if "takes_back" in step:
            acts.remove(mine[-1])  # the owner's last act
        elif step["collection"] == "group.join":
            joins.add(by)
        elif step["collection"] == "group.act":
            named = fields.get("post") or names[fields["whom"]]
            acts.append((by, fields["what"], named))
            mine += [acts[-1]] if by == "owner" else []
        elif step["collection"] == "post":
            posts.append((step["key"], by))
        elif step["collection"] == "block":
            blocks.add(names[fields["account"]])
    rulers = {"owner"} | {named for by, what, named in acts if (by, what) == ("owner", "moderator")}
    counted: dict[str, set[str]] = {
        word: {named for by, what, named in acts if by in rulers and what == word} for word in WHATS
    }
    kind = history["kind"]
    admitted = joins if kind == "open" else counted["accept"] | counted["invite"] | rulers
    members = ((joins & admitted) - (counted["ban"] - rulers)) | {"owner"}
    assert sorted(rulers - {"owner"}) == history["moderators"]
    assert sorted(members) == history["members"]
    waiting = joins - members - counted["refuse"] - counted["ban"] - blocks if kind == "request" else set[str]()
    assert sorted(waiting) == history["requests"]
    shown = [by for key, by in posts if by in members - blocks and (by == "owner" or key not in counted["remove"])]
    assert sorted(shown) == history["shown_posts_of"]


def _did(account: str) -> str:
    return account_to_text(AccountId(bytes.fromhex(account)))
