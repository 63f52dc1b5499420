"""Keeps the index as the store is: reads which posts changed, and how they are now. Lends it to readers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Put, decode_body
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_reading.search.fts_index import Document, FtsIndex, remove
from banyan_reading.search.query import exact, fold, mark_of_account, words_of
from banyan_schema.social import POST, Post, Target
from banyan_schema.social.post import tag_fold
from banyan_storage.engine import after_prefix
from banyan_storage.errors import CorruptStore
from banyan_storage.slots import LINE, NUMBERED, TIMELINE
from banyan_storage.tables import RowLayout
from banyan_storage.views import journal

_REACHED = RowLayout("account 4 | row")
STEP = 500
"""Posts that one step reads and commits."""


class SearchIndex:
    """The index of one store. Any thread: each has a connection of its own."""

    def __init__(self, path: Path, store_id: bytes) -> None:
        self._path, self._store_id = path, store_id
        self._here = threading.local()
        self._connecting = threading.Lock()
        self.followed = False
        """Whether a running node keeps it up to date."""

    def open(self) -> FtsIndex:
        """This thread's connection. Raises StorageError."""
        found: FtsIndex | None = getattr(self._here, "index", None)
        if found is None or found.replaced:
            self._here.index = None
            found = self._here.index = self.connect()
        return found

    def connect(self) -> FtsIndex:
        """Another connection. Raises StorageError."""
        with self._connecting:  # two that make the file at once find it locked
            return FtsIndex(self._path, self._store_id)

    def make_again(self, damaged: FtsIndex) -> None:
        """Removes a damaged index, unless somebody else did."""
        with self._connecting:
            if not damaged.replaced:
                with suppress(OSError):  # the next connection says why
                    remove(self._path)

    def current(self, q: Queries) -> tuple[FtsIndex, int]:
        """The index, and how many changes it has not read; while it reads all posts, about how many posts. Without a
        node it reads them first. Raises StorageError, ViewBuilding."""
        index = self.open()
        if not self.followed:
            follower = Indexer(index)
            while follower.step(q):
                pass
        read = index.read
        if read < 0:
            return index, max(1, q.reader.txn.count(TIMELINE) - index.count())
        return index, max(0, journal.last(q.reader.txn) - read)


class Indexer:
    """Follows one store with one index, in steps."""

    def __init__(self, index: FtsIndex) -> None:
        self.index = index
        self._walking: bytes | None = None
        """While all posts are read: the account number and the row reached."""
        self._since = 0

    def step(self, q: Queries, size: int = STEP) -> bool:
        """Reads at most `size` posts. Returns whether more is left. Raises ViewBuilding while nothing can be read."""
        q.need()
        if self._walking is None:
            found = None if self.index.read < 0 else journal.changes(q.reader.txn, self.index.read, size)
            if found is None:
                self.index.empty()
                self._walking, self._since = b"", journal.last(q.reader.txn)
                return True
            return self._changes(q, found) and sum(change.size for change in found) >= size
        return self._walk(q, self._walking, size)

    def _changes(self, q: Queries, found: list[journal.PostChange]) -> bool:
        if not found:
            return False
        with self.index.commit(found[-1].number):
            for post in changed_posts(q, found):
                self._read(q, post)
        return True

    def _read(self, q: Queries, post: Target) -> None:
        document = document_of(q.post(post))
        if document is None:
            self.index.remove([post])
        else:
            self.index.put([document])

    def _walk(self, q: Queries, reached: bytes, size: int) -> bool:
        """Reads posts account by account. What changes meanwhile is in the journal."""
        txn, read = q.reader.txn, 0
        number, row = reached[_REACHED.account], reached[_REACHED.row]
        with self.index.commit():
            while read < size:
                if not number or not row:
                    first = next(txn.scan(TIMELINE, number, limit=1), None)
                    if first is None:
                        self._walking = None
                        break
                    number = first[0]
                for value in txn.dups(TIMELINE, number, row):
                    if value == row:
                        continue
                    for post in _named(q, number + value[LINE.key]):
                        self._read(q, post)
                    row, read = value, read + 1
                    if read == size:
                        break
                else:
                    number, row = after_prefix(number) or b"\xff" * 5, b""
            if self._walking is not None:
                self._walking = number + row
        if self._walking is None:
            with self.index.commit(self._since):
                pass
        return True


def changed_posts(q: Queries, found: Iterable[journal.PostChange]) -> list[Target]:
    """The posts of these changes, each once."""
    named = (post for change in found for name in change.posts for post in _named(q, name))
    brought = (post for change in found for n in change.arrivals for post in _brought(q, n))
    return [*dict.fromkeys((*named, *brought))]


def _named(q: Queries, name: bytes) -> list[Target]:
    account = q.reader.txn.get(NUMBERED, name[journal.POST.account])
    return [] if account is None else [Target(AccountId(account), CellKey(name[journal.POST.key]))]


def _brought(q: Queries, n: int) -> list[Target]:
    """The posts that the entry of this arrival wrote."""
    with suppress(BanyanError, CorruptStore):  # `store verify` names it
        entry = q.reader.at(n)
        ops = decode_body(entry.ops).ops if entry else ()
        return [Target(entry.account, op.key) for op in ops if isinstance(op, Put) and op.coll == POST] if entry else []
    return []


def document_of(view: PostView | None) -> Document | None:
    """None if the post is not to be found."""
    if view is None or view.post.audience != "public":
        return None
    post = view.post
    text = " ".join([post.text, post.warning or "", *[m.description or "" for m in post.media], *_options(post)])
    said, folded = (" ".join(words_of(form(text))) for form in (exact, fold))
    tags = tuple(dict.fromkeys(map(tag_fold, post.tags)))
    return Document(view.target, view.time_ms, said, folded, " ".join(_marks(view)), tags)


def _options(post: Post) -> tuple[str, ...]:
    return post.poll.options if post.poll else ()


def _marks(view: PostView) -> list[str]:
    post = view.post
    to = {*post.mentions, *([post.reply.parent.account] if post.reply else ())}
    out = [mark_of_account("from", view.target.account), *[mark_of_account("to", account) for account in sorted(to)]]
    out += ["x" + tag_fold(tag).encode().hex() for tag in post.tags]
    if post.lang:
        out.append("l" + post.lang.split("-")[0].lower().encode().hex())
    said = {
        "hmedia": bool(post.media),
        "hpoll": post.poll is not None,
        "hwarning": post.warning is not None,
        "hlink": "http://" in post.text or "https://" in post.text,
        "ireply": post.reply is not None,
        "iquote": post.quote is not None,
    }
    out += [mark for mark, there in said.items() if there]
    if post.group:
        out.append("g" + post.group.raw.hex())
    return out
