"""Whether a node may report `complete`: nothing is known to be missing, and a peer could tell.

A node without peers knows of nothing missing. Nor does a node with a wrong clock, since its entries or those of others
seem to come from the future, or a node whose peers may all be one stranger. So a node reports `complete` only after it
has compared itself with a peer, and the operator named that peer, or such peers are in several networks, or its state
matched a statement of a named platform lately; until then `doubt` says why not. Where all linked peers hold chosen
accounts, it is asked further whether they hold those of this node: a hub that holds none of them agrees with everybody.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from itertools import islice

from banyan_crdt.errors import Reason
from banyan_crdt.ids import AccountId, Head, LogId, account_to_text, control_log, is_checkpoint, is_control
from banyan_node.hosting import claims, hosted
from banyan_node.hosting.hosted import Reads
from banyan_node.workers.publisher import NETWORKS, LocalIdentity, PublishedState
from banyan_replica.status import LinkView
from banyan_replica.wire.messages import NAME_BYTES
from banyan_storage.errors import ViewBuilding

LOOKED = 1_000
"""Of accounts that no peer holds and nobody here follows, so many are looked at: whether they are held here."""
SAMPLED = 10_000
"""A node that holds all looks at so many of its accounts, the first by id: whether peers hold them."""


REFUSED: dict[Reason, str] = {
    "version": "a newer version of the protocol; update this software",
    "account": "the account's control log, which they need, is asked for",
    "grant": "no control log that is held here lets their writer write them; a newer one is asked for",
    "gap": "entries before them are missing, and are asked for",
    "future": "they are dated in the future, and taken when their time comes; there is nothing to do",
    "until": "they are dated after the end of their writer's grant; only the account's owner can change that",
    "limit": "their writer may not have written so many by now; there is nothing to do",
    "cut": "the account has cut off their writer; there is nothing to do",
    "control": "the rest of the account's control log is missing, and is asked for",
    "branch": "they are on a branch that does not count; there is nothing to do",
    "busy": "they cost too much just now; they are taken later, and there is nothing to do",
    "full": "",
}
"""Why entries are not taken, and what to do, for each reason; empty: the sentence of the refusal says it."""


def doubt(at: Reads, here: LocalIdentity, seen: PublishedState) -> str | None:
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
    if (refused := _refused(at, seen)) is not None:
        return refused
    if not seen.compared:
        return "no comparison with a peer is finished yet"
    if not seen.grounds:
        return _named_ahead(at, seen) or (
            f"it agrees with peers that nobody named, of fewer than {NETWORKS} networks, and these may all be one "
            "stranger; name a peer that you trust (`banyan peers add`, node.bootstrap) or its platform (node.platforms)"
        )
    if seen.unheard:
        return f"accounts that name accounts of this node are yet to be fetched: {seen.unheard}"
    return _held_by_nobody(at, seen)


def _held_by_nobody(at: Reads, seen: PublishedState) -> str | None:
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
        lacking = sorted(account for account in seen.interest - set(own) if not _any_has(told, account))
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


def _refused(at: Reads, seen: PublishedState) -> str | None:
    """What is not taken though peers have it, and why: for the reason that keeps most entries away."""
    lacking = {log: (why, lag(log, at.store.head(log), length)) for log, (why, length) in seen.refused.items()}
    by_reason = Counter[Reason]()
    for why, n in lacking.values():
        by_reason[why.reason] += n
    reason, n = next(iter(by_reason.most_common(1)), ("busy", 0))
    if not n:
        return None
    logs = [log for log, (why, lacks) in lacking.items() if why.reason == reason and lacks]
    accounts = sorted({log.account for log in logs})
    more = len(accounts) - 1
    others = f" and of {more:,} other account{'s' * (more > 1)}" if more else ""
    said = REFUSED[reason] or lacking[logs[0]][0].sentence
    are = "is" if n == 1 else "are"
    return f"{entries(n)} of {account_to_text(accounts[0])}{others}, which peers have, {are} not taken: {said}"


def _named_ahead(at: Reads, seen: PublishedState) -> str | None:
    """A sentence if a linked peer that the operator named does not agree with this node yet."""
    named = [link for link in seen.links if link.named and link.greeted]
    if not named:
        return None
    lacking = max(behind(at, link) for link in named)
    who = "the linked peer that you named does" if len(named) == 1 else f"{len(named)} linked peers that you named do"
    return f"{who} not agree with this node yet" + (f", which is {entries(lacking)} behind" if lacking else "")


def entries(n: int) -> str:
    return "1 entry" if n == 1 else f"{n:,} entries"


def behind(at: Reads, link: LinkView) -> int:
    """How many entries this node lacks by the peer's last claims."""
    return sum(lag(log, at.store.head(log), theirs.length) for log, theirs in link.differences.items())


def lag(log: LogId, mine: Head, claimed: int) -> int:
    """How many entries this node lacks of a log by a claim; a newer checkpoint counts as one."""
    lacking = max(0, claimed - mine.length)
    return min(lacking, 1) if is_checkpoint(log) else lacking


def _linked(seen: PublishedState) -> bool:
    return any(link.greeted for link in seen.links)


def _itself(here: LocalIdentity, seen: PublishedState) -> str:
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
