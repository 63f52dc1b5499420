"""Handles: names under the domain of a platform, which the account claims in its profile and the platform confirms.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the handle | [handle, account] |

The collection has what a platform says. What an account claims is the field `handle` of its profile, and the domain
that a platform claims is the field `domain` of its own. docs/social.md has the rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add
from banyan_schema.collection import Collection, Draft, Fact, cell_key
from banyan_schema.fields import ACCOUNT, formed
from banyan_schema.layout import Layout
from banyan_schema.notices import names

MAX_HANDLE = 200
"""The most bytes of a handle: 64 of the name at most, and a domain."""
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})+")
FORM = re.compile(rf"[a-z0-9]([a-z0-9._-]{{0,62}}[a-z0-9])?@{DOMAIN.pattern}")
"""Small letters of ASCII only, so that two handles that look alike are one. A domain with other letters is written in
its `xn--` form."""
HANDLE_FIELD, DOMAIN_FIELD = "handle", "domain"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The account that says it, a platform, confirms that `handle` is `account`'s."""

    handle: str
    account: AccountId


def domain_of(handle: str) -> str:
    """The domain under which a handle is."""
    return handle.partition("@")[2]


def is_domain(text: str) -> bool:
    """Whether a text is a domain under which handles can be."""
    return len(text) <= MAX_HANDLE - len("a@") and DOMAIN.fullmatch(text) is not None


def is_handle(text: str) -> bool:
    """Whether a text is a handle: of its form, and not too long."""
    return len(text) <= MAX_HANDLE and FORM.fullmatch(text) is not None


def handle_key(handle: str) -> bytes:
    """How rows name a handle: its length, 1 byte, and its bytes."""
    raw = handle.encode()
    return bytes((len(raw),)) + raw


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The handle behind its length, and the account, 32 bytes."""
    return handle_key(values[0]) + bytes(values[1])


COLLECTION = Collection(
    "handle",
    "set",
    Layout(
        Confirmed,
        lambda said: (said.handle, said.account),
        (formed("a handle", MAX_HANDLE, FORM, "lan@vn.example"), ACCOUNT),
    ),
    seed=_seed,
    kinds=frozenset({"handles", "handles_said", "notices"}),
    facts=lambda seed: (Fact("handles", seed), Fact("handles_said", seed), *names(seed[-32:])),
)
HANDLE = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def confirm_handle(salt: bytes, said: Confirmed) -> Draft:
    """Confirms a handle; another account for the same handle is the same element. `salt`: the platform's account's, 32
    bytes. Take it back with `undo`."""
    name = b"handle"
    op = Add(HANDLE, cell_key(salt, name), cell_key(salt, name, said.handle.encode()), None)
    return Draft(op, COLLECTION.encode(said))
