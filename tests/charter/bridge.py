"""Acts of the model (tests/model/charter_spec.py) as acts of the product, with real keys and bytes."""

from __future__ import annotations

from functools import cache

from banyan_charter.acts import (
    Act,
    CharterId,
    Content,
    ContentId,
    Expel,
    Founding,
    Proposal,
    Remark,
    Renew,
    Roll,
    RollAnswer,
    Sleep,
    Wake,
    admission,
    decode_act,
    encode_act,
    founding_body,
    id_of,
    renew_id,
)
from banyan_charter.keytree import KeyTree
from banyan_charter.rules import Epoch, first_epoch
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.values import Kind, Parameters, Seat
from banyan_crdt.ids import AccountId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from tests.model import charter_spec as spec

NUMBERS = 12


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
        return [self.signer(s.member, s.root).commit(0, 1, self.founding.id) for s in self.model[0].seats]

    def signer(self, member: int, root: int) -> SeatSigner:
        return SeatSigner(TEST, self.charter, account(member), tree(member, root))

    def act(self, a: spec.Act) -> Act:
        """The same through its bytes."""
        made = self._act(a)
        again = decode_act(TEST, encode_act(made))
        assert again == made
        return made

    def _act(self, a: spec.Act) -> Act:
        if isinstance(a, spec.Content):
            return self._content(a)
        signer, content = self.signer(*a.key[:2]), self.ids[a.content]
        assert a.number == a.key[2] or isinstance(a, spec.Vote), "only votes by keys of other numbers are tried"
        if isinstance(a, spec.Vote):
            return signer._replace(since=a.number - a.key[2]).vote(a.number, a.ballot, content, a.unlock)
        return signer.commit(a.number, a.ballot, content)

    def _content(self, x: spec.Content) -> Content:
        author = next(s for s in self.model[x.prev].seats if s.awake)
        proposals = tuple(self._proposal(p, x) for p in x.proposals)
        made, after = self.signer(author.member, author.root).content(self.epochs[x.prev], proposals)
        self.ids[x.id], self.epochs[x.id], self.model[x.id] = made.id, after, x
        return made

    def _proposal(self, p: spec.Proposal, x: spec.Content) -> Proposal:
        kind, *rest = p
        if kind == "note":
            return Remark(str(rest[0]).encode())
        if kind == "roll":
            return Roll()
        member = account(rest[0])
        if kind == "admit":
            new = seat(rest[0], rest[1])
            return admission(self.charter, new, spare(rest[0], rest[1]))
        if kind in ("expel", "sleep"):
            return Expel(member) if kind == "expel" else Sleep(member)
        if kind == "renew":
            was, new = self.epochs[x.prev].seats[member], seat(rest[0], rest[1])
            what = renew_id(self.charter, was, new.root, 0, new.spare)
            by = rest[2]
            how = spare(rest[0], by[1]).sign(what) if by[2] == spec.SPARE else tree(*by[:2]).sign(TEST, by[2], what)
            return Renew(member, new.root, 0, new.spare, how)
        signed = self.signer(*rest[1][:2]).present(x.number)
        return RollAnswer(member, signed) if kind == "answer" else Wake(member, signed)
