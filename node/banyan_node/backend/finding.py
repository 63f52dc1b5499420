"""What a person means by the beginning of an id: the accounts held here that begin so, or the one hosted by that name.

An account's text is base58 of its 32 bytes, most significant first, so all ids with one beginning and one length are
one range of bytes: finding them costs a look at the first few of each range, however many accounts are held.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from banyan_crdt.ids import AccountId, account_to_text, base58
from banyan_node.backend import hosted
from banyan_node.backend.params import Params
from banyan_node.backend.social import name_of
from banyan_node.operator_errors import CallError
from banyan_storage.queries import Queries

PREFIX = "did:banyan:z"
MOST = 10
"""Candidates that are named."""
LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LENGTHS = (44, 43)
"""Letters of nearly every id; one in 58^2 is shorter and has to be given whole."""


class _Reading:
    def __init__(self, q: Queries) -> None:
        self._q, self.store = q, q.reader

    def queries(self) -> Queries:
        return self._q


def find(q: Queries, p: Params) -> Any:
    """The account hosted under exactly this name, alone; else those whose id begins so, at most MOST, in order."""
    text = p.text("text").strip().rstrip("…")
    if not text:
        raise CallError("bad_request", "find needs 'text', the beginning of an account's id; it got nothing.")
    named = hosted.named(_Reading(q), text)
    found = [named] if named is not None else list(islice(accounts(q, text), MOST))
    return {"accounts": [{"account": account_to_text(a), "name": name_of(q, a)} for a in found]}


def accounts(q: Queries, text: str) -> Iterator[AccountId]:
    """Accounts held whose id begins with `text`: with or without `did:banyan:z`, or with the z alone."""
    bodies = {text.removeprefix(PREFIX)} if text.startswith("did:") else {text, text.removeprefix("z")}
    seen: set[AccountId] = set()
    for body in sorted(bodies, key=len):
        for account in _beginning(q, body):
            if account not in seen:
                seen.add(account)
                yield account


def _beginning(q: Queries, body: str) -> Iterator[AccountId]:
    if not body or any(c not in LETTERS for c in body):
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


READS = {"find": find}
