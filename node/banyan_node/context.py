"""What the replica's thread owns: the store, the replica on it, and the keys that this node signs with.

Opening it chooses the number of the log that this data folder writes (own_log.py).
"""

import secrets
import shutil
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from banyan_crdt.entry import Header
from banyan_crdt.ids import AccountId, LogId, Ref, WriterKey, control_log
from banyan_crdt.realm import REALMS, Realm
from banyan_crdt.sealing import Opener
from banyan_crdt.signing import Signer
from banyan_node.admission.connection_slots import SlotSettings
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings
from banyan_node.hosting.member_lists import MemberLists
from banyan_node.hosting.sealed_reader import SealedReader
from banyan_node.media.decoders import Decoders
from banyan_node.media.local_blobs import UploadLocks
from banyan_node.own_log import OwnLogs
from banyan_node.transparency.public_log import PublicLog
from banyan_node.upkeep.log_check import due, mend
from banyan_node.upkeep.rows_file import FileRowStore
from banyan_node.upkeep.tasks import LongWorks
from banyan_node.workers.side_threads import Verifier
from banyan_reading.queries import Queries
from banyan_reading.read_cache import ReadCache
from banyan_reading.search.indexer import SearchIndex
from banyan_replica.gossip.settings import GossipSettings, Rng
from banyan_replica.host import ReplicaHost
from banyan_replica.peers.flow import WINDOW
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.replica import PeerIdentity, Replica
from banyan_schema.address import Target
from banyan_schema.social.alliance import MemberLog
from banyan_storage import tables
from banyan_storage.blobs import BlobStore
from banyan_storage.engine import Engine
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.local_tables import FOLLOWED_CHARTER, HOSTED, OWN_LOG, OWN_NAMED, RESTORING
from banyan_storage.store import Store
from banyan_storage.upgrade import Say, upgrade
from banyan_storage.views import VIEW_TABLES, SocialViews, builder, large_accounts
from banyan_storage.views.registry import ViewProgress, standings

# Builds all views that need it, before a command without a running node uses the store.

SAY_S = 10.0
"""Seconds between two progress messages."""
COMMIT_STEPS = 50
"""Steps between two commits if no caller waits."""


def unbuilt(engine: Engine) -> list[ViewProgress]:
    """Views that are not fully built, as of the last commit. Any thread."""
    with engine.read() as txn:
        return [view for view in standings(txn) if view.done < 1]


def folded_again(engine: Engine, runs: bool = True) -> int:
    """Accounts that are folded in steps, as of the last commit. runs: also those of which only runs are. Any thread."""
    with engine.read() as txn:
        return len(large_accounts.waiting(txn, runs))


def finish(
    engine: Engine, store: Store, say: Say, stopped: Callable[[], bool] = lambda: False, only: tuple[str, ...] = ()
) -> None:
    """Builds all unbuilt views now. only: do nothing unless one of these is unbuilt.

    Returns early when `stopped()` is true; what was committed stays. Raises StorageError.
    """
    waiting = [view.name for view in unbuilt(engine)]
    if not (waiting or folded_again(engine)) or (only and not set(only) & set(waiting)):
        return
    after, steps, more = time.monotonic() + 1.0, 0, True
    while more and not stopped():
        more, steps = store.fold_again(builder.BUILD_STEP), steps + 1
        more = builder.step(engine.write(), store) or more
        if steps % COMMIT_STEPS and more:
            continue
        store.commit()
        if time.monotonic() > after:
            after = time.monotonic() + SAY_S
            parts = ", ".join(f"{view.name} {int(view.done * 100)} %" for view in unbuilt(engine))
            if parts:
                say(f"Views are being built: {parts}.")


TABLES = (*tables.STORE_TABLES, *VIEW_TABLES)
LOOKED = 64
"""Hosted accounts that are looked at for who may write for them, whenever a platform says hello."""


@dataclass(slots=True)
class Search:
    """The search for accounts of restored keys (claims.py). digests: first root keys' digests with their index, for
    all indices below `upto`. unknown: accounts that grant this device, by those roots that are not in `digests`."""

    digests: dict[bytes, int] = field(default_factory=dict)
    upto: int = 0
    unknown: dict[bytes, AccountId] | None = None
    looked: AccountId | None = None
    """The unnamed account that was read last."""
    found: int = 0
    """Accounts found since the last report."""


def _nowhere(*_: str) -> None:
    """Where no door keeps anything."""


class DoorData(NamedTuple):
    """What is done with what the door keeps of accounts beside the store; accounts are DIDs. It may be done again.
    Raises StorageError."""

    forget: Callable[[str], None] = _nowhere
    """Of an account that is erased."""
    sign_out: Callable[[str], None] = _nowhere
    """Of an account that is closed: nobody is logged in as it, and its tokens end."""
    end_terms: Callable[[], None] = _nowhere
    """Of what has a term. Any thread."""


