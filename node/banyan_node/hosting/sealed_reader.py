"""Opens what accounts written here said to themselves: mutes, bookmarks, lists, filters, notes, markers.

They are sealed under secrets that are wrapped for each writer that may write everything
(banyan_schema.social.private). This node opens those that are wrapped for its device key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from banyan_crdt.ids import AccountId, CellKey, WriterKey
from banyan_crdt.sealing import Opener
from banyan_reading.queries import Queries
from banyan_schema.private_kinds import PrivateRecord, said
from banyan_schema.social.private import KEYRING, PRIVATE, SealedContent, WrappedSecret, read_privately
from banyan_storage.slots import SLOT, STAMP, in_order, stamp_of

C = TypeVar("C")
KEPT = 50_000
"""Things that are remembered opened: to open one takes 10 us."""


class Secret(NamedTuple):
    """holders: for whom it is wrapped. by: who wrapped it, and so knows it too. secret: None if this device cannot open
    it."""

    holders: set[WriterKey]
    by: set[WriterKey]
    secret: bytes | None

    @property
    def known_to(self) -> set[WriterKey]:
        """The writers that can know it."""
        return self.holders | self.by


class _Wrap(NamedTuple):
    """by: the writer of the entry. secret: None if it is not wrapped for this node's device."""

    wrapped: WrappedSecret
    by: WriterKey
    secret: bytes | None


class PrivateItem(NamedTuple):
    place: bytes
    key: CellKey
    said: PrivateRecord


@dataclass(slots=True)
class PrivateData:
    """What one account said to itself, in one state of the store. It doesn't change once it was read."""

    things: dict[tuple[str, bytes], list[PrivateItem]] = field(default_factory=dict)
    """By kind and name: in each cell that says it, the last write last. After a change of secrets there may be two."""
    secrets: dict[CellKey, Secret] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """Whether something is sealed, and this device can open none of it."""
        return bool(self.secrets) and all(known.secret is None for known in self.secrets.values())

    def all(self, kind: type[C]) -> Iterator[C]:
        """All things of a class of private_kinds.py, in no order."""
        for found in self.things.values():
            last = found[-1].said.content
            if isinstance(last, kind):
                yield last

    def get(self, content: C) -> C | None:
        """What stands where this content would."""
        one = said(content)
        found = self.things.get((one.kind, one.name))
        return found[-1].said.content if found else None

    def has(self, kind: str, name: bytes) -> bool:
        """Whether a thing of a kind is there (private_kinds.py)."""
        return (kind, name) in self.things


class SealedReader:
    """Opens with the device's key, and remembers what it opened. Any thread."""

    def __init__(self, opener: Opener) -> None:
        self.opener = opener
        self._opened: dict[bytes, PrivateItem | None] = {}
        self._wraps: dict[bytes, _Wrap | None] = {}

    def read(self, q: Queries, account: AccountId, remember: bool = True) -> PrivateData:
        """remember: False where `q` sees writes that may be rolled back."""
        out, number = PrivateData(), q.number(account)
        if number is None:
            return out
        q.need()
        for slot, place in q.shown(number, KEYRING):
            found = self._wrap(q, slot, place, remember)
            if found is not None:
                name = found.wrapped.secret
                known = out.secrets.setdefault(name, Secret(set(), set(), None))
                known.holders.add(found.wrapped.writer)
                known.by.add(found.by)
                if found.secret is not None:
                    out.secrets[name] = known._replace(secret=found.secret)
        if any(known.secret for known in out.secrets.values()):
            for slot, place in q.shown(number, PRIVATE):
                thing = self._thing(q, account, slot, place, out.secrets, remember)
                if thing is not None:
                    out.things.setdefault((thing.said.kind, thing.said.name), []).append(thing)
        for several in out.things.values():
            if len(several) > 1:
                places = [
                    stamp[STAMP.place] for stamp in in_order(q.reader, [stamp_of(q.reader, t.place) for t in several])
                ]
                several.sort(key=lambda thing: places.index(thing.place))
        return out

    def _wrap(self, q: Queries, slot: bytes, place: bytes, remember: bool) -> _Wrap | None:
        if place in self._wraps:
            return self._wraps[place]
        content, entry, found = q.content(slot, place), q.reader.entry(q.ref(place).entry), None
        if isinstance(content, WrappedSecret) and entry is not None:
            mine = content.writer == self.opener.key
            found = _Wrap(content, entry.header.writer, self.opener.unwrap(content.box) if mine else None)
        if remember:
            _bounded(self._wraps)[place] = found
        return found

    def _thing(
        self, q: Queries, account: AccountId, slot: bytes, place: bytes, secrets: dict[CellKey, Secret], remember: bool
    ) -> PrivateItem | None:
        if place in self._opened:
            return self._opened[place]
        content, key, one = q.content(slot, place), CellKey(slot[SLOT.key]), None
        if isinstance(content, SealedContent):
            known = secrets.get(content.secret)
            if known is not None and known.secret is not None:
                one = read_privately(account, key, known.secret, content)
        thing = None if one is None else PrivateItem(place, key, one)
        if remember and thing is not None:
            _bounded(self._opened)[place] = thing
        return thing


def _bounded(kept: dict[bytes, Any]) -> dict[bytes, Any]:
    if len(kept) >= KEPT:
        kept.clear()
    return kept
