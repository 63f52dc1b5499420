"""Changes of an account's control log: who may write, which keys are valid, and undoing what a thief did."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

from msgspec import Meta

from banyan_crdt.control import Control, control_op, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Refused
from banyan_crdt.ids import (
    AccountId,
    CellKey,
    EntryId,
    LogId,
    WriterKey,
    account_to_text,
    coll,
    control_log,
    key_digest,
)
from banyan_crdt.ops import Close, ControlOp, Cut, Drop, Grant, Pin, Recover, Rotate, decode_body
from banyan_crdt.signing import Signer
from banyan_node.api.declare import MethodTable, Request, Response
from banyan_node.api.json_types import Did, EntryHex, KeyRef, Own, SecretRef, WriterHex, did, entry_hex, writer_hex
from banyan_node.api.methods.accounts.accounts import KeptRow, PinRow, kept_rows, ops_of, pin_row, rotations
from banyan_node.api.methods.posts.post_writes import WrittenEntry
from banyan_node.api.methods.posts.provenance import PostChanges, changes_of
from banyan_node.context import Context
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.hosting import claims, cuts, hosted, sealed_writer
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_reading.answers import PostView
from banyan_replica.intake.author import OWN_LOGS, grant_to
from banyan_replica.intake.own_tips import own_tips
from banyan_storage.errors import ViewBuilding

METHODS = MethodTable()
Slot = Annotated[int, Meta(ge=0, le=7, description="0 the root, 1 the recovery key.")]


class GrantRequest(Request):
    """until: milliseconds since 1970, 0: no end. colls: names of collections that it may write; default: all."""

    writer: KeyRef
    account: Own = None
    until: Annotated[int, Meta(ge=0, le=1 << 47)] = 0
    stratum: Annotated[int, Meta(ge=0, le=255)] = 8
    colls: list[str] | None = None


class PinRequest(Request):
    """Without `log`, all logs of the writer; without `writer`, all logs of the account."""

    account: Own = None
    writer: KeyRef | None = None
    log: Annotated[int, Meta(ge=0)] = 0


PointRefs = Annotated[tuple[str, ...], Meta(description="Posts, or entries (64 hexadecimal digits).", max_length=1_000)]
Time = Annotated[int, Meta(ge=0, le=1 << 47)]


class CutRequest(Request):
    """incomplete: cut although a peer claims to hold more of the account; of that nothing is kept. after: the last
    entries that stay, each in its log. after_ms: the last time that stays of other logs, milliseconds since 1970;
    default: the newest of `after`. Without both, all that is held stays. check: change nothing, only say what would
    be."""

    writer: KeyRef
    account: Own = None
    incomplete: bool = False
    after: PointRefs = ()
    after_ms: Time | None = None
    check: bool = False


class DropRequest(Request):
    writer: KeyRef
    log: Annotated[int, Meta(ge=0, le=OWN_LOGS)]
    account: Own = None


class RotateRequest(Request):
    """seed: of the next key, if this node does not have it. following: the digest of the key after that, if it is no
    key of this node. A recovery key of this node moves to paper in two calls: the first with `following` only, the
    second with both."""

    account: Own = None
    slot: Slot = ROOT_SLOT
    seed: SecretRef | None = None
    following: KeyRef | None = None


class RecoverRequest(Request):
    """seed: of the recovery key, if this node does not have it. undo: the first entry of the control log that shall no
    longer count. keep: other writers that may still write. own: make it this node's own account. incomplete, after,
    after_ms, check: as in `account.cut`, for each writer that is cut. later: the seed of the next recovery key, for
    the case that a thief has used the other one; following: the digest of the key after it."""

    account: Own = None
    seed: SecretRef | None = None
    undo: Annotated[int, Meta(ge=0)] = 0
    keep: tuple[KeyRef, ...] = ()
    own: bool = False
    incomplete: bool = False
    after: PointRefs = ()
    after_ms: Time | None = None
    check: bool = False
    later: SecretRef | None = None
    following: KeyRef | None = None


class PinResult(Response):
    """forked: how many of these logs are forked. Such a one is pinned where it forks: a pin chooses no branch."""

    pins: list[PinRow]
    forked: int


class CutResult(Response):
    """keeps: up to where the writer's logs still count. changes: which posts come and go by it, null if nobody asked
    (`check`) or the account is too large to tell at once. entry: null after a check."""

    entry: EntryHex | None
    keeps: list[KeptRow]
    changes: PostChanges | None


class RotateResult(Response):
    entry: EntryHex
    slot: int
    generation: int


class RecoverResult(Response):
    """cut: writers that were cut. uncut: writers of which not all may be held here, so that a cut would lose some.
    changes, entry: as in `account.cut`."""

    entry: EntryHex | None
    account: Did
    cut: list[WriterHex]
    uncut: list[WriterHex]
    changes: PostChanges | None


def writer_of(text: str) -> WriterKey:
    """The key of its 64 digits."""
    return WriterKey(bytes.fromhex(text))


def change(ctx: Context, account: AccountId, signer: Signer, op: ControlOp | Pin, now: float) -> EntryId:
    """Writes into the control log, and spreads it."""
    before = hosted.root_checkpoint(ctx, account)
    entry = ctx.replica.author.control(account, signer, op, ctx.replica.wall_ms(now))
    ctx.replica.writes.publish_control(account, now)
    if isinstance(op, Grant | Cut | Rotate | Recover):
        hosted.checkpoint(ctx, account, now, before)
    return entry.id


@METHODS.write("account.grant", "not_found", "refused", audited=True, final=True)
def grant(ctx: Context, ask: GrantRequest, now: float) -> WrittenEntry:
    """Lets a writer write in the account: another device, or another node."""
    account, writer = hosted.account_of(ctx, ask.account), writer_of(ask.writer)
    until = ask.until << 16 or None
    colls = None if ask.colls is None else tuple(coll(name) for name in ask.colls)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    control = hosted.control_of(ctx, account)
    if writer in control.cuts:
        raise conflict("That writer was cut off for ever: grant a new key.")
    if any(g.covers(1) and g.covers(OWN_LOGS) for g in control.grants.get(writer, ())):
        raise conflict("That writer has a grant already, and its first one counts: for other terms grant a new key.")
    if ask.until and ask.until <= ctx.replica.wall_ms(now):
        raise bad_request("'until' is over already: give a later time, or none.")
    granted = Grant(writer, 1, OWN_LOGS, ask.stratum, colls, until, None)
    entry = change(ctx, account, root, granted, now)
    with suppress(CallError, Refused, ViewBuilding):  # the daily work does it, or another device
        sealed_writer.hand_over_all(ctx, account, now)
    return WrittenEntry(entry_hex(entry))


@METHODS.write("account.pin", "not_found", "refused", final=True)
def pin(ctx: Context, ask: PinRequest, now: float) -> PinResult:
    """Pins logs at their last entry: one log, every log of a writer, or every log of the account."""
    account = hosted.account_of(ctx, ask.account)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    writer = None if ask.writer is None else writer_of(ask.writer)
    of = {
        log: h
        for log, h in ctx.store.heads(account).items()
        if log.log and h.id is not None and writer in (None, log.writer) and ask.log in (0, log.log)
    }
    chosen = [Pin(log.writer, log.log, h.length - 1, h.id) for log, h in of.items() if h.id is not None]
    if not chosen:
        raise not_found(f"The account {account_to_text(account)} has no such log with entries.")
    for op in chosen:
        change(ctx, account, root, op, now)
    return PinResult([pin_row(op) for op in chosen], sum(h.flag > 0 for h in of.values()))


@METHODS.write("account.cut", "not_found", "refused", alone=True, audited=True, final=True)
def cut(ctx: Context, ask: CutRequest, now: float) -> CutResult:
    """Cuts a writer off for ever. What it wrote up to a point still counts, by default all that is held now; what it
    wrote later does not, deletions neither."""
    account, writer = hosted.account_of(ctx, ask.account), writer_of(ask.writer)
    c = hosted.control_of(ctx, account)
    if writer not in c.grants:
        raise not_found(f"{writer.hex()} was never granted in {account_to_text(account)}.")
    if writer in c.cuts:
        raise conflict(f"{writer.hex()} was cut off already.")
    points = cuts.points_of(ctx.store, account, ask.after, ask.after_ms)
    if not ask.incomplete:
        cuts.refuse_to_lose(ctx, account, {writer}, now)
    op = cuts.cut_of(ctx.store, account, writer, points)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    before = cuts.shown_posts(ctx, account) if ask.check else None
    entry = change(ctx, account, root, op, now)
    if ask.check:
        return CutResult(None, kept_rows(op.kept), _would_change(ctx, account, before))
    return CutResult(entry_hex(entry), kept_rows(op.kept), None)


def _would_change(ctx: Context, account: AccountId, before: Mapping[CellKey, PostView] | None) -> PostChanges | None:
    """What a change that was just written has changed. Takes it back: the call is alone in its transaction."""
    after = cuts.shown_posts(ctx, account)
    ctx.store.rollback()
    ctx.replica.commit_failed(None)
    return None if before is None or after is None else changes_of(before, after)


@METHODS.write("account.drop", "not_found", "refused", audited=True, final=True)
def drop(ctx: Context, ask: DropRequest, now: float) -> WrittenEntry:
    """Removes one log of a writer with all its entries. (The copy of a home that a thief uses writes another log.) Only
    the account's recovery key can undo that."""
    account, writer, log = hosted.account_of(ctx, ask.account), writer_of(ask.writer), ask.log
    if LogId(account, writer, log) not in ctx.store.heads(account) or not log:
        raise not_found(f"{account_to_text(account)} has no log {log} of that writer.")
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    return WrittenEntry(entry_hex(change(ctx, account, root, Drop(writer, log), now)))


