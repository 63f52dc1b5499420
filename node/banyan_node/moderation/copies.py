"""Copies of withheld content, so that a release gives back what no peer has.

A copy is sealed under a key that this node's master secret makes, so the store alone, or a backup of it, tells nobody
what is withheld. It is written in the transaction that erases the content, and goes in the one that gives it back. It
stays until the content is released, its term ends, its author's deletion is final, or the account is dropped here. The
pictures and films of the post are pinned meanwhile; they are let go after the commit, so that a crash loses none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from banyan_crdt.blob import BlobRoot
from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId, CellKey, EntryId, Ref
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_node.home.keystore import Keys
from banyan_replica.surroundings import PartItem
from banyan_schema.social import Target
from banyan_storage.store import Store
from banyan_storage.view_rows import ref_bytes

_COPY, _MEDIA, _TO_LET_GO = b"sealed content:", b"kept media:", b"media to let go:"
_OLD = b"kept content:"
"""Copies of older programs, in clear: entry 32 | op 2."""


def keep(ctx: Context, post: Target, refs: Iterable[Ref]) -> None:
    """Keeps what is held of these operations of the post, before it is erased."""
    view, pinned = ctx.queries().post(post, hidden=True), list[bytes]()
    for item in () if view is None else view.post.media:
        for root in (item.blob, item.preview):
            found = None if root is None else ctx.blobs.find(BlobRoot(root))
            if root is not None and found is not None and not found.pinned:
                ctx.blobs.pin(BlobRoot(root), True)
                pinned.append(root)
    if pinned:
        ctx.store.put_note(_MEDIA + post.account + post.key, encode(pinned))
    for ref in refs:
        if (raw := ctx.store.part(ref.entry, ref.op)) is not None:
            _put(ctx.store, ctx.keys, post, ref, raw)


def any_of(store: Store, post: Target) -> bool:
    return next(store.notes(_COPY + post.account + post.key), None) is not None


def opened(ctx: Context, post: Target) -> Iterator[PartItem]:
    """The copies of the post that these keys open."""
    for key, sealed in ctx.store.notes(_COPY + post.account + post.key):
        ref = _ref(key)
        try:
            yield PartItem(ref.entry, ref.op, _box(ctx.keys, ref).decrypt(sealed))
        except CryptoError:  # of other keys, or damaged: peers are asked
            continue


def drop(store: Store, account: AccountId, key: CellKey | None = None) -> None:
    """Drops the copies of a post, or of all posts of an account, and lets their pictures go."""
    about = account + (key or b"")
    for name, raw in [*store.notes(_MEDIA + about)]:
        for root in decode(raw):
            store.put_note(_TO_LET_GO + root, b"")
        store.put_note(name, None)
    for name, _ in [*store.notes(_COPY + about)]:
        store.put_note(name, None)


def let_go(ctx: Context) -> None:
    """Unpins what `drop` let go, once that is committed."""
    for name, _ in [*ctx.store.notes(_TO_LET_GO)]:
        root = BlobRoot(name[len(_TO_LET_GO) :])
        if ctx.blobs.find(root) is not None:
            ctx.blobs.pin(root, False)
        ctx.store.put_note(name, None)


def seal_old(ctx: Context) -> None:
    """Seals copies that an older program kept in clear."""
    for name, raw in [*ctx.store.notes(_OLD)]:
        ref = Ref(EntryId(name[-34:-2]), int.from_bytes(name[-2:], "big"))
        entry, ops = ctx.store.entry(ref.entry), ctx.store.ops(ref.entry) or ()
        if entry is not None and ref.op < len(ops) and isinstance(op := ops[ref.op], Put):
            _put(ctx.store, ctx.keys, Target(entry.account, op.key), ref, raw)
        ctx.store.put_note(name, None)


def reseal(store: Store, old: Keys, new: Keys) -> None:
    """Seals all copies anew, because the node gets another master secret."""
    for name, sealed in [*store.notes(_COPY)]:
        ref = _ref(name)
        try:
            raw = _box(old, ref).decrypt(sealed)
        except CryptoError:
            continue
        store.put_note(name, bytes(_box(new, ref).encrypt(raw)))


def _put(store: Store, keys: Keys, post: Target, ref: Ref, raw: bytes) -> None:
    store.put_note(_COPY + post.account + post.key + ref_bytes(ref), bytes(_box(keys, ref).encrypt(raw)))


def _ref(name: bytes) -> Ref:
    return Ref(EntryId(name[-34:-2]), int.from_bytes(name[-2:], "big"))


def _box(keys: Keys, ref: Ref) -> SecretBox:
    """A key for each operation, so no copy can be put in the place of another."""
    return SecretBox(keys.derive("withheld copy", ref_bytes(ref)))
