"""Notes of the last entries that this store wrote itself. It continues only these logs, and never forgets these
entries and their ancestors."""

from __future__ import annotations

from banyan_crdt.ids import EntryId, LogId
from banyan_storage.local_tables import OWN_TIPS
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

TIPS = 16
"""Branches of one control log whose own entries are remembered. A stronger key can start another branch."""


def own_tips(store: StoreReader, log: LogId) -> list[EntryId]:
    """The last entry written here on each branch of a log, newest last. A granted log has only one."""
    return OWN_TIPS.get(store, log) or []


def wrote_control(store: Store, log: LogId, entry: EntryId, below: EntryId | None) -> None:
    """Notes a control entry that was written here after `below`."""
    tips = [tip for tip in own_tips(store, log) if tip != below]
    OWN_TIPS.put(store, log, [*tips, entry][-TIPS:])
