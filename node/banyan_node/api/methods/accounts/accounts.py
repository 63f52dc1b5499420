"""Accounts: opens them, lists those hosted here, and shows their control logs."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from banyan_crdt.control import Control, control_op, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import account_to_text, is_checkpoint
from banyan_crdt.ops import Close, Cut, Grant, KeptTip, Op, Pin, Recover, Rotate, decode_body
from banyan_crdt.state import pins_of
from banyan_node.api import json_types as js
from banyan_node.api.declare import CommitView, MethodTable, NodeView, Request, Response
from banyan_node.api.methods.posts.post_rows import name_of
from banyan_node.context import Context
from banyan_node.home.keystore import RECOVERY_SLOT
from banyan_node.home.recovery import slot_of
from banyan_node.hosting import cuts, hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.operator_errors import bad_request, conflict
from banyan_node.terminal_escape import plain
from banyan_replica.intake.own_tips import own_tips
from banyan_schema.social import set_profile

METHODS = MethodTable()
PAGE_MOST = 10_000


class CreateRequest(Request):
    """hosted: true for a user's account, false for this node's own account. recovery: a commitment, as `banyan keys
    words` prints it; default: that of this node's own account."""

    name: str = ""
    hosted: bool = False
    recovery: str | None = None


class ListRequest(Request):
    """after: `after` of the page before."""

    after: Annotated[str | None, Meta(title="an account", description="`after` of the page before.")] = None
    limit: Annotated[int, Meta(ge=0, le=PAGE_MOST)] = 1_000


class AccountOf(Request):
    account: js.Own = None


class CreateResult(Response):
    """created: false if an account was already hosted under that name."""

    account: js.Did
    name: str
    created: bool


class HostedRow(Response):
    """own: whether it is this node's own account."""

    account: js.Did
    name: str
    hosted: bool
    own: bool


class HostedRows(Response):
    """In the order of opening. count: on all pages. after: null on the last page."""

    accounts: list[HostedRow]
    count: int
    after: js.Did | None


class StepRow(Response):
    """One entry of the control log."""

    seq: int
    entry: js.EntryHex
    op: str
    time_ms: js.Milliseconds
    sentence: str


class KeyRow(Response):
    """slot: 0 the root, 1 the recovery key. current, next: the key and its successor. held: whether this node has the
    key."""

    slot: int
    generation: int
    current: js.KeyDigestHex
    next: js.KeyDigestHex
    held: bool


class GrantRow(Response):
    """The writer may write logs first .. first + logs - 1. colls: in these collections, null: in all."""

    writer: js.WriterHex
    first: int
    logs: int
    stratum: int
    until_ms: js.Milliseconds | None
    colls: list[str] | None


class KeptRow(Response):
    log: int
    length: int


class CutRow(Response):
    """A writer that was cut. keeps: up to where its logs still count."""

    writer: js.WriterHex
    keeps: list[KeptRow]


class PinRow(Response):
    """The log is pinned up to this entry."""

    writer: js.WriterHex
    log: int
    seq: int
    entry: js.EntryHex


class CheckpointRow(Response):
    writer: js.WriterHex
    n: int
    seq: int
    root: bool


class LogRow(Response):
    """flag: 1 if it is forked. own: whether this data folder wrote it. (A copied home has the same writer, but writes
    another log.)"""

    writer: js.WriterHex
    log: int
    length: int
    flag: int
    own: bool


class ShowRequest(Request):
    """undo: show what it would be without this entry of its control log and those after it; 0: as it is."""

    account: js.Own = None
    undo: Annotated[int, Meta(ge=0)] = 0


class AccountShown(Response):
    """renewed: whether the account is hosted here and no root key of it came from this node's master, which a thief of
    the home may have."""

    account: js.Did
    name: str
    hosted: bool
    own: bool
    renewed: bool
    frozen: bool
    closed: bool
    path: list[StepRow]
    keys: list[KeyRow]
    grants: list[GrantRow]
    cuts: list[CutRow]
    pins: list[PinRow]
    checkpoints: list[CheckpointRow]
    host: str | None
    logs: list[LogRow]


@METHODS.write("account.create", "refused", audited=True)
def create(ctx: Context, ask: CreateRequest, now: float) -> CreateResult:
    """Opens an account: with `hosted` a user's, and then the call may be repeated; without it this node's own, once."""
    if ask.hosted and not ask.name.strip():
        raise bad_request("The name is empty; give the account a name.")
    recovery = None if ask.recovery is None else slot_of(ask.recovery)
    existing = hosted.named(ctx, ask.name) if ask.hosted else hosted.me(ctx)
    if existing is None and ask.hosted and (plain(ask.name) != ask.name or "/" in ask.name or ask.name in (".", "..")):
        says = "A name stands in addresses: it has no slash, no control character and no mark that turns a line around"
        raise bad_request(f"{says}, and is not . or ..; give another.")
    if existing is not None and not ask.hosted:
        raise conflict(
            f"This node has its own account, {account_to_text(existing)}; for a user's account give 'hosted': true."
        )
    if existing is not None:
        found = hosted.hosted(ctx, existing)
        if found is None:
            raise conflict(f"'{ask.name}' was the name of {account_to_text(existing)}, which left; give another.")
        if recovery is not None and recovery not in hosted.control_of(ctx, existing).keys[RECOVERY_SLOT:]:
            raise conflict(f"'{ask.name}' exists with another recovery key; nothing was changed.")
        return CreateResult(js.did(existing), found.name, False)
    if recovery is not None and hosted.was_of_erased(ctx.store, recovery):
        says = "An account that was erased here had this recovery key, and somebody may have its words: give a new one."
        raise conflict(says)
    made = hosted.create(ctx, ask.name, ctx.replica.wall_ms(now), not ask.hosted, recovery)
    ctx.replica.writes.publish_control(made.account, now)
    if ask.name:
        append(ctx, made.account, [set_profile(hosted.salt_of(ctx, made.account), "name", ask.name)], now)
    return CreateResult(js.did(made.account), ask.name, True)


