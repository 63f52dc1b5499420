"""What can be said of a frame without looking at the store: decoded, hashed, signatures checked, content compared.

A pure function of the bytes, and most of the work that a frame costs; so threads may do it ahead of the replica, which
then only judges. The simulator calls it in line. An item that is wrong keeps its verdict, for the replica to charge in
its turn: what came before it in the frame is taken all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from banyan_crdt.entry import Entry
from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.ids import AccountId, LogId, control_log
from banyan_crdt.ops import Body, decode_body, open_part, part_of
from banyan_crdt.realm import Realm
from banyan_crdt.run import Run, decode_control, decode_run, verify_run
from banyan_node.wire import Content, ControlItem, Data, Message, RunItem, decode_message


class CheckedControl(NamedTuple):
    account: AccountId
    entries: tuple[Entry, ...]
    contents: Sequence[Content]


class CheckedRun(NamedTuple):
    run: Run
    contents: Sequence[Content]


class Later(NamedTuple):
    """An item of a later version of the protocol: whether it is right this software cannot say."""

    log: LogId
    why: NotYet


Checked: TypeAlias = CheckedControl | CheckedRun | Later


class Prepared(NamedTuple):
    """A frame: its message, or the verdict on it; of a data message the items, each checked or with its verdict."""

    size: int
    message: Message | Reject
    items: list[Checked | Reject]


def prepare(realm: Realm, frame: bytes) -> Prepared:
    """Never raises on hostile bytes."""
    try:
        message = decode_message(frame)
    except Reject as why:
        return Prepared(len(frame), why, [])
    items: list[Checked | Reject] = []
    if isinstance(message, Data):
        for item in message.items:
            try:
                items.append(check_item(realm, item))
            except Reject as why:
                items.append(why)
    return Prepared(len(frame), message, items)


def check_item(realm: Realm, item: ControlItem | RunItem) -> Checked:
    """Raises Reject where the item is wrong whoever looks at it."""
    if isinstance(item, RunItem):
        run = decode_run(realm, item.run)
        verify_run(realm, run)
        _check_contents(run.bodies, item.contents)
        return CheckedRun(run, item.contents)
    try:
        entries = tuple([decode_control(realm, e) for e in item.entries])
    except NotYet as why:
        return Later(control_log(item.account), why)
    _check_contents([decode_body(e.ops) for e in entries], item.contents)
    return CheckedControl(item.account, entries, item.contents)


def _check_contents(bodies: Sequence[Body], contents: Sequence[Content]) -> None:
    """Every piece of content must be the one that its operation names."""
    if len(contents) > len(bodies):
        raise Malformed(f"content of {len(contents)} entries came with {len(bodies)} entries")
    for body, content in zip(bodies, contents, strict=False):
        if content is None:
            continue
        for at, raw in ((0, content),) if isinstance(content, bytes) else content:
            part = part_of(body.ops[at]) if at < len(body.ops) else None
            if part is None:
                raise Malformed(f"operation {at} has no part, and {len(raw)} bytes of content came for it")
            open_part(part, raw)
