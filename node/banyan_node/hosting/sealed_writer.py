"""Says something privately for an account, and takes it back (sealed_reader.py reads it).

Where a writer that has the secret was cut off, what is said from then on is sealed under a new one. A writer that is
granted later is handed all secrets, so it reads what was said before.
"""

from collections.abc import Iterable, Iterator, Sequence

from banyan_crdt.entry import MAX_PART_BYTES
from banyan_crdt.ids import AccountId, CellKey, Ref, WriterKey
from banyan_crdt.logs import Grants
from banyan_crdt.ops import Put, Tomb
from banyan_crdt.sealing import NONCE_BYTES, SECRET_BYTES, Opener, wrap
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append_each
from banyan_node.hosting.sealed_reader import PrivateData, PrivateItem, SealedReader
from banyan_node.operator_errors import conflict
from banyan_schema.collection import OpDraft, undo
from banyan_schema.private_kinds import Mute, said
from banyan_schema.registry import SOCIAL
from banyan_schema.social import MUTE
from banyan_schema.social.private import PRIVATE, WrappedSecret, hand_over, private_key, say_privately

AN_ENTRY, A_THING = 100, 32
"""Things that one entry says at most, and bytes that each takes beside its content."""
HOLDERS = 100
"""The most writers that a secret is wrapped for."""


def of(ctx: Context, account: AccountId) -> PrivateData:
    """As a writer sees it."""
    return ctx.sealed_reader.read(ctx.queries(), account, remember=False)


def drafts(ctx: Context, account: AccountId, contents: Iterable[object], now: float) -> list[OpDraft]:
    """What says these things, each in the place of what was said before. Raises CallError, ValueError."""
    q, held = ctx.queries(), of(ctx, account)
    name, secret, out = _secret(ctx, account, held, now)
    for content in contents:
        one = said(content)
        key = private_key(secret, one)
        live = q.live(account, Put(PRIVATE, key, (), None))
        out.append(say_privately(account, name, secret, one, ctx.replica.author.random(NONCE_BYTES), live))
        out += _taken_back(ctx, account, [t for t in held.things.get((one.kind, one.name), ()) if t.key != key])
    return out


def taking_back(ctx: Context, account: AccountId, contents: Iterable[object]) -> list[OpDraft]:
    """What takes these things back; empty if nothing of them is said. Only what names them counts."""
    held, out = of(ctx, account), list[OpDraft]()
    for content in contents:
        one = said(content)
        out += _taken_back(ctx, account, held.things.get((one.kind, one.name), ()))
    return out


def drafts_or_undo(
    ctx: Context, account: AccountId, contents: Iterable[object], now: float, take_back: bool
) -> list[OpDraft]:
    """What says them, or takes them back."""
    return taking_back(ctx, account, contents) if take_back else drafts(ctx, account, contents, now)


def sealing_old_mutes(ctx: Context, account: AccountId, now: float) -> list[OpDraft]:
    """What seals the mutes that an older program wrote for all to read, and ends those; empty if there are none."""
    q = ctx.queries()
    q.need("relations")
    cells = {one.key for one in q.items(account, SOCIAL.by_id[MUTE])}
    if not cells:
        return []
    held = of(ctx, account)
    old = [Mute(other) for other in q.mutes(account) if held.get(Mute(other)) is None]
    return [*drafts(ctx, account, old, now), *[OpDraft(Tomb(MUTE, cell), None) for cell in sorted(cells)]]


def seal_old_mutes(ctx: Context, account: AccountId, now: float) -> bool:
    """Seals them. Returns whether there were any."""
    old = sealing_old_mutes(ctx, account, now)
    if old:
        append_each(ctx, account, entries(old), now)
    return bool(old)


def entries(found: Iterable[OpDraft]) -> list[Sequence[OpDraft]]:
    """In groups that fit into one entry each, in order."""
    out, size = [list[OpDraft]()], 0
    for draft in found:
        more = len(draft.content or b"") + A_THING
        if out[-1] and (len(out[-1]) == AN_ENTRY or size + more > MAX_PART_BYTES):
            out.append([])
            size = 0
        out[-1].append(draft)
        size += more
    return [*out]


def _taken_back(ctx: Context, account: AccountId, things: Iterable[PrivateItem]) -> list[OpDraft]:
    q = ctx.queries()
    refs: list[Ref] = [ref for t in things for ref in q.live(account, Put(PRIVATE, t.key, (), None))]
    return [undo(PRIVATE, refs)] if refs else []


def hand_over_all(ctx: Context, account: AccountId, now: float) -> None:
    """Hands every secret that this device can open to the writers that lack it, such as one that was just granted."""
    found = _handing_over(ctx, account, of(ctx, account), readers_of(ctx, account, now))
    if found:
        append_each(ctx, account, entries(found), now)


def take_over(ctx: Context, account: AccountId, carrier: bytes, now: float) -> None:
    """Hands this device the secrets that were handed to the writer of that seed, as by a handover."""
    held = SealedReader(Opener(carrier)).read(ctx.queries(), account, remember=False)
    found = _handing_over(ctx, account, held, [ctx.device.key])
    if found:
        append_each(ctx, account, entries(found), now)


def _handing_over(ctx: Context, account: AccountId, held: PrivateData, readers: Sequence[WriterKey]) -> list[OpDraft]:
    salt, out = hosted.salt_of(ctx, account), list[OpDraft]()
    for name, known in sorted(held.secrets.items()):
        if known.secret is not None:
            out += _wraps(ctx, salt, name, known.secret, [w for w in readers if w not in known.holders])
    return out


def _wraps(ctx: Context, salt: bytes, name: CellKey, secret: bytes, writers: Iterable[WriterKey]) -> Iterator[OpDraft]:
    for writer in writers:
        box = wrap(secret, writer, ctx.replica.author.random(32))
        if box is not None:
            yield hand_over(salt, WrappedSecret(name, writer, box))


def _secret(ctx: Context, account: AccountId, held: PrivateData, now: float) -> tuple[CellKey, bytes, list[OpDraft]]:
    """The name and the secret under which to seal, and what hands all secrets to writers that lack them."""
    readers = readers_of(ctx, account, now)
    if ctx.device.key not in readers:
        raise conflict("What is private is sealed for writers that may write everything; this node may not.")
    out = _handing_over(ctx, account, held, readers)
    known = {name: s for name, s in held.secrets.items() if s.secret is not None and s.known_to <= {*readers}}
    if known:
        name = max(known, key=lambda n: (len(known[n].holders), n))
        return name, known[name].secret or b"", out
    name, secret = CellKey(ctx.replica.author.random(16)), ctx.replica.author.random(SECRET_BYTES)
    return name, secret, [*out, *_wraps(ctx, hosted.salt_of(ctx, account), name, secret, readers)]


def readers_of(ctx: Context, account: AccountId, now: float) -> list[WriterKey]:
    """The writers that may read what is private."""
    control, time = hosted.control_of(ctx, account), ctx.replica.wall_ms(now) << 16
    return [writer for writer in control.grants if _may_read(control, writer, time)][:HOLDERS]


def _may_read(control: Grants, writer: WriterKey, time: int) -> bool:
    """Whether the writer may write every collection at this time."""
    grants = (granted.grant for granted in control.grants[writer])
    return writer not in control.cuts and any(g.colls is None and (g.until is None or g.until > time) for g in grants)
