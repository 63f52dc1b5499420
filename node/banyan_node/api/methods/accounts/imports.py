"""Imports: accounts, follows and posts from files of other systems, in numbered batches.

A batch and the number of the next one are written in one transaction, so an interrupted import continues where it
stopped. Applying a batch twice changes nothing: accounts are found by name, existing follows are kept, and the key of a
post is computed from the import and the row.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, CellKey, H
from banyan_crdt.ops import Put
from banyan_node.api.declare import MethodTable, Request, Response
from banyan_node.api.json_types import DigestHex, digest_hex
from banyan_node.api.methods.people.relations import why_apart
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import packed
from banyan_node.operator_errors import CallError, bad_request, not_found
from banyan_schema import social
from banyan_storage.local_tables import IMPORTED_ARTICLES, IMPORTS, ImportState

METHODS = MethodTable()


class _Row(NamedTuple):
    """A post to be. `title`: what later rows call it, where it opens a thread. `nonce`: what makes its key."""

    by: AccountId
    nonce: bytes
    title: str | None
    thread: str | None
    text: str
    time_ms: int | None


ImportId = Annotated[str, Meta(title="an import", description="`id` of import.begin.")]


class BeginRequest(Request):
    """The same kind and source mean the same import, also after a restart. label: only for the node's log."""

    kind: Literal["graph", "posts"]
    source: Annotated[str, Meta(description="What identifies the file and its options, such as a hash.")]
    batches: Annotated[int, Meta(ge=0, le=1 << 62)]
    label: str = ""


class BatchRequest(Request):
    """A row is {"accounts": [name..]}, [follower, [followed..]], {"article": title, "by", "text", "time_ms"?} or
    {"row": number, "author", "text", "thread"?: title, "time_ms"?}."""

    id: ImportId
    number: Annotated[int, Meta(ge=0, le=1 << 62)]
    rows: list[Any]


class EndRequest(Request):
    id: ImportId


class ImportStart(Response):
    """next: the first batch to send. done: whether the import has ended already."""

    id: ImportId
    next: int
    done: bool


class BatchResult(Response):
    """next: the batch to send next."""

    next: int


class ImportResult(Response):
    """The totals of the import, and the state after it."""

    accounts: int
    follows: int
    posts: int
    replies: int
    entries: int
    digest: DigestHex


@METHODS.write("import.begin")
def begin(ctx: Context, ask: BeginRequest, now: float) -> ImportStart:
    """Starts an import in numbered batches, or tells where it stopped."""
    name = H("import", encode([ask.kind.encode(), ask.source.encode()]))[:16]
    state = IMPORTS.get(ctx.store, name)
    if state is None:
        state = ImportState(ask.batches, 0, 0, 0, 0, 0, 0, 0)
        IMPORTS.put(ctx.store, name, state)
    return ImportStart(name.hex(), state.next, bool(state.done))


@METHODS.write("import.batch", "not_found", "out_of_order", "refused")
def batch(ctx: Context, ask: BatchRequest, now: float) -> BatchResult:
    """Imports one batch. A batch that was already imported changes nothing."""
    name, state = _known(ctx, ask.id)
    number = ask.number
    if number < state.next:
        return BatchResult(state.next)
    if number > state.next or state.done:
        raise CallError("out_of_order", f"Batch {number} came, but batch {state.next} is next; send that one.", 409)
    if number >= state.batches:
        raise bad_request(f"Batch {number} came; the import was begun with {state.batches} batches.")
    done = _ImportBatch(ctx, name, now).apply(ask.rows)
    state = ImportState(state.batches, number + 1, 0, *(a + b for a, b in zip(state[3:], done, strict=True)))
    IMPORTS.put(ctx.store, name, state)
    return BatchResult(state.next)


@METHODS.write("import.end", "not_found", "out_of_order")
def end(ctx: Context, ask: EndRequest, now: float) -> ImportResult:
    """Ends an import after its last batch."""
    name, state = _known(ctx, ask.id)
    if state.next < state.batches:
        raise CallError("out_of_order", f"Batch {state.next} of {state.batches} is still to come.", 409)
    for key in [*IMPORTED_ARTICLES.keys(ctx.store, name)]:
        IMPORTED_ARTICLES.put(ctx.store, key, None)
    IMPORTS.put(ctx.store, name, state._replace(done=1))
    return ImportResult(
        accounts=state.accounts,
        follows=state.follows,
        posts=state.posts,
        replies=state.replies,
        entries=state.entries,
        digest=digest_hex(ctx.store.digest()),
    )


def _known(ctx: Context, text: str) -> tuple[bytes, ImportState]:
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b""
    state = IMPORTS.get(ctx.store, name)
    if state is None:
        raise not_found(f"No import '{text[:60]}' was begun here; call import.begin.")
    return name, state


