"""What accounts show, in lists and dicts: answers `Questions` (banyan_reading) as the documents say.

It has no rows and no engine, reads everything for each question, and is obviously right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, Ref
from banyan_crdt.ops import Add, Del, Op, Put, Tomb, decode_body
from banyan_crdt.parts import content_of
from banyan_reading.answers import (
    AccountTotals,
    PollTally,
    PostView,
    ProfileView,
    ReactionCount,
    RepostView,
    ShownItem,
    TimelineLine,
)
from banyan_reading.questions import PostQuestions, PostRule, ResponseTotals
from banyan_reading.timelines import timeline
from banyan_schema.collection import Collection as Kind
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Poll, Post, ProfileField, Relation, Target
from banyan_schema.social.post import OPEN
from banyan_schema.social.relation import Answer
from banyan_schema.social.vote import Vote, ballot_of, vote_key
from tests.storage.social_accounts import Person

START = bytes(8)


def feed(
    ask: PostQuestions, accounts: Iterable[AccountId], before: bytes | None = None, limit: int = 50
) -> list[PostView]:
    """The accounts' posts, newest first. before: the cursor of the last post of the page before."""
    return list(islice((view for _, view in timeline(ask, accounts, before) if view is not None), limit))


class Write(NamedTuple):
    """An operation with content. order: by which the last one is found."""

    order: tuple[int, EntryId, int]
    account: AccountId
    ref: Ref
    op: Put | Add
    raw: bytes
    said: Any

    @property
    def name(self) -> bytes:
        return self.ref.entry + self.ref.op.to_bytes(2, "big")

    @property
    def cell(self) -> tuple[AccountId, Coll, CellKey, CellKey | None]:
        return self.account, self.op.coll, self.op.key, self.op.elem if isinstance(self.op, Add) else None

    @property
    def time(self) -> bytes:
        """Of a post, as its author claims, and never later than the entry's."""
        claimed = self.said.created_ms if isinstance(self.said, Post) else None
        at = self.order[0] if claimed is None or claimed >= 1 << 48 else min(self.order[0], claimed << 16)
        return at.to_bytes(8, "big")

    @property
    def cursor(self) -> bytes:
        return self.time + self.account + (self.cell[3] or self.op.key)


