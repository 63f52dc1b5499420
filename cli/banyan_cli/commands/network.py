"""The node and its peers: who they are, whether the node is complete, and where it differs from a peer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import Resolver, root, shown
from banyan_cli.parameters import ACCOUNT, argument, some_account, some_peer
from banyan_cli.show.tables import Row, ago, columns, count, facts, named, now_ms, sentence, span
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from rich.console import Console

_peers = root.group("peers", "The nodes that this one talks to.", alone="list")
Peer = Annotated[
    str,
    argument("A peer's id, or how it begins or ends, as in `peers`.", some_peer),
    Resolver(lambda s, text, by: _peer(s, text)),
]
NO_PEERS = "No peers. `banyan peers add ADDRESS` dials one; `banyan id` on the other node says where."
GREETING_SECONDS = 10.0
PEER = 46
"""Characters of a peer's id at least."""


def _peer(s: Session, text: str) -> str:
    """A whole id is taken unchanged, because a peer that is not linked can be banned too. The node checks it."""
    known = sorted({row["peer"] for row in s.call("peers")}) if len(text) < PEER else []
    fits = any(each.startswith(text) or each.endswith(text) for each in known)
    return refs.one_of("peer", text, known, "`banyan peers`") if fits else text


def _way(row: Row) -> Any:
    from rich.text import Text

    ban = row.get("ban")
    return Text("banned" if ban else "in" if row.get("inbound") else "out", "red" if ban else "")


def _where(row: Row) -> str:
    """Where a peer is, and the last thing held against it; of a banned one only why."""
    address = "" if row.get("ban") else (row.get("address") or "").partition("/p2p/")[0]
    return ": ".join(filter(None, (address, row.get("reason"))))


_PEERS = columns(
    ("peer", lambda row: row["peer"][-8:]),
    ("", lambda row: " ".join((row.get("name") or row.get("role") or "").split())),
    ("", _way),
    ("points#", lambda row: f"{row.get('points') or 0:.1f}"),
    ("behind#", lambda row: row.get("behind")),
    ("since#", lambda row: ago(row["since_ms"]) if row.get("since_ms") else ""),
    ("address", _where),
)


def _ends(row: Row) -> str:
    return "when pardoned" if row["until_ms"] is None else f"in {span(max(0, row['until_ms'] - now_ms()))}"


_BANS = columns(
    ("refused", "refused"),
    ("by", lambda row: "you" if row["by_operator"] else "itself"),
    ("since", lambda row: "" if row["since_ms"] is None else ago(row["since_ms"])),
    ("ends", _ends),
    ("why", "reason"),
)


@_peers.command("list")
def listed(s: Session) -> None:
    """The peers connected now, and the banned ones."""
    s.out.answers(s.call("peers"), _PEERS, NO_PEERS)
    slots = s.call("status")["slots"]
    if slots is not None and slots["crowded"]:
        s.out.note(sentence(slots["crowded"]))


@_peers.command("add")
def add(
    s: Session, address: Annotated[str, typer.Argument(help="Such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...")]
) -> None:
    """Dial a peer now, and count it among the named ones while this node runs."""
    answer = s.call("peers.add", addr=address)
    _wait_for_greeting(s, answer["peer"])
    s.out.done(answer, f"Connected to {answer['peer']}.")


def _wait_for_greeting(s: Session, peer: str) -> None:
    """Waits for the hello: a link stands before it, and may end with it. Raises CallError."""
    deadline = time.monotonic() + GREETING_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.1)
        (row,) = [r for r in s.call("peers") if r["peer"] == peer] or [None]
        if row is not None and row["behind"] is not None:
            return
        if row is None or not row["connected"]:
            realm = s.settings.config.node.realm
            raise CallError(
                "no_peer",
                f"{peer} answered and hung up: it is not of the realm '{realm}', or one of the two has banned the "
                "other; the logs of both say which.",
                502,
            )


@_peers.act("peers.drop", "{given[peer]} was let go.")
def peers_drop(peer: Peer) -> None:
    """Hang up on a peer, and dial it no more as a contact. It may come again."""


@_peers.command("bans")
def bans(s: Session) -> None:
    """Whom this node refuses, why, and until when."""
    found = s.call("bans")
    rows = [{"refused": row["peer"], **row} for row in found["peers"]]
    rows += [{"refused": row["network"], "by_operator": True, **row} for row in found["networks"]]
    s.out.answers(rows, _BANS, "Nobody is banned.")


Refused = Annotated[str, argument("As above; or a network such as 192.0.2.0/24.", some_peer, "PEER")]


def _on(s: Session, act: str, refused: str, **given: Any) -> tuple[Any, str]:
    """The answer for a peer or a network, and whom it is about."""
    if "/" in refused or "." in refused or ":" in refused:
        return s.call(f"networks.{act}", network=refused, **given), refused
    peer = _peer(s, refused)
    return s.call(f"peers.{act}", peer=peer, **given), peer


@_peers.command()
def ban(
    s: Session,
    peer: Refused,
    reason: Annotated[str, typer.Option(help="Why; the peer is told.")] = "",
    days: Annotated[int, typer.Option(min=0, help="For how long; 0: until it is pardoned.")] = 0,
) -> None:
    """Hang up on a peer, or on all of a network, and refuse it until it is pardoned."""
    answer, whom = _on(s, "ban", peer, reason=reason, days=days)
    s.out.done(answer, f"{whom} is banned.")


@_peers.command()
def pardon(s: Session, peer: Refused) -> None:
    """Lift a ban and forget what the peer lost points for."""
    answer, whom = _on(s, "pardon", peer)
    s.out.done(answer, f"{whom} is welcome again.")


@root.value("status", shown("status.status"))
def status() -> None:
    """Whether this node is complete; for each account that you follow: what is held, what peers have, who is asked."""


_DIFFERENCES = columns(
    ("account", named),
    ("log#", lambda row: str(row["log"])),
    ("mine#", "mine"),
    ("theirs#", "theirs"),
    ("reason", "reason"),
    ("", "sentence"),
)


def _show_differences(console: Console, rows: list[Row]) -> None:
    _DIFFERENCES(console, rows)
    console.print(count(len(rows), "difference"), style="dim")


@root.command()
def diff(s: Session, peer: Peer) -> None:
    """Each difference from a peer, with its reason."""
    from banyan_cli.progress import waiting

    with waiting(s.out.notes, "comparing"):
        rows = s.call("diff", peer=_peer(s, peer))
    s.out.answers(rows, _show_differences, "No difference: both hold the same.")


@root.value("digest", facts)
def digest(
    account: Annotated[str | None, argument("Only of this account: name or id.", some_account), ACCOUNT] = None,
) -> None:
    """Two digests, over heads and over what a person reads; equal at any two nodes that hold the same."""
