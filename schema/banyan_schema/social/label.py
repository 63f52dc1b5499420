"""Labels: what an account says of a post, or of another account, so that who trusts it may warn or hide. The words that
it uses are defined; whoever is labelled may appeal to it.

| collection | op | cell | element | content |
|---|---|---|---|---|
| label | add | one for the account | what is labelled and the name | [account, key, name, reason, until ms] |
| label.name | add | one for the account | the name | [name, severity, title, about] |
| label.appeal | add | one for the account | issuer, what, name | [issuer, account, key, name, text] |

A label ends when its issuer takes it back, or at `until` (0: never). A key of zeros: the account itself is labelled.
A label is one account's opinion: it changes nothing at nodes and for readers that did not choose its issuer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Add
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.fields import ACCOUNT, KEY, choice, formed, number, text
from banyan_schema.layout import Layout
from banyan_schema.notices import notice

MAX_NAME, MAX_REASON, MAX_LABEL_TITLE, MAX_ABOUT, MAX_APPEAL = 64, 1_000, 200, 4_000, 4_000
"""The most bytes of UTF-8."""
Severity = Literal["note", "warn", "hide"]
"""What the issuer means a reader to do: nothing; to be warned; not to be shown it."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
ALLOW = "allow"
"""The name of a label that wins over all labels of other issuers, where its issuer was chosen for that."""
_NAME = formed("the name of a label", MAX_NAME, re.compile(r"[a-z0-9][a-z0-9-]*"), "spam or violent-image")
_WHOLE = CellKey(bytes(16))


def whole(account: AccountId) -> Target:
    """The account itself, where a post could be named."""
    return Target(account, _WHOLE)


def is_whole(about: Target) -> bool:
    """Whether an account is meant, and no post."""
    return about.key == _WHOLE


@dataclass(frozen=True, slots=True)
class Label:
    """until_ms: when it ends, milliseconds since 1970; 0: it does not."""

    about: Target
    name: str
    reason: str = ""
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class LabelName:
    """What an account means by a name."""

    name: str
    severity: Severity
    title: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class LabelAppeal:
    """Whoever is labelled says why that is wrong."""

    issuer: AccountId
    about: Target
    name: str
    text: str


def _label_seed(time: bytes, values: list[Any]) -> bytes:
    """What is labelled, 48 bytes."""
    return bytes(values[0] + values[1])


def _appeal_seed(time: bytes, values: list[Any]) -> bytes:
    """The issuer, 32 bytes."""
    return bytes(values[0])


def _label_facts(seed: bytes) -> Facts:
    return Fact("labels", seed), notice("label", seed)


def _appeal_facts(seed: bytes) -> Facts:
    return Fact("label_appeals", seed), notice("label_appeal", seed)


LABEL_COLLECTION = Collection(
    "label",
    "set",
    Layout(
        lambda account, key, name, reason, until_ms: Label(Target(account, key), name, reason, until_ms),
        lambda said: (*said.about, said.name, said.reason, said.until_ms),
        (ACCOUNT, KEY, _NAME, text("a reason", MAX_REASON), number("a time")),
    ),
    limits={"name": MAX_NAME, "reason": MAX_REASON},
    seed=_label_seed,
    kinds=frozenset({"labels", "notices"}),
    facts=_label_facts,
)
NAME_COLLECTION = Collection(
    "label.name",
    "set",
    Layout(
        LabelName,
        lambda said: (said.name, said.severity, said.title, said.about),
        (
            _NAME,
            choice("the severity of a label", *SEVERITIES),
            text("a title", MAX_LABEL_TITLE),
            text("what is meant", MAX_ABOUT),
        ),
    ),
    limits={"name": MAX_NAME, "title": MAX_LABEL_TITLE, "about": MAX_ABOUT},
)
APPEAL_COLLECTION = Collection(
    "label.appeal",
    "set",
    Layout(
        lambda issuer, account, key, name, text: LabelAppeal(issuer, Target(account, key), name, text),
        lambda said: (said.issuer, *said.about, said.name, said.text),
        (ACCOUNT, ACCOUNT, KEY, _NAME, text("an appeal", MAX_APPEAL)),
    ),
    limits={"name": MAX_NAME, "text": MAX_APPEAL},
    seed=_appeal_seed,
    kinds=frozenset({"label_appeals", "notices"}),
    facts=_appeal_facts,
)
COLLECTIONS = (LABEL_COLLECTION, NAME_COLLECTION, APPEAL_COLLECTION)


def _said(of: Collection[Any], salt: bytes, said: Any, *named: bytes) -> OpDraft:
    name = of.name.encode()
    return OpDraft(Add(of.id, cell_key(salt, name), cell_key(salt, name, *named), None), of.encode(said))


def label(salt: bytes, said: Label) -> OpDraft:
    """Labels; the same name again is the same element. `salt`: the account's, 32 bytes. Take it back with `undo`.
    Raises ValueError past a limit, as the next ones."""
    return _said(LABEL_COLLECTION, salt, said, *said.about, said.name.encode())


def define(salt: bytes, said: LabelName) -> OpDraft:
    """Says what a name means."""
    return _said(NAME_COLLECTION, salt, said, said.name.encode())


def appeal(salt: bytes, said: LabelAppeal) -> OpDraft:
    """Appeals to the issuer of a label."""
    return _said(APPEAL_COLLECTION, salt, said, said.issuer, *said.about, said.name.encode())
