"""The invitations that this home gave out, and the cards that came for them: one file in the home, `alliance/invited`.

The node and commands both use it, in turns by a lock on it. An invitation is good for one card: the same card again is
the same answer, another is refused.

    [realm, name, charter 32 or empty, parameters, founder's seat or [], [[since, address, seed 32, key 32, card] ...]]
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from banyan_charter.acts import ContentId, Founding, encode_act, founding_body, id_of
from banyan_charter.values import Parameters, Seat, parameters_of, plain_parameters, plain_seat, seat_of
from banyan_crdt.codec import decode, encode, read_value
from banyan_crdt.errors import Malformed
from banyan_crdt.realm import Realm
from banyan_node.alliance.papers import BadPaper, Card, Invitation, locked, realm_of
from banyan_node.home.folder import write_private
from banyan_node.operator_errors import HomeError

WAITS, FOUNDED, REFUSED = 1, 2, 3
"""States of a `joined` message. What comes with them: a sentence, the founding's bytes, a sentence."""
ANSWER_BYTES = 1 << 16


@dataclass
class Invited:
    """charter: empty while it is founded, by `founder`, with these parameters. given: by the key of each invitation,
    with the card that came for it."""

    path: Path
    realm: Realm
    name: str
    charter: bytes
    parameters: Parameters
    founder: Seat | None
    given: dict[bytes, tuple[Invitation, Card | None]] = field(default_factory=dict)

    def give(self, count: int, address: str, since: int = 0) -> list[Invitation]:
        """So many new invitations."""
        seeds = (secrets.token_bytes(32) for _ in range(count))
        made = [Invitation(self.realm, self.name, self.charter, since, address, seed) for seed in seeds]
        self.given.update((one.signer.key, (one, None)) for one in made)
        self.save()
        return made

    def open(self) -> list[Invitation]:
        """Those that no card came for."""
        return [one for one, card in self.given.values() if card is None]

    def take(self, card: Card) -> None:
        """Raises BadPaper with a sentence for who sent it."""
        asked, before = self.given.get(card.invitation, (None, None))
        if asked is None:
            raise BadPaper("no invitation of this card was given out here: it was altered, or is another alliance's.")
        card.check(asked)
        if before == card:
            return
        if before is not None:
            raise BadPaper(f"{before.seat.domain.decode()} used this invitation already; each is good once.")
        for seat in self.seats():
            if seat.domain == card.seat.domain or seat.member == card.seat.member:
                raise BadPaper(f"{seat.domain.decode()} has a seat already, with this domain or this account.")
        self.given[card.invitation] = asked, card
        self.save()

    def cards(self) -> list[tuple[Invitation, Card]]:
        """Those that came."""
        return [(one, card) for one, card in self.given.values() if card is not None]

    def seats(self) -> list[Seat]:
        """Of who founds, and of the cards, in the order of their members."""
        return sorted([*([self.founder] if self.founder else []), *(card.seat for _, card in self.cards())])

    def founding(self) -> Founding | None:
        """Epoch 0, once all cards are there."""
        if self.founder is None or self.open():
            return None
        body = founding_body(self.name.encode(), tuple(self.seats()), self.parameters)
        return Founding(ContentId(id_of(self.realm, body)), body[1], tuple(self.seats()), self.parameters)

    def here(self) -> str:
        """How many came, in a sentence."""
        seats = len(self.seats())
        return f"{seats} of {seats + len(self.open())} founders of {self.name} are here."

    def save(self) -> None:
        rows = [
            [one.since, one.address.encode(), one.seed, key, card.raw if card else b""]
            for key, (one, card) in self.given.items()
        ]
        founder, parameters = plain_seat(self.founder) if self.founder else [], plain_parameters(self.parameters)
        said = [self.realm.name.encode(), self.name.encode(), self.charter, parameters, founder, rows]
        write_private(self.path, encode(said))


@contextmanager
def invited(folder: Path, new: Invited | None = None, *, wait: bool = True) -> Iterator[Invited | None]:
    """The file of a home; `new` is written if there is none. wait: until no other has it. Raises HomeError."""
    path = folder / "invited"
    with locked(path, wait=wait):
        try:
            if not path.exists() and new is not None:
                new.save()
            yield _read(path) if path.exists() else None
        except OSError as error:
            raise HomeError(f"{path} cannot be written ({error.strerror}), so nothing was done.") from error


def answer(folder: Path, invitation: bytes, card: bytes, sig: bytes, stands: Founding | None) -> tuple[int, bytes]:
    """What a peer is answered that was invited here. stands: of the charter that this node follows."""
    try:
        said = read_value(card)
        found = Card.of([invitation, *(said if isinstance(said, list) else []), sig])
        with invited(folder, wait=False) if (folder / "invited").exists() else nullcontext() as table:
            if table is None:
                return REFUSED, b"nobody was invited here."
            table.take(found)
            founding = stands if table.charter and stands and stands.id == table.charter else table.founding()
            if founding is None:
                return WAITS, (
                    f"{table.name} waits for its inviter's node." if table.charter else table.here()
                ).encode()
        raw = encode_act(founding)
        return (
            (FOUNDED, raw) if len(raw) <= ANSWER_BYTES else (REFUSED, b"this founding is too long: take it as a file.")
        )
    except (BadPaper, Malformed) as why:
        return REFUSED, f"{str(why).rstrip('.')}.".encode()
    except HomeError:
        return WAITS, b"the node of who invited is busy."


def _read(path: Path) -> Invited:
    """Raises BadPaper."""
    try:
        return _table(path, decode(path.read_bytes()))
    except (Malformed, ValueError, TypeError):
        raise BadPaper(f"{path} has invitations of another version of this program; move it away.") from None


def _table(path: Path, plain: Any) -> Invited:
    realm, name, charter, parameters, founder, rows = plain
    found = Invited(
        *(path, realm_of(realm), name.decode(), charter, parameters_of(parameters)),
        seat_of(founder) if founder else None,
    )
    for since, address, seed, key, raw in rows:
        one = Invitation(found.realm, found.name, charter, since, address.decode(), seed)
        found.given[key] = one, Card.of(decode(raw)) if raw else None
    return found
