"""What people do and read: posts, reactions, follows, profiles, feeds and conversations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Add, Put
from banyan_node.backend import hosted
from banyan_node.backend.params import Params
from banyan_node.context import Context
from banyan_node.gone import why_gone
from banyan_node.operator_errors import CallError
from banyan_replica.intake import author
from banyan_schema.social import (
    BLOCK,
    FOLLOW,
    MUTE,
    POST,
    Draft,
    Post,
    Relation,
    ReplyTo,
    Target,
    delete_post,
    post_key,
    post_to_text,
    react,
    relate,
    repost,
    set_profile,
    undo,
    write_post,
)
from banyan_storage.errors import ViewBuilding
from banyan_storage.queries import PostView, Queries

COLLS = {"follow": FOLLOW, "block": BLOCK, "mute": MUTE}
FEED_MOST = 1_000


def append(ctx: Context, account: AccountId, drafts: Iterable[Draft], now: float) -> str:
    """One entry of these operations; its id in hexadecimal. Durable before the call is answered."""
    pieces = list(drafts)
    entry = author.Draft(tuple(d.op for d in pieces), tuple(d.content for d in pieces))
    log = hosted.writable_log(ctx, account)
    written = ctx.replica.publish(log, ctx.device, [entry], now)
    return written[-1].entries[-1].id.hex()


def set_fields(ctx: Context, account: AccountId, fields: dict[str, str], now: float) -> str:
    salt, q = hosted.salt_of(ctx, account), ctx.queries()
    drafts = []
    for name, value in fields.items():
        op = set_profile(salt, name, value).op
        assert isinstance(op, Put)
        drafts.append(set_profile(salt, name, value, q.live(account, op)))
    return append(ctx, account, drafts, now)


def _write(ctx: Context, p: Params, now: float, reply: ReplyTo | None = None, quote: Target | None = None) -> Any:
    account = hosted.account_of(ctx, p, "by")
    wall_ms = ctx.replica.wall_ms(now)
    key = post_key(hosted.salt_of(ctx, account), ctx.replica.author.random(16), wall_ms)
    post = Post(_said(p), reply, quote, p.optional("lang"), wall_ms)
    entry = append(ctx, account, [write_post(key, post)], now)
    return {"uri": post_to_text(Target(account, key)), "entry": entry}


def _said(p: Params) -> str:
    text = p.text("text")
    if not text.strip():
        raise CallError("bad_request", "A post says something: its text is empty.")
    return text


def _held(ctx: Context, target: Target) -> PostView:
    q = ctx.queries()
    found = q.post(target)
    if found is None:
        raise _missing(q, target)
    return found


def _missing(q: Queries, target: Target) -> CallError:
    return CallError("not_found", f"The post {post_to_text(target)} is {why_gone(q, target).sentence}.", 404)


def post(ctx: Context, p: Params, now: float) -> Any:
    return _write(ctx, p, now)


def reply(ctx: Context, p: Params, now: float) -> Any:
    parent = _held(ctx, p.post())
    root = parent.post.reply.root if parent.post.reply else parent.target
    return _write(ctx, p, now, reply=ReplyTo(root, parent.target))


def quote(ctx: Context, p: Params, now: float) -> Any:
    return _write(ctx, p, now, quote=_held(ctx, p.post()).target)


def edit(ctx: Context, p: Params, now: float) -> Any:
    view = _held(ctx, p.post())
    op = Put(POST, view.target.key, (), None)
    changed = Post(_said(p), view.post.reply, view.post.quote, view.post.lang, view.post.created_ms)
    live = ctx.queries().live(view.target.account, op)
    entry = append(ctx, view.target.account, [write_post(view.target.key, changed, live)], now)
    return {"uri": post_to_text(view.target), "entry": entry}


def delete(ctx: Context, p: Params, now: float) -> Any:
    view = _held(ctx, p.post())
    return {
        "uri": post_to_text(view.target),
        "answers": ctx.queries().reply_count(view.target),
        "entry": append(ctx, view.target.account, [delete_post(view.target.key)], now),
    }


def _add_or_undo(ctx: Context, p: Params, account: AccountId, draft: Draft, now: float, take_back: bool) -> str:
    op = draft.op
    assert isinstance(op, Add)
    live = ctx.queries().live(account, op)
    if take_back:
        if not live:
            raise CallError("not_found", f"There is nothing to undo by {p.method}.", 404)
        return append(ctx, account, [undo(op.coll, live)], now)
    return live[-1].entry.hex() if live else append(ctx, account, [draft], now)


def _react(ctx: Context, p: Params, now: float) -> Any:
    account, take_back = hosted.account_of(ctx, p, "by"), p.flag("undo")
    target = p.post() if take_back else _held(ctx, p.post()).target
    emoji = p.text("emoji").strip()
    if not emoji:
        raise CallError("bad_request", "A reaction is an emoji: this one is empty.")
    draft = react(hosted.salt_of(ctx, account), target, emoji)
    return {"entry": _add_or_undo(ctx, p, account, draft, now, take_back)}


def _repost(ctx: Context, p: Params, now: float) -> Any:
    account, take_back = hosted.account_of(ctx, p, "by"), p.flag("undo")
    target = p.post() if take_back else _held(ctx, p.post()).target
    draft = repost(hosted.salt_of(ctx, account), target)
    return {"entry": _add_or_undo(ctx, p, account, draft, now, take_back)}


def _relation(relation: Relation, always_undo: bool = False) -> Any:
    def do(ctx: Context, p: Params, now: float) -> Any:
        account, other = hosted.account_of(ctx, p, "by"), hosted.account_of(ctx, p)
        if account == other:
            raise CallError("bad_request", f"An account cannot {relation} itself.")
        draft = relate(hosted.salt_of(ctx, account), relation, other)
        entry = _add_or_undo(ctx, p, account, draft, now, always_undo or p.flag("undo"))
        return {"entry": entry, "account": account_to_text(other)}

    return do


def profile_set(ctx: Context, p: Params, now: float) -> Any:
    account = hosted.account_of(ctx, p, "by")
    fields = {str(k): str(v) for k, v in p.table("fields").items()}
    if not fields:
        raise CallError("bad_request", "A profile change names at least one field.")
    set_fields(ctx, account, fields, now)
    shown = {f.field: f.value for f in ctx.queries().profile(account).fields}
    return {"account": account_to_text(account), "fields": shown}


def profile_get(ctx: hosted.Reads, p: Params, now: float) -> Any:
    account, q = hosted.account_of(ctx, p), ctx.queries()
    fields = {f.field: f.value for f in q.profile(account).fields}
    follows = q.follows(account, limit=50)
    return {
        "account": account_to_text(account),
        "name": fields.get("name", ""),
        "fields": fields,
        "follows": q.follow_count(account),
        "followers": q.follower_count(account),
        "posts": q.post_count(account),
        "following": [{"account": account_to_text(a), "name": name_of(q, a)} for a in follows],
    }


def name_of(q: Queries, account: AccountId) -> str:
    """Empty too while what is shown is being built: a list without names is better than none."""
    try:
        return next((f.value for f in q.profile(account).fields if f.field == "name"), "")
    except ViewBuilding:
        return ""


def row(q: Queries, view: PostView, names: dict[AccountId, str]) -> dict[str, Any]:
    """A post as people read it."""

    def name(account: AccountId) -> str:
        if account not in names:
            names[account] = name_of(q, account)
        return names[account]

    said, answered = view.post, view.post.reply
    quoted: dict[str, Any] | None = None
    if said.quote is not None:
        original = q.post(said.quote)
        quoted = {
            "uri": post_to_text(said.quote),
            "name": name(said.quote.account) if original else None,
            "text": original.post.text if original else None,
        }
    return {
        "uri": post_to_text(view.target),
        "account": account_to_text(view.target.account),
        "name": name(view.target.account),
        "text": said.text,
        "time_ms": view.time_ms,
        "edited": q.edited(view),
        "lang": said.lang,
        "reply_to": post_to_text(answered.parent) if answered else None,
        "root": post_to_text(answered.root) if answered else None,
        "reply_name": name(answered.parent.account) or None if answered else None,
        "quote": quoted,
        "replies": q.reply_count(view.target),
        "reactions": {r.emoji: r.accounts for r in q.reactions(view.target)},
        "reposts": q.repost_count(view.target),
    }


def feed(ctx: hosted.Reads, p: Params, now: float) -> Any:
    q, me = ctx.queries(), hosted.me(ctx)
    hidden = {*q.blocks(me), *q.mutes(me)} if me else set()
    if p.optional("account"):
        accounts = [hosted.account_of(ctx, p)]
    elif p.flag("all"):
        accounts = [a for a in ctx.store.accounts() if a not in hidden]
    else:
        own = hosted.my_account(ctx)
        accounts = [a for a in (own, *q.follows(own)) if a not in hidden]
    before = p.optional("before")
    try:
        cursor = bytes.fromhex(before) if before else None
    except ValueError:
        raise CallError("bad_request", f"'{before}' is no place in a feed: give `before` of the page above.") from None
    limit = p.number("limit", 20, FEED_MOST)
    views = q.feed(accounts, cursor, limit)
    names: dict[AccountId, str] = {}
    more = len(views) == limit and views
    return {"posts": [row(q, v, names) for v in views], "before": views[-1].cursor.hex() if more else None}


def thread(q: Queries, p: Params) -> Any:
    """A post that is deleted or withheld ends no conversation: what others answered to it is theirs, and is shown."""
    target = p.post()
    found = q.thread(target)
    if found.post is None and not found.replies:
        raise _missing(q, target)
    names: dict[AccountId, str] = {}
    base = len(found.ancestors)
    posts = [{**row(q, v, names), "depth": k} for k, v in enumerate(found.ancestors)]
    if found.post is not None:
        posts.append({**row(q, found.post, names), "depth": base})
    posts.extend({**row(q, r.view, names), "depth": base + r.depth} for r in found.replies)
    missing = target if found.post is None else found.missing
    gone = None if missing is None else why_gone(q, missing)
    return {
        "posts": posts,
        "missing": None if missing is None else post_to_text(missing),
        "gone": None if gone is None else {"word": gone.word, "sentence": gone.sentence},
        "complete": found.complete,
    }


METHODS = {
    "post": post,
    "reply": reply,
    "quote": quote,
    "edit": edit,
    "delete": delete,
    "react": _react,
    "repost": _repost,
    "follow": _relation("follow"),
    "unfollow": _relation("follow", always_undo=True),
    "block": _relation("block"),
    "mute": _relation("mute"),
    "profile.set": profile_set,
    "profile.get": profile_get,
    "feed": feed,
}
TOGETHER = frozenset({"post"})
"""Methods that read notes and control logs only, nothing that is published."""
READS = {"thread": thread}
