"""Erasing what this node holds of a closed account, from every file.

The account is closed first, so nothing of it counts or is shown any more. When the erasure is due, its entries and
their content go, with the pictures that nothing else names, reports' copies of its posts, and its name here. Its
control log stays: it says that the account is closed, and whose key may undo that. Then the data file is written anew
(`LmdbEngine.rewrite`), because a database leaves what was deleted in its file. The door and the answers under keys
(idempotency.py) forget the account before its name is free, and once more at the end, for what was on its way.

Each part is one commit, and what is left to do is noted in it, so a crash only delays the rest. The entries go in steps
(interest.py), from the first of which on the account has no name here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, get_args

import msgspec
import structlog

from banyan_crdt.blob import BlobRoot
from banyan_crdt.control import Control
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, EntryId, WriterKey, account_to_text
from banyan_crdt.state import DAY_MS, MARK, ErasureWish, KnownWish, look, wish_of
from banyan_node import idempotency
from banyan_node.context import Context
from banyan_node.hosting import hosted, interest
from banyan_node.moderation import decisions, reports
from banyan_node.upkeep import trusted_clock
from banyan_replica.peers.statements import Withheld, read_withheld, sign_withheld
from banyan_storage import local_tables as local
from banyan_storage import tables as t
from banyan_storage.blob_names import is_named, split
from banyan_storage.due import Work, planned
from banyan_storage.errors import StorageError
from banyan_storage.reader import StoreReader

# Erasures of accounts that were asked for here, or by a wish in the account's control log, and what peers answer.
#
# A wish that this node did not sign is looked at by the rule of `banyan_crdt.state`. A node whose operator named the
# account's host (`node.platforms`) obeys it when its days are over; every other node shows it to its operator, who may
# obey (`banyan store erase`). What is hosted here is erased by its operator alone (`banyan account erase`).
#
# What this node does about a wish is a signed statement about the `close` that says it, made as the one about content
# that is withheld: its order is a word of `WORDS`. Whoever asks for the "content" of that entry (`want-parts`) is
# answered with it; a node of before these statements answers nothing, as one that does not have the account. The node
# where the erasure was asked for asks each linked peer so, once a day, until it says that all is erased.

WORDS: tuple[local.Word, ...] = get_args(local.Word)
ASKED_MS = 180 * DAY_MS
"""How long peers are asked about an erasure."""
MOST_ANSWERS = 256
"""Of how many peers that are no named platforms the answers about an account are kept."""


class ErasureAnswer(NamedTuple):
    """What a peer said at `at_ms`. by: the key that signed it; None if nothing was said. until_ms: of `waits`."""

    peer: str
    word: local.Word
    until_ms: int | None
    at_ms: int
    by: WriterKey | None


def is_begun(reader: StoreReader, account: AccountId, control: Control) -> bool:
    """Whether the account is being erased here, or was, and nobody opened it again since."""
    erases = local.ERASURES.has(reader, account) and reader.due_at(Work.ERASE_ACCOUNT, account) is None
    return erases and control.closed


def put(ctx: Context, account: AccountId, one: local.Erasure, now_ms: int) -> local.Erasure:
    """Notes it with the word that holds now, says that to whoever asks, and tells listeners."""
    before, obeys = local.ERASURES.get(ctx.store, account), one.here or one.obeyed or _is_named(ctx, account)
    one = msgspec.structs.replace(one, word="erased" if one.erased_ms else "waits" if obeys else "shown")
    if one == before:
        return one
    take_back(ctx, account, told=False)
    local.ERASURES.put(ctx.store, account, one)
    until = one.until_ms if one.word == "waits" else None
    if one.entry:
        said = Withheld(ctx.device.key, now_ms, EntryId(bytes.fromhex(one.entry)), 0, one.word, "", "", until)
        local.ERASURE_STATEMENTS.put(ctx.store, said.entry, sign_withheld(ctx.device, said))
    ctx.store.note_act("erasure", account, said=(one.word, str(until or 0)))
    return one


def take_back(ctx: Context, account: AccountId, told: bool = True) -> None:
    """Nothing of it is to be erased, as far as this node knows."""
    known = local.ERASURES.get(ctx.store, account)
    if known is None:
        return
    local.ERASURES.put(ctx.store, account, None)
    if known.entry:
        local.ERASURE_STATEMENTS.put(ctx.store, EntryId(bytes.fromhex(known.entry)), None)
    if told:
        ctx.store.drop_due(Work.ERASE_ACCOUNT, account)
        ctx.store.note_act("erasure", account, said=("taken back", "0"))


def _is_named(ctx: Context, account: AccountId) -> bool:
    """Whether a host of the account, that is whose key it grants and has not cut, is named here, or is this node, whose
    store had a note of it and was lost."""
    control = ctx.replica.ingest.control_of(account)
    if control is None or hosted.is_hosted(ctx.store, account):
        return False
    hosts = [writer for writer in control.grants if writer not in control.cuts]
    return any(writer == ctx.device.key or ctx.replica.peers.trusts(writer) for writer in hosts)


def heard(ctx: Context, account: AccountId, record: bytes, now_ms: int) -> None:
    """This entry of the account's control log came, or is asked about: looks whether the account is to be erased."""
    if MARK in record:
        local.WISHED.put(ctx.store, account, True)
    elif not local.WISHED.has(ctx.store, account):
        return
    known, control = local.ERASURES.get(ctx.store, account), ctx.replica.ingest.control_of(account)
    if known is None or not known.here:
        look_again(ctx, account, now_ms)
    elif control is None or control.frozen or is_begun(ctx.store, account, control):
        return
    elif undone(known, control):
        take_back(ctx, account)


