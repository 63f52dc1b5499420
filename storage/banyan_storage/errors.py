"""What can go wrong below the store, as sentences a person running a node can act on.

StorageError
 ├── StoreLocked      another process has the store open for writing
 ├── StoreVersion     the store was written by a newer (or by no known) version of its format
 ├── StoreReadOnly    a write was asked of a store that can only be read
 ├── DiskFull         no room; what was pending is gone, what was committed is safe, reads go on
 ├── CorruptStore     the bytes on disk are not what was written
 ├── DiskFailed       the disk or its file system refused a read, a write or an fsync for another reason
 ├── TransactionTooBig  more is pending than one transaction can hold; it was dropped
 ├── SnapshotHeld     the map had to grow while a snapshot was held for too long
 ├── StoreClosed      the store or the snapshot was used after it was closed
 └── WrongThread      a thread other than the owner wrote; a mistake of the program, never of the data

ViewBuilding          a question came before the view that answers it was built; nothing is wrong with the store
"""

from pathlib import Path

from banyan_crdt.errors import BanyanError


class ViewBuilding(BanyanError):
    """A view that a question needs is not all there yet. `done`: how much of it is, 0 to 1."""

    def __init__(self, view: str, done: float) -> None:
        super().__init__(f"view {view} is being built, {int(done * 100)} %; ask again later")
        self.view, self.done = view, done


class StorageError(Exception):
    """Root of everything storage raises on purpose."""


class StoreLocked(StorageError):
    """Another process has this store open for writing."""


class StoreVersion(StorageError):
    """The format version of the store is not one this program can read."""


class StoreReadOnly(StorageError):
    """A write was asked of a store opened for reading."""


class DiskFull(StorageError):
    """The file system has no room. Pending writes were dropped; a later write works again when there is room."""


class CorruptStore(StorageError):
    """What is on disk is not what was written."""


def begin_again(folder: Path) -> str:
    """What to do about a data file that cannot be read. Without the file alone, the folder would not open either."""
    return f"restore a copy, or move {folder} away and start: it is synced again from peers"


class DiskFailed(StorageError):
    """The disk refused, for a reason other than being full."""


class TransactionTooBig(StorageError):
    """More is pending than one transaction can hold. Pending writes were dropped; commit more often."""


class SnapshotHeld(StorageError):
    """The map could not grow because a snapshot was held. Pending writes were dropped."""


class StoreClosed(StorageError):
    """The store or snapshot is closed."""


class WrongThread(StorageError):
    """Writes belong to the owner thread alone."""
