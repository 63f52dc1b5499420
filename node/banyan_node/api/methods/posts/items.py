"""Items: reads and writes any collection of the registry, without methods for that collection.

An item is one register, one element of a set, one counter or one text. Written content is checked by the collection's
layout. Collections with methods of their own are written only by these, which check more rules.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any

from msgspec import Meta

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Add, Count, Put, Tomb
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, EmptyRequest, MethodTable, Request, Response
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append, append_each
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_reading.answers import ShownItem
from banyan_schema import registry
from banyan_schema.collection import Collection, OpDraft, cell_key, counters, texts, undo
from banyan_schema.layout import Layout
from banyan_schema.social import post_key
from banyan_storage.reader import folded

METHODS = MethodTable()
MOST = 1_000
"""The most items of a page."""
REFS = 256
"""The most writes that one entry takes back: each is named by at most 38 bytes, and all by less than MAX_OPS_BYTES."""
WRITTEN_BY = {
    "post": "post, reply, quote, edit and delete",
    "profile": "profile.set",
    "reaction": "react",
    "repost": "repost",
    "pinned": "pin",
    "hidden": "thread.hide",
    "follow": "follow and unfollow",
    "block": "block",
    "mute": "mute",
    "group": "group.create, group.set and group.delete",
    "group.join": "group.join",
    "group.act": "group.moderator, group.accept, group.refuse, group.invite, group.ban, group.remove and group.pin",
    "event": "event.create, event.set and event.delete",
    "event.reply": "event.reply",
    "event.invite": "event.invite",
    "follow.answer": "follow.accept and follow.refuse",
    "handle": "handle.confirm",
    "moved.to": "move.to",
    "moved.from": "move.from",
    "official": "official.verify",
    "channel": "channel.set and channel.drop",
    "episode": "episode.set and episode.drop",
    "playlist": "playlist.set and playlist.drop",
    "subscription": "channel.subscribe",
    "order": "order.issue",
    "order.confirmation": "order.confirm",
    "order.receipt": "order.accept and order.refuse",
    "order.appeal": "order.appeal",
    "order.ruling": "order.rule",
    "keyring": "mute, bookmark, list.set, filter.set and note.set",
    "private": "mute, bookmark, list.set, filter.set and note.set",
}
"""Methods of collections that have their own."""

CollectionName = Annotated[
    str, Meta(title="a collection's name", description="A collection's name, as `collections` answers it.")
]
KeyGiven = Annotated[
    str, Meta(title="32 hexadecimal digits", description="A key, 32 hexadecimal digits.", pattern="^[0-9a-f]{32}$")
]


class ItemsRequest(Request):
    collection: CollectionName
    account: js.Own = None
    prefix: Annotated[str, Meta(description="Only items whose key and element begin so: hexadecimal digits.")] = ""
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 100
    after: Annotated[str | None, Meta(title="a place among items", description="`after` of the page before.")] = None


class ItemRequest(Request):
    """element: only for a set."""

    collection: CollectionName
    key: KeyGiven
    element: KeyGiven | None = None
    account: js.Own = None


class ItemPut(ActorRequest):
    """fields: all of the content, by name; what may be empty can be left out. Of a counter: `add`, a whole number.

    key: left out, a new item; of a set or a counter the one that the account has for it. element: of a set; left out,
    one that follows from the content.
    """

    collection: CollectionName
    fields: dict[str, Any]
    key: KeyGiven | None = None
    element: KeyGiven | None = None


class ItemDelete(ActorRequest):
    """element: of a set; default: all of its elements."""

    collection: CollectionName
    key: KeyGiven
    element: KeyGiven | None = None


class CollectionField(Response):
    """holds: its JSON type, in words. optional: whether it may be empty."""

    name: str
    holds: str
    optional: bool


class CollectionRow(Response):
    """merge: register, set, counter or text. methods: its own methods that write it, or empty."""

    name: str
    merge: str
    version: int
    fields: list[CollectionField]
    methods: str


class KnownCollections(Response):
    collections: list[CollectionRow]


class ItemRow(Response):
    """element: null except in a set. content: its fields by name; of a counter `count`, of a text `text`.

    time_ms, entry: of the write that is shown; null for counters and texts, which consist of many writes."""

    account: js.Did
    collection: str
    key: js.KeyHex
    element: js.KeyHex | None
    content: dict[str, Any]
    time_ms: js.Milliseconds | None
    entry: js.EntryHex | None


class ItemsPage(Response):
    """Ordered by key, then element. after: give it to get the next page; null on the last page."""

    items: list[ItemRow]
    after: js.ItemCursor | None


class ItemWritten(Response):
    account: js.Did
    collection: str
    key: js.KeyHex
    element: js.KeyHex | None
    entry: js.EntryHex


@METHODS.read("collections")
def known(at: CommitView, ask: EmptyRequest) -> KnownCollections:
    """The collections that this node knows, and the fields of their content."""
    return KnownCollections([_row(of) for of in registry.SOCIAL])


@METHODS.read("items.list", "refused", slow=True)
def listing(at: CommitView, ask: ItemsRequest) -> ItemsPage:
    """The items that an account shows in a collection: its registers, the elements of its sets, its counters or its
    texts.

    Counters and texts are folded from all entries of the account. For registers and sets only the page is read.
    """
    of, account, prefix = _known(ask.collection), hosted.account_of(at, ask.account), _hex("prefix", ask.prefix)
    after = _hex("after", ask.after or "")
    rows = list(islice(_items(at, account, of, prefix, after), ask.limit))
    more = rows and len(rows) == ask.limit
    return ItemsPage(rows, js.item_cursor(rows[-1].key, rows[-1].element) if more else None)


@METHODS.read("items.get", "not_found", "refused")
def get(at: CommitView, ask: ItemRequest) -> ItemRow:
    """One item of an account."""
    of, account = _known(ask.collection), hosted.account_of(at, ask.account)
    _element(of, ask.element, needed=True)
    name = bytes.fromhex(ask.key + (ask.element or ""))
    found = next(_items(at, account, of, name, b""), None)
    if found is None:
        raise _nothing(of, ask.key, ask.element, account)
    return found


@METHODS.write("items.put", "not_found", "refused")
def put(ctx: Context, ask: ItemPut, now: float) -> ItemWritten:
    """Writes an item: a register (in place of what it shows), an element of a set, or an addition to a counter.

    An element that is already in the set with this content is not written again.
    """
    of = _writable(ask.collection)
    _element(of, ask.element)
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    salt, name = hosted.salt_of(ctx, account), of.name.encode()
    if ask.key is not None:
        key = js.key_of(ask.key)
    elif of.merge == "register":
        key = post_key(salt, ctx.replica.author.random(16), ctx.replica.wall_ms(now))
    else:
        key = cell_key(salt, name)
    fresh = ask.key is None and of.merge == "register"
    if not fresh and q.is_dead(account, of.id, key):
        raise conflict(f"Item {js.key_hex(key)} of {of.name} was deleted for good: use another key.")
    if of.merge == "counter":
        return _written(ctx, account, of, key, None, [OpDraft(Count(of.id, key, _added(of, ask.fields)), None)], now)
    content = _content(of, ask.fields)
    if of.merge == "register":  # a new one replaces nothing, so a view that is being built is not asked
        live = () if fresh else q.live(account, Put(of.id, key, (), None))
        return _written(ctx, account, of, key, None, [OpDraft(Put(of.id, key, live, None), content)], now)
    elem = js.key_of(ask.element) if ask.element is not None else cell_key(salt, name, content)
    add = Add(of.id, key, elem, None)
    there = next(q.items(account, of, key + elem), None)
    if there is not None and of.encode(_layout(of).make(*there.values)) == content:
        return ItemWritten(js.did(account), of.name, js.key_hex(key), js.key_hex(elem), js.entry_hex(there.ref.entry))
    live = q.live(account, add)
    drafts = [undo(of.id, live)] if live else []
    return _written(ctx, account, of, key, elem, [*drafts, OpDraft(add, content)], now)


@METHODS.write("items.delete", "not_found", "refused")
def delete(ctx: Context, ask: ItemDelete, now: float) -> ItemWritten:
    """Deletes an item. A register or a counter is deleted for ever: later writes to its key are not shown.

    Elements of a set are removed and can be added again. Without `element`, all elements of the set are removed.
    """
    of = _writable(ask.collection)
    _element(of, ask.element)
    account, key = hosted.account_of(ctx, ask.by), js.key_of(ask.key)
    elem, q = None if ask.element is None else js.key_of(ask.element), ctx.queries()
    if of.merge == "set":
        elems = [i.elem for i in q.items(account, of, key + (elem or b"")) if i.elem is not None]
        live = [ref for e in elems for ref in q.live(account, Add(of.id, key, e, None))]
        drafts = [undo(of.id, live[at : at + REFS]) for at in range(0, len(live), REFS)]
    elif of.merge == "register":  # its content may be missing here: what is live is enough
        drafts = [OpDraft(Tomb(of.id, key), None)] if q.live(account, Put(of.id, key, (), None)) else []
    else:
        drafts = [] if q.is_dead(account, of.id, key) else [OpDraft(Tomb(of.id, key), None)]
    if not drafts:
        raise _nothing(of, ask.key, ask.element, account)
    entry = append_each(ctx, account, [[draft] for draft in drafts], now)
    return ItemWritten(
        js.did(account), of.name, js.key_hex(key), None if elem is None else js.key_hex(elem), js.entry_hex(entry)
    )


def _known(name: str) -> Collection[Any]:
    found = registry.SOCIAL.by_name.get(name)
    if found is None:
        names = ", ".join(of.name for of in registry.SOCIAL)
        raise bad_request(f"There is no collection '{name[:60]}' here; there are {names}.")
    return found


def _writable(name: str) -> Collection[Any]:
    of = _known(name)
    methods = WRITTEN_BY.get(name)
    if methods is not None:
        raise bad_request(f"The collection '{name}' is written by methods of its own: {methods}.")
    if of.merge == "text":
        raise bad_request(f"The collection '{name}' is of texts, which items.put cannot write.")
    return of


def _row(of: Collection[Any]) -> CollectionRow:
    layout = of.layout
    fields = [] if layout is None else zip(layout.names, layout.fields, strict=True)
    shown = [CollectionField(name, field.json.kind, field.null) for name, field in fields]
    return CollectionRow(of.name, of.merge, of.version, shown, WRITTEN_BY.get(of.name, ""))


def _layout(of: Collection[Any]) -> Layout[Any]:
    assert of.layout is not None
    return of.layout


def _element(of: Collection[Any], element: str | None, needed: bool = False) -> None:
    if element is not None and of.merge != "set":
        raise bad_request(f"The collection '{of.name}' has no elements: leave 'element' out.")
    if element is None and needed and of.merge == "set":
        raise bad_request(f"The collection '{of.name}' is of sets: name the 'element' too.")


def _hex(field: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise bad_request(f"'{field}' is an even number of hexadecimal digits; it got '{text[:60]}'.") from None


def _nothing(of: Collection[Any], key: str, element: str | None, account: AccountId) -> CallError:
    named = key if element is None else f"{key} with element {element}"
    return not_found(f"{js.did(account)} shows no item {named} of {of.name} here.")


def _items(at: CommitView, account: AccountId, of: Collection[Any], prefix: bytes, after: bytes) -> Iterator[ItemRow]:
    if of.layout is not None:
        names, fields = of.layout.names, of.layout.fields
        for found in at.queries().items(account, of, prefix, after):
            values = zip(names, fields, found.values, strict=True)
            content = {name: field.json.show(value) for name, field, value in values}
            yield _item(account, of, found, content)
        return
    state = folded(at.store, account)
    counted: Mapping[CellKey, Any] = (
        counters(of, state.cells) if of.merge == "counter" else texts(of, state.cells, state.content_of)
    )
    word = "count" if of.merge == "counter" else "text"
    for key in sorted(key for key in counted if key.startswith(prefix) and key > after):
        yield ItemRow(js.did(account), of.name, js.key_hex(key), None, {word: counted[key]}, None, None)


def _item(account: AccountId, of: Collection[Any], found: ShownItem, content: dict[str, Any]) -> ItemRow:
    elem = None if found.elem is None else js.key_hex(found.elem)
    entry = js.entry_hex(found.ref.entry)
    return ItemRow(js.did(account), of.name, js.key_hex(found.key), elem, content, found.time_ms, entry)


def _added(of: Collection[Any], fields: dict[str, Any]) -> int:
    if set(fields) != {"add"} or type(fields["add"]) is not int or not -(1 << 63) <= fields["add"] < 1 << 63:
        raise bad_request(f"'{of.name}' is a counter: its only field is 'add', a whole number of 64 bits.")
    return int(fields["add"])


def _content(of: Collection[Any], fields: dict[str, Any]) -> bytes:
    """The content of these fields, checked by the layout. Raises CallError."""
    layout = _layout(of)
    for name in fields:
        if name not in layout.names:
            near = get_close_matches(name, layout.names, 1)
            meant = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(layout.names)}."
            raise bad_request(f"The collection '{of.name}' has no field '{name[:60]}'; {meant}")
    values = []
    for name, field in zip(layout.names, layout.fields, strict=True):
        given = fields.get(name)
        if given is None and not field.null:
            raise bad_request(f"The collection '{of.name}' needs '{name}', {field.json.kind}; it got nothing.")
        values.append(None if given is None else _judged(of, f"'{name}'", given, field.json.take))
    return bytes(_judged(of, "this content", values, lambda values: of.encode(layout.make(*values))))


def _judged(of: Collection[Any], what: str, given: Any, do: Callable[[Any], Any]) -> Any:
    try:
        return do(given)
    except ValueError as error:
        raise bad_request(f"The collection '{of.name}' refuses {what}: {error}.") from None
    except (TypeError, AttributeError, OverflowError):
        raise bad_request(f"The collection '{of.name}' refuses {what}: it has another type.") from None


def _written(
    ctx: Context,
    account: AccountId,
    of: Collection[Any],
    key: CellKey,
    elem: CellKey | None,
    drafts: list[OpDraft],
    now: float,
) -> ItemWritten:
    entry = append(ctx, account, drafts, now)
    return ItemWritten(
        js.did(account), of.name, js.key_hex(key), None if elem is None else js.key_hex(elem), js.entry_hex(entry)
    )
