"""The accounts whose root keys come from this node's master secret: by index, by name, and which of them is "me".

The store notes no secrets. An account's keys are derived from the master secret and its index, and the current
generation of a key is the one whose digest the control log commits to. So a node restored from its 24 words finds its
accounts again once their control logs have arrived from peers (claims.py).
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, Protocol

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.control import Control, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, LogId, WriterKey, account_from_text, account_to_text, key_digest
from banyan_crdt.ops import Init, Recover, Rotate, Slot, decode_body
from banyan_crdt.parts import open_part
from banyan_crdt.signing import Signer
from banyan_node.context import Context
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.operator_errors import CallError, bad_request, conflict, forbidden, not_found
from banyan_reading.queries import Queries
from banyan_replica.intake.author import grant_to
from banyan_storage import local_tables as local
from banyan_storage.alliance_tables import LISTED_AS
from banyan_storage.due import Work
from banyan_storage.reader import StoreReader

GENERATIONS = 256
"""Rotations of one key that are searched for the current one."""
ELSEWHERE = 4_096
"""Keys on paper or on other machines that are remembered as not found: each search makes GENERATIONS keys, 10 ms."""
_ELSEWHERE = set[tuple[WriterKey, bytes]]()
"""(the first key of a slot, the digest of one that no generation of it has): the first stands for the master secret."""
SALTS = 4_096
"""Salts kept in memory."""
OWN_INDEX = 0
"""The key index of this node's own account. No other account made here gets it."""


class Reads(Protocol):
    """The part of a context that a reading method needs; it also exists for a store that cannot be written."""

    @property
    def store(self) -> StoreReader: ...

    def queries(self) -> Queries: ...


class KeySlots(Protocol):
    """Makes the keys of accounts hosted here."""

    def slot(self, index: int, slot: int, generation: int) -> Signer: ...


class LocalAccount(NamedTuple):
    """An account hosted here. `number` is the index of its keys."""

    account: AccountId
    number: int
    name: str


def create(ctx: Context, name: str, now_ms: int, mine: bool = False, recovery: Slot | None = None) -> LocalAccount:
    """Opens an account with a new index and grants this node's device. The caller announces it.

    recovery: the commitment of its recovery slot; None: see `_recovery`.
    """
    index = own_index(ctx) if mine else next_index(ctx)
    root, following = (ctx.slot(index, ROOT_SLOT, generation) for generation in (0, 1))
    account, _ = ctx.replica.author.open_account(
        [(root, key_digest(following.key))],
        ctx.keys.account_salt(index),
        [grant_to(ctx.device.key)],
        now_ms,
        [recovery or _recovery(ctx, index)],
    )
    return note(ctx, LocalAccount(account, index, name), mine)


def _recovery(ctx: Context, index: int) -> Slot:
    """The recovery slot of the node's own account if its key is on paper; otherwise a key made from the master."""
    mine = me(ctx)
    home = None if mine is None else hosted(ctx, mine)
    if home is not None:
        control = control_of(ctx, home.account)
        first, now = (slots[RECOVERY_SLOT:] for slots in (init_of(control.path[0]).slots, control.keys))
        if first and (first[0].current != digest(ctx, home.number, RECOVERY_SLOT, 0) or _moved(ctx, home, now[0])):
            return now[0]
    return Slot(digest(ctx, index, RECOVERY_SLOT, 0), digest(ctx, index, RECOVERY_SLOT, 1))


def note(ctx: Context, hosted: LocalAccount, mine: bool) -> LocalAccount:
    store = ctx.store
    _index(ctx, hosted)
    local.HOSTED.put(store, hosted.account, local.HostedNumber(hosted.number, hosted.name))
    store.set_due(Work.CHECKPOINT, hosted.account, 0)  # a restored account may have grown before it was found
    if hosted.name:
        local.HOSTED_NAMES.put(store, _name_key(hosted.name), hosted.account)
    if mine:
        local.OWN_ACCOUNT.put(store, hosted.account)
    local.NEXT_INDEX.put(store, max(next_index(ctx), hosted.number + 1))
    return hosted


