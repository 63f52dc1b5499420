"""The kinds of things that an account says to itself, and their bytes before they are sealed: [kind, content].

The content of a kind has a layout, as that of a collection has. `name`: what tells two things of a kind apart; saying
the same again replaces it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed
from banyan_schema.address import Target
from banyan_schema.fields import ACCOUNT, HASH, KEY, TARGET, blob, choice, number, optional, text
from banyan_schema.layout import Layout

MAX_TITLE, MAX_NOTE, MAX_WORDS, MAX_PLACE = 512, 8_192, 1_024, 256
"""The most bytes of UTF-8 of the title of a list or a filter, a note, the words of a filter, and a place in a
timeline."""
MAX_SAID_TAG, MAX_CONTEXTS, MAX_LANGS = 256, 128, 512
"""The same of a tag that is followed, of where a filter counts, and of the languages of somebody who is followed."""
MAX_DRAFT = 60_000
"""The most bytes of the content of a post that is not published yet."""


class Mute(NamedTuple):
    """An account of which nothing is shown, until a time (milliseconds since 1970) or for good."""

    account: bytes
    until_ms: int | None = None


class Bookmark(NamedTuple):
    """A post that is kept."""

    post: Target


class AccountList(NamedTuple):
    """A list of accounts. id: 16 random bytes. exclusive: `yes`: the posts of its accounts are not at home. replies:
    the answers that it shows: to those on it (list), to those whom one follows (followed), none; None: all."""

    id: bytes
    title: str
    exclusive: str | None = None
    replies: str | None = None


class ListMember(NamedTuple):
    """An account on a list."""

    list: bytes
    account: bytes


class Filter(NamedTuple):
    """Posts with these words are hidden, or shown behind a warning. id: 16 random bytes. title, of: filters that name
    the same 16 random bytes in `of` are shown to people as one, with this title. contexts: where it counts, words with
    spaces between them; None: everywhere. matches: whole words, or also a part of one."""

    id: bytes
    words: str
    action: str
    until_ms: int | None = None
    title: str | None = None
    of: bytes | None = None
    contexts: str | None = None
    matches: str | None = None


class FollowedTag(NamedTuple):
    """A tag whose public posts are at home. tag: folded. shown: as it was typed."""

    tag: str
    shown: str


class QuietThread(NamedTuple):
    """A conversation of which one is told nothing. root: the post that opened it."""

    root: Target


class Dismissal(NamedTuple):
    """A notification that was put away. place: as in a marker."""

    place: str


class FollowWish(NamedTuple):
    """What of an account that one follows is at home. reposts: `no`: without what it reposts. langs: its posts in these
    languages alone, with spaces between them; None: in all."""

    account: bytes
    reposts: str | None = None
    langs: str | None = None


class Marker(NamedTuple):
    """How far a timeline was read on one device. timeline: its name. place: of what was read last. device: its key."""

    timeline: str
    place: str
    device: bytes


class Note(NamedTuple):
    """What one wants to remember of an account."""

    account: bytes
    text: str


class LabellerChoice(NamedTuple):
    """What one wants of an account's labels: refuse, warn or hide."""

    issuer: bytes
    wish: str


class PrivateDraft(NamedTuple):
    """A post that is not published yet. id: 16 random bytes. post: its content. due_ms: when it is to be published,
    milliseconds since 1970; None: when its author says so."""

    id: bytes
    post: bytes
    due_ms: int | None = None


class PrivateRecord(NamedTuple):
    """kind: a name of KINDS. name: which one it is. content: a value of the kind's class."""

    kind: str
    name: bytes
    content: Any


@dataclass(frozen=True)
class PrivateKind:
    """`name`: content -> what tells two apart."""

    layout: Layout[Any]
    name: Callable[[Any], bytes]


KINDS: dict[str, PrivateKind] = {
    "mute": PrivateKind(Layout(Mute, tuple, (ACCOUNT, optional(number("a time")))), lambda m: m.account),
    "bookmark": PrivateKind(Layout(Bookmark, tuple, (TARGET,)), lambda b: b.post.raw),
    "list": PrivateKind(
        Layout(
            AccountList,
            tuple,
            (KEY, text("the title of a list", MAX_TITLE)),
            (
                choice("whether a list is exclusive", "yes"),
                choice("the answers that a list shows", "list", "followed", "none"),
            ),
        ),
        lambda x: x.id,
    ),
    "member": PrivateKind(Layout(ListMember, tuple, (KEY, ACCOUNT)), lambda m: m.list + m.account),
    "filter": PrivateKind(
        Layout(
            Filter,
            tuple,
            (
                KEY,
                text("the words of a filter", MAX_WORDS),
                choice("what a filter does", "hide", "warn"),
                optional(number("a time")),
            ),
            (
                text("the title of a filter", MAX_TITLE),
                KEY,
                text("where a filter counts", MAX_CONTEXTS),
                choice("what a filter finds", "word", "part"),
            ),
        ),
        lambda f: f.id,
    ),
    "marker": PrivateKind(
        Layout(Marker, tuple, (text("a timeline", 64), text("a place", MAX_PLACE), HASH)),
        lambda m: m.timeline.encode() + b"\0" + m.device,
    ),
    "draft": PrivateKind(
        Layout(PrivateDraft, tuple, (KEY, blob("a draft", MAX_DRAFT), optional(number("a time")))), lambda d: d.id
    ),
    "tag": PrivateKind(
        Layout(FollowedTag, tuple, (text("a tag", MAX_SAID_TAG), text("a tag", MAX_SAID_TAG))), lambda t: t.tag.encode()
    ),
    "quiet": PrivateKind(Layout(QuietThread, tuple, (TARGET,)), lambda x: x.root.raw),
    "dismissed": PrivateKind(Layout(Dismissal, tuple, (text("a place", MAX_PLACE),)), lambda d: d.place.encode()),
    "wish": PrivateKind(
        Layout(
            FollowWish,
            tuple,
            (ACCOUNT, optional(choice("whether reposts are shown", "no")), optional(text("languages", MAX_LANGS))),
        ),
        lambda w: w.account,
    ),
    "labeller": PrivateKind(
        Layout(LabellerChoice, tuple, (ACCOUNT, choice("what is done with labels", "refuse", "warn", "hide"))),
        lambda c: c.issuer,
    ),
    "note": PrivateKind(Layout(Note, tuple, (ACCOUNT, text("a note", MAX_NOTE))), lambda n: n.account),
}
_OF = {kind.layout.make: name for name, kind in KINDS.items()}


def said(content: Any) -> PrivateRecord:
    """content: a value of one of the classes above."""
    kind = _OF[type(content)]
    return PrivateRecord(kind, KINDS[kind].name(content), content)


def text_of(one: PrivateRecord) -> bytes:
    """Its bytes. Raises ValueError past a limit."""
    return encode([one.kind.encode(), KINDS[one.kind].layout.encode(one.content)])


def said_in(raw: bytes) -> PrivateRecord | None:
    """The inverse; None if it is of a kind or a form that is not known here."""
    try:
        found = decode(raw, 1)
    except Malformed:
        return None
    if type(found) is not list or len(found) < 2 or type(found[0]) is not bytes or type(found[1]) is not bytes:
        return None
    kind = KINDS.get(found[0].decode("utf-8", "replace"))
    content = None if kind is None else kind.layout.decode(found[1])
    return None if content is None else said(content)
