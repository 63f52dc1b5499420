"""Accounts of restored keys, found again as their control logs come back from others.

Which accounts a node hosts is noted in its store, and a new store has no notes. But every account that this master
secret opened grants this master's device key, and its root key follows from the secret and an index. So whatever
control log arrives is looked at: does it let this device write, and is its root one of ours? The invariants:

- The account with index 0 is the node's own; no other account is ever taken for it.
- What was looked at in vain is remembered, and looked at again when more indices are known to be in use.
- Nothing is called by a made-up name: an account is called what its profile says, once that has arrived.
- If the words that were restored are the recovery words of an account that arrives, that is said: they bring no node
  back. (Words of today say themselves what they are, see words.py; those from before do not.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from banyan_crdt.ids import AccountId, EntryId, account_to_text, key_digest
from banyan_node.context import RESTORING, Context, Search
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.home.recovery import first_digests
from banyan_node.hosting import hosted
from banyan_storage.errors import ViewBuilding

AHEAD = 1_024
"""Indices beyond the last known that are tried: 50 ms of key derivation. Accounts come back in any order."""
NAMES = 100
"""Accounts without a name whose profiles are looked at in one go."""
RECOVERIES = 8
"""Rotations of recovery words that are tried where they may have been taken for backup words."""
_UNNAMED, _UNKNOWN = b"unnamed:", b"unclaimed:"
_log = logging.getLogger(__name__)


def take(ctx: Context, accounts: Iterable[AccountId]) -> list[hosted.Hosted]:
    """Those of the accounts held here that this master secret opened and that were not known to be ours."""
    search, found = ctx.claims, []
    accounts = list(accounts)
    if restoring(ctx):
        _compare_words(ctx, accounts)
    unknown = _unknown(ctx, search)
    for account in accounts:
        if account in unknown.values() or hosted.is_hosted(ctx.store, account) or not _may_be_ours(ctx, account):
            continue
        for root in _roots(ctx, account):
            unknown[root] = account
        ctx.store.put_note(_UNKNOWN + account, b"")
        found += _resolve(ctx, search, unknown)
    search.found += len(found)
    return found


def _resolve(ctx: Context, search: Search, unknown: dict[bytes, AccountId]) -> list[hosted.Hosted]:
    """Looks for the roots in vain so far among more and more indices, as long as that finds any."""
    found: list[hosted.Hosted] = []
    while True:
        _derive(ctx, search, hosted.next_index(ctx) + AHEAD)
        ours = [(root, account) for root, account in unknown.items() if root in search.digests]
        if not ours:
            return found
        for root, account in ours:
            unknown.pop(root)
            if not hosted.is_hosted(ctx.store, account):
                found.append(_claim(ctx, account, search.digests[root]))
                ctx.store.put_note(_UNKNOWN + account, None)


def _claim(ctx: Context, account: AccountId, index: int) -> hosted.Hosted:
    own = hosted.me(ctx)
    mine = index == hosted.OWN_INDEX and (own is None or _is_recovered(ctx, account))
    ctx.store.put_note(_UNNAMED + account, b"")
    return hosted.note(ctx, hosted.Hosted(account, index, ""), mine)


def _derive(ctx: Context, search: Search, upto: int) -> None:
    for index in range(search.upto, upto):
        search.digests[hosted.digest(ctx, index, ROOT_SLOT, 0)] = index
    search.upto = max(search.upto, upto)


def _unknown(ctx: Context, search: Search) -> dict[bytes, AccountId]:
    if search.unknown is None:
        noted = [AccountId(key[-32:]) for key, _ in ctx.store.notes(_UNKNOWN)]
        search.unknown = {root: account for account in noted for root in _roots(ctx, account)}
    return search.unknown


def _may_be_ours(ctx: Context, account: AccountId) -> bool:
    """One look-up: few accounts let this device write, and each that this master opened does."""
    grants = ctx.store.grants(account)
    return grants is not None and ctx.device.key in grants.grants


def _roots(ctx: Context, account: AccountId) -> Iterator[bytes]:
    """Digests of the root that opened the account, and of those that recoveries installed."""
    inception = ctx.store.entry(EntryId(account))
    if inception is not None:
        yield hosted.init_of(inception).slots[ROOT_SLOT].current
        yield from hosted.recovered_roots(hosted.control_of(ctx, account))


def _is_recovered(ctx: Context, account: AccountId) -> bool:
    """Whether a recovery made the account ours: who says `recover --own` means it, whatever was made before."""
    ours = key_digest(ctx.slot(hosted.OWN_INDEX, ROOT_SLOT, 0).key)
    return ours in hosted.recovered_roots(hosted.control_of(ctx, account))


def give_names(ctx: Context) -> int:
    """Accounts that came back are called what their profiles say. Returns how many got a name."""
    search = ctx.claims
    waiting = [key for key, _ in ctx.store.notes(_UNNAMED)]
    later = [key for key in waiting if key > search.looked] or waiting
    given = sum(give_name(ctx, AccountId(key[-32:])) for key in later[:NAMES])
    search.looked = later[:NAMES][-1] if later[:NAMES] else b""
    return given


def give_name(ctx: Context, account: AccountId) -> bool:
    """The account is called what its profile says, now or, where that has not arrived, later. Whether it is now."""
    home, name = hosted.hosted(ctx, account), _profile_name(ctx, account)
    if home is not None and name:
        other = hosted.named(ctx, name)
        unique = name if other in (None, account) else f"{name}-{home.number}"
        hosted.note(ctx, home._replace(name=unique), False)
    waits = home is not None and not name
    ctx.store.put_note(_UNNAMED + account, b"" if waits else None)
    return not waits


def _profile_name(ctx: Context, account: AccountId) -> str:
    """Empty where the profile has not arrived, or what is shown is being built."""
    try:
        fields = ctx.queries().profile(account).fields
    except ViewBuilding:
        return ""
    return next((f.value.strip() for f in fields if f.field == "name"), "")


# -- restoring: from a new store under old keys until its accounts are back


def _compare_words(ctx: Context, accounts: Iterable[AccountId]) -> None:
    """Notes the first account whose recovery words are what was restored as backup words."""
    if ctx.store.note(hosted.WRONG_PAPER) is not None:
        return
    digests = first_digests(ctx.keys, RECOVERIES)
    for account in accounts:
        inception = ctx.store.entry(EntryId(account))
        slots = () if inception is None else hosted.init_of(inception).slots[RECOVERY_SLOT:]
        if slots and slots[0].current in digests:
            ctx.store.put_note(hosted.WRONG_PAPER, account)
            _log.warning("%s", hosted.wrong_paper(account_to_text(account)))
            return


def restoring(ctx: hosted.Reads) -> bool:
    """Whether this store was begun with keys that had accounts, and they may not all be back."""
    return ctx.store.note(RESTORING) is not None


def settle(ctx: Context) -> bool:
    """Ends the restoring once the own account is back and all that a peer with the whole network holds is here."""
    replica = ctx.replica
    whole = [link for link in replica.links.values() if link.hello is not None and not link.hello.partial]
    if hosted.me(ctx) is None or replica.sync.asking.catchup.reading or not any(link.course.live for link in whole):
        return False
    ctx.store.put_note(RESTORING, None)
    return True
