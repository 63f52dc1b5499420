"""Acts: signed objects of their own, which a charter's state is made of. They are no entries, so nothing erases them.

    id = H("charter/act", realm id, CBOR of the act without its signature); the signature is one of the id.

The arrays of acts and proposals are in docs/charter.md, under Bytes. A founder signs the founding by a commit of number
0 in ballot 1. Rules are in rules.py, what a proposal does too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, NewType, TypeAlias

from banyan_charter.keytree import Signature, check, signature_of
from banyan_charter.values import (
    MOST_NUMBER,
    Kind,
    Parameters,
    Seat,
    array,
    domain_of,
    flag,
    parameters_of,
    plain_parameters,
    plain_seat,
    seats_of,
    sized,
    unsigned,
)
from banyan_crdt.codec import encode, read_value, uint
from banyan_crdt.errors import Malformed, Oversized
from banyan_crdt.ids import AccountId, EntryId, H, WriterKey
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer

CharterId = NewType("CharterId", bytes)
"""32 bytes: the id of the founding."""
ContentId = NewType("ContentId", bytes)
"""32 bytes: the id of a content, or of the founding."""
MOST_BYTES = (4 << 20) - 128
"""So that a frame has room for one."""
MOST_PROPOSALS = 4_096
MOST_TEXT = 1_024


class Admit(NamedTuple):
    """`sig`: of the seat's spare key, so that nobody is admitted with keys of somebody else."""

    seat: Seat
    sig: bytes


class Expel(NamedTuple):
    """The member has no seat from then on."""

    member: AccountId


class Renew(NamedTuple):
    """Another root and spare key. `by`: a signature of the seat's key of this number, or 64 bytes of its spare key."""

    member: AccountId
    root: bytes
    since: int
    spare: WriterKey
    by: Signature | bytes


class Roll(NamedTuple):
    """A roll call."""


class RollAnswer(NamedTuple):
    """The member answers the last roll call. `by`: of its key of this number."""

    member: AccountId
    by: Signature


class Sleep(NamedTuple):
    """The member is put to sleep."""

    member: AccountId


class Wake(NamedTuple):
    """The member is awake from then on. `by`: of its key of this number."""

    member: AccountId
    by: Signature


class Change(NamedTuple):
    """Another domain or kind, or a vote or none."""

    member: AccountId
    domain: bytes
    kind: Kind
    voting: bool


class SetParameters(NamedTuple):
    """All parameters anew."""

    parameters: Parameters


class Remark(NamedTuple):
    """A reason, or a decision that needs no rule. UTF-8."""

    text: bytes


Proposal: TypeAlias = Admit | Expel | Renew | Roll | RollAnswer | Sleep | Wake | Change | SetParameters | Remark
_CODES = (Admit, Expel, Renew, Roll, RollAnswer, Sleep, Wake, Change, SetParameters, Remark)


class Founding(NamedTuple):
    """Epoch 0: what all founders signed. `name`: UTF-8."""

    id: ContentId
    name: bytes
    seats: tuple[Seat, ...]
    parameters: Parameters


class Content(NamedTuple):
    """What epoch `number` is to be. `prev`: the content of the epoch before."""

    id: ContentId
    charter: CharterId
    number: int
    prev: ContentId
    proposals: tuple[Proposal, ...]
    state: bytes
    author: AccountId
    by: Signature


class EpochVote(NamedTuple):
    """`unlock`: the ballot in which this content was locked, if the signer had committed to another; or 0."""

    id: EntryId
    charter: CharterId
    number: int
    ballot: int
    content: ContentId
    unlock: int
    member: AccountId
    by: Signature


class EpochCommit(NamedTuple):
    """A promise to a content that its signer saw locked in this ballot."""

    id: EntryId
    charter: CharterId
    number: int
    ballot: int
    content: ContentId
    member: AccountId
    by: Signature


