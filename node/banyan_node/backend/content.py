"""Content that this node does not give out: withholding a post by an order, and lifting that again.

Only content goes. Heads, state and everybody else's copies stay as they are; whoever asks this node for the content
gets the signed statement.
"""

from __future__ import annotations

from typing import Any

from banyan_crdt.ids import Ref, account_to_text
from banyan_crdt.ops import Put, part_of
from banyan_crdt.state import counted_entries
from banyan_node.backend.params import Params
from banyan_node.backend.social import name_of
from banyan_node.context import Context
from banyan_node.gone import Order, note_withheld, withheld
from banyan_node.operator_errors import CallError
from banyan_replica.peers.withholding import Withheld, sign_withheld
from banyan_schema.social import POST, Target, post_to_text
from banyan_storage.queries import Queries

DAY_MS = 86_400_000


def withhold(ctx: Context, p: Params, now: float) -> Any:
    """Every write of the post, edits and what they replaced."""
    target, now_ms = p.post(), ctx.replica.wall_ms(now)
    days = p.number("days", 0, 36_500)
    expires = now_ms + days * DAY_MS if days else None
    order, basis, scope = p.text("order"), p.text("basis", ""), p.text("scope", "")
    if not order.strip():
        raise CallError("bad_request", "A withholding says by which order or decision: the order is empty.")
    refs = [r for r in _writes(ctx, target) if ctx.store.withheld(r.entry, r.op) is None]
    if not refs:
        raise CallError("not_found", f"No content of {post_to_text(target)} is here to withhold.", 404)
    for entry, op in refs:
        stated = Withheld(ctx.device.key, now_ms, entry, op, order, basis, scope, expires)
        ctx.store.erase_part(entry, op, sign_withheld(ctx.device, stated))
    note_withheld(ctx.store, target, Order(order, basis, scope, now_ms, expires or 0))
    return {"uri": post_to_text(target), "withheld": len(refs), "expires_ms": expires}


def release(ctx: Context, p: Params, now: float) -> Any:
    """The content is asked of others again."""
    target = p.post()
    done = sum(ctx.store.want_part(r.entry, r.op) for r in _writes(ctx, target))
    note_withheld(ctx.store, target, None)
    if not done:
        raise CallError("not_found", f"No content of {post_to_text(target)} is withheld here.", 404)
    return {"uri": post_to_text(target), "released": done}


def _writes(ctx: Context, target: Target) -> list[Ref]:
    """The operations that wrote the post, in every log of its account."""
    control = ctx.replica.ingest.control_of(target.account)
    if control is None:
        raise CallError("not_found", f"{account_to_text(target.account)} is not held here.", 404)
    found = []
    for log in ctx.store.heads(target.account):
        for entry, body in counted_entries(control, log, ctx.store.walk(log)) if log.log else ():
            for at, op in enumerate(body.ops):
                if isinstance(op, Put) and op.coll == POST and op.key == target.key and part_of(op):
                    found.append(Ref(entry.id, at))
    return found


def listing(q: Queries, p: Params) -> Any:
    """What this node withholds."""
    rows = [
        {"uri": post_to_text(target), "name": name_of(q, target.account), **said._asdict()}
        for target, said in withheld(q.reader)
    ]
    return {"posts": rows}


READS = {"content.withheld": listing}
METHODS = {"content.withhold": withhold, "content.release": release}
