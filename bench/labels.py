"""What a storm of labels costs a node that follows whoever gives them.

Two real nodes, each in a process of its own, with default settings, linked over loopback. The first hosts an issuer,
which gives labels of posts that nobody holds, and of 50 posts of the other node, as fast as its writer's quotas let it;
the second one follows its labels. Before, and once it holds and shows all of them, the second one is asked for a page
of the timeline by a reader who chose nothing, its memory, the bytes of its store, how long it takes to write a post,
and what its operator is shown; at last for a page by a reader who chose the issuer.

python -m bench labels --json
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import CellKey, account_from_text, is_control
from banyan_node.context import Context, folded_again
from banyan_node.hosting import hosted
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_replica.intake.author import EntryDraft
from banyan_schema.social import Target, post_from_text
from banyan_schema.social.label import Label, label
from bench.harness import BenchError, anon_mb, arguments, at_least, finish, percentile, say, workplace
from bench.rig.child import Line
from bench.rig.processes import Child, new_home

PEOPLE, ASKED, WRITTEN = 50, 100, 50
AN_ENTRY, AT_ONCE, LOGS = 180, 1_440, 4
"""Labels of one entry, which has at most 16 kB of operations, and of one call; logs of one writer."""
LATE_S = 3_600.0


async def node(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """It says who it is, writes posts, gives labels, follows them, and measures."""
    (here,), call = nodes, nodes[0].backend.call
    account = (await call("account.create", {"name": params["name"], "hosted": True}))["account"]
    line.say({"account": account, "address": here.edge.addresses[0]})
    async for asked in line:
        match asked:
            case {"post": n}:
                line.say([(await call("post", {"as": account, "text": f"post {k}"}))["uri"] for k in range(n)])
            case {"label": first, "until": last, "posts": posts}:
                made = await here.worker.call(partial(_label, account, posts, first, last))
                line.say(made)
            case {"follow": issuer, "peer": peer}:
                await call("peers.add", {"addr": peer})
                row = await call("labeller.set", {"account": issuer, "does": "warn"})
                line.say(row)
            case {"choose": issuer}:
                line.say(await call("labeller.choose", {"as": account, "account": issuer, "wish": "hide"}))
            case {"entries": issuer}:
                line.say(await here.worker.call(partial(_entries, issuer)))
            case "folding":
                line.say(await here.worker.call(lambda ctx, now: folded_again(ctx.engine) > 0))
            case {"page": n}:
                line.say([await _took(here, "feed", {"all": True, "limit": 50, "as": account}) for _ in range(n)])
            case {"write": n}:
                line.say([await _took(here, "post", {"as": account, "text": f"timed {k}"}) for k in range(n)])
            case "labellers":
                began = time.monotonic()
                (row,) = (await call("labeller.list", {}))["labellers"]
                line.say({**row, "seconds": time.monotonic() - began})
            case {"accept": issuer}:
                try:
                    line.say(await call("labeller.accept", {"account": issuer}))
                except CallError as why:
                    line.say(str(why))
            case "bytes":
                store = here.home.store
                files = [store] if store.is_file() else [one for one in store.rglob("*") if one.is_file()]
                line.say(sum(one.stat().st_blocks * 512 for one in files))


async def _took(here: Node, method: str, params: dict[str, Any]) -> float:
    began = time.monotonic()
    await here.backend.call(method, params)
    return time.monotonic() - began


def _label(account: str, posts: list[str], first: int, last: int, ctx: Context, now: float) -> int:
    """Gives the labels of these numbers; the first ones are of the posts. Returns how many: a quota may be full."""
    issuer, about = account_from_text(account), list(map(post_from_text, posts))
    salt, log, at = hosted.salt_of(ctx, issuer), hosted.writable_log(ctx, issuer), first
    while at < last:
        some = range(at, min(at + AN_ENTRY, last))
        made = [label(salt, Label(about[n] if n < len(about) else _nowhere(about[0], n), "spam")) for n in some]
        draft = EntryDraft(tuple(one.op for one in made), tuple(one.content for one in made))
        try:
            ctx.replica.writes.publish(log, ctx.device, [draft], now)
        except BanyanError:  # the quota of this log is full; a writer has several
            if log.log == LOGS:
                break
            log = log._replace(log=log.log + 1)
            continue
        at += len(some)
    return at - first


def _nowhere(post: Target, n: int) -> Target:
    """A post that its author did not write."""
    return Target(post.account, CellKey(hashlib.sha256(n.to_bytes(8, "big")).digest()[:16]))


def _entries(issuer: str, ctx: Context, now: float) -> int:
    return sum(head.length for log, head in ctx.store.heads(account_from_text(issuer)).items() if not is_control(log))


def _page_ms(of: Child) -> float:
    return round(percentile(of.ask({"page": ASKED}), 0.5) * 1e3, 2)


def _write_ms(of: Child) -> dict[str, float]:
    took = of.ask({"write": WRITTEN})
    return {"p50": round(percentile(took, 0.5) * 1e3, 1), "most": round(max(took) * 1e3, 1)}


def _state(of: Child) -> dict[str, Any]:
    row = of.ask("labellers")
    return {
        "page_ms": _page_ms(of),
        "write_ms": _write_ms(of),
        "anon_mb": anon_mb(of.pid),
        "store_mb": round(of.ask("bytes") / 1e6, 1),
        "labeller": {key: row[key] for key in ("standing", "waits")},
        "list_ms": round(row["seconds"] * 1e3, 1),
    }


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: Any) -> None:
        parser.add_argument("--labels", type=at_least(1), default=1_000_000, help="default: 1,000,000; --quick: 2,000")

    args = arguments("labels", __doc__, argv, rounds=1, more=more)
    wanted = 2_000 if args.quick else args.labels
    with workplace(args.folder) as folder, ExitStack() as stack:
        homes = [new_home(folder / name) for name in ("issuer", "follower")]
        issuing, following = (
            stack.enter_context(Child("bench.labels:node", [home], {"node.role": "platform"}, name=home.name))
            for home in homes
        )
        issuer, _ = issuing.hear(), following.hear()
        posts = following.ask({"post": PEOPLE})
        following.ask({"follow": issuer["account"], "peer": str(issuer["address"])})
        before, given, began = _state(following), 0, time.monotonic()
        while given < wanted:
            made = issuing.ask({"label": given, "until": min(given + AT_ONCE, wanted), "posts": posts})
            given += made
            if not made:
                say(f"the quotas of the issuer's {LOGS} logs let in {given:,} labels today")
                break
        gave = time.monotonic() - began
        entries = issuing.ask({"entries": issuer["account"]})
        during = list[float]()
        while following.ask({"entries": issuer["account"]}) < entries:
            during += following.ask({"write": 1})
            if time.monotonic() > began + LATE_S:
                raise BenchError("the follower does not have all labels")
        held = time.monotonic() - began
        say(f"{given:,} labels given in {gave:.0f} s, held after {held:.0f} s")
        while following.ask("folding"):
            time.sleep(0.5)
        shown = time.monotonic() - began
        done = _settled(following, given)
        after = _state(following)
        answer = following.ask({"accept": issuer["account"]})
        following.ask({"choose": issuer["account"]})
        first = following.ask({"page": 1})[0]
        finish(
            args,
            "labels",
            ratio_to_small=round(after["page_ms"] / before["page_ms"], 2),
            labels=given,
            entries=entries,
            held_s=round(held, 1),
            shown_s=round(shown, 1),
            carried_out_s=done,
            slowest_write_meanwhile_ms=round(max(during, default=0.0) * 1e3, 1),
            before=before,
            after=after,
            issuer_store_mb=round(issuing.ask("bytes") / 1e6, 1),
            accept=answer if isinstance(answer, str) else "taken",
            reader={"first_page_ms": round(first * 1e3, 1), "page_ms": _page_ms(following)},
        )


def _settled(of: Child, given: int) -> float | None:
    """Seconds until all labels that a node follows are carried out, or wait; None: they still are."""
    began = time.monotonic()
    while time.monotonic() < began + LATE_S:
        row = of.ask("labellers")
        if row["waits"] or row["standing"] >= given:
            return round(time.monotonic() - began, 1)
        time.sleep(0.5)
    return None


if __name__ == "__main__":
    main()
