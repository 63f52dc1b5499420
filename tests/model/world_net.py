"""Real replicas in virtual time for `world.py`: a quicker clock than `tests/node/helpers.World`, links that break, and
ways to give a node entries. Frames are lost only where the link then breaks, as with TCP."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.codec import encode
from banyan_crdt.control import Control, resolve_control
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.errors import NotYet, Reject
from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.ops import decode_body
from banyan_crdt.realm import Realm
from banyan_crdt.run import decode_run, encode_control, encode_run, read_control, skips_below
from banyan_crdt.signing import Signer
from banyan_replica.gossip import frames as gossip
from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.intake.ingest import Ingest
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import PeerIdentity, Replica
from banyan_replica.wire.data_items import encode_item
from banyan_replica.wire.message_table import is_bulk
from banyan_replica.wire.messages import CheckpointItem, Content, ControlItem, DataItems, GossipFrame, RunItem
from banyan_storage.entry_records import decode_record
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.tables import STORE_TABLES
from tests.model.patched import patched
from tests.model.world_sets import WorldSet
from tests.replica.helpers import World, memory_store

NOW_S = 1_767_225_600 + 10_000 * 86_400.0
"""Later than every entry."""
RELINK_S = 3.0


TOGETHER_S, SLOW_S = 0.05, 0.5
"""Timers that are due within so long go off together, a little late, as they would at a busy node; SLOW_S for those
that are not due for longer than that, which are mostly the ticks of a second."""
DEPTH = 2
"""Of the tables by which frontiers are compared: a store here has few logs, and a table of usual size takes longer to
make than the rest of a replica."""
decode_once = lru_cache(20_000)(decode_body)
decode_run_once = lru_cache(20_000)(decode_run)
decode_record_once = lru_cache(20_000)(decode_record)
GOSSIP = GossipSettings(shuffle_s=40.0)
"""Small worlds need little news of who else there is."""
_read: dict[tuple[object, ...], Entry] = {}
_resolved: dict[tuple[tuple[EntryId, ...], tuple[EntryId, ...]], Control] = {}


def read_control_once(realm: Realm, value: object) -> Entry:
    """`read_control`, a function of bytes, remembered for one set."""
    key = (realm.id, *value) if isinstance(value, list) else ()
    if key not in _read:
        _read[key] = read_control(realm, value)
    return _read[key]


def resolve_once(entries: Iterable[Entry], checkpoints: Iterable[Checkpoint] = ()) -> Control:
    """`resolve_control`, remembered for one set by what it is given, in this order: its order must not matter."""
    given, said = list(entries), list(checkpoints)
    key = tuple(e.id for e in given), tuple(c.id for c in said)
    if key not in _resolved:
        _resolved[key] = resolve_control(given, said)
    return _resolved[key]


def forget_remembered() -> None:
    """Empties the caches, because other sizes give other runs."""
    decode_run_once.cache_clear()
    _read.clear()
    _resolved.clear()


class Tuning(NamedTuple):
    """Sizes that make logs travel in pieces. `run`: entries in one run at most; `beside`: how many entries of a log are
    held that never counted."""

    piece: int = 256 << 10
    small: int = 32 << 10
    run: int = 1_024
    beside: int = 4_096


@contextmanager
def tuned(t: Tuning) -> Iterator[None]:
    """The product with these sizes. Decoded bodies, runs and records are cached, because they never change."""
    with patched(
        PIECE_BYTES=t.piece,
        SMALL=t.small,
        MAX_RUN_ENTRIES=t.run,
        BESIDE_ENTRIES=t.beside,
        DEPTH=DEPTH,
        RANGES=16**DEPTH,
        _SHIFT=61 - 4 * DEPTH,
        decode_body=decode_once,
        decode_run=decode_run_once,
        decode_record=decode_record_once,
        read_control=read_control_once,
        resolve_control=resolve_once,
    ):
        forget_remembered()
        yield


class Net(World):
    """Replicas and rogues. timers: when each replica wants to be called; only replicas that were touched are asked
    again."""

    def __init__(self, s: WorldSet, seed: int, limits: Limits) -> None:
        self.timers: dict[str, float | None] = {}
        self._items: dict[tuple[tuple[int, ...], bool], ControlItem | RunItem] = {}
        self._digests: dict[str, tuple[Replica, int, bytes]] = {}
        super().__init__(seed=seed, limits=limits, realm=s.realm)
        self.s, self.now = s, NOW_S
        self.bulk = 0
        """Data frames that replicas sent to replicas."""
        self.last_bulk = 0.0
        self.dark: set[frozenset[str]] = set()
        self.down: list[tuple[float, str, str]] = []
        """Links to be made anew: (when, a, b)."""
        self.reasons: list[tuple[str, str, str]] = []
        self.lost = self._lost
        self.raised: list[str] = []

    @property
    def now_ms(self) -> int:
        return int(self.now * 1000)

    def _lost(self, sender: str, to: str, data: bytes) -> bool:
        if is_bulk(data) and to in self.replicas:
            self.bulk += 1
            self.last_bulk = self.now
        return frozenset((sender, to)) in self.dark

    def drain(self, name: str) -> None:
        super().drain(name)
        if name in self.replicas:
            self.timers[name] = rounded(self.replicas[name].get_timer(), self.now)

    def start(self, name: str, limits: Limits | None = None, witness: Signer | None = None) -> Replica:
        engine = self.engines.setdefault(name, MemoryEngine(STORE_TABLES))
        engine.rollback()
        rng = random.Random(f"{name}/{self.seed}")
        store, me = memory_store(self.realm, engine, name), PeerIdentity(name, (f"/{name}",))
        made = self.replicas[name] = Replica(store, self.realm, me, rng, rng.randbytes, self.limits, GOSSIP)
        return made

    def add(self, name: str, engine: MemoryEngine | None = None) -> Replica:
        if engine is not None:
            self.engines[name] = engine
        replica = self.start(name)
        self.timers[name] = rounded(replica.get_timer(), self.now)
        return replica

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            timer, who = end, ""
            for name, at in self.timers.items():
                if at is not None and at < timer and name in self.replicas:
                    timer, who = at, name
            if self.queue and self.queue[0][0] <= timer:
                at, _, to, sender, data = heapq.heappop(self.queue)
                if at >= end:
                    heapq.heappush(self.queue, (at, _, to, sender, data))
                    break
                self.now = max(self.now, at)
                if to in self.replicas and sender in self.replicas[to].links:
                    self.replicas[to].receive(sender, data, self.now)
                    self.drain(to)
            elif who:
                self.now = max(self.now, timer)
                self.replicas[who].handle_timer(self.now)
                self.drain(who)
            else:
                break
        self.now = end

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Runs. Links that a replica ended are broken on both sides, and broken links are made again."""
        end = self.now + seconds
        while self.now < end:
            self.run(min(step, end - self.now))
            for a, b, why in self.cut:
                if b in self.replicas and a in self.replicas:
                    self.reasons.append((a, b, why))
                    self.break_link(a, b)
            self.cut.clear()
            for when, a, b in list(self.down):
                if when <= self.now and a in self.replicas and b in self.replicas:
                    self.down.remove((when, a, b))
                    if b not in self.replicas[a].links:
                        self.link(a, b)

    def break_link(self, a: str, b: str, after: float = RELINK_S) -> None:
        self.dark.discard(frozenset((a, b)))
        self.unlink(a, b)
        self.down.append((self.now + after, a, b))

    def restart(self, name: str) -> None:
        near = [x for x in self.replicas[name].links if x in self.replicas]
        self.stop(name)
        self.add(name)
        self.down += [(self.now + 0.5, name, other) for other in near]

    # -- giving

    def contents(self, items: Sequence[int], with_content: bool) -> list[Content]:
        found = [self.s.contents.get(i) if with_content else None for i in items]
        return [p[0][1] if p and len(p) == 1 and p[0][0] == 0 else p for p in found]

    def item(self, items: Sequence[int], with_content: bool) -> ControlItem | RunItem:
        key = (tuple(items), with_content)
        if key not in self._items:
            self._items[key] = self._item(items, with_content)
        return self._items[key]

    def _item(self, items: Sequence[int], with_content: bool) -> ControlItem | RunItem:
        real = [self.s.real[i] for i in items]
        held = self.contents(items, with_content)
        if not real[0].header.log:
            return ControlItem(
                AccountId(real[0].account), [encode_control(e, encode_header(e.header)) for e in real], held
            )
        path = self.s.path(items[-1])
        first = real[0].header.seq
        base = self.s.real[path[first - 1]].header.total if first else 0
        skips = [(q, self.s.real[path[q]].id) for q in skips_below(first, len(real))]
        entries = [*(e._replace(sig=None) for e in real[:-1]), real[-1]]
        return RunItem(encode_run(entries, base, skips), held)

    def give(self, node: str, rogue: str, how: str, given: Sequence[Sequence[int]], with_content: bool) -> None:
        """Delivers items at once: through the ingest, or as messages or pushes of a linked rogue."""
        items = [self.item(items, with_content) for items in given]
        if how == "data":
            self.say(rogue, node, DataItems([*items]))
        elif how == "gossip":
            mids = [self.s.real[items[-1]].id[:16] for items in given]
            pushed = [gossip.Push(mid, 0, encode(encode_item(item))) for mid, item in zip(mids, items, strict=True)]
            self.say(rogue, node, GossipFrame(gossip.encode_frame(gossip.PushFrame(tuple(pushed)))))
        else:
            for item in items:
                self.ingested(node, self.replicas[node].ingest, item)
            self.drain(node)

    def ingested(self, node: str, ingest: Ingest, item: ControlItem | RunItem) -> None:
        try:
            if isinstance(item, ControlItem):
                entries = [read_control_once(self.s.realm, raw) for raw in item.entries]
                ingest.control(item.account, entries, self.now_ms, item.contents)
            else:
                ingest.run(decode_run_once(self.s.realm, item.run), self.now_ms, contents=item.contents)
        except NotYet:
            pass
        except Reject as why:
            self.raised.append(f"{node} rejects what is authentic: {why}")

    def tell(self, node: str, rogue: str, how: str, said: Checkpoint) -> None:
        """Delivers a checkpoint in one of the ways of `give`."""
        item = CheckpointItem(encode_checkpoint(said))
        if how == "data":
            self.say(rogue, node, DataItems([item]))
        elif how == "gossip":
            pushed = gossip.Push(said.id[:16], 0, encode(encode_item(item)))
            self.say(rogue, node, GossipFrame(gossip.encode_frame(gossip.PushFrame((pushed,)))))
        else:
            self.told(node, self.replicas[node].ingest, said)
            self.drain(node)

    def told(self, node: str, ingest: Ingest, said: Checkpoint) -> None:
        try:
            ingest.checkpoint(said, self.now_ms)
        except NotYet:
            pass
        except Reject as why:
            self.raised.append(f"{node} rejects a checkpoint that is authentic: {why}")

    def digest(self, name: str) -> bytes:
        """The digest of a replica's store, computed again only after writes."""
        replica = self.replicas[name]
        found = self._digests.get(name)
        if found is None or found[:2] != (replica, replica.store.changes):
            found = self._digests[name] = replica, replica.store.changes, replica.store.digest()
        return found[2]


