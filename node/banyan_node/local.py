"""A node's store and keys without a running node, for the command line.

The store has one owner at a time. If a node has it open, opening it here raises StoreLocked and changes nothing.
"""

import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from nacl.bindings import crypto_sign_seed_keypair

from banyan_crdt.ids import base58
from banyan_crdt.realm import REALMS, Realm
from banyan_crdt.signing import Signer, verify_all
from banyan_node.api import LocalBackend, ReadingBackend
from banyan_node.api.declare import CommitView
from banyan_node.context import TABLES, close_context, finish, open_checked, open_context, open_store, silent
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keys, Keystore
from banyan_node.home.settings import Settings
from banyan_node.host import CommandHost
from banyan_node.hosting import hosted
from banyan_node.moderation import withheld
from banyan_node.operator_errors import HomeError
from banyan_node.upkeep.log_check import CheckFindings, mend
from banyan_node.upkeep.repair import RepairResult, repair
from banyan_reading.queries import queries
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StoreReadOnly
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA, Folder, put_data
from banyan_storage.tables import META, REALM_KEY
from banyan_storage.upgrade import Say, refuse_other, refuse_realm, schema_of
from banyan_storage.views.builder import begin
from banyan_storage.views.registry import NAMES

VIEWS = NAMES
"""The names that `rebuild_local` accepts."""
SAMPLE = 100
"""Hosted accounts of a store that are looked at to tell whose it is."""
_ED25519 = b"\x08\x01\x12\x20"
"""libp2p's key message: type 1 (Ed25519), then 32 bytes of key."""


@contextmanager
def open_local(
    home: Home, settings: Settings, passphrase: str | None = None, say: Say = silent
) -> Iterator[LocalBackend]:
    """The methods of a node on the store of `home`; closes it at the end. say: gets messages about an upgrade.

    Raises NoKeys, KeysLocked, WrongPassphrase; StoreLocked if another process has the store, other StorageError.
    """
    keys = Keystore.open(home.keys).unlock(passphrase)
    context = open_context(home, settings, keys, peer_id(keys), CommandHost, random.SystemRandom(), say)
    try:
        finish(context.engine, context.store, say)
        with closing(LocalBackend(context)) as backend:
            yield backend
    finally:
        close_context(context)


@contextmanager
def open_reading(home: Home, settings: Settings, why: StoreReadOnly) -> Iterator[ReadingBackend]:
    """The reading methods, for a store that `open_local` could not open for writing; all others raise `why`.

    Raises StoreVersion if another version of this program wrote it.
    """
    refuse_older(home)
    with closing(LmdbEngine(home.store, TABLES, read_only=True)) as engine:
        yield ReadingBackend(engine, REALMS[settings.config.node.realm], BlobStore(home.blobs), why)


def refuse_older(home: Home) -> None:
    """For who only reads: raises StoreVersion if the store is of another schema, which opening it would upgrade."""
    if (home.store / DATA).exists():
        with closing(LmdbEngine(home.store, [META], read_only=True)) as engine, engine.read() as txn:
            refuse_other(schema_of(txn))


def mend_local(home: Home, settings: Settings, say: Say) -> CheckFindings:
    """Checks every log of the store of `home` with signatures, and drops wrong entries. Raises StorageError."""
    realm = REALMS[settings.config.node.realm]
    engine, store = open_store(home, realm, say)
    with closing(engine):
        return mend(store, realm, int(time.time()), home.mended, say, verify=verify_all)


def reseal_local(home: Home, settings: Settings, old: Keys, new: Keys) -> None:
    """Seals what the store of `home` keeps of withheld content under new keys. Raises StorageError."""
    engine, store = open_store(home, REALMS[settings.config.node.realm])
    with closing(engine):
        withheld.reseal(store, old, new)
        store.commit()


def repair_local(home: Home, settings: Settings, say: Say, may_show: bool) -> RepairResult:
    """Repairs the store of `home` after its file was damaged (repair.py). Raises StorageError."""
    return repair(home, REALMS[settings.config.node.realm], say, may_show)


def take_compacted(home: Home, copy: Path) -> None:
    """Puts the data file of a compacted copy in the place of the store's, and removes the copy. Raises StorageError."""
    folder = Folder(home.store, read_only=False)  # its lock
    try:
        put_data(copy / DATA, home.store)
    finally:
        folder.release()
    shutil.rmtree(copy)


def rebuild_local(home: Home, settings: Settings, names: Sequence[str], say: Say) -> list[str]:
    """Rebuilds these views of the store of `home`. Returns the names of all that were rebuilt, which may be more.

    If it is stopped, the next program that opens the store continues. Raises StorageError.
    """
    engine, store = open_checked(home, REALMS[settings.config.node.realm], say)
    with closing(engine):
        built = begin(engine.write(), names)
        store.commit()
        finish(engine, store, say)
        return built


def refuse_another_realm(home: Home, realm: Realm) -> None:
    """Raises StorageError if the home has a store of another realm, which the node could not use, or one that cannot be
    read."""
    if (home.store / DATA).exists():
        with closing(LmdbEngine(home.store, [META], read_only=True)) as engine, engine.read() as txn:
            refuse_realm(txn, realm)


def refuse_store_of_others(home: Home, keys: Keys, realm: Realm) -> None:
    """Raises HomeError if the home has a store of another realm, or one that hosts accounts in which these keys may not
    write: a node of these keys would take them for its own. Raises StorageError if the store cannot be read."""
    if not (home.store / DATA).exists():
        return
    then = f"move {home.store} away (what the words own comes back from peers), or choose another --home"
    with closing(LmdbEngine(home.store, [META], read_only=True)) as engine, engine.read() as txn:
        if txn.get(META, REALM_KEY) != realm.id:
            raise HomeError(
                f"The store of this home is of another realm than '{realm.name}', so nothing was done; {then}."
            )
        refuse_other(schema_of(txn))
    device = Signer(realm, keys.device_seed()).key
    with closing(LmdbEngine(home.store, TABLES, read_only=True)) as engine, queries(engine, realm) as q:
        some = hosted.page(CommitView(q, BlobStore(home.blobs)), None, SAMPLE)
        grants = [q.reader.grants(home.account) for home in some]
        if some and not any(found is not None and device in found.grants for found in grants):
            raise HomeError(
                f"The store here hosts '{some[0].name}', and these words are not of its keys, so nothing was "
                f"done; {then}."
            )


def peer_id(keys: Keys) -> str:
    """This node's libp2p peer id: the key message as an identity multihash, in base58."""
    public, _ = crypto_sign_seed_keypair(keys.libp2p_seed())
    message = _ED25519 + public
    return base58(bytes((0, len(message))) + message)
