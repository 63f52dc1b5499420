"""Which log this data folder writes. A store only continues a log that it wrote itself: two that write one log fork it,
and what follows a fork is shown nowhere.

So the store notes, with the number of its log, the place of its data file, and the home notes after each commit how
far the store has come. A copied folder is in another place, and a restored backup has come less far; each draws a new
number, and becomes another store, so that cursors from after the backup are refused and not misread. A machine that is
put back as a whole (a snapshot of a disk) has the notes of that day too. It is found out by what others hold: when
entries of this log come back from a peer. A node that starts holds its first entry back until a named peer told where
this log stands, for WAIT_S at most. If none did, and the machine was started since, nobody knows whether it was put
back, and a new log begins, at most one a day.
"""

import fcntl
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path

from banyan_crdt.entry import Header
from banyan_crdt.errors import Refused
from banyan_crdt.ids import LogId
from banyan_node.home.folder import Home, write_private
from banyan_replica.intake.author import OWN_LOGS
from banyan_replica.replica import Replica
from banyan_storage import acts
from banyan_storage.local_tables import OWN_LOG, OWN_LOG_BOOT
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

DRAWS = 64
"""Log numbers tried to find one that is written nowhere else. A thief of the device's key may write all of them."""
WAIT_S = 5.0
"""How long a node that starts waits for a named peer before it writes."""
DAY_S = 86_400
_GET_GENERATION = 0x80087601
"""FS_IOC_GETVERSION of Linux: a new file may get the inode of a deleted one, with another generation."""


class Unasked(Refused):
    """No named peer told yet where this node's log stands: try again soon."""


class OwnLogs:
    """The number of the log, for all accounts. On the replica's thread."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store, self._home = store, home
        self._until: float | None = None
        self._sure = False
        note, here = OWN_LOG.get(store), _place(home.store)
        noted, ours = (note[1] if note else b"").split(b":"), here.split(b":")
        parts = [a == b for a, b in zip(noted, ours, strict=False)]  # older programs noted no generation
        other_file = note is not None and not all(parts[-2:])  # the number of the device may change with each start
        if other_file or (note is not None and self._older()):
            self._become_another()
            self._sure = True
        elif note is None or not all(parts):
            self.begin()
            self._sure = True
        else:
            self.number = note[0]
            if note[1] != here:
                self.note_place()
        store.commit()
        self._name = store.store_id.hex()
        self._file: int | None = None
        with suppress(OSError):  # on a full disk only the place of the data file detects a copy
            write_private(home.seen, self._seen(store.last_arrival, acts.last(store.txn)))
            self._file = os.open(home.seen, os.O_WRONLY)
        store.committed = self._note_seen

    def put_back(self, replica: Replica) -> None:
        """The store is of an earlier day than what it told, and readers are there. The caller commits."""
        self._become_another()
        replica.tell("another", store=self._store.store_id)

    def _become_another(self) -> None:
        """Ends the log of this store, and the cursors of its readers."""
        self.begin()
        name = secrets.token_bytes(16)
        self._store.become_another(name)
        self._name = name.hex()

    def came(self, replica: Replica, first: Header) -> None:
        """Entries of this device, in an account of this home, came from a peer. Of the log that only this store
        continues, and of which it has the beginning, they show that it was put back. The caller commits."""
        if first.log == number_in(self._store) and first.seq:
            self.put_back(replica)

    def wait(self) -> None:
        """A node starts, and asks its peers before it writes."""
        self._until = time.monotonic() + WAIT_S

    def begin(self) -> None:
        """Begins a new log. The caller commits."""
        self.number = 1 + secrets.randbelow(OWN_LOGS)
        self.note_place()

    def note_place(self) -> None:
        """Notes which data file has the number: also where this program wrote it anew. The caller commits."""
        OWN_LOG.put(self._store, (self.number, _place(self._home.store)))

    def of(self, replica: Replica, log: LogId) -> LogId:
        """This log with the number. Draws a new one if it is also written elsewhere. Raises Refused, Unasked."""
        log = log._replace(log=self.number)
        if not self._sure:
            self._make_sure(replica, log)
        for _ in range(DRAWS):
            log = log._replace(log=self.number)
            if replica.author.continues(log):
                return log
            # no commit here: other writes of this transaction would then stay after a refusal and be written twice
            self.begin()
        raise Refused(
            "the logs of this device are written elsewhere too: its key was stolen; cut it off and use another"
        )

    def _make_sure(self, replica: Replica, log: LogId) -> None:
        """Asks, before the first entry, whether others hold more of this log than this store does."""
        head, boot = replica.store.head(log), boot_id().encode()
        began_s, noted = OWN_LOG_BOOT.get(self._store) or (0, b"")
        told = replica.peers.told_by_named(log)
        if told is None and head.length and self._until is not None and time.monotonic() < self._until:
            raise Unasked("this node has just started and asks its peers where its log stands: try again in a moment")
        if told is not None and told > head.length:
            self.put_back(replica)
        elif told is None and head.length and noted not in (b"", boot) and time.time() - began_s >= DAY_S:
            self.begin()
            began_s = int(time.time())
        if noted != boot:
            OWN_LOG_BOOT.put(self._store, (began_s, boot))
        self._sure = True

    def _older(self) -> bool:
        """Whether the store is not the one of which the home notes how far it came, or has come less far."""
        try:
            name, arrival, *act = self._home.seen.read_text("ascii").split()
            seen = int(arrival), *map(int, act)
        except (OSError, ValueError):
            return True
        here = self._store.last_arrival, acts.last(self._store.txn)
        return name != self._store.store_id.hex() or any(a < b for a, b in zip(here, seen, strict=False))

    def _note_seen(self, arrival: int, act: int) -> None:
        """Notes in the home how far the store has come. It is not forced to the disk: a killed process loses nothing of
        it, and a machine that lost power only the last half minute."""
        if self._file is not None:
            with suppress(OSError):
                os.pwrite(self._file, self._seen(arrival, act), 0)

    def _seen(self, arrival: int, act: int) -> bytes:
        return f"{self._name} {arrival:020} {act:020}\n".encode()

    def close(self) -> None:
        """Nothing is noted any more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def number_in(store: StoreReader) -> int | None:
    """The number of the log that this store writes; None before the first."""
    note = OWN_LOG.get(store)
    return None if note is None else note[0]


def boot_id() -> str:
    """Differs after each start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _place(folder: Path) -> bytes:
    """Device, inode and generation of the data file; a copy or a restored backup has others. Without the last where
    the file system has none."""
    with open(folder / "data.mdb", "rb") as file:
        s = os.stat(file.fileno())
        place = f"{s.st_dev}:{s.st_ino}"
        with suppress(OSError):
            generation = fcntl.ioctl(file.fileno(), _GET_GENERATION, bytes(8))[:4]
            place += f":{int.from_bytes(generation, sys.byteorder)}"
    return place.encode()
