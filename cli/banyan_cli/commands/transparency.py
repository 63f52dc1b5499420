"""The public logs of nodes, read and checked from outside: verify, watch, prove."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput, Failed
from banyan_cli.show.tables import Row, count

if TYPE_CHECKING:
    from banyan_node.transparency.remote_log import RemoteLog

_group = root.group("transparency", "What nodes withheld, in logs that anybody can check.")
NodeUrl = Annotated[str, typer.Argument(metavar="NODE", help="The address of its door, https://HOST.")]


@_group.command()
def verify(s: Session, node: NodeUrl) -> None:
    """Read a node's whole log: each line, the tree, signatures, and that it continues what it showed you before."""
    value = _audit(s, node, _members(s), whole=True)
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(value["kinds"].items())) or "none"
    s.out.done(value, f"{_said(value)} All lines were read: {kinds}.")


@_group.command()
def watch(
    s: Session,
    node: Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="All members if left out.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 60.0,
    times: Annotated[int, typer.Option(help="Looks; 0: until you stop it.")] = 0,
) -> None:
    """Look again and again whether logs only grow. Ends with an error at a log that shrinks or shows two histories, and
    at a NODE that has none."""
    from banyan_node.transparency.remote_log import NoPublicLog, UnreadableLog

    looks, told = 0, dict[str, Row]()
    while True:
        members = _members(s)
        if not (node or members):
            raise BadInput("No charter says here which nodes to look at: name one, such as https://example.vn.")
        for url in node or [row["url"] for row in members]:
            try:
                value = _audit(s, url, members, whole=False)
            except UnreadableLog as why:
                if node and url not in told and (isinstance(why, NoPublicLog) or looks + 1 == times):
                    raise
                s.out.note(f"{why}.")
                continue
            if told.get(url) != value:
                s.out.done(value, _said(value))
            told[url] = value
        looks += 1
        if looks == times:
            return
        time.sleep(every)


@_group.command()
def prove(
    s: Session,
    post: Annotated[str, typer.Argument(metavar="POST", help="What is not shown.")],
    node: Annotated[str | None, typer.Option(help="Ask the door of another node, https://HOST.")] = None,
    salt: Annotated[bool, typer.Option("--salt", help="Also that the order names this post.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the proof there (C2SP tlog-proof).")] = None,
) -> None:
    """Which order withholds a post, and the proof that this is in the node's public log."""
    from urllib.parse import urlencode

    from banyan_node.client.wire import result
    from banyan_node.home.folder import write_private
    from banyan_node.transparency.remote_log import check_proof

    uri = refs.post(s, post)
    if node is None:
        found = s.call("transparency.prove", uri=uri, salt=salt)
    else:
        path = f"withheld?{urlencode({'uri': uri, 'salt': str(salt).lower()})}"
        with closing(_log(node)) as log:
            found = result(log.get(path), f"/transparency/{path}")
    order, checkpoint, index, cosigned = check_proof(found, uri)
    if out is not None:
        write_private(out, found["proof"].encode())
    value = {**found, "index": index, "size": checkpoint.size, "cosigned": cosigned}
    by = f"{found['issuer']} withholds it in {order.scope}, by {order.basis or 'no law named'}"
    at = f"line {index} of {checkpoint.size} of {checkpoint.origin}, {_cosigned(cosigned)}"
    named = " The order names this post: its salt shows it." if found["item"] else ""
    s.out.done(value, f"Order {found['order'][:16]} of {by}. That is {at}.{named}")


def _log(url: str) -> RemoteLog:
    from banyan_node.transparency.remote_log import RemoteLog

    try:
        return RemoteLog(url)
    except ValueError as why:
        raise BadInput(f"{why}.") from None


def _members(s: Session) -> list[Row]:
    """What members of the charter say of their logs; none where there is no node, as on an auditor's machine."""
    return list(s.call("transparency.show")["members"]) if s.home.store.exists() else []


def _audit(s: Session, url: str, members: list[Row], whole: bool) -> Row:
    """Raises Unread, and another Reject or Failed at evidence against the log."""
    from banyan_node.transparency.remote_log import self_named

    with closing(_log(url)) as log:
        found = log.audit(s.home.transparency / "seen", whole)
    keys = {one.text for one in self_named(found.note)}
    wanted = [row["log"] for row in members if row["url"].startswith(log.url)]
    origin = found.checkpoint.origin
    if wanted and origin not in [one.partition("+")[0] for one in wanted]:
        raise Failed(
            f"The node at {log.url} shows the log {origin}, and its account names {wanted[0].partition('+')[0]}."
        )
    counted = len(keys & {row["witness"] for row in members})
    more = {"cosigned": len(keys), "by_members": counted, "kinds": found.kinds}
    return {"url": log.url, "log": origin, "size": found.checkpoint.size, "root": found.checkpoint.root.hex(), **more}


def _cosigned(n: int) -> str:
    return f"cosigned by {count(n, 'witness', 'witnesses')}" if n else "cosigned by nobody yet"


def _said(value: Row) -> str:
    ours = f", {value['by_members']} of them members of your charter" if value["cosigned"] else ""
    return f"{value['url']}: {count(value['size'], 'line')}, {_cosigned(value['cosigned'])}{ours}."
