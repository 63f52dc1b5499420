"""The merged timelines of those whom somebody follows, or has on a list, kept from one request to the next; and their
orders.

Whom one follows is read again when one's own account was touched; whether those let one in, when theirs was. So a
follow, a mute and an acceptance count from the commit in which they are written.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, get_args

from banyan_crdt.ids import AccountId
from banyan_node.hosting.visibility import Visibility
from banyan_reading import relations
from banyan_reading.answers import TimelineLine
from banyan_reading.queries import Queries
from banyan_reading.read_cache import ReadCache
from banyan_reading.timeline_merge import MergedTimeline

Lines: TypeAlias = Callable[[bytes | None, bytes | None], Iterator[TimelineLine]]
"""(before, after) -> lines of timelines: those below a place, the newest first, or those above one."""
FOLLOW_BYTES = 200
"""What somebody whom one follows takes of memory, about."""


class _Followed(NamedTuple):
    """Whom an account follows, in one state of the store. numbers: of those of which something is held, and its own.
    waits: those of them that are locked and have not accepted it."""

    position: int
    follows: list[AccountId]
    numbers: dict[AccountId, bytes]
    waits: set[AccountId]


@contextmanager
def home(q: Queries, kept: ReadCache, own: AccountId, visibility: Visibility, reposts: bool) -> Iterator[Lines]:
    """The timelines of an account and those that it follows, as the reader sees them. reposts: whether to merge those
    too. Raises ViewBuilding."""
    numbers = _let_in(q, kept, own)
    hidden = visibility.hidden()
    seen = {account: number for account, number in numbers.items() if account not in hidden}
    with _merged(q, kept, ("home", own, visibility.reader, reposts), seen, reposts) as found:
        yield found


@contextmanager
def listed(
    q: Queries, kept: ReadCache, key: Hashable, accounts: Collection[AccountId], reposts: bool
) -> Iterator[Lines]:
    """The same of some accounts. key: names whose list it is."""
    with _merged(q, kept, ("list", key, reposts), q.numbers(accounts), reposts) as found:
        yield found


@contextmanager
def _merged(
    q: Queries, kept: ReadCache, key: Hashable, wanted: Mapping[AccountId, bytes], reposts: bool
) -> Iterator[Lines]:
    """While it is in use it is not kept: after an error it is made anew."""
    q.need(*(["shares"] if reposts else []))
    merged: MergedTimeline = kept.take(key) or MergedTimeline(reposts)
    yield partial(merged.lines, q, wanted, kept)
    kept.put(key, merged, (), merged.weight)


def follows(q: Queries, kept: ReadCache, account: AccountId) -> list[AccountId]:
    """Whom the account follows."""
    return kept.made(("follows", account), [account], 0, lambda: q.follows(account))


def _let_in(q: Queries, kept: ReadCache, own: AccountId) -> dict[AccountId, bytes]:
    """The numbers of the account and of those that it follows and that let it, those of which something is held."""
    others, none = follows(q, kept, own), _Followed(-1, [], {}, set())
    before: _Followed = kept.take(("followed", own)) or none
    touched = kept.accounts_since(before.position)
    if touched is None:
        before, touched = none, set()
    numbers = before.numbers if before.follows is others else {}
    if lacking := [account for account in (own, *others) if account not in numbers]:
        numbers = numbers | q.numbers(lacking)
    known = before.numbers
    asked = {a for a, number in numbers.items() if number in touched or a not in known} if touched or lacking else set()
    waits = before.waits - asked | asked.difference(relations.followed(q, own, asked), [own])
    kept.put(("followed", own), _Followed(kept.position, others, numbers, waits), (), FOLLOW_BYTES * len(others))
    return {account: number for account, number in numbers.items() if account not in waits}


# The orders of a home timeline: small functions with names, of which the reader chooses one. Each says of a post why it
# stands where it stands, by what everybody can see and whom the reader follows. Nothing is learned about the reader.

Rank = Literal["newest", "catch_up"]
RANKS: tuple[Rank, ...] = get_args(Rank)
A_REPOST, A_REPLY, A_REACTION = 3, 2, 1
"""What a repost, a reply and a reaction of somebody whom the reader follows count in `catch_up`."""


class HomeCandidate(NamedTuple):
    """A post of a home timeline. time_ms: when it was written, or reposted by one that the reader follows. reposts,
    replies, reactions: of how many accounts that the reader follows."""

    time_ms: int
    reposts: int = 0
    replies: int = 0
    reactions: int = 0


class RankedPost(NamedTuple):
    """score: the higher, the earlier; those with the same score are newest first. why: a sentence without a full
    stop."""

    score: int
    why: str


def newest(candidate: HomeCandidate) -> RankedPost:
    """The newest first."""
    return RankedPost(0, "newest first")


def catch_up(candidate: HomeCandidate) -> RankedPost:
    """First what those whom the reader follows reposted, answered and reacted to most."""
    score = A_REPOST * candidate.reposts + A_REPLY * candidate.replies + A_REACTION * candidate.reactions
    said = [
        f"{n} {one if n == 1 else several}"
        for n, one, several in (
            (candidate.reposts, "repost", "reposts"),
            (candidate.replies, "answer", "answers"),
            (candidate.reactions, "reaction", "reactions"),
        )
        if n
    ]
    if not said:
        return RankedPost(0, "nothing of those whom you follow, so by time")
    return RankedPost(score, f"{', '.join(said)} of those whom you follow")


ORDERS: Mapping[Rank, Callable[[HomeCandidate], RankedPost]] = {"newest": newest, "catch_up": catch_up}
