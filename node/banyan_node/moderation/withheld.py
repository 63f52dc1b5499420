"""Copies of withheld content, so that a release gives back what no peer has.

A copy is sealed under a key that this node's master secret makes, so the store alone, or a backup of it, tells nobody
what is withheld. It is written in the transaction that erases the content, and goes in the one that gives it back. It
stays until the content is released, its term ends, its author's deletion is final, or the account is dropped here. The
pictures and films of the post are pinned meanwhile; they are let go after the commit, so that a crash loses none.
"""

from collections.abc import Iterable, Iterator

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from banyan_crdt.blob import BlobRoot
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, EntryId, Ref, WriterKey
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_node.home.keystore import Keys
from banyan_replica.host import PartItem
from banyan_replica.peers.statements import Withheld, read_withheld
from banyan_schema.social import POST, Target
from banyan_storage import local_tables as local
from banyan_storage.reader import StoreReader
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
        local.PINNED_MEDIA.put(ctx.store, post, pinned)
    for ref in refs:
        if (raw := ctx.store.part(ref.entry, ref.op)) is not None:
            _put(ctx.store, ctx.keys, post, ref, raw)


def any_of(store: Store, post: Target) -> bool:
    return local.SEALED_CONTENT.any(store, post.raw)


def opened(ctx: Context, post: Target) -> Iterator[PartItem]:
    """The copies of the post that these keys open."""
    for (_, ref), sealed in local.SEALED_CONTENT.rows(ctx.store, post.raw):
        try:
            yield PartItem(ref.entry, ref.op, _box(ctx.keys, ref).decrypt(sealed))
        except CryptoError:  # of other keys, or damaged: peers are asked
            continue


def drop(store: Store, account: AccountId, key: CellKey | None = None) -> None:
    """Drops the copies of a post, or of all posts of an account, and lets their pictures go."""
    about = account + (key or b"")
    for post, roots in [*local.PINNED_MEDIA.rows(store, about)]:
        for root in roots:
            local.MEDIA_TO_UNPIN.put(store, BlobRoot(root), True)
        local.PINNED_MEDIA.put(store, post, None)
    for name in [*local.SEALED_CONTENT.keys(store, about)]:
        local.SEALED_CONTENT.put(store, name, None)


def let_go(ctx: Context) -> None:
    """Unpins what `drop` let go, once that is committed."""
    for root in [*local.MEDIA_TO_UNPIN.keys(ctx.store)]:
        if ctx.blobs.find(root) is not None:
            ctx.blobs.pin(root, False)
        local.MEDIA_TO_UNPIN.put(ctx.store, root, None)


def seal_old(ctx: Context) -> None:
    """Seals copies that an older program kept in clear."""
    for ref, raw in [*local.PLAIN_CONTENT.rows(ctx.store)]:
        entry, ops = ctx.store.entry(ref.entry), ctx.store.ops(ref.entry) or ()
        if entry is not None and ref.op < len(ops) and isinstance(op := ops[ref.op], Put):
            _put(ctx.store, ctx.keys, Target(entry.account, op.key), ref, raw)
        local.PLAIN_CONTENT.put(ctx.store, ref, None)


def reseal(store: Store, old: Keys, new: Keys) -> None:
    """Seals all copies anew, because the node gets another master secret."""
    for (post, ref), sealed in [*local.SEALED_CONTENT.rows(store)]:
        try:
            raw = _box(old, ref).decrypt(sealed)
        except CryptoError:
            continue
        _put(store, new, post, ref, raw)


def _put(store: Store, keys: Keys, post: Target, ref: Ref, raw: bytes) -> None:
    local.SEALED_CONTENT.put(store, (post, ref), bytes(_box(keys, ref).encrypt(raw)))


def _box(keys: Keys, ref: Ref) -> SecretBox:
    """A key for each operation, so no copy can be put in the place of another."""
    return SecretBox(keys.derive("withheld copy", ref_bytes(ref)))


# What other nodes said of content that they withhold, for as long as it does not come.
#
# Anybody can sign such a statement. It counts if the account's own host signed it (a writer that the account grants and
# has not cut), or a platform that the operator named: then the post is withheld here too, and what is missing of it
# does not make this node incomplete. What others say is shown as their word, cut, and changes nothing. The content is
# asked for all the same, because another peer may have it.
#
# One statement is noted for each post: of several the one that counts, and else the last. It is noted when it comes, so
# it outlives a restart, and goes when the content comes.

HEARSAY_LENGTH = 200
"""The most characters of what a stranger says."""
MOST = 10_000
"""The most posts of which statements that do not count are noted."""


def met(ctx: Context, entry: EntryId, op: int, raw: bytes) -> None:
    """A peer answered with this statement in the place of content that is missing here."""
    try:
        said = read_withheld(ctx.realm, raw, entry, op)
    except BanyanError:
        return
    held, ops, store = ctx.store.entry(entry), ctx.store.ops(entry) or (), ctx.store
    if held is None or op >= len(ops) or not store.lacks_part(entry, op):
        return
    counts = _may(ctx, held.account, said.platform)
    if counts:
        local.STATED_CONTENT.put(store, Ref(entry, op), said.expires_ms or 0)
    what = ops[op]
    if not isinstance(what, Put) or what.coll != POST:
        return
    post = Target(held.account, what.key)
    known = local.STATED.get(store, post)
    if counts or (known is None and _hearsay(store) < MOST) or (known is not None and not known.counts):
        _hearsay(store, (not counts) - (known is not None and not known.counts))
        local.STATED.put(store, post, _stated(counts, said))


def _may(ctx: Context, account: AccountId, signer: WriterKey) -> bool:
    grants = ctx.store.grants(account)
    hosts = grants is not None and signer in grants.grants and signer not in grants.cuts
    return hosts or ctx.replica.peers.trusts(signer)


def withheld(reader: StoreReader, now_ms: int) -> int:
    """Of how many missing pieces of content a statement that counts is in force."""
    in_force = (ref for ref, until in local.STATED_CONTENT.rows(reader) if until == 0 or until > now_ms)
    return sum(reader.lacks_part(entry, op) for entry, op in in_force)


def came(store: Store, items: Iterable[PartItem]) -> None:
    """This content came: nobody withholds it from us any more."""
    for item in items:
        held, ops = store.entry(item.entry), store.ops(item.entry) or ()
        local.STATED_CONTENT.put(store, Ref(item.entry, item.op), None)
        what = ops[item.op] if item.op < len(ops) else None
        if held is not None and isinstance(what, Put) and what.coll == POST:
            post = Target(held.account, what.key)
            if (known := local.STATED.get(store, post)) is not None:
                _hearsay(store, -(not known.counts))
                local.STATED.put(store, post, None)


def _hearsay(store: Store, more: int = 0) -> int:
    """How many posts have a statement that does not count, after so many more."""
    known = (local.HEARSAY.get(store) or 0) + more
    if more:
        local.HEARSAY.put(store, known)
    return known


def _stated(counts: bool, said: Withheld) -> local.PeerStatement:
    order, basis, scope = (text[: None if counts else HEARSAY_LENGTH] for text in (said.order, said.basis, said.scope))
    return local.PeerStatement(counts, said.platform, order, basis, scope, said.time_ms, said.expires_ms or 0)
