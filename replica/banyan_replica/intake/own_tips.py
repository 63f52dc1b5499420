"""What this store wrote itself, what a checkpoint of its says, and which logs of its own accounts moved last. It
continues only these logs, and never forgets these entries and their ancestors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from banyan_crdt.checkpoint import MAX_PINS, Checkpoint, ControlRef
from banyan_crdt.control import Control
from banyan_crdt.ids import AccountId, EntryId, LogId, WriterKey
from banyan_crdt.ops import Pin
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


# A checkpoint says where the account stands in this store, and the logs that the signing key may pin.


def checkpoint_content(
    store: StoreReader, account: AccountId, control: Control, writer: WriterKey, before: Checkpoint | None
) -> tuple[ControlRef, list[Pin]]:
    """The end of the control path, and pins at the ends of the logs that the key may pin and that grew most since its
    last checkpoint. before: the checkpoint of the previous root, if this key replaces it.

    A forked log keeps its pin; without it, a fork further down would shorten it.
    """
    old = store.checkpoint(account, writer)
    end = control.path[-1]
    place = ControlRef(end.header.seq, end.id)
    if old is not None and (control.frozen or not store.has(old.control.id)):
        place = old.control  # it may decide a tie, here or at a node that holds this entry
    had = {(pin.writer, pin.log): pin for said in (before, old) if said is not None for pin in said.pins}
    root, own = control.is_root(writer), control.voice_of(writer)
    found: list[tuple[int, Pin]] = []
    for log, head in store.heads(account).items():
        granted = control.grant_of(log.writer, log.log)
        if granted is None or not (root or (own is not None and granted.grant.stratum > own.grant.stratum)):
            continue
        last = had.get((log.writer, log.log))
        pin = last if head.flag else Pin(log.writer, log.log, head.length - 1, head.id) if head.id else None
        if pin is not None:
            found.append((pin.seq - (last.seq if last else -1), pin))
    most = sorted(found, key=lambda row: (-row[0], row[1]))[:MAX_PINS]
    return place, sorted(pin for _, pin in most)


# The logs of this node's own accounts whose heads moved last.
#
# Where more differs than a sketch can tell, comparing takes as long as that is much, and strangers decide how much it
# is. So neighbours first tell each other where these logs stand: what their people write does not wait for the rest.

MOST = 64
"""Logs that are remembered and told: 7 kB."""


class RecentOwnHeads:
    """ours(account): whether it is one of this node's own."""

    __slots__ = ("_logs", "_ours")

    def __init__(self, ours: Callable[[AccountId], bool]) -> None:
        self._ours = ours
        self._logs: OrderedDict[LogId, None] = OrderedDict()

    def moved(self, log: LogId) -> None:
        """The head of the log moved."""
        if self._ours(log.account):
            self._logs[log] = None
            self._logs.move_to_end(log)
            if len(self._logs) > MOST:
                self._logs.popitem(last=False)

    def __iter__(self) -> Iterator[LogId]:
        """The logs, that which moved last first."""
        return reversed(self._logs)
