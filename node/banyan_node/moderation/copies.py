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
from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_node.home.keystore import Keys
from banyan_replica.host import PartItem
from banyan_schema.social import Target
from banyan_storage.local_tables import MEDIA_TO_UNPIN, PINNED_MEDIA, PLAIN_CONTENT, SEALED_CONTENT
from banyan_storage.slots import ref_bytes
from banyan_storage.store import Store


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
        PINNED_MEDIA.put(ctx.store, post, pinned)
    for ref in refs:
        if (raw := ctx.store.part(ref.entry, ref.op)) is not None:
            _put(ctx.store, ctx.keys, post, ref, raw)


def any_of(store: Store, post: Target) -> bool:
    return SEALED_CONTENT.any(store, post.raw)


def opened(ctx: Context, post: Target) -> Iterator[PartItem]:
    """The copies of the post that these keys open."""
    for (_, ref), sealed in SEALED_CONTENT.rows(ctx.store, post.raw):
        try:
            yield PartItem(ref.entry, ref.op, _box(ctx.keys, ref).decrypt(sealed))
        except CryptoError:  # of other keys, or damaged: peers are asked
            continue


def drop(store: Store, account: AccountId, key: CellKey | None = None) -> None:
    """Drops the copies of a post, or of all posts of an account, and lets their pictures go."""
    about = account + (key or b"")
    for post, roots in [*PINNED_MEDIA.rows(store, about)]:
        for root in roots:
            MEDIA_TO_UNPIN.put(store, BlobRoot(root), True)
        PINNED_MEDIA.put(store, post, None)
    for name in [*SEALED_CONTENT.keys(store, about)]:
        SEALED_CONTENT.put(store, name, None)


def let_go(ctx: Context) -> None:
    """Unpins what `drop` let go, once that is committed."""
    for root in [*MEDIA_TO_UNPIN.keys(ctx.store)]:
        if ctx.blobs.find(root) is not None:
            ctx.blobs.pin(root, False)
        MEDIA_TO_UNPIN.put(ctx.store, root, None)


def seal_old(ctx: Context) -> None:
    """Seals copies that an older program kept in clear."""
    for ref, raw in [*PLAIN_CONTENT.rows(ctx.store)]:
        entry, ops = ctx.store.entry(ref.entry), ctx.store.ops(ref.entry) or ()
        if entry is not None and ref.op < len(ops) and isinstance(op := ops[ref.op], Put):
            _put(ctx.store, ctx.keys, Target(entry.account, op.key), ref, raw)
        PLAIN_CONTENT.put(ctx.store, ref, None)


def reseal(store: Store, old: Keys, new: Keys) -> None:
    """Seals all copies anew, because the node gets another master secret."""
    for (post, ref), sealed in [*SEALED_CONTENT.rows(store)]:
        try:
            raw = _box(old, ref).decrypt(sealed)
        except CryptoError:
            continue
        _put(store, new, post, ref, raw)


def _put(store: Store, keys: Keys, post: Target, ref: Ref, raw: bytes) -> None:
    SEALED_CONTENT.put(store, (post, ref), bytes(_box(keys, ref).encrypt(raw)))


def _box(keys: Keys, ref: Ref) -> SecretBox:
    """A key for each operation, so no copy can be put in the place of another."""
    return SecretBox(keys.derive("withheld copy", ref_bytes(ref)))
