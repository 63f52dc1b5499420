"""Labels of an account or a post, by issuer; what an issuer means by a name; and who appeals to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.social.label import (
    APPEAL_COLLECTION,
    LABEL_COLLECTION,
    NAME_COLLECTION,
    Label,
    LabelAppeal,
    LabelName,
    Severity,
    whole,
)
from banyan_storage.slots import ELEMENT, ms_of, time_at
from banyan_storage.views.social.labels import APPEAL, LABEL_APPEALS, LABELLED, LABELS, VIEW

if TYPE_CHECKING:
    from banyan_reading.queries import Queries

LOOKED = 200
"""So many labels of one thing, or appeals, are looked at: anybody can give any number."""


class SaidLabel(NamedTuple):
    """A label and who gave it. element: names it among those of its issuer. ms: when it was given."""

    issuer: AccountId
    element: CellKey
    ms: int
    label: Label


class SaidAppeal(NamedTuple):
    """Who appeals, and when."""

    who: AccountId
    ms: int
    appeal: LabelAppeal


def given_by(q: Queries, issuer: AccountId) -> Iterator[SaidLabel]:
    """All labels of an issuer."""
    for one in q.items(issuer, LABEL_COLLECTION):
        assert one.elem is not None
        assert LABEL_COLLECTION.layout is not None
        yield SaidLabel(issuer, one.elem, one.time_ms, LABEL_COLLECTION.layout.make(*one.values))


def of(q: Queries, post: Target, issuers: Iterable[AccountId] | None = None) -> list[SaidLabel]:
    """The labels of a post and of its author (key of zeros: of the account alone), by these issuers; None: by any."""
    q.need(VIEW.name)
    abouts = dict.fromkeys([post.raw, whole(post.account).raw])
    numbers = [b""] if issuers is None else q.numbers(issuers).values()
    found = list[SaidLabel]()
    for begin in [about + number for about in abouts for number in numbers]:
        for key, place in islice(q.reader.txn.prefix(LABELS, begin), LOOKED):
            row = LABELLED.unpack(key)
            said = q.contents(LABEL_COLLECTION.id + ELEMENT, [place]).get(place)
            if isinstance(said, Label):
                found.append(SaidLabel(q.account(row[1]), CellKey(row[3]), ms_of(time_at(q.reader, place)), said))
    return found


def names_of(q: Queries, issuer: AccountId) -> dict[str, LabelName]:
    """What it means by its names."""
    assert NAME_COLLECTION.layout is not None
    found = (NAME_COLLECTION.layout.make(*one.values) for one in q.items(issuer, NAME_COLLECTION))
    return {one.name: one for one in found}


def severity_of(names: dict[str, LabelName], name: str) -> Severity:
    """A name that is not defined warns."""
    return names[name].severity if name in names else "warn"


def words_of(names: dict[str, LabelName], label: Label) -> str:
    """What readers are shown of a label."""
    title = names[label.name].title if label.name in names else label.name
    return f"{title}: {label.reason}" if label.reason else title


def appeals_to(q: Queries, issuer: AccountId) -> Iterator[SaidAppeal]:
    """Who appeals to it. Who is neither labelled nor the author of what is, has no say."""
    q.need(VIEW.name)
    rows = islice(q.reader.txn.prefix(LABEL_APPEALS, issuer), LOOKED)
    for who in dict.fromkeys(q.account(key[APPEAL.account]) for key, _ in rows):
        for one in q.items(who, APPEAL_COLLECTION):
            assert APPEAL_COLLECTION.layout is not None
            said: LabelAppeal = APPEAL_COLLECTION.layout.make(*one.values)
            if said.issuer == issuer and said.about.account == who:
                yield SaidAppeal(who, one.time_ms, said)
