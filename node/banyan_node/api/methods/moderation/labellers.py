"""What this node does by the labels of accounts that its operator chose, or that the charter of its alliance names.

A label becomes a decision (decisions.py), as if a moderator had made it: so all ways out show it alike, the author is
told, and it can be taken back. It ends with the label. A node does no more than the issuer's own severity asks for.
What would change more than a fifth of what stands at once waits for the operator: a list that lost its contents by
mistake must not undo what it did. An issuer with more than `MOST` labels changes nothing any more.

An issuer may give a hundred thousand labels, and one more each second. So all of them are read on another thread
(`scan`), seldom if that takes long, and what they change is carried out in steps on the replica's thread (`step`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias, cast, get_args

import trio

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, account_from_text, account_to_text
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, Request, Response
from banyan_node.api.json_types import AccountRef, Did, did, target_of
from banyan_node.api.methods.moderation import decisions
from banyan_node.api.methods.posts.post_rows import name_of
from banyan_node.context import Context
from banyan_node.hosting import hosted, interest
from banyan_node.moderation.decisions import find
from banyan_node.operator_errors import CallError, conflict, not_found
from banyan_node.workers.worker import Worker
from banyan_reading import labels
from banyan_reading.labels import SaidLabel
from banyan_reading.queries import Queries, queries
from banyan_reading.visibility import lasts
from banyan_schema.address import Target
from banyan_schema.social import post_to_text
from banyan_schema.social.label import ALLOW, LabelName, is_whole, whole
from banyan_storage import local_tables as local
from banyan_storage.local_tables import LABELLERS, LABELS_TAKEN, ChosenLabeller, DecisionNote
from banyan_storage.views import invalidation

METHODS = MethodTable()
Does: TypeAlias = Literal["note", "warn", "hide", "withhold", "allow"]
_RANK: tuple[Does, ...] = get_args(Does)[:-1]
MOST = 100_000
"""Labels of one account that a node follows."""
SMALL, FIFTH = 50, 5
"""Of fewer that stand, any number may change at once; of more, a fifth."""
AT_ONCE = 50
"""Labels that one step carries out, some tens of milliseconds."""
PART = 20
"""An issuer's labels are not read again for so many times as long as it took."""
LOOK_S, TERMS_S = 1.0, 60.0
"""How often it is looked whether labels came, and whether some ended."""
_ALLOWED = (1 << 64) - 1
"""In the place of a decision: none was made, because another labeller allows what is labelled."""


class LabellerSet(Request):
    """does: what this node does at most by its labels. note: nothing, they are listed; warn: posts are shown with its
    words; hide: posts are not shown, and accounts are limited; withhold: the content of posts is given to nobody;
    allow: what it labels `allow` no other labeller touches. undo: no more is done by its labels, and what was done is
    taken back."""

    account: AccountRef
    does: Does = "warn"
    undo: bool = False


class LabellerOf(Request):
    account: AccountRef


class LabellerRow(Response):
    """standing: by how many of its labels this node does something. waits: so many changes wait for `labeller.accept`,
    because they are many at once."""

    account: Did
    name: str
    does: Does
    standing: int
    waits: int


class LabellerRows(Response):
    labellers: list[LabellerRow]


def _row(at: CommitView | Context, account: AccountId, chosen: ChosenLabeller) -> LabellerRow:
    standing = sum(0 < decision < _ALLOWED for _, (_, decision) in LABELS_TAKEN.rows(at.store, account))
    return LabellerRow(did(account), name_of(at.queries(), account), cast("Does", chosen.does), standing, chosen.waits)


@METHODS.write("labeller.set", "not_found", "refused", audited=True)
def set_labeller(ctx: Context, ask: LabellerSet, now: float) -> LabellerRow:
    """Lets this node follow the labels of an account. Its labels of before count too."""
    account = hosted.account_of(ctx, ask.account)
    if ask.undo and not LABELLERS.has(ctx.store, account):
        raise not_found(f"This node follows no labels of {account_to_text(account)}; `labeller.list` has others.")
    chosen = ChosenLabeller("" if ask.undo else ask.does, accepted=True)
    LABELLERS.put(ctx.store, account, chosen)
    for (_, element), (_, decision) in [*LABELS_TAKEN.rows(ctx.store, account)]:
        LABELS_TAKEN.put(ctx.store, (account, element), (0, decision))
    if not interest.holds_all(ctx):
        interest.hold(ctx, now)
    return _row(ctx, account, chosen._replace(does=chosen.does or "note"))


@METHODS.write("labeller.accept", "not_found", "refused", audited=True)
def accept(ctx: Context, ask: LabellerOf, now: float) -> LabellerRow:
    """Lets the changes of a labeller come true that were many at once."""
    account = hosted.account_of(ctx, ask.account)
    chosen = LABELLERS.get(ctx.store, account)
    if chosen is None or not chosen.waits:
        raise not_found(f"No changes of {account_to_text(account)} wait here.")
    if chosen.over:
        says = "nothing changes here until it takes some back; `labeller.set` with 'undo' takes back what they did here"
        raise conflict(f"{account_to_text(account)} gives more than {MOST:,} labels, too many to follow: {says}.")
    LABELLERS.put(ctx.store, account, chosen := chosen._replace(waits=0, accepted=True))
    return _row(ctx, account, chosen)


