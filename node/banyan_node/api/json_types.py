"""How ids and cursors are written in JSON: one type for each, so that they cannot be confused.

Each type has a function that makes it from the internal type, and a pattern for the API's documentation. Types with
`Ref` in their name are for parameters, which allow more forms than answers have.
"""

from __future__ import annotations

from typing import Annotated, NewType, TypeAlias

from msgspec import Meta

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId, CellKey, EntryId, WriterKey, account_to_text
from banyan_node.operator_errors import CallError
from banyan_schema.dates import FIRST_MS, LAST_MS
from banyan_schema.social import Target, post_from_text, post_to_text

_DID = "did:banyan:z[1-9A-HJ-NP-Za-km-z]+"

DidText = NewType("DidText", str)
EntryText = NewType("EntryText", str)
WriterText = NewType("WriterText", str)
KeyDigestText = NewType("KeyDigestText", str)
DigestText = NewType("DigestText", str)
UriText = NewType("UriText", str)
FeedCursorText = NewType("FeedCursorText", str)
EventCursorText = NewType("EventCursorText", str)
FirehoseCursorText = NewType("FirehoseCursorText", str)
NoticeCursorText = NewType("NoticeCursorText", str)
ThreadCursorText = NewType("ThreadCursorText", str)
BlobText = NewType("BlobText", str)
KeyText = NewType("KeyText", str)
ItemCursorText = NewType("ItemCursorText", str)
ResponsePlaceText = NewType("ResponsePlaceText", str)
EventPlaceText = NewType("EventPlaceText", str)
SeriesPlaceText = NewType("SeriesPlaceText", str)

Did: TypeAlias = Annotated[DidText, Meta(title="an account", description="An account.", pattern=f"^{_DID}$")]
EntryHex: TypeAlias = Annotated[
    EntryText, Meta(title="an entry", description="The id of an entry, in hexadecimal.", pattern="^[0-9a-f]{64}$")
]
WriterHex: TypeAlias = Annotated[
    WriterText,
    Meta(title="a writer", description="The public key of a writer, in hexadecimal.", pattern="^[0-9a-f]{64}$"),
]
KeyDigestHex: TypeAlias = Annotated[
    KeyDigestText,
    Meta(title="a key's digest", description="The digest of a key, in hexadecimal.", pattern="^[0-9a-f]{64}$"),
]
DigestHex: TypeAlias = Annotated[
    DigestText,
    Meta(title="a digest", description="Digest of a state: equal digests mean equal states.", pattern="^[0-9a-f]{64}$"),
]
PostUri: TypeAlias = Annotated[UriText, Meta(title="a post", description="A post.", pattern=f"^{_DID}/[0-9a-f]{{32}}$")]
FeedCursor: TypeAlias = Annotated[
    FeedCursorText,
    Meta(
        title="a place in a feed",
        description="A place in a feed: `before` of the page before.",
        pattern="^[0-9a-f]{112}$",
    ),
]
EventCursor: TypeAlias = Annotated[
    EventCursorText,
    Meta(
        title="a place among the events",
        description="A place among the events of one store. It stays valid when the node restarts.",
        pattern="^[0-9a-f]{16}-[0-9]{1,15}$",
    ),
]
FirehoseCursor: TypeAlias = Annotated[
    FirehoseCursorText,
    Meta(
        title="a place in the firehose",
        description="A place in the firehose of one store; those of `events` are such places too. It stays valid when "
        "the node restarts.",
        pattern="^[0-9a-f]{16}-[0-9]{1,15}([.][0-9]{1,6})?(-[0-9]{1,15})?$",
    ),
]
BlobHex: TypeAlias = Annotated[
    BlobText,
    Meta(title="a blob", description="A picture, film or sound: its root, in hexadecimal.", pattern="^[0-9a-f]{64}$"),
]
KeyHex: TypeAlias = Annotated[
    KeyText,
    Meta(title="a key", description="The key of an item or of an element, in hexadecimal.", pattern="^[0-9a-f]{32}$"),
]
ItemCursor: TypeAlias = Annotated[
    ItemCursorText,
    Meta(
        title="a place among items",
        description="A place among the items of an account: key and element of the last one.",
        pattern="^([0-9a-f]{32}){1,2}$",
    ),
]
ThreadCursor: TypeAlias = Annotated[
    ThreadCursorText,
    Meta(
        title="a place in a conversation",
        description="A place among the answers to a post: `after` of the page before.",
        pattern="^[0-9a-f]{346}$",
    ),
]
ResponsePlace: TypeAlias = Annotated[
    ResponsePlaceText,
    Meta(
        title="a place among responses",
        description="A place among those who reacted to a post or reposted it: `after` of the page before.",
        pattern="^([0-9a-f]{2}){4,260}$",
    ),
]
NoticeCursor: TypeAlias = Annotated[
    NoticeCursorText,
    Meta(
        title="a place among notifications",
        description="A place among the notifications of an account at this node.",
        pattern="^[0-9a-f]{16}$",
    ),
]
EventPlace: TypeAlias = Annotated[
    EventPlaceText,
    Meta(
        title="a place among events",
        description="A place among events: `after` of the page before.",
        pattern="^[0-9a-f]{112}$",
    ),
]
SeriesPlace: TypeAlias = Annotated[
    SeriesPlaceText,
    Meta(
        title="a place among channels or episodes",
        description="A place in a list of channels, episodes or playlists: `after` of the page before.",
        pattern="^([0-9a-f]{2}){16,56}$",
    ),
]
Moment: TypeAlias = Annotated[
    int,
    Meta(title="a time", description="Milliseconds since 1970; negative before.", ge=FIRST_MS, le=LAST_MS),
]
Milliseconds: TypeAlias = Annotated[int, Meta(title="a time", description="Milliseconds since 1970.", ge=0)]

