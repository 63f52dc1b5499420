"""Finds the accounts of restored keys as their control logs arrive from peers.

The store notes which accounts a node hosts, and a new store has no notes. But every account that this master secret
opened grants this master's device key, and its root key is derived from the secret and an index. So each control log
that arrives is checked: does it let this device write, and is its root one of ours? The invariants:

- Only the account with index 0 is the node's own, or the one that the owner named (`keys restore --account`).
- An account whose root key is not ours any more comes back as long as this device may write in it, and not after its
  user has left. One that is erased here, of which the control log stays, does not come back.
- One that is closed, but for the own one, is not hosted either, until its recovery key opens it again: only the lost
  store knew whether it was to be erased here. If it wishes that, it is erased as at a node that named its host.
- A root that matched no index is noted, and tried again when higher indices are in use.
- An account gets its name from its profile, once that has arrived. No name is made up.
- If the restored words are the recovery words of an account that arrives, a warning says so, because they restore no
  node. (Newer recovery words are marked, see mnemonic.py; older ones are not.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from banyan_crdt.ids import AccountId, EntryId, account_to_text, key_digest
from banyan_node.context import Context, Search
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.home.recovery import first_digests
from banyan_node.hosting import erasure, hosted
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import CLOSED, OWN_NAMED, RESTORING, UNCLAIMED, UNNAMED, WRONG_PAPER

AMONG_FEW_S = 60.0
"""How long a link to a node of chosen accounts must have stood, while none with the whole network is linked."""
AHEAD = 1_024
"""Indices tried beyond the last known one, as accounts arrive in any order: 50 ms of key derivation."""
NAMES = 1_000
"""Unnamed accounts whose profiles are read in one step: 50 ms."""
RECOVERIES = 8
"""Rotations that are tried to find out whether recovery words were restored as backup words."""
_log = logging.getLogger(__name__)


def take(ctx: Context, accounts: Iterable[AccountId]) -> list[hosted.LocalAccount]:
    """Those of `accounts` that this master secret opened and that were not yet known as hosted here. Those that left
    are hosted here no longer."""
    search, found = ctx.claims, []
    accounts = list(accounts)
    for account in accounts:
        home = hosted.hosted(ctx, account)
        if home is not None and (
            _has_left(ctx, account, home.number) or (restoring(ctx) and _is_closed(ctx, account, home.number))
        ):
            hosted.end(ctx, account)
    if restoring(ctx):
        _compare_words(ctx, accounts)
    unknown = _unknown(ctx, search)
    for account in accounts:
        if account in unknown.values() or hosted.is_hosted(ctx.store, account) or not _may_be_ours(ctx, account):
            continue
        for root in _roots(ctx, account):
            unknown[root] = account
        UNCLAIMED.put(ctx.store, account, True)
        found += _resolve(ctx, search, unknown)
    search.found += len(found)
    return found


def _resolve(ctx: Context, search: Search, unknown: dict[bytes, AccountId]) -> list[hosted.LocalAccount]:
    """Compares the unmatched roots with AHEAD more indices, and repeats this while one matches."""
    found: list[hosted.LocalAccount] = []
    while True:
        _derive(ctx, search, hosted.next_index(ctx) + AHEAD)
        ours = [(root, account) for root, account in unknown.items() if root in search.digests]
        if not ours:
            return found
        for root, account in ours:
            unknown.pop(root)
            index = search.digests[root]
            if not hosted.is_hosted(ctx.store, account) and not _has_left(ctx, account, index):
                if _is_closed(ctx, account, index):
                    says = "%s is an account of these keys and is closed: it is not hosted here (`banyan account show`)"
                    _log.warning(says, account_to_text(account))
                    CLOSED.put(ctx.store, account, True)
                else:
                    found.append(_claim(ctx, account, index))
            UNCLAIMED.put(ctx.store, account, None)


def _has_left(ctx: Context, account: AccountId, index: int) -> bool:
    """Whether a user took the account elsewhere, or it is erased here. The own account never leaves: who cut it off is
    a thief."""
    control = hosted.control_of(ctx, account)
    if erasure.is_begun(ctx.store, account, control):
        return True
    if index == hosted.OWN_INDEX or ctx.device.key not in control.cuts:
        return False
    home = hosted.LocalAccount(account, index, "")
    return hosted.key_here(ctx, home, ROOT_SLOT, control.keys[ROOT_SLOT].current) is None


def _is_closed(ctx: Context, account: AccountId, index: int) -> bool:
    return index != hosted.OWN_INDEX and hosted.control_of(ctx, account).closed


def _claim(ctx: Context, account: AccountId, index: int) -> hosted.LocalAccount:
    own, named = hosted.me(ctx), OWN_NAMED.get(ctx.store)
    mine = index == hosted.OWN_INDEX and (own is None or _since(ctx, account) > _since(ctx, own))
    if named is not None:
        mine = account == named
    UNNAMED.put(ctx.store, account, True)
    return hosted.note(ctx, hosted.LocalAccount(account, index, ""), mine)


def _derive(ctx: Context, search: Search, upto: int) -> None:
    for index in range(search.upto, upto):
        search.digests[hosted.digest(ctx, index, ROOT_SLOT, 0)] = index
    search.upto = max(search.upto, upto)


def _unknown(ctx: Context, search: Search) -> dict[bytes, AccountId]:
    if search.unknown is None:
        search.unknown = {root: account for account in UNCLAIMED.keys(ctx.store) for root in _roots(ctx, account)}
    return search.unknown


def _may_be_ours(ctx: Context, account: AccountId) -> bool:
    """A cheap first test: each account that this master opened lets this device write, and few others do."""
    grants = ctx.store.grants(account)
    return grants is not None and ctx.device.key in grants.grants


def _roots(ctx: Context, account: AccountId) -> Iterator[bytes]:
    """Digests of the root key that opened the account, and of those that came in by recoveries and by moves."""
    inception = ctx.store.entry(EntryId(account))
    if inception is not None:
        yield hosted.init_of(inception).slots[ROOT_SLOT].current
        yield from hosted.later_roots(hosted.control_of(ctx, account))


def _since(ctx: Context, account: AccountId) -> int:
    """When `recover --own` or `take` made the account the node's own, in the place of the one before. 0: it was opened
    as the own one."""
    ours = key_digest(ctx.slot(hosted.OWN_INDEX, ROOT_SLOT, 0).key)
    path = hosted.control_of(ctx, account).path
    return next((entry.header.time for entry in path if ours in hosted.roots_in(entry)), 0)


def give_names(ctx: Context) -> int:
    """Names accounts that came back after their profiles. Returns how many got a name."""
    search, own = ctx.claims, hosted.me(ctx)
    given = int(own is not None and UNNAMED.has(ctx.store, own) and give_name(ctx, own))
    waiting = UNNAMED.keys(ctx.store, after=search.looked)
    later = [*islice(waiting, NAMES)] or [*islice(UNNAMED.keys(ctx.store), NAMES)]
    search.looked = later[-1] if later else None
    return given + sum(give_name(ctx, account) for account in later)


def unnamed(ctx: hosted.Reads) -> int:
    """How many accounts came back before their profiles."""
    return sum(1 for _ in UNNAMED.keys(ctx.store))


def closed(ctx: hosted.Reads) -> int:
    """How many accounts of these keys were met closed, and so are not hosted."""
    return sum(not hosted.is_hosted(ctx.store, account) for account in CLOSED.keys(ctx.store))


def give_name(ctx: Context, account: AccountId) -> bool:
    """Names the account after its profile. False if the profile has not arrived; then it is named later."""
    home, name = hosted.hosted(ctx, account), _profile_name(ctx, account)
    if home is not None and name:
        other = hosted.named(ctx, name)
        unique = name if other in (None, account) else f"{name}-{home.number}"
        hosted.note(ctx, home._replace(name=unique), False)
    waits = home is not None and not name
    UNNAMED.put(ctx.store, account, waits or None)
    return not waits


def _profile_name(ctx: Context, account: AccountId) -> str:
    """Empty if the profile has not arrived, or its view is being built."""
    try:
        fields = ctx.queries().profile(account).fields
    except ViewBuilding:
        return ""
    return next((f.value.strip() for f in fields if f.field == "name"), "")


# -- restoring: a new store with restored keys, until its accounts are back


def _compare_words(ctx: Context, accounts: Iterable[AccountId]) -> None:
    """Notes the first account whose recovery words were restored as if they were backup words."""
    if WRONG_PAPER.get(ctx.store) is not None:
        return
    digests = first_digests(ctx.keys, RECOVERIES)
    for account in accounts:
        inception = ctx.store.entry(EntryId(account))
        slots = () if inception is None else hosted.init_of(inception).slots[RECOVERY_SLOT:]
        if slots and slots[0].current in digests:
            WRONG_PAPER.put(ctx.store, account)
            _log.warning("%s", hosted.wrong_paper(account_to_text(account)))
            return


def restoring(ctx: hosted.Reads) -> bool:
    """Whether this store was made with restored keys, and some of their accounts may be missing."""
    return RESTORING.get(ctx.store) is not None


def settle(ctx: Context, now: float) -> bool:
    """Ends the restoring once the own account is back and everything of a peer with the whole network is here. A
    hobbyist who meets only nodes of chosen accounts has all that it hosts once it has what one of them has."""
    view = ctx.replica.status.view(now)
    greeted = [link for link in view.links if link.greeted]
    whole = [link for link in greeted if not link.partial]
    if not whole and ctx.settings.config.node.role != "platform":
        whole = [link for link in greeted if now - link.since > AMONG_FEW_S]
    if hosted.me(ctx) is None or view.reading or not any(link.equal for link in whole):
        return False
    RESTORING.put(ctx.store, None)
    return True
