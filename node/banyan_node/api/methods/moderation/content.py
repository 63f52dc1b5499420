"""Content that this node does not give out: withholding a post by an order, and releasing it.

Only content is withheld. Heads, state and the copies of other nodes stay unchanged. A peer that asks this node for the
content gets the signed statement. A sealed copy stays here (moderation/withheld.py), so that a post of which nobody
else has the content is shown again when it is released or when its term ends.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import Annotated

from msgspec import Meta

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, Ref, account_to_text
from banyan_crdt.ops import Put, decode_body, part_of
from banyan_crdt.state import counted_entries
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, PostOf, Request, Response
from banyan_node.api.event_stream import JudgedPost
from banyan_node.api.json_types import Milliseconds, PostRef, PostUri, target_of, uri
from banyan_node.api.methods.posts.post_rows import name_of
from banyan_node.context import Context
from banyan_node.moderation import withheld
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_replica.host import PartItem
from banyan_replica.peers.statements import Withheld, sign_withheld
from banyan_schema.social import POST, Target, post_to_text
from banyan_storage.alliance_tables import ORDERED
from banyan_storage.due import Work
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import LABELLED, ORDERS_HAVE_TERMS, RELEASED_CONTENT, WITHHELD, Order

METHODS = MethodTable()
DAY_MS = 86_400_000
AT_ONCE = 100
"""Orders that one step ends."""


class WithholdRequest(Request):
    """order, basis, scope: parts of the signed statement that peers get instead of the content. erase: no copy is kept
    here, so a release asks peers for the content, and if none has it, it is gone for good. Default: a sealed copy stays
    until the release, the end of the term or the author's deletion; nobody is given it."""

    uri: PostRef
    order: Annotated[str, Meta(description="The order or decision.")]
    basis: Annotated[str, Meta(description="Its legal basis.")] = ""
    scope: Annotated[str, Meta(description="Where it applies.")] = ""
    days: Annotated[int, Meta(ge=0, le=36_500, description="How many days; 0: until it is released.")] = 0
    erase: bool = False


class WithheldAnswer(Response):
    """withheld: how many writes of the post, including edits and the texts that they replaced. kept: of how many a
    sealed copy is kept."""

    uri: PostUri
    withheld: int
    kept: int
    expires_ms: Milliseconds | None


class WithheldRow(Response):
    """A post that this node withholds. expires_ms: 0 for an order without an end."""

    uri: PostUri
    name: str
    order: str
    basis: str
    scope: str
    since_ms: Milliseconds
    expires_ms: Milliseconds


class WithheldPosts(Response):
    posts: list[WithheldRow]


class ReleaseResult(Response):
    """released: how many writes of the post are given out again. kept: of how many a copy was kept; the others are
    requested from peers."""

    uri: PostUri
    released: int
    kept: int


@METHODS.write("content.withhold", "not_found", "refused", audited=True)
def withhold(ctx: Context, ask: WithholdRequest, now: float) -> WithheldAnswer:
    """Stops giving out the content of a post, by an order. This includes edits and the texts that they replaced. Of a
    post that is withheld the order and its term replace those that stand; it is not given out in between."""
    target, now_ms = target_of(ask.uri), ctx.replica.wall_ms(now)
    expires = now_ms + ask.days * DAY_MS if ask.days else None
    if not ask.order.strip():
        raise bad_request("The order is empty; name the order or decision by which you withhold.")
    writes = [(ref, ctx.store.withheld(ref.entry, ref.op)) for ref in _writes(ctx, target)]
    stands = WITHHELD.get(ctx.store, target)
    refs = [ref for ref, reason in writes if reason is None or (reason and stands is not None)]
    if all(reason for _, reason in writes) and stands is not None and ask.erase and withheld.any_of(ctx.store, target):
        withheld.drop(ctx.store, target.account, target.key)
        return WithheldAnswer(uri(target), 0, 0, stands.expires_ms or None)
    if not refs:  # or its author deleted it
        raise not_found(f"No content of {post_to_text(target)} is here to withhold.")
    tell_judged(ctx, [target])  # before the content is gone, which has the time of the post
    order = Order(ask.order, ask.basis, ask.scope, now_ms, expires or 0)
    _keep_back(ctx, target, refs, order, ask.erase)
    if ask.erase:
        withheld.drop(ctx.store, target.account, target.key)
    _note(ctx, target, order)
    ctx.store.note_act("withheld", target.account, target.key, (ask.order, ask.basis, ask.scope, str(expires or 0)))
    return WithheldAnswer(uri(target), len(refs), sum(1 for _ in withheld.opened(ctx, target)), expires)


