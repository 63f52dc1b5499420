"""What an account wants to hear of: somebody answered, quoted or mentioned it, reacted, reposted, followed; a group
invited or accepted it, or is asked for by somebody.

A collection that has such things to tell states a fact of the kind `notices`. Its key is the number of what happened,
1 byte, and the account that is to hear of it, 32 bytes. **Whatever names an account states one**, also if the account
is told nothing (`names`): nodes that hold chosen accounts learn by it alone who says something of theirs.
"""

from __future__ import annotations

from typing import Literal, get_args

from banyan_schema.collection import Fact

Notice = Literal[
    "reply",
    "quote",
    "mention",
    "reaction",
    "repost",
    "follow",
    "group_invite",
    "group_accept",
    "group_request",
    "event_invite",
    "follow_request",
    "follow_accept",
    "move",
    "urgent",
    "episode",
    "poll_ended",
    "label",
    "label_appeal",
]
NOTICES: tuple[Notice, ...] = get_args(Notice)
"""By number. Rows are made of the numbers, so a new one goes to the end. Of what one post does, the first is told.
`follow_request` is in no row: it is how a follow of a locked account reads until it is accepted. Nor is
`poll_ended`: no entry tells it, but the clock."""
_NUMBERS = {what: bytes((number,)) for number, what in enumerate(NOTICES)}


def poll_ends(closes_ms: int, poll: bytes = b"") -> Fact:
    """When a poll ends, of which the account is to hear then. poll: its post, 48 bytes; nothing, if it is the account's
    own."""
    return Fact("voted_polls" if poll else "own_polls", closes_ms.to_bytes(8, "big") + poll)


def told_by(what: Notice) -> Fact:
    """What an account tells all who follow it, or who subscribe to its channel. The fact is of the kind `broadcasts`;
    its key is the number."""
    return Fact("broadcasts", _NUMBERS[what])


UNTOLD = b"\xff"
"""The number of what names an account and of which it is told nothing."""


def names(*named: bytes) -> tuple[Fact, ...]:
    """It names these accounts, 32 bytes each or longer, and they are told nothing of it: a vote in a poll, an answer to
    an event. So a node that holds their accounts alone can find who said it."""
    return tuple(Fact("notices", UNTOLD + account) for account in dict.fromkeys(one[:32] for one in named))


def notice(what: Notice, named: bytes) -> Fact:
    """named: the account, 32 bytes, or a post of it, 48 bytes."""
    return Fact("notices", _NUMBERS[what] + named[:32])
