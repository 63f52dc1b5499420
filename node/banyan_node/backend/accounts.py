"""Accounts: opening them, and what their control logs say and can be made to say."""

from __future__ import annotations

from typing import Any

from banyan_crdt.control import Control, control_op, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, LogId, WriterKey, account_to_text, coll, is_checkpoint, key_digest
from banyan_crdt.ops import Close, ControlOp, Cut, Drop, Grant, Kept, Op, Pin, Recover, Rotate, decode_body
from banyan_crdt.signing import Signer
from banyan_crdt.state import pins_of
from banyan_node.backend import hosted
from banyan_node.backend.params import Params
from banyan_node.backend.social import set_fields
from banyan_node.context import Context
from banyan_node.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.operator_errors import CallError
from banyan_node.recovery import slot_of
from banyan_replica.intake.author import OWN_LOGS, grant_to
from banyan_replica.intake.own import own_tips


def create(ctx: Context, p: Params, now: float) -> Any:
    name, is_hosted = p.text("name", ""), p.flag("hosted")
    if is_hosted and not name.strip():
        raise CallError("bad_request", "The name is empty; say what the account is called.")
    given = p.optional("recovery")
    recovery = None if given is None else slot_of(given)
    existing = hosted.named(ctx, name) if is_hosted else hosted.me(ctx)
    if existing is not None:
        found = hosted.hosted(ctx, existing)
        if recovery is not None and recovery not in hosted.control_of(ctx, existing).keys[RECOVERY_SLOT:]:
            raise CallError("refused", f"'{name}' exists with another recovery key; nothing was changed.", 409)
        return {"account": account_to_text(existing), "name": found.name if found else name, "created": False}
    made = hosted.create(ctx, name, ctx.replica.wall_ms(now), not is_hosted, recovery)
    ctx.replica.publish_control(made.account, now)
    if name:
        set_fields(ctx, made.account, {"name": name}, now)
    return {"account": account_to_text(made.account), "name": name, "created": True}


def listing(ctx: Context, p: Params, now: float) -> Any:
    mine = hosted.me(ctx)
    every = hosted.all_hosted(ctx)
    after, limit = p.optional("after"), p.number("limit", 1_000)
    start = next((k + 1 for k, h in enumerate(every) if account_to_text(h.account) == after), 0)
    page = every[start : start + limit]
    rows = [
        {"account": account_to_text(h.account), "name": h.name, "hosted": True, "own": h.account == mine} for h in page
    ]
    more = start + limit < len(every) and rows
    return {"accounts": rows, "after": rows[-1]["account"] if more else None}


def show(ctx: Context, p: Params, now: float) -> Any:
    account = hosted.account_of(ctx, p)
    c = hosted.control_of(ctx, account)
    home = hosted.hosted(ctx, account)
    own = ctx.own_log(account)
    checkpoints = list(ctx.store.checkpoints(account))
    return {
        "account": account_to_text(account),
        "name": home.name if home else "",
        "hosted": home is not None,
        "own": account == hosted.me(ctx),
        "frozen": c.frozen,
        "closed": c.closed,
        "path": [_step(e) for e in c.path],
        "keys": [_key(ctx, account, c, slot) for slot in range(len(c.keys))],
        "grants": [
            {
                "writer": g.grant.writer.hex(),
                "first": g.grant.first,
                "logs": g.grant.logs,
                "stratum": g.grant.stratum,
                "until_ms": None if g.grant.until is None else g.grant.until >> 16,
                "colls": None if g.grant.colls is None else [x.hex() for x in g.grant.colls],
            }
            for grants in c.grants.values()
            for g in grants
        ],
        "cuts": [
            {"writer": w.hex(), "keeps": [{"log": k.log, "length": k.seq + 1} for k in kept.values()]}
            for w, kept in c.cuts.items()
        ],
        "pins": [_pin(o) for pins in c.pins.values() for o in pins]
        + [_pin(o) for said in checkpoints for _, o in pins_of(c, said)],
        "checkpoints": [
            {"writer": said.writer.hex(), "n": said.n, "seq": said.control.seq, "root": c.is_root(said.writer)}
            for said in checkpoints
        ],
        "host": c.host.hex() if c.host else None,
        "logs": [
            {"writer": log.writer.hex(), "log": log.log, "length": h.length, "flag": h.flag, "own": log == own}
            for log, h in ctx.store.heads(account).items()
            if not is_checkpoint(log)
        ],
    }


def _step(e: Entry) -> dict[str, Any]:
    ops = control_op(decode_body(e.ops))
    return {
        "seq": e.header.seq,
        "entry": e.id.hex(),
        "op": type(ops[0]).__name__.lower(),
        "time_ms": e.header.time >> 16,
        "sentence": "; ".join(_sentence(o) for o in ops),
    }


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
            return "closes the account for good"
    return {"Init": "opens the account", "Drop": "drops a log", "Host": "names the hosting platform"}[type(op).__name__]


