"""The public log of what was withheld, its witnesses, and proofs that something is in it. docs/transparency.md says
what it shows.

The door posts what `transparency.requests` says, and brings it the answers.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Annotated

import msgspec
from msgspec import Meta

from banyan_crdt.ids import AccountId, account_from_text
from banyan_duties.commitment import path_of
from banyan_node.api.declare import EmptyRequest, MethodTable, PostOf, Request, Response
from banyan_node.api.json_types import did, target_of
from banyan_node.api.methods.moderation.order_execution import Hash
from banyan_node.context import Context
from banyan_node.moderation.known_orders import find, items_of, known_orders
from banyan_node.operator_errors import bad_request, not_found
from banyan_node.transparency import member_logs, witnessing
from banyan_node.transparency.lines import line_name, opened
from banyan_node.transparency.public_log import log_key, witness_key
from banyan_schema.social import post_to_text
from banyan_schema.social.order import ORDER_ACTS, OrderNotice
from banyan_storage.alliance_tables import ORDERED, PUBLIC_PLACES, TWO_HISTORIES
from banyan_translog.checkpoints import EntryProof
from banyan_translog.merkle import inclusion_proof
from banyan_translog.notes import signers

METHODS = MethodTable()
Bytes = Annotated[str, Meta(title="bytes", description="Base64.", max_length=1 << 19)]
Did = Annotated[str, Meta(title="an account", description="Its DID.", max_length=200)]


class MemberLogRow(Response):
    """A member of the charter. url: of its log. log, witness: keys as `NAME+ID+KEY`. cosigned: whether it cosigned this
    node's last checkpoint; why: it did not, when it was asked. counts: whether its cosignature is one of those that are
    needed."""

    member: str
    domain: str
    url: str
    log: str
    witness: str
    cosigned: bool
    why: str
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


class WitnessAnswer(Request):
    """What a member answered to a request of this size. status: 0: it was not reached, and `body` says why."""

    member: Did
    size: Annotated[int, Meta(ge=0)]
    status: Annotated[int, Meta(ge=0, le=999)]
    body: Bytes


class WitnessAnswers(Request):
    answers: Annotated[tuple[WitnessAnswer, ...], Meta(max_length=100)] = ()


class WitnessRequest(Response):
    """size: of the checkpoint that it shows."""

    member: str
    url: str
    size: int
    body: Bytes


class WitnessRequests(Response):
    """refused: why answers are of no use."""

    requests: list[WitnessRequest]
    refused: list[str]


class CosignedAfter(Request):
    after: Annotated[int, Meta(ge=0, le=1 << 62)] = 0


class CosignedNotes(Response):
    """Signed notes. last: one, or none."""

    notes: list[str]
    last: list[str]


class LogRead(Request):
    """What was read of a log: up to which line, the time of its last cosigned checkpoint, and the first times of lines,
    in milliseconds. why: nothing was."""

    log: Hash
    mark: Hash
    size: Annotated[int, Meta(ge=0)] = 0
    last_ms: Annotated[int, Meta(ge=0)] = 0
    times: dict[Hash, int] = msgspec.field(default_factory=dict)
    why: Annotated[str, Meta(max_length=1_000)] = ""


class LogsRead(Request):
    reads: Annotated[tuple[LogRead, ...], Meta(max_length=100)] = ()


class LogToRead(Response):
    """See `member_logs.Wanted`. log, witnesses: public keys."""

    url: str
    log: Hash
    mark: Hash
    after: int
    accounts: list[str]
    witnesses: list[Hash]
    needed: int


class LogsToRead(Response):
    logs: list[LogToRead]


class CosignRequest(Request):
    body: Bytes


class CosignAnswer(Response):
    """status: of HTTP."""

    status: int
    body: str


class ProveRequest(PostOf):
    """salt: whether the salt is wanted too, by which it can be checked that the order names this post."""

    salt: bool = False


class PathStep(Response):
    """right: whether `hash` is on the right side."""

    right: bool
    hash: str


class NamedItem(Response):
    """The leaf H("order/leaf", salt, account, key, digest) of the order's tree (orders.md), and the way to its root."""

    salt: str
    digest: str
    path: list[PathStep]


