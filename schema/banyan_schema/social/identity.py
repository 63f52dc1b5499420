"""Who an account is, as others confirm it: handles under the domain of a platform, official channels, and moves.

A handle is a name that the account claims in its profile and the platform confirms:

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the handle | [handle, account] |

The collection has what a platform says. What an account claims is the field `handle` of its profile, and the domain
that a platform claims is the field `domain` of its own. docs/social.md has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import AccountId, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.fields import ACCOUNT, formed, text
from banyan_schema.layout import Layout
from banyan_schema.notices import names, told_by

MAX_HANDLE = 200
"""The most bytes of a handle: 64 of the name at most, and a domain."""
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})+")
FORM = re.compile(rf"[a-z0-9]([a-z0-9._-]{{0,62}}[a-z0-9])?@{DOMAIN.pattern}")
"""Small letters of ASCII only, so that two handles that look alike are one. A domain with other letters is written in
its `xn--` form."""
HANDLE_FIELD, DOMAIN_FIELD = "handle", "domain"


@dataclass(frozen=True, slots=True)
class HandleConfirmation:
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


def _handle_seed(time: bytes, values: list[Any]) -> bytes:
    """The handle behind its length, and the account, 32 bytes."""
    return handle_key(values[0]) + bytes(values[1])


HANDLE_COLLECTION = Collection(
    "handle",
    "set",
    Layout(
        HandleConfirmation,
        lambda said: (said.handle, said.account),
        (formed("a handle", MAX_HANDLE, FORM, "lan@vn.example"), ACCOUNT),
    ),
    seed=_handle_seed,
    kinds=frozenset({"handles", "handles_said", "notices"}),
    facts=lambda seed: (Fact("handles", seed), Fact("handles_said", seed), *names(seed[-32:])),
)
HANDLE = HANDLE_COLLECTION.id


def confirm_handle(salt: bytes, said: HandleConfirmation) -> OpDraft:
    """Confirms a handle; another account for the same handle is the same element. `salt`: the platform's account's, 32
    bytes. Take it back with `undo`."""
    name = b"handle"
    op = Add(HANDLE, cell_key(salt, name), cell_key(salt, name, said.handle.encode()), None)
    return OpDraft(op, HANDLE_COLLECTION.encode(said))


# Official channels: a platform says that an account is the voice of an office, a service or a paper.
#
# | op | cell | element | content |
# |---|---|---|---|
# | add | one for the account | the other account | [account, title] |
#
# Urgent posts of such an account are told to those who follow it. docs/social.md has the rules.

MAX_TITLE = 256
"""The most bytes of UTF-8 of what the account is the voice of."""


@dataclass(frozen=True, slots=True)
class Official:
    """The account that says it, a platform, verified that `account` speaks for what `title` names."""

    account: AccountId
    title: str


def _official_seed(time: bytes, values: list[Any]) -> bytes:
    """The account, 32 bytes."""
    return bytes(values[0])


OFFICIAL_COLLECTION = Collection(
    "official",
    "set",
    Layout(
        Official,
        lambda said: (said.account, said.title),
        (ACCOUNT, text("the title of an official channel", MAX_TITLE)),
    ),
    limits={"title": MAX_TITLE},
    seed=_official_seed,
    kinds=frozenset({"officials", "notices"}),
    facts=lambda seed: (Fact("officials", seed), *names(seed)),
)
OFFICIAL = OFFICIAL_COLLECTION.id
OFFICIAL_COLLECTIONS = (OFFICIAL_COLLECTION,)


def attest(salt: bytes, said: Official) -> OpDraft:
    """Says that an account is official; another title is the same element. `salt`: the platform's account's, 32 bytes.
    Take it back with `undo`."""
    name = b"official"
    op = Add(OFFICIAL, cell_key(salt, name), cell_key(salt, name, said.account), None)
    return OpDraft(op, OFFICIAL_COLLECTION.encode(said))


# Moves: an account says that it moved to another one, and that one says that it also was the first.
#
# | collection | op | cell | element | content |
# |---|---|---|---|---|
# | moved.to | put | one for the account | | [account] |
# | moved.from | add | one for the account | the other account | [account] |
#
# Both must agree. docs/social.md has the rules.


@dataclass(frozen=True, slots=True)
class MovedTo:
    """The account that says it goes on as `account`."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class MovedFrom:
    """The account that says it also was `account`."""

    account: AccountId


def _moved_seed(time: bytes, values: list[Any]) -> bytes:
    """The other account, 32 bytes."""
    return bytes(values[0])


def _to(seed: bytes) -> Facts:
    return Fact("moved_to", seed), told_by("move"), *names(seed)


_TO = Collection(
    "moved.to",
    "register",
    Layout(MovedTo, lambda said: (said.account,), (ACCOUNT,)),
    seed=_moved_seed,
    kinds=frozenset({"moved_to", "broadcasts", "notices"}),
    facts=_to,
)
_FROM = Collection(
    "moved.from",
    "set",
    Layout(MovedFrom, lambda said: (said.account,), (ACCOUNT,)),
    seed=_moved_seed,
    kinds=frozenset({"moved_from", "notices"}),
    facts=lambda seed: (Fact("moved_from", seed), *names(seed)),
)
MOVE_COLLECTIONS = (_TO, _FROM)
MOVED_TO, MOVED_FROM = (collection.id for collection in MOVE_COLLECTIONS)


def move_to(salt: bytes, account: AccountId, replaces: Iterable[Ref] = ()) -> OpDraft:
    """Says that the account goes on as another one. `salt`: the account's, 32 bytes. `replaces`: the live writes. Take
    it back with `undo`."""
    return OpDraft(Put(MOVED_TO, cell_key(salt, b"moved.to"), tuple(replaces), None), _TO.encode(MovedTo(account)))


def moved_from(salt: bytes, account: AccountId) -> OpDraft:
    """Says that the account also was another one. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"moved.from"
    op = Add(MOVED_FROM, cell_key(salt, name), cell_key(salt, name, account), None)
    return OpDraft(op, _FROM.encode(MovedFrom(account)))


COLLECTIONS = (HANDLE_COLLECTION, *OFFICIAL_COLLECTIONS, *MOVE_COLLECTIONS)