@METHODS.write("account.rotate", "not_found", "refused", audited=True, final=True)
def rotate(ctx: Context, ask: RotateRequest, now: float) -> RotateResult:
    """Rotates a slot to its next key."""
    account, slot = hosted.account_of(ctx, ask.account), ask.slot
    seed = None if ask.seed is None else bytes.fromhex(ask.seed)
    if seed is None:
        signer, generation = hosted.slot_signer(ctx, account, slot, next_key=True)
    else:
        control = hosted.control_of(ctx, account)
        signer, generation = Signer(ctx.realm, seed), 1 + rotations(control, slot)
        if key_digest(signer.key) not in [s.next for s in control.keys[slot : slot + 1]]:
            raise conflict("The account does not commit to this next key; nothing was changed.")
    if seed is not None and ask.following is None:
        raise bad_request("account.rotate with 'seed' needs 'following', 64 hexadecimal digits.")
    if ask.following is not None:
        following = bytes.fromhex(ask.following)
    else:
        following = hosted.digest(ctx, _hosted(ctx, account).number, slot, generation + 1)
    return RotateResult(entry_hex(change(ctx, account, signer, Rotate(slot, following), now)), slot, generation)


@METHODS.write("account.recover", "not_found", "refused", alone=True, audited=True, final=True)
def recover(ctx: Context, ask: RecoverRequest, now: float) -> RecoverResult:
    """Uses the recovery key to install a new root from this node's own secret. Only this device and `keep` may then
    write.

    Everything is checked before the first entry is signed.
    """
    account, seed = hosted.account_of(ctx, ask.account), None if ask.seed is None else bytes.fromhex(ask.seed)
    control = hosted.control_of(ctx, account)
    if (undo := ask.undo) >= len(control.path):
        last = len(control.path) - 1
        raise bad_request(f"There is no entry {undo} to undo: the account's path ends with entry {last}.")
    path = cuts.path_below(ctx.store, account, control, undo)
    undone, control = control.path[undo:] if undo else (), resolve_control(path)
    if seed is None:
        signer, _ = hosted.slot_signer(ctx, account, RECOVERY_SLOT)
    else:
        signer = Signer(ctx.realm, seed)
    if key_digest(signer.key) not in [slot.current for slot in control.keys[RECOVERY_SLOT:]]:
        raise conflict("The account does not commit to this recovery key; nothing was changed.")
    used = [entry.header.seq for entry in undone if entry.header.writer == signer.key]
    later = _later_key(ctx, ask, control) if used else None
    if used and later is None:
        raise conflict(
            f"Entry {used[-1]} was made by this recovery key, which cannot undo its own work: undo entry "
            f"{used[-1] + 1} and later ones only. Nothing was changed."
        )
    points = cuts.points_of(ctx.store, account, ask.after, ask.after_ms)
    own, at_home = ask.own or account == hosted.me(ctx), bool(own_tips(ctx.store, control_log(account)))
    home, number, first = _next_root(ctx, account, control, seed is None, own)
    if control.closed:
        by = _closing(control).header.seq
        raise conflict(f"Entry {by} closed the account: undo {by}, and with it all after it.")
    if ctx.device.key in control.cuts:
        raise conflict(f"The writer of this node was cut off for ever; {_RENEW}")
    keep = {ctx.device.key, *(writer_of(w) for w in ask.keep)}
    others = [writer for writer in control.grants if writer not in keep and writer not in control.cuts]
    if not ask.incomplete:
        cuts.refuse_to_lose(ctx, account, others, now)
    before = cuts.shown_posts(ctx, account) if ask.check else None
    at = ctx.replica.wall_ms(now)
    write = ctx.replica.author.control
    root, following = (hosted.digest(ctx, number, ROOT_SLOT, first + k) for k in (0, 1))
    if later is not None:
        signer = later
        path = (*path, write(account, signer, Rotate(RECOVERY_SLOT, bytes.fromhex(ask.following or "")), at, path))
    entry = write(account, signer, Recover(root, following), at, path)
    hosted.note(ctx, hosted.LocalAccount(account, number, home.name if home else ""), ask.own)
    if home is None:
        claims.give_name(ctx, account)
    logs = [log for log in ctx.store.heads(account) if log.log]
    if points.given:  # the owner has looked at what is here
        whole = {log.writer for log in logs}
    elif undo:  # what was undone may have kept others from being sent here: only of what was written here all is here
        whole = {log.writer for log in logs if own_tips(ctx.store, log)}
    else:  # where the account was at home, a writer of whom nothing is held wrote nothing
        whole = set(others if at_home else ()) | {log.writer for log in logs}
    cut = [writer for writer in others if writer in whole]
    rights: list[ControlOp] = [cuts.cut_of(ctx.store, account, writer, points) for writer in cut]
    if ctx.device.key not in control.grants:
        rights.append(grant_to(ctx.device.key))
    for op in rights:
        write(account, ctx.slot(number, ROOT_SLOT, first), op, at)
    ctx.replica.writes.publish_control(account, now, entries=1 + len(rights) + (later is not None))
    hosted.checkpoint(ctx, account, now)  # without the old root's pins, which may be a thief's
    changes = _would_change(ctx, account, before) if ask.check else None
    return RecoverResult(
        entry=None if ask.check else entry_hex(entry.id),
        account=did(account),
        cut=[writer_hex(writer) for writer in cut],
        uncut=[writer_hex(writer) for writer in others if writer not in cut],
        changes=changes,
    )