Act: TypeAlias = Content | EpochVote | EpochCommit
_ACTS = (Content, EpochVote, EpochCommit)


def id_of(realm: Realm, body: list[Any]) -> bytes:
    """H("charter/act", realm id, CBOR of the body), 32 bytes."""
    return H("charter/act", realm.id, encode(body))


def join_id(charter: bytes, s: Seat) -> EntryId:
    """What the spare key of a seat signs to have it admitted."""
    return EntryId(H("charter/join", charter, encode(plain_seat(s)[:7])))


def renew_id(charter: bytes, old: Seat, root: bytes, since: int, spare: bytes) -> EntryId:
    """What a renewal signs. It names the old root, so it is good once."""
    return EntryId(H("charter/renew", charter, encode([old.member, old.root, root, since, spare])))


def present_id(charter: bytes, number: int, member: bytes) -> EntryId:
    """What an answer to a roll call and a waking sign."""
    return EntryId(H("charter/present", charter, encode([number, member])))


def founding_body(name: bytes, seats: tuple[Seat, ...], parameters: Parameters) -> list[Any]:
    """What the id of a founding is made of."""
    return [0, name, list(map(plain_seat, seats)), plain_parameters(parameters)]


def body_of(kind: type[Act], fields: Iterable[Any]) -> list[Any]:
    """What the id of an act is made of: its code, and its fields between id and signature."""
    plain = (list(map(plain_proposal, one)) if isinstance(one, tuple) else one for one in fields)
    return [1 + _ACTS.index(kind), *plain]


def encode_act(a: Act | Founding) -> bytes:
    """Its bytes on the wire and on disk."""
    if isinstance(a, Founding):
        return encode(founding_body(a.name, a.seats, a.parameters))
    return encode([*body_of(type(a), a[1:-1]), list(a.by[:4])])


def name_of(a: Act | Founding) -> bytes:
    """32 bytes that tell an act from others: its id and the key that signed it. Of a founding its id."""
    return a.id if isinstance(a, Founding) else H("charter/name", a.id, a.by.root, uint(a.by.leaf))


def decode_act(realm: Realm, raw: bytes) -> Act | Founding:
    """The inverse of `encode_act`. Raises Malformed, Oversized, or BadSignature: a signature is checked under the key
    that it names; whether that key may sign is a question for the rules."""
    act = read_act(realm, raw)
    if not isinstance(act, Founding):
        check(realm, act.by, act.id)
    return act


def read_act(realm: Realm, raw: bytes) -> Act | Founding:
    """The same of an act whose signature is checked elsewhere."""
    if len(raw) > MOST_BYTES:
        raise Oversized(f"an act of a charter has {len(raw)} bytes; {MOST_BYTES} is the most")
    v = read_value(raw)
    if type(v) is not list or not v or type(v[0]) is not int or v[0] > 3:
        raise Malformed("an act of a charter is an array that opens with its code, 0 to 3")
    if v[0] == 0:
        _, name, seats, parameters = array(v, 4, "a founding")
        made = Founding(ContentId(id_of(realm, v)), _text(name), seats_of(seats), parameters_of(parameters))
        if any(s.since or not s.awake or s.missed for s in made.seats):
            raise Malformed("at the founding all seats are awake, and their first key signs number 0")
        if not any(s.votes for s in made.seats):
            raise Malformed("no founder has a vote")
        return made
    return _act(v, id_of(realm, v[:-1]), signature_of(v[-1]))