AccountRef: TypeAlias = Annotated[
    str,
    Meta(title="an account", description="A DID, or the name under which an account is hosted here.", min_length=1),
]
NOBODY = ""
"""Who reads as no account sees what everybody sees: nothing is muted, filtered or marked as read."""
Own: TypeAlias = Annotated[
    str | None,
    Meta(
        title="an account",
        description="A DID, or the name under which an account is hosted here; default: this node's own account.",
    ),
]
Undo: TypeAlias = Annotated[bool, Meta(description="Takes it back.")]
Reader: TypeAlias = Annotated[
    str | None,
    Meta(
        title="an account",
        description="A DID, or the name under which an account is hosted here; default: this node's own account. An "
        "empty text: nobody, for reading what everybody sees.",
    ),
]
PostRef: TypeAlias = Annotated[
    str, Meta(title="a post", description="A post: the account and 32 hexadecimal digits, `did:banyan:z.../0123...`.")
]
GroupRef: TypeAlias = Annotated[
    str, Meta(title="a group", description="A group: its owner and 32 hexadecimal digits, `did:banyan:z.../0123...`.")
]
EventRef: TypeAlias = Annotated[
    str, Meta(title="an event", description="An event: its account and 32 hexadecimal digits.")
]
ChannelRef: TypeAlias = Annotated[
    str, Meta(title="a channel", description="A channel: its account and 32 hexadecimal digits.")
]
EpisodeRef: TypeAlias = Annotated[
    str, Meta(title="an episode", description="An episode: its account and 32 hexadecimal digits.")
]
PlaylistRef: TypeAlias = Annotated[
    str, Meta(title="a playlist", description="A playlist: its account and 32 hexadecimal digits.")
]
ThingRef: TypeAlias = Annotated[
    str, Meta(title="32 hexadecimal digits", description="An id, as it was answered.", pattern="^[0-9a-f]{32}$")
]
BlobRef: TypeAlias = Annotated[
    str,
    Meta(title="64 hexadecimal digits", description="A blob, as `media.put` answers it.", pattern="^[0-9a-f]{64}$"),
]
KeyRef: TypeAlias = Annotated[
    str,
    Meta(title="64 hexadecimal digits", description="A key, 64 hexadecimal digits.", pattern="^[0-9A-Fa-f]{64}$"),
]
SecretRef: TypeAlias = Annotated[
    str,
    Meta(
        title="64 hexadecimal digits",
        description="A secret key, 64 hexadecimal digits. No error message contains it.",
        pattern="^[0-9A-Fa-f]{64}$",
        extra={"secret": True},
    ),
]