def withhold_again(ctx: Context, target: Target, order: Order) -> None:
    """Of a post that is withheld: by this earlier order from now on, with its time and its term."""
    tell_judged(ctx, [target])
    refs = [ref for ref in _writes(ctx, target) if ctx.store.withheld(ref.entry, ref.op)]
    _keep_back(ctx, target, refs, order, erase=not withheld.any_of(ctx.store, target))
    _note(ctx, target, order)
    ctx.store.note_act("withheld", target.account, target.key, (*order[:3], str(order.expires_ms)))


def _keep_back(ctx: Context, target: Target, refs: list[Ref], order: Order, erase: bool) -> None:
    """Gives these writes of the post to nobody any more, by this order."""
    if not erase:
        withheld.keep(ctx, target, refs)
    for entry, op in refs:
        stated = Withheld(ctx.device.key, order.since_ms, entry, op, *order[:3], order.expires_ms or None)
        if (raw := ctx.store.part(entry, op)) is not None:
            ctx.replica.gossip.forget_content(raw)
        ctx.store.erase_part(entry, op, sign_withheld(ctx.device, stated))
        RELEASED_CONTENT.put(ctx.store, Ref(entry, op), None)


def keep_back_edits(ctx: Context, account: AccountId, added: Iterable[Entry]) -> bool:
    """Withholds what came now of posts that an order withholds, with a copy if there are copies of them. Returns
    whether there was any."""
    if ctx.store.few_notes(WITHHELD.prefix) == frozenset() or not WITHHELD.any(ctx.store, account):
        return False
    edits: dict[Target, list[Ref]] = {}
    for entry in added:
        for at, op in enumerate(decode_body(entry.ops).ops):
            if isinstance(op, Put) and op.coll == POST and part_of(op):
                edits.setdefault(Target(account, op.key), []).append(Ref(entry.id, at))
    orders = ((post, refs, WITHHELD.get(ctx.store, post)) for post, refs in edits.items())
    judged = [(post, refs, order) for post, refs, order in orders if order is not None]
    if judged:
        ctx.replica.ingest.flush()
    for post, refs, order in judged:
        new = [ref for ref in refs if ctx.store.withheld(ref.entry, ref.op) is None]
        _keep_back(ctx, post, new, order, erase=not withheld.any_of(ctx.store, post))
    return bool(judged)


def _note(ctx: Context, target: Target, order: Order | None) -> None:
    """Notes the order that withholds a post, and when it ends. None: none does."""
    WITHHELD.put(ctx.store, target, order)
    if order is not None and order.expires_ms:
        ctx.store.set_due(Work.WITHHELD, target.account + target.key, order.expires_ms)
    else:
        ctx.store.drop_due(Work.WITHHELD, target.account + target.key)


def tell_judged(ctx: Context, posts: Iterable[Target]) -> None:
    """Tells listeners, once it is durable, that these posts are shown otherwise."""
    ctx.replica.tell("judged", posts=[JudgedPost(uri(post), _time_ms(ctx, post)) for post in posts])


def note_returned(ctx: Context, post: Target) -> None:
    """Notes that something keeps a post back no more. Readers show it then as it is, so its label is told again."""
    ctx.store.note_act("returned", post.account, post.key)
    if (label := LABELLED.get(ctx.store, post)) is not None:
        ctx.store.note_act("labelled", post.account, post.key, (label.text,))


def tell_returned(ctx: Context, items: Iterable[PartItem]) -> None:
    """The same of posts that were released, of which content came now. What others said of it is forgotten."""
    items = [*items]
    withheld.came(ctx.store, items)
    posts = dict[Target, None]()
    for ref in [Ref(item.entry, item.op) for item in items]:
        if (post := RELEASED_CONTENT.get(ctx.store, ref)) is not None:
            RELEASED_CONTENT.put(ctx.store, ref, None)
            posts[post] = None
    for post in posts:
        note_returned(ctx, post)
    if posts:
        tell_judged(ctx, posts)


def _time_ms(ctx: Context, post: Target) -> int | None:
    try:
        view = ctx.queries().post(post, hidden=True)
    except ViewBuilding:
        return None
    return None if view is None else view.time_ms


def given_to_peers(ctx: Context, target: Target) -> bool:
    """Whether peers are given any content of the post: it is here, and not withheld."""
    if not ctx.holds(target.account):
        return False
    return any(ctx.store.withheld(ref.entry, ref.op) is None for ref in _writes(ctx, target))


