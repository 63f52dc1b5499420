"""An account moves: a platform hands its keys to its user's paper, and the user's own node takes it; or it goes on as
another one.

A handover moves the root key, and the recovery key where it can, by rotations that are signed and stored together. The
new keys come from the paper and are in memory only. So at every moment one of two holders has the root key: until the
commit this node, from then on the paper, which was written before. This node stays a writer of the account until the
user cuts it.
"""

from contextlib import suppress
from typing import Annotated, Literal

from msgspec import Meta, structs

from banyan_crdt.control import Control
from banyan_crdt.entry import MAX_CONTROL
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, account_to_text, is_checkpoint, key_digest
from banyan_crdt.ops import ControlOp, Grant, Put, Rotate
from banyan_crdt.signing import Signer
from banyan_node.api import json_types as js
from banyan_node.api.declare import MethodTable, NodeView, Request, Response, UndoRequest
from banyan_node.api.methods.accounts import keys
from banyan_node.api.methods.accounts.accounts import AccountOf, ops_of
from banyan_node.api.methods.posts.post_writes import add_or_undo
from banyan_node.context import Context
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.hosting import claims, cuts, hosted, interest, sealed_writer
from banyan_node.hosting.entry_writer import append
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_reading import identity
from banyan_replica.intake.author import OWN_LOGS, grant_to
from banyan_schema.collection import undo
from banyan_schema.social.identity import MOVED_TO, move_to, moved_from
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import AWAITED

METHODS = MethodTable()
Whose = Annotated[
    Literal["words", "platform", "elsewhere", "none"],
    Meta(
        description="The recovery key: it moves to the words; it stays on the paper of this node's own account; it is "
        "another paper's, such as the user's; there is none."
    ),
]


class HandoverRequest(Request):
    """root, recovery: seeds of the first root key and the first recovery key of the user's paper; root_following,
    recovery_following: digests of the keys after them. carrier: the writer that is handed what the account said to
    itself. platform: the seed of the recovery key's next key, if this node does not have it. root_only: hand over the
    root key although the recovery key is on this platform's paper. check: change nothing, only say what would be."""

    account: js.AccountRef
    root: js.SecretRef
    root_following: js.KeyRef
    recovery: js.SecretRef
    recovery_following: js.KeyRef
    carrier: js.KeyRef
    platform: js.SecretRef | None = None
    root_only: bool = False
    check: bool = False


class HandoverResult(Response):
    """writer: this node's, which may write until the user cuts it. entry: the last one of the control log; null after a
    check."""

    account: js.Did
    name: str
    entry: js.EntryHex | None
    writer: js.WriterHex
    recovery: Whose


class AwaitRequest(Request):
    """undo: fetch it no longer."""

    account: js.AccountRef
    undo: bool = False


class AwaitResult(Response):
    account: js.Did


class HandoverProgress(Response):
    """held: whether the control log is here. entries: how many are here. behind: how many more a linked peer claims.
    peers: linked peers. compared: whether one of them agreed with this node since it connected."""

    account: js.Did
    held: bool
    entries: int
    behind: int
    lacking: int
    peers: int
    compared: bool


class TakeRequest(Request):
    """root: the seed of the account's next root key; or recovery: that of its recovery key. carrier: the seed of the
    writer that was handed what the account said to itself. keep: writers that may still write. own: make it this node's
    own account. incomplete: as in `account.cut`."""

    account: js.AccountRef
    root: js.SecretRef | None = None
    recovery: js.SecretRef | None = None
    carrier: js.SecretRef | None = None
    keep: tuple[js.KeyRef, ...] = ()
    own: bool = False
    incomplete: bool = False


class TakeResult(Response):
    """cut: writers that may write no longer. uncut: as in `account.recover`. by: the key that was used."""

    account: js.Did
    entry: js.EntryHex
    by: Literal["root", "recovery"]
    cut: list[js.WriterHex]
    uncut: list[js.WriterHex]


