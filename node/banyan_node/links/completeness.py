"""Whether a node may report `complete`: nothing is known to be missing, and a peer could tell.

A node without peers knows of nothing missing. Nor does a node with a wrong clock, since its entries or those of others
seem to come from the future, or a node whose peers may all be one stranger. So a node reports `complete` only after it
has compared itself with a peer, and the operator named that peer, or such peers are in several networks, or its state
matched a statement of a named platform lately; until then `doubt` says why not. Where all linked peers hold chosen
accounts, it is asked further whether they hold those of this node: a hub that holds none of them agrees with everybody.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import islice

from banyan_crdt.ids import AccountId, Head, LogId, account_to_text, control_log, is_control
from banyan_node.hosting import claims, hosted
from banyan_node.hosting.hosted import Reads
from banyan_node.links.grounds import NETWORKS
from banyan_node.workers.published import Here, Published
from banyan_replica.wire import NAME_BYTES
from banyan_storage.errors import ViewBuilding

LOOKED = 1_000
"""Of accounts that no peer holds and nobody here follows, so many are looked at: whether they are held here."""
SAMPLED = 10_000
"""A node that holds all looks at so many of its accounts, the first by id: whether peers hold them."""


def doubt(at: Reads, here: Here, seen: Published) -> str | None:
    """Why this node cannot know that it is complete, in a sentence without a full stop; None if it can."""
    if claims.restoring(at):
        return f"the accounts of restored keys are still being searched{_itself(here, seen)}"
    if seen.full:
        return f"nothing of others is taken: {seen.full}"
    if seen.strangers.full:
        return f"not all accounts of strangers are taken: {seen.strangers.full}"
    if seen.strangers.part:
        return seen.strangers.part
    if seen.wrong_clock is not None:
        return seen.wrong_clock
    if not _linked(seen):
        named = len(here.settings.config.node.bootstrap)
        tried = f"; no answer from any of the {named} in node.bootstrap" if named else ""
        return f"no peer is connected, so nothing tells what may be missing{_itself(here, seen) or tried}"
    if not seen.compared:
        return "no comparison with a peer is finished yet"
    if not seen.grounds:
        return (
            f"it agrees with peers that nobody named, of fewer than {NETWORKS} networks, and these may all be one "
            "stranger; name a peer that you trust (`banyan peers add`, node.bootstrap) or its platform (node.platforms)"
        )
    if seen.unheard:
        return f"accounts that name accounts of this node are yet to be fetched: {seen.unheard}"
    return _held_by_nobody(at, seen)


def _held_by_nobody(at: Reads, seen: Published) -> str | None:
    """A sentence if no linked peer holds an account that this node holds, or that people at a node of chosen accounts
    follow: then it agrees with its peers, and they cannot know what that account wrote since."""
    compared = [link.names for link in seen.links if link.compared]
    told = [names for names in compared if names is not None]
    if len(told) < len(compared):
        return None
    lacking, followed = list[AccountId](), list[AccountId]()
    if seen.interest is not None:
        own = hosted.ids(at)
        try:
            follows = {account for one in own for account in at.queries().follows(one)}
        except ViewBuilding:
            return None
        lacking = sorted(account for account in seen.interest.difference(own) if not _any_has(told, account))
        followed = [account for account in lacking if account in follows]
    elif not seen.witnessed:
        some = islice(at.store.accounts(), SAMPLED)
        lacking = [one for one in some if not _any_has(told, one) and not hosted.is_hosted(at.store, one)]
    held = (account for account in lacking[:LOOKED] if at.store.head(control_log(account)).length)
    first = next(iter(followed), None) or next(held, None)
    if first is None:
        return None
    others = f" and of {len(followed) - 1} others whom people here follow" if len(followed) > 1 else ""
    return (
        f"no connected peer holds the posts of {account_to_text(first)}{others}, so nothing tells what was written "
        "since; connect to a node that does (`banyan peers add`): theirs, or one that holds all accounts"
    )


def _any_has(told: Iterable[Container[bytes]], account: AccountId) -> bool:
    return any(account[:NAME_BYTES] in names for names in told)


def _linked(seen: Published) -> bool:
    return any(link.greeted for link in seen.links)


def _itself(here: Here, seen: Published) -> str:
    """Says so if no peer is connected and all that the node is to dial is itself: whoever restores keys may name the
    node that they came from, which may still run."""
    named = here.settings.config.node.bootstrap
    if _linked(seen) or not named or any(address.rsplit("/p2p/", 1)[-1] != here.peer for address in named):
        return ""
    return "; node.bootstrap names only this node itself, and two nodes must not run with the same keys: name another"


def control_blame(
    at: Reads, differences: Mapping[LogId, Head], log: LogId, mine: Head, theirs: Head
) -> tuple[str, str] | None:
    """(word, sentence) if a log differs because the control log of its account differs; None otherwise."""
    if is_control(log):
        return None
    control = control_log(log.account)
    here, there = at.store.head(control), differences.get(control)
    if there is None or here == there:
        return None
    lengths = f"the account's control log has length {here.length} here and {there.length} at the peer"
    if there.length > here.length and theirs.length > mine.length:
        return "control", f"{lengths}: this log waits for the rest of it"
    if there.length < here.length and theirs.length < mine.length:
        return "control", f"{lengths}: the peer needs the rest of it before it can accept this log"
    return None
