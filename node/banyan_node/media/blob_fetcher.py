"""Fetches blobs from several linked peers at once, chunk by chunk, and goes on where it stopped.

The list comes first and proves itself by the root. Then each peer is asked for chunks, a few at a time
(edge/blob_streams.py), and each chunk is compared with the list before it is written. A peer that answers with other
bytes is charged and not asked again; its chunks are asked of others. At the end, chunks that a slow peer owes are asked
of another one too.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import structlog
import trio

from banyan_crdt.blob import MAX_BLOB, BlobList, BlobRoot
from banyan_crdt.errors import Malformed
from banyan_node.context import Context
from banyan_node.media.local_blobs import drafted, naming, unknown
from banyan_node.operator_errors import CallError, conflict
from banyan_node.upkeep import storage_quota
from banyan_node.workers.worker import Worker
from banyan_reading.queries import queries
from banyan_replica.wire import blob_messages as wire
from banyan_storage.blob_names import is_named
from banyan_storage.blobs import PartialBlob
from banyan_storage.errors import StorageError

T = TypeVar("T")
log = structlog.get_logger("banyan")
PEERS = 4
"""Peers that send one blob at the same time."""
PIPE = 4
"""Chunks that are asked of one of them, or written, at the same time."""
TRIES = 3
"""Of a peer whose stream ended, with PAUSE_S between them."""
PAUSE_S = 2.0
LOOK_S = 0.1
HEDGE_S = 1.0
"""After so long without a list, or the last chunk, one more peer is asked for it."""
PATIENCE_S = 5.0
"""When PEERS are asked for a list, one that did not send it within so long makes room for the next."""
WRITERS = 2
BlobAnswers: TypeAlias = Callable[[str, bytes], Awaitable[bytes]]
"""(peer, question) -> answer. May wait: the peer asks its next question after the answer, or lets it wait. Raises
Malformed for what is no question."""


class NoPeerAnswer(Exception):
    """The peer did not answer: it is gone, or too slow. A sentence without a full stop."""


class BlobPeers(Protocol):
    """The peers that can be asked."""

    def linked(self) -> Sequence[str]:
        """Their ids, now."""

    async def ask(self, peer: str, question: bytes, most: int) -> bytes:
        """The answer, of at most so many bytes. Raises NoPeerAnswer, and Malformed if the peer announces a longer one.
        Whoever no longer waits for it may be cancelled: the peer is not told, and its next answers come behind it."""


class FetchState(NamedTuple):
    """held, size: bytes; size is None until it is known. peers: that send. failed: why it ended, or None."""

    held: int
    size: int | None
    whole: bool
    peers: int
    failed: str | None


class _Names(NamedTuple):
    """What names a blob. said: whether held content does. size: as that says. draft: the id of one that does, where no
    content does."""

    said: bool
    size: int | None
    draft: bytes | None


class _Fetch:
    """One blob on its way. most: the largest size that is wanted."""

    def __init__(self, root: BlobRoot, names: _Names, most: int) -> None:
        self.root, self.expected, self.draft, self.most = root, names.size, names.draft, most
        self.done = trio.Event()
        self.failed: str | None = None
        self.partial: PartialBlob | None = None
        self.todo: deque[int] = deque()
        self.asked: dict[int, set[str]] = {}
        """The peers that owe each chunk."""
        self.asked_at: dict[int, float] = {}
        """When the last one of them was asked."""
        self.active: set[str] = set()
        self.tried: dict[str, int] = {}
        self.again_at: dict[str, float] = {}
        self.never: dict[str, str] = {}
        """Peers that are not asked again, each with why."""
        self.listed: str | None = None
        """The peer that sent the list."""


class BlobFetcher:
    """charge: charges a peer for a lie, with a sentence."""

    def __init__(
        self,
        context: Context,
        worker: Worker[Context],
        peers: BlobPeers,
        charge: Callable[[str, str], None],
        nursery: trio.Nursery,
    ) -> None:
        self._context, self._worker, self._peers, self._charge = context, worker, peers, charge
        self._nursery = nursery
        self._running: dict[BlobRoot, _Fetch] = {}
        self._writers = trio.CapacityLimiter(WRITERS)
        self._slow: set[str] = set()
        """Peers that did not send a list before another did: they are asked last for the next one."""

    async def fetch(self, root: BlobRoot, wait_s: float, most: int = MAX_BLOB) -> FetchState:
        """Fetches a blob that held content or a draft names, and waits at most so long. most: bytes; a larger one is
        not fetched: nothing says how large a preview is before its list is here. Raises CallError."""
        blobs = self._context.blobs
        held = blobs.find(root)
        if held is not None and held.whole:
            return FetchState(held.size, held.size, True, 0, None)
        running = self._running.get(root)
        if running is None:
            names = await trio.to_thread.run_sync(self._named, root)
            if not names.said and names.draft is None and held is None:
                raise unknown(root)
            running = self._running.get(root) or self._begin(root, names, most)
        with trio.move_on_after(wait_s):
            await running.done.wait()
        return self._state(running)

    def _begin(self, root: BlobRoot, names: _Names, most: int) -> _Fetch:
        running = self._running[root] = _Fetch(root, names, most)
        self._nursery.start_soon(self._run, running)
        return running

    def _named(self, root: BlobRoot) -> _Names:
        c = self._context
        with queries(c.engine, c.realm, c.store.late_ids) as q:
            said, named = is_named(q.reader.txn, root), naming(q.reader, root, 8)
            drafts = [] if said else drafted(q.reader.txn, root, 1)
        size = next((n.item.size for n in named if not n.is_preview), None)
        return _Names(said, size, drafts[0].draft if drafts else None)

    def _question(self, fetch: _Fetch, chunk: int | None) -> bytes:
        if fetch.draft is None:
            return wire.encode_question(wire.BlobQuestion(fetch.root, chunk))
        token = wire.draft_token(fetch.root, fetch.draft, self._context.replica.me.peer)
        return wire.encode_question(wire.BlobQuestion(token, chunk, of_draft=True))

    def _state(self, fetch: _Fetch) -> FetchState:
        partial, held = fetch.partial, self._context.blobs.find(fetch.root)
        if held is not None and held.whole:
            return FetchState(held.size, held.size, True, 0, None)
        size = fetch.expected if partial is None else partial.list.size
        have = 0 if partial is None else partial.bytes_held
        return FetchState(have, size, False, len(fetch.active), fetch.failed)

    async def _run(self, fetch: _Fetch) -> None:
        try:
            of = await self._list(fetch)
            if of is None:
                return
            if fetch.expected not in (None, of.size):
                fetch.failed = f"what names it says that it has {fetch.expected} bytes, and its root says {of.size}"
                return
            if of.size > fetch.most:
                fetch.failed = f"it has {of.size} bytes, and at most {fetch.most} are fetched by themselves"
                return
            await self._room(of)
            fetch.partial = await self._write(self._context.blobs.begin, of)
            fetch.todo.extend(fetch.partial.missing())
            await self._chunks(fetch, fetch.partial)
            if not fetch.partial.missing():
                await self._write(self._context.blobs.finished, fetch.partial)
            else:
                fetch.failed = self._why(fetch)
        except CallError as why:
            fetch.failed = str(why).rstrip(".")
        except (StorageError, OSError) as error:
            fetch.failed = str(error)
        except Exception as error:  # a mistake of ours costs this fetch and not the node
            log.exception("a fetch of a blob failed", blob=fetch.root.hex())
            fetch.failed = f"a mistake in banyan, {type(error).__name__}: {error}"
        finally:
            if fetch.partial is not None:
                fetch.partial.close()
            del self._running[fetch.root]
            fetch.done.set()

    async def _write(self, do: Callable[..., T], *given: object) -> T:
        """On a thread that writes."""
        return await trio.to_thread.run_sync(do, *given, limiter=self._writers)

    async def _room(self, of: BlobList) -> None:
        """Raises CallError if there is none."""

        def room(c: Context, now: float) -> None:
            held = c.blobs.find(of.root)
            more = of.size - (held.size if held is not None else 0)
            if why := storage_quota.why_blobs_full(c, more):
                raise conflict(why)
            storage_quota.make_room(more, c, now)

        await self._worker.call(room)

    # -- the list

    async def _list(self, fetch: _Fetch) -> BlobList | None:
        """Asks one peer more each HEDGE_S, so that a peer that is silent, or sends a byte a second, delays nothing."""
        of = await trio.to_thread.run_sync(self._context.blobs.list_of, fetch.root)
        if of is not None:
            return of
        found, asked = list[BlobList](), dict[str, tuple[trio.CancelScope, float]]()
        ended = trio.Event()

        async def ask(peer: str, scope: trio.CancelScope) -> None:
            with scope:
                of = await self._list_of(fetch, peer)
                if of is not None and not found:
                    found.append(of)
                    fetch.listed = peer
            fetch.active.discard(peer)
            _, since = asked.pop(peer)
            if not scope.cancelled_caught:
                self._slow.discard(peer)
            elif trio.current_time() - since >= HEDGE_S:
                self._slow = {*self._slow.intersection(self._peers.linked()), peer}
            ended.set()

        async with trio.open_nursery() as nursery:
            while not found:
                ended = trio.Event()
                peer = self._next_peer(fetch)
                if peer is not None and len(asked) == PEERS:
                    scope, since = next(iter(asked.values()))  # the one that was asked first
                    if trio.current_time() - since >= PATIENCE_S and peer not in self._slow:
                        scope.cancel()
                elif peer is not None:
                    fetch.active.add(peer)
                    asked[peer] = trio.CancelScope(), trio.current_time()
                    nursery.start_soon(ask, peer, asked[peer][0])
                elif not asked:
                    break
                with trio.move_on_after(HEDGE_S):
                    await ended.wait()
            for scope, _ in asked.values():
                scope.cancel()
        if not found:
            fetch.failed = self._why(fetch)
            return None
        return found[0]

    async def _list_of(self, fetch: _Fetch, peer: str) -> BlobList | None:
        """The list as one peer gives it, which proves itself by the root; None if it gives none."""
        fetch.tried[peer] = fetch.tried.get(peer, 0) + 1
        fetch.again_at[peer] = trio.current_time() + PATIENCE_S
        try:
            raw = await self._peers.ask(peer, self._question(fetch, None), wire.MAX_ANSWER)
            of = wire.decode_list_answer(fetch.root, raw)
        except wire.NotHere as why:
            fetch.never[peer] = str(why)
        except NoPeerAnswer:
            fetch.again_at[peer] = trio.current_time() + PAUSE_S
        except Malformed as error:
            self._lied(fetch, peer, error)
        else:
            fetch.tried[peer] = 0
            fetch.again_at.pop(peer)
            return of
        return None

    def _next_peer(self, fetch: _Fetch) -> str | None:
        """A peer that may be asked now."""
        now = trio.current_time()
        some = [
            peer
            for peer in self._peers.linked()
            if peer not in fetch.active
            and peer not in fetch.never
            and fetch.tried.get(peer, 0) < TRIES
            and fetch.again_at.get(peer, 0.0) <= now
        ]
        last = min((self._rank(fetch, peer) for peer in some), default=0)
        return random.choice([peer for peer in some if self._rank(fetch, peer) == last]) if some else None

    def _rank(self, fetch: _Fetch, peer: str) -> int:
        """The peers of the lowest rank are asked first."""
        return 0 if peer == fetch.listed else 2 if peer in self._slow else 1

    def _waits(self, fetch: _Fetch) -> bool:
        """Whether a peer may be asked again later."""
        return any(
            peer not in fetch.never and fetch.tried.get(peer, 0) < TRIES and peer in fetch.again_at
            for peer in self._peers.linked()
        )

    def _lied(self, fetch: _Fetch, peer: str, error: Malformed) -> None:
        if peer not in fetch.never:
            fetch.never[peer] = str(error)
            self._charge(peer, str(error))

    def _why(self, fetch: _Fetch) -> str:
        linked = len(self._peers.linked())
        if not linked:
            return "no peer is linked that could be asked"
        return (
            f"none of the {linked} linked peers gives it now" if linked > 1 else "the linked peer does not give it now"
        )

    # -- chunks

    async def _chunks(self, fetch: _Fetch, partial: PartialBlob) -> None:
        """Until all are here, or no peer gives more."""
        async with trio.open_nursery() as nursery:
            while fetch.todo or fetch.asked:
                while len(fetch.active) < PEERS and (peer := self._next_peer(fetch)) is not None:
                    fetch.active.add(peer)
                    nursery.start_soon(self._of_peer, fetch, partial, peer)
                if not fetch.active and not self._waits(fetch):
                    break
                await trio.sleep(LOOK_S)
            nursery.cancel_scope.cancel()

    async def _of_peer(self, fetch: _Fetch, partial: PartialBlob, peer: str) -> None:
        fetch.tried[peer] = fetch.tried.get(peer, 0) + 1
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(PIPE):
                    nursery.start_soon(self._some, fetch, partial, peer, nursery.cancel_scope)
        finally:
            fetch.active.discard(peer)
            fetch.again_at[peer] = trio.current_time() + PAUSE_S

    async def _some(self, fetch: _Fetch, partial: PartialBlob, peer: str, scope: trio.CancelScope) -> None:
        """One chunk after the other, until all are here or the peer gives none."""
        while fetch.todo or fetch.asked:
            if (chunk := _next_chunk(fetch, peer)) is None:
                await trio.sleep(LOOK_S)
                continue
            try:
                question = self._question(fetch, chunk)
                raw = wire.decode_chunk_answer(await self._peers.ask(peer, question, wire.MAX_CHUNK_ANSWER))
                if partial.held[chunk] != 1:
                    await self._write(partial.write, chunk, raw)
                fetch.tried[peer] = 0
            except wire.NotHere as why:
                fetch.never[peer] = str(why)
            except Malformed as error:
                self._lied(fetch, peer, error)
            except NoPeerAnswer:
                pass
            else:
                continue
            finally:
                _returned(fetch, partial, chunk, peer)
            scope.cancel()


def _next_chunk(fetch: _Fetch, peer: str) -> int | None:
    """The next one in the order of the file; at the end, one that another peer owes. Two owe it at once, and more only
    if they are slow."""
    now = trio.current_time()
    if fetch.todo:
        chunk = fetch.todo.popleft()
    else:
        owed = [
            chunk
            for chunk, peers in fetch.asked.items()
            if peer not in peers and (len(peers) < 2 or fetch.asked_at[chunk] <= now - HEDGE_S)
        ]
        if not owed:
            return None
        chunk = owed[0]
    fetch.asked.setdefault(chunk, set()).add(peer)
    fetch.asked_at[chunk] = now
    return chunk


def _returned(fetch: _Fetch, partial: PartialBlob, chunk: int, peer: str) -> None:
    """The peer owes this chunk no longer. If nobody gave it, it is asked for again."""
    peers = fetch.asked.get(chunk, set())
    peers.discard(peer)
    if partial.held[chunk] == 1 or not peers:
        fetch.asked.pop(chunk, None)
        if partial.held[chunk] != 1:
            fetch.todo.appendleft(chunk)