@dataclass(slots=True)
class Context:
    """Used on the replica's thread only, except `engine.read()` and the settings."""

    home: Home
    settings: Settings
    realm: Realm
    engine: LmdbEngine
    store: Store
    keys: Keys
    device: Signer
    """Signs entries in the accounts that granted it, and a platform's statements."""
    verifier: Verifier
    logs: OwnLogs
    replica: Replica = field(init=False)
    around: ReplicaHost = field(init=False)
    """What the replica asks of this node."""
    to_fold: list[AccountId] = field(default_factory=list)
    """Accounts of which peers sent long runs, whose views are still to be folded (queues.py)."""
    joined: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """What peers answered `alliance.join` last: a state of invitations.py, and what comes with it."""
    pushes: bool = True
    """Whether gossip pushes what is written. Without, it is left to reconciliation: a flood would drown what people of
    other nodes say."""
    ahead: dict[AccountId, int] = field(default_factory=dict)
    """The time of the last entry of accounts that wrote more than one in a millisecond, each a millisecond later so
    that they keep their order: milliseconds since 1970."""
    salts: dict[AccountId, bytes] = field(default_factory=dict)
    """Salts of accounts that were written to; an account's salt never changes."""
    post_writes: dict[Target, list[Ref]] = field(default_factory=dict)
    """The writes of posts that a step judges together (moderation/content.py)."""
    orders_left: bool = False
    """More posts are to be withheld or given back by orders, in steps."""
    placed: Container[AccountId] = ()
    """Accounts that are held because members of the charter list them."""
    member_lists: MemberLists = field(default_factory=MemberLists)
    """What they list. Any thread."""
    at_door: DoorData = field(default_factory=DoorData)
    member_logs: dict[AccountId, MemberLog] = field(default_factory=dict)
    """Public logs of the members of the charter that is followed (policy.py)."""
    public_log: PublicLog | None = None
    """Once it was needed (transparency/lines.py)."""
    claims: Search = field(default_factory=Search)
    sealed_reader: SealedReader = field(init=False)
    """Opens what accounts said to themselves. Any thread."""

    kept: ReadCache = field(default_factory=ReadCache)
    """What readers keep of what they made. Any thread."""

    compared: int = 1 << 62
    """The last change of posts that was compared with what orders withhold (moderation/copies.py). Without any: a later
    one than all."""

    search: SearchIndex = field(init=False)
    """Finds posts. Any thread."""

    blobs: BlobStore = field(init=False)
    uploads: BlobStore = field(init=False)
    """Pictures and films. Any thread."""

    in_use: UploadLocks = field(default_factory=UploadLocks)
    """The uploads with which something is done. Any thread."""

    works: LongWorks = field(default_factory=LongWorks)
    """What takes long. Any thread."""

    decoders: Decoders = field(default_factory=Decoders)
    """Processes that decode pictures and films. Any thread."""

    def __post_init__(self) -> None:
        self.sealed_reader = SealedReader(Opener(self.keys.device_seed()))
        self.search = SearchIndex(self.home.search, self.store.store_id)
        self.blobs, self.uploads = BlobStore(self.home.blobs), BlobStore(self.home.uploads)

    def own_log(self, account: AccountId) -> LogId:
        """The log that this data folder writes in an account: see `own_log.py`. Raises Refused."""
        return self.logs.of(self.replica, LogId(account, self.device.key, 0))

    def came(self, account: AccountId, first: Header) -> None:
        """Entries came from a peer, this one first: see `own_log.py`."""
        if first.writer == self.device.key and HOSTED.has(self.store, account):
            self.logs.came(self.replica, first)

    def queries(self) -> Queries:
        """Queries that also see uncommitted writes, as a writer needs."""
        return Queries(self.engine.write(), self.store, lambda: self.engine.sizes().used)

    def slot(self, index: int, slot: int, generation: int) -> Signer:
        """A key of an account hosted here."""
        return Signer(self.realm, self.keys.slot_seed(index, slot, generation))

    def holds(self, account: AccountId) -> bool:
        return bool(self.replica.ingest.head(control_log(account)).length)


def silent(sentence: str) -> None:
    """A `Say` that prints nothing."""


def never() -> bool:
    return False


def open_store(home: Home, realm: Realm, say: Say = silent) -> tuple[LmdbEngine, Store]:
    """The store: a missing one is made, and an earlier schema is upgraded. A check may be due (log_check.py).

    say: gets progress messages. Raises StorageError: locked by another process, damaged, full, ...
    """
    engine = LmdbEngine(home.store, TABLES)
    try:
        upgrade(engine, int(time.time()), say)
        return engine, Store(engine, realm, new_store_id=secrets.token_bytes(16), views=SocialViews())
    except BaseException:
        engine.close()
        raise


