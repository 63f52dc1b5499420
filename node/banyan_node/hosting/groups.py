"""What an account hosted here may do in a group: who rules it, who is a member, and the sentence for who is not."""

from banyan_crdt.ids import AccountId, account_to_text
from banyan_node.context import Context
from banyan_node.hosting.visibility import shown
from banyan_node.operator_errors import forbidden
from banyan_reading.groups import GroupView, group_of
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.group import GROUP

_WHY_NOT = {
    "asked": "it waits to be accepted",
    "invited": "it was invited and has not joined: join first",
    "banned": "it is banned there",
    "moderator": "it moderates the group and has not joined: join first",
    "none": "it is no member: join first",
}


def held(q: Queries, target: Target) -> GroupView:
    """The group. Raises CallError if it is not shown here."""
    return shown(q, group_of(q, target), GROUP, target, "group", "deleted by its owner")


def open_to(ctx: Context, account: AccountId, target: Target) -> GroupView:
    """A group in which the account may post. Raises CallError."""
    found = held(ctx.queries(), target)
    if not found.is_member(account):
        why = _WHY_NOT.get(found.standing(account), "it is no member")
        raise forbidden(f"{account_to_text(account)} cannot post in '{found.group.name}': {why}.")
    return found


def ruled_by(ctx: Context, account: AccountId, target: Target, does: str) -> GroupView:
    """A group that the account owns or moderates. does: for the sentence, `bans` say. Raises CallError."""
    found = held(ctx.queries(), target)
    if account not in found.rulers:
        raise forbidden(f"Only the owner or a moderator of '{found.group.name}' {does}.")
    return found


def owned_by(ctx: Context, account: AccountId, target: Target, does: str) -> GroupView:
    """A group of the account. Raises CallError."""
    found = held(ctx.queries(), target)
    if account != found.target.account:
        raise forbidden(f"Only the owner of '{found.group.name}' {does}.")
    return found
