"""A group: a register of its owner, what its members say, and what its owner and moderators say of it.

| collection | op | cell | element | content |
|---|---|---|---|---|
| group | put | time and nonce | | [name, description, rules, kind] |
| group.join | add | one for the account | the group | [account, key, tell] |
| group.act | add | the group | what and of whom | [account, key, what, of whom, post's key / null] |

Each account speaks in its own set only, so nobody can make a member of somebody else, and whether an act counts is
asked when it is read: acts of the owner do, and those of the accounts that the owner's own acts name as moderators. The
moderators are elements, not a field of the register: two devices of the owner, one of which dismisses a moderator while
the other one changes the description, must not bring him back. docs/social.md has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, get_args

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add, Put, Tomb
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.compound import many
from banyan_schema.fields import ACCOUNT, KEY, choice, optional, text
from banyan_schema.layout import Layout
from banyan_schema.notices import Notice, names, notice

MAX_NAME, MAX_ABOUT, MAX_RULES = 256, 4_096, 16_384
"""The most bytes of UTF-8 of a group's name, description and rules."""
MAX_TELL = 10
"""The most moderators that a member tells of its wish to join; the owner hears of it anyway."""
Kind = Literal["open", "request", "closed"]
"""Who is a member: who joins; who joins and is accepted; who is invited and joins."""
KINDS: tuple[Kind, ...] = get_args(Kind)
What = Literal["moderator", "accept", "refuse", "invite", "ban", "remove", "pin"]
WHATS: tuple[What, ...] = get_args(What)
"""By number, in content and in seeds: a new one goes to the end."""
_OF_POSTS = frozenset({"remove", "pin"})
"""Acts that name a post; the others name an account."""


@dataclass(frozen=True, slots=True)
class Group:
    """The content of a group. Its address is the owner's account and the register's key."""

    name: str
    description: str
    rules: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class GroupJoin:
    """The account joins `group`, or asks to. tell: moderators that are to hear of it."""

    group: Target
    tell: tuple[AccountId, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupAct:
    """What the owner or a moderator says in `group` of an account, or of its post `key` (only to remove or pin)."""

    group: Target
    what: What
    account: AccountId
    key: CellKey | None = None

    @property
    def named(self) -> bytes:
        """The account, 32 bytes, or its post, 48 bytes."""
        return self.account + (self.key or b"")


def group_digest(group: bytes) -> bytes:
    """How seeds of posts name the group (48 bytes) in which they were said: 8 bytes. Who reads such a row compares the
    post's own field, so that two groups with one digest gain nothing."""
    return sha256(b"banyan/1/group\0" + group).digest()[:8]


# --- the three collections -------------------------------------------------------------------------------------------

_GROUP = Collection(
    "group",
    "register",
    Layout(
        Group,
        lambda said: (said.name, said.description, said.rules, said.kind),
        (
            text("a group's name", MAX_NAME),
            text("a group's description", MAX_ABOUT),
            text("a group's rules", MAX_RULES),
            choice("the kind of a group", *KINDS),
        ),
    ),
    limits={"name": MAX_NAME, "description": MAX_ABOUT, "rules": MAX_RULES},
)
"""It tells views nothing: a group is read from its slot."""


def _join_seed(time: bytes, values: list[Any]) -> bytes:
    """The group, 48 bytes, and whom to tell, 32 bytes each."""
    account, key, tell = values[:3]
    return bytes(account + key + b"".join(dict.fromkeys(tell)))


def _join_facts(seed: bytes) -> Facts:
    group = seed[:48]
    tell = dict.fromkeys([group[:32], *(seed[at : at + 32] for at in range(48, len(seed), 32))])
    return (
        Fact("group_joins", group),
        Fact("joined_groups", group),
        *(notice("group_request", account) for account in tell),
    )


_JOIN = Collection(
    "group.join",
    "set",
    Layout(
        lambda account, key, tell: GroupJoin(Target(account, key), tell),
        lambda said: (*said.group, said.tell),
        (ACCOUNT, KEY, many("the moderators to tell", ACCOUNT, MAX_TELL)),
    ),
    seed=_join_seed,
    kinds=frozenset({"group_joins", "joined_groups", "notices"}),
    facts=_join_facts,
)


def _act_seed(time: bytes, values: list[Any]) -> bytes:
    """What, 1 byte, the group, 48, and the account or post. Empty where a post is named by what is of accounts, or the
    other way: such an act says nothing."""
    account, key, what, whom, post = values[:5]
    if (what in _OF_POSTS) != (post is not None):
        return b""
    return bytes((WHATS.index(what),)) + bytes(account + key + whom + (post or b""))


_TOLD: dict[What, Notice] = {"invite": "group_invite", "accept": "group_accept"}


def _act_facts(seed: bytes) -> Facts:
    if not seed:
        return ()
    told = _TOLD.get(WHATS[seed[0]])
    act = Fact("group_acts", seed)
    whom = seed[49:81]
    return (act, *names(seed[1:33], whom)) if told is None else (act, notice(told, whom), *names(seed[1:33]))


_ACT = Collection(
    "group.act",
    "set",
    Layout(
        lambda account, key, what, whom, post: GroupAct(Target(account, key), what, whom, post),
        lambda said: (*said.group, said.what, said.account, said.key),
        (ACCOUNT, KEY, choice("what is said of an account or a post", *WHATS), ACCOUNT, optional(KEY)),
    ),
    seed=_act_seed,
    kinds=frozenset({"group_acts", "notices"}),
    facts=_act_facts,
)
COLLECTIONS = (_GROUP, _JOIN, _ACT)
GROUP, JOIN, ACT = (collection.id for collection in COLLECTIONS)


# --- writing ---------------------------------------------------------------------------------------------------------


def write_group(key: CellKey, group: Group, replaces: Iterable[Ref] = ()) -> OpDraft:
    """A new group (with a key from `post_key`), or a change (`replaces`: the live writes). Raises ValueError past a
    limit."""
    return OpDraft(Put(GROUP, key, tuple(replaces), None), _GROUP.encode(group))


def delete_group(key: CellKey) -> OpDraft:
    """Ends a group for good."""
    return OpDraft(Tomb(GROUP, key), None)


def join(salt: bytes, said: GroupJoin) -> OpDraft:
    """Joins a group, or asks to. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"group.join"
    return OpDraft(Add(JOIN, cell_key(salt, name), cell_key(salt, name, *said.group), None), _JOIN.encode(said))


def act(salt: bytes, said: GroupAct) -> OpDraft:
    """Says something as owner or moderator. `salt`: that account's, 32 bytes. Take it back with `undo`."""
    name, what = b"group.act", bytes((WHATS.index(said.what),))
    key = cell_key(salt, name, *said.group)
    elem = cell_key(salt, name, *said.group, what, said.account, said.key or b"")
    return OpDraft(Add(ACT, key, elem, None), _ACT.encode(said))
