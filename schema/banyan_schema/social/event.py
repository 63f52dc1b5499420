"""An event: a register of who organises it, what people answer, and whom its account invites.

| collection | op | cell | element | content |
|---|---|---|---|---|
| event | put | time and nonce | | [title, text, begins, ends, zone, place, latitude, longitude, group]; see below |
| event.reply | add | one for the account | the event | [account, key, answer] |
| event.invite | add | the event | whom | [account, key, whom] |

All of an event but title, text, begins and zone may be null. Times are milliseconds since 1970, negative before; they
are moments, and the zone says in which clock people read them. The layout checks only the form of a zone: which zones
there are changes with the years, and two readers of one content must see the same. docs/social.md has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add, Put, Tomb
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.dates import FIRST_MS, LAST_MS
from banyan_schema.fields import ACCOUNT, KEY, TARGET, choice, formed, optional, signed, text
from banyan_schema.layout import Layout
from banyan_schema.notices import names, notice
from banyan_schema.social.group import group_digest

MAX_TITLE, MAX_ABOUT, MAX_PLACE, MAX_ZONE = 512, 16_384, 1_024, 64
"""The most bytes of UTF-8 of an event's title, its text, its place and the name of its time zone."""
LATITUDE, LONGITUDE = 900_000_000, 1_800_000_000
"""The most of both, in 1e-7 degrees: 11 mm on the ground."""
Answer = Literal["yes", "no", "maybe"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
"""By number, in content and in rows."""
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


@dataclass(frozen=True, slots=True)
class SocialEvent:
    """begins_ms, ends_ms: milliseconds since 1970. zone: a name of IANA's list, such as `Asia/Ho_Chi_Minh`. latitude,
    longitude: in 1e-7 degrees, north and east positive. group: in which it takes place."""

    title: str
    text: str
    begins_ms: int
    ends_ms: int | None
    zone: str
    place: str | None = None
    latitude: int | None = None
    longitude: int | None = None
    group: Target | None = None

    @property
    def over_ms(self) -> int:
        """When it is over: an end before the beginning says nothing."""
        return self.begins_ms if self.ends_ms is None else max(self.begins_ms, self.ends_ms)


@dataclass(frozen=True, slots=True)
class EventReply:
    """What the account answers to `event`."""

    event: Target
    answer: Answer


@dataclass(frozen=True, slots=True)
class EventInvite:
    """The account invites `whom` to `event`. It counts where the event is the account's own."""

    event: Target
    whom: AccountId


def moment(ms: int) -> bytes:
    """A time as 8 bytes whose order is that of time, before 1970 too."""
    return (ms + (1 << 63)).to_bytes(8, "big")


# --- the three collections -------------------------------------------------------------------------------------------


def _event_seed(time: bytes, values: list[Any]) -> bytes:
    """When it begins, 8 bytes, and the digest of its group, 8, if it has one."""
    begins, group = values[2], values[8]
    return moment(begins) + (b"" if group is None else group_digest(group.raw))


def _event_facts(seed: bytes) -> Facts:
    found = Fact("events", seed[:8])
    return (found,) if len(seed) == 8 else (found, Fact("group_events", seed[8:] + seed[:8]))


_EVENT = Collection(
    "event",
    "register",
    Layout(
        SocialEvent,
        lambda said: (
            said.title,
            said.text,
            said.begins_ms,
            said.ends_ms,
            said.zone,
            said.place,
            said.latitude,
            said.longitude,
            said.group,
        ),
        (
            text("the title of an event", MAX_TITLE),
            text("the text of an event", MAX_ABOUT),
            signed("the time at which an event begins", FIRST_MS, LAST_MS),
            optional(signed("the time at which an event ends", FIRST_MS, LAST_MS)),
            formed("a time zone", MAX_ZONE, _ZONE, "Asia/Ho_Chi_Minh"),
            optional(text("a place", MAX_PLACE)),
            optional(signed("a latitude, in 1e-7 degrees,", -LATITUDE, LATITUDE)),
            optional(signed("a longitude, in 1e-7 degrees,", -LONGITUDE, LONGITUDE)),
            optional(TARGET),
        ),
    ),
    limits={"title": MAX_TITLE, "text": MAX_ABOUT, "place": MAX_PLACE, "zone": MAX_ZONE},
    seed=_event_seed,
    kinds=frozenset({"events", "group_events"}),
    facts=_event_facts,
)


def _reply_seed(time: bytes, values: list[Any]) -> bytes:
    """The event, 48 bytes, and the answer, 1."""
    account, key, answer = values[:3]
    return bytes(account + key) + bytes((ANSWERS.index(answer),))


_REPLY = Collection(
    "event.reply",
    "set",
    Layout(
        lambda account, key, answer: EventReply(Target(account, key), answer),
        lambda said: (*said.event, said.answer),
        (ACCOUNT, KEY, choice("the answer to an event", *ANSWERS)),
    ),
    seed=_reply_seed,
    kinds=frozenset({"event_replies", "notices"}),
    facts=lambda seed: (Fact("event_replies", seed), *names(seed)),
)


def _invite_seed(time: bytes, values: list[Any]) -> bytes:
    """Whom, 32 bytes."""
    return bytes(values[2])


_INVITE = Collection(
    "event.invite",
    "set",
    Layout(
        lambda account, key, whom: EventInvite(Target(account, key), whom),
        lambda said: (*said.event, said.whom),
        (ACCOUNT, KEY, ACCOUNT),
    ),
    seed=_invite_seed,
    kinds=frozenset({"notices"}),
    facts=lambda seed: (notice("event_invite", seed),),
)
COLLECTIONS = (_EVENT, _REPLY, _INVITE)
EVENT, REPLY, INVITE = (collection.id for collection in COLLECTIONS)
REPLIES = _REPLY
"""The collection of answers, to list those of one account."""


# --- writing ---------------------------------------------------------------------------------------------------------


def write_event(key: CellKey, event: SocialEvent, replaces: Iterable[Ref] = ()) -> OpDraft:
    """A new event (with a key from `post_key`), or a change (`replaces`: the live writes). Raises ValueError past a
    limit."""
    return OpDraft(Put(EVENT, key, tuple(replaces), None), _EVENT.encode(event))


def delete_event(key: CellKey) -> OpDraft:
    """Ends an event for good."""
    return OpDraft(Tomb(EVENT, key), None)


def answer_event(salt: bytes, said: EventReply) -> OpDraft:
    """Answers; another answer is the same element, so the last one shows. `salt`: the account's, 32 bytes. Take it back
    with `undo`."""
    name = b"event.reply"
    return OpDraft(Add(REPLY, cell_key(salt, name), cell_key(salt, name, *said.event), None), _REPLY.encode(said))


def invite_to_event(salt: bytes, said: EventInvite) -> OpDraft:
    """Invites somebody. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"event.invite"
    key, elem = cell_key(salt, name, *said.event), cell_key(salt, name, *said.event, said.whom)
    return OpDraft(Add(INVITE, key, elem, None), _INVITE.encode(said))
