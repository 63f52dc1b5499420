"""Members cosign each other's public logs (C2SP tlog-witness), over HTTP at the door.

    requests -> the door posts each to URL/add-checkpoint of a member -> answered, which adds the cosignature
    cosign: what this node says to such a request

The invariants: what a witness cosigned is on its disk before the cosignature leaves; it cosigns nothing that does not
continue that. A line counts as logged once as many members as the charter says cosigned a checkpoint that has it; its
time is the median of theirs.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import NamedTuple

import structlog

from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.transparency.lines import opened
from banyan_node.transparency.public_log import Pause, PublicLog, log_key, witness_key
from banyan_schema.social.alliance import MemberLog
from banyan_storage.alliance_tables import (
    COSIGNED_NOTES,
    LINE_TIMES,
    PUBLIC_COSIGNED,
    PUBLIC_LOGGED,
    PUBLIC_PLACES,
    TWO_HISTORIES,
    WITNESSED,
    TwoNotes,
)
from banyan_translog.checkpoints import checkpoint_of
from banyan_translog.merkle import consistency_proof
from banyan_translog.notes import NoteKey, SignedNote, note_of, signers
from banyan_translog.witness import AddCheckpoint, WitnessReply, answer, cosignatures, held_size

SPARE = 2
"""Witnesses that are asked beyond those that are needed."""
REFRESH_S = 3_600.0
"""How old a cosignature is when it is asked for again, so that the log's time goes on without new lines."""
APART_S = 300.0
"""How far the clock of a witness may be from this node's."""
FIRST_S, LONGEST_S = 1.0, 600.0
"""How long a member is left alone that did not answer, at first and at most."""
_NONE = Pause(0.0, 0.0)
log = structlog.get_logger("banyan")


class Asked(NamedTuple):
    """A request to the witness of a member. size: of the checkpoint that it shows."""

    member: AccountId
    url: str
    size: int
    body: bytes


def voting(ctx: Context) -> dict[AccountId, MemberLog]:
    """The members with a vote that name a log, of the epoch that stands."""
    epoch = ctx.replica.charter.epoch
    seats = {} if epoch is None else epoch.seats
    return {m: one for m, one in ctx.member_logs.items() if m in seats and seats[m].votes}


def witnesses(ctx: Context) -> dict[AccountId, MemberLog]:
    """Those of them that are at other nodes."""
    return {m: one for m, one in voting(ctx).items() if not hosted.is_hosted(ctx.store, m)}


def enough(ctx: Context, witnesses: int) -> int:
    """How many of so many witnesses cosign until a line counts as logged; all, if the charter wants more."""
    epoch = ctx.replica.charter.epoch
    return 0 if epoch is None else min(epoch.parameters.witnesses, witnesses)


def needed(ctx: Context) -> int:
    """How many of this node's witnesses that are."""
    return enough(ctx, len(witnesses(ctx)))


