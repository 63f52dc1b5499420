"""Finds accounts by the start of their id, or by the name they are hosted under.

An account's text is base58 of its 32 bytes, most significant first. So all ids with the same start and length are one
range of bytes, and only the first few accounts of each range are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import MOST_LETTERS, AccountId, base58
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.reading import Named, name_of
from banyan_node.api.texts import did
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries

METHODS = Declared()
PREFIX = "did:banyan:z"
MOST = 10
"""The most candidates in an answer."""
LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LENGTHS = (MOST_LETTERS, MOST_LETTERS - 1)
"""Letters of nearly every id; one in 58^2 is shorter and must be given in full."""


class FindRequest(Request, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(title="the beginning of an account's id", description="With or without did:banyan:z.")]


class FoundAccounts(Response, frozen=True):
    accounts: list[Named]


@METHODS.read("find", slow=True)
def find(at: CommitView, ask: FindRequest) -> FoundAccounts:
    """The account hosted under exactly this name. If there is none, up to 10 accounts whose id starts so, in order."""
    q, text = at.queries(), ask.text.strip().rstrip("…")
    if not text:
        raise CallError("bad_request", "find needs 'text', the beginning of an account's id; it got nothing.")
    named = hosted.named(at, text)
    found = [named] if named is not None else list(islice(accounts(q, text), MOST))
    return FoundAccounts([Named(did(a), name_of(q, a)) for a in found])


def accounts(q: Queries, text: str) -> Iterator[AccountId]:
    """Held accounts whose id starts with `text`, which may be given without `did:banyan:z` or with only the z."""
    bodies = {text.removeprefix(PREFIX)} if text.startswith("did:") else {text, text.removeprefix("z")}
    seen: set[AccountId] = set()
    for body in sorted(bodies, key=len):
        for account in _beginning(q, body):
            if account not in seen:
                seen.add(account)
                yield account


def _beginning(q: Queries, body: str) -> Iterator[AccountId]:
    if not body or len(body) > MOST_LETTERS or any(c not in LETTERS for c in body):
        return
    value = 0
    for c in body:
        value = value * 58 + LETTERS.index(c)
    for length in _LENGTHS:
        if len(body) > length:
            continue
        step = 58 ** (length - len(body))
        first, stop = value * step, (value + 1) * step
        if first >= 1 << 256:
            continue
        start = AccountId(first.to_bytes(32, "big"))
        for account in q.reader.accounts(start):
            if int.from_bytes(account, "big") >= stop:
                break
            if base58(account).startswith(body):
                yield account