class WithheldProof(Response):
    """order: by which the post is withheld here; content: of it, of which the id is made. line: of the log, what this
    node said of it; proof: that it is there, as a file of C2SP tlog-proof."""

    uri: str
    order: str
    issuer: str
    content: Bytes
    line: Bytes
    proof: str
    item: NamedItem | None


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
            own.pauses[m].why if m in own.pauses else "",
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
def requests(ctx: Context, ask: WitnessAnswers, now: float) -> WitnessRequests:
    """Takes what members answered, and says what is to be posted to which members now, so that they cosign this node's
    last checkpoint."""
    answers = [(_account(one.member), one.size, one.status, _bytes(one.body)) for one in ask.answers]
    refused = [why for one in answers if (why := witnessing.answered(ctx, *one, now)) is not None]
    found = witnessing.requests(ctx, now)
    return WitnessRequests([WitnessRequest(did(m), url, size, _base64(raw)) for m, url, size, raw in found], refused)


@METHODS.write("transparency.cosigned")
def cosigned(ctx: Context, ask: CosignedAfter, now: float) -> CosignedNotes:
    """Checkpoints of this node's log with more lines than this, as they were when enough witnesses had cosigned them;
    and the last one."""
    kept, last = member_logs.cosigned_notes(ctx, ask.after, now)
    return CosignedNotes([raw.decode() for raw in kept], [raw.decode() for raw in last])


@METHODS.write("transparency.logs")
def logs(ctx: Context, ask: LogsRead, now: float) -> LogsToRead:
    """Takes what was read of the logs of other members, and says which are to be read now."""
    for one in ask.reads:
        times = {bytes.fromhex(name): ms for name, ms in one.times.items()}
        found = one.why or member_logs.Found(one.size, one.last_ms, times)
        member_logs.took(ctx, bytes.fromhex(one.log), bytes.fromhex(one.mark), found, now)
    return LogsToRead(
        [
            LogToRead(url, key.hex(), one.mark.hex(), after, [*map(did, accounts)], [key.hex() for key in keys], needed)
            for one in member_logs.wanted(ctx, now)
            for url, key, after, accounts, keys, needed in [one]
        ]
    )


@METHODS.write("transparency.cosign")
def cosign(ctx: Context, ask: CosignRequest, now: float) -> CosignAnswer:
    """Answers the log of a member as its witness (C2SP tlog-witness)."""
    found = witnessing.cosign(ctx, _bytes(ask.body), now)
    return CosignAnswer(found.status, found.body)


@METHODS.write("transparency.prove", "not_found")
def prove(ctx: Context, ask: ProveRequest, now: float) -> WithheldProof:
    """Which order withholds a post here, and the proof that this is in the public log."""
    post = target_of(ask.uri)
    ordered, log = ORDERED.get(ctx.store, post), opened(ctx, now)
    if ordered is None:
        raise not_found(f"No order of the alliance withholds {post_to_text(post)} here.")
    known = known_orders(ctx)
    one = find(known, ordered.order.hex())
    names = [line_name("receipt", m, one.id) for m in known.scope_of(one.id).members]
    names.append(line_name("order", one.issuer, one.id))
    place = next((n for name in names if (n := PUBLIC_PLACES.get(ctx.store, name)) is not None), None)
    if place is None or place >= log.size:
        raise not_found(f"Order {one.id.hex()[:16]} withholds it; that is not in the public log yet: ask again soon.")
    proof = EntryProof(place, tuple(inclusion_proof(log.hashes(log.size), place, log.size)), log.note)
    item = None
    if ask.salt and (items := items_of(ctx, one)):
        found = next(item for item in items if item.post == post)
        steps = [PathStep(right, one.hex()) for right, one in path_of(sorted(i.leaf for i in items), found.leaf)]
        item = NamedItem(found.salt.hex(), found.digest.hex(), steps)
    content = ORDER_ACTS[OrderNotice].encode(one.order)
    what = (_base64(content), _base64(log.line(place)), proof.raw.decode())
    return WithheldProof(post_to_text(post), one.id.hex(), did(one.issuer), *what, item)


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