@METHODS.write("content.release", "not_found", "refused", audited=True)
def release(ctx: Context, ask: PostOf, now: float) -> ReleaseResult:
    """Ends a withholding: the content is here again from the copy that was kept; without one it is requested from
    peers. Listeners hear of the post (`judged`) when content of it is here."""
    target = target_of(ask.uri)
    if (ordered := ORDERED.get(ctx.store, target)) is not None:
        says = "refuse it (`order.refuse`), which everybody sees, or appeal"
        raise conflict(f"Order {ordered.order.hex()} of the alliance withholds this post: {says}.")
    kept = [*withheld.opened(ctx, target)]
    refs = dict.fromkeys([*_writes(ctx, target), *(Ref(item.entry, item.op) for item in kept)])
    wanted = [ref for ref in refs if ctx.store.want_part(ref.entry, ref.op)]
    withheld.drop(ctx.store, target.account, target.key)
    _note(ctx, target, None)
    if not wanted:
        raise not_found(f"No content of {post_to_text(target)} is withheld here.")
    back = ctx.replica.ingest.parts(kept)
    ctx.store.put_loose_parts([item for item in kept if not ctx.store.is_counted(item.entry)])
    lacking = [ref for ref in wanted if ctx.store.lacks_part(ref.entry, ref.op)]
    for ref in lacking:
        RELEASED_CONTENT.put(ctx.store, ref, target)
    if len(lacking) < len(wanted):
        note_returned(ctx, target)
        tell_judged(ctx, [target])
    return ReleaseResult(uri(target), len(wanted), len(back))


def end_terms(ctx: Context, now: float) -> bool:
    """Releases what is withheld by orders whose term has ended. Returns whether more is waiting."""
    if not ORDERS_HAVE_TERMS.get(ctx.store):
        withheld.seal_old(ctx)
        for target, order in [*WITHHELD.rows(ctx.store)]:
            _note(ctx, target, order)
        ORDERS_HAVE_TERMS.put(ctx.store, True)
    withheld.let_go(ctx)
    now_ms = ctx.replica.wall_ms(now)
    due = ctx.store.due(Work.WITHHELD, now_ms, AT_ONCE)
    for _, key in due:
        target = Target.of(key)
        if ctx.holds(target.account):
            with suppress(CallError):  # the author deleted it, and nothing of it is withheld any more
                release(ctx, PostOf(post_to_text(target)), now)
        else:  # dropped here: should it come back, it comes back withheld
            ctx.store.set_due(Work.WITHHELD, key, now_ms + DAY_MS)
    return len(due) == AT_ONCE


@METHODS.read("content.withheld", slow=True)
def listing(at: CommitView, ask: EmptyRequest) -> WithheldPosts:
    """Lists the posts that this node withholds."""
    q = at.queries()
    return WithheldPosts([WithheldRow(uri(t), name_of(q, t.account), *said) for t, said in WITHHELD.rows(at.store)])


@contextmanager
def judged_together(ctx: Context, posts: Iterable[Target]) -> Iterator[None]:
    """Meanwhile the writes of these posts are known: the logs of each author are read once. Nothing may be written to
    these posts."""
    for _, few in groupby(sorted(posts), key=lambda post: post.account):
        with suppress(CallError):
            ctx.post_writes |= _writes_of(ctx, [*few])
    try:
        yield
    finally:
        ctx.post_writes.clear()


def _writes(ctx: Context, target: Target) -> list[Ref]:
    known = ctx.post_writes.get(target)
    return _writes_of(ctx, [target])[target] if known is None else known


def _writes_of(ctx: Context, posts: Sequence[Target]) -> dict[Target, list[Ref]]:
    """The operations that wrote each post, in every log of its account. posts: of one account. Raises CallError."""
    target, found = posts[0], {post: list[Ref]() for post in posts}
    control = ctx.replica.ingest.control_of(target.account)
    if control is None:
        raise not_found(f"{account_to_text(target.account)} is not held here.")
    wanted = {post.key: refs for post, refs in found.items()}
    for log in ctx.store.heads(target.account):
        for entry, body in counted_entries(control, log, ctx.store.walk(log)) if log.log else ():
            for at, op in enumerate(body.ops):
                if isinstance(op, Put) and op.coll == POST and op.key in wanted and part_of(op):
                    wanted[op.key].append(Ref(entry.id, at))
    return found