def _key(ctx: Context, account: AccountId, c: Control, slot: int) -> dict[str, Any]:
    try:
        _, generation = hosted.slot_signer(ctx, account, slot)
        held = True
    except CallError:
        generation, held = _rotations(c, slot), False
    s = c.keys[slot]
    return {"slot": slot, "generation": generation, "current": s.current.hex(), "next": s.next.hex(), "held": held}


def _rotations(c: Control, slot: int) -> int:
    return sum(isinstance(o, Rotate) and o.slot == slot for o in _ops(c))


def _ops(c: Control) -> list[Op]:
    return [o for e in c.path for o in control_op(decode_body(e.ops))]


def _pin(pin: Pin) -> dict[str, Any]:
    return {"writer": pin.writer.hex(), "log": pin.log, "seq": pin.seq, "entry": pin.id.hex()}


def _change(ctx: Context, account: AccountId, signer: Signer, op: ControlOp | Pin, now: float) -> dict[str, Any]:
    before = hosted.root_checkpoint(ctx, account)
    entry = ctx.replica.author.control(account, signer, op, ctx.replica.wall_ms(now))
    ctx.replica.publish_control(account, now)
    if isinstance(op, Grant | Cut | Rotate | Recover):
        hosted.checkpoint(ctx, account, now, before)
    return {"entry": entry.id.hex()}


def grant(ctx: Context, p: Params, now: float) -> Any:
    account, writer = hosted.account_of(ctx, p), WriterKey(p.key())
    until = p.number("until", 0) << 16 or None
    colls = None if p.optional_rows("colls") is None else tuple(coll(str(name)) for name in p.rows("colls"))
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    if writer in hosted.control_of(ctx, account).cuts:
        raise CallError("refused", "That writer was cut off for good: grant a new key.", 409)
    return _change(ctx, account, root, Grant(writer, 1, OWN_LOGS, p.number("stratum", 8, 255), colls, until, None), now)


def pin(ctx: Context, p: Params, now: float) -> Any:
    """Pins one log where it stands, or every log of a writer, or of the account."""
    account = hosted.account_of(ctx, p)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    writer = p.optional("writer")
    number = p.number("log", 0)
    chosen = [
        Pin(log.writer, log.log, h.length - 1, h.id)
        for log, h in ctx.store.heads(account).items()
        if log.log and h.id is not None and writer in (None, log.writer.hex()) and number in (0, log.log)
    ]
    if not chosen:
        raise CallError("not_found", f"The account {account_to_text(account)} has no such log with entries.", 404)
    for op in chosen:
        _change(ctx, account, root, op, now)
    return {"pins": [_pin(op) for op in chosen]}


def cut(ctx: Context, p: Params, now: float) -> Any:
    """Closes a writer; what is held of its logs now goes on counting, nothing later does."""
    account, writer = hosted.account_of(ctx, p), WriterKey(p.key())
    c = hosted.control_of(ctx, account)
    if writer not in c.grants:
        raise CallError("not_found", f"{writer.hex()} was never granted in {account_to_text(account)}.", 404)
    if writer in c.cuts:
        raise CallError("refused", f"{writer.hex()} was cut off already.", 409)
    op = _cut(ctx, account, writer)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    done = _change(ctx, account, root, op, now)
    return {**done, "keeps": [{"log": k.log, "length": k.seq + 1} for k in op.kept]}


def _cut(ctx: Context, account: AccountId, writer: WriterKey) -> Cut:
    """Keeps what counts of the writer's logs, and of those written here all that was written here: a thief who forked
    one of them may have taken it out of what counts."""
    kept: list[Kept] = []
    for log in ctx.store.logs(account):
        if log.writer != writer or not log.log:
            continue
        head, own = ctx.store.head(log), own_tips(ctx.store, log)
        place = ctx.store.place(own[-1]) if own else None
        if place is not None and (head.flag or place[1] >= head.length):
            kept.append(Kept(log.log, place[1], own[-1]))
        elif head.id is not None:
            kept.append(Kept(log.log, head.length - 1, head.id))
    return Cut(writer, tuple(kept))


def drop(ctx: Context, p: Params, now: float) -> Any:
    """Takes one log of a writer away with all that it says: a thief's copy of a home writes in a log of its own."""
    account, writer, log = hosted.account_of(ctx, p), WriterKey(p.key()), p.number("log", most=OWN_LOGS)
    if LogId(account, writer, log) not in ctx.store.heads(account) or not log:
        raise CallError("not_found", f"{account_to_text(account)} has no log {log} of that writer.", 404)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    return _change(ctx, account, root, Drop(writer, log), now)


def rotate(ctx: Context, p: Params, now: float) -> Any:
    """seed: of the next key, where that is not kept here. following: what to commit to, if that is no key of this node.

    With both, and with `following` alone once before, a recovery key that was kept here moves to words.
    """
    account, slot, seed = hosted.account_of(ctx, p), p.number("slot", ROOT_SLOT, 7), p.secret("seed")
    if seed is None:
        signer, generation = hosted.slot_signer(ctx, account, slot, next_key=True)
    else:
        control = hosted.control_of(ctx, account)
        signer, generation = Signer(ctx.realm, seed), 1 + _rotations(control, slot)
        if key_digest(signer.key) not in [s.next for s in control.keys[slot : slot + 1]]:
            raise CallError("refused", "The account does not commit to this next key; nothing was changed.", 409)
    if seed is not None or p.optional("following") is not None:
        following = p.key("following")
    else:
        following = hosted.digest(ctx, _hosted(ctx, account).number, slot, generation + 1)
    return {**_change(ctx, account, signer, Rotate(slot, following), now), "slot": slot, "generation": generation}


