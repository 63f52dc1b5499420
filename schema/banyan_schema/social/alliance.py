"""What a member of an alliance says of itself: the charter that it follows, how far it is, and where its nodes are; and
which accounts it hosts.

| collection | op | cell | content |
|---|---|---|---|
| membership | put | one for the account | [charter, epoch, digest, [address ...], [URL, log key, witness key] / null] |
| hosted | put | one for each number | [number, standing, accounts, new accounts an hour] |

A charter gives a seat to whoever has its keys; by its membership the account itself says that the seat is its own. What
its list comes to is docs/hosting.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from banyan_crdt.ids import AccountId, Ref
from banyan_crdt.ops import Put
from banyan_schema.collection import Collection, OpDraft, cell_key
from banyan_schema.compound import many, record
from banyan_schema.fields import HASH, blob, number, text
from banyan_schema.layout import Layout

MAX_NODES, MAX_ADDRESS = 8, 256
"""Addresses, and the bytes of one."""


class MemberLog(NamedTuple):
    """Where a member's public log can be read and shown to its witness, and the Ed25519 keys of both."""

    url: str
    log: bytes
    witness: bytes


class AllianceMembership(NamedTuple):
    """epoch: the last one that stands for the member. digest: of the acts that it holds (docs/charter.md). nodes:
    addresses at which its nodes can be dialled, each with the peer's id at its end. log: of what it withheld."""

    charter: bytes
    epoch: int
    digest: bytes
    nodes: tuple[str, ...] = ()
    log: MemberLog | None = None


COLLECTION = Collection(
    "membership",
    "register",
    Layout(
        AllianceMembership,
        tuple,
        (HASH, number("an epoch"), HASH, many("addresses", text("an address", MAX_ADDRESS), MAX_NODES)),
        later=(record("a log", MemberLog, text("the address of a log", MAX_ADDRESS), HASH, HASH),),
    ),
)
MEMBERSHIP = COLLECTION.id
MAX_BATCH = 512
"""Accounts of a batch."""


class HostedBatch(NamedTuple):
    """A part of a member's list. number: its place among the batches. standing: as `banyan_charter.hosting.Standing`.
    accounts: their ids one after the other, 32 bytes each. hourly: new accounts an hour; None: as the charter says."""

    number: int
    standing: int
    accounts: bytes
    hourly: int | None = None

    def ids(self) -> tuple[AccountId, ...]:
        """The accounts. A last one that is cut off is none."""
        return tuple(AccountId(self.accounts[at : at + 32]) for at in range(0, len(self.accounts) - 31, 32))


HOSTED = Collection(
    "hosted",
    "register",
    Layout(
        HostedBatch,
        tuple,
        (number("a number"), number("a standing"), blob("accounts", 32 * MAX_BATCH)),
        (number("new accounts an hour"),),
    ),
)
COLLECTIONS = (COLLECTION, HOSTED)


def be_member(salt: bytes, said: AllianceMembership) -> OpDraft:
    """Says it. `salt`: the account's, 32 bytes. Raises ValueError past a limit; take it back with `undo`."""
    return OpDraft(Put(MEMBERSHIP, cell_key(salt, b"membership"), (), None), COLLECTION.encode(said))


def list_hosted(salt: bytes, said: HostedBatch, replaces: Iterable[Ref] = ()) -> OpDraft:
    """The batch of this number. `replaces`: the live writes of its cell. As `be_member`."""
    key = cell_key(salt, b"hosted", said.number.to_bytes(8, "big"))
    return OpDraft(Put(HOSTED.id, key, tuple(replaces), None), HOSTED.encode(said))