@METHODS.read("labeller.list")
def listing(at: CommitView, ask: EmptyRequest) -> LabellerRows:
    """Whose labels this node follows."""
    return LabellerRows([_row(at, account, one) for account, one in LABELLERS.rows(at.store) if one.does])


# -- carrying out


class _LabelChange(NamedTuple):
    """A label that came, was changed, or ended (None). taken: what this node took of it: when given, and the decision;
    None: nothing yet."""

    element: CellKey
    said: SaidLabel | None
    taken: tuple[int, int] | None


class _Scanned(NamedTuple):
    """Of one labeller. does: what it was followed for. many: its issuer changed more at once than a fifth of what
    stands. over: it gives more than `MOST`."""

    does: str
    changes: deque[_LabelChange]
    many: bool
    over: bool
    names: dict[str, LabelName]


class _Allowed(NamedTuple):
    """holds: what was allowed stays so, because what is allowed now is not carried out yet, or waits."""

    abouts: AbstractSet[Target]
    holds: bool

    def has(self, about: Target, was_allowed: bool) -> bool:
        return about in self.abouts or whole(about.account) in self.abouts or (self.holds and was_allowed)


def _scanned(q: Queries, account: AccountId, does: str, allowed: _Allowed, now_ms: int) -> _Scanned:
    every = list(islice(labels.given_by(q, account), MOST + 1)) if does else []
    given = {one.element: one for one in every if lasts(one.label.until_ms or None, now_ms)}
    taken = {CellKey(el): row for (_, el), row in LABELS_TAKEN.rows(q.reader, account)}

    names = labels.names_of(q, account)

    def moved(one: SaidLabel) -> bool:
        ms, decision = taken.get(one.element, (0, 0))
        was_allowed, does_something = decision == _ALLOWED, _verdict(one, does, names) is not None
        return ms != one.ms or (does_something and was_allowed != allowed.has(one.label.about, was_allowed))

    changes = deque(_LabelChange(el, None, row) for el, row in taken.items() if el not in given)
    changes.extend(_LabelChange(el, one, taken.get(el)) for el, one in given.items() if moved(one))
    # changes that its issuer made, and not this node, which has labels looked at again
    asked = sum(one.said is None or one.taken is None or one.taken[0] not in (0, one.said.ms) for one in changes)
    many = len(taken) >= SMALL and asked * FIFTH > len(taken)
    return _Scanned(does, changes, many, len(every) > MOST, names)


class LabelFollower:
    """Carries out the labels of all labellers. `scan` and `step` are called in turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = -1
        self._due: set[AccountId] = set()
        self._found: dict[AccountId, _Scanned] = {}
        self._rests: dict[AccountId, float] = {}
        """Until when its labels are not read again."""

    @property
    def more(self) -> bool:
        """Whether something was found that is to be carried out."""
        return bool(self._found)

    @property
    def waits(self) -> bool:
        """Whether labels are to be read again, although nothing comes."""
        return bool(self._due)

    def scan(self, q: Queries, now_ms: int, all_: bool = False) -> None:
        """Finds what is to be changed. Any thread. all_: labels may have ended meanwhile."""
        chosen = dict(LABELLERS.rows(q.reader))
        self._due &= chosen.keys()
        if not chosen or not q.whole:
            self._at = -1
            return
        moved = None if all_ else invalidation.touched(q.reader.txn, self._at)
        self._due |= {one for one in chosen if moved is None or chosen[one].accepted or q.number(one) in moved}
        self._at = invalidation.last(q.reader.txn)
        now = self._clock()
        due = {a for a in self._due - self._found.keys() if chosen[a].accepted or self._rests.get(a, now) <= now}
        allowing = [one for one, by in chosen.items() if by.does == "allow"]
        holds = any(chosen[one].waits or one in self._due or one in self._found for one in allowing)
        allowed = _Allowed(_allowed_by(q, allowing, now_ms) if due else set(), holds)
        for account in due:
            began = self._clock()
            self._found[account] = _scanned(q, account, chosen[account].does, allowed, now_ms)
            self._rests[account] = self._clock() + PART * (self._clock() - began)
        self._due -= due

    def step(self, ctx: Context, now: float) -> None:
        """Carries out some of it, on the replica's thread."""
        q, chosen = ctx.queries(), dict(LABELLERS.rows(ctx.store))
        for account, found in [*self._found.items()]:
            if account in chosen and chosen[account].does == found.does:
                more = _Step(ctx, q, account, chosen, now, found).carry_out(self._due)
            else:  # the operator wants something else since
                more = False
                self._due.add(account)
            if not more:
                del self._found[account]


def _allowed_by(q: Queries, issuers: list[AccountId], now_ms: int) -> set[Target]:
    """What these issuers label `allow`."""
    given = (one for issuer in issuers for one in islice(labels.given_by(q, issuer), MOST))
    return {one.label.about for one in given if one.label.name == ALLOW and lasts(one.label.until_ms or None, now_ms)}


