"""Errors of the storage. Each is a sentence that tells the operator what to do.

StorageError
 ├── StoreLocked      another process has the store open for writing
 ├── StoreVersion     the store has a newer or unknown format
 ├── StoreReadOnly    a write to a store that can only be read
 ├── DiskFull         no room; pending writes are lost, committed data is safe, reads still work
 ├── CorruptStore     the bytes on disk are not what was written
 ├── IndexDamaged     those of the search index are not; it is made again
 ├── DiskFailed       the disk or its file system refused a read, a write or an fsync for another reason
 ├── TransactionTooBig  one transaction cannot hold the pending writes; they were dropped
 ├── SnapshotHeld     the map had to grow, but a snapshot was held for too long
 ├── StoreClosed      the store or the snapshot was used after it was closed
 └── WrongThread      a thread other than the owner wrote: a bug of the program

ViewBuilding          a query needs a view that is still being built; nothing is wrong with the store
"""

from pathlib import Path

from banyan_crdt.errors import BanyanError


class ViewBuilding(BanyanError):
    """A view that a query needs is still being built. done: the share that is built, 0 to 1."""

    def __init__(self, view: str, done: float) -> None:
        super().__init__(f"view {view} is being built, {int(done * 100)} %; ask again later")
        self.view, self.done = view, done


class StorageError(Exception):
    """Base of all errors that the storage raises on purpose."""


class StoreLocked(StorageError):
    """Another process has this store open for writing."""


class StoreVersion(StorageError):
    """This program cannot read the format version of the store."""


class StoreReadOnly(StorageError):
    """A write to a store that was opened for reading."""


class DiskFull(StorageError):
    """The file system is full. Pending writes were dropped; writes work again when there is room."""


class CorruptStore(StorageError):
    """The bytes on disk are not what was written."""


class IndexDamaged(StorageError):
    """The search index on disk is not what was written. Nothing is lost: it is made again from the store."""


def begin_again(folder: Path) -> str:
    """What to do about a data file that cannot be read. Without the file alone, the folder would not open either."""
    return (
        f"restore a copy, or move {folder} away and start: it is synced again from peers, without what only this node "
        "knew (local names of accounts, decisions of moderators)"
    )


def repair_it(folder: Path) -> str:
    """What to do about a data file in which something is wrong."""
    return f"`banyan store repair` keeps what can be read of it. If that fails, {begin_again(folder)}"


class DiskFailed(StorageError):
    """The disk refused for another reason than being full."""


class TransactionTooBig(StorageError):
    """One transaction cannot hold the pending writes. They were dropped; commit more often."""


class SnapshotHeld(StorageError):
    """The map could not grow because a snapshot was held. Pending writes were dropped."""


class StoreClosed(StorageError):
    """The store or snapshot is closed."""


class WrongThread(StorageError):
    """Only the owner thread may write."""