def end(ctx: Context, account: AccountId, forget_name: bool = False) -> None:
    """The account is hosted here no longer. forget_name: it is erased; another account may get its name, and none its
    recovery keys."""
    home, store = hosted(ctx, account), ctx.store
    if home is None:
        return
    if forget_name:
        control = control_of(ctx, account)
        for slots in (init_of(control.path[0]).slots, control.keys):
            for slot in slots[RECOVERY_SLOT:]:
                local.ERASED_RECOVERY_KEYS.put(store, slot.current, True)
    local.HOSTED_COUNT.put(store, count(ctx) - 1)
    local.HOSTED.put(store, account, None)
    local.HOSTED_AT.put(store, _at(home), None)
    LISTED_AS.put(store, account, None)
    if forget_name and named(ctx, home.name) == account:
        local.HOSTED_NAMES.put(store, _name_key(home.name), None)


def was_of_erased(store: StoreReader, recovery: Slot) -> bool:
    """Whether somebody who was erased here had this recovery key, and may have its words."""
    return local.ERASED_RECOVERY_KEYS.has(store, recovery.current)


def _moved(ctx: Context, home: LocalAccount, slot: Slot) -> bool:
    """Whether the recovery key is none that this node can make: it was moved to paper."""
    return key_here(ctx, home, RECOVERY_SLOT, slot.current) is None


def digest(ctx: Context, number: int, slot: int, generation: int) -> bytes:
    """The digest of a key that is derived from this master."""
    return key_digest(ctx.slot(number, slot, generation).key)


def _name_key(name: str) -> bytes:
    return name.encode()[:400]


def next_index(ctx: Context) -> int:
    """The first free index, never OWN_INDEX."""
    return max(OWN_INDEX + 1, local.NEXT_INDEX.get(ctx.store) or 0)


def own_index(ctx: Context) -> int:
    """The index for the node's own account; not OWN_INDEX if an older program gave that to another account."""
    taken = any(home.number == OWN_INDEX for home in all_hosted(ctx))
    return next_index(ctx) if taken else OWN_INDEX


def named(ctx: Reads, name: str) -> AccountId | None:
    """The account hosted under a name, or None."""
    return local.HOSTED_NAMES.get(ctx.store, _name_key(name))


def beginning(ctx: Reads, name: str) -> Iterator[AccountId]:
    """The accounts whose names here begin so, by name."""
    return (account for _, account in local.HOSTED_NAMES.rows(ctx.store, _name_key(name)))


def hosted(ctx: Reads, account: AccountId) -> LocalAccount | None:
    row = local.HOSTED.get(ctx.store, account)
    return None if row is None else LocalAccount(account, *row)


def is_hosted(store: StoreReader, account: AccountId) -> bool:
    return local.HOSTED.has(store, account)


def ids(ctx: Reads) -> list[AccountId]:
    """The accounts hosted here, in no order."""
    return [*local.HOSTED.keys(ctx.store)]


def all_hosted(ctx: Reads) -> list[LocalAccount]:
    return sorted((LocalAccount(account, *row) for account, row in local.HOSTED.rows(ctx.store)), key=_at)


def _index(ctx: Context, new: LocalAccount) -> None:
    """Updates the index and the count; the first call also indexes what an older program noted."""
    store = ctx.store
    if local.HOSTED_COUNT.get(store) is None:
        every = all_hosted(ctx)
        for one in every:
            local.HOSTED_AT.put(store, _at(one), True)
        local.HOSTED_COUNT.put(store, len(every))
    before = hosted(ctx, new.account)
    if before is None:
        local.HOSTED_COUNT.put(store, count(ctx) + 1)
    elif before.number != new.number:  # a recovery gave it new keys
        local.HOSTED_AT.put(store, _at(before), None)
    local.HOSTED_AT.put(store, _at(new), True)


def _at(home: LocalAccount) -> tuple[int, AccountId]:
    return home.number, home.account


def count(ctx: Reads) -> int:
    """How many accounts are hosted here."""
    found = local.HOSTED_COUNT.get(ctx.store)
    return len(all_hosted(ctx)) if found is None else found


