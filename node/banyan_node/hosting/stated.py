"""What other nodes said of content that they withhold, for as long as it does not come.

Anybody can sign such a statement. It counts if the account's own host signed it (a writer that the account grants and
has not cut), or a platform that the operator named: then the post is withheld here too, and what is missing of it does
not make this node incomplete. What others say is shown as their word, cut, and changes nothing. The content is asked
for all the same, because another peer may have it.

One statement is noted for each post: of several the one that counts, and else the last. It is noted when it comes, so
it outlives a restart, and goes when the content comes.
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, EntryId, Ref, WriterKey
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_replica.host import PartItem
from banyan_replica.peers.statements import Withheld, read_withheld
from banyan_schema.social import POST, Target
from banyan_storage.local_tables import HEARSAY, STATED, STATED_CONTENT, PeerStatement
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

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
        STATED_CONTENT.put(store, Ref(entry, op), said.expires_ms or 0)
    what = ops[op]
    if not isinstance(what, Put) or what.coll != POST:
        return
    post = Target(held.account, what.key)
    known = STATED.get(store, post)
    if counts or (known is None and _hearsay(store) < MOST) or (known is not None and not known.counts):
        _hearsay(store, (not counts) - (known is not None and not known.counts))
        STATED.put(store, post, _stated(counts, said))


def _may(ctx: Context, account: AccountId, signer: WriterKey) -> bool:
    grants = ctx.store.grants(account)
    hosts = grants is not None and signer in grants.grants and signer not in grants.cuts
    return hosts or signer.hex() in ctx.settings.config.node.platforms


def withheld(reader: StoreReader, now_ms: int) -> int:
    """Of how many missing pieces of content a statement that counts is in force."""
    in_force = (ref for ref, until in STATED_CONTENT.rows(reader) if until == 0 or until > now_ms)
    return sum(reader.lacks_part(entry, op) for entry, op in in_force)


def came(store: Store, items: Iterable[PartItem]) -> None:
    """This content came: nobody withholds it from us any more."""
    for item in items:
        held, ops = store.entry(item.entry), store.ops(item.entry) or ()
        STATED_CONTENT.put(store, Ref(item.entry, item.op), None)
        what = ops[item.op] if item.op < len(ops) else None
        if held is not None and isinstance(what, Put) and what.coll == POST:
            post = Target(held.account, what.key)
            if (known := STATED.get(store, post)) is not None:
                _hearsay(store, -(not known.counts))
                STATED.put(store, post, None)


def _hearsay(store: Store, more: int = 0) -> int:
    """How many posts have a statement that does not count, after so many more."""
    known = (HEARSAY.get(store) or 0) + more
    if more:
        HEARSAY.put(store, known)
    return known


def _stated(counts: bool, said: Withheld) -> PeerStatement:
    order, basis, scope = (text[: None if counts else HEARSAY_LENGTH] for text in (said.order, said.basis, said.scope))
    return PeerStatement(counts, said.platform, order, basis, scope, said.time_ms, said.expires_ms or 0)
