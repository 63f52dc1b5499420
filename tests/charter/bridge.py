"""Acts of the model (tests/model/charter_spec.py) as acts of the product, with real keys and bytes."""

from __future__ import annotations

from functools import cache

from banyan_charter.acts import (
    Act,
    Admit,
    Answer,
    CharterId,
    Commit,
    Content,
    ContentId,
    Expel,
    Founding,
    Note,
    Proposal,
    Renew,
    Roll,
    Sleep,
    Vote,
    Wake,
    body_of,
    content_body,
    decode_act,
    encode_act,
    founding_body,
    id_of,
    join_id,
    present_id,
    renew_id,
)
from banyan_charter.keytree import KeyTree, Signature
from banyan_charter.rules import Epoch, first_epoch, next_epoch
from banyan_charter.values import Kind, Parameters, Seat, state_root
from banyan_crdt.ids import AccountId, EntryId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from tests.model import charter_spec as spec

NUMBERS = 12
NONE = Signature(0, Signer(TEST, bytes(32)).key, b"", b"", b"")


def account(member: int) -> AccountId:
    """In the order of the members, so that the bits of the two are the same."""
    return AccountId(member.to_bytes(4, "big") + H("test", member.to_bytes(4, "big"))[4:])


@cache
def tree(member: int, root: int) -> KeyTree:
    return KeyTree.grown(TEST, H("test", b"tree %d %d" % (member, root)), NUMBERS)


@cache
def spare(member: int, root: int) -> Signer:
    return Signer(TEST, H("test", b"spare %d %d" % (member, root)))


def seat(member: int, root: int) -> Seat:
    keys = tree(member, root).root, 0, spare(member, root).key
    return Seat(account(member), b"m%d.example" % member, Kind.HOST, True, *keys)


def founding(genesis: spec.Content) -> Founding:
    seats = tuple(seat(s.member, s.root) for s in genesis.seats)
    body = founding_body(b"Test", seats, Parameters())
    return Founding(ContentId(id_of(TEST, body)), b"Test", seats, Parameters())


class Bridge:
    """What the model's ids are in the product."""

    def __init__(self, genesis: spec.Content) -> None:
        self.founding = founding(genesis)
        self.charter = CharterId(self.founding.id)
        self.ids = {genesis.id: self.founding.id}
        self.epochs: dict[int, Epoch] = {genesis.id: first_epoch(self.founding)}
        self.model: dict[int, spec.Content] = {genesis.id: genesis}

    def founded(self) -> list[Act]:
        """The signatures of the founders."""
        return [self._commit(0, 1, self.founding.id, (s.member, 0, 0)) for s in self.model[0].seats]

    def act(self, a: spec.Act) -> Act:
        """The same through its bytes."""
        made = self._act(a)
        again = decode_act(TEST, encode_act(made))
        assert again == made
        return made

    def _act(self, a: spec.Act) -> Act:
        if isinstance(a, spec.Content):
            return self._content(a)
        if isinstance(a, spec.Vote):
            draft = Vote(
                EntryId(b""), self.charter, a.number, a.ballot, self.ids[a.content], a.unlock, account(a.key[0]), NONE
            )
            made = EntryId(id_of(TEST, body_of(draft)))
            return draft._replace(id=made, by=self._sign(a.key, made))
        return self._commit(a.number, a.ballot, self.ids[a.content], a.key)

    def _commit(self, number: int, ballot: int, content: ContentId, key: spec.Key) -> Commit:
        draft = Commit(EntryId(b""), self.charter, number, ballot, content, account(key[0]), NONE)
        made = EntryId(id_of(TEST, body_of(draft)))
        return draft._replace(id=made, by=self._sign(key, made))

    def _sign(self, key: spec.Key, what: bytes) -> Signature:
        return tree(key[0], key[1]).sign(TEST, key[2], what)

    def _content(self, x: spec.Content) -> Content:
        before = self.epochs[x.prev]
        proposals = tuple(self._proposal(p, x) for p in x.proposals)
        after = next_epoch(TEST, before, proposals, ContentId(b""))
        state = state_root(tuple(after.seats.values()), after.parameters)
        author = next(s for s in self.model[x.prev].seats if s.awake)
        made = ContentId(
            id_of(TEST, content_body(self.charter, x.number, before.id, proposals, state, account(author.member)))
        )
        self.ids[x.id], self.epochs[x.id], self.model[x.id] = made, after._replace(id=made), x
        by = self._sign(author.key(x.number), made)
        return Content(made, self.charter, x.number, before.id, proposals, state, account(author.member), by)

    def _proposal(self, p: spec.Proposal, x: spec.Content) -> Proposal:
        kind, *rest = p
        if kind == "note":
            return Note(str(rest[0]).encode())
        if kind == "roll":
            return Roll()
        member = account(rest[0])
        if kind == "admit":
            new = seat(rest[0], rest[1])
            return Admit(new, spare(rest[0], rest[1]).sign(EntryId(join_id(self.charter, new))))
        if kind in ("expel", "sleep"):
            return Expel(member) if kind == "expel" else Sleep(member)
        if kind == "renew":
            was, new = self.epochs[x.prev].seats[member], seat(rest[0], rest[1])
            what = EntryId(renew_id(self.charter, was, new.root, 0, new.spare))
            by = rest[2]
            how = spare(rest[0], by[1]).sign(what) if by[2] == spec.SPARE else self._sign(by, what)
            return Renew(member, new.root, 0, new.spare, how)
        signed = self._sign(rest[1], present_id(self.charter, x.number, member))
        return Answer(member, signed) if kind == "answer" else Wake(member, signed)