def page(ctx: Reads, after: AccountId | None, limit: int) -> list[LocalAccount]:
    """The accounts hosted here, ordered by key index. Raises CallError if `after` is not one of them."""
    last = None if after is None else hosted(ctx, after)
    if after is not None and last is None:
        raise bad_request(f"{account_to_text(after)} is not hosted here: give `after` of the page before.")
    if local.HOSTED_COUNT.get(ctx.store) is None:  # an older program's store, in which no account was made since
        every = all_hosted(ctx)
        return [h for h in every if last is None or _at(h) > _at(last)][:limit]
    keys = local.HOSTED_AT.keys(ctx.store, after=None if last is None else _at(last))
    found = (hosted(ctx, account) for _, account in islice(keys, limit))
    return [h for h in found if h is not None]


def me(ctx: Reads) -> AccountId | None:
    """This node's own account, or None before `banyan init` made one or a restored one came back."""
    return local.OWN_ACCOUNT.get(ctx.store)


def my_account(ctx: Reads) -> AccountId:
    found = me(ctx)
    if found is None and (wrong := local.WRONG_PAPER.get(ctx.store)) is not None:
        raise CallError("refused", wrong_paper(account_to_text(wrong)))
    if found is None and local.RESTORING.get(ctx.store) is not None:
        raise CallError(
            "refused",
            "This node has no account yet: its own has not arrived from a peer. Run `banyan up --bootstrap ADDRESS` to "
            "reach a peer that holds it, or add --as NAME to act as another account that is hosted here.",
        )
    if found is None:
        raise CallError("refused", "This node has no account yet; `banyan account create NAME --own` makes it.")
    return found


def wrong_paper(account: str) -> str:
    """What to do if recovery words were given to `banyan keys restore`."""
    return (
        f"The words given to `banyan keys restore` are the recovery words of {account}; they restore no node. "
        f"Make a new home with `banyan init`, let the account come from a peer, then `banyan account recover --account "
        f"{account} --own`; or restore from the backup words."
    )


def init_of(inception: Entry) -> Init:
    """The operation that opened an account. inception: the first entry of an accepted control log."""
    op = decode_body(inception.ops).ops[0]
    assert isinstance(op, Init)
    return op


def later_roots(control: Control) -> list[bytes]:
    """Digests of the root keys that recoveries installed, and of those that rotations announced, newest first."""
    return [root for entry in reversed(control.path) for root in roots_in(entry)]


def is_renewed(slots: KeySlots, control: Control, home: LocalAccount) -> bool:
    """Whether no root key of the account ever came from the current master, which a thief may have otherwise."""
    had = [init_of(control.path[0]).slots[ROOT_SLOT].current, *later_roots(control)]
    return key_digest(slots.slot(home.number, ROOT_SLOT, 0).key) not in had


def roots_in(entry: Entry) -> list[bytes]:
    """Digests of the root keys that a control entry installs or announces."""
    return [
        op.root if isinstance(op, Recover) else op.next
        for op in decode_body(entry.ops).ops
        if isinstance(op, Recover) or (isinstance(op, Rotate) and op.slot == ROOT_SLOT)
    ]


def account_of(ctx: Reads, text: str | None) -> AccountId:
    """The account of a text form or of a name hosted here; None: this node's own account."""
    if text is None:
        return my_account(ctx)
    if not text:
        says = "An empty text names nobody, and this needs an account: give a DID, or the name of one hosted here."
        raise bad_request(says)
    try:
        return account_from_text(text)
    except ValueError as error:
        found = named(ctx, text)
        if found is None:
            raise bad_request(f"{error}; and no account hosted here has that name.") from None
        return found


def _not_held(account: AccountId) -> CallError:
    sentence = f"{account_to_text(account)} is not held here; a node that follows it fetches it from its peers."
    return not_found(sentence)


def control_of(ctx: Context, account: AccountId) -> Control:
    found = ctx.replica.ingest.control_of(account)
    if found is None:
        raise _not_held(account)
    return found


def control_at(at: Reads, account: AccountId) -> Control:
    """As `control_of`, but computed from the snapshot `at`. Raises CallError."""
    entries = at.store.control(account)
    if not entries:
        raise _not_held(account)
    return resolve_control(entries, at.store.checkpoints(account))


