"""Letters: what accounts written here say to some others alone, and what others say so to accounts of this node.

A letter is entries of its author's log, so it goes where these go: it is durable with them, and comes to who was away.
This node reads those that are wrapped for its device key. Those who get it are writers that may write everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from banyan_crdt.ids import AccountId, CellKey, WriterKey
from banyan_crdt.ops import Put
from banyan_crdt.sealing import NONCE_BYTES, SECRET_BYTES, wrap
from banyan_node.context import Context
from banyan_node.hosting import sealed_writer
from banyan_node.hosting.entry_writer import append_each
from banyan_reading.queries import Queries
from banyan_schema.collection import OpDraft, undo
from banyan_schema.social.letter import (
    LETTERS,
    READERS,
    Letter,
    LetterReader,
    hand_letter,
    keys_of,
    read_letter,
    reader_key,
    write_letter,
)


def writers_of(ctx: Context, now: float, accounts: tuple[AccountId, ...]) -> list[WriterKey]:
    """Who may read what is said to these accounts, as far as they are held here."""
    held = [one for one in accounts if ctx.replica.ingest.control_of(one) is not None]
    return [*dict.fromkeys(writer for one in held for writer in sealed_writer.readers_of(ctx, one, now))]


def send(ctx: Context, account: AccountId, name: CellKey, said: bytes, to: Iterable[WriterKey], now: float) -> bool:
    """Lets these writers read it that cannot yet. name: of what it is about, the same each time. to: writers of the
    account itself too, who hand it on later. Returns whether anything was written. Raises CallError, ValueError."""
    q = ctx.queries()
    lacking = [w for w in to if not q.live(account, Put(READERS.id, reader_key(name, w), (), None))]
    secret, out = _secret(ctx, q, account, name) if lacking else None, list[OpDraft]()
    if lacking and secret is None and not q.live(account, Put(LETTERS.id, name, (), None)):
        secret = ctx.replica.author.random(SECRET_BYTES)
        out.append(write_letter(account, name, secret, said, ctx.replica.author.random(NONCE_BYTES)))
    if secret is None:  # all can, or another device of the account wrote it
        return False
    for writer in lacking:
        box = wrap(secret, writer, ctx.replica.author.random(32))
        if box is not None:
            out.append(hand_letter(name, writer, box))
    if out:
        append_each(ctx, account, sealed_writer.entries(out), now)
    return bool(out)


def take_back(ctx: Context, account: AccountId, name: CellKey, now: float) -> None:
    """Erases what it says, wherever it is held."""
    if live := ctx.queries().live(account, Put(LETTERS.id, name, (), None)):
        append_each(ctx, account, [[undo(LETTERS.id, live)]], now)


def read(ctx: Context, q: Queries, account: AccountId, name: CellKey) -> bytes | None:
    """What a letter of the account says; None if it is not here, or not for this node."""
    secret = _secret(ctx, q, account, name)
    found = next(q.items(account, LETTERS, name), None)
    return None if secret is None or found is None else read_letter(account, name, secret, Letter(*found.values))


def to_this_node(ctx: Context, q: Queries, account: AccountId) -> Iterator[CellKey]:
    """The names of the account's letters that this node can read."""
    return (LetterReader(*found.values).letter for found in q.items(account, READERS, keys_of(ctx.device.key)))


def _secret(ctx: Context, q: Queries, account: AccountId, name: CellKey) -> bytes | None:
    found = next(q.items(account, READERS, reader_key(name, ctx.device.key)), None)
    return None if found is None else ctx.sealed_reader.opener.unwrap(LetterReader(*found.values).box)
