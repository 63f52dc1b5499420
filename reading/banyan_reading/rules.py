"""Who may answer, quote and repost a post: by its policy, and by what its author hid below it.

It is judged by what this store holds now, so that two stores with the same entries judge alike. What is not allowed is
there all the same, and stays on the page of its author. Most stores have no such rule, or few, and of a post without
one nothing more is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Literal, TypeAlias, get_args

from banyan_crdt.ids import AccountId
from banyan_reading import locking
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_reading.visibility import Refusal
from banyan_schema.address import Target
from banyan_schema.social.post import Who, policy_of
from banyan_storage.views.social.rules import RULES, VIEW

Act: TypeAlias = Literal["answers", "quotes", "reposts"]
"""By the names of the fields of a policy."""
ACTS: tuple[Act, ...] = get_args(Act)
_WHOM: dict[Who, str] = {
    "followers": "followers of its author, and whom it mentions,",
    "mentioned": "its author and whom it mentions",
    "nobody": "its author",
}


class Rules:
    """Of one state of the store. Raises ViewBuilding."""

    def __init__(self, q: Queries) -> None:
        self._q = q
        self._rows: dict[Target, bytes | None] = {}
        """What the rows of a post begin with; None: there are none."""

    @cached_property
    def any(self) -> bool:
        """Whether any post has a rule."""
        self._q.need(VIEW.name)
        return self._q.reader.txn.count(RULES) > 0

    def touch(self, view: PostView) -> bool:
        """Whether a rule says something of a post, or of what it answers."""
        reply = view.post.reply
        below = (view.target,) if reply is None else (view.target, *reply)
        return self.any and any(self._has(target) is not None for target in below)

    def of(self, view: PostView, first: Target | None = None, quoted: Target | None = None) -> Refusal | None:
        """Why a post is not shown where it stands as an answer, as a quote of `quoted`, or because of who reposted it.
        first: of the conversation as it is shown, whatever an answer claims."""
        if not self.any:
            return None
        reply, author, refused = view.post.reply, view.target.account, None
        if view.reposted is not None:
            refused = self.refuses("reposts", view.reposted.by, [view.target])
        if refused is None and reply is not None:
            below = (*reply, first) if first is not None else reply
            refused = self.refuses("answers", author, below, view.target)
        if refused is None and quoted is not None:
            refused = self.refuses("quotes", author, [quoted], view.target)
        return refused

    def refuses(self, act: Act, who: AccountId, below: Iterable[Target], by: Target | None = None) -> Refusal | None:
        """Why an account may not do that to these posts, of which it may do it to its own. by: the post that does."""
        for target in dict.fromkeys(below) if self.any else ():
            rows = None if who == target.account else self._has(target)
            if rows is None:
                continue
            if not self._lets(self.who_may(act, target), target, who):
                return "policy"
            if by is not None and any(self._q.reader.txn.prefix(RULES, rows + by.raw, limit=1)):
                return "hidden"
        return None

    def why_not(self, who: AccountId, act: Act, below: Iterable[Target]) -> str | None:
        """Why an account may not do that to these posts now: a sentence."""
        whom = next((self.who_may(act, one) for one in below if self.refuses(act, who, [one])), None)
        return None if whom is None else f"Only {_WHOM[whom]} may {act.removesuffix('s')} that post."

    def who_may(self, act: Act, target: Target) -> Who:
        """Whom the policy of a post lets do that."""
        rows = self._has(target)
        policy = None if rows is None else self._q.reader.txn.get(RULES, rows)
        return "everybody" if policy is None else getattr(policy_of(policy[0]), act)

    def _lets(self, whom: Who, target: Target, who: AccountId) -> bool:
        if whom in ("everybody", "nobody"):
            return whom == "everybody"
        view = self._q.post(target, hidden=True)
        if view is not None and who in view.post.mentions:
            return True
        q, author = self._q, target.account
        return whom == "followers" and locking.follows(q, who, author) and not locking.waits(q, who, author)

    def _has(self, target: Target) -> bytes | None:
        if target not in self._rows:
            number = self._q.number(target.account)
            rows = b"" if number is None else number + target.key
            self._rows[target] = rows if rows and any(self._q.reader.txn.prefix(RULES, rows, limit=1)) else None
        return self._rows[target]