def _later_key(ctx: Context, ask: RecoverRequest, control: Control) -> Signer | None:
    """The next recovery key, if it was given."""
    if ask.later is None or ask.following is None:
        return None
    signer = Signer(ctx.realm, bytes.fromhex(ask.later))
    return signer if key_digest(signer.key) in [slot.next for slot in control.keys[RECOVERY_SLOT:]] else None


_RENEW = "stop the node, give it another master with `banyan keys renew`, and recover again."


def _next_root(
    ctx: Context, account: AccountId, control: Control, kept: bool, own: bool
) -> tuple[hosted.LocalAccount | None, int, int]:
    """(hosted, number, generation) of a root key that nobody else can have: not from a master of an earlier root."""
    home = hosted.hosted(ctx, account)
    made = [hosted.init_of(control.path[0]).slots[ROOT_SLOT].current, *hosted.later_roots(control)]
    unused = hosted.digest(ctx, hosted.OWN_INDEX, ROOT_SLOT, 0) not in made
    number = hosted.OWN_INDEX if own and unused else hosted.next_index(ctx)
    if home is None:
        return None, number, 0
    if kept:
        return home, home.number, 2 * sum(isinstance(o, Rotate | Recover) for o in ops_of(control)) + 2
    if not hosted.is_renewed(ctx, control, home):
        raise conflict(f"A copy of this home can make the next root key too, so nothing was changed; {_RENEW}")
    return home, number, 0


