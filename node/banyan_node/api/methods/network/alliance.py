"""The charter that this node follows: its acts, what they come to, and acts that its operator brings."""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from itertools import islice
from typing import Annotated

from msgspec import Meta

from banyan_charter.acts import Act, CharterId, Founding, encode_act
from banyan_charter.ledger import Ledger, state_of
from banyan_node.api.alliance_rows import AllianceStatus, EpochRow, MemberRow, history_of, member_rows, status_of
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, NoResult, Request, Response
from banyan_node.context import Context
from banyan_node.operator_errors import bad_request, not_found
from banyan_storage.local_tables import FOLLOWED_CHARTER

METHODS = MethodTable()
PAGE_BYTES = 1 << 20
ActText = Annotated[str, Meta(title="an act", description="The bytes of an act of charter.md, in base64.")]


class MemberRows(Response):
    members: list[MemberRow]


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


def _acts(at: CommitView) -> tuple[Founding, Iterable[Act]]:
    charter = FOLLOWED_CHARTER.get(at.store)
    found = None if charter is None else at.store.charter(CharterId(charter))
    if found is None:
        raise not_found("This node follows no charter: `banyan alliance follow FILE` with a file of its acts.")
    return found


def _ledger(at: CommitView) -> Ledger:
    """Its acts were verified when they came."""
    return state_of(at.store.realm, *_acts(at))


@METHODS.read("alliance.status", "not_found", slow=True)
def status(at: CommitView, ask: EmptyRequest) -> AllianceStatus:
    """What stands of the charter that this node follows, what is open, and whose signatures are missing."""
    return status_of(_ledger(at))


@METHODS.read("alliance.members", "not_found", slow=True)
def members(at: CommitView, ask: EmptyRequest) -> MemberRows:
    """The members of its last epoch."""
    return MemberRows(member_rows(_ledger(at)))


@METHODS.read("alliance.history", "not_found", slow=True)
def history(at: CommitView, ask: HistoryRequest) -> EpochRows:
    """Its epochs, the oldest first."""
    return EpochRows(list(islice(history_of(_ledger(at), ask.since), ask.limit)))


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


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise bad_request("An act is base64 of its bytes.") from None
