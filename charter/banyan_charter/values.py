"""Seats and parameters: what an epoch of a charter says, and its bytes (docs/charter.md#bytes)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from banyan_crdt.codec import encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, H, WriterKey

MOST_SEATS = 4_096
MOST_LISTED = 256
"""Of label issuers, authorities, scopes, judges, or duties."""
ROLL_CALLS = 2
"""A seat that answered none of the last so many roll calls may be put to sleep."""
_DOMAIN = re.compile(rb"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_NAME = re.compile(rb"[a-z0-9][a-z0-9.-]{0,63}\Z")
_T = TypeVar("_T")


class Kind(IntEnum):
    """What a member is."""

    HOST = 0
    PUBLISHER = 1
    AUTHORITY = 2
    OBSERVER = 3


class Seat(NamedTuple):
    """A member of an epoch."""

    member: AccountId
    domain: bytes
    """Its DNS name in lower case."""
    kind: Kind
    voting: bool
    root: bytes
    """Of its keys (keytree.py)."""
    since: int
    """The number that its leaf 0 signs."""
    spare: WriterKey
    """Signs only that the seat gets another root."""
    awake: bool = True
    missed: int = 0
    """Roll calls since its last listed answer."""

    @property
    def votes(self) -> bool:
        """Whether it is in the total of its epoch."""
        return self.voting and self.awake


class Authority(NamedTuple):
    """Who may give orders: the account of the role, its scopes, and how many items a day it may order away alone."""

    account: AccountId
    scopes: tuple[bytes, ...]
    cap: int


class Scope(NamedTuple):
    """Where orders of this name apply: the members that carry them out, and the accounts of the roles that judge
    appeals."""

    name: bytes
    members: tuple[AccountId, ...]
    judges: tuple[AccountId, ...]


class Parameters(NamedTuple):
    """What members agreed on beside who they are."""

    quota: int = 10_000
    """Accounts that a member may host in the network."""
    hourly: int = 1_000
    """New accounts of a member that others take in an hour."""
    labellers: tuple[AccountId, ...] = ()
    authorities: tuple[Authority, ...] = ()
    duties: tuple[bytes, ...] = ()
    """Names of the duties in force."""
    scopes: tuple[Scope, ...] = ()
    witnesses: int = 3
    """How many members cosign a checkpoint of another one's public log until what it has counts as logged."""

    @property
    def roles(self) -> set[AccountId]:
        """The accounts of authorities, judges and label issuers."""
        judges = (judge for scope in self.scopes for judge in scope.judges)
        return {*self.labellers, *judges, *(one.account for one in self.authorities)}


def state_root(seats: Sequence[Seat], parameters: Parameters) -> bytes:
    """32 bytes: what a content says that it comes to."""
    return H("charter/state", encode([list(map(plain_seat, seats)), plain_parameters(parameters)]))


def plain_seat(s: Seat) -> list[Any]:
    """The array of a seat."""
    return [s.member, s.domain, int(s.kind), int(s.voting), s.root, s.since, s.spare, int(s.awake), s.missed]


def plain_parameters(p: Parameters) -> list[Any]:
    """The array of parameters."""
    authorities = [[a.account, list(a.scopes), a.cap] for a in p.authorities]
    scopes = [[s.name, list(s.members), list(s.judges)] for s in p.scopes]
    return [p.quota, p.hourly, list(p.labellers), authorities, list(p.duties), scopes, p.witnesses]


def seat_of(v: Any) -> Seat:
    """Raises Malformed."""
    member, domain, kind, voting, root, since, spare, awake, missed = array(v, 9, "a seat")
    return Seat(
        AccountId(sized(member, 32, "member")),
        domain_of(domain),
        Kind(unsigned(kind, len(Kind) - 1, "kind")),
        flag(voting, "voting"),
        sized(root, 32, "root"),
        unsigned(since, MOST_NUMBER, "since"),
        WriterKey(sized(spare, 32, "spare")),
        flag(awake, "awake"),
        unsigned(missed, MOST_NUMBER, "missed"),
    )