def rounded(timer: float | None, now: float) -> float | None:
    """The end of the slot of time in which a timer is due; what is due at once stays so."""
    slot = TOGETHER_S if timer and timer - now < SLOW_S else SLOW_S
    return timer if not timer else math.ceil(timer / slot) * slot


def shared(s: WorldSet, rng: random.Random, share: float, cap: int) -> list[tuple[int, ...]]:
    """A random part of the set, linked downwards, as items to give: control entries whole or from the end first, runs
    that end where there is a signature and begin anywhere. `cap`: entries in one run at most."""
    items: list[tuple[int, ...]] = []
    done: set[int] = set()
    whole, keep_order = rng.random() < 0.6, rng.random() < 0.5
    for i in rng.sample(range(len(s.real)), len(s.real)):
        control = not s.real[i].header.log
        if rng.random() > (max(share, 0.6) if control else share):
            continue
        if control:
            path = s.path(i)
            if not whole:  # a part from its end on first: it is told what that hangs on later
                items.append(path[-rng.choice([1, 1, 2, 3]) :])
            items.append(path)
            continue
        path = s.path(s.bursts[i][-1])
        start = 0 if rng.random() < 0.2 else next((k for k, x in enumerate(path) if x not in done), len(path) - 1)
        start = max(0, start - rng.choice([0, 0, 0, 1, 3]))
        items += _runs(s, path, start, rng, cap)
        done.update(path)
    if not keep_order:
        rng.shuffle(items)
    items += rng.sample(items, len(items) // 4)
    return items


def _runs(s: WorldSet, path: tuple[int, ...], start: int, rng: random.Random, cap: int) -> Iterator[tuple[int, ...]]:
    """The path from `start` on, cut at random signatures. Where it left a burst before its end, what was written at
    once is given whole as well if a run would be too long otherwise."""
    at = start
    while at < len(path):
        ends = [k + 1 for k in range(at, len(path)) if path[k] in s.signed]
        fits = [k for k in ends if k - at <= cap]
        if not fits:  # the shared part of a burst and a branch: as it was written
            burst = s.bursts[path[at]]
            yield burst
            at = next(k for k in range(at, len(path) + 1) if k == len(path) or path[k] not in burst)
            continue
        end = rng.choice(fits) if rng.random() < 0.6 else fits[-1]
        yield path[at:end]
        at = end
