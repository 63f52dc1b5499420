"""What an account keeps to itself: whom it mutes, bookmarks, lists, notes.

It is sealed (hosting/sealed_writer.py): only the devices of the account can read it.
"""

from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId, CellKey, account_to_text
from banyan_node.api import json_types as js
from banyan_node.api.declare import (
    ActorRequest,
    CommitView,
    MethodTable,
    NoResult,
    OneThing,
    Response,
    UndoPostRequest,
    UndoRequest,
)
from banyan_node.api.methods.posts.post_rows import AccountName, PostRow, PostRows, account_name, name_of, now_ms
from banyan_node.api.methods.posts.post_writes import missing
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.entry_writer import append_each
from banyan_node.hosting.sealed_reader import PrivateData
from banyan_node.operator_errors import bad_request, conflict, not_found
from banyan_reading.visibility import lasts
from banyan_schema.private_kinds import AccountList, Bookmark, ListMember, Mute, Note
from banyan_schema.social import OpDraft

METHODS = MethodTable()
MOST = 1_000
"""The most accounts that are put on a list at once, and rows of a page."""


class NoteRequest(ActorRequest):
    """text: empty takes the note back."""

    account: js.AccountRef
    text: str


class NoteOf(ActorRequest):
    account: js.AccountRef


class TitledList(ActorRequest):
    """id: which one gets another title; left out, a new one is made. exclusive: whether the posts of its accounts are
    left out at home. replies: the answers that it shows: to those on it, to those whom one follows, none, or all.
    Left out, both stay as they are."""

    title: Annotated[str, Meta(min_length=1)]
    id: js.ThingRef | None = None
    exclusive: bool | None = None
    replies: Literal["list", "followed", "none", "all"] | None = None


class ListMembers(UndoRequest):
    id: js.ThingRef
    accounts: Annotated[list[js.AccountRef], Meta(min_length=1, max_length=MOST)]


class MuteRow(Response):
    account: js.Did
    name: str
    until: js.Milliseconds | None


class Mutes(Response):
    mutes: list[MuteRow]


class Blocks(Response):
    blocks: list[AccountName]


class BookmarkRow(Response):
    """post: null if it is not shown here."""

    uri: js.PostUri
    post: PostRow | None


class Bookmarks(Response):
    """By the address of the post."""

    bookmarks: list[BookmarkRow]


class ListRow(Response):
    """members: how many. exclusive, replies: see `list.set`."""

    id: js.KeyHex
    title: str
    members: int
    exclusive: bool
    replies: str


class Lists(Response):
    lists: list[ListRow]


class ListShown(Response):
    """exclusive, replies: see `list.set`."""

    id: js.KeyHex
    title: str
    members: list[AccountName]
    exclusive: bool
    replies: str


class NoteShown(Response):
    """text: empty if there is none."""

    account: js.Did
    text: str


def say(ctx: Context, account: AccountId, drafts: list[OpDraft], now: float) -> NoResult:
    """Writes them, if there are any."""
    if drafts:
        append_each(ctx, account, sealed_writer.entries(drafts), now)
    return NoResult()


def opened(at: CommitView, account: AccountId) -> PrivateData:
    """Raises CallError where nothing of it can be read here, so that nobody takes that for nothing."""
    if at.store.grants(account) is None:
        raise not_found(f"{account_to_text(account)} is not held here.")
    found = at.private(account)
    if found.closed:
        raise conflict("That is sealed for the devices of the account, and this node is none of them.")
    return found


@METHODS.read("mutes", "not_found", "refused")
def mutes(at: CommitView, ask: ActorRequest) -> Mutes:
    """The accounts that one mutes, by id, without those for whom it is over."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    until: dict[AccountId, int | None] = dict.fromkeys(q.mutes(account))
    until |= {AccountId(m.account): m.until_ms for m in opened(at, account).all(Mute) if lasts(m.until_ms, now_ms())}
    return Mutes([MuteRow(js.did(a), name_of(q, a), until[a]) for a in sorted(until)])


@METHODS.read("blocks", "refused")
def blocks(at: CommitView, ask: ActorRequest) -> Blocks:
    """The accounts that one blocks, by id. Everybody can see them."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    return Blocks([account_name(q, a) for a in q.blocks(account)])


@METHODS.write("bookmark", "not_found", "refused")
def bookmark(ctx: Context, ask: UndoPostRequest, now: float) -> NoResult:
    """Keeps a post to find it again."""
    account, wanted = hosted.account_of(ctx, ask.by), Bookmark(js.target_of(ask.uri))
    held = sealed_writer.of(ctx, account).get(wanted) is not None
    if not ask.undo and ctx.queries().post(wanted.post) is None:
        raise missing(ctx.queries(), wanted.post)
    if ask.undo:
        if not held:
            raise not_found("There is nothing to undo by bookmark.")
        return say(ctx, account, sealed_writer.taking_back(ctx, account, [wanted]), now)
    return say(ctx, account, [] if held else sealed_writer.drafts(ctx, account, [wanted], now), now)