def cosigned_at(note: SignedNote, keys: Collection[NoteKey], least: int) -> tuple[int, int] | None:
    """When it was cosigned, if so many of these witnesses did: the median of what they say, so that less than half of
    them date nothing, the later one of two. And since when so many saw no other checkpoint. In milliseconds; None: they
    have not."""
    times = sorted(one.time for one in signers(note, keys) if one.time is not None)
    return (times[len(times) // 2] * 1_000, times[-least] * 1_000) if 0 < least <= len(times) else None


def requests(ctx: Context, now: float) -> list[Asked]:
    """What members are to be asked now. Each log asks others first."""
    others = witnesses(ctx)
    if not others or not (own := opened(ctx, now)).size:
        return []
    keys = {m: witness_key(one.witness) for m, one in others.items()}
    old = ctx.replica.wall_ms(now) / 1_000 - REFRESH_S
    done = {one.key for one in signers(own.note, keys.values()) if (one.time or 0) > old}
    lacks = max(0, needed(ctx) + SPARE - len(done)) if len(done) < needed(ctx) else 0
    waiting = (m for m in keys if keys[m] not in done and own.pauses.get(m, _NONE).until <= now)
    waits = sorted(waiting, key=lambda m: sha256(own.signer.key.key + m).digest())
    return [_request(own, m, others[m]) for m in waits[:lacks]]


def _request(own: PublicLog, member: AccountId, at: MemberLog) -> Asked:
    known, note, size = own.held.get(at.witness, 0), own.note, own.size
    proof = consistency_proof(own.hashes(size), known, size)
    return Asked(member, f"{at.url}/add-checkpoint", size, AddCheckpoint(known, tuple(proof), note).raw)


def answered(ctx: Context, member: AccountId, size: int, status: int, body: bytes, now: float) -> str | None:
    """Takes the answer of a witness to a request of this size. Why it is of no use, after which it is asked later each
    time; None: it is, or is too late."""
    own, at = opened(ctx, now), witnesses(ctx).get(member)
    if at is None or size != own.size:
        return None
    try:
        if status == 200:
            key = witness_key(at.witness)
            new = cosignatures(body, own.note, [key])
            for one in signers(SignedNote(own.note.text, tuple(new)), [key]):
                apart = abs((one.time or 0) - ctx.replica.wall_ms(now) / 1_000)
                if apart > APART_S:
                    raise Reject(f"its clock is {apart:,.0f} s from the clock of this node")
            own.cosigned(own.note.text, new)
        elif status != 409:
            raise Reject(body[:200].decode("utf-8", "replace").strip() or f"status {status}")
        own.held[at.witness] = size if status == 200 else held_size(body, size, own.held.get(at.witness, 0))
    except Reject as why:
        seconds = min(max(FIRST_S, 2 * own.pauses.get(member, _NONE).seconds), LONGEST_S)
        own.pauses[member] = Pause(now + seconds, seconds, str(why))
        log.warning("a member did not cosign the public log", member=member.hex(), reason=str(why))
        return str(why)
    own.pauses.pop(member, None)
    when = cosigned_at(own.note, [witness_key(one.witness) for one in witnesses(ctx).values()], needed(ctx))
    if when is not None:
        if PUBLIC_COSIGNED.get(ctx.store, size) is None:
            PUBLIC_COSIGNED.put(ctx.store, size, when[0])
            COSIGNED_NOTES.put(ctx.store, size, own.note.raw)
        go_on(ctx, when[1], now)
    return None


def logged_at(ctx: Context, name: bytes) -> int | None:
    """The time of the first cosigned checkpoint that has the line of this name (`lines.line_name`), in milliseconds: of
    this node's log, or of what was read of the member's whose line it is."""
    if (place := PUBLIC_PLACES.get(ctx.store, name)) is None:
        return LINE_TIMES.get(ctx.store, name)
    return next((ms for _, ms in PUBLIC_COSIGNED.rows(ctx.store, after=place)), None)


def last_logged(ctx: Context) -> int:
    """The time of the last cosigned checkpoint of any log that this node knows, in milliseconds; 0: there is none."""
    return PUBLIC_LOGGED.get(ctx.store) or 0


def go_on(ctx: Context, ms: int, now: float) -> None:
    """That time goes on to this one, but not past this node's clock: a few witnesses who date their cosignatures ahead
    would end the terms of all orders."""
    PUBLIC_LOGGED.put(ctx.store, max(last_logged(ctx), min(ms, ctx.replica.wall_ms(now))))


def cosign(ctx: Context, raw: bytes, now: float) -> WitnessReply:
    """What this node answers to the log of a member. Give the answer once the transaction is durable."""
    own = opened(ctx, now)
    keys = {(key := log_key(one.log)).name: key for one in ctx.member_logs.values()}
    keys.pop(own.signer.key.name, None)

    def held(origin: str) -> SignedNote | None:
        kept = WITNESSED.get(ctx.store, origin)
        return None if kept is None else note_of(kept)

    found = answer(
        raw,
        lambda origin: [keys[origin]] if origin in keys else [],
        held,
        own.witness,
        ctx.replica.wall_ms(now) // 1_000,
    )
    if found.cosigned is not None:
        WITNESSED.put(ctx.store, checkpoint_of(found.cosigned).origin, found.cosigned.raw)
    if found.against is not None:
        _suspect(ctx, found.against)
    return found


def _suspect(ctx: Context, shown: SignedNote) -> None:
    """A checkpoint that does not continue what was cosigned. It proves something if it has the same size and another
    root; else whoever sent it can have sent a wrong proof with it."""
    new = checkpoint_of(shown)
    held = WITNESSED.get(ctx.store, new.origin)
    if held is None or checkpoint_of(note_of(held)).size != new.size:
        log.warning("a checkpoint that continues nothing", of=new.origin, size=new.size)
    elif not TWO_HISTORIES.has(ctx.store, new.origin):
        TWO_HISTORIES.put(ctx.store, new.origin, TwoNotes(held, shown.raw))
        log.error("a log shows two histories; the proof is kept", of=new.origin, size=new.size)
