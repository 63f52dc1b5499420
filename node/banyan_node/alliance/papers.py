"""What platforms give each other to found an alliance and to vote: one line of text each, in a file or in a mail.

    banyan-alliance-KIND:<base64url of CBOR [...] and of a checksum of 8 bytes>

    invitation = [realm, name, charter 32 or empty, since, address, seed 32]         secret, good once
    card       = [invitation key 32, [member, domain, kind, voting, root, since, spare], spare's sig or empty, sig 64]
    proposal   = [realm, charter, proposal]                    of acts.py, signed by whom it is about
    acts       = [realm, founding, [act ...]]                  of acts.py
    seat       (seat_file.py)                                  secret
    spare      = [realm, member, seed 32]                      secret

A card is signed by the key of its invitation, over H("charter/card", CBOR [what the invitation says but its seed, the
card]). So who changes what it says makes cards that are refused. An empty charter: it is being founded.
"""

from __future__ import annotations

import binascii
import fcntl
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from banyan_charter.acts import (
    Act,
    Admit,
    CharterId,
    Founding,
    Proposal,
    decode_act,
    encode_act,
    plain_proposal,
    proposal_of,
)
from banyan_charter.ledger import ActLedger
from banyan_charter.values import Seat, plain_seat, seats_of
from banyan_crdt.codec import encode, read_value
from banyan_crdt.errors import BadSignature, BanyanError, Malformed
from banyan_crdt.ids import EntryId, H, WriterKey
from banyan_crdt.realm import REALMS, Realm
from banyan_crdt.signing import Signer, verify
from banyan_node.operator_errors import HomeError, OperatorError
from banyan_storage.lmdb_folder import make_folder

Kind: TypeAlias = Literal["invitation", "card", "proposal", "acts", "seat", "spare"]
_OPENS, _CHECK = "banyan-alliance-", 8


class BadPaper(OperatorError):
    """A line of text is not what is needed; the sentence says what it is."""


def write(kind: Kind, value: list[Any]) -> str:
    """The line of text."""
    raw = encode(value)
    return f"{_OPENS}{kind}:{urlsafe_b64encode(raw + _sum(kind, raw)).decode()}"


def read(kind: Kind, text: str, name: str = "this text") -> list[Any]:
    """The inverse of `write`. name: how sentences call it. Raises BadPaper."""
    found, colon, body = "".join(text.split()).removeprefix(_OPENS).partition(":")
    if not colon or not text.lstrip().startswith(_OPENS):
        raise BadPaper(f"{name} is nothing of an alliance; {_a(kind)} begins with `{_OPENS}{kind}:`.")
    if found != kind:
        raise BadPaper(f"{name} is {_a(found)}, and {_a(kind)} is needed.")
    try:
        raw = urlsafe_b64decode(body)
        value = read_value(raw[:-_CHECK])
    except (binascii.Error, ValueError, BanyanError):
        raw, value = b"", None
    if not isinstance(value, list) or _sum(kind, raw[:-_CHECK]) != raw[-_CHECK:]:
        raise BadPaper(f"{name} is {_a(kind)} that is cut short or was altered; ask for it again.")
    return value


def read_file(kind: Kind, path: Path) -> list[Any]:
    """Raises BadPaper."""
    try:
        return read(kind, path.read_text("ascii"), str(path))
    except (UnicodeDecodeError, IsADirectoryError):
        raise BadPaper(f"{path} is nothing of an alliance; a file of {_a(kind)} is needed.") from None
    except OSError as error:
        raise BadPaper(f"{path} cannot be read ({error.strerror}).") from error


def kind_of(path: Path) -> str:
    """What a file says that it is, empty if it is nothing of an alliance or cannot be read."""
    text = path.read_text("ascii", "replace") if path.is_file() else ""
    opens, colon, _ = text.lstrip()[:40].partition(":")
    return opens.removeprefix(_OPENS) if colon and opens.startswith(_OPENS) else ""


def realm_of(name: Any) -> Realm:
    """Raises BadPaper."""
    found = REALMS.get(name.decode("utf-8", "replace")) if isinstance(name, bytes) else None
    if found is None:
        raise BadPaper(f"it is of a realm that this program does not know: {name!r}.")
    return found


def _a(kind: str) -> str:
    return {"invitation": "an invitation", "acts": "a list of acts"}.get(kind, f"a {kind}")


def _sum(kind: str, raw: bytes) -> bytes:
    return H("charter/paper", kind.encode(), b"\0", raw)[:_CHECK]


class Invitation(NamedTuple):
    """name: of the alliance. charter: empty while it is founded. since: the number that the newcomer's first key signs.
    address: where the node of who invites is, or empty. seed: of the key that signs one card."""

    realm: Realm
    name: str
    charter: bytes
    since: int
    address: str
    seed: bytes

    @property
    def signer(self) -> Signer:
        return Signer(self.realm, self.seed)

    @property
    def text(self) -> str:
        """The line that is given away."""
        return write("invitation", [*_said(self), self.seed])

    @classmethod
    def of(cls, text: str) -> Invitation:
        """Raises BadPaper."""
        realm, name, charter, since, address, seed = _fields(read("invitation", text, "the invitation"), 6)
        return cls(realm_of(realm), name.decode(), charter, since, address.decode(), seed)


