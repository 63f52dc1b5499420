"""The invitations that this home gave out, and the cards that came for them: one file in the home, `alliance/invited`.

The node and commands both use it, in turns by a lock on it. An invitation is good for one card: the same card again is
the same answer, another is refused.

    [realm, name, charter 32 or empty, since, address, parameters, founder's seat or [], [[seed 32, card or empty] ...]]
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from banyan_charter.acts import ContentId, Founding, founding_body, id_of
from banyan_charter.values import Parameters, Seat, parameters_of, plain_parameters, plain_seat, seat_of
from banyan_crdt.codec import decode, encode
from banyan_node.alliance.papers import BadPaper, Card, Invitation, realm_of
from banyan_node.home.folder import write_private
from banyan_node.operator_errors import HomeError
from banyan_storage.lmdb_folder import make_folder


@dataclass
class Invited:
    """offer: what all invitations of the file say, without a seed. founder: the seat of who founds, None if the charter
    stands. given: the seed of each, and the card that came for it."""

    path: Path
    offer: Invitation
    parameters: Parameters
    founder: Seat | None
    given: dict[bytes, Card | None]

    def give(self, count: int) -> list[Invitation]:
        """So many new invitations."""
        made = [self.offer._replace(seed=secrets.token_bytes(32)) for _ in range(count)]
        self.given.update((one.seed, None) for one in made)
        self.save()
        return made

    def open(self) -> list[Invitation]:
        """Those that no card came for."""
        return [self.offer._replace(seed=seed) for seed, card in self.given.items() if card is None]

    def take(self, card: Card) -> None:
        """Raises BadPaper with a sentence for who sent it."""
        asked = (one for one in self.given if self.offer._replace(seed=one).signer.key == card.invitation)
        if (seed := next(asked, None)) is None:
            raise BadPaper("no invitation of this card was given out here: it was altered, or is another alliance's.")
        card.check(self.offer._replace(seed=seed))
        if (before := self.given[seed]) == card:
            return
        if before is not None:
            raise BadPaper(f"{before.seat.domain.decode()} used this invitation already; each is good once.")
        for seat in self.seats():
            if seat.domain == card.seat.domain or seat.member == card.seat.member:
                raise BadPaper(f"{seat.domain.decode()} has a seat already, with this domain or this account.")
        self.given[seed] = card
        self.save()

    def cards(self) -> list[Card]:
        """Those that came."""
        return [card for card in self.given.values() if card is not None]

    def seats(self) -> list[Seat]:
        """Of who founds, and of the cards, in the order of their members."""
        return sorted([*([self.founder] if self.founder else []), *(card.seat for card in self.cards())])

    def founding(self) -> Founding | None:
        """Epoch 0, once all cards are there."""
        if self.founder is None or self.open():
            return None
        body = founding_body(self.offer.name.encode(), tuple(self.seats()), self.parameters)
        return Founding(ContentId(id_of(self.offer.realm, body)), body[1], tuple(self.seats()), self.parameters)

    def save(self) -> None:
        o = self.offer
        plain = [
            *(o.realm.name.encode(), o.name.encode(), o.charter, o.since, o.address.encode()),
            plain_parameters(self.parameters),
            plain_seat(self.founder) if self.founder else [],
            [[seed, card.raw if card else b""] for seed, card in self.given.items()],
        ]
        write_private(self.path, encode(plain))


@contextmanager
def invited(folder: Path, new: Invited | None = None) -> Iterator[Invited | None]:
    """The file of a home; `new` is written if there is none. Raises HomeError."""
    path = folder / "invited"
    try:
        make_folder(folder)
        lock = os.open(folder / ".invited.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists() and new is not None:
                new.save()
            yield _read(path) if path.exists() else None
        finally:
            os.close(lock)
    except OSError as error:
        raise HomeError(f"{path} cannot be written ({error.strerror}), so nothing was done.") from error


def _read(path: Path) -> Invited:
    plain: Any = decode(path.read_bytes())
    realm, name, charter, since, address, parameters, founder, given = plain
    offer = Invitation(realm_of(realm), name.decode(), charter, since, address.decode(), b"")
    cards = {seed: Card.of(decode(raw)) if raw else None for seed, raw in given}
    return Invited(path, offer, parameters_of(parameters), seat_of(founder) if founder else None, cards)
