"""How the node stands: who it is, what it holds, how complete that is, and why it differs from a peer."""

from __future__ import annotations

from typing import Any

from banyan_crdt.ids import AccountId, Head, LogId, account_to_text, is_checkpoint, is_control
from banyan_crdt.logs import NOTHING
from banyan_node import claims, completeness
from banyan_node.backend import hosted
from banyan_node.backend.params import Params
from banyan_node.backend.social import name_of
from banyan_node.context import Context
from banyan_node.operator_errors import CallError
from banyan_replica.peers.links import Link
from banyan_replica.peers.withholding import read_withheld
from banyan_replica.sync.catchup import WHOLE, Catchup
from banyan_storage.errors import ViewBuilding
from banyan_storage.queries import Queries


def identity(ctx: Context, p: Params, now: float) -> Any:
    mine = hosted.me(ctx)
    config = ctx.settings.config.node
    return {
        "peer_id": ctx.replica.me.peer,
        "addresses": [],
        "account": account_to_text(mine) if mine else None,
        "realm": ctx.realm.name,
        "store_id": ctx.store.store_id.hex(),
        "writer": ctx.device.key.hex(),
        "name": config.name,
        "role": config.role,
        "running": False,
    }


def status(ctx: Context, p: Params, now: float) -> Any:
    counts, replica, config = ctx.store.counts(), ctx.replica, ctx.settings.config.node
    claimed = _claims(ctx)
    behind = sum(_lag(log, ctx.replica.ingest.head(log), known) for log, known in claimed.items())
    try:
        following, known = _following(ctx, claimed), True
    except ViewBuilding:
        following, known = [], False
    fresh = replica.witnesses.fresh_as_of()
    greeted = [link for link in replica.links.values() if link.hello is not None]
    asked = replica.sync.asking.catchup.reading or any(link.asked for link in greeted)
    doubt = completeness.doubt(ctx)
    return {
        "running": False,
        "ready": True,
        "doubt": doubt,
        "clock": completeness.clock(ctx),
        "complete": doubt is None
        and known
        and not behind
        and not counts.lacking
        and not asked
        and not claims.restoring(ctx)
        and all(f["complete"] for f in following),
        "role": config.role,
        "name": config.name,
        "realm": ctx.realm.name,
        "accounts": counts.accounts,
        "logs": replica.tree.count,
        "entries": counts.entries,
        "root": replica.tree.root.hex(),
        "fresh_as_of": fresh[0] if fresh else None,
        "uptime_s": 0.0,
        "peers": len(greeted),
        "lacking_parts": counts.lacking,
        "catchup": _catchup(replica.sync.asking.catchup),
        "restoring": _restoring(ctx),
        "interest": ctx.settings.config.interest.mode,
        "behind": behind,
        "following": following,
    }


def _claims(ctx: Context) -> dict[LogId, int]:
    """The greatest length that a peer claims of each log on which it differs from us."""
    claims: dict[LogId, int] = {}
    for link in ctx.replica.links.values():
        for log, head in link.differences.items():
            claims[log] = max(claims.get(log, 0), head.length)
    return claims


def _lag(log: LogId, mine: Head, claimed: int) -> int:
    """Entries by which we are behind a claim; a newer checkpoint counts as one."""
    lag = max(0, claimed - mine.length)
    return min(lag, 1) if is_checkpoint(log) else lag


def _following(ctx: Context, claims: dict[LogId, int]) -> list[dict[str, Any]]:
    me = hosted.me(ctx)
    if me is None:
        return []
    q, compared = ctx.queries(), completeness.is_compared(ctx)
    by_account: dict[AccountId, dict[LogId, int]] = {}
    for log, known in claims.items():
        by_account.setdefault(log.account, {})[log] = known
    rows = []
    for account in q.follows(me)[:500]:
        heads = ctx.store.heads(account)
        held = sum(h.length for log, h in heads.items() if not is_checkpoint(log))
        ahead = by_account.get(account, {})
        behind = sum(_lag(log, heads.get(log, NOTHING), known) for log, known in ahead.items())
        asking = sum(any(log.account == account for log in link.asked) for link in ctx.replica.links.values())
        rows.append(
            {
                "account": account_to_text(account),
                "name": name_of(q, account),
                "held": held,
                "known": held + behind,
                "behind": behind,
                "asking": asking,
                "complete": bool(held) and not behind and compared,
            }
        )
    return rows


def _restoring(ctx: Context) -> dict[str, Any] | None:
    """How many accounts of restored keys are back; None once all are that a peer held."""
    if not claims.restoring(ctx):
        return None
    return {"accounts": len(hosted.all_hosted(ctx)), "own": hosted.me(ctx) is not None}


def _catchup(catchup: Catchup) -> dict[str, Any] | None:
    """Who reads the network to us, and how much of it is left; None when nobody does."""
    if not catchup.readers:
        return None
    return {"peers": len(catchup.readers), "left": round(sum(s.width for s in catchup.left()) / WHOLE.width, 3)}


def peers(ctx: Context, p: Params, now: float) -> Any:
    rows: list[dict[str, Any]] = []
    standing = ctx.replica.standing
    for link in ctx.replica.links.values():
        info = ctx.replica.gossip
        rows.append(
            {
                "peer": link.peer,
                "address": link.address,
                "name": "",
                "role": "platform" if link.hello and link.hello.operator else "",
                "connected": link.hello is not None,
                "inbound": not link.outbound,
                "score": info.score(link.peer) - round(standing.points(link.peer, now), 1),
                "ban": None,
                "reason": standing.last_reason(link.peer) if standing.points(link.peer, now) else None,
                "behind": _behind(ctx, link),
                "since_ms": int(link.since * 1000),
            }
        )
    for peer, (left, reason) in standing.bans(now).items():
        ban = {"until_ms": int((now + left) * 1000), "reason": reason}
        rows.append(
            {
                "peer": peer,
                "address": "",
                "name": "",
                "role": "",
                "connected": peer in ctx.replica.links,
                "inbound": False,
                "score": -round(standing.points(peer, now), 1),
                "ban": ban,
                "reason": reason,
                "behind": None,
                "since_ms": None,
            }
        )
    return rows