def _hosted(ctx: Context, account: AccountId) -> hosted.LocalAccount:
    found = hosted.hosted(ctx, account)
    if found is None:
        raise conflict(f"{account_to_text(account)} is not hosted on this node.")
    return found


def _closing(control: Control) -> Entry:
    """The entry that closed the account, which is closed."""
    return next(e for e in control.path if Close() in control_op(decode_body(e.ops)))


class CloseRequest(Request):
    """confirm: the name under which it is hosted here, or its DID, typed again; default: who asks is sure."""

    account: Own = None
    confirm: str | None = None


def demand_name(home: hosted.LocalAccount, typed: str) -> None:
    """Raises CallError unless this names the account."""
    if not typed or typed not in (home.name, account_to_text(home.account)):
        raise bad_request(f"'{typed[:60]}' is not the name of this account; type it again.")


@METHODS.write("account.close", "not_found", "refused", audited=True, final=True)
def close(ctx: Context, ask: CloseRequest, now: float) -> WrittenEntry:
    """Closes the account: nobody can write in it and nothing of it is shown. Only its recovery key can undo that. One
    that is closed stays so: the answer is the entry that closed it."""
    account = hosted.account_of(ctx, ask.account)
    if ask.confirm is not None:
        demand_name(_hosted(ctx, account), ask.confirm)
    control = hosted.control_of(ctx, account)
    if control.closed:
        return WrittenEntry(entry_hex(_closing(control).id))
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    return WrittenEntry(entry_hex(change(ctx, account, root, Close(), now)))