def seats_of(v: Any) -> tuple[Seat, ...]:
    """Seats in the order of their members, none twice. Raises Malformed."""
    if type(v) is not list or not 1 <= len(v) <= MOST_SEATS:
        raise Malformed(f"a charter has 1 to {MOST_SEATS} seats")
    seats = tuple(map(seat_of, v))
    _ascending([s.member for s in seats], "seats stand in the order of their members, none twice")
    if len({s.domain for s in seats}) < len(seats):
        raise Malformed("two seats have one domain")
    return seats


def parameters_of(v: Any) -> Parameters:
    """Raises Malformed."""
    quota, hourly, labellers, authorities, duties, scopes, witnesses = array(v, 7, "parameters")
    if not quota or not hourly:
        raise Malformed("a quota of 0 lets no member host anybody; expel a member instead")

    def authority(one: Any) -> Authority:
        account, scopes, cap = array(one, 3, "an authority")
        names = _listed(scopes, _name, "scopes")
        return Authority(AccountId(sized(account, 32, "authority")), names, unsigned(cap, 1 << 32, "cap"))

    def scope(one: Any) -> Scope:
        name, members, judges = array(one, 3, "a scope")
        carried = _listed(members, _account, "members of a scope", MOST_SEATS)
        return Scope(_name(name), carried, _listed(judges, _account, "judges of a scope"))

    issuers = _listed(labellers, _account, "label issuers")
    roles = _listed(authorities, authority, "authorities")
    return Parameters(
        unsigned(quota, 1 << 32, "quota"),
        unsigned(hourly, 1 << 32, "hourly"),
        issuers,
        roles,
        _listed(duties, _name, "duties"),
        _listed(scopes, scope, "scopes"),
        unsigned(witnesses, MOST_SEATS, "witnesses"),
    )


MOST_NUMBER = (1 << 32) - 1


def array(v: Any, size: int, name: str) -> list[Any]:
    """An array of this size. Raises Malformed, as the next ones."""
    if type(v) is not list or len(v) != size:
        raise Malformed(f"{name} is an array of {size}")
    return v


def sized(v: Any, size: int, name: str) -> bytes:
    """Bytes of this size."""
    if type(v) is not bytes or len(v) != size:
        raise Malformed(f"{name} is {size} bytes")
    return v


def unsigned(v: Any, most: int, name: str) -> int:
    """A number up to `most`."""
    if type(v) is not int or not 0 <= v <= most:
        raise Malformed(f"{name} is a number of at most {most}")
    return v


def flag(v: Any, name: str) -> bool:
    """0 or 1 as a truth value."""
    if type(v) is not int or v not in (0, 1):
        raise Malformed(f"{name} is 0 or 1")
    return bool(v)


def domain_of(v: Any) -> bytes:
    """A DNS name in lower case."""
    if type(v) is not bytes or not _DOMAIN.match(v):
        raise Malformed("a domain is a DNS name in lower case, like example.vn")
    return v


def _name(v: Any) -> bytes:
    if type(v) is not bytes or not _NAME.match(v):
        raise Malformed("a name has at most 64 of a-z, 0-9, '.' and '-'")
    return v


def _account(v: Any) -> AccountId:
    return AccountId(sized(v, 32, "an account"))


def _listed(v: Any, read: Callable[[Any], _T], name: str, most: int = MOST_LISTED) -> tuple[_T, ...]:
    """Its items in ascending order, none twice."""
    if type(v) is not list or len(v) > most:
        raise Malformed(f"{name} are an array of at most {most}")
    found = tuple(map(read, v))
    _ascending(
        [one[0] if isinstance(one, tuple) else one for one in found], f"{name} are in ascending order, none twice"
    )
    return found


def _ascending(keys: Iterable[Any], sentence: str) -> None:
    if any(a >= b for a, b in pairwise(keys)):
        raise Malformed(sentence)