@METHODS.write("account.handover", "not_found", "refused", alone=True, audited=True, final=True)
def handover(ctx: Context, ask: HandoverRequest, now: float) -> HandoverResult:
    """Moves the root key of a hosted account to its user's paper, and the recovery key if this node has it or is given
    it. Afterwards this node is one of the account's writers, and nothing more."""
    account = hosted.account_of(ctx, ask.account)
    home, who = hosted.hosted(ctx, account), account_to_text(account)
    if home is None:
        raise not_found(f"{who} is not hosted on this node, so it has nothing to hand over.")
    if account == hosted.me(ctx):
        raise conflict(
            f"{who} is this node's own account: `banyan keys backup` moves the whole node to another machine."
        )
    control = hosted.control_of(ctx, account)
    _refuse_closed(account, control)
    current = hosted.key_here(ctx, home, ROOT_SLOT, control.keys[ROOT_SLOT].current)
    following = hosted.key_here(ctx, home, ROOT_SLOT, control.keys[ROOT_SLOT].next)
    if current is None or following is None:
        raise conflict(
            f"The root key of {who} is not on this node: it was handed over or moved before. Nothing was changed."
        )
    seeds = [Signer(ctx.realm, bytes.fromhex(seed)) for seed in (ask.root, ask.recovery)]
    steps = _moves(ROOT_SLOT, following[0], seeds[0], ask.root_following)
    held = _recovery_signer(ctx, home, control, ask.platform)
    whose: Whose = "words" if held is not None else _whose(ctx, control)
    if whose == "platform" and not ask.root_only:
        raise conflict(
            f"The recovery key of {who} is on the paper of this platform, whose old keys could take the account back: "
            "give its words too (--recovery-words-file), or hand over the root key alone (--root-only)."
        )
    if held is not None:
        steps += _moves(RECOVERY_SLOT, held, seeds[1], ask.recovery_following)
    if len(control.path) + 1 + len(steps) > MAX_CONTROL:
        raise conflict(f"The control log of {who} is full; only its recovery key can move it.")
    if ask.check:
        return HandoverResult(js.did(account), home.name, None, js.writer_hex(ctx.device.key), whose)
    carrier = keys.writer_of(ask.carrier)
    granted = list[tuple[Signer, ControlOp]]()
    if carrier not in control.grants:
        granted = [(current[0], Grant(carrier, 1, OWN_LOGS, 255, None, None, None))]
    before, at = hosted.root_checkpoint(ctx, account), ctx.replica.wall_ms(now)
    entries = [ctx.replica.author.control(account, signer, op, at) for signer, op in [*granted, *steps]]
    ctx.replica.writes.publish_control(account, now, entries=len(entries))
    with suppress(Refused):  # the new root vouches for what the old one pinned
        ctx.replica.writes.publish_checkpoint(account, seeds[0], now, before)
    hosted.checkpoint(ctx, account, now)
    with suppress(CallError, Refused, ViewBuilding):  # the daily work does it
        sealed_writer.hand_over_all(ctx, account, now)
    return HandoverResult(
        js.did(account), home.name, js.entry_hex(entries[-1].id), js.writer_hex(ctx.device.key), whose
    )


def _moves(slot: int, holder: Signer, new: Signer, following: str) -> list[tuple[Signer, ControlOp]]:
    """A slot moves in two steps, because a rotation is signed by the key that the slot committed to before."""
    first, second = Rotate(slot, key_digest(new.key)), Rotate(slot, bytes.fromhex(following))
    return [(holder, first), (new, second)]


def _recovery_signer(ctx: Context, home: hosted.LocalAccount, control: Control, seed: str | None) -> Signer | None:
    """The next key of the recovery slot, if it is here or was given."""
    if len(control.keys) <= RECOVERY_SLOT:
        return None
    wanted = control.keys[RECOVERY_SLOT].next
    if seed is not None:
        given = Signer(ctx.realm, bytes.fromhex(seed))
        if key_digest(given.key) != wanted:
            raise conflict("The account does not commit to this recovery key; nothing was changed.")
        return given
    here = hosted.key_here(ctx, home, RECOVERY_SLOT, wanted)
    return None if here is None else here[0]


