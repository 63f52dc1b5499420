"""What this node does by the labels of accounts that its operator chose, or that the charter of its alliance names.

A label becomes a decision (decisions.py), as if a moderator had made it: so all ways out show it alike, the author is
told, and it can be taken back. It ends with the label. A node does no more than the issuer's own severity asks for.
What would change more than a fifth of what stands at once, or is too much in all, waits for the operator: a list that
lost its contents by mistake must not undo what it did.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
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
from banyan_node.operator_errors import CallError, not_found
from banyan_node.workers.worker import Worker
from banyan_reading import labels
from banyan_reading.labels import SaidLabel
from banyan_reading.queries import Queries
from banyan_reading.visibility import lasts
from banyan_schema.address import Target
from banyan_schema.social import post_to_text
from banyan_schema.social.label import ALLOW, LabelName, is_whole, whole
from banyan_storage import local_tables as local
from banyan_storage.local_tables import LABELLERS, LABELS_TAKEN, ChosenLabeller, DecisionNote
from banyan_storage.store import Store
from banyan_storage.views import invalidation

METHODS = MethodTable()
Does: TypeAlias = Literal["note", "warn", "hide", "withhold", "allow"]
_RANK: tuple[Does, ...] = get_args(Does)[:-1]
MOST = 100_000
"""Labels of one account that a node follows."""
SMALL, FIFTH = 50, 5
"""Of fewer that stand, any number may change at once; of more, a fifth."""
AT_ONCE = 200
"""Labels that one step carries out."""
LOOK_S, TERMS_S = 1.0, 60.0
"""How often it is looked whether labels came, and whether some ended."""


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
    standing = sum(decision > 0 for _, (_, decision) in LABELS_TAKEN.rows(at.store, account))
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
    LABELLERS.put(ctx.store, account, chosen := chosen._replace(waits=0, accepted=True))
    return _row(ctx, account, chosen)


@METHODS.read("labeller.list")
def listing(at: CommitView, ask: EmptyRequest) -> LabellerRows:
    """Whose labels this node follows."""
    return LabellerRows([_row(at, account, one) for account, one in LABELLERS.rows(at.store) if one.does])


# -- carrying out


class _Labels(NamedTuple):
    """Of one labeller: what it labels now by element, what this node took of it: when given, and the decision."""

    given: dict[CellKey, SaidLabel]
    taken: dict[CellKey, tuple[int, int]]

    @property
    def changes(self) -> list[CellKey]:
        gone = [one for one in self.taken if one not in self.given]
        return gone + [one for one, said in self.given.items() if self.taken.get(one, (0, 0))[0] != said.ms]


def _labels(q: Queries, store: Store, account: AccountId, now_ms: int) -> _Labels:
    given = islice(labels.given_by(q, account), MOST + 1)
    lasting = {one.element: one for one in given if lasts(one.label.until_ms or None, now_ms)}
    return _Labels(lasting, {CellKey(el): taken for (_, el), taken in LABELS_TAKEN.rows(store, account)})


class LabelFollower:
    """Carries out the labels of all labellers, in steps, on the replica's thread."""

    def __init__(self) -> None:
        self._at = -1
        self._due: set[AccountId] = set()

    def look(self, ctx: Context, now: float, all_: bool = False) -> bool:
        """One step. all_: labels may have ended meanwhile. Returns whether more is waiting."""
        q, chosen = ctx.queries(), dict(LABELLERS.rows(ctx.store))
        if not chosen or not q.whole:
            self._at = -1
            return False
        moved = None if all_ else invalidation.touched(q.reader.txn, self._at)
        self._due |= {one for one in chosen if moved is None or chosen[one].accepted or q.number(one) in moved}
        self._at = invalidation.last(q.reader.txn)
        for account in [*self._due & chosen.keys()]:
            self._due.discard(account)
            self._due |= _Step(ctx, q, account, chosen, now).carry_out()
        return bool(self._due & chosen.keys())


