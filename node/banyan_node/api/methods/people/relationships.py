"""Who is who to whom, whom one might follow, and what people talk about."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, ReaderRequest, Request, Response
from banyan_node.api.json_types import AccountRef, Did, Milliseconds, did
from banyan_node.api.methods.posts.post_rows import AccountName, account_name, name_of, now_ms, reader_of, visibility_of
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries
from banyan_reading.relations import waits
from banyan_schema.private_kinds import FollowWish, Mute, Note
from banyan_schema.social.post import tag_fold
from banyan_storage.local_tables import LIMITED

METHODS = MethodTable()
NAMED = 5
"""So many accounts are named as a reason."""
FRIENDS, OF_EACH = 300, 300
"""For suggestions so many of those that one follows are asked, and of each so many follows are read."""
STANDING = 200
"""The most accounts of a call of `relationships`."""
LONGEST_HOURS = 7 * 24


class RelationshipRequest(ActorRequest):
    """account: the other. named: so many of `familiar` at most. as: the account that reads."""

    account: AccountRef
    named: Annotated[int, Meta(ge=1, le=STANDING)] = NAMED


class Relationship(Response):
    """following, blocking, muting: what the reader does; followed_by, blocked_by: what the other does. note: what the
    reader noted. familiar: of those that the reader follows, who follow the other: some of them, and how many."""

    account: Did
    name: str
    following: bool
    followed_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    note: str
    familiar: list[AccountName]
    familiar_count: int


class RelationshipsRequest(ActorRequest):
    """as: the account that reads."""

    accounts: Annotated[list[AccountRef], Meta(min_length=1, max_length=STANDING)]


class RelationshipRow(Response):
    """As in `relationship`. requested: whether the other is locked, and has not accepted the reader, which asks to
    follow it; then `following` is false. requested_by: the same the other way round. muting_until: when that ends;
    null: never, or it does not mute. reposts, langs: what of the other is at home, as `follow.wish` said; langs null:
    posts in all languages."""

    account: Did
    following: bool
    requested: bool
    followed_by: bool
    requested_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muting_until: Milliseconds | None
    note: str
    reposts: bool
    langs: list[str] | None


class Relationships(Response):
    """In the order in which they were asked, each once."""

    relationships: list[RelationshipRow]


class SeenRequest(ReaderRequest):
    """as: the account that reads."""

    accounts: Annotated[list[AccountRef], Meta(max_length=STANDING)]


class VisibleAccounts(Response):
    """seen: of each account in turn."""

    seen: list[bool]


class SuggestionsRequest(ActorRequest):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class Suggestion(Response):
    """followed_by: how many of those that the reader follows follow it, among those asked; because: some of them."""

    account: Did
    name: str
    followers: int
    followed_by: int
    because: list[AccountName]


class Suggestions(Response):
    """First whom most of those that the reader follows follow."""

    suggestions: list[Suggestion]


class TrendsRequest(Request):
    """hours: how far back. tag: only this one."""

    tag: str | None = None
    hours: Annotated[int, Meta(ge=1, le=LONGEST_HOURS)] = 24
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class TrendRow(Response):
    """accounts: how many used the tag. posts: in how many posts of each hour, the oldest first."""

    tag: str
    accounts: int
    posts: list[int]


class Trends(Response):
    """Of public posts held here. First what most accounts use, so that one account alone makes no trend."""

    trends: list[TrendRow]


@METHODS.read("relationship", "not_found", "refused")
def relationship(at: CommitView, ask: RelationshipRequest) -> Relationship:
    """How an account and another stand to one another."""
    q = at.queries()
    me, other = hosted.account_of(at, ask.by), hosted.account_of(at, ask.account)
    blocking, note = q.relates(me, "block", other), at.private(me).get(Note(other, ""))
    familiar = q.among(other, q.follows(me))
    return Relationship(
        account=did(other),
        name=name_of(q, other),
        following=q.relates(me, "follow", other),
        followed_by=q.relates(other, "follow", me),
        blocking=blocking,
        blocked_by=q.relates(other, "block", me),
        muting=not blocking and visibility_of(at, me).hides(other),
        note="" if note is None else note.text,
        familiar=_named(q, familiar, ask.named),
        familiar_count=len(familiar),
    )


@METHODS.read("relationships", "not_found", "refused")
def relationships(at: CommitView, ask: RelationshipsRequest) -> Relationships:
    """How an account and others stand to one another, many in one call."""
    q, me = at.queries(), hosted.account_of(at, ask.by)
    held, visibility = at.private(me), visibility_of(at, me)
    until = {AccountId(one.account): one.until_ms for one in held.all(Mute)}

    def standing(other: AccountId) -> RelationshipRow:
        follows, followed = q.relates(me, "follow", other), q.relates(other, "follow", me)
        asks, asked = follows and waits(q, me, other), followed and waits(q, other, me)
        blocking, note = q.relates(me, "block", other), held.get(Note(other, ""))
        muting = not blocking and visibility.hides(other)
        wish = held.get(FollowWish(other)) or FollowWish(other)
        return RelationshipRow(
            account=did(other),
            following=follows and not asks,
            requested=asks,
            followed_by=followed and not asked,
            requested_by=asked and not q.follow_answered(me, "refuse", other),
            blocking=blocking,
            blocked_by=q.relates(other, "block", me),
            muting=muting,
            muting_until=until.get(other) if muting else None,
            note="" if note is None else note.text,
            reposts=wish.reposts != "no",
            langs=None if wish.langs is None else wish.langs.split(),
        )

    return Relationships([standing(one) for one in dict.fromkeys(hosted.account_of(at, one) for one in ask.accounts)])


@METHODS.read("accounts.seen", "refused")
def seen(at: CommitView, ask: SeenRequest) -> VisibleAccounts:
    """Whether the reader sees in timelines what these accounts say: nothing of whom it blocks or mutes, and of whom
    moderators of this node limit only if it follows them."""
    visibility = visibility_of(at, reader_of(at, ask.by))
    return VisibleAccounts([visibility.sees(hosted.account_of(at, one)) for one in ask.accounts])


@METHODS.read("suggestions", "not_found", "refused", slow=True)
def suggestions(at: CommitView, ask: SuggestionsRequest) -> Suggestions:
    """Whom an account might follow: whom those follow that it follows, with the reason."""
    q, me = at.queries(), hosted.account_of(at, ask.by)
    visibility, mine = visibility_of(at, me), q.follows(me)
    known, found, whose = {me, *mine}, Counter[AccountId](), dict[AccountId, list[AccountId]]()
    for friend in islice((a for a in mine if visibility.sees(a)), FRIENDS):
        for other in q.follows(friend, limit=OF_EACH):
            if other not in known and visibility.sees(other):
                found[other] += 1
                whose.setdefault(other, []).append(friend)
    by = {account: totals.followers for account, totals in q.account_totals(found).items()}
    first = sorted(found, key=lambda a: (-found[a], -by[a], a))[: ask.limit]
    return Suggestions([Suggestion(did(a), name_of(q, a), by[a], found[a], _named(q, whose[a])) for a in first])


def _named(q: Queries, accounts: Sequence[AccountId], most: int = NAMED) -> list[AccountName]:
    return [account_name(q, a) for a in accounts[:most]]


@METHODS.read("trends", "refused", slow=True, apart=False)
def trends(at: CommitView, ask: TrendsRequest) -> Trends:
    """The tags that most accounts used lately, hour by hour. Accounts that are limited here are not counted."""
    if at.search is None:
        raise CallError("refused", "Trends need the search index, and this store's folder cannot be written.")
    index, _ = at.search.current(at.queries())
    only = None if ask.tag is None else tag_fold(ask.tag)
    found = index.trends(now_ms(), ask.hours, ask.limit, LIMITED.keys(at.store), only)
    return Trends([TrendRow(one.tag, one.accounts, [*one.posts]) for one in found])
