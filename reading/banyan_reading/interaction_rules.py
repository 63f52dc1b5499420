"""Who may answer, quote and repost a post: by its policy, and by what its author hid below it.

It is judged by what this store holds now, so that two stores with the same entries judge alike. What is not allowed is
there all the same, and stays on the page of its author. Most stores have no such rule, or few, and of a post without
one nothing more is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from banyan_crdt.ids import AccountId
from banyan_reading import relations
from banyan_reading.answers import PostView
from banyan_reading.questions import PostRule, Questions
from banyan_reading.threads import MAX_ANCESTORS
from banyan_reading.timelines import timeline
from banyan_reading.visibility import Refusal
from banyan_schema.address import Target
from banyan_schema.social import ReplyTo
from banyan_schema.social.post import OPEN, Who, policy_of
from banyan_storage.views.social.responses import RULES, RULES_VIEW

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

Act: TypeAlias = Literal["answers", "quotes", "reposts"]
"""By the names of the fields of a policy."""
ACTS: tuple[Act, ...] = get_args(Act)
_WHOM: dict[Who, str] = {
    "followers": "followers of its author, and whom it mentions,",
    "mentioned": "its author and whom it mentions",
    "nobody": "its author",
}


class InteractionRules:
    """Of one state of the store. Raises ViewBuilding."""

    def __init__(self, q: Questions) -> None:
        self._q = q
        self._ruled: dict[Target, PostRule | None] = {}
        """By post; None: there is no rule."""
        self._let: dict[tuple[AccountId, AccountId], bool] = {}
        """Whether one account follows another and may."""
        self._mentions: dict[Target, tuple[AccountId, ...]] = {}
        self._parents: dict[Target, Target | None] = {}
        """What a post answers."""
        self._firsts: dict[Target, Target] = {}
        self._answers: dict[Target, Refusal | None] = {}
        """Why a post is refused as an answer."""

    @cached_property
    def any(self) -> bool:
        """Whether any post has a rule."""
        return self._q.has_rules()

    def touch(self, view: PostView) -> bool:
        """Whether a rule says something of a post, or of what it answers."""
        return self.any and any(self._of(target) is not None for target in (view.target, *self.below(view.post.reply)))

    def below(self, reply: ReplyTo | None) -> tuple[Target, ...]:
        """The posts whose rules are those of an answer: what it answers, and what opened the conversation, as it says,
        and as the posts above say."""
        return () if reply is None else (*reply, self._first(reply.parent))

    def _first(self, target: Target) -> Target:
        """The uppermost of the held posts above one, of at most MAX_ANCESTORS."""
        first = self._firsts.get(target)
        if first is None:
            first = target
            for _ in range(MAX_ANCESTORS if self.any else 0):
                if first not in self._parents:
                    self._parents[first] = self._q.parent(first)
                if (above := self._parents[first]) is None:
                    break
                first = above
            self._firsts[target] = first
        return first

    def page(self, account: AccountId) -> Iterator[PostView]:
        """What stands on the page of an account: what it posted and reposted, newest first."""
        found = (view for _, view in timeline(self._q, [account], None, reposts=True) if view is not None)
        return (view for view in found if view.reposted is None or self.of(view) is None)

    def of(self, view: PostView, first: Target | None = None, quoted: Target | None = None) -> Refusal | None:
        """Why a post is not shown where it stands as an answer, as a quote of `quoted`, or because of who reposted it.
        first: of the conversation as it is shown."""
        if not self.any:
            return None
        author, refused = view.target.account, self._answer(view.target, view)
        if refused is None and view.reposted is not None:
            refused = self.refuses("reposts", view.reposted.by, [view.target])
        if refused is None and first is not None and view.post.reply is not None:
            refused = self.refuses("answers", author, [first], view.target)
        if refused is None and quoted is not None:
            refused = self.refuses("quotes", author, [quoted], view.target)
        return refused

    def _answer(self, target: Target, view: PostView | None = None) -> Refusal | None:
        """Why a post is refused as an answer. view: of it, if it was read."""
        if target not in self._answers:
            view = view or self._q.post(target, hidden=True)
            below = () if view is None else self.below(view.post.reply)
            self._answers[target] = self.refuses("answers", target.account, below, target)
        return self._answers[target]

    def refuses(self, act: Act, who: AccountId, below: Iterable[Target], by: Target | None = None) -> Refusal | None:
        """Why an account may not do that to these posts: to its own it may do all, but that a refused answer comes to
        readers by no quote and no repost. by: the post that does."""
        for target in dict.fromkeys(below) if self.any else ():
            ruled = None if who == target.account else self._of(target)
            if ruled is not None and not self._lets(getattr(ruled.policy, act), target, who):
                return "policy"
            if by is not None and ruled is not None and ruled.hides and self._q.hides_below(target, by):
                return "hidden"
            if act != "answers" and self._answer(target) is not None:
                return "refused"
        return None

    def why_not(self, who: AccountId, act: Act, below: Iterable[Target]) -> str | None:
        """Why an account may not do that to these posts now: a sentence."""
        verb = act.removesuffix("s")
        for one in below:
            refused = self.refuses(act, who, [one])
            if refused == "refused":
                return f"That answer is not shown in its conversation: nobody may {verb} it."
            if refused is not None:
                return f"Only {_WHOM[self.who_may(act, one)]} may {verb} that post."
        return None

    def who_may(self, act: Act, target: Target) -> Who:
        """Whom the policy of a post lets do that."""
        ruled = self._of(target)
        whom: Who = "everybody" if ruled is None else getattr(ruled.policy, act)
        return whom

    def _lets(self, whom: Who, target: Target, who: AccountId) -> bool:
        if whom in ("everybody", "nobody"):
            return whom == "everybody"
        if target not in self._mentions:
            view = self._q.post(target, hidden=True)
            self._mentions[target] = () if view is None else view.post.mentions
        if who in self._mentions[target]:
            return True
        if whom != "followers":
            return False
        pair = who, target.account
        if pair not in self._let:
            follows = self._q.relates(who, "follow", target.account)
            self._let[pair] = follows and not relations.waits(self._q, *pair)
        return self._let[pair]

    def _of(self, target: Target) -> PostRule | None:
        if target not in self._ruled:
            self._ruled[target] = self._q.rule_of(target)
        return self._ruled[target]


# What the rows say (questions.py).


def has_rules(ask: ViewReader) -> bool:
    ask.need(RULES_VIEW.name)
    return ask.reader.txn.count(RULES) > 0


def rule_of(ask: ViewReader, target: Target) -> PostRule | None:
    rows = _rows(ask, target)
    found = [*ask.reader.txn.prefix(RULES, rows, limit=2)] if rows else []
    said = [value for key, value in found if key == rows]
    return PostRule(policy_of(said[0][0]) if said else OPEN, len(found) > len(said)) if found else None


def hides_below(ask: ViewReader, below: Target, post: Target) -> bool:
    rows = _rows(ask, below)
    return bool(rows) and any(ask.reader.txn.prefix(RULES, rows + post.raw, limit=1))


def _rows(ask: ViewReader, target: Target) -> bytes:
    """What the rows of a post begin with."""
    number = ask.number(target.account)
    return b"" if number is None else number + target.key