class _ImportBatch:
    """One batch. All of it is checked before anything is written."""

    def __init__(self, ctx: Context, name: bytes, now: float) -> None:
        self.ctx, self.name, self.now = ctx, name, now
        self._q = ctx.queries()
        self._named: dict[str, AccountId] = {}
        self._salts: dict[AccountId, bytes] = {}
        self._articles: dict[str, social.Target] = {}
        self._entries = 0

    def apply(self, rows: list[Any]) -> tuple[int, int, int, int, int]:
        """Returns the numbers of new (accounts, follows, posts, replies, entries)."""
        names = [n for row in rows if isinstance(row, dict) and "accounts" in row for n in _names(row, row["accounts"])]
        for name in names:
            self._open(name)
        follows: dict[AccountId, dict[AccountId, None]] = {}
        posts: list[_Row] = []
        for row in rows:
            if isinstance(row, list):
                who, targets = self._follows(row)
                follows.setdefault(who, {}).update(dict.fromkeys(targets))
            elif not isinstance(row, dict):
                raise _bad(row)
            elif "accounts" not in row:
                posts.append(self._post(row))
        written = [self._draft(row) for row in posts]
        for who, followed in follows.items():
            self._publish(who, self._new_follows(who, followed))
        by: dict[AccountId, list[social.OpDraft]] = {}
        for row, draft in zip(posts, written, strict=True):
            if draft is not None:
                by.setdefault(row.by, []).append(draft)
        for who, drafts in by.items():
            self._publish(who, drafts)
        for title, target in self._articles.items():
            IMPORTED_ARTICLES.put(self.ctx.store, self._article(title), target)
        replies = sum(row.thread is not None for row in posts)
        return len(names), sum(map(len, follows.values())), len(posts), replies, self._entries

    def _open(self, name: str) -> None:
        if hosted.named(self.ctx, name) is None:
            made = hosted.create(self.ctx, name, int(self.now * 1000))
            field = social.set_profile(self._salt(made.account), "name", name)
            self._publish(made.account, [field])

    def _publish(self, who: AccountId, drafts: Iterable[social.OpDraft]) -> None:
        """In few entries, because a log may have so many a day. Leaves it to reconciliation, because an import would
        flood the gossip."""
        some = packed(drafts)
        if some:
            log = hosted.writable_log(self.ctx, who)
            self.ctx.replica.writes.publish(log, self.ctx.device, some, self.now, push=False)
            self._entries += len(some)

    # -- follows

    def _follows(self, row: list[Any]) -> tuple[AccountId, list[AccountId]]:
        if len(row) != 2 or not isinstance(row[0], str):
            raise _bad(row)
        return self._account(row[0]), [self._account(n) for n in _names(row, row[1])]

    def _new_follows(self, who: AccountId, targets: Iterable[AccountId]) -> Iterator[social.OpDraft]:
        """Without those of whom one of the two blocks the other."""
        standing, salt = set(self._q.follows(who)), self._salt(who)
        wanted = (target for target in targets if target not in standing and why_apart(self.ctx, who, target) is None)
        return (social.relate(salt, "follow", target) for target in wanted)

    # -- posts

    def _post(self, row: dict[str, Any]) -> _Row:
        if "article" in row:
            title, by = _text(row, "article"), self._account(_text(row, "by"))
            nonce = H("import row", encode([self.name, b"article", title.encode()]))[:16]
            found = _Row(by, nonce, title, None, _text(row, "text"), _time(row))
            self._articles[title] = social.Target(by, self._key(found))
            return found
        number = row.get("row")
        if not isinstance(number, int) or not 0 <= number < 1 << 63:
            raise _bad(row)
        thread = None if row.get("thread") is None else _text(row, "thread")
        nonce = H("import row", encode([self.name, b"row", number]))[:16]
        return _Row(self._account(_text(row, "author")), nonce, None, thread, _text(row, "text"), _time(row))

    def _draft(self, row: _Row) -> social.OpDraft | None:
        """The draft of a row's post, or None if the post exists."""
        key = self._key(row)
        if self._q.live(row.by, Put(social.POST, key, (), None)):
            return None
        opens = None if row.thread is None else self._opening(row.thread)
        return social.write_post(
            key, social.Post(row.text, opens and social.ReplyTo(opens, opens), None, None, row.time_ms)
        )

    def _key(self, row: _Row) -> CellKey:
        return social.post_key(self._salt(row.by), row.nonce)

    def _opening(self, title: str) -> social.Target:
        found = self._articles.get(title)
        if found is None:
            found = IMPORTED_ARTICLES.get(self.ctx.store, self._article(title))
            if found is None:
                raise bad_request(f"A row answers '{title[:60]}', which no row before it opens.")
            self._articles[title] = found
        return found

    def _article(self, title: str) -> tuple[bytes, bytes]:
        return self.name, H("title", title.encode())[:16]

    # -- what rows name

    def _account(self, name: str) -> AccountId:
        name = unicodedata.normalize("NFC", name)
        found = self._named.get(name) or hosted.named(self.ctx, name)
        if found is None:
            raise bad_request(f"A row names '{name[:60]}', an account that no row before it has.")
        self._named[name] = found
        return found

    def _salt(self, account: AccountId) -> bytes:
        found = self._salts.get(account)
        if found is None:
            found = self._salts[account] = hosted.salt_of(self.ctx, account)
        return found


def _bad(row: Any) -> CallError:
    return bad_request(f"{repr(row)[:80]} is no row of an import.")


def _names(row: Any, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(n, str) and n for n in value):
        raise _bad(row)
    names = [unicodedata.normalize("NFC", n) for n in value]
    for name in names:
        if len(name.encode()) > social.MAX_VALUE:
            raise bad_request(f"The name '{name[:60]}...' is longer than {social.MAX_VALUE} bytes.")
    return names


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise _bad(row)
    text = unicodedata.normalize("NFC", value)
    size = len(text.encode())
    if size > social.MAX_TEXT:
        raise bad_request(f"The {field} '{text[:40]}...' has {size} bytes; {social.MAX_TEXT} is the most.")
    return text


def _time(row: dict[str, Any]) -> int | None:
    value = row.get("time_ms")
    if value is not None and (not isinstance(value, int) or not 0 <= value < 1 << 48):
        raise _bad(row)
    return value
