"""The charter that this node follows: its acts, what they come to, and acts that its operator brings."""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Annotated

import trio
from msgspec import Meta
from msgspec.structs import replace

from banyan_charter.acts import Act, CharterId, Founding, encode_act
from banyan_charter.ledger import ActLedger, state_of
from banyan_crdt.ids import account_from_text
from banyan_node.alliance.invitations import FOUNDED, REFUSED
from banyan_node.alliance.papers import BadPaper, Card, read
from banyan_node.api.alliance_rows import AllianceStatus, EpochRow, SeatRow, history_of, member_rows, status_of
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, NoResult, Request, Response, Shell
from banyan_node.api.methods.network.network import AddrRequest, add
from banyan_node.context import Context
from banyan_node.operator_errors import CallError, bad_request, not_found
from banyan_node.policy import said_by
from banyan_storage.local_tables import FOLLOWED_CHARTER

METHODS = MethodTable()
PAGE_BYTES = 1 << 20
ANSWER_S, LOOK_S = 5.0, 0.1
"""How long the node of who invited may take to answer a card, and how often it is looked for, seconds."""
ActText = Annotated[str, Meta(title="an act", description="The bytes of an act of charter.md, in base64.")]


class MemberRows(Response):
    members: list[SeatRow]


class HistoryRequest(Request):
    """since: the first epoch that is wanted."""

    since: Annotated[int, Meta(ge=1, lt=1 << 32)] = 1
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class EpochRows(Response):
    epochs: list[EpochRow]


class ActsRequest(Request):
    """after: how many acts of the same list were answered before."""

    after: Annotated[int, Meta(ge=0)] = 0


class ActTexts(Response):
    """acts: the founding first, then the others by number. after: of the next page; null: there is none."""

    acts: list[ActText]
    after: int | None


class OfferRequest(Request):
    acts: Annotated[list[ActText], Meta(max_length=10_000)]


class Offered(Response):
    """refused: why an act was not taken, a sentence each; some are taken once others came."""

    held: int
    refused: list[str]


class FollowRequest(Request):
    """founding: of the charter, the first of its acts."""

    founding: ActText


class CardRequest(Request):
    """address: where the node of who invited is; of several, with spaces between, the first that answers."""

    address: Annotated[str, Meta(min_length=1, max_length=4_000)]
    card: Annotated[str, Meta(title="a card", description="The line of text of alliance.md.")]


class CardAnswer(Response):
    """founding: of the charter, once all cards are there; null before. said: what it waits for."""

    founding: ActText | None
    said: str


def _acts(at: CommitView) -> tuple[Founding, Iterable[Act]]:
    charter = FOLLOWED_CHARTER.get(at.store)
    found = None if charter is None else at.store.charter(CharterId(charter))
    if found is None:
        raise not_found("This node follows no charter: `banyan alliance follow FILE` with a file of its acts.")
    return found


def ledger_here(at: CommitView) -> ActLedger:
    """Its acts were verified when they came."""
    return state_of(at.store.realm, *_acts(at))


@METHODS.read("alliance.status", "not_found", slow=True)
def status(at: CommitView, ask: EmptyRequest) -> AllianceStatus:
    """What stands of the charter that this node follows, what is open, and whose signatures are missing."""
    return status_of(ledger_here(at))


@METHODS.read("alliance.members", "not_found", slow=True)
def members(at: CommitView, ask: EmptyRequest) -> MemberRows:
    """The members of its last epoch."""
    rows = member_rows(ledger := ledger_here(at))
    says = [said_by(at, account_from_text(row.account)) for row in rows]
    sure = (said is not None and said.charter == ledger.charter for said in says)
    return MemberRows([replace(row, confirmed=one) for row, one in zip(rows, sure, strict=True)])


@METHODS.read("alliance.history", "not_found", slow=True)
def history(at: CommitView, ask: HistoryRequest) -> EpochRows:
    """Its epochs, the oldest first."""
    return EpochRows(list(islice(history_of(ledger_here(at), ask.since), ask.limit)))


@METHODS.read("alliance.acts", "not_found", slow=True)
def acts(at: CommitView, ask: ActsRequest) -> ActTexts:
    """All acts of the charter that this node follows, for whoever verifies them."""
    founding, others = _acts(at)
    page, size = list[ActText](), 0
    for n, act in enumerate((founding, *others)):
        if n < ask.after:
            continue
        if size >= PAGE_BYTES:
            return ActTexts(page, n)
        page.append(b64encode(raw := encode_act(act)).decode())
        size += len(raw)
    return ActTexts(page, None)


@METHODS.write("alliance.follow", "refused", audited=True)
def follow(c: Context, ask: FollowRequest, now: float) -> NoResult:
    """Follows this charter instead of another one. Acts of both are kept."""
    c.replica.charter.follow(_bytes(ask.founding))
    return NoResult()


@METHODS.write("alliance.leave", audited=True)
def leave(c: Context, ask: EmptyRequest, now: float) -> NoResult:
    """Follows no charter any more; its acts are kept."""
    c.replica.charter.leave()
    return NoResult()


@METHODS.write("alliance.offer", "not_found", audited=True)
def offer(c: Context, ask: OfferRequest, now: float) -> Offered:
    """Takes acts that its operator brings, such as votes that were signed offline."""
    charter = c.replica.charter
    if charter.ledger is None:
        raise not_found("This node follows no charter: `banyan alliance follow FILE` with a file of its acts.")
    raws = list(map(_bytes, ask.acts))
    for raw in raws:
        charter.offer(raw)
    why = [said for raw in raws if (said := charter.offer(raw)) is not None]  # once all are there
    return Offered(len(raws) - len(why), why)


@METHODS.node("alliance.join", "write", "no_peer", "refused")
async def join(shell: Shell, ask: CardRequest) -> CardAnswer:
    """Sends a card to the node of who invited. Ask again until it answers the founding."""
    try:
        card = Card.of(read("card", ask.card, "the card"))
    except BadPaper as why:
        raise bad_request(str(why)) from None
    peer = await _linked(shell, ask.address.split())

    def send(c: Context, now: float) -> bool:
        c.joined.pop(peer, None)
        return c.replica.charters.join(peer, card.invitation, card.asked, card.sig)

    with trio.move_on_after(ANSWER_S):
        while not await shell.worker.call(send):
            await trio.sleep(LOOK_S)
        while (found := await shell.worker.call(lambda c, now: c.joined.pop(peer, None))) is None:
            await trio.sleep(LOOK_S)
        state, said = found
        if state == FOUNDED:
            return CardAnswer(b64encode(said).decode(), "")
        if state == REFUSED:
            raise CallError("refused", f"The node of who invited says: {said.decode('utf-8', 'replace')}")
        return CardAnswer(None, said.decode("utf-8", "replace"))
    return CardAnswer(None, "The node of who invited did not answer yet.")


async def _linked(shell: Shell, addresses: list[str]) -> str:
    """The peer of these addresses, linked. Raises CallError."""
    linked = await shell.worker.call(lambda c, now: set(c.replica.peers.greeted()))
    for addr in addresses:
        if (peer := addr.rsplit("/p2p/", 1)[-1]) in linked:
            return peer
    for addr in addresses[:-1]:
        with suppress(CallError):
            return (await add(shell, AddrRequest(addr))).peer
    return (await add(shell, AddrRequest(addresses[-1] if addresses else ""))).peer


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise bad_request("An act is base64 of its bytes.") from None
