"""The public log of what was withheld, its witnesses, and proofs that something is in it. docs/transparency.md says
what it shows.

The door asks witnesses by `transparency.requests` and brings what they answered.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId, account_from_text
from banyan_node.api.declare import EmptyRequest, MethodTable, Request, Response
from banyan_node.api.json_types import did
from banyan_node.context import Context
from banyan_node.operator_errors import bad_request
from banyan_node.transparency import witnessing
from banyan_node.transparency.lines import opened
from banyan_node.transparency.public_log import log_key, witness_key
from banyan_storage.local_tables import TWO_HISTORIES
from banyan_translog.notes import signers

METHODS = MethodTable()
Bytes = Annotated[str, Meta(title="bytes", description="Base64.", max_length=1 << 19)]
Did = Annotated[str, Meta(title="an account", description="Its DID.", max_length=200)]


class MemberLogRow(Response):
    """A member of the charter. url: of its log. log, witness: keys as `NAME+ID+KEY`. cosigned: whether it cosigned this
    node's last checkpoint. counts: whether its cosignature is one of those that are needed."""

    member: str
    domain: str
    url: str
    log: str
    witness: str
    cosigned: bool
    counts: bool


class LogState(Response):
    """log, witness: this node's keys. size, root: of its last checkpoint, cosigned by so many of those that count, of
    which `needed` are needed. two_histories: names of logs of which this node keeps a proof that they show two."""

    log: str
    witness: str
    size: int
    root: str
    cosigned: int
    needed: int
    members: list[MemberLogRow]
    two_histories: list[str]


class WitnessRequests(Request):
    """but: members that did not answer lately."""

    but: Annotated[tuple[Did, ...], Meta(max_length=4_096)] = ()


class WitnessRequest(Response):
    """size: of the checkpoint that it shows."""

    member: str
    url: str
    size: int
    body: Bytes


class WitnessRequestRows(Response):
    requests: list[WitnessRequest]


class WitnessAnswered(Request):
    member: Did
    size: Annotated[int, Meta(ge=0)]
    status: Annotated[int, Meta(ge=0, le=999)]
    body: Bytes


class WitnessVerdict(Response):
    """why: it is of no use; null: it is taken."""

    why: str | None


class CosignRequest(Request):
    body: Bytes


class CosignAnswer(Response):
    """status: of HTTP."""

    status: int
    body: str


@METHODS.write("transparency.show")
def show(ctx: Context, ask: EmptyRequest, now: float) -> LogState:
    """This node's public log, and those of the members of its charter."""
    own, counting = opened(ctx, now), witnessing.witnesses(ctx)
    keys = {m: witness_key(one.witness) for m, one in ctx.member_logs.items()}
    done = {one.key for one in signers(own.note, keys.values())} if own.size else set()
    seats = ctx.replica.charter.ledger.epochs[-1].seats if ctx.member_logs and ctx.replica.charter.ledger else {}
    rows = [
        MemberLogRow(
            did(m),
            seats[m].domain.decode(),
            one.url,
            log_key(one.log).text,
            keys[m].text,
            keys[m] in done,
            m in counting,
        )
        for m, one in sorted(ctx.member_logs.items())
        if m in seats
    ]
    return LogState(
        own.signer.key.text,
        own.witness.key.text,
        own.size,
        own.checkpoint.root.hex(),
        len({keys[m] for m in counting if keys[m] in done}),
        witnessing.needed(ctx),
        rows,
        [*TWO_HISTORIES.keys(ctx.store)],
    )


@METHODS.write("transparency.requests")
def requests(ctx: Context, ask: WitnessRequests, now: float) -> WitnessRequestRows:
    """What is to be posted to which members, so that they cosign this node's last checkpoint."""
    found = witnessing.requests(ctx, now, set(map(_account, ask.but)))
    return WitnessRequestRows([WitnessRequest(did(m), url, size, _base64(raw)) for m, url, size, raw in found])


@METHODS.write("transparency.answered")
def answered(ctx: Context, ask: WitnessAnswered, now: float) -> WitnessVerdict:
    """Takes the answer of a member's witness."""
    body = _bytes(ask.body)
    return WitnessVerdict(witnessing.answered(ctx, _account(ask.member), ask.size, ask.status, body, now))


@METHODS.write("transparency.cosign")
def cosign(ctx: Context, ask: CosignRequest, now: float) -> CosignAnswer:
    """Answers the log of a member as its witness (C2SP tlog-witness)."""
    found = witnessing.cosign(ctx, _bytes(ask.body), now)
    return CosignAnswer(found.status, found.body)


def _account(text: str) -> AccountId:
    try:
        return account_from_text(text)
    except ValueError as why:
        raise bad_request(f"{why}") from None


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise bad_request("The body is base64.") from None