def _said(i: Invitation) -> list[Any]:
    return [i.realm.name.encode(), i.name.encode(), i.charter, i.since, i.address.encode()]


class Card(NamedTuple):
    """The seat that a newcomer asks for. invitation: the key of its invitation. spare: a signature of the spare key, so
    that a member may propose to admit it; empty while the charter is founded."""

    invitation: WriterKey
    seat: Seat
    spare: bytes
    sig: bytes

    @property
    def raw(self) -> bytes:
        """CBOR of the fields that the text has, too."""
        return encode(self._plain())

    @property
    def asked(self) -> bytes:
        """CBOR of what it asks for: [seat, spare's sig], as in a `join-alliance` message."""
        return encode(self._plain()[1:3])

    @property
    def text(self) -> str:
        return write("card", self._plain())

    @property
    def admission(self) -> Admit:
        return Admit(self.seat, self.spare)

    def _plain(self) -> list[Any]:
        return [self.invitation, plain_seat(self.seat)[:7], self.spare, self.sig]

    @classmethod
    def of(cls, value: list[Any]) -> Card:
        """Raises BadPaper. Does not check its signature."""
        key, seat, spare, sig = _fields(value, 4)
        try:
            if not all(isinstance(one, bytes) for one in (key, spare, sig)):
                raise Malformed("its keys and signatures are bytes")
            return cls(WriterKey(key), seats_of([[*seat, 1, 0]])[0], spare, sig)
        except (Malformed, TypeError) as why:
            raise BadPaper(f"the card names no seat: {why}.") from None

    @classmethod
    def signed(cls, i: Invitation, seat: Seat, spare: bytes) -> Card:
        """By the key of its invitation."""
        bare = cls(i.signer.key, seat, spare, b"")
        return bare._replace(sig=i.signer.sign(_card_id(i, bare)))

    def check(self, i: Invitation) -> None:
        """Raises BadPaper unless it was made with this invitation."""
        try:
            verify(i.realm, self.invitation, _card_id(i, self), self.sig)
        except BadSignature:
            said = f"the card of {self.seat.domain.decode()} was not made with the invitation that it names"
            raise BadPaper(f"{said}: one of the two was altered.") from None


def _card_id(i: Invitation, c: Card) -> EntryId:
    return EntryId(H("charter/card", encode([*_said(i), c.invitation, plain_seat(c.seat)[:7], c.spare])))


def proposal_text(realm: Realm, charter: CharterId, p: Proposal) -> str:
    """For a member that makes a content of it."""
    return write("proposal", [realm.name.encode(), charter, plain_proposal(p)])


def proposal_from(charter: CharterId, path: Path) -> Proposal:
    """Of a file. Raises BadPaper."""
    _, of, plain = _fields(read_file("proposal", path), 3)
    if of != charter:
        raise BadPaper(f"{path} is of another charter, {of.hex()[:16]}; this one is {charter.hex()[:16]}.")
    try:
        return proposal_of(plain)
    except Malformed as why:
        raise BadPaper(f"{path}: {why}.") from None


def acts_text(ledger: ActLedger, acts: Iterable[Act]) -> str:
    """The founding with these acts."""
    return write("acts", [ledger.realm.name.encode(), encode_act(ledger.founding), list(map(encode_act, acts))])


def ledger_of(paths: Iterable[Path]) -> ActLedger:
    """What the acts of these files come to; each signature is checked. Raises BadPaper."""
    ledger: ActLedger | None = None
    for path in paths:
        realm, founding, acts = _fields(read_file("acts", path), 3)
        try:
            ledger = add_acts(ledger, realm_of(realm), founding, acts)
        except BanyanError as why:
            raise BadPaper(f"{path} cannot be used: {why}.") from None
    if ledger is None:
        raise BadPaper("no file of acts was named.")
    ledger.settle()
    return ledger


def add_acts(ledger: ActLedger | None, realm: Realm, founding: bytes, acts: Iterable[bytes]) -> ActLedger:
    """Raises BanyanError."""
    first = decode_act(realm, founding)
    if not isinstance(first, Founding):
        raise Malformed("its first act is no founding")
    if ledger is None:
        ledger = ActLedger(realm, first)
    if (ledger.founding.id, ledger.realm) != (first.id, realm):
        raise Malformed(
            f"it is of another charter, {first.id.hex()[:16]}; the others are of {ledger.charter.hex()[:16]}"
        )
    for raw in acts:
        act = decode_act(realm, raw)
        if isinstance(act, Founding) or act.charter != ledger.charter:
            raise Malformed("it lists an act of another charter")
        ledger.add(act)
    return ledger


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """One at a time has the file. Raises HomeError: its folder cannot be written, or another has it."""
    try:
        make_folder(path.parent)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeError(f"{path.parent} cannot be written ({error.strerror}), so nothing was signed.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise HomeError(f"another command uses {path}; let it end first.") from None
    finally:
        os.close(lock)


def _fields(value: list[Any], size: int) -> list[Any]:
    if len(value) != size:
        raise BadPaper(f"it is of another version of this program: {len(value)} fields, and {size} are read.")
    return value