def _act(v: list[Any], made: bytes, by: Signature) -> Act:
    charter = CharterId(sized(v[1] if len(v) > 1 else None, 32, "charter"))
    number = unsigned(v[2], MOST_NUMBER, "number") if len(v) > 2 else 0
    if v[0] == 1:
        _, _, _, prev, proposals, state, author, _ = array(v, 8, "a content")
        if type(proposals) is not list or len(proposals) > MOST_PROPOSALS:
            raise Malformed(f"proposals are an array of at most {MOST_PROPOSALS}")
        if not number:
            raise Malformed("number 0 is the founding")
        return Content(
            ContentId(made),
            charter,
            number,
            ContentId(sized(prev, 32, "prev")),
            tuple(map(proposal_of, proposals)),
            sized(state, 32, "state root"),
            AccountId(sized(author, 32, "author")),
            by,
        )
    array(v, 8 if v[0] == 2 else 7, "a vote" if v[0] == 2 else "a commit")
    ballot, content = unsigned(v[3], MOST_NUMBER, "ballot"), ContentId(sized(v[4], 32, "content"))
    member = AccountId(sized(v[-2], 32, "member"))
    if not ballot:
        raise Malformed("ballots count from 1")
    if v[0] == 2:
        unlock = unsigned(v[5], ballot - 1, "unlock")
        return EpochVote(EntryId(made), charter, number, ballot, content, unlock, member, by)
    return EpochCommit(EntryId(made), charter, number, ballot, content, member, by)


def proposal_of(v: Any) -> Proposal:
    """Raises Malformed."""
    if type(v) is not list or not v or type(v[0]) is not int or v[0] >= len(_CODES):
        raise Malformed(f"a proposal is an array that opens with its code, 0 to {len(_CODES) - 1}")
    code, rest = v[0], v[1:]
    if code == 0:
        seat, sig = array(rest, 2, "an admission")
        made = seats_of([[*array(seat, 7, "an admitted seat"), 1, 0]])[0]
        return Admit(made, sized(sig, 64, "sig"))
    if code == 3:
        array(rest, 0, "the rest of a roll call")
        return Roll()
    if code == 8:
        return SetParameters(parameters_of(array(rest, 1, "the rest of a proposal of parameters")[0]))
    if code == 9:
        return Remark(_text(array(rest, 1, "the rest of a note")[0]))
    member = AccountId(sized(rest[0] if rest else None, 32, "member"))
    if code == 2:
        _, root, since, spare, by = array(rest, 5, "a renewal")
        how = sized(by, 64, "sig") if type(by) is bytes else signature_of(by)
        spare_key = WriterKey(sized(spare, 32, "spare"))
        return Renew(member, sized(root, 32, "root"), unsigned(since, MOST_NUMBER, "since"), spare_key, how)
    if code == 7:
        _, domain, kind, voting = array(rest, 4, "a change")
        return Change(member, domain_of(domain), Kind(unsigned(kind, len(Kind) - 1, "kind")), flag(voting, "voting"))
    if code in (4, 6):
        signature = signature_of(array(rest, 2, "an answer or a waking")[1])
        return RollAnswer(member, signature) if code == 4 else Wake(member, signature)
    array(rest, 1, "an expulsion or a sleep")
    return Expel(member) if code == 1 else Sleep(member)


def plain_proposal(p: Proposal) -> list[Any]:
    """The array of a proposal."""
    code = _CODES.index(type(p))
    if isinstance(p, Admit):
        return [code, plain_seat(p.seat)[:7], p.sig]
    if isinstance(p, SetParameters):
        return [code, plain_parameters(p.parameters)]
    if isinstance(p, Change):
        return [code, p.member, p.domain, int(p.kind), int(p.voting)]
    return [code, *(list(f[:4]) if isinstance(f, Signature) else f for f in p)]


def _text(v: Any) -> bytes:
    if type(v) is not bytes or len(v) > MOST_TEXT:
        raise Malformed(f"a text has at most {MOST_TEXT} bytes")
    try:
        v.decode()
    except UnicodeDecodeError:
        raise Malformed("a text is UTF-8") from None
    return v


def admission(charter: CharterId, seat: Seat, spare: Signer) -> Admit:
    """What a newcomer signs, for a member to propose."""
    return Admit(seat, spare.sign(join_id(charter, seat)))
