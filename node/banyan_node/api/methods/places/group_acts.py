"""What people do with groups: they open and change them, join and leave; owners and moderators accept, refuse, invite,
ban, remove and pin."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId, CellKey, EntryId, account_to_text
from banyan_crdt.ops import Add, Put
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, MethodTable, Response, UndoRequest
from banyan_node.api.methods.posts.post_writes import add_or_undo, held
from banyan_node.context import Context
from banyan_node.hosting import groups, hosted
from banyan_node.hosting.entry_writer import append, append_each, new_target
from banyan_node.operator_errors import bad_request, conflict, forbidden, not_found
from banyan_reading.events import event_of
from banyan_reading.groups import COUNTED, MODERATORS, GroupView
from banyan_schema.collection import OpDraft, undo
from banyan_schema.social import group as schema
from banyan_storage.slots import TARGET

METHODS = MethodTable()
OPS = 128
"""The most acts of one entry."""


class GroupCreate(ActorRequest):
    """kind: open, anybody joins; request, who joins waits to be accepted; closed, only who is invited can join. Nothing
    that is said in a group is secret, whatever its kind."""

    name: str
    description: str = ""
    rules: str = ""
    kind: schema.Kind = "open"


class GroupSet(ActorRequest):
    """What is left out does not change."""

    group: js.GroupRef
    name: str | None = None
    description: str | None = None
    rules: str | None = None
    kind: schema.Kind | None = None


class GroupDelete(ActorRequest):
    group: js.GroupRef


class JoinRequest(UndoRequest):
    group: js.GroupRef


class ActRequest(UndoRequest):
    """by: the owner or a moderator."""

    group: js.GroupRef
    account: js.AccountRef


class ModeratorRequest(ActRequest):
    """drop: with `undo`, what the moderator said ends with it; otherwise the owner says the same from now on."""

    drop: Annotated[bool, Meta(description="End what the moderator said.")] = False


class PostActRequest(UndoRequest):
    """uri: a post in the group; to remove, an event too. by: the owner or a moderator."""

    uri: js.PostRef


class GroupWritten(Response):
    uri: js.PostUri
    name: str
    entry: js.EntryHex


class JoinWritten(GroupWritten):
    """waits: whether somebody has to accept it first."""

    waits: bool


class DismissResult(GroupWritten):
    """kept: how many things that the moderator said the owner says now."""

    kept: int


def _named(name: str) -> str:
    if not name.strip():
        raise bad_request("The name of the group is empty.")
    return name.strip()


def _written(found: GroupView, entry: EntryId) -> GroupWritten:
    return GroupWritten(js.uri(found.target), found.group.name, js.entry_hex(entry))


@METHODS.write("group.create", "refused")
def create(ctx: Context, ask: GroupCreate, now: float) -> GroupWritten:
    """Opens a group, which the account owns."""
    account = hosted.account_of(ctx, ask.by)
    group = schema.Group(_named(ask.name), ask.description, ask.rules, ask.kind)
    target = new_target(ctx, account, now)
    entry = append(ctx, account, [schema.write_group(target.key, group)], now)
    return GroupWritten(js.uri(target), group.name, js.entry_hex(entry))


@METHODS.write("group.set", "not_found", "refused")
def change(ctx: Context, ask: GroupSet, now: float) -> GroupWritten:
    """Changes what a group says of itself. If it is open no more, its members stay: the owner accepts them."""
    account = hosted.account_of(ctx, ask.by)
    found = groups.owned_by(ctx, account, js.target_of(ask.group, "a group"), "changes it")
    was = found.group
    new = schema.Group(
        was.name if ask.name is None else _named(ask.name),
        was.description if ask.description is None else ask.description,
        was.rules if ask.rules is None else ask.rules,
        ask.kind or was.kind,
    )
    staying = list[OpDraft]()
    if was.kind == "open" != new.kind:
        count = found.count()
        if not count.exact or count.members > COUNTED:
            says = f"The group has {count.members:,} members; of at most {COUNTED:,} the owner can accept each one."
            raise conflict(says)
        salt = hosted.salt_of(ctx, account)
        for one in found.joining(None):
            if found.is_member(one) and one not in found.rulers and not _admitted(found, one):
                staying.append(schema.act(salt, schema.GroupAct(found.target, "accept", one)))
    live = ctx.queries().live(account, Put(schema.GROUP, found.target.key, (), None))
    entry = append_each(ctx, account, [*_chunks(staying), [schema.write_group(found.target.key, new, live)]], now)
    return GroupWritten(js.uri(found.target), new.name, js.entry_hex(entry))


def _admitted(found: GroupView, account: AccountId) -> bool:
    return found.ruled("accept", account) or found.ruled("invite", account)


def _chunks(drafts: list[OpDraft]) -> Iterator[list[OpDraft]]:
    return (drafts[at : at + OPS] for at in range(0, len(drafts), OPS))


@METHODS.write("group.delete", "not_found", "refused")
def delete(ctx: Context, ask: GroupDelete, now: float) -> GroupWritten:
    """Ends a group for good. What was said in it stays with those who said it."""
    account = hosted.account_of(ctx, ask.by)
    found = groups.owned_by(ctx, account, js.target_of(ask.group, "a group"), "deletes it")
    return _written(found, append(ctx, account, [schema.delete_group(found.target.key)], now))


@METHODS.write("group.join", "not_found", "refused")
def joining(ctx: Context, ask: JoinRequest, now: float) -> JoinWritten:
    """Joins a group, or asks to; `undo` leaves it. Whom nobody invited cannot join a closed one."""
    account, target = hosted.account_of(ctx, ask.by), js.target_of(ask.group, "a group")
    salt = hosted.salt_of(ctx, account)
    if ask.undo:  # also one that was deleted, or is held no more
        entry = add_or_undo(ctx, "group.join", account, schema.join(salt, schema.GroupJoin(target)), now, True)
        return JoinWritten(js.uri(target), "", js.entry_hex(entry), False)
    found = groups.held(ctx.queries(), target)
    who, name = account_to_text(account), found.group.name
    if account == target.account:
        raise conflict(f"'{name}' is a group of this account: it is in it.")
    if found.banned(account):
        raise forbidden(f"{who} is banned from '{name}'.")
    if found.group.kind == "closed" and not found.admitted(account):
        raise forbidden(f"'{name}' is closed: somebody who moderates it must invite {who} first.")
    asks = found.group.kind == "request" and not found.admitted(account)
    tell = found.moderators[: schema.MAX_TELL] if asks else ()
    entry = add_or_undo(ctx, "group.join", account, schema.join(salt, schema.GroupJoin(target, tell)), now, False)
    return JoinWritten(js.uri(target), name, js.entry_hex(entry), asks)


def _say(
    ctx: Context,
    by: AccountId,
    found: GroupView,
    one: schema.GroupAct,
    now: float,
    take_back: bool,
    ends: schema.What | None = None,
) -> GroupWritten:
    """Writes an act, or takes it back. ends: another act of the same account, which is taken back with it."""
    salt = hosted.salt_of(ctx, by)
    draft, more = schema.act(salt, one), list[OpDraft]()
    if ends is not None and not take_back:
        other = schema.act(salt, schema.GroupAct(found.target, ends, one.account)).op
        assert isinstance(other, Add)
        if live := ctx.queries().live(by, other):
            more = [undo(schema.ACT, live)]
    if more:
        assert isinstance(draft.op, Add)
        said = [] if ctx.queries().live(by, draft.op) else [draft]
        return _written(found, append(ctx, by, [*more, *said], now))
    return _written(found, add_or_undo(ctx, f"group.{one.what}", by, draft, now, take_back))


def _judge(ctx: Context, ask: ActRequest, does: str) -> tuple[AccountId, AccountId, GroupView]:
    by, whom = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    return by, whom, groups.ruled_by(ctx, by, js.target_of(ask.group, "a group"), does)


@METHODS.write("group.accept", "not_found", "refused")
def accept(ctx: Context, ask: ActRequest, now: float) -> GroupWritten:
    """Accepts somebody who asked to join. `undo` ends that: it is a member no more unless another accepted it too."""
    by, whom, found = _judge(ctx, ask, "accepts members")
    if not ask.undo and not found.joined(whom):
        raise conflict(f"{account_to_text(whom)} has not asked to join '{found.group.name}': invite it.")
    return _say(ctx, by, found, schema.GroupAct(found.target, "accept", whom), now, ask.undo, "refuse")


@METHODS.write("group.refuse", "not_found", "refused")
def refuse(ctx: Context, ask: ActRequest, now: float) -> GroupWritten:
    """Takes a wish to join off the list. Who accepts it all the same makes it a member."""
    by, whom, found = _judge(ctx, ask, "refuses members")
    if not ask.undo and not found.joined(whom):
        raise conflict(f"{account_to_text(whom)} has not asked to join '{found.group.name}'.")
    return _say(ctx, by, found, schema.GroupAct(found.target, "refuse", whom), now, ask.undo, "accept")


@METHODS.write("group.invite", "not_found", "refused")
def invite(ctx: Context, ask: ActRequest, now: float) -> GroupWritten:
    """Invites somebody: it need not be accepted any more."""
    by, whom, found = _judge(ctx, ask, "invites")
    if not ask.undo and found.is_member(whom):
        raise conflict(f"{account_to_text(whom)} is in '{found.group.name}' already.")
    return _say(ctx, by, found, schema.GroupAct(found.target, "invite", whom), now, ask.undo, "refuse")


@METHODS.write("group.ban", "not_found", "refused")
def ban(ctx: Context, ask: ActRequest, now: float) -> GroupWritten:
    """Bans an account: it is no member, and nothing of it is shown in the group."""
    by, whom, found = _judge(ctx, ask, "bans")
    if not ask.undo and whom in found.rulers:
        who, name = account_to_text(whom), found.group.name
        raise conflict(f"{who} owns or moderates '{name}', and cannot be banned from it.")
    return _say(ctx, by, found, schema.GroupAct(found.target, "ban", whom), now, ask.undo)


@METHODS.write("group.moderator", "not_found", "refused")
def moderator(ctx: Context, ask: ModeratorRequest, now: float) -> DismissResult:
    """Names a moderator; `undo` dismisses it. What it said then counts no more, so the owner says the same, unless
    `drop` is given."""
    owner, whom = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    found = groups.owned_by(ctx, owner, js.target_of(ask.group, "a group"), "names moderators")
    if whom == owner:
        raise bad_request("The owner need not be named: it rules the group anyway.")
    named = schema.GroupAct(found.target, "moderator", whom)
    if not ask.undo:
        if len(found.moderators) >= MODERATORS and whom not in found.moderators:
            raise conflict(f"'{found.group.name}' has {MODERATORS} moderators, the most that count.")
        said = _say(ctx, owner, found, named, now, False)
        return DismissResult(said.uri, said.name, said.entry, 0)
    salt, q = hosted.salt_of(ctx, owner), ctx.queries()
    draft = schema.act(salt, named)
    assert isinstance(draft.op, Add)
    live = q.live(owner, draft.op)
    if not live:
        raise not_found(f"{account_to_text(whom)} is no moderator of '{found.group.name}'.")
    taken = [] if ask.drop else [schema.act(salt, one) for one in _said(found, whom) if not _says(found, owner, one)]
    entry = append_each(ctx, owner, [*_chunks(taken), [undo(schema.ACT, live)]], now)
    return DismissResult(js.uri(found.target), found.group.name, js.entry_hex(entry), len(taken))


_KEPT: tuple[schema.What, ...] = ("accept", "invite", "ban", "remove", "pin")


def _said(found: GroupView, by: AccountId) -> Iterator[schema.GroupAct]:
    for what in _KEPT:
        for raw in found.acts(by, what):
            yield schema.GroupAct(found.target, what, AccountId(raw[TARGET.account]), CellKey(raw[TARGET.key]) or None)


def _says(found: GroupView, by: AccountId, one: schema.GroupAct) -> bool:
    return found.says(by, one.what, one.named)


def _of_post(ctx: Context, ask: PostActRequest, what: schema.What, does: str, now: float) -> GroupWritten:
    by, said = hosted.account_of(ctx, ask.by), js.target_of(ask.uri)
    event = event_of(ctx.queries(), said) if what == "remove" else None
    group = held(ctx, ask.uri).post.group if event is None else event.event.group
    if group is None:
        raise bad_request(f"{js.uri(said)} was said in no group.")
    found = groups.ruled_by(ctx, by, group, does)
    if what == "remove" and not ask.undo and said.account == found.target.account != by:
        raise conflict("What the owner of a group says there only the owner removes.")
    return _say(ctx, by, found, schema.GroupAct(found.target, what, *said), now, ask.undo)


@METHODS.write("group.remove", "not_found", "refused")
def remove(ctx: Context, ask: PostActRequest, now: float) -> GroupWritten:
    """Removes a post or an event from its group. It stays with its author."""
    return _of_post(ctx, ask, "remove", "removes posts", now)


@METHODS.write("group.pin", "not_found", "refused")
def pin(ctx: Context, ask: PostActRequest, now: float) -> GroupWritten:
    """Pins a post: `group.show` shows it."""
    return _of_post(ctx, ask, "pin", "pins posts", now)
