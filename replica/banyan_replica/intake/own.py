"""Notes of the last entries that this store wrote itself. It continues only these logs, and never forgets these
entries and their ancestors."""

from __future__ import annotations

from banyan_crdt.ids import EntryId, LogId
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

TIPS = 16
"""Branches of one control log whose own entries are remembered. A stronger key can start another branch."""


def own_key(log: LogId) -> bytes:
    """The key of the note with the last entries of a log that this store wrote."""
    return b"own:" + log.account + log.writer + log.log.to_bytes(4, "big")


def own_tips(store: StoreReader, log: LogId) -> list[EntryId]:
    """The last entry written here on each branch of a log, newest last. A granted log has only one."""
    note = store.note(own_key(log)) or b""
    return [EntryId(note[k : k + 32]) for k in range(0, len(note), 32)]


def wrote_control(store: Store, log: LogId, entry: EntryId, below: EntryId | None) -> None:
    """Notes a control entry that was written here after `below`."""
    tips = [tip for tip in own_tips(store, log) if tip != below]
    store.put_note(own_key(log), b"".join([*tips, entry][-TIPS:]))
