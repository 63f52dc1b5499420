"""A profile: a few fields with any names, each a register of its own.

| op | cell | content |
|---|---|---|
| put | field | [field, value] |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import Ref
from banyan_crdt.ops import Put

from ..collection import Collection, Draft, Fact, Facts, cell_key
from ..fields import normal, text
from ..layout import Layout
from .handle import HANDLE_FIELD, handle_key, is_handle

MAX_FIELD = 64
MAX_VALUE = 4_096
"""The most bytes of UTF-8 of a field's name and of its value."""


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One field of a profile, such as `name` or `bio`."""

    field: str
    value: str


LOCKED, LOCKED_VALUE = "locked", "yes"
"""The field by which an account says that follows want an accept, and its value then; any other says nothing."""


def _seed(time: bytes, values: list[Any]) -> bytes:
    """Empty; or 1 byte if it says that the account is locked; or the handle that it claims, behind its length."""
    field, value = values[:2]
    if field == HANDLE_FIELD:
        return handle_key(value) if is_handle(value) else b""
    return b"l" if (field, value) == (LOCKED, LOCKED_VALUE) else b""


def _facts(seed: bytes) -> Facts:
    if not seed:
        return ()
    return (Fact("locked", seed),) if seed == b"l" else (Fact("handle_claims", seed),)


LAYOUT = Layout(
    ProfileField,
    lambda said: (said.field, said.value),
    (text("a profile field's name", MAX_FIELD), text("a profile field", MAX_VALUE)),
)
COLLECTION = Collection(
    "profile",
    "register",
    LAYOUT,
    limits={"field": MAX_FIELD, "value": MAX_VALUE},
    seed=_seed,
    seeds=2,
    kinds=frozenset({"locked", "handle_claims"}),
    facts=_facts,
)
"""It tells views only that an account is locked, and which handle it claims: a profile is read from its slots."""
PROFILE = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def set_profile(salt: bytes, field: str, value: str, replaces: Iterable[Ref] = ()) -> Draft:
    """Sets one field. `salt`: the account's, 32 bytes. `replaces`: the live writes of that field. Raises ValueError
    past a limit."""
    name = normal("a profile field's name", field, MAX_FIELD)
    normal(f"the profile field '{field}'", value, MAX_VALUE)  # its error names the field
    op = Put(PROFILE, cell_key(salt, b"profile", name), tuple(replaces), None)
    return Draft(op, LAYOUT.encode(ProfileField(field, value)))
