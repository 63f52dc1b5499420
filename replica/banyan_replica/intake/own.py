"""Notes of the last entries that this store itself wrote. It continues no other log, and never forgets these entries
and their ancestors."""

from __future__ import annotations

from banyan_crdt.ids import EntryId, LogId
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

TIPS = 16
"""Branches of one control log on which own entries are remembered: there are as many as stronger keys spoke."""


def own_key(log: LogId) -> bytes:
    """Of the note that says which entries of a log this store itself wrote last."""
    return b"own:" + log.account + log.writer + log.log.to_bytes(4, "big")


def own_tips(store: StoreReader, log: LogId) -> list[EntryId]:
    """The last entry written here of each branch of a log, the latest last. Of a granted log there is one."""
    note = store.note(own_key(log)) or b""
    return [EntryId(note[k : k + 32]) for k in range(0, len(note), 32)]


def wrote_control(store: Store, log: LogId, entry: EntryId, below: EntryId | None) -> None:
    """An entry of a control log was written here, on top of `below`."""
    tips = [tip for tip in own_tips(store, log) if tip != below]
    store.put_note(own_key(log), b"".join([*tips, entry][-TIPS:]))
