"""Groups as people read them: which there are, who is in them, what is said there and what waits for an answer."""

from collections.abc import Callable, Iterator
from typing import Annotated

from msgspec import Meta, structs

from banyan_crdt.ids import AccountId
from banyan_node.api import json_types as js
from banyan_node.api.declare import CommitView, MethodTable, ReaderRequest, Response
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    PostRow,
    PostRows,
    account_name,
    name_of,
    reader_of,
    visibility_of,
)
from banyan_node.hosting import groups, hosted
from banyan_reading.answers import CURSOR_BYTES
from banyan_reading.groups import GroupView, Standing, group_of, joined, owned
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.group import Kind

METHODS = MethodTable()
MOST = 1_000
"""The most groups, members or posts of a page."""
PINNED = 16
"""So many pinned posts are shown."""


class GroupsRequest(ReaderRequest):
    """account: whose groups; default: of the account that reads. as: the account that reads. limit: at most so many."""

    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 200


class GroupRequest(ReaderRequest):
    """as: the account that reads."""

    group: js.GroupRef


class MembersRequest(GroupRequest):
    after: Annotated[str | None, Meta(title="a place among members", description="`after` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100


class GroupFeedRequest(GroupRequest):
    before: Annotated[str | None, Meta(title="a place in a feed", description="`before` of the page above.")] = None
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 20


class GroupRow(Response):
    """members: how many this node knows; exact: whether all were looked at. standing: what the account is in it (of
    `groups`: the one whose groups they are; else the one that reads)."""

    uri: js.PostUri
    name: str
    kind: Kind
    owner: AccountName
    members: int
    exact: bool
    standing: Standing


class Groups(Response):
    """By name. more: whether there are others."""

    groups: list[GroupRow]
    more: bool


class GroupShown(GroupRow):
    """moderators: whom the owner names. pinned: at most 16 posts."""

    description: str
    rules: str
    moderators: list[AccountName]
    pinned: list[PostRow]


class GroupPosts(Response):
    """Newest first. before: give it to get the next page; null on the last page. A page can be short, and have one
    behind it."""

    posts: list[PostRow]
    before: js.FeedCursor | None


class MemberRow(Response):
    account: js.Did
    name: str
    standing: Standing


class Members(Response):
    """The owner first, the others in the order in which this node met them. after: give it to get the next page; null
    on the last page. A page can be short or empty, and have one behind it: who is not shown is looked at too."""

    members: list[MemberRow]
    after: js.Did | None


def _row(q: Queries, found: GroupView, account: AccountId | None) -> GroupRow:
    owner, count = found.target.account, found.count()
    return GroupRow(
        js.uri(found.target),
        found.group.name,
        found.group.kind,
        account_name(q, owner),
        count.members,
        count.exact,
        "none" if account is None else found.standing(account),
    )


@METHODS.read("groups", "refused")
def listing(at: CommitView, ask: GroupsRequest) -> Groups:
    """The groups that an account owns, joined or asked to join. One that it moderates without having joined is not
    among them."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    account = hosted.account_of(at, ask.account or ask.by)
    rows, more = list[GroupRow](), False
    for target in dict.fromkeys(_targets(q, account)):
        found = group_of(q, target)
        if found is None or not visibility.sees(target.account):
            continue
        if len(rows) == ask.limit:
            more = True
            break
        rows.append(_row(q, found, account))
    return Groups(sorted(rows, key=lambda row: (row.name, row.uri)), more)


def _targets(q: Queries, account: AccountId) -> Iterator[Target]:
    yield from owned(q, account)
    yield from joined(q, account)


@METHODS.read("group.show", "not_found", "refused")
def show(at: CommitView, ask: GroupRequest) -> GroupShown:
    """A group: what it is, who rules it, and what is pinned."""
    q, reader = at.queries(), reader_of(at, ask.by)
    found, visibility = groups.held(q, js.target_of(ask.group, "a group")), visibility_of(at, reader)
    rows, pinned = PostRows(q, at.blobs, visibility), list[PostRow]()
    for view in found.pinned():
        if len(pinned) < PINNED and visibility.shows(view):
            pinned.append(rows.row(view))
    return GroupShown(
        **structs.asdict(_row(q, found, reader)),
        description=found.group.description,
        rules=found.group.rules,
        moderators=[AccountName(js.did(one), rows.name(one)) for one in found.moderators],
        pinned=pinned,
    )


@METHODS.read("group.feed", "not_found", "refused")
def feed(at: CommitView, ask: GroupFeedRequest) -> GroupPosts:
    """The posts of a group, newest first: of members, without removed ones, and without those of accounts that the
    owner or the reading account blocks."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    found = groups.held(q, js.target_of(ask.group, "a group"))
    place = js.place_of(ask.before, CURSOR_BYTES, "in a feed")
    shown = (
        (js.feed_cursor(cursor), view if view is not None and visibility.shows(view) else None)
        for cursor, view in (found.posts(place) if ask.limit else ())
    )
    views, before = js.page_of(shown, ask.limit)
    rows = PostRows(q, at.blobs, visibility)
    rows.prepare(views)
    return GroupPosts([rows.row(view) for view in views], before)


@METHODS.read("group.members", "not_found", "refused")
def members(at: CommitView, ask: MembersRequest) -> Members:
    """The members of a group, without those whom the owner or the reading account blocks. The owner stands before the
    first page, beside those that `limit` counts."""
    q = at.queries()
    found = groups.held(q, js.target_of(ask.group, "a group"))
    owner = found.target.account

    def wanted(account: AccountId) -> bool:
        return account != owner and found.is_member(account) and not found.blocked(account)

    return _page(at, ask, found, wanted, () if ask.after else (owner,))


@METHODS.read("group.requests", "not_found", "refused")
def requests(at: CommitView, ask: MembersRequest) -> Members:
    """Those who ask to join a group by request and wait for an answer."""
    found = groups.held(at.queries(), js.target_of(ask.group, "a group"))
    return _page(at, ask, found, found.asks, ())


def _page(
    at: CommitView,
    ask: MembersRequest,
    found: GroupView,
    wanted: Callable[[AccountId], bool],
    first: tuple[AccountId, ...],
) -> Members:
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    after = hosted.account_of(at, ask.after) if ask.after else None
    some = ((js.did(one), one if visibility.sees(one) and wanted(one) else None) for one in found.joining(after))
    page, more = js.page_of(some, ask.limit)
    shown = [*(one for one in first if visibility.sees(one)), *page]
    return Members([MemberRow(js.did(one), name_of(q, one), found.standing(one)) for one in shown], more)
