"""The keys of a member's seat, in a file of their own, which may be on a machine or a stick that never meets the node.

The invariants: what a signature promises is on the disk, with the signature, before that leaves this process; so a
command that was killed gives the same signature away again and never another. One command at a time has the file. When
an epoch stands, the seed of its number is replaced by the next one, and the file that had it is overwritten.

    seat = [realm, charter 32 or empty, seat of values.py, keys, [number, last, ballot, content or empty],
            [signed act ...], [[seat, keys]] of a renewal or [], invitation, card, milliseconds]
    keys = [lowest leaf, its seed 32, leaves]

Overwriting does not reach what a file system or a disk keeps of old blocks: copy-on-write (btrfs, ZFS, APFS),
snapshots, backups, the spare blocks of flash, and swap. A copy of the file could sign against the newer one; so a copy
is refused where acts show that it is older, and none should be made.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from banyan_charter import ballots
from banyan_charter.acts import (
    Act,
    CharterId,
    Content,
    ContentId,
    EpochCommit,
    EpochVote,
    Founding,
    Renew,
    Roll,
    decode_act,
    encode_act,
    renew_id,
)
from banyan_charter.ballots import Promise
from banyan_charter.keytree import LEAVES, KeyTree
from banyan_charter.ledger import ActLedger
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.values import Kind, Seat, plain_seat, seat_of
from banyan_crdt.errors import Malformed, Refused
from banyan_crdt.ids import AccountId
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer
from banyan_node.alliance.papers import BadPaper, locked, read_file, realm_of, write
from banyan_node.home.folder import write_private
from banyan_node.operator_errors import HomeError


@dataclass
class SeatFile:
    """What one file holds. Use `opened` and `made`."""

    path: Path
    realm: Realm
    charter: bytes
    """Empty until its founding is known."""
    seat: Seat
    """As its card asked for it; the keys are those that the file has."""
    keys: KeyTree
    promise: Promise
    signed: list[bytes] = field(default_factory=list)
    """Votes and commits of the open number."""
    next: tuple[Seat, KeyTree] | None = None
    """Seat and keys that a renewal asked for, until an epoch has them."""
    invitation: str = ""
    """What it was made with; empty: by who founds."""
    card: str = ""
    """What it gave for the invitation."""
    rolled_ms: int = 0
    """When it first saw the last roll call, or the founding: milliseconds since 1970."""

    @property
    def signer(self) -> SeatSigner:
        return SeatSigner(self.realm, CharterId(self.charter), self.seat.member, self.keys, self.seat.since)

    def save(self) -> None:
        """Durably, and the bytes of before are overwritten. Raises HomeError: then nothing of it may be given away."""
        content = self.promise.content or b""
        plain = [
            self.realm.name.encode(),
            self.charter,
            plain_seat(self.seat),
            _plain_keys(self.keys),
            [*self.promise[:3], content],
            self.signed,
            [[plain_seat(self.next[0]), _plain_keys(self.next[1])]] if self.next else [],
            self.invitation.encode(),
            self.card.encode(),
            self.rolled_ms,
        ]
        _replace(self.path, write("seat", plain).encode() + b"\n")

    def settle(self, ledger: ActLedger) -> None:
        """Takes over what stands: keys of numbers that are over are destroyed, and the next number has no promise yet.
        Raises BadPaper if the file is not of this charter, or older than its seat's acts."""
        if ledger.charter != self.charter:
            raise BadPaper(
                f"{self.path} is a seat in charter {self.charter.hex()[:16] or 'to be founded'}, and these acts are of "
                f"{ledger.charter.hex()[:16]}."
            )
        number, me = len(ledger.epochs), self.seat.member
        here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
        renewed = bool(here and self.next and here.root == self.next[0].root)
        if renewed and self.next:
            (self.seat, self.keys), self.next = self.next, None
        elif here and here.root != self.seat.root:
            raise BadPaper(f"{self.path} has the keys of before a renewal; the seat has others now.")
        if number != self.promise.number or renewed:
            if number < self.promise.number:
                raise BadPaper(
                    f"the acts end before epoch {self.promise.number - 1}, which this seat saw: bring newer ones."
                )
            if not self.rolled_ms or _rolled(ledger, self.promise.number):
                self.rolled_ms = time.time_ns() // 1_000_000
            self.keys.destroy_below(number - self.seat.since)
            self.promise, self.signed = Promise(number), []
            self.save()
        self._refuse_older(ledger)

    def _refuse_older(self, ledger: ActLedger) -> None:
        mine = [a for a in ledger.acts(self.promise.number) if a.by.root == self.seat.root]
        last = max((a.ballot for a in mine if not isinstance(a, Content)), default=0)
        bound = max((a.ballot for a in mine if isinstance(a, EpochCommit)), default=0)
        if self.promise.number and (last > self.promise.last or bound > self.promise.ballot):
            raise BadPaper(
                f"{self.path} is a copy: its seat signed in ballot {last} of number {self.promise.number} with a newer "
                "one. Take that, or renew the seat with its spare key."
            )

    def found(self, founding: Founding) -> EpochCommit:
        """The signature of a founder. Raises BadPaper unless the seat stands there as its card asked for it."""
        if self.charter not in (b"", founding.id):
            raise BadPaper(f"{self.path} signed the founding of another charter, {self.charter.hex()[:16]}.")
        if self.seat not in founding.seats:
            raise BadPaper(
                f"the seat of {self.seat.domain.decode()} does not stand in this founding as its card has it."
            )
        self.charter = founding.id
        act = self.signer.commit(0, 1, founding.id)
        self.signed = [encode_act(act)]
        self.save()
        return act

    def next_act(self, ledger: ActLedger, content: ContentId | None) -> tuple[EpochVote | EpochCommit, Promise] | None:
        """What an honest member signs next, a commit first, else a vote for this content or for the favourite; None:
        no content is there. Nothing is promised until `keep`. Raises Refused."""
        found = ballots.commit(ledger, self.promise, self.signer)
        content = content or ballots.favourite(ledger, self.promise)
        if not found and content and ballots.waits(ledger, self.promise, self.seat.member, content):
            raise Refused("Your vote for this content counts already; others have to sign now.")
        return found or (ballots.vote(ledger, self.promise, self.signer, content) if content else None)

    def keep(self, act: Act, promise: Promise) -> None:
        """Writes both down; then the act may be given away."""
        self.promise = promise
        self.signed.append(encode_act(act))
        self.save()

    def acts(self) -> list[Act]:
        """Votes and commits that it signed of the open number."""
        acts = (decode_act(self.realm, raw) for raw in self.signed)
        return [a for a in acts if not isinstance(a, Founding)]


