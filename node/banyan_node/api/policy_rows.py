"""Who may answer, quote and repost a post, as it is asked for and shown."""

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import Request, Response
from banyan_reading.answers import PostView
from banyan_reading.interaction_rules import ACTS, Act, InteractionRules
from banyan_schema.social import ReplyTo
from banyan_schema.social.post import InteractionPolicy, Who


class PolicyInput(Request):
    """Who may answer a post, quote it and repost it, beside its author. followers: and whom it mentions. The policy of
    the first post holds for a whole conversation. Default: everybody; of an edit: as before."""

    answers: Who | None = None
    quotes: Who | None = None
    reposts: Who | None = None


class InteractionPolicyRow(Response):
    """Who may answer a post, quote it and repost it, beside its author. followers: and whom it mentions. The policy of
    the first post holds for a whole conversation."""

    answers: Who
    quotes: Who
    reposts: Who


def policy_after(before: InteractionPolicy, asked: PolicyInput | None) -> InteractionPolicy:
    """What a post says after this was asked for."""
    given = {} if asked is None else {act: who for act in ACTS if (who := getattr(asked, act)) is not None}
    return before._replace(**given)


def may_not(rules: InteractionRules, reader: AccountId, view: PostView) -> list[Act]:
    """What rules do not let an account do to a post: to answer it also those of the first post."""
    if not rules.touch(view):
        return []
    root = view.target if view.post.reply is None else view.post.reply.root
    below = {"answers": rules.below(ReplyTo(root, view.target))}
    return [act for act in ACTS if rules.refuses(act, reader, below.get(act, (view.target,)))]
