"""Whether this node still controls its own account, and what to do if not.

A thief of the home or of its keys can do to the control log what its owner can: close the account, cut this device
off, move the root key, drop a log, let a writer in, or fork the log below what was written here. A copied home also
posts and deletes with this node's key, in a log of its own or in one that it forks. This store notes what it wrote
itself, so it can tell what it did not write. Another home of the same owner looks the same. So the sentence says what
was done, and the reader must judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from banyan_crdt.control import Control, control_op
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, Time, control_log
from banyan_crdt.ops import Close, Cut, Drop, Grant, Op, Recover, Rotate, decode_body
from banyan_node.home.keystore import ROOT_SLOT
from banyan_node.hosting import hosted
from banyan_node.workers.publisher import LocalIdentity
from banyan_replica.intake.own_tips import own_tips


def trouble(at: hosted.Reads, here: LocalIdentity) -> str | None:
    """What is wrong, in a sentence without a full stop. None: nothing, or this node has no own account."""
    me = hosted.me(at)
    home = None if me is None else hosted.hosted(at, me)
    if me is None or home is None:
        return None
    return _of_control_log(at, here, me, home) or _of_own_logs(at, here, me, home)


def _of_control_log(at: hosted.Reads, here: LocalIdentity, me: AccountId, home: hosted.LocalAccount) -> str | None:
    tips = own_tips(at.store, control_log(me))
    if _is_plainly_ours(at, here, me, tips):
        return None
    control = hosted.control_at(at, me)
    ours = _written_here(at.store.control(me), tips)
    foreign = [entry for entry in control.path if entry.id not in ours] if tips else []
    what = _what(control, foreign if tips else control.path, here, home)
    if what is None and tips and all(entry.id != tips[-1] for entry in control.path):
        what = "entries of its control log that this node wrote no longer count, because others replaced them"
    if what is None:
        return None
    undo = f" --undo {foreign[0].header.seq}" if foreign else ""
    return f"this node no longer controls its own account: {what}; {_remedy(control, here, home, undo)}"


def _of_own_logs(at: hosted.Reads, here: LocalIdentity, me: AccountId, home: hosted.LocalAccount) -> str | None:
    """What was written with this node's key and not here. A restored home does not know what it wrote before: that is
    all older than the first entry of its own."""
    written, foreign, since = list[tuple[LogId, Head]](), list[tuple[LogId, Head]](), list[Time]()
    for log, head in at.store.heads(me).items():
        tips = own_tips(at.store, log)
        if log == control_log(me):
            since += [entry.header.time for entry in map(at.store.entry, tips) if entry is not None]
        elif log.log and log.writer == here.writer:
            (written if tips else foreign).append((log, head))
            since += [entry.header.time for entry in (at.store.chain(log, 0, 1) if tips else ())]
    what = None
    for log, head in foreign:
        last = None if head.id is None else at.store.entry(head.id)
        if last is not None and since and last.header.time > min(since):
            many = _entries(head.length)
            what = f"somebody else writes with this node's key: log {log.log}, {many}, is not of this home"
    for log, head in written:
        if head.flag:
            what = (
                f"this node's key wrote two branches of log {log.log}, in a copied home or after an older copy of the "
                "store was put back, and what follows the fork does not count (recovery keeps what was written here)"
            )
    return None if what is None else f"{what}; {_remedy(hosted.control_at(at, me), here, home)}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _remedy(control: Control, here: LocalIdentity, home: hosted.LocalAccount, undo: str = "") -> str:
    renew = "" if hosted.is_renewed(here, control, home) else "`banyan down`, `banyan keys renew`, "
    return (
        f"if that was not you, {renew}`banyan account recover{undo}`, and `banyan account drop` removes what "
        "somebody else wrote"
    )


def _is_plainly_ours(at: hosted.Reads, here: LocalIdentity, me: AccountId, tips: Sequence[EntryId]) -> bool:
    """A cheap test that reads no control log: its last entry was written here, and this node may write."""
    head, rights = at.store.head(control_log(me)), at.store.grants(me)
    if rights is None or rights.closed or head.flag or head.id not in tips:
        return False
    return here.writer in rights.grants and here.writer not in rights.cuts


def _written_here(entries: Sequence[Entry], tips: Sequence[EntryId]) -> set[EntryId]:
    """The entries that this node wrote last on each branch, and their ancestors, which it had accepted."""
    held, found = {entry.id: entry for entry in entries}, set[EntryId]()
    for tip in tips:
        at: EntryId | None = tip
        while at is not None and at in held and at not in found:
            found.add(at)
            at = held[at].header.prev
    return found


def _what(control: Control, foreign: Sequence[Entry], here: LocalIdentity, home: hosted.LocalAccount) -> str | None:
    """Why this node does not control the account, or None. foreign: entries of the path that it did not write. A
    restored home wrote none, so then `foreign` is the whole path, and entries of the owner are among them."""
    if control.frozen:
        return "it is frozen, because two keys of equal strength disagree"
    if control.closed:
        closed = _last(foreign, Close)
        return None if closed is None else f"it was closed by {closed}"
    if here.writer in control.cuts:
        cut = _last(foreign, Cut)
        return None if cut is None else f"this node was cut off by {cut}"
    moved = _last(foreign, Recover) or _last(foreign, Rotate)
    can = hosted.key_here(here, home, ROOT_SLOT, control.keys[ROOT_SLOT].current) is not None
    if moved is not None and not (can and foreign is control.path):
        return f"its root key was moved by {moved}"  # also to a key that this node can make: a copied home has the same
    if not can:
        return "its root key is not one that this node can make"
    if here.writer not in control.grants:
        return "it does not let this node write"
    for kind, what in _SMALLER.items() if foreign is not control.path else ():
        if found := _last(foreign, kind):
            return f"{what} by {found}"
    return None


_SMALLER: dict[type[Any], str] = {
    Drop: "a log of it was dropped, with all that it says,",
    Cut: "a writer of it was cut off",
    Grant: "another writer was let in",
}


def _last(entries: Sequence[Entry], kind: type[Any]) -> str | None:
    for entry in reversed(entries):
        if any(isinstance(op, kind) for op in _ops(entry)):
            return f"entry {entry.header.seq} of its control log, which was not written here"
    return None


def _ops(entry: Entry) -> tuple[Op, ...]:
    return control_op(decode_body(entry.ops))
