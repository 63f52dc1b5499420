"""Entries that their author signed elsewhere, such as in a browser, and hands to this node: it never sees the key.

They are judged like those of a peer, and count against what strangers may take of the disk unless somebody here hosts
or follows the account.
"""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from typing import Annotated

from msgspec import Meta

from banyan_crdt.entry import Entry
from banyan_crdt.errors import NotYet, Reject
from banyan_crdt.ids import AccountId, LogId, account_from_text, account_to_text, control_log
from banyan_crdt.logs import Grants
from banyan_crdt.realm import Realm
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_node.api.declare import CommitView, MethodTable, Request, Response
from banyan_node.api.json_types import Did, did
from banyan_node.context import Context
from banyan_node.operator_errors import bad_request, conflict
from banyan_replica.host import PartItem
from banyan_replica.intake.storage_cost import ENTRY_PRICE, OP_PRICE, PART_PRICE, SIGNATURE_PRICE, cost_of_content
from banyan_storage.archive import (
    ArchiveDamaged,
    ControlFrame,
    Frame,
    NotAnArchive,
    PartsFrame,
    RunFrame,
    StartFrame,
    read_archive,
)

METHODS = MethodTable()
MOST = 512 << 10
"""Bytes of an archive that is handed in."""
LOOKED = 48 << 10
"""Of one that is looked at before: the longest post fits in."""


class EntriesRequest(Request):
    """archive: of one account, base64: what is new of it is enough, with its control log if that is not held here.
    account: whose it must be."""

    archive: Annotated[str, Meta(max_length=MOST * 4 // 3 + 4)]
    account: Did | None = None


class EntriesResult(Response):
    """entries: how many count now and did not before."""

    account: Did
    entries: int


class EntriesLookRequest(Request):
    """As for `entries.take`."""

    archive: Annotated[str, Meta(max_length=MOST * 4 // 3 + 4)]
    account: Did


class EntriesLookResult(Response):
    """held: whether the account is here. news: whether the archive surely has an entry that is not here, signed by a
    writer that the account as it is here lets write."""

    held: bool
    news: bool


@METHODS.read("entries.look", "refused")
def look(at: CommitView, ask: EntriesLookRequest) -> EntriesLookResult:
    """Looks at what `entries.take` would be given, and takes nothing. Only who has a key of an account that is here can
    make news of it: what is here already is public, and brought again it is none. It is cheap: at most 48 KiB are read,
    and one signature is checked; what is larger is not known to be news."""
    grants = at.store.grants(account_from_text(ask.account))
    if grants is None or len(ask.archive) > LOOKED * 4 // 3 + 4:
        return EntriesLookResult(grants is not None, False)
    frames, _ = _read(at.store.realm, ask.archive, ask.account)
    return EntriesLookResult(True, _is_news(at, grants, frames))


def _is_news(at: CommitView, grants: Grants, frames: Sequence[Frame]) -> bool:
    for frame in frames:
        if isinstance(frame, RunFrame):
            try:
                run = decode_run(at.store.realm, frame.run)
                if not at.store.has(run.entries[-1].id):
                    verify_run(at.store.realm, run)
                    return grants.grant_of(run.log.writer, run.log.log) is not None
            except (Reject, NotYet):
                return False
    return False


@METHODS.write("entries.take", "not_found", "refused")
def take(ctx: Context, ask: EntriesRequest, now: float) -> EntriesResult:
    """Takes entries that their author signed elsewhere, and spreads them. All are checked; one that is wrong is
    refused with those behind it."""
    frames, account = _read(ctx.realm, ask.archive, ask.account)
    replica, known = ctx.replica, ctx.holds(account)
    room = replica.room
    if not room.interesting(account):
        raise conflict(f"This node does not hold {account_to_text(account)}: nobody here follows it.")
    if why := room.why_not("", account):
        raise conflict(f"There is no room for this account here: {why}.")
    came, before = list[tuple[LogId, Sequence[Entry]]](), replica.ingest.arrived
    try:
        for frame in frames:
            _judge(ctx, frame, came, replica.wall_ms(now))
    except (Reject, NotYet) as why:
        raise conflict(f"These entries cannot be taken: {why}.") from None
    finally:
        if room.counted("", account):
            arrived = replica.ingest.arrived - before
            price = arrived * (ENTRY_PRICE + SIGNATURE_PRICE + OP_PRICE + PART_PRICE)
            parts = (raw for frame in frames if isinstance(frame, PartsFrame) for _, _, raw in frame.parts)
            spent = price + len(ask.archive) * 3 // 4 + sum(map(cost_of_content, parts)) if arrived else 0
            replica.strangers.took(control_log(account), spent, not known and ctx.holds(account))
    if ctx.holds(account) and not known:
        replica.writes.publish_control(account, now)
    for log, added in came:
        replica.writes.carried(log, added, now)
    return EntriesResult(did(account), sum(len(added) for _, added in came))


def _read(realm: Realm, text: str, whose: str | None) -> tuple[list[Frame], AccountId]:
    """Raises CallError."""
    try:
        raw = b64decode(text, validate=True)
        frames = [
            frame for frame in read_archive(BytesIO(raw)) if not isinstance(frame, StartFrame) or _own(realm, frame)
        ]
    except (binascii.Error, ValueError):
        raise bad_request("archive is a text in base64.") from None
    except (ArchiveDamaged, NotAnArchive):
        raise bad_request("archive is no whole archive, as docs/protocol.md describes one.") from None
    accounts = {frame.account for frame in frames if isinstance(frame, ControlFrame | RunFrame | PartsFrame)}
    if len(accounts) != 1:
        raise bad_request(f"archive is of one account; it has {len(accounts)}.")
    account = accounts.pop()
    if whose is not None and did(account) != whose:
        raise bad_request(f"archive is of {did(account)}, not of {whose}.")
    return frames, account


def _own(realm: Realm, frame: StartFrame) -> bool:
    """Raises CallError for an archive of another realm."""
    if frame.realm != realm.id:
        raise conflict(f"The archive is of another realm than this node, which is of {realm.name}.")
    return True


def _judge(ctx: Context, frame: Frame, came: list[tuple[LogId, Sequence[Entry]]], now_ms: int) -> None:
    """Raises Reject, NotYet."""
    realm, ingest = ctx.realm, ctx.replica.ingest
    match frame:
        case ControlFrame(account, entries):
            ingest.control(account, [decode_control(realm, one) for one in entries], now_ms)
        case RunFrame(_, raw):
            run = decode_run(realm, raw)
            if not ctx.store.has(run.entries[-1].id):
                verify_run(realm, run)
            added = ingest.run(run, now_ms)
            if added:
                came.append((run.log, added))
        case PartsFrame(_, parts):
            ingest.parts([PartItem(*part) for part in parts])
