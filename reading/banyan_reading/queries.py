"""Queries of the views: profiles, feeds, conversations, follows, and digests that show whether two nodes agree.

All answers come from one state of the store, name accounts by their ids, and have an order that depends on nothing
local. So two nodes with the same entries and content give the same answers.

A query whose view is being built raises ViewBuilding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.realm import Realm
from banyan_reading import interaction_rules, polls, post_times, profiles, relations, responses, timelines
from banyan_reading.answers import CURSOR, PostView, TimelineLine
from banyan_reading.timelines import POSTS, WITH_REPOSTS, answers, by_time, newest, oldest
from banyan_reading.view_reader import ViewReader
from banyan_schema.address import conversation
from banyan_schema.social import Target
from banyan_schema.social.post import ANSWER, OPENING
from banyan_storage.engine import Engine
from banyan_storage.id_index import Offer, nothing
from banyan_storage.reader import StoreReader
from banyan_storage.views.social.responses import CONVERSATIONS, REPLIES, WITHIN
from banyan_storage.views.social.timeline import RECENT


@contextmanager
def queries(engine: Engine, realm: Realm, late_ids: Offer = nothing) -> Iterator[Queries]:
    """Queries of the last commit, for any thread. Hold them briefly. late_ids: see `snapshot` (transaction.py)."""
    with engine.read() as txn:
        yield Queries(txn, StoreReader(txn, realm, late_ids), lambda: engine.sizes().used)


class Queries(ViewReader):
    """Answers `Questions` (questions.py) from one state of the views, on the thread that opened it, and what the node
    asks of its own store. used: returns the bytes of the store."""

    profile, profiles = profiles.profile, profiles.profiles
    relates, among, locked = relations.relates, relations.among, relations.locked
    account_totals = relations.account_totals
    following, accepted, follow_answered = relations.following, relations.accepted, relations.follow_answered
    edits, written_ms = post_times.edits, post_times.written_ms
    timeline = timelines.timeline
    quoting, answering, totals = responses.quoting, responses.answering, responses.totals
    reacted, reacted_by = responses.reacted, responses.reacted_by
    reposted, reposted_by, reposted_at = responses.reposted, responses.reposted_by, responses.reposted_at
    responses = responses.responses
    tally, vote_of = polls.tally, polls.vote_of
    has_rules, rule_of = interaction_rules.has_rules, interaction_rules.rule_of
    hides_below = interaction_rules.hides_below

    def lines(
        self, accounts: Iterable[AccountId], before: bytes | None, reposts: bool, after: bytes | None = None
    ) -> Iterator[TimelineLine]:
        self.need(*(["shares"] if reposts else []))
        tables = WITH_REPOSTS if reposts else POSTS
        if after is not None:
            return oldest(self._txn, self.numbers(accounts), after, tables)
        return newest(self._txn, self.numbers(accounts), before, tables)

    def everybody(self, answers: bool, before: bytes | None, after: bytes | None = None) -> Iterator[TimelineLine]:
        self.need("recent")
        return by_time(self, RECENT, (OPENING, ANSWER) if answers else (OPENING,), before, after)

    def replies(self, target: Target, after: bytes | None = None) -> Iterator[PostView]:
        self.need("thread")
        for cursor, _, place in answers(self._txn, REPLIES, target.raw, after):
            time, account, key = CURSOR.unpack(cursor)
            yield from self._views({Target(AccountId(account), CellKey(key)): (place, time)}).values()

    def within(self, root: Target, after: bytes | None = None) -> Iterator[tuple[bytes, Target]]:
        self.need("thread")
        for cursor, _, row in answers(self._txn, CONVERSATIONS, conversation(root), after):
            yield cursor, Target.of(row[WITHIN.parent])
