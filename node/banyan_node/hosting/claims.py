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

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from banyan_crdt.control import Control, control_op
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, Time, account_to_text, control_log, key_digest
from banyan_crdt.ops import Close, Cut, Drop, Grant, Op, Recover, Rotate, decode_body
from banyan_node.context import Context, Search
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT
from banyan_node.home.recovery import first_digests
from banyan_node.hosting import erasure, hosted
from banyan_node.workers.publisher import LocalIdentity
from banyan_replica.intake.own_tips import own_tips
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


# Whether this node still controls its own account, and what to do if not.
#
# A thief of the home or of its keys can do to the control log what its owner can: close the account, cut this device
# off, move the root key, drop a log, let a writer in, or fork the log below what was written here. A copied home also
# posts and deletes with this node's key, in a log of its own or in one that it forks. This store notes what it wrote
# itself, so it can tell what it did not write. Another home of the same owner looks the same. So the sentence says what
# was done, and the reader must judge.


def trouble(at: hosted.Reads, here: LocalIdentity) -> str | None:
    """What is wrong, in a sentence without a full stop. None: nothing, or this node has no own account."""
    me = hosted.me(at)
    home = None if me is None else hosted.hosted(at, me)
    if me is None or home is None:
        return None
    return _of_control_log(at, here, me, home) or _of_own_logs(at, here, me, home)


def _of_control_log(at: hosted.Reads, here: LocalIdentity, me: AccountId, home: hosted.LocalAccount) -> str | None:
    tips = own_tips(at.store, control_log(me))
    if _is_plainly_ours(at, here, me, tips):
        return None
    control = hosted.control_at(at, me)
    ours = _written_here(at.store.control(me), tips)
    foreign = [entry for entry in control.path if entry.id not in ours] if tips else []
    what = _what(control, foreign if tips else control.path, here, home)
    if what is None and tips and all(entry.id != tips[-1] for entry in control.path):
        what = "entries of its control log that this node wrote no longer count, because others replaced them"
    if what is None:
        return None
    undo = f" --undo {foreign[0].header.seq}" if foreign else ""
    return f"this node no longer controls its own account: {what}; {_remedy(control, here, home, undo)}"


def _of_own_logs(at: hosted.Reads, here: LocalIdentity, me: AccountId, home: hosted.LocalAccount) -> str | None:
    """What was written with this node's key and not here. A restored home does not know what it wrote before: that is
    all older than the first entry of its own."""
    written, foreign, since = list[tuple[LogId, Head]](), list[tuple[LogId, Head]](), list[Time]()
    for log, head in at.store.heads(me).items():
        tips = own_tips(at.store, log)
        if log == control_log(me):
            since += [entry.header.time for entry in map(at.store.entry, tips) if entry is not None]
        elif log.log and log.writer == here.writer:
            (written if tips else foreign).append((log, head))
            since += [entry.header.time for entry in (at.store.chain(log, 0, 1) if tips else ())]
    what = None
    for log, head in foreign:
        last = None if head.id is None else at.store.entry(head.id)
        if last is not None and since and last.header.time > min(since):
            many = _entries(head.length)
            what = f"somebody else writes with this node's key: log {log.log}, {many}, is not of this home"
    for log, head in written:
        if head.flag:
            what = (
                f"this node's key wrote two branches of log {log.log}, in a copied home or after an older copy of the "
                "store was put back, and what follows the fork does not count (recovery keeps what was written here)"
            )
    return None if what is None else f"{what}; {_remedy(hosted.control_at(at, me), here, home)}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _remedy(control: Control, here: LocalIdentity, home: hosted.LocalAccount, undo: str = "") -> str:
    renew = "" if hosted.is_renewed(here, control, home) else "`banyan down`, `banyan keys renew`, "
    return (
        f"if that was not you, {renew}`banyan account recover{undo}`, and `banyan account drop` removes what "
        "somebody else wrote"
    )


def _is_plainly_ours(at: hosted.Reads, here: LocalIdentity, me: AccountId, tips: Sequence[EntryId]) -> bool:
    """A cheap test that reads no control log: its last entry was written here, and this node may write."""
    head, rights = at.store.head(control_log(me)), at.store.grants(me)
    if rights is None or rights.closed or head.flag or head.id not in tips:
        return False
    return here.writer in rights.grants and here.writer not in rights.cuts


def _written_here(entries: Sequence[Entry], tips: Sequence[EntryId]) -> set[EntryId]:
    """The entries that this node wrote last on each branch, and their ancestors, which it had accepted."""
    held, found = {entry.id: entry for entry in entries}, set[EntryId]()
    for tip in tips:
        at: EntryId | None = tip
        while at is not None and at in held and at not in found:
            found.add(at)
            at = held[at].header.prev
    return found


def _what(control: Control, foreign: Sequence[Entry], here: LocalIdentity, home: hosted.LocalAccount) -> str | None:
    """Why this node does not control the account, or None. foreign: entries of the path that it did not write. A
    restored home wrote none, so then `foreign` is the whole path, and entries of the owner are among them."""
    if control.frozen:
        return "it is frozen, because two keys of equal strength disagree"
    if control.closed:
        closed = _last(foreign, Close)
        return None if closed is None else f"it was closed by {closed}"
    if here.writer in control.cuts:
        cut = _last(foreign, Cut)
        return None if cut is None else f"this node was cut off by {cut}"
    moved = _last(foreign, Recover) or _last(foreign, Rotate)
    can = hosted.key_here(here, home, ROOT_SLOT, control.keys[ROOT_SLOT].current) is not None
    if moved is not None and not (can and foreign is control.path):
        return f"its root key was moved by {moved}"  # also to a key that this node can make: a copied home has the same
    if not can:
        return "its root key is not one that this node can make"
    if here.writer not in control.grants:
        return "it does not let this node write"
    for kind, what in _SMALLER.items() if foreign is not control.path else ():
        if found := _last(foreign, kind):
            return f"{what} by {found}"
    return None


_SMALLER: dict[type[Any], str] = {
    Drop: "a log of it was dropped, with all that it says,",
    Cut: "a writer of it was cut off",
    Grant: "another writer was let in",
}


def _last(entries: Sequence[Entry], kind: type[Any]) -> str | None:
    for entry in reversed(entries):
        if any(isinstance(op, kind) for op in _ops(entry)):
            return f"entry {entry.header.seq} of its control log, which was not written here"
    return None


def _ops(entry: Entry) -> tuple[Op, ...]:
    return control_op(decode_body(entry.ops))