@METHODS.read("bookmarks", "not_found", "refused")
def bookmarks(at: CommitView, ask: ActorRequest) -> Bookmarks:
    """The posts that one keeps."""
    account, rows = hosted.account_of(at, ask.by), PostRows(at.queries(), at.blobs)
    found = sorted(b.post for b in opened(at, account).all(Bookmark))
    return Bookmarks([BookmarkRow(js.uri(post), rows.of(post)) for post in found])


@METHODS.write("note.set", "not_found", "refused")
def note_set(ctx: Context, ask: NoteRequest, now: float) -> NoteShown:
    """Notes something on an account, for oneself."""
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    wanted = Note(other, ask.text.strip())
    gone = not wanted.text
    if gone and sealed_writer.of(ctx, account).get(wanted) is None:
        raise not_found("There is nothing to take back: no note on that account.")
    say(ctx, account, sealed_writer.drafts_or_undo(ctx, account, [wanted], now, gone), now)
    return NoteShown(js.did(other), wanted.text)


@METHODS.read("note", "not_found", "refused")
def note(at: CommitView, ask: NoteOf) -> NoteShown:
    """What one noted on an account."""
    account, other = hosted.account_of(at, ask.by), hosted.account_of(at, ask.account)
    found = opened(at, account).get(Note(other, ""))
    return NoteShown(js.did(other), "" if found is None else found.text)


@METHODS.write("list.set", "not_found", "refused")
def list_set(ctx: Context, ask: TitledList, now: float) -> ListRow:
    """Makes a list of accounts, or gives one another title."""
    account = hosted.account_of(ctx, ask.by)
    if not ask.title.strip():
        raise bad_request("The title of the list is empty.")
    if ask.id is None:
        wanted, members = AccountList(ctx.replica.author.random(16), ask.title), 0
    else:
        held = sealed_writer.of(ctx, account)
        wanted = _list(held, ask.id)._replace(title=ask.title)
        members = len(_members(held, wanted))
    if ask.exclusive is not None:
        wanted = wanted._replace(exclusive="yes" if ask.exclusive else None)
    if ask.replies is not None:
        wanted = wanted._replace(replies=None if ask.replies == "all" else ask.replies)
    say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)
    return _row(wanted, members)


@METHODS.write("list.delete", "not_found", "refused")
def list_delete(ctx: Context, ask: OneThing, now: float) -> NoResult:
    """Deletes a list."""
    account = hosted.account_of(ctx, ask.by)
    held = sealed_writer.of(ctx, account)
    found = _list(held, ask.id)
    return say(ctx, account, sealed_writer.taking_back(ctx, account, [found, *_members(held, found)]), now)


@METHODS.write("list.add", "not_found", "refused")
def list_add(ctx: Context, ask: ListMembers, now: float) -> ListRow:
    """Puts accounts on a list, or takes them off it."""
    account = hosted.account_of(ctx, ask.by)
    held = sealed_writer.of(ctx, account)
    found = _list(held, ask.id)
    there = {member.account for member in _members(held, found)}
    given = dict.fromkeys(hosted.account_of(ctx, who) for who in ask.accounts)
    some = [ListMember(found.id, who) for who in given if (who in there) == ask.undo]
    if some:
        say(ctx, account, sealed_writer.drafts_or_undo(ctx, account, some, now, ask.undo), now)
    return _row(found, len(there) + (-len(some) if ask.undo else len(some)))


@METHODS.read("lists", "not_found", "refused")
def lists(at: CommitView, ask: ActorRequest) -> Lists:
    """The lists of an account, by title."""
    held = opened(at, hosted.account_of(at, ask.by))
    found = sorted(held.all(AccountList), key=lambda one: (one.title, one.id))
    return Lists([_row(one, len(_members(held, one))) for one in found])


@METHODS.read("list.show", "not_found", "refused")
def list_show(at: CommitView, ask: OneThing) -> ListShown:
    """Who is on a list, by id."""
    held, q = opened(at, hosted.account_of(at, ask.by)), at.queries()
    found = _list(held, ask.id)
    members = sorted(AccountId(member.account) for member in _members(held, found))
    named, row = [account_name(q, a) for a in members], _row(found, len(members))
    return ListShown(row.id, row.title, named, row.exclusive, row.replies)


def _row(one: AccountList, members: int) -> ListRow:
    return ListRow(js.key_hex(CellKey(one.id)), one.title, members, one.exclusive is not None, one.replies or "all")


def _list(held: PrivateData, text: str) -> AccountList:
    found = held.get(AccountList(js.key_of(text), ""))
    if found is None:
        raise not_found(f"There is no list {text}.")
    return found


def _members(held: PrivateData, of: AccountList) -> list[ListMember]:
    return [member for member in held.all(ListMember) if member.list == of.id]