def slot_signer(ctx: Context, account: AccountId, slot: int, next_key: bool = False) -> tuple[Signer, int]:
    """(signer, generation) of the slot's current key, or of its next key. Raises CallError if it is not ours."""
    home = hosted(ctx, account)
    keys = control_of(ctx, account).keys
    if home is not None and slot < len(keys):
        found = key_here(ctx, home, slot, keys[slot].next if next_key else keys[slot].current)
        if found is not None:
            return found
    name = ("root", "recovery")[slot] if slot < 2 else f"slot {slot}"
    raise conflict(f"The {name} key of {account_to_text(account)} is not on this node.")


def key_here(slots: KeySlots, home: LocalAccount, slot: int, wanted: bytes) -> tuple[Signer, int] | None:
    """(signer, generation) of the key whose digest is `wanted`, if this node can make it."""
    first = slots.slot(home.number, slot, 0)
    if (first.key, wanted) in _ELSEWHERE:
        return None
    for generation in range(GENERATIONS):
        signer = slots.slot(home.number, slot, generation) if generation else first
        if key_digest(signer.key) == wanted:
            return signer, generation
    if len(_ELSEWHERE) >= ELSEWHERE:
        _ELSEWHERE.clear()
    _ELSEWHERE.add((first.key, wanted))
    return None


def root_checkpoint(ctx: Context, account: AccountId) -> Checkpoint | None:
    """The checkpoint of the current root key."""
    control = control_of(ctx, account)
    return next((c for c in ctx.store.checkpoints(account) if control.is_root(c.writer)), None)


def checkpoint(ctx: Context, account: AccountId, now: float, before: Checkpoint | None = None) -> int:
    """Signs where the account stands: by its root if that key is here, and by this node's writer. Returns how many
    checkpoints were new. before: the checkpoint of the previous root; the next one keeps its pins.
    """
    control = control_of(ctx, account)
    if control.closed or control.frozen:
        return 0
    signers = []
    try:
        signers.append(slot_signer(ctx, account, ROOT_SLOT)[0])
    except CallError:
        pass  # the root key is elsewhere
    if ctx.device.key in control.grants and ctx.device.key not in control.cuts:
        signers.append(ctx.device)
    done = 0
    for signer in signers:
        old = before if control.is_root(signer.key) else None
        if ctx.replica.author.outdated(account, signer.key, old):
            try:
                ctx.replica.writes.publish_checkpoint(account, signer, now, old)
            except Refused:
                continue  # a thief of the key has used today's checkpoint numbers
            done += 1
    return done


def salt_of(ctx: Context, account: AccountId) -> bytes:
    """The salt of the account's cell keys."""
    known = ctx.salts.get(account)
    if known is not None:
        return known
    control = control_of(ctx, account)
    init = control.salt_op
    raw = ctx.store.part(control.path[0].id, 0)
    if init is None or init.salt is None or raw is None:
        raise CallError(
            "refused", f"The salt of {account_to_text(account)} has not arrived; try again when this node is complete."
        )
    if len(ctx.salts) >= SALTS:
        ctx.salts.clear()
    salt = ctx.salts[account] = open_part(init.salt, raw)
    return salt


def writable_log(ctx: Context, account: AccountId) -> LogId:
    """This data folder's log in the account. It has a new number if the last one was also written elsewhere."""
    control = control_of(ctx, account)
    if (suspended := local.SUSPENDED.get(ctx.store, account)) is not None:
        why = f": {suspended.text}" if suspended.text else ""
        says = f"The moderators of this node suspended {account_to_text(account)}; nothing is written for it here{why}"
        raise forbidden(f"{says.rstrip('.')}.")
    who = account_to_text(account)
    if control.closed:
        undo = "only its recovery key undoes that (`banyan account recover --undo N`)"
        raise conflict(f"The account {who} is closed; {undo}.")
    if ctx.device.key in control.cuts:
        raise conflict(f"This node may not write for {who} any more: its owner cut it off.")
    log = ctx.own_log(account)  # last: it may note that a new log begins
    if control.grant_of(log.writer, log.log) is None:
        raise conflict(f"This node may not write for {who}: its owner must grant it.")
    return log