def undone(one: local.Erasure, control: Control | None) -> bool:
    """Whether what was asked for here does not stand: the account is not closed, or its root took the wish back."""
    if control is None or not control.closed or control.frozen:
        return True
    return bool(one.entry) and wish_of(control) is None


def look_again(ctx: Context, account: AccountId, now_ms: int) -> local.Erasure | None:
    """What stands of a wish that was not asked for here; it is noted."""
    control, known = ctx.replica.ingest.control_of(account), local.ERASURES.get(ctx.store, account)
    before = None if known is None else KnownWish(_wish(known), known.at_ms)
    now = None if control is None else look(before, control, now_ms)
    if now is None:
        take_back(ctx, account)
    if now is None or now == before:
        return None if now is None else known
    ctx.store.set_due(Work.ERASE_ACCOUNT, account, now.until_ms)
    made = local.Erasure(now.at_ms, now.until_ms, "", entry=now.wish.entry.hex(), here=False)
    made = msgspec.structs.replace(made, from_ms=now.wish.from_ms, stands=now.wish.stands.hex())
    return put(ctx, account, made, now_ms)


def _wish(one: local.Erasure) -> ErasureWish:
    return ErasureWish(EntryId(bytes.fromhex(one.entry)), one.from_ms, EntryId(bytes.fromhex(one.stands)))


# -- between peers


def says(ctx: Context, entry: EntryId, op: int) -> bytes | None:
    """The answer to a peer that asks for the content of an operation that has none."""
    said = None if op else local.ERASURE_STATEMENTS.get(ctx.store, entry)
    if said is None and not op and (held := ctx.store.entry(entry)) is not None and MARK in held.ops:
        heard(ctx, held.account, held.ops, ctx.store.arrived.time_ms)  # it came to a program that did not know
        said = local.ERASURE_STATEMENTS.get(ctx.store, entry)
    return said


def ask(ctx: Context, now: float) -> None:
    """Asks linked peers what they do about what was asked for here."""
    now_ms = ctx.replica.wall_ms(now)
    asked = [(account, one) for account, one in local.ERASURES.rows(ctx.store) if one.here and one.entry]
    asked = [(account, one) for account, one in asked if one.at_ms > now_ms - ASKED_MS]
    for peer in ctx.replica.peers.greeted() if asked else ():
        keys = [EntryId(bytes.fromhex(one.entry)) for account, one in asked if _is_open(ctx, account, peer, now_ms)]
        if keys:
            ctx.replica.peers.ask_about(peer, [(entry, 0) for entry in keys])


def _is_open(ctx: Context, account: AccountId, peer: str, now_ms: int) -> bool:
    known = local.ERASURE_ANSWERS.get(ctx.store, (account, peer))
    return known is None or (known.word != "erased" and known.at_ms < now_ms - DAY_MS)


def answered(ctx: Context, peer: str, said: Mapping[tuple[EntryId, int], bytes], now: float) -> None:
    """The peer answered so, with statements that were checked; an empty one: it said nothing of it."""
    for (entry, op), raw in said.items():
        held = ctx.store.entry(entry)
        if held is None:
            continue
        word, until, by = "unknown", 0, b""
        with suppress(BanyanError):
            one = read_withheld(ctx.realm, raw, entry, op)
            word, until, by = one.order, one.expires_ms or 0, one.platform
        name = held.account, peer
        room = sum(1 for _ in local.ERASURE_ANSWERS.keys(ctx.store, held.account)) < MOST_ANSWERS
        if room or local.ERASURE_ANSWERS.has(ctx.store, name) or ctx.replica.peers.trusts(WriterKey(by)):
            local.ERASURE_ANSWERS.put(ctx.store, name, local.AnswerRow(word[:16], until, ctx.replica.wall_ms(now), by))


def answers(reader: StoreReader, account: AccountId) -> Iterator[ErasureAnswer]:
    """What each peer answered last."""
    for (_, peer), (word, until, at_ms, by) in local.ERASURE_ANSWERS.rows(reader, account):
        known: local.Word = next((one for one in WORDS if one == word), "unknown")
        yield ErasureAnswer(peer, known, until or None, at_ms, WriterKey(by) if by else None)


# -- erasing

log = structlog.get_logger("banyan")
ONE_DAY_MS = 86_400_000
MOST_DAYS = 90