@contextmanager
def opened(path: Path, make: Callable[[], SeatFile] | None = None, invitation: str = "") -> Iterator[SeatFile]:
    """The seat of a file; meanwhile no other command has it. make: a new one, if there is no file; one that is there
    must have been made with the same invitation. Raises BadPaper, HomeError."""
    with locked(path):
        if make is not None and not path.exists():
            make().save()
        found = read_seat(path)
        if make is not None and found.invitation != invitation:
            raise BadPaper(f"{path} is a seat already, of {found.seat.domain.decode()}; name another file with --seat.")
        yield found


def new_keys(
    realm: Realm, member: AccountId, domain: bytes, kind: Kind, voting: bool, since: int, spare: Path
) -> tuple[Seat, KeyTree, Signer]:
    """A seat with new keys, some 0.2 s. The spare key is in its file before this returns; one that is there is taken if
    it is this member's. Raises BadPaper, HomeError."""
    keys = KeyTree.grown(realm, secrets.token_bytes(32))
    if not spare.exists():
        _replace(spare, write("spare", [realm.name.encode(), member, secrets.token_bytes(32)]).encode() + b"\n")
    signer = spare_of(spare, member)
    return Seat(member, domain, kind, voting, keys.root, since, signer.key), keys, signer


def spare_of(path: Path, member: AccountId) -> Signer:
    """Raises BadPaper."""
    realm, whose, seed = read_file("spare", path)
    if whose != member:
        raise BadPaper(f"{path} is the spare key of another member.")
    return Signer(realm_of(realm), seed)


def renewed(ledger: ActLedger, path: Path, spare: Path, member: AccountId) -> tuple[Renew, Seat]:
    """Other keys for a seat, and that its spare key asks for them; that one stays. The file of a seat that was lost is
    made. Raises BadPaper."""
    was = ledger.epochs[-1].seats.get(member) if ledger.epochs else None
    if was is None:
        raise BadPaper(f"{member.hex()[:16]} has no seat in the last epoch.")
    new, keys, signer = new_keys(ledger.realm, member, was.domain, was.kind, was.voting, len(ledger.epochs) + 1, spare)

    def lost() -> SeatFile:
        return SeatFile(
            path, ledger.realm, ledger.charter, was, KeyTree(bytes(32 * LEAVES), LEAVES, bytes(32)), Promise(0)
        )

    if new.spare != was.spare:
        raise BadPaper(f"{spare} is not the spare key of {was.domain.decode()}.")
    with opened(path, None if path.exists() else lost) as mine:
        mine.next = mine.next or (new, keys)
        mine.save()
        asked = mine.next[0]
    what = renew_id(ledger.charter, was, asked.root, asked.since, asked.spare)
    return Renew(member, asked.root, asked.since, asked.spare, signer.sign(what)), was


def _rolled(ledger: ActLedger, since: int) -> bool:
    """Whether a roll call was adopted in this number or a later one."""
    return any(isinstance(p, Roll) for x in adopted(ledger, since) for p in x.proposals)


def adopted(ledger: ActLedger, since: int = 1) -> Iterator[Content]:
    """The contents of the epochs from this number on."""
    for epoch in ledger.epochs[max(1, since) :]:
        yield next(x for x in ledger.contents(epoch.number) if x.id == epoch.id)


def _plain_keys(keys: KeyTree) -> list[Any]:
    return [*keys.secret, keys.leaves]


def read_seat(path: Path) -> SeatFile:
    """To look at; nothing is signed with it. Raises BadPaper."""
    try:
        realm, charter, seat, keys, promise, signed, other, invitation, card, rolled = read_file("seat", path)
        number, last, ballot, content = promise
        return SeatFile(
            path,
            realm_of(realm),
            charter,
            seat_of(seat),
            _keys(keys),
            Promise(number, last, ballot, ContentId(content) if content else None),
            signed,
            (seat_of(other[0][0]), _keys(other[0][1])) if other else None,
            invitation.decode(),
            card.decode(),
            rolled,
        )
    except (Malformed, ValueError, TypeError):
        raise BadPaper(f"{path} is a seat of another version of this program.") from None


def _keys(plain: list[Any]) -> KeyTree:
    at, seed, leaves = plain
    return KeyTree(leaves, at, seed)


def _replace(path: Path, data: bytes) -> None:
    """Writes the file, then zeros over what it was."""
    old = None
    try:
        with suppress(FileNotFoundError):
            old = os.open(path, os.O_RDWR)
        write_private(path, data)
        if old is not None:
            os.pwrite(old, bytes(os.fstat(old).st_size), 0)
            os.fsync(old)
    except OSError as error:
        raise HomeError(f"{path} cannot be written ({error.strerror}), so nothing was signed.") from error
    finally:
        if old is not None:
            os.close(old)
