"""What the public logs of other members say of orders and receipts, and since when, so that all nodes have the same
times for them.

    wanted -> the door reads each log (`read`, on a thread) -> took, which keeps the times for good

A log shows each checkpoint as it was when enough witnesses had cosigned it (`cosigned_notes`), so whoever reads it
later finds the same first checkpoint of a line. Each line is checked against a checkpoint with as many cosignatures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

import structlog

from banyan_crdt.errors import Malformed, Reject
from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.transparency import witnessing
from banyan_node.transparency.lines import line_name, opened
from banyan_node.transparency.public_log import Pause, hashes_of, log_key, witness_key
from banyan_schema.public_line import PUBLIC_LINE
from banyan_storage.alliance_tables import COSIGNED_NOTES, LINE_TIMES, MEMBER_LOGS
from banyan_translog.checkpoints import TreeHead, signed_checkpoint
from banyan_translog.merkle import inclusion_proof, leaf_hash, verify_inclusion
from banyan_translog.tiles import WIDTH, Tile, entries_of

READ_S = 60.0
"""How often a log is read of which all is known."""
LOGS, NOTES, LINES = 8, 32, 1_024
"""The most that is read at once: logs; of each, checkpoints and lines."""
_NONE = Pause(0.0, 0.0)
log = structlog.get_logger("banyan")


class Wanted(NamedTuple):
    """A log to read from line `after` on. log: its public key. accounts: that say that it is theirs. witnesses: public
    keys, of which `needed` count."""

    url: str
    log: bytes
    after: int
    accounts: tuple[AccountId, ...]
    witnesses: tuple[bytes, ...]
    needed: int

    @property
    def mark(self) -> bytes:
        """Changes with the accounts: the lines of one that is new are read from the first one on."""
        return sha256(b"".join(self.accounts)).digest()


class Found(NamedTuple):
    """size: how many lines were read by now. last_ms: of its last cosigned checkpoint. times: by the names of lines, of
    the first cosigned checkpoint that has it."""

    size: int
    last_ms: int
    times: dict[bytes, int]


def cosigned_notes(ctx: Context, after: int, now: float) -> tuple[list[bytes], list[bytes]]:
    """Checkpoints of this node's log, as they were when enough witnesses had cosigned them, of which lines have their
    times: the first ones that have more lines than this. And the last one as it is, if there is one."""
    kept = [raw for _, raw in islice(COSIGNED_NOTES.rows(ctx.store, after=after), NOTES)]
    return kept, [own.note.raw] if (own := opened(ctx, now)).size else []


def wanted(ctx: Context, now: float) -> list[Wanted]:
    """The logs that are to be read now."""
    own, out, named = opened(ctx, now), list[Wanted](), dict[bytes, list[AccountId]]()
    for account, at in sorted(ctx.member_logs.items()):
        named.setdefault(at.log, []).append(account)
    named.pop(own.signer.key.key, None)
    for key, accounts in named.items():
        at, pause = ctx.member_logs[accounts[0]], own.reads.get(key, _NONE)
        if pause.until <= now and len(out) < LOGS:
            voting = witnessing.voting(ctx).values()
            others = [one.witness for one in voting if one.witness != at.witness]
            size, mark = MEMBER_LOGS.get(ctx.store, key) or (0, b"")
            one = Wanted(at.url, key, size, tuple(accounts), tuple(others), witnessing.enough(ctx, len(others)))
            out.append(one if mark == one.mark else one._replace(after=0))
    return out


def read(one: Wanted, get: Callable[[str], bytes]) -> Found:
    """get: the file at a path below the log's URL. Raises Reject, as `get` does."""
    try:
        said = json.loads(get(f"cosigned?after={one.after}"))
        kept, now = ([str(raw).encode() for raw in said[name]] for name in ("notes", "last"))
    except (LookupError, TypeError, ValueError):
        raise Malformed("the log shows no list of checkpoints") from None
    keys = [witness_key(key) for key in one.witnesses]
    last, seen = 0, list[tuple[int, int, TreeHead]]()
    for at, raw in enumerate([*kept, *now]):
        found, note = signed_checkpoint(raw, [log_key(one.log)])
        when = witnessing.cosigned_at(note, keys, one.needed)
        if when is not None:
            last = max(last, when[1])
            if at < len(kept):  # who cosigns later changes no time
                seen.append((found.size, when[0], found))
    top = max((found for *_, found in seen), key=lambda found: found.size, default=None)
    if top is None or top.size <= one.after:
        return Found(one.after, last, {})
    end, hashes, times = min(top.size, one.after + LINES), hashes_of(_reader(get), top.size), dict[bytes, int]()
    lines = lru_cache(1)(lambda index: _bundle(get, Tile(None, index, min(WIDTH, top.size - index * WIDTH))))
    for index in range(one.after, end):
        raw = lines(index // WIDTH)[index % WIDTH]
        verify_inclusion(leaf_hash(raw), index, top.size, inclusion_proof(hashes, index, top.size), top.root)
        line = PUBLIC_LINE.decode(raw)
        if line is not None and line.order is not None and line.by in one.accounts:
            first = min((size, ms) for size, ms, _ in seen if size > index)
            times.setdefault(line_name(line.kind, line.by, line.order), first[1])
    return Found(end, last, times)


def _reader(get: Callable[[str], bytes]) -> Callable[[Tile], bytes]:
    def tile(of: Tile) -> bytes:
        """Or the full one that it has become."""
        try:
            return get(of.path)
        except Reject:
            if of.width == WIDTH:
                raise
            return get(Tile(of.level, of.index).path)

    return tile


def _bundle(get: Callable[[str], bytes], of: Tile) -> Sequence[bytes]:
    raw = _reader(get)(of)
    try:
        return entries_of(raw, of.width)
    except Malformed:
        return entries_of(raw, WIDTH)


def took(ctx: Context, key: bytes, mark: bytes, found: Found | str, now: float) -> None:
    """Keeps what was read of a log, or why nothing was."""
    own = opened(ctx, now)
    if isinstance(found, str):
        seconds = min(max(witnessing.FIRST_S, 2 * own.reads.get(key, _NONE).seconds), witnessing.LONGEST_S)
        own.reads[key] = Pause(now + seconds, seconds, found)
        log.warning("the public log of a member cannot be read", log=key.hex(), reason=found)
        return
    known = MEMBER_LOGS.get(ctx.store, key)
    for name, ms in found.times.items():
        LINE_TIMES.put(ctx.store, name, min(ms, LINE_TIMES.get(ctx.store, name) or ms))
    witnessing.go_on(ctx, found.last_ms, now)
    MEMBER_LOGS.put(ctx.store, key, (found.size, mark))
    own.reads[key] = Pause(now + (READ_S if known == (found.size, mark) else 0), 0.0)


def why_unknown(ctx: Context, issuer: AccountId) -> str:
    """Why an order has no time here. A sentence without a full stop."""
    at, own = ctx.member_logs.get(issuer), ctx.public_log
    if at is None:
        return "nobody says in which member's log it is"
    pause = None if own is None else own.reads.get(at.log)
    return (pause and pause.why) or f"no checkpoint that is cosigned has it in the log {at.url}"