@dataclass
class _Step:
    """Some changes of one labeller. chosen: all labellers of this node."""

    ctx: Context
    q: Queries
    account: AccountId
    chosen: dict[AccountId, ChosenLabeller]
    now: float
    found: _Scanned

    def carry_out(self, due: set[AccountId]) -> bool:
        """Returns whether more is left. due: gets those whose labels are to be read again."""
        ctx, account, mine, found = self.ctx, self.account, self.chosen[self.account], self.found
        if found.over or (found.many and not mine.accepted):
            if (mine.waits, mine.over) != (len(found.changes), found.over):
                waits = mine._replace(waits=len(found.changes), accepted=False, over=found.over)
                LABELLERS.put(ctx.store, account, waits)
            return False
        changes = [found.changes.popleft() for _ in range(min(AT_ONCE, len(found.changes)))]
        for one in changes:
            if LABELS_TAKEN.get(ctx.store, (account, one.element)) == one.taken:
                self._one(one, due)
            else:
                due.add(account)
        if changes and mine.does in ("allow", ""):
            due |= self.chosen.keys() - {account}
        if found.changes:
            return True
        if mine.accepted or mine.waits:
            done = mine._replace(waits=0, accepted=False, over=False) if mine.does else None
            LABELLERS.put(ctx.store, account, done)
        return False

    def _one(self, change: _LabelChange, due: set[AccountId]) -> None:
        ctx, by, (element, said, taken) = self.ctx, account_to_text(self.account), change
        before = 0 if taken is None else taken[1]
        if before and (made := find(ctx.store, before)) is not None and made.undone is None:
            decisions.withdraw(ctx, made, by, "the label ended, or is another now", self.now)
            self._make_room(made, due)
        if said is None:
            LABELS_TAKEN.put(ctx.store, (self.account, element), None)
            return
        about, does, decision, names = said.label.about, self.chosen[self.account].does, 0, self.found.names
        verdict = _verdict(said, does, names)
        if verdict is not None and self._is_allowed(about):
            decision = _ALLOWED
        elif verdict is not None:
            ask = decisions.DecideRequest(
                verdict,
                account=account_to_text(about.account),
                posts=[] if is_whole(about) else [post_to_text(about)],
                text=labels.words_of(names, said.label)[:500],
                order=f"label {said.label.name} by {by}" if verdict == "withhold" else "",
            )
            with suppress(CallError, BanyanError):  # somebody here decided that already, or nothing of it is held
                decision = decisions.decide(ctx, ask, self.now, self.account).id
        LABELS_TAKEN.put(ctx.store, (self.account, element), (said.ms, decision))

    def _make_room(self, made: DecisionNote, due: set[AccountId]) -> None:
        """A decision ended: what led to none because of it, of labels of the same, may lead to one now."""
        for about in map(target_of, made.posts) if made.posts else (whole(account_from_text(made.account)),):
            for one in labels.of(self.q, about, self.chosen):
                taken = LABELS_TAKEN.get(self.ctx.store, (one.issuer, one.element))
                if taken is not None and not taken[1]:
                    LABELS_TAKEN.put(self.ctx.store, (one.issuer, one.element), (0, 0))
                    due.add(one.issuer)

    def _is_allowed(self, about: Target) -> bool:
        allowing, now_ms = (
            [o for o, by in self.chosen.items() if by.does == "allow"],
            self.ctx.replica.wall_ms(self.now),
        )
        return bool(allowing) and any(
            one.label.name == ALLOW and lasts(one.label.until_ms or None, now_ms)
            for one in labels.of(self.q, about, allowing)
        )


def _verdict(said: SaidLabel, does: str, names: dict[str, LabelName]) -> local.Verdict | None:
    severity = labels.severity_of(names, said.label.name)
    if does not in _RANK or said.label.name == ALLOW:
        return None
    most = _RANK[-1] if severity == "hide" else severity
    does = min(does, most, key=_RANK.index)
    if is_whole(said.label.about):
        return "limit" if does in ("hide", "withhold") else None
    verdicts: dict[str, local.Verdict] = {"warn": "label", "hide": "hide", "withhold": "withhold"}
    return verdicts.get(does)


async def follow(worker: Worker[Context], context: Context) -> None:
    """For as long as the node runs."""
    follower, commits, terms_at = LabelFollower(), -1, 0.0

    def scan(now_ms: int, all_: bool) -> None:
        with queries(context.engine, context.realm, context.store.late_ids) as q:
            follower.scan(q, now_ms, all_)

    while True:
        await trio.sleep(LOOK_S)
        ends = trio.current_time() >= terms_at
        if commits == context.engine.commits and not ends and not follower.waits:
            continue
        if ends:
            terms_at = trio.current_time() + TERMS_S
        commits = context.engine.commits
        now_ms = await worker.call(_wall_ms)
        await trio.to_thread.run_sync(scan, now_ms, ends)
        while follower.more:
            await worker.call(follower.step)
            await trio.sleep(LOOK_S / 10)


def _wall_ms(ctx: Context, now: float) -> int:
    return ctx.replica.wall_ms(now)