def plan(ctx: Context, account: AccountId, reason: str, days: int, now_ms: int, entry: EntryId | None) -> local.Erasure:
    """Notes an erasure, which begins a day before the term ends, so that it is done by then. entry: says it to
    peers."""
    made = local.Erasure(now_ms, now_ms + max(1, days) * ONE_DAY_MS, reason, entry="" if entry is None else entry.hex())
    ctx.store.set_due(Work.ERASE_ACCOUNT, account, begins(days, now_ms))
    trusted_clock.doubt(ctx, trusted_clock.moment(now_ms))  # a look, by which a jump before the end is noticed
    return put(ctx, account, made, now_ms)


def begins(days: int, now_ms: int) -> int:
    return now_ms + max(0, days - 1) * ONE_DAY_MS


def step(ctx: Context, now: float) -> bool:
    """Does the next part of what is due. Returns whether more is waiting. It commits, so nothing may be pending."""
    now_ms = ctx.replica.wall_ms(now)
    for account in [account for account, why in ctx.store.leaving().items() if why == interest.ERASE]:
        if not interest.drop_step(ctx, account, now, interest.ERASE, partial(_note_blobs, ctx)):
            _forget(ctx, account)
            local.TO_REWRITE.put(ctx.store, True)
        ctx.store.commit()
        return True
    for _, key in ctx.store.due(Work.ERASE_ACCOUNT, now_ms, 1):
        account = AccountId(key)
        if (again_ms := _waits(ctx, account, now_ms)) is not None:
            ctx.store.set_due(Work.ERASE_ACCOUNT, account, again_ms)
        elif local.ERASURES.get(ctx.store, account) is not None:
            if not _forgotten_at_door(ctx, [account]):  # before another account may get the name
                return False
            ctx.store.drop_due(Work.ERASE_ACCOUNT, key)
            _begin(ctx, account)
        ctx.store.commit()
        return True
    ask(ctx, now)
    for root in [*local.BLOBS_TO_ERASE.keys(ctx.store)]:
        if not is_named(ctx.store.txn, root):
            ctx.blobs.drop(root)
        local.BLOBS_TO_ERASE.put(ctx.store, root, None)
    if local.TO_REWRITE.get(ctx.store):
        done = [
            account
            for account, erasure in local.ERASURES.rows(ctx.store)
            if erasure.erased_ms is None and ctx.store.due_at(Work.ERASE_ACCOUNT, account) is None
        ]
        idempotency.forget(ctx.store, *map(account_to_text, done))
        ctx.store.commit()
        if not _forgotten_at_door(ctx, done):
            return False
        try:
            ctx.engine.rewrite()
        except StorageError as why:
            log.warning("the store is written anew later", why=str(why))
            return False
        ctx.logs.note_place()
        local.TO_REWRITE.put(ctx.store, None)
        for account in done:
            if (erasure := local.ERASURES.get(ctx.store, account)) is not None:
                put(ctx, account, msgspec.structs.replace(erasure, erased_ms=now_ms), now_ms)
    ctx.store.commit()
    return False


def _waits(ctx: Context, account: AccountId, now_ms: int) -> int | None:
    """When to look again whether it is erased. None: it is to be erased now, or was taken back."""
    known, control = local.ERASURES.get(ctx.store, account), ctx.replica.ingest.control_of(account)
    doubt = trusted_clock.doubt(ctx, trusted_clock.moment(now_ms))
    if known is not None and known.here:
        if undone(known, control):
            take_back(ctx, account)
            return None
        return (
            now_ms + ONE_DAY_MS if doubt and known.until_ms - known.at_ms > ONE_DAY_MS else None
        )  # at once has no term
    known = look_again(ctx, account, now_ms)
    if known is None:
        return None
    known = put(ctx, account, known, now_ms)
    if known.until_ms > now_ms:
        return known.until_ms
    return now_ms + ONE_DAY_MS if doubt or known.word == "shown" else None


def _forgotten_at_door(ctx: Context, accounts: Sequence[AccountId]) -> bool:
    try:
        for account in accounts:
            ctx.at_door.forget(account_to_text(account))
    except StorageError as why:
        log.warning("the door forgets an account later", why=str(why))
        return False
    return True


def _note_blobs(ctx: Context, ns: Sequence[int]) -> None:
    """Notes which pictures the content of these arrivals names."""
    for n in ns:
        for _, roots in ctx.store.txn.scan(t.MEDIA, t.part_key(n, 0), t.part_key(n + 1, 0)):
            for root in split(roots):
                local.BLOBS_TO_ERASE.put(ctx.store, BlobRoot(root), True)


def _begin(ctx: Context, account: AccountId) -> None:
    home = hosted.hosted(ctx, account)
    idempotency.forget(ctx.store, account_to_text(account), *([] if home is None else [home.name]))
    interest.begin_drop(ctx, account, interest.ERASE)
    hosted.end(ctx, account, forget_name=True)
    local.MODERATORS.put(ctx.store, account, None)
    reports.forget(ctx.store, account)
    decisions.forget(ctx.store, account)


def _forget(ctx: Context, account: AccountId) -> None:
    """What a step may have left in memory, and what was to be done for the account."""
    ctx.replica.gossip.forget_content(b"")
    for work in {*Work} - {Work.FORGET}:  # of the control log, too
        for key in planned(ctx.store.txn, work, account, 1 << 30):
            ctx.store.drop_due(work, key)