def _behind(ctx: Context, link: Link) -> int | None:
    """Entries by which we are behind what the peer last claimed; None before it was compared."""
    if link.hello is None:
        return None
    if link.equal:
        return 0
    head = ctx.replica.ingest.head
    return sum(_lag(log, head(log), theirs.length) for log, theirs in link.differences.items())


def link_of(ctx: Context, peer: str) -> Link:
    """A linked peer by its id or a unique beginning of it. Raises CallError."""
    found = [link for name, link in ctx.replica.links.items() if name.startswith(peer) or name.endswith(peer)]
    if len(found) != 1 or not peer:
        linked = ", ".join(sorted(name for name in ctx.replica.links)) or "nobody"
        raise CallError("no_peer", f"No one peer is called '{peer}'; linked are: {linked}.", 404)
    return found[0]


def compare_with(ctx: Context, peer: str, now: float) -> str:
    """Starts a comparison by sums, whatever was compared before."""
    link = link_of(ctx, peer)
    link.differences.clear()
    ctx.replica.compare(link.peer, now)
    return link.peer


def differences(ctx: Context, peer: str) -> list[dict[str, Any]]:
    link = link_of(ctx, peer)
    q = ctx.queries()
    rows: list[dict[str, Any]] = []
    for log, theirs in link.differences.items():
        mine = ctx.replica.ingest.head(log)
        if mine == theirs:
            continue
        reason, sentence = _why(ctx, link, log, mine, theirs)
        rows.append(
            {
                "account": account_to_text(log.account),
                "name": name_of(q, log.account),
                "writer": log.writer.hex(),
                "log": log.log,
                "mine": mine.length,
                "theirs": theirs.length,
                "reason": reason,
                "sentence": sentence,
            }
        )
    for (entry, op), why in ctx.replica.missing.withheld.items():
        where = ctx.store.place(entry)
        if where is None:
            continue
        log, seq = where
        said = read_withheld(ctx.realm, why, entry, op).sentence if why else "withheld without a statement"
        text = f"the content of operation {op} of entry {seq} is {said}"
        rows.append(
            {
                "account": account_to_text(log.account),
                "name": name_of(q, log.account),
                "writer": log.writer.hex(),
                "log": log.log,
                "mine": seq,
                "theirs": seq,
                "reason": "withheld",
                "sentence": text,
            }
        )
    return rows


_NOTED = {
    "account": "not yet known",
    "grant": "not yet granted",
    "future": "from the future",
    "limit": "over its limit",
    "until": "over its limit",
    "cut": "cut",
    "gap": "behind",
    "control": "not yet known",
    "version": "newer version",
}


def _why(ctx: Context, link: Link, log: LogId, mine: Head, theirs: Head) -> tuple[str, str]:
    """A word and a sentence for one difference."""
    control = ctx.replica.ingest.control_of(log.account)
    note = ctx.replica.intake.notes.get((link.peer, log))
    if mine.flag or theirs.flag:
        word = "frozen" if is_control(log) else "forked"
        who = "here" if mine.flag else "at the peer"
        return word, f"the log is {word} {who}: it counts up to entry {(mine if mine.flag else theirs).length}"
    if log.log and control is not None and log.writer in control.cuts:
        return "cut", f"its writer was cut off; {mine.length} entries count here"
    if (blamed := completeness.control_blame(ctx, link, log, mine, theirs)) is not None:
        return blamed
    if note is not None:
        return _NOTED[note.reason], note.sentence
    if log.log and control is not None and control.grant_of(log.writer, log.log) is None:
        return "not yet granted", "the account's control log that is held here grants no such log"
    if is_checkpoint(log):
        newer = (theirs.length, theirs.id or b"") > (mine.length, mine.id or b"")
        return ("behind" if newer else "ahead"), f"checkpoint {mine.length} is held here, {theirs.length} at the peer"
    if theirs.length > mine.length:
        return "behind", f"the peer has {_entries(theirs.length - mine.length)} more"
    if theirs.length < mine.length:
        wrong = completeness.wrong_clock(ctx)
        return "ahead", f"the peer lacks {_entries(mine.length - theirs.length)}" + (f": {wrong}" if wrong else "")
    return "diverged", f"both have {mine.length} entries and another last one"


def _entries(n: int) -> str:
    return "1 entry" if n == 1 else f"{n:,} entries"


def digest(q: Queries, p: Params) -> Any:
    return {
        "digest": q.reader.digest().hex(),
        "views": q.views_digest().hex(),
        "entries": q.reader.counts().entries,
        "lacking_parts": q.lacking_parts(),
    }


def graph_stats(q: Queries, p: Params) -> Any:
    s = q.graph_stats()
    return {
        "accounts": s.accounts,
        "follows": s.follows,
        "posts": s.posts,
        "replies": s.replies,
        "reactions": s.reactions,
        "reposts": s.reposts,
        "entries": s.entries,
        "bytes": s.stored_bytes,
        "digest": s.digest.hex(),
    }


METHODS = {"id": identity, "status": status}
READS = {"digest": digest, "graph.stats": graph_stats}