@METHODS.read("account.list", slow=True)
def listing(at: CommitView, ask: ListRequest) -> HostedRows:
    """The accounts whose keys this node holds."""
    mine, q = hosted.me(at), at.queries()
    after = None if ask.after is None else hosted.account_of(at, ask.after)
    page = hosted.page(at, after, ask.limit + 1)
    shown = page[: ask.limit]
    rows = [HostedRow(js.did(h.account), h.name or name_of(q, h.account), True, h.account == mine) for h in shown]
    more = len(page) > ask.limit and rows
    return HostedRows(rows, hosted.count(at), rows[-1].account if more else None)


@METHODS.look("account.show", "not_found", "refused")
def show(at: NodeView, ask: ShowRequest) -> AccountShown:
    """Shows an account's control log: its keys, its writers, and revoked rights."""
    account = hosted.account_of(at, ask.account)
    c = hosted.control_at(at, account)
    if 0 < ask.undo < len(c.path):
        c = resolve_control(cuts.path_below(at.store, account, c, ask.undo))
    home = hosted.hosted(at, account)
    checkpoints = list(at.store.checkpoints(account))
    pins = [o for pins in c.pins.values() for o in pins] + [o for said in checkpoints for _, o in pins_of(c, said)]
    return AccountShown(
        account=js.did(account),
        name=home.name if home else "",
        hosted=home is not None,
        own=account == hosted.me(at),
        renewed=home is not None and hosted.is_renewed(at.here, c, home),
        frozen=c.frozen,
        closed=c.closed,
        path=[_step(e) for e in c.path],
        keys=[_key(at, home, c, slot) for slot in range(len(c.keys))],
        grants=[_grant(g.grant) for grants in c.grants.values() for g in grants],
        cuts=[CutRow(js.writer_hex(w), kept_rows(kept.values())) for w, kept in c.cuts.items()],
        pins=[pin_row(o) for o in pins],
        checkpoints=[
            CheckpointRow(js.writer_hex(said.writer), said.n, said.control.seq, c.is_root(said.writer))
            for said in checkpoints
        ],
        host=c.host.hex() if c.host else None,
        logs=[
            LogRow(js.writer_hex(log.writer), log.log, h.length, h.flag, bool(log.log and own_tips(at.store, log)))
            for log, h in at.store.heads(account).items()
            if not is_checkpoint(log)
        ],
    )


def _grant(g: Grant) -> GrantRow:
    return GrantRow(
        writer=js.writer_hex(g.writer),
        first=g.first,
        logs=g.logs,
        stratum=g.stratum,
        until_ms=None if g.until is None else g.until >> 16,
        colls=None if g.colls is None else [x.hex() for x in g.colls],
    )


def kept_rows(kept: Iterable[KeptTip]) -> list[KeptRow]:
    return [KeptRow(k.log, k.seq + 1) for k in kept]


def _step(e: Entry) -> StepRow:
    ops = control_op(decode_body(e.ops))
    return StepRow(
        seq=e.header.seq,
        entry=js.entry_hex(e.id),
        op=type(ops[0]).__name__.lower(),
        time_ms=e.header.time >> 16,
        sentence="; ".join(_sentence(o) for o in ops),
    )


def _sentence(op: Op) -> str:
    match op:
        case Grant(writer, first, logs):
            return f"lets writer {writer.hex()[:16]} write logs {first} to {first + logs - 1}"
        case Cut(writer, kept):
            return f"closes writer {writer.hex()[:16]}, keeping {len(kept)} logs as they stood"
        case Pin(writer, log, seq):
            return f"vouches for log {log} of writer {writer.hex()[:16]} up to entry {seq}"
        case Rotate(slot):
            return f"moves slot {slot} to its next key"
        case Recover():
            return "installs a new root key by the recovery key"
        case Close():
            return "closes the account"
    return {"Init": "opens the account", "Drop": "drops a log", "Host": "names the hosting platform"}[type(op).__name__]


def _key(at: NodeView, home: hosted.LocalAccount | None, c: Control, slot: int) -> KeyRow:
    s = c.keys[slot]
    found = None if home is None else hosted.key_here(at.here, home, slot, s.current)
    generation = rotations(c, slot) if found is None else found[1]
    return KeyRow(slot, generation, js.key_digest_hex(s.current), js.key_digest_hex(s.next), found is not None)


def rotations(c: Control, slot: int) -> int:
    return sum(isinstance(o, Rotate) and o.slot == slot for o in ops_of(c))


def ops_of(c: Control) -> list[Op]:
    return [o for e in c.path for o in control_op(decode_body(e.ops))]


def pin_row(pin: Pin) -> PinRow:
    return PinRow(js.writer_hex(pin.writer), pin.log, pin.seq, js.entry_hex(pin.id))
