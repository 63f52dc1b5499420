"""All work on a frame that needs no store: decoding, hashing, checking signatures, comparing content; in slices, if
need be.

It is a pure function of the bytes, and a third of the work of a frame. So other threads may do it, and the replica then
only judges. The simulator calls it directly. A wrong item is replaced by its verdict, and the replica charges the peer
when it reaches it; items before it in the frame are still accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from banyan_charter.acts import Act, Founding, read_act
from banyan_crdt.checkpoint import Checkpoint, decode_checkpoint
from banyan_crdt.codec import read_value
from banyan_crdt.entry import Entry, Header, decode_header
from banyan_crdt.errors import BadSignature, Malformed, NotYet, Reject, bare
from banyan_crdt.ids import AccountId, EntryId, LogId, control_log
from banyan_crdt.ops import Body, decode_body, part_of
from banyan_crdt.parts import are_parts, open_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import Run, decode_run, read_control, signed
from banyan_crdt.signing import SignatureClaim, verify_all
from banyan_replica.gossip.frames import PushFrame, encode_frame
from banyan_replica.gossip.settings import MAX_ITEMS
from banyan_replica.wire.data_items import decode_item, size_of
from banyan_replica.wire.message_table import decode_message
from banyan_replica.wire.messages import (
    CharterActs,
    Content,
    ControlItem,
    DataItems,
    GossipFrame,
    Item,
    Message,
    RunItem,
    pieces,
)


class CheckedControl(NamedTuple):
    account: AccountId
    entries: tuple[Entry, ...]
    contents: Sequence[Content]


class CheckedRun(NamedTuple):
    run: Run
    contents: Sequence[Content]
    proof: Sequence[Header] = ()


class CheckedLater(NamedTuple):
    """An item of a later protocol version, which this program cannot judge."""

    log: LogId
    why: NotYet


Checked: TypeAlias = CheckedControl | CheckedRun | Checkpoint | CheckedLater
Verify: TypeAlias = Callable[[Realm, Sequence[SignatureClaim]], list[BadSignature | None]]


LARGE = 32 << 10
"""Bytes of the smallest pushed message that is read before it is known whether it is new, and wanted. A run of 6,000
follows has 0.8 MB, and takes 90 ms to read."""


class PreparedFrame(NamedTuple):
    """message: the frame's message, or the error. items: those of a data message, each checked or with its error.
    pushed: the same of large messages of the gossip, by their bytes. acts: those of a charter."""

    size: int
    message: Message | Reject
    items: list[Checked | Reject]
    pushed: Mapping[bytes, Checked | Reject] = MappingProxyType({})
    acts: Sequence[Act | Reject] = ()


def prepare(realm: Realm, frame: bytes, verify: Verify = verify_all, pushed: bool = False) -> PreparedFrame:
    """Never raises on hostile bytes. verify: checks signatures, perhaps on other threads. pushed: also reads large
    messages of the gossip, which may not be new."""
    try:
        message = decode_message(frame)
    except Reject as why:
        return PreparedFrame(len(frame), bare(why), [])
    if pushed and isinstance(message, GossipFrame) and brings_items(message.frame):
        return PreparedFrame(len(frame), message, [], _large(realm, message.frame[1], verify))
    if isinstance(message, CharterActs):
        return PreparedFrame(len(frame), message, [], acts=check_acts(realm, message.acts, verify))
    if not isinstance(message, DataItems):
        return PreparedFrame(len(frame), message, [])
    return PreparedFrame(len(frame), message, check_items(realm, message.items, verify))


def brings_items(frame: list[Any]) -> bool:
    """Whether a gossip frame brings messages, and has as many fields as such a frame."""
    if len(frame) != len(_PUSHES) or frame[0] != _PUSHES[0] or type(frame[1]) is not list:
        return False
    return 0 < len(frame[1]) <= MAX_ITEMS and all(
        type(row) is list and len(row) == 3 and type(row[2]) is bytes for row in frame[1]
    )


_PUSHES = encode_frame(PushFrame())


def _large(realm: Realm, rows: list[list[Any]], verify: Verify) -> dict[bytes, Checked | Reject]:
    """The large ones of these messages, by their bytes."""
    out: dict[bytes, Checked | Reject] = {}
    items: dict[bytes, Item] = {}
    for payload in (row[2] for row in rows if len(row[2]) >= LARGE):
        try:
            items[payload] = decode_item(read_value(payload))
        except Reject as why:
            out[payload] = bare(why)
    return out | dict(zip(items, check_items(realm, [*items.values()], verify), strict=True))


def check_items(realm: Realm, items: Sequence[Item], verify: Verify = verify_all) -> list[Checked | Reject]:
    """Each item checked, or the Reject that every node would raise for it."""
    checked: list[Checked | Reject] = []
    of: list[int] = []
    signatures: list[SignatureClaim] = []
    for k, item in enumerate(items):
        try:
            found = _check_item(realm, item)
        except Reject as why:
            checked.append(bare(why))
            continue
        checked.append(found)
        if isinstance(found, CheckedRun):
            signatures.append(signed(found.run.entries[-1]))
            of.append(k)
        else:
            signatures.extend(_signatures(found))
            of.extend([k] * (len(signatures) - len(of)))
    for k, verdict in zip(of, verify(realm, signatures), strict=True):
        if verdict is not None:
            checked[k] = verdict
    return checked


def check_acts(realm: Realm, acts: Sequence[bytes], verify: Verify = verify_all) -> list[Act | Reject]:
    """Each act of a charter checked, or the Reject that every node would raise for it."""
    found = list[Act | Reject]()
    for raw in acts:
        try:
            act = read_act(realm, raw)
            found.append(Malformed("a founding is not asked for") if isinstance(act, Founding) else act)
        except Reject as why:
            found.append(bare(why))
    claims = [SignatureClaim(a.by.key, EntryId(a.id), a.by.sig) for a in found if not isinstance(a, Reject)]
    verdicts = iter(verify(realm, claims))
    return [(next(verdicts) or act) if not isinstance(act, Reject) else act for act in found]


def _check_item(realm: Realm, item: Item) -> Checked:
    if isinstance(item, RunItem):
        return _check_run(realm, item)
    if isinstance(item, ControlItem):
        return _check_control(realm, item)
    return decode_checkpoint(realm, item.checkpoint)


def _signatures(item: CheckedControl | Checkpoint | CheckedLater) -> Iterable[SignatureClaim]:
    """The signatures of an item; a control log has one per entry."""
    if isinstance(item, CheckedControl):
        return map(signed, item.entries)
    return (item.signed,) if isinstance(item, Checkpoint) else ()


def _check_run(realm: Realm, item: RunItem) -> CheckedRun | CheckedLater:
    run = decode_run(realm, item.run)
    if run.puts is None or not are_parts(run.puts, item.contents):
        _check_contents(run.bodies, item.contents)
    try:
        proof = [decode_header(h) for h in item.proof] if item.proof else ()
    except NotYet as why:
        return CheckedLater(run.log, bare(why))
    return CheckedRun(run, item.contents, proof)


def _check_control(realm: Realm, item: ControlItem) -> CheckedControl | CheckedLater:
    try:
        entries = tuple([read_control(realm, e) for e in item.entries])
    except NotYet as why:
        return CheckedLater(control_log(item.account), bare(why))
    _check_contents([decode_body(e.ops) for e in entries], item.contents)
    return CheckedControl(item.account, entries, item.contents)


def _check_contents(bodies: Sequence[Body], contents: Sequence[Content]) -> None:
    """Raises unless every piece of content is the one that its operation names."""
    if len(contents) > len(bodies):
        raise Malformed(f"content of {len(contents)} entries came with {len(bodies)} entries")
    for body, content in zip(bodies, contents, strict=False):
        for at, raw in pieces(content):
            part = part_of(body.ops[at]) if at < len(body.ops) else None
            if part is None:
                raise Malformed(f"operation {at} has no part, and {len(raw)} bytes of content came for it")
            open_part(part, raw)


def named(item: Checked) -> tuple[LogId, int]:
    """The log of an item, and its number of entries."""
    if isinstance(item, CheckedRun):
        return item.run.log, len(item.run.entries)
    if isinstance(item, CheckedControl):
        return control_log(item.account), len(item.entries)
    return (item.log_id if isinstance(item, Checkpoint) else item.log), 1


def ids_of(item: CheckedRun | CheckedControl | Checkpoint) -> tuple[EntryId, ...]:
    """The ids by which an item may be named: of a run that of its last entry, of control entries all."""
    if isinstance(item, CheckedRun):
        return (item.run.entries[-1].id,)
    return tuple([e.id for e in item.entries]) if isinstance(item, CheckedControl) else (item.id,)


# Between two slices of a frame a node can answer its own people. Slices that are judged in their order come to what the
# whole frame comes to, unless the peer's lies end its link on the way: then the rest is not judged. What a frame says
# beside its items (announcements, requests, the bytes to credit) goes with the last slice.


def slices(whole: PreparedFrame, most: int) -> list[PreparedFrame]:
    """Slices of about `most` bytes, at least one. Frames that do not consist of items stay whole."""
    message = whole.message
    if isinstance(message, DataItems):
        groups = _groups([size_of(item) for item in message.items], most)
        parts = [PreparedFrame(0, DataItems(message.items[a:b]), whole.items[a:b]) for a, b in groups]
        return [*parts[:-1], parts[-1]._replace(size=whole.size)]
    if isinstance(message, GossipFrame) and brings_items(message.frame):
        code, items, *more = message.frame
        *first, (last, _) = _groups([len(payload) for _, _, payload in items], most)
        parts = [PreparedFrame(0, GossipFrame([code, items[a:b], *_NOTHING_MORE]), [], whole.pushed) for a, b in first]
        return [*parts, whole._replace(message=GossipFrame([code, items[last:], *more]))]
    return [whole]


_, _, *_NOTHING_MORE = encode_frame(PushFrame())


def _groups(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Where each slice begins and ends. Only a slice of a single item is larger than `most`."""
    begins, size = [0], 0
    for n, more in enumerate(sizes):
        if n and size + more > most:
            begins.append(n)
            size = 0
        size += more
    return list(pairwise([*begins, len(sizes)]))
