"""How ids and cursors are written in JSON: one type for each, so that they cannot be confused.

Each type has a function that makes it from the internal type, and a pattern for the API's documentation. Types with
`Ref` in their name are for parameters, which allow more forms than answers have.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, NewType, TypeAlias, TypeVar

from msgspec import Meta

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId, CellKey, EntryId, WriterKey, account_to_text
from banyan_node.operator_errors import bad_request
from banyan_schema.dates import FIRST_MS, LAST_MS
from banyan_schema.social import Target, post_from_text, post_to_text

C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")
B = TypeVar("B", bound=bytes)
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


def _text(title: str, about: str, pattern: str | None = None) -> Meta:
    """title: for refusals. about: for the reference."""
    return Meta(title=title, description=about, pattern=pattern and f"^{pattern}$")


def _hex(title: str, about: str, digits: int) -> Meta:
    return _text(title, about, f"[0-9a-f]{{{digits}}}")


Did: TypeAlias = Annotated[DidText, _text("an account", "An account.", _DID)]
EntryHex: TypeAlias = Annotated[EntryText, _hex("an entry", "The id of an entry, in hexadecimal.", 64)]
WriterHex: TypeAlias = Annotated[WriterText, _hex("a writer", "The public key of a writer, in hexadecimal.", 64)]
KeyDigestHex: TypeAlias = Annotated[KeyDigestText, _hex("a key's digest", "The digest of a key, in hexadecimal.", 64)]
DigestHex: TypeAlias = Annotated[
    DigestText, _hex("a digest", "Digest of a state: equal digests mean equal states.", 64)
]
PostUri: TypeAlias = Annotated[UriText, _text("a post", "A post.", f"{_DID}/[0-9a-f]{{32}}")]
FeedCursor: TypeAlias = Annotated[
    FeedCursorText, _hex("a place in a feed", "A place in a feed: `before` of the page before.", 112)
]
EventCursor: TypeAlias = Annotated[
    EventCursorText,
    _text(
        "a place among the events",
        "A place among the events of one store. It stays valid when the node restarts.",
        "[0-9a-f]{16}-[0-9]{1,15}",
    ),
]
FirehoseCursor: TypeAlias = Annotated[
    FirehoseCursorText,
    _text(
        "a place in the firehose",
        "A place in the firehose of one store; those of `events` are such places too. It stays valid when the node "
        "restarts.",
        "[0-9a-f]{16}-[0-9]{1,15}([.][0-9]{1,6})?(-[0-9]{1,15})?",
    ),
]
BlobHex: TypeAlias = Annotated[BlobText, _hex("a blob", "A picture, film or sound: its root, in hexadecimal.", 64)]
KeyHex: TypeAlias = Annotated[KeyText, _hex("a key", "The key of an item or of an element, in hexadecimal.", 32)]
ItemCursor: TypeAlias = Annotated[
    ItemCursorText,
    _text(
        "a place among items",
        "A place among the items of an account: key and element of the last one.",
        "([0-9a-f]{32}){1,2}",
    ),
]
ThreadCursor: TypeAlias = Annotated[
    ThreadCursorText,
    _hex("a place in a conversation", "A place among the answers to a post: `after` of the page before.", 346),
]
ResponsePlace: TypeAlias = Annotated[
    ResponsePlaceText,
    _text(
        "a place among responses",
        "A place among those who reacted to a post or reposted it: `after` of the page before.",
        "([0-9a-f]{2}){4,260}",
    ),
]
NoticeCursor: TypeAlias = Annotated[
    NoticeCursorText,
    _hex("a place among notifications", "A place among the notifications of an account at this node.", 16),
]
EventPlace: TypeAlias = Annotated[
    EventPlaceText, _hex("a place among events", "A place among events: `after` of the page before.", 112)
]
SeriesPlace: TypeAlias = Annotated[
    SeriesPlaceText,
    _text(
        "a place among channels or episodes",
        "A place in a list of channels, episodes or playlists: `after` of the page before.",
        "([0-9a-f]{2}){16,56}",
    ),
]
Moment: TypeAlias = Annotated[
    int, Meta(title="a time", description="Milliseconds since 1970; negative before.", ge=FIRST_MS, le=LAST_MS)
]
Milliseconds: TypeAlias = Annotated[int, Meta(title="a time", description="Milliseconds since 1970.", ge=0)]
Undo: TypeAlias = Annotated[bool, Meta(description="Takes it back.")]

_HOSTED_NAME = "A DID, or the name under which an account is hosted here"
AccountRef: TypeAlias = Annotated[str, Meta(title="an account", description=f"{_HOSTED_NAME}.", min_length=1)]
Own: TypeAlias = Annotated[str | None, _text("an account", f"{_HOSTED_NAME}; default: this node's own account.")]
NOBODY = ""
"""Who reads as no account sees what everybody sees: nothing is muted, filtered or marked as read."""
Reader: TypeAlias = Annotated[
    str | None,
    _text(
        "an account",
        f"{_HOSTED_NAME}; default: this node's own account. An empty text: nobody, for reading what everybody sees.",
    ),
]
_TWO_PARTS = "and 32 hexadecimal digits"
PostRef: TypeAlias = Annotated[str, _text("a post", f"A post: the account {_TWO_PARTS}, `did:banyan:z.../0123...`.")]
GroupRef: TypeAlias = Annotated[str, _text("a group", f"A group: its owner {_TWO_PARTS}, `did:banyan:z.../0123...`.")]
EventRef: TypeAlias = Annotated[str, _text("an event", f"An event: its account {_TWO_PARTS}.")]
ChannelRef: TypeAlias = Annotated[str, _text("a channel", f"A channel: its account {_TWO_PARTS}.")]
EpisodeRef: TypeAlias = Annotated[str, _text("an episode", f"An episode: its account {_TWO_PARTS}.")]
PlaylistRef: TypeAlias = Annotated[str, _text("a playlist", f"A playlist: its account {_TWO_PARTS}.")]
ThingRef: TypeAlias = Annotated[str, _hex("32 hexadecimal digits", "An id, as it was answered.", 32)]
BlobRef: TypeAlias = Annotated[str, _hex("64 hexadecimal digits", "A blob, as `media.put` answers it.", 64)]
KeyRef: TypeAlias = Annotated[str, _text("64 hexadecimal digits", "A key, 64 hexadecimal digits.", "[0-9A-Fa-f]{64}")]
SecretRef: TypeAlias = Annotated[
    str,
    Meta(
        title="64 hexadecimal digits",
        description="A secret key, 64 hexadecimal digits. No error message contains it.",
        pattern="^[0-9A-Fa-f]{64}$",
        extra={"secret": True},
    ),
]


def _digits(text: Callable[[str], T], raw: Callable[[bytes], B]) -> Callable[[B], T]:
    """Writes ids of one kind as hexadecimal digits."""
    return lambda of: text(of.hex())


entry_hex = _digits(EntryText, EntryId)
writer_hex = _digits(WriterText, WriterKey)
key_digest_hex = _digits(KeyDigestText, bytes)
digest_hex = _digits(DigestText, bytes)
blob_hex = _digits(BlobText, bytes)
key_hex = _digits(KeyText, CellKey)
event_place = _digits(EventPlaceText, bytes)
series_place = _digits(SeriesPlaceText, bytes)
feed_cursor = _digits(FeedCursorText, bytes)
thread_cursor = _digits(ThreadCursorText, bytes)
response_place = _digits(ResponsePlaceText, bytes)
notice_cursor = _digits(NoticeCursorText, bytes)


def did(account: AccountId) -> DidText:
    return DidText(account_to_text(account))


def uri(target: Target) -> UriText:
    return UriText(post_to_text(target))


def target_of(text: str, what: str = "a post") -> Target:
    """The post, group, event, channel, episode or playlist of a text. what: which of them, for the sentence. Raises
    CallError if it is none."""
    try:
        return post_from_text(text)
    except ValueError as error:
        raise bad_request(f"{str(error).replace('a post', what)}.") from None


def root_of(text: str) -> BlobRoot:
    """The root of 64 hexadecimal digits."""
    return BlobRoot(bytes.fromhex(text))


def key_of(text: str) -> CellKey:
    """The key of 32 hexadecimal digits."""
    return CellKey(bytes.fromhex(text))


LOOKED = 20
"""For each row of a page at most so many things are looked at: a page of which most is hidden may be short."""


def page_of(found: Iterable[tuple[C, R | None]], limit: int) -> tuple[list[R], C | None]:
    """The rows of a page, and the place of the last thing that was looked at, if more follow. found: of each thing its
    place and its row; None: it is not shown."""
    rows, last = list[R](), None
    for n, (place, row) in enumerate(found):
        if len(rows) == limit or n == LOOKED * limit:
            return rows, last
        last = place
        if row is not None:
            rows.append(row)
    return rows, None


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
        raise bad_request(f"'{given[:60]}' is no place {what}: give `{field}` of the page before.")
    return place


def item_cursor(key: KeyText, element: KeyText | None) -> ItemCursorText:
    return ItemCursorText(key + (element or ""))
