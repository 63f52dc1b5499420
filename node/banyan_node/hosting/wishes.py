"""Erasures of accounts that were asked for here, or by a wish in the account's control log, and what peers answer.

A wish that this node did not sign is looked at by the rule of `banyan_crdt.erasure`. A node whose operator named the
account's host (`node.platforms`) obeys it when its days are over; every other node shows it to its operator, who may
obey (`banyan store erase`). What is hosted here is erased by its operator alone (`banyan account erase`).

What this node does about a wish is a signed statement about the `close` that says it, made as the one about content
that is withheld: its order is a word of `WORDS`. Whoever asks for the "content" of that entry (`want-parts`) is
answered with it; a node of before these statements answers nothing, as one that does not have the account. The node
where the erasure was asked for asks each linked peer so, once a day, until it says that all is erased.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple, get_args

import msgspec

from banyan_crdt.control import Control
from banyan_crdt.erasure import DAY_MS, MARK, Seen, Wish, look, wish_of
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, EntryId, WriterKey
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_replica.peers.withholding import Withheld, read_withheld, sign_withheld
from banyan_storage.due import Work
from banyan_storage.local_tables import ERASURE_ANSWERS, ERASURE_STATEMENTS, ERASURES, WISHED, AnswerRow, Erasure, Word
from banyan_storage.reader import StoreReader

WORDS: tuple[Word, ...] = get_args(Word)
ASKED_MS = 180 * DAY_MS
"""How long peers are asked about an erasure."""
MOST_ANSWERS = 256
"""Of how many peers that are no named platforms the answers about an account are kept."""


class Answer(NamedTuple):
    """What a peer said at `at_ms`. by: the key that signed it; None if nothing was said. until_ms: of `waits`."""

    peer: str
    word: Word
    until_ms: int | None
    at_ms: int
    by: WriterKey | None


def is_begun(reader: StoreReader, account: AccountId, control: Control) -> bool:
    """Whether the account is being erased here, or was, and nobody opened it again since."""
    erases = ERASURES.has(reader, account) and reader.due_at(Work.ERASE_ACCOUNT, account) is None
    return erases and control.closed


def put(ctx: Context, account: AccountId, one: Erasure, now_ms: int) -> Erasure:
    """Notes it with the word that holds now, says that to whoever asks, and tells listeners."""
    before, obeys = ERASURES.get(ctx.store, account), one.here or one.obeyed or _is_named(ctx, account)
    one = msgspec.structs.replace(one, word="erased" if one.erased_ms else "waits" if obeys else "shown")
    if one == before:
        return one
    take_back(ctx, account, told=False)
    ERASURES.put(ctx.store, account, one)
    until = one.until_ms if one.word == "waits" else None
    if one.entry:
        said = Withheld(ctx.device.key, now_ms, EntryId(bytes.fromhex(one.entry)), 0, one.word, "", "", until)
        ERASURE_STATEMENTS.put(ctx.store, said.entry, sign_withheld(ctx.device, said))
    ctx.store.note_act("erasure", account, said=(one.word, str(until or 0)))
    return one


def take_back(ctx: Context, account: AccountId, told: bool = True) -> None:
    """Nothing of it is to be erased, as far as this node knows."""
    known = ERASURES.get(ctx.store, account)
    if known is None:
        return
    ERASURES.put(ctx.store, account, None)
    if known.entry:
        ERASURE_STATEMENTS.put(ctx.store, EntryId(bytes.fromhex(known.entry)), None)
    if told:
        ctx.store.drop_due(Work.ERASE_ACCOUNT, account)
        ctx.store.note_act("erasure", account, said=("taken back", "0"))


def _is_named(ctx: Context, account: AccountId) -> bool:
    """Whether a host of the account, that is whose key it grants and has not cut, is named here, or is this node, whose
    store had a note of it and was lost."""
    control, named = ctx.replica.ingest.control_of(account), ctx.settings.config.node.platforms
    if control is None or hosted.is_hosted(ctx.store, account):
        return False
    hosts = [writer for writer in control.grants if writer not in control.cuts]
    return any(writer == ctx.device.key or writer.hex() in named for writer in hosts)


def heard(ctx: Context, account: AccountId, record: bytes, now_ms: int) -> None:
    """This entry of the account's control log came, or is asked about: looks whether the account is to be erased."""
    if MARK in record:
        WISHED.put(ctx.store, account, True)
    elif not WISHED.has(ctx.store, account):
        return
    known, control = ERASURES.get(ctx.store, account), ctx.replica.ingest.control_of(account)
    if known is None or not known.here:
        look_again(ctx, account, now_ms)
    elif control is None or control.frozen or is_begun(ctx.store, account, control):
        return
    elif undone(known, control):
        take_back(ctx, account)