class Lists:
    """hidden: posts that moderators of this node hide. labels: what they say before posts."""

    def __init__(
        self, people: Iterable[Person], hidden: Collection[Target] = (), labels: Mapping[Target, str] | None = None
    ) -> None:
        self.met = [person.id for person in people]
        self._hidden, self._labels = hidden, labels or {}
        self.writes: dict[Ref, Write] = {}
        covered, ended = set[tuple[Ref, Coll, CellKey | None]](), set[tuple[AccountId, Coll, CellKey]]()
        for person in people:
            for entry in (entry for chain in person.logs.values() for entry in chain):
                for at, op in enumerate(decode_body(entry.ops).ops):
                    self._take(person, (entry.header.time, entry.id, at), op)
                    key = op.key if isinstance(op, Put) else None
                    covered |= {(ref, op.coll, key) for ref in op.refs} if isinstance(op, Put | Del) else set()
                    ended |= {(person.id, op.coll, op.key)} if isinstance(op, Tomb) else set()

        def lives(one: Write) -> bool:
            taken = any((one.ref, one.op.coll, key) in covered for key in (one.op.key, None))
            return not taken and one.cell[:3] not in ended

        live = filter(lives, self.writes.values())
        self.shown = {one.cell: one for one in sorted(live, key=lambda one: one.order)}

    def _take(self, person: Person, order: tuple[int, EntryId, int], op: Op) -> None:
        ref = Ref(order[1], order[2])
        if isinstance(op, Put | Add) and ref in person.parts:
            raw = content_of(person.parts[ref])
            self.writes[ref] = Write(order, person.id, ref, op, raw, SOCIAL.decode(op.coll, op, raw))

    def _of(self, coll: str, account: AccountId | None = None) -> list[Write]:
        """What is shown in a collection, by key and element."""
        id_ = next(kind.id for kind in SOCIAL.by_id.values() if kind.name == coll)
        found = [one for one in self.shown.values() if one.op.coll == id_ and account in (None, one.account)]
        return sorted((one for one in found if one.said is not None), key=lambda one: (one.op.key, one.cell[3] or b""))

    # -- people

    def profile(self, account: AccountId) -> ProfileView:
        by_order = sorted(self._of("profile", account), key=lambda one: one.order)
        fields: dict[str, ProfileField] = {one.said.field: one.said for one in by_order}
        return ProfileView(account, tuple(fields[name] for name in sorted(fields)))

    def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, ProfileView]:
        return {one: self.profile(one) for one in accounts}

    def items(self, account: AccountId, of: Kind[Any], prefix: bytes = b"", after: bytes = b"") -> Iterator[ShownItem]:
        assert of.layout is not None
        for one in self._of(of.name, account):
            key, elem = one.op.key, one.cell[3]
            name, values = key + (elem or b""), of.layout.values(one.raw)
            if name.startswith(prefix) and name > after and values is not None and not self._hides(account, of, key):
                yield ShownItem(key, elem, one.order[0] >> 16, values, one.ref)

    def _hides(self, account: AccountId, of: Kind[Any], key: CellKey) -> bool:
        return of.id == POST and Target(account, key) in self._hidden

    def _related(self, kind: Relation, account: AccountId | None = None) -> set[tuple[AccountId, AccountId]]:
        return {(one.account, one.said.target) for one in self._of(kind, account)}

    def follows(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return sorted(to for _, to in self._related("follow", account) if to > (after or b""))[:limit]

    def blocks(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return sorted(to for _, to in self._related("block", account) if to > (after or b""))[:limit]

    def mutes(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        return sorted(to for _, to in self._related("mute", account) if to > (after or b""))[:limit]

    def relates(self, account: AccountId, relation: Relation, other: AccountId) -> bool:
        return (account, other) in self._related(relation)

    def following(self, account: AccountId, after: AccountId | None = None) -> Iterator[AccountId]:
        begin = 0 if after is None else self.met.index(after) + 1
        return (one for one in self.met[begin:] if self.relates(one, "follow", account))

    def among(self, account: AccountId, accounts: Iterable[AccountId]) -> list[AccountId]:
        return sorted({*accounts} & {*self.following(account)})

    def locked(self, accounts: Iterable[AccountId]) -> set[AccountId]:
        return {one for one in accounts if self.profile(one).texts.get("locked") == "yes"}

    def follow_answered(self, account: AccountId, answer: Answer, follower: AccountId) -> bool:
        return (follower, answer) in {
            (one.said.follower, one.said.answer) for one in self._of("follow.answer", account)
        }

    def accepted(self, account: AccountId) -> Iterator[AccountId]:
        said = [one.said for one in self._of("follow.answer", account)]
        return iter(sorted({one.follower for one in said if one.answer == "accept"}))

    def account_totals(self, accounts: Iterable[AccountId]) -> dict[AccountId, AccountTotals]:
        return {one: self._totals(one) for one in accounts}

    def _totals(self, account: AccountId) -> AccountTotals:
        newest = next(self.lines([account], None, False), None)
        counts = len(self.follows(account)), len([*self.following(account)]), self.post_count(account)
        return AccountTotals(*counts, None if newest is None else newest.ms)

    # -- posts

    def _posts(self) -> dict[Target, Write]:
        return {Target(one.account, one.op.key): one for one in self._of("post")}

    def _view(self, one: Write) -> PostView:
        return PostView(
            Target(one.account, one.op.key), int.from_bytes(one.time[:6], "big"), one.said, one.cursor, one.name
        )

    def post(self, target: Target, hidden: bool = False) -> PostView | None:
        found = self._posts().get(target)
        return None if found is None or (target in self._hidden and not hidden) else self._view(found)

    def is_shown(self, target: Target) -> bool:
        return self.post(target) is not None

    def written_ms(self, target: Target) -> int | None:
        found = self.post(target, hidden=True)
        return None if found is None else found.time_ms

    def parent(self, target: Target) -> Target | None:
        found = self.post(target, hidden=True)
        return None if found is None or found.post.reply is None else found.post.reply.parent

    def edits(self, views: Iterable[PostView]) -> dict[bytes, int]:
        by_name, found = {one.name: one for one in self.writes.values()}, dict[bytes, int]()
        for view in views:
            one = by_name[view.write]
            while isinstance(one.op, Put) and one.op.refs:
                before = self.writes[one.op.refs[-1]]
                if replace(before.said, policy=OPEN) != replace(view.post, policy=OPEN):
                    found[view.write] = one.order[0] >> 16
                    break
                one = before
        return found

    def label(self, target: Target) -> str | None:
        return self._labels.get(target)

    def lines(
        self, accounts: Iterable[AccountId], before: bytes | None, reposts: bool, after: bytes | None = None
    ) -> Iterator[TimelineLine]:
        asked = {*accounts}
        writes = [*self._posts().values(), *(self._of("repost") if reposts else ())]
        return self._page([one for one in writes if one.account in asked], before, after, lambda one: one.cursor)

    def _page(
        self, writes: Iterable[Write], before: bytes | None, after: bytes | None, by: Any
    ) -> Iterator[TimelineLine]:
        """by: the order of writes."""
        rows = sorted(writes, key=by, reverse=after is None)
        at = [one.cursor for one in rows]
        cursor = before if after is None else after
        if cursor is not None:
            rows = rows[at.index(cursor) + 1 :] if cursor in at else rows if cursor[:8] == START else []
        return iter([TimelineLine(one.cursor, one.name, isinstance(one.said, Post)) for one in rows])

    def posts(self, targets: Iterable[Target]) -> dict[Target, PostView]:
        return {one: view for one in targets if (view := self.post(one)) is not None}

    def posts_at(self, lines: Iterable[TimelineLine]) -> dict[TimelineLine, PostView]:
        said, found = {one.name: one.said for one in self.writes.values()}, dict[TimelineLine, PostView]()
        for line in lines:
            view = self.post(line.post if line.is_post else said[line.write].target)
            if view is not None and not line.is_post:
                view = view._replace(cursor=line.cursor, reposted=RepostView(line.account, line.ms))
            if view is not None:
                found[line] = view
        return found

    def _met(self, one: Write) -> Any:
        return one.time, self.met.index(one.account), one.order

    def everybody(self, answers: bool, before: bytes | None, after: bytes | None = None) -> Iterator[TimelineLine]:
        posts = [one for one in self._posts().values() if answers or one.said.reply is None]
        return self._page(posts, before, after, self._met)

    def quoting(self, target: Target, before: bytes | None, after: bytes | None = None) -> Iterator[TimelineLine]:
        return self._page([one for one in self._posts().values() if one.said.quote == target], before, after, self._met)

    def _answers(self, target: Target) -> list[Write]:
        found = [one for one in self._posts().values() if one.said.reply and one.said.reply.parent == target]
        return sorted(found, key=lambda one: one.cursor)

    def replies(self, target: Target, after: bytes | None = None) -> Iterator[PostView]:
        views = [self.post(Target(one.account, one.op.key)) for one in self._answers(target)]
        return (view for view in views if view is not None and view.cursor > (after or b""))

    def within(self, root: Target, after: bytes | None = None) -> Iterator[tuple[bytes, Target]]:
        said = [(one.cursor, one.said.reply) for one in self._posts().values() if one.said.reply is not None]
        found = sorted((at, to.parent) for at, to in said if to.root == root != to.parent)
        return (one for one in found if one[0] > (after or b""))

    def post_count(self, account: AccountId | None) -> int:
        return sum(account in (None, target.account) for target in self._posts())

    # -- responses

    def reactions(self, targets: Iterable[Target]) -> dict[Target, tuple[ReactionCount, ...]]:
        return {target: self._reactions(target) for target in targets}

    def _reactions(self, target: Target) -> tuple[ReactionCount, ...]:
        who = dict[str, int]()
        for _, _, emoji in self.reacted(target):
            who[emoji] = who.get(emoji, 0) + 1
        return tuple(sorted((ReactionCount(*one) for one in who.items()), key=lambda one: (-one.accounts, one.emoji)))

    def reacted(self, target: Target, emoji: str = "", after: bytes = b"") -> Iterator[tuple[bytes, AccountId, str]]:
        said = {(one.said.emoji, one.account) for one in self._of("reaction") if one.said.target == target}
        rows = sorted(said, key=lambda one: (len(one[0].encode()), one[0].encode(), self.met.index(one[1])))
        found = [(str(n).encode().zfill(5), who, kind) for n, (kind, who) in enumerate(rows)]
        return (one for one in found if one[0] > after and emoji in ("", one[2]))

    def _reposts(self, target: Target) -> list[Write]:
        found = [one for one in self._of("repost") if one.said.target == target]
        return sorted(found, key=lambda one: self.met.index(one.account))

    def reposted(self, target: Target, after: bytes = b"") -> Iterator[tuple[bytes, AccountId]]:
        who = dict.fromkeys(one.account for one in self._reposts(target))
        return (one for one in [(str(n).encode().zfill(5), a) for n, a in enumerate(who)] if one[0] > after)

    def reacted_by(self, account: AccountId, emojis: Mapping[Target, Iterable[str]]) -> dict[Target, list[str]]:
        did = {(target, kind) for target in emojis for _, who, kind in self.reacted(target) if who == account}
        found = {target: [emoji for emoji in some if (target, emoji) in did] for target, some in emojis.items()}
        return {target: some for target, some in found.items() if some}

    def reposted_by(self, account: AccountId, targets: Iterable[Target]) -> dict[Target, int]:
        found = [(target, one) for target in targets for one in self._reposts(target) if one.account == account]
        return {target: one.order[0] >> 16 for target, one in reversed(found)}

    def reposted_at(self, account: AccountId, ms: int) -> Iterator[Target]:
        return (one.said.target for one in self._of("repost", account) if one.order[0] >> 16 == ms)

    def answering(self, target: Target) -> Iterator[Target]:
        return (Target(one.account, one.op.key) for one in self._answers(target))

    def totals(self, targets: Sequence[Target]) -> dict[Target, ResponseTotals]:
        def of(target: Target) -> ResponseTotals:
            quotes = [line for line in self.quoting(target, None) if line.post not in self._hidden]
            return ResponseTotals(len(self._answers(target)), len(quotes), len([*self.reposted(target)]))

        return {target: of(target) for target in targets}

    def responses(self, targets: Iterable[Target], accounts: Iterable[AccountId]) -> Iterator[tuple[int, int, int]]:
        of = {*accounts}
        for target in targets:
            reposted, reacted = {who for _, who in self.reposted(target)}, {who for _, who, _ in self.reacted(target)}
            yield len(reposted & of), len({one.account for one in self.answering(target)} & of), len(reacted & of)

    def _votes(self, post: Target, poll: Poll) -> dict[AccountId, Vote]:
        found = [one for one in self._of("vote") if one.op.key == vote_key(post) and one.said.poll == post]
        return {one.account: one.said for one in found if _counts(one.said, poll, one.order[0] >> 16)}

    def tally(self, post: Target, poll: Poll) -> PollTally:
        votes = self._votes(post, poll).values()
        return PollTally(tuple(sum(n in one.options for one in votes) for n in range(len(poll.options))), len(votes))

    def vote_of(self, account: AccountId, post: Target, poll: Poll) -> list[int]:
        found = self._votes(post, poll).get(account)
        return [] if found is None else [*found.options]

    # -- rules

    def has_rules(self) -> bool:
        return any(self.rule_of(target) is not None for target in self._posts()) or bool(self._of("hidden"))

    def rule_of(self, target: Target) -> PostRule | None:
        found = self._posts().get(target)
        policy = OPEN if found is None else found.said.policy
        hides = any(one.said.below == target.key for one in self._of("hidden", target.account))
        return None if policy == OPEN and not hides else PostRule(policy, hides)

    def hides_below(self, below: Target, post: Target) -> bool:
        return any((one.said.below, one.said.post) == (below.key, post) for one in self._of("hidden", below.account))


def _counts(vote: Vote, poll: Poll, ms: int) -> bool:
    """Whether a vote counts for the poll as it stands."""
    same = (vote.ballot, vote.choices, vote.closes_ms) == (ballot_of(poll), poll.choices, poll.closes_ms)
    fits = vote.options[-1] < vote.of == len(poll.options) and (poll.choices == "several" or len(vote.options) == 1)
    return same and fits and ms <= poll.closes_ms
