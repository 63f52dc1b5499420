"""Signs acts for one seat. It knows no rule; ballots.py says what an honest member signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from banyan_charter.acts import (
    CharterId,
    Content,
    ContentId,
    EpochCommit,
    EpochVote,
    Proposal,
    body_of,
    id_of,
    present_id,
)
from banyan_charter.keytree import KeyTree, Signature
from banyan_charter.rules import Epoch, next_epoch
from banyan_charter.values import state_root
from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.realm import Realm


class SeatSigner(NamedTuple):
    """`since`: the number that leaf 0 of the keys signs. All raise Refused if the key of a number is destroyed."""

    realm: Realm
    charter: CharterId
    member: AccountId
    keys: KeyTree
    since: int = 0

    def vote(self, number: int, ballot: int, content: ContentId, unlock: int = 0) -> EpochVote:
        """See `EpochVote`."""
        fields = self.charter, number, ballot, content, unlock, self.member
        made = EntryId(id_of(self.realm, body_of(EpochVote, fields)))
        return EpochVote(made, *fields, self._by(number, made))

    def commit(self, number: int, ballot: int, content: ContentId) -> EpochCommit:
        """See `EpochCommit`; of number 0 in ballot 1: that a founder signs the founding."""
        fields = self.charter, number, ballot, content, self.member
        made = EntryId(id_of(self.realm, body_of(EpochCommit, fields)))
        return EpochCommit(made, *fields, self._by(number, made))

    def content(self, epoch: Epoch, proposals: Sequence[Proposal]) -> tuple[Content, Epoch]:
        """The content that has these proposals adopted after the epoch, and what it makes. Raises Malformed or
        BadSignature with a sentence if they may not be."""
        after = next_epoch(self.realm, epoch, proposals, ContentId(bytes(32)))
        root = state_root(tuple(after.seats.values()), after.parameters)
        fields = self.charter, after.number, epoch.id, tuple(proposals), root, self.member
        made = ContentId(id_of(self.realm, body_of(Content, fields)))
        return Content(made, *fields, self._by(after.number, made)), after._replace(id=made)

    def present(self, number: int) -> Signature:
        """For an answer to a roll call, or a waking, that a content of this number lists."""
        return self._by(number, present_id(self.charter, number, self.member))

    def _by(self, number: int, what: bytes) -> Signature:
        return self.keys.sign(self.realm, number - self.since, what)
