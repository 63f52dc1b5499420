"""Which log this data folder writes. A store only continues a log that it wrote itself: two that write one log fork it,
and what follows a fork is shown nowhere.

So the store notes, with the number of its log, the place of its data file, and the home notes the store's last
arrival. A copied folder is in another place, and a restored backup has fewer arrivals; each draws a new number. The
backup becomes another store too, so that cursors from after it are refused and not misread. A machine that is put back
as a whole (a snapshot of a disk) has the notes of that day too. It is found out by what others hold: a node that starts
holds its first entry back until a named peer told where this log stands, for WAIT_S at most. If none did, and the
machine was started since, nobody knows whether it was put back, and a new log begins, at most one a day.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from banyan_crdt.errors import Refused
from banyan_crdt.ids import LogId
from banyan_node.home.folder import Home, write_private
from banyan_replica.intake.author import OWN_LOGS
from banyan_replica.replica import Replica
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

LOG_NOTE = b"own log"
_BOOT = b"own log boot"
"""The note of the start of the machine in which the log was last written, and of when one began because of another."""
DRAWS = 64
"""Log numbers tried to find one that is written nowhere else. A thief of the device's key may write all of them."""
WAIT_S = 5.0
"""How long a node that starts waits for a named peer before it writes."""
DAY_S = 86_400


class Unasked(Refused):
    """No named peer told yet where this node's log stands: try again soon."""


class OwnLogs:
    """The number of the log, for all accounts. On the replica's thread."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store, self._home = store, home
        self._until: float | None = None
        self._sure = False
        note, older = store.note(LOG_NOTE), store.last_arrival < self._seen()
        if older:
            store.become_another(secrets.token_bytes(16))
        if note is not None and note[4:] == _place(home.store) and not older:
            self.number = int.from_bytes(note[:4], "big")
        else:
            self.begin()
            store.commit()
            self._sure = True
        self.note_seen()

    def wait(self) -> None:
        """A node starts, and asks its peers before it writes."""
        self._until = time.monotonic() + WAIT_S

    def begin(self) -> None:
        """Begins a new log. The caller commits."""
        self.number = 1 + secrets.randbelow(OWN_LOGS)
        self.note_place()

    def note_place(self) -> None:
        """Notes which data file has the number: also where this program wrote it anew. The caller commits."""
        self._store.put_note(LOG_NOTE, self.number.to_bytes(4, "big") + _place(self._home.store))

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
        noted, began_s = _boot_noted(self._store)
        told = _told(replica, log)
        if told is None and head.length and self._until is not None and time.monotonic() < self._until:
            raise Unasked("this node has just started and asks its peers where its log stands: try again in a moment")
        if told is not None and told > head.length:
            self.begin()
        elif told is None and head.length and noted not in (b"", boot) and time.time() - began_s >= DAY_S:
            self.begin()
            began_s = int(time.time())
        if noted != boot:
            self._store.put_note(_BOOT, began_s.to_bytes(8, "big") + boot)
        self._sure = True

    def _seen(self) -> int:
        """The last arrival when this store was last opened or closed; a restored backup may have fewer."""
        try:
            name, arrival = self._home.seen.read_text("ascii").split()
            return int(arrival) if name == self._store.store_id.hex() else 0
        except (OSError, ValueError):
            return 0

    def note_seen(self) -> None:
        """Notes the store's last arrival in the home."""
        try:
            said = f"{self._store.store_id.hex()} {self._store.last_arrival}\n"
            write_private(self._home.seen, said.encode())
        except OSError:
            pass  # on a full disk only the place of the data file detects a copy


def number_in(store: StoreReader) -> int | None:
    """The number of the log that this store writes; None before the first."""
    note = store.note(LOG_NOTE)
    return None if note is None else int.from_bytes(note[:4], "big")


def _told(replica: Replica, log: LogId) -> int | None:
    """How many entries of this log a named peer holds, as far as it told: the most of them. None: none told."""
    found = list[int]()
    for link in replica.links.values():
        if link.peer in replica.witnesses.named.peers:
            if (theirs := link.told.differences.get(log)) is not None:
                found.append(theirs.length)
            elif link.course.met:
                found.append(0)
    return max(found, default=None)


def _boot_noted(store: Store) -> tuple[bytes, int]:
    raw = store.note(_BOOT) or bytes(8)
    return raw[8:], int.from_bytes(raw[:8], "big")


def boot_id() -> str:
    """Differs after each start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _place(folder: Path) -> bytes:
    """Device and inode of the data file; a copy or a restored backup has others."""
    s = os.stat(folder / "data.mdb")
    return f"{s.st_dev}:{s.st_ino}".encode()