def open_checked(
    home: Home, realm: Realm, say: Say = silent, stopped: Callable[[], bool] = never
) -> tuple[LmdbEngine, Store]:
    """As `open_store`, after a check if one is due. Also raises CheckInterrupt."""
    engine, store = open_store(home, realm, say)
    try:
        if due(store):
            mend(store, realm, int(time.time()), home.mended, say, stopped)
    except BaseException:
        engine.close()
        raise
    return engine, store


def open_context(
    home: Home,
    settings: Settings,
    keys: Keys,
    peer: str,
    around: Callable[[Context], ReplicaHost],
    rng: Rng,
    say: Say = silent,
    stopped: Callable[[], bool] = never,
) -> Context:
    """As `open_checked`, with a replica on the store, in these surroundings."""
    realm = REALMS[settings.config.node.realm]
    engine, store = open_checked(home, realm, say, stopped)
    shutil.rmtree(home.door_files, ignore_errors=True)  # of a door that was killed: no other runs beside this store
    verifier = Verifier()
    try:
        if (
            settings.config.interest.mode != "all" or FOLLOWED_CHARTER.get(store) is not None
        ):  # these views decide which accounts it holds
            finish(engine, store, say, stopped, only=("shown", "relations"))
        device = Signer(realm, keys.device_seed())
        if OWN_LOG.get(store) is None and (home.seen.exists() or home.restored.exists()):
            RESTORING.put(store, True)
            _note_own(store, home)
        logs = OwnLogs(store, home)
        home.restored.unlink(missing_ok=True)
        platform = settings.config.node.role == "platform"
        context = Context(home, settings, realm, engine, store, keys, device, verifier, logs)
        context.around = around(context)
        context.replica = Replica(
            store,
            realm,
            PeerIdentity(peer, (), device.key if platform else b""),
            rng,
            secrets.token_bytes,
            limits_of(settings),
            gossip_of(settings),
            device if platform else None,
            verifier,
            verifier.sign,
            FileRowStore(home.rows),
            OperatorTrust(
                named_of(settings),
                map(WriterKey, map(bytes.fromhex, settings.config.node.platforms)),
                lambda key: key != device.key and _hosts_here(store, key),
            ),
            context.around,
        )
        return context
    except BaseException:
        verifier.close()
        engine.close()
        raise


def _hosts_here(store: Store, platform: WriterKey) -> bool:
    """Whether one of the first accounts that are hosted here lets the platform write."""
    for account in islice(HOSTED.keys(store), LOOKED):
        grants = store.grants(account)
        if grants is not None and platform in grants.grants and platform not in grants.cuts:
            return True
    return False


def _note_own(store: Store, home: Home) -> None:
    """Takes over what `keys restore --account` named; the draw of a log number commits it."""
    with suppress(FileNotFoundError):
        if named := home.restored.read_bytes():
            OWN_NAMED.put(store, AccountId(named))


def limits_of(settings: Settings) -> Limits:
    """The limits of the replica: its defaults, with the settings that override them."""
    outbox = min(WINDOW, settings.config.limits.send_queue_bytes // 2)  # the other half is for gossip
    return Limits(root_s=settings.config.discovery.reconcile_seconds, outbox=outbox)


def slots_of(settings: Settings) -> SlotSettings:
    """The slots of the edge: their defaults, with the settings that override them."""
    limits = settings.config.limits
    return SlotSettings(
        links=limits.peers,
        outbound=limits.outbound,
        named=limits.named,
        arriving=limits.arriving,
        per_address=limits.per_address,
        per_near=limits.per_net,
        per_wide=limits.per_wide_net,
        local_groups=limits.local_nets,
        step_s=limits.handshake_seconds,
    )


def named_of(settings: Settings) -> tuple[str, ...]:
    """The ids of the peers that the settings name."""
    return tuple(addr.rsplit("/p2p/", 1)[-1] for addr in settings.config.node.bootstrap)


def gossip_of(settings: Settings) -> GossipSettings:
    """The settings of the gossip: its defaults, with the settings that override them."""
    d, limits = settings.config.discovery, settings.config.limits
    return GossipSettings(
        active=d.active_view,
        passive=d.passive_view,
        shuffle_s=d.shuffle_seconds,
        retry_max_s=d.redial_seconds,
        local_exempt=not limits.local_nets,
        links=limits.peers + limits.arriving,  # the edge decides who has a slot
        dials=limits.dials,
        notes_per_peer=limits.notes_per_peer,
    )


def close_context(context: Context) -> None:
    """Rolls back, and closes all."""
    context.decoders.close()
    context.store.rollback()
    context.replica.close()
    with suppress(StorageError):
        context.store.commit()
    context.store.close()
    context.logs.close()
    context.verifier.close()