def _whose(ctx: Context, control: Control) -> Whose:
    """Whose paper has the recovery key that is not here."""
    if len(control.keys) <= RECOVERY_SLOT:
        return "none"
    mine = hosted.me(ctx)
    papers = set[bytes]()
    if mine is not None:
        own = hosted.control_of(ctx, mine)
        for slot in hosted.init_of(own.path[0]).slots[RECOVERY_SLOT:]:
            papers |= {slot.current, slot.next}
        papers |= {op.next for op in ops_of(own) if isinstance(op, Rotate) and op.slot >= RECOVERY_SLOT}
    return "platform" if control.keys[RECOVERY_SLOT].current in papers else "elsewhere"


def _refuse_closed(account: AccountId, control: Control) -> None:
    if control.closed or control.frozen:
        state = "closed" if control.closed else "frozen"
        raise conflict(
            f"{account_to_text(account)} is {state}; `banyan account recover` comes first. Nothing was changed."
        )


@METHODS.write("account.await", "refused")
def wait_for(ctx: Context, ask: AwaitRequest, now: float) -> AwaitResult:
    """Fetches an account from peers although nobody here follows it, so that it can be taken."""
    account = hosted.account_of(ctx, ask.account)
    AWAITED.put(ctx.store, account, not ask.undo or None)
    with suppress(ViewBuilding):  # a running node looks again every few seconds
        interest.hold(ctx, now)
    return AwaitResult(js.did(account))


@METHODS.look("account.arrival")
def arrival(at: NodeView, ask: AccountOf) -> HandoverProgress:
    """How far an account has come here."""
    account, seen = hosted.account_of(at, ask.account), at.seen
    claims_of = {
        log: known for log, known in seen.claims().items() if log.account == account and not is_checkpoint(log)
    }
    return HandoverProgress(
        account=js.did(account),
        held=at.store.grants(account) is not None,
        entries=sum(head.length for log, head in at.store.heads(account).items() if not is_checkpoint(log)),
        behind=sum(max(0, known - at.store.head(log).length) for log, known in claims_of.items()),
        lacking=at.store.counts().lacking,
        peers=sum(link.greeted for link in seen.links),
        compared=seen.compared and not seen.readers,
    )


@METHODS.write("account.take", "not_found", "refused", alone=True, audited=True, final=True)
def take(ctx: Context, ask: TakeRequest, now: float) -> TakeResult:
    """Takes an account with keys of its user's paper: a new root key, made here, this node's writer, and every other
    writer cut but for `keep`. Everything is checked before the first entry is signed."""
    account = hosted.account_of(ctx, ask.account)
    home = hosted.hosted(ctx, account)
    control = hosted.control_of(ctx, account)
    _refuse_closed(account, control)
    root = control.keys[ROOT_SLOT]
    if home is not None and hosted.key_here(ctx, home, ROOT_SLOT, root.current) is not None:
        raise conflict(f"{account_to_text(account)} is on this node already, with its root key.")
    if (ask.root is None) == (ask.recovery is None):
        raise bad_request("account.take needs 'root' or 'recovery', one of the two.")
    carrier = None if ask.carrier is None else Signer(ctx.realm, bytes.fromhex(ask.carrier)).key
    keep = (
        *ask.keep,
        *([] if carrier is None else [js.writer_hex(carrier)]),
    )  # the words open what is private later too
    if ask.recovery is not None:
        asked = keys.RecoverRequest(account_to_text(account), ask.recovery, 0, keep, ask.own, ask.incomplete)
        done = keys.recover(ctx, asked, now)
        assert done.entry is not None
        taken = TakeResult(done.account, done.entry, "recovery", done.cut, done.uncut)
    else:
        taken = _take_by_root(ctx, structs.replace(ask, keep=keep), account, control, now)
    if ask.carrier is not None:
        with suppress(CallError, Refused, ViewBuilding):
            sealed_writer.take_over(ctx, account, bytes.fromhex(ask.carrier), now)
    AWAITED.put(ctx.store, account, None)
    return taken