def undone(one: Erasure, control: Control | None) -> bool:
    """Whether what was asked for here does not stand: the account is not closed, or its root took the wish back."""
    if control is None or not control.closed or control.frozen:
        return True
    return bool(one.entry) and wish_of(control) is None


def look_again(ctx: Context, account: AccountId, now_ms: int) -> Erasure | None:
    """What stands of a wish that was not asked for here; it is noted."""
    control, known = ctx.replica.ingest.control_of(account), ERASURES.get(ctx.store, account)
    before = None if known is None else Seen(_wish(known), known.at_ms)
    now = None if control is None else look(before, control, now_ms)
    if now is None:
        take_back(ctx, account)
    if now is None or now == before:
        return None if now is None else known
    ctx.store.set_due(Work.ERASE_ACCOUNT, account, now.until_ms)
    made = Erasure(now.at_ms, now.until_ms, "", entry=now.wish.entry.hex(), here=False)
    made = msgspec.structs.replace(made, from_ms=now.wish.from_ms, stands=now.wish.stands.hex())
    return put(ctx, account, made, now_ms)


def _wish(one: Erasure) -> Wish:
    return Wish(EntryId(bytes.fromhex(one.entry)), one.from_ms, EntryId(bytes.fromhex(one.stands)))


# -- between peers


def says(ctx: Context, entry: EntryId, op: int) -> bytes | None:
    """The answer to a peer that asks for the content of an operation that has none."""
    said = None if op else ERASURE_STATEMENTS.get(ctx.store, entry)
    if said is None and not op and (held := ctx.store.entry(entry)) is not None and MARK in held.ops:
        heard(ctx, held.account, held.ops, ctx.store.arrived.time_ms)  # it came to a program that did not know
        said = ERASURE_STATEMENTS.get(ctx.store, entry)
    return said


def ask(ctx: Context, now: float) -> None:
    """Asks linked peers what they do about what was asked for here."""
    now_ms = ctx.replica.wall_ms(now)
    asked = [(account, one) for account, one in ERASURES.rows(ctx.store) if one.here and one.entry]
    asked = [(account, one) for account, one in asked if one.at_ms > now_ms - ASKED_MS]
    for peer in ctx.replica.peers.greeted() if asked else ():
        keys = [EntryId(bytes.fromhex(one.entry)) for account, one in asked if _is_open(ctx, account, peer, now_ms)]
        if keys:
            ctx.replica.peers.ask_about(peer, [(entry, 0) for entry in keys])


def _is_open(ctx: Context, account: AccountId, peer: str, now_ms: int) -> bool:
    known = ERASURE_ANSWERS.get(ctx.store, (account, peer))
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
        room = sum(1 for _ in ERASURE_ANSWERS.keys(ctx.store, held.account)) < MOST_ANSWERS
        if room or ERASURE_ANSWERS.has(ctx.store, name) or by.hex() in ctx.settings.config.node.platforms:
            ERASURE_ANSWERS.put(ctx.store, name, AnswerRow(word[:16], until, ctx.replica.wall_ms(now), by))


def answers(reader: StoreReader, account: AccountId) -> Iterator[Answer]:
    """What each peer answered last."""
    for (_, peer), (word, until, at_ms, by) in ERASURE_ANSWERS.rows(reader, account):
        known: Word = next((one for one in WORDS if one == word), "unknown")
        yield Answer(peer, known, until or None, at_ms, WriterKey(by) if by else None)