def did(account: AccountId) -> DidText:
    return DidText(account_to_text(account))


def entry_hex(entry: EntryId) -> EntryText:
    return EntryText(entry.hex())


def writer_hex(writer: WriterKey) -> WriterText:
    return WriterText(writer.hex())


def key_digest_hex(digest: bytes) -> KeyDigestText:
    return KeyDigestText(digest.hex())


def digest_hex(digest: bytes) -> DigestText:
    return DigestText(digest.hex())


def uri(target: Target) -> UriText:
    return UriText(post_to_text(target))


def target_of(text: str) -> Target:
    """The post of a text. Raises CallError if it is none."""
    try:
        return post_from_text(text)
    except ValueError as error:
        raise CallError("bad_request", f"{error}.") from None


def group_target(text: str) -> Target:
    """The group of a text. Raises CallError if it is none."""
    return _target(text, "a group")


def event_target(text: str) -> Target:
    """The event of a text. Raises CallError if it is none."""
    return _target(text, "an event")


def channel_target(text: str) -> Target:
    """The channel of a text. Raises CallError if it is none."""
    return _target(text, "a channel")


def episode_target(text: str) -> Target:
    """The episode of a text. Raises CallError if it is none."""
    return _target(text, "an episode")


def playlist_target(text: str) -> Target:
    """The playlist of a text. Raises CallError if it is none."""
    return _target(text, "a playlist")


def _target(text: str, what: str) -> Target:
    try:
        return post_from_text(text)
    except ValueError as error:
        raise CallError("bad_request", f"{str(error).replace('a post', what)}.") from None


def event_place(cursor: bytes) -> EventPlaceText:
    return EventPlaceText(cursor.hex())


def series_place(cursor: bytes) -> SeriesPlaceText:
    return SeriesPlaceText(cursor.hex())


def place_of(given: str | None, size: int, what: str, field: str = "before") -> bytes | None:
    """The place where a page ended, of so many bytes; None if there is none. what: for the sentence. field: of the
    page, in which it stands. Raises CallError."""
    if not given:
        return None
    try:
        place = bytes.fromhex(given)
    except ValueError:
        place = b""
    if len(place) != size:
        raise CallError("bad_request", f"'{given[:60]}' is no place {what}: give `{field}` of the page before.")
    return place


def feed_cursor(cursor: bytes) -> FeedCursorText:
    return FeedCursorText(cursor.hex())


def thread_cursor(cursor: bytes) -> ThreadCursorText:
    return ThreadCursorText(cursor.hex())


def response_place(cursor: bytes) -> ResponsePlaceText:
    return ResponsePlaceText(cursor.hex())


def notice_cursor(cursor: bytes) -> NoticeCursorText:
    return NoticeCursorText(cursor.hex())


def blob_hex(root: bytes) -> BlobText:
    return BlobText(root.hex())


def root_of(text: str) -> BlobRoot:
    """The root of 64 hexadecimal digits."""
    return BlobRoot(bytes.fromhex(text))


def key_hex(key: CellKey) -> KeyText:
    return KeyText(key.hex())


def key_of(text: str) -> CellKey:
    """The key of 32 hexadecimal digits."""
    return CellKey(bytes.fromhex(text))


def item_cursor(key: KeyText, element: KeyText | None) -> ItemCursorText:
    return ItemCursorText(key + (element or ""))
