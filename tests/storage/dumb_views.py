"""What people should read, computed in the plainest way: all counted entries of an account in one list, without rows,
places or seeds. It is slow and obviously right; the views are compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from banyan_crdt.ids import AccountId, CellKey, Coll, Ref
from banyan_crdt.ops import Add, Del, Put, Tomb, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.state import counted_entries
from banyan_reading.answers import PollTally, PostView, TimelineLine
from banyan_reading.polls import all_notices
from banyan_reading.queries import Queries
from banyan_reading.threads import below
from banyan_replica.intake.ingest import Ingest
from banyan_schema.registry import SOCIAL
from banyan_schema.social import BLOCK, FOLLOW, MUTE, Poll, Post, ProfileField, Reaction, Relate, Repost, Target, Vote
from banyan_schema.social.vote import ballot_of, vote_key
from tests.reading.lists import feed

Key = tuple[int, bytes, int]
"""(time, entry id, op index): the order of writes."""


@dataclass
class Dumb:
    posts: dict[Target, tuple[int, Ref, Post]] = field(default_factory=dict)
    """Where it stands in a timeline, the write that shows, what it says."""
    profiles: dict[AccountId, dict[str, tuple[Key, str]]] = field(default_factory=dict)
    related: dict[Coll, set[tuple[AccountId, AccountId]]] = field(default_factory=dict)
    reactions: set[tuple[Target, str, AccountId]] = field(default_factory=set)
    reposts: set[tuple[Target, AccountId]] = field(default_factory=set)
    shares: dict[bytes, Target] = field(default_factory=dict)
    """By their place in a timeline: what was reposted."""
    votes: dict[tuple[Target, AccountId], tuple[Key, Vote]] = field(default_factory=dict)
    notices: dict[tuple[AccountId, Ref], tuple[str, AccountId]] = field(default_factory=dict)
    """By who hears of it, and the write: what happened, and who did it."""

    def notice(self, whom: AccountId, ref: Ref, what: str, who: AccountId) -> None:
        if whom != who:
            self.notices.setdefault((whom, ref), (what, who))


def fold_all(node: Ingest, accounts: Iterable[AccountId]) -> Dumb:
    out = Dumb()
    for account in accounts:
        _fold(node, account, out)
    return out


def _fold(node: Ingest, account: AccountId, out: Dumb) -> None:
    control = node.control_of(account)
    if control is None:
        return
    writes: list[tuple[Key, Ref, Put | Add]] = []
    covered: set[tuple[Ref, Coll, CellKey | None]] = set()
    ended: set[tuple[Coll, CellKey]] = set()
    for log in node.store.heads(account):
        if not log.log:
            continue
        for entry, body in counted_entries(control, log, node.store.walk(log)):
            for at, op in enumerate(body.ops):
                if isinstance(op, Put | Add):
                    writes.append(((entry.header.time, entry.id, at), Ref(entry.id, at), op))
                if isinstance(op, Put):
                    covered |= {(ref, op.coll, op.key) for ref in op.refs}
                elif isinstance(op, Del):
                    covered |= {(ref, op.coll, None) for ref in op.refs}
                elif isinstance(op, Tomb):
                    ended.add((op.coll, op.key))
    slots: dict[Any, list[tuple[Key, Ref, Put | Add]]] = {}
    for key, ref, op in writes:
        gone = (ref, op.coll, None) in covered or (isinstance(op, Put) and (ref, op.coll, op.key) in covered)
        if not gone and (op.coll, op.key) not in ended:
            slot = (op.coll, op.key) if isinstance(op, Put) else (op.coll, op.key, op.elem)
            slots.setdefault(slot, []).append((key, ref, op))
    for found in slots.values():
        for key, ref, op in sorted(found, reverse=True, key=lambda write: write[0]):
            content = _content(node, ref, op)
            if content is not None:
                _show(out, account, key, ref, op, content)
            if content is not None or isinstance(op, Put):
                break  # of a register the last write shows, or nothing does


def _content(node: Ingest, ref: Ref, op: Put | Add) -> object | None:
    raw, part = node.store.part(ref.entry, ref.op), part_of(op)
    return None if raw is None or part is None else SOCIAL.decode(op.coll, op, open_part(part, raw))


def _show(out: Dumb, account: AccountId, key: Key, ref: Ref, op: Put | Add, content: object) -> None:
    if isinstance(content, Post):
        time, claimed = key[0], content.created_ms
        if claimed is not None and claimed < 1 << 48:
            time = min(time, claimed << 16)
        out.posts[Target(account, op.key)] = (time, ref, content)
        if content.reply is not None:
            out.notice(content.reply.parent.account, ref, "reply", account)
        if content.quote is not None:
            out.notice(content.quote.account, ref, "quote", account)
        for whom in content.mentions:
            out.notice(whom, ref, "mention", account)
    elif isinstance(content, ProfileField):
        fields = out.profiles.setdefault(account, {})
        if content.field not in fields or fields[content.field][0] < key:
            fields[content.field] = key, content.value
    elif isinstance(content, Reaction):
        out.reactions.add((content.target, content.emoji, account))
        out.notice(content.target.account, ref, "reaction", account)
    elif isinstance(content, Repost):
        out.reposts.add((content.target, account))
        assert isinstance(op, Add)
        out.shares[key[0].to_bytes(8, "big") + account + op.elem] = content.target
        out.notice(content.target.account, ref, "repost", account)
    elif isinstance(content, Vote):
        if op.key == vote_key(content.poll):
            out.votes[content.poll, account] = key, content
    elif isinstance(content, Relate):
        out.related.setdefault(op.coll, set()).add((account, content.target))
        if op.coll == FOLLOW:
            out.notice(content.target, ref, "follow", account)


def _same_tally(ask: Queries, dumb: Dumb, target: Target, poll: Poll) -> None:
    counts, voters = [0] * len(poll.options), 0
    for (there, _), ((time, _, _), vote) in dumb.votes.items():
        counted = (there, vote.ballot, vote.choices, vote.closes_ms) == (
            target,
            ballot_of(poll),
            poll.choices,
            poll.closes_ms,
        )
        counted = counted and vote.options[-1] < vote.of == len(poll.options)
        if counted and time >> 16 <= poll.closes_ms and (poll.choices == "several" or len(vote.options) == 1):
            voters += 1
            for option in vote.options:
                if option < len(counts):
                    counts[option] += 1
    assert ask.tally(target, poll) == PollTally(tuple(counts), voters)


def _tree(answers: dict[Target, list[Target]], root: Target, top: Target, depth: int) -> list[tuple[Target, int]]:
    """What stands below a post, and how deep."""
    found = list[tuple[Target, int]]()
    for one in answers.get(top, ()):
        if one != root:
            found += [(one, depth), *_tree(answers, root, one, depth + 1)]
    return found


def _same_tree(ask: Queries, dumb: Dumb, answers: dict[Target, list[Target]], root: Target) -> None:
    expected = _tree(answers, root, root, 1)
    for post in sorted(dumb.posts, key=lambda p: (dumb.posts[p][0], *p)):
        reply = dumb.posts[post][2].reply
        loose = reply and reply.root == root not in (post, reply.parent)
        if loose and reply and reply.parent not in dumb.posts:
            expected += [(post, 2), *_tree(answers, root, post, 3)]
    found = [(cursor, answer) for cursor, answer in below(ask, root) if answer is not None]
    assert [(answer.view.target, answer.depth) for _, answer in found] == expected
    for n, (cursor, _) in enumerate(found):
        rest = [answer.view for _, answer in islice(below(ask, root, cursor), 60) if answer is not None]
        assert rest == [answer.view for _, answer in found[n + 1 :]][: len(rest)]
        assert rest or n == len(found) - 1 or len(found) > 60


def _recent(ask: Queries, answers: bool, before: bytes | None = None, after: bytes | None = None) -> list[TimelineLine]:
    return list(ask.everybody(answers, before, after))


def _same_by_time(ask: Queries, posts: list[Target]) -> None:
    """Checks the posts of all accounts by time, from any place upwards and downwards."""
    found = _recent(ask, True)
    views = [*ask.posts_at(found).values()]
    assert {view.target for view in views} == {*posts}
    assert len(views) == len(posts)
    assert [line.ms for line in found] == sorted([line.ms for line in found], reverse=True)
    for n in range(0, len(found), 5):
        place = found[n].cursor
        assert _recent(ask, True, place) == found[n + 1 :]
        assert _recent(ask, True, None, place) == found[:n][::-1]
    openings = {line.cursor for line in _recent(ask, False)}
    assert openings >= {view.cursor for view in views if view.post.reply is None}
    assert openings.isdisjoint(view.cursor for view in views if view.post.reply is not None)


def same(ask: Queries, dumb: Dumb, accounts: list[AccountId]) -> None:
    """Checks that every query gives the answer of the simple fold."""
    posts = sorted(dumb.posts, reverse=True, key=lambda p: (dumb.posts[p][0].to_bytes(8, "big"), *p))
    home = feed(ask, accounts, limit=10_000)
    assert [(v.target, ask.ref(v.write), v.post) for v in home] == [(p, *dumb.posts[p][1:]) for p in posts]
    lines = [(dumb.posts[p][0].to_bytes(8, "big") + b"".join(p), p) for p in posts] + [*dumb.shares.items()]
    expected = [(cursor, p if p in dumb.posts else None) for cursor, p in sorted(lines, reverse=True)]
    lines_found = list(ask.timeline(accounts, None, True))
    assert [(cursor, None if view is None else view.target) for cursor, view in lines_found] == expected
    for n in range(0, len(lines_found), 3):
        assert list(islice(ask.timeline(accounts, lines_found[n][0], True), 3)) == lines_found[n + 1 : n + 4]
    _same_by_time(ask, posts)
    page: list[PostView] = []
    cursor: bytes | None = None
    while views := feed(ask, accounts, cursor, 3):
        page, cursor = [*page, *views], views[-1].cursor
    assert page == home
    for account in accounts:
        own = [p for p in posts if p.account == account]
        assert [v.target for v in feed(ask, [account], limit=10_000)] == own
        assert ask.post_count(account) == len(own)
        fields = {name: value for name, (_, value) in dumb.profiles.get(account, {}).items()}
        assert {f.field: f.value for f in ask.profile(account).fields} == fields
        for coll, asked in ((FOLLOW, ask.follows), (BLOCK, ask.blocks), (MUTE, ask.mutes)):
            assert asked(account) == sorted(b for a, b in dumb.related.get(coll, ()) if a == account)
        followers = sorted(a for a, b in dumb.related.get(FOLLOW, ()) if b == account)
        assert sorted(ask.following(account)) == followers
        assert ask.account_totals([account])[account][:2] == (len(ask.follows(account)), len(followers))
    answers: dict[Target, list[Target]] = {}
    for post in reversed(posts):
        reply = dumb.posts[post][2].reply
        if reply is not None:
            answers.setdefault(reply.parent, []).append(post)
    quotes: dict[Target, list[Target]] = {}
    for post in posts:
        quoted = dumb.posts[post][2].quote
        if quoted is not None:
            quotes.setdefault(quoted, []).append(post)
    for target in {*dumb.posts, *quotes}:
        by = [*ask.posts_at(ask.quoting(target, None, None)).values()]
        assert sorted(view.target for view in by) == sorted(quotes.get(target, []))
        assert [view.time_ms for view in by] == sorted([view.time_ms for view in by], reverse=True)
        assert ask.totals([target])[target].quotes == len(by)
    for target in {*dumb.posts, *answers, *(t for t, *_ in dumb.reactions), *(t for t, _ in dumb.reposts)}:
        assert [v.target for v in ask.replies(target)] == answers.get(target, [])
        assert ask.totals([target])[target].replies == len(answers.get(target, []))
        who: dict[str, int] = {}
        for _, emoji, _ in [r for r in dumb.reactions if r[0] == target]:
            who[emoji] = who.get(emoji, 0) + 1
        assert {r.emoji: r.accounts for r in ask.reactions([target])[target]} == who
        assert sorted(who for _, who in ask.reposted(target)) == sorted(a for t, a in dumb.reposts if t == target)
        assert ask.totals([target])[target].reposts == len([*ask.reposted(target)])
    for target in {*dumb.posts, *answers}:
        _same_tree(ask, dumb, answers, target)
    for target in {*dumb.posts, *(poll for poll, _ in dumb.votes)}:
        for poll in {said.poll for _, _, said in dumb.posts.values() if said.poll}:
            _same_tally(ask, dumb, target, poll)
    heard = dict[AccountId, dict[Ref, tuple[str, AccountId]]]()
    for (whom, ref), told in dumb.notices.items():
        heard.setdefault(whom, {})[ref] = told
    for account in {*accounts, *heard}:
        found = [one for _, one in all_notices(ask, account, None, lambda what, who: True) if one is not None]
        assert {one.ref: (one.what, one.who) for one in found} == heard.get(account, {})
        assert len(found) == len(heard.get(account, {})), "nothing is told twice"
    stats = ask.graph_stats()
    assert (stats.posts, stats.replies) == (len(posts), sum(map(len, answers.values())))
