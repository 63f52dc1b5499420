"""An alliance of members that all sign what is proposed, for tests of what nodes do with its acts."""

from __future__ import annotations

from collections.abc import Sequence

from banyan_charter.acts import Act, CharterId, Content, ContentId, Founding, Proposal, Remark, founding_body, id_of
from banyan_charter.ledger import state_of
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.values import Parameters
from banyan_crdt.realm import TEST
from tests.charter.bridge import account, seat, tree


class Alliance:
    """`ledger`: all acts that it made."""

    def __init__(self, members: int, name: bytes = b"Test") -> None:
        seats = tuple(seat(k, 0) for k in range(members))
        self.founding = Founding(
            ContentId(id_of(TEST, founding_body(name, seats, Parameters()))), name, seats, Parameters()
        )
        self.signers = [SeatSigner(TEST, self.charter, account(k), tree(k, 0)) for k in range(members)]
        self.founded: list[Act] = [s.commit(0, 1, self.founding.id) for s in self.signers]
        self.ledger = state_of(TEST, self.founding, self.founded)

    @property
    def charter(self) -> CharterId:
        return CharterId(self.founding.id)

    def adopt(self, *proposals: Proposal) -> list[Act]:
        """Content, votes and commits of the next number, in this order. No proposals: a note."""
        epoch = self.ledger.epochs[-1]
        content, _ = self.signers[0].content(epoch, proposals or [Remark(b"number %d" % (epoch.number + 1))])
        return self.took([content, *self.votes(content), *self.commits(content)])

    def votes(self, x: Content, ballot: int = 1) -> list[Act]:
        return [s.vote(x.number, ballot, x.id) for s in self.signers]

    def commits(self, x: Content, ballot: int = 1) -> list[Act]:
        return [s.commit(x.number, ballot, x.id) for s in self.signers]

    def took(self, acts: Sequence[Act]) -> list[Act]:
        for act in acts:
            self.ledger.add(act)
        self.ledger.settle()
        return [*acts]