def recover(ctx: Context, p: Params, now: float) -> Any:
    """The recovery key installs a new root out of this node's own secret; only this device and `keep` write on.

    seed: of the recovery key, where it is not kept here. undo: the first entry of the path that is to count no longer.
    Everything is checked before the first entry is signed.
    """
    account, seed = hosted.account_of(ctx, p), p.secret("seed")
    control = hosted.control_of(ctx, account)
    if (undo := p.number("undo", 0)) >= len(control.path):
        raise CallError("bad_request", f"'undo' is {undo} and the path ends with entry {len(control.path) - 1}.")
    if undo:
        control = resolve_control(control.path[:undo])
    if seed is None:
        signer, _ = hosted.slot_signer(ctx, account, RECOVERY_SLOT)
    else:
        signer = Signer(ctx.realm, seed)
    if key_digest(signer.key) not in [slot.current for slot in control.keys[RECOVERY_SLOT:]]:
        raise CallError("refused", "The account does not commit to this recovery key; nothing was changed.", 409)
    own = p.flag("own") or account == hosted.me(ctx)
    home, number, first = _next_root(ctx, account, control, seed is None, own)
    if control.closed:
        raise CallError("refused", "The account is closed; undo the entry that closed it, and those after it.", 409)
    if ctx.device.key in control.cuts:
        raise CallError("refused", f"The writer of this node was cut off for good; {_RENEW}", 409)
    keep = {ctx.device.key, *(bytes.fromhex(str(w)) for w in p.optional_rows("keep") or [])}
    at = ctx.replica.wall_ms(now)
    write = ctx.replica.author.control
    root, following = (hosted.digest(ctx, number, ROOT_SLOT, first + k) for k in (0, 1))
    entry = write(account, signer, Recover(root, following), at, control.path)
    hosted.note(ctx, hosted.Hosted(account, number, home.name if home else ""), p.flag("own"))
    others = [writer for writer in control.grants if writer not in keep and writer not in control.cuts]
    held = {log.writer for log in ctx.store.heads(account)}  # what was undone long ago, others' logs are forgotten
    cut = [writer for writer in others if writer in held or not undo]
    rights: list[ControlOp] = [_cut(ctx, account, writer) for writer in cut]
    if ctx.device.key not in control.grants:
        rights.append(grant_to(ctx.device.key))
    for op in rights:
        write(account, ctx.slot(number, ROOT_SLOT, first), op, at)
    ctx.replica.publish_control(account, now, entries=1 + len(rights))
    hosted.checkpoint(ctx, account, now)  # it takes over no pins: the root that was may have been a thief's
    return {
        "entry": entry.id.hex(),
        "account": account_to_text(account),
        "cut": [writer.hex() for writer in cut],
        "uncut": [writer.hex() for writer in others if writer not in cut],
    }


_RENEW = "stop the node, give it another master with `banyan keys renew`, and recover again."


def _next_root(
    ctx: Context, account: AccountId, control: Control, kept: bool, own: bool
) -> tuple[hosted.Hosted | None, int, int]:
    """(hosted, number, generation) of a root key that nobody has: no copy of the master that made an earlier one."""
    home = hosted.hosted(ctx, account)
    made = [hosted.init_of(control.path[0]).slots[ROOT_SLOT].current, *hosted.recovered_roots(control)]
    unused = hosted.digest(ctx, hosted.OWN_INDEX, ROOT_SLOT, 0) not in made
    number = hosted.OWN_INDEX if own and unused else hosted.next_index(ctx)
    if home is None:
        return None, number, 0
    if kept:
        return home, home.number, 2 * sum(isinstance(o, Rotate | Recover) for o in _ops(control)) + 2
    if hosted.digest(ctx, home.number, ROOT_SLOT, 0) in made:
        raise CallError(
            "refused", f"Whoever copied this home can make its next root key too, so nothing was changed; {_RENEW}", 409
        )
    return home, number, 0


def _hosted(ctx: Context, account: AccountId) -> hosted.Hosted:
    found = hosted.hosted(ctx, account)
    if found is None:
        raise CallError("refused", f"{account_to_text(account)} is not hosted on this node.", 409)
    return found


def close(ctx: Context, p: Params, now: float) -> Any:
    account = hosted.account_of(ctx, p)
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    return _change(ctx, account, root, Close(), now)


METHODS = {
    "account.create": create,
    "account.list": listing,
    "account.show": show,
    "account.grant": grant,
    "account.pin": pin,
    "account.cut": cut,
    "account.drop": drop,
    "account.rotate": rotate,
    "account.recover": recover,
    "account.close": close,
}