@dataclass
class _Step:
    """Some changes of one labeller. chosen: all labellers of this node."""

    ctx: Context
    q: Queries
    account: AccountId
    chosen: dict[AccountId, ChosenLabeller]
    now: float
    due: set[AccountId] = field(default_factory=set)

    def carry_out(self) -> set[AccountId]:
        """Returns of whom labels are to be carried out next."""
        ctx, account, mine = self.ctx, self.account, self.chosen[self.account]
        found = _labels(self.q, ctx.store, account, ctx.replica.wall_ms(self.now))
        if not mine.does:
            found = found._replace(given={})
        changes = found.changes
        # changes that its issuer made, and not this node, which has labels looked at again
        asked = [el for el in changes if el not in found.given or found.taken.get(el, (1, 0))[0]]
        many = len(found.taken) >= SMALL and len(asked) * FIFTH > len(found.taken)
        if len(found.given) > MOST or (many and not mine.accepted):
            if mine.waits != len(changes):
                LABELLERS.put(ctx.store, account, mine._replace(waits=len(changes), accepted=False))
            return set()
        names = labels.names_of(self.q, account)
        for element in changes[:AT_ONCE]:
            self._one(element, found.given.get(element), found.taken.get(element, (0, 0))[1], names)
        if mine.does in ("allow", "") and found.taken.keys() - found.given.keys():
            self._look_again(None)
        if len(changes) > AT_ONCE:
            self.due.add(account)
        elif mine.accepted or mine.waits:
            LABELLERS.put(ctx.store, account, mine._replace(waits=0, accepted=False) if mine.does else None)
        return self.due

    def _one(self, element: CellKey, said: SaidLabel | None, before: int, names: dict[str, LabelName]) -> None:
        """One label that came, was changed, or ended (None). before: the decision that it led to."""
        ctx, by = self.ctx, account_to_text(self.account)
        if before and (made := find(ctx.store, before)) is not None and made.undone is None:
            decisions.withdraw(ctx, made, by, "the label ended, or is another now", self.now)
            self._make_room(made)
        if said is None:
            LABELS_TAKEN.put(ctx.store, (self.account, element), None)
            return
        about, does, decision = said.label.about, self.chosen[self.account].does, 0
        if does == "allow":
            self._look_again(about.account)
        verdict = _verdict(said, does, names)
        if verdict is not None and not self._is_allowed(about):
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

    def _make_room(self, made: DecisionNote) -> None:
        """A decision ended: what led to none because of it, of labels of the same, may lead to one now."""
        for about in map(target_of, made.posts) if made.posts else (whole(account_from_text(made.account)),):
            for one in labels.of(self.q, about, self.chosen):
                taken = LABELS_TAKEN.get(self.ctx.store, (one.issuer, one.element))
                if taken is not None and not taken[1]:
                    LABELS_TAKEN.put(self.ctx.store, (one.issuer, one.element), (0, 0))
                    self.due.add(one.issuer)

    def _look_again(self, about: AccountId | None) -> None:
        """Has the labels of others carried out anew: those about this account; None: those that led to nothing."""
        for other in self.chosen.keys() - {self.account}:
            taken = {el: decision for (_, el), (_, decision) in LABELS_TAKEN.rows(self.ctx.store, other)}
            again = {one.element for one in labels.given_by(self.q, other) if one.label.about.account == about}
            for el, decision in taken.items():
                if el in again or (about is None and not decision):
                    LABELS_TAKEN.put(self.ctx.store, (other, el), (0, decision))
            self.due.add(other)

    def _is_allowed(self, about: Target) -> bool:
        allowing = [one for one, by in self.chosen.items() if by.does == "allow"]
        return bool(allowing) and any(one.label.name == ALLOW for one in labels.of(self.q, about, allowing))


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
    while True:
        await trio.sleep(LOOK_S)
        ends = trio.current_time() >= terms_at
        if commits == context.engine.commits and not ends:
            continue
        if ends:
            terms_at = trio.current_time() + TERMS_S
        commits = context.engine.commits
        more = await worker.call(partial(follower.look, all_=ends))
        while more:
            await trio.sleep(LOOK_S / 10)
            more = await worker.call(follower.look)