def _take_by_root(ctx: Context, ask: TakeRequest, account: AccountId, control: Control, now: float) -> TakeResult:
    signer = Signer(ctx.realm, bytes.fromhex(ask.root or ""))
    if key_digest(signer.key) != control.keys[ROOT_SLOT].next:
        raise conflict("The account does not commit to this root key; nothing was changed.")
    if ctx.device.key in control.cuts:
        raise conflict(
            "The writer of this node was cut off for ever; take the account on another node, or stop this one and give "
            "it another master with `banyan keys renew`."
        )
    keep = {ctx.device.key, *map(keys.writer_of, ask.keep)}
    others = [writer for writer in control.grants if writer not in keep and writer not in control.cuts]
    if not ask.incomplete:
        cuts.refuse_to_lose(ctx, account, others, now)
    number = hosted.next_index(ctx)
    if ask.own and hosted.digest(ctx, hosted.OWN_INDEX, ROOT_SLOT, 0) not in hosted.later_roots(control):
        number = hosted.OWN_INDEX
    first, second = (ctx.slot(number, ROOT_SLOT, generation) for generation in (0, 1))
    steps = _moves(ROOT_SLOT, signer, first, key_digest(second.key).hex())
    rights: list[ControlOp] = [cuts.cut_of(ctx.store, account, writer) for writer in others]
    if ctx.device.key not in control.grants:
        rights.append(grant_to(ctx.device.key))
    if len(control.path) + len(steps) + len(rights) > MAX_CONTROL:
        raise conflict("The control log is full; only the recovery key can move the account.")
    before, at = hosted.root_checkpoint(ctx, account), ctx.replica.wall_ms(now)
    steps += [(first, op) for op in rights]
    entries = [ctx.replica.author.control(account, key, op, at) for key, op in steps]
    known = hosted.hosted(ctx, account)
    hosted.note(ctx, hosted.LocalAccount(account, number, known.name if known else ""), ask.own)
    if known is None:
        claims.give_name(ctx, account)
    ctx.replica.writes.publish_control(account, now, entries=len(entries))
    hosted.checkpoint(ctx, account, now, before)
    return TakeResult(js.did(account), js.entry_hex(entries[-1].id), "root", [js.writer_hex(w) for w in others], [])


# Moves: an account goes on as another one, and both say so.


class MoveRequest(UndoRequest):
    """account: the other one. by: the account that speaks."""

    account: js.AccountRef


class MoveSaid(Response):
    """agreed: whether the other account says the same, so that others see the move."""

    account: js.Did
    entry: js.EntryHex
    agreed: bool


def _both(ctx: Context, ask: MoveRequest) -> tuple[AccountId, AccountId]:
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if account == other:
        raise bad_request("An account cannot move to itself.")
    return account, other


@METHODS.write("move.from", "not_found", "refused")
def was(ctx: Context, ask: MoveRequest, now: float) -> MoveSaid:
    """Says that the account also was another one: the first step of a move, at the new account."""
    account, other = _both(ctx, ask)
    draft = moved_from(hosted.salt_of(ctx, account), other)
    entry = add_or_undo(ctx, "move.from", account, draft, now, ask.undo)
    return MoveSaid(js.did(other), js.entry_hex(entry), identity.moved_to(ctx.queries(), other) == account)


@METHODS.write("move.to", "not_found", "refused")
def goes(ctx: Context, ask: MoveRequest, now: float) -> MoveSaid:
    """Says that the account goes on as another one, which must say first that it was this account. Followers are told;
    nobody follows the new one by itself."""
    account, other = _both(ctx, ask)
    q, salt = ctx.queries(), hosted.salt_of(ctx, account)
    op = move_to(salt, other).op
    assert isinstance(op, Put)
    live = q.live(account, op)
    if ask.undo:
        if other not in identity.says_to(q, account):
            raise not_found("There is nothing to undo by move.to.")
        entry = append(ctx, account, [undo(MOVED_TO, live)], now)
        return MoveSaid(js.did(other), js.entry_hex(entry), False)
    if account not in identity.says_from(q, other):
        who = account_to_text(other)
        says = f"{who} does not say that it was {account_to_text(account)}: let it say so first, by `move.from`."
        raise conflict(says)
    if identity.says_to(q, account) == [other]:
        return MoveSaid(js.did(other), js.entry_hex(live[-1].entry), identity.moved_to(q, account) == other)
    entry = append(ctx, account, [move_to(salt, other, live)], now)
    return MoveSaid(js.did(other), js.entry_hex(entry), identity.moved_to(ctx.queries(), account) == other)
