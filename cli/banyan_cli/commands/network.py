"""The node and its peers: who they are, whether the node is complete, and where it differs from a peer."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_node.operator_errors import CallError

_peers = root.group("peers", "The nodes that this one talks to.")
Peer = Annotated[
    str, typer.Argument(help="A peer's id, or how it begins or ends, as in `peers`.", autocompletion=completion.peers)
]
NO_PEERS = "No peers. `banyan peers add ADDRESS` dials one; `banyan id` on the other node says where."
GREETING_SECONDS = 10.0
PEER = 46
"""Characters of a peer's id at least."""


@_peers.alone
def peers(s: Session) -> None:
    listed(s)


@_peers.command("list")
def listed(s: Session) -> None:
    """The peers connected now, and the banned ones."""
    from banyan_cli.show import text_tables

    s.out.answers(s.call("peers"), text_tables.peers(_now_ms()), NO_PEERS)
    slots = s.call("status")["slots"]
    if slots is not None and slots["crowded"]:
        s.out.note(text_tables.sentence(slots["crowded"]))


@_peers.command("add")
def add(
    s: Session,
    address: Annotated[str, typer.Argument(help="Such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...")],
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


@_peers.command("drop")
def drop(s: Session, peer: Peer) -> None:
    """Hang up on a peer, and dial it no more as a contact. It may come again."""
    peer = _peer(s, peer)
    s.out.done(s.call("peers.drop", peer=peer), f"{peer} was let go.")


@_peers.command("bans")
def bans(s: Session) -> None:
    """Whom this node refuses, why, and until when."""
    from banyan_cli.show import text_tables

    found = s.call("bans")
    rows = [{"refused": row["peer"], **row} for row in found["peers"]]
    rows += [{"refused": row["network"], "by_operator": True, **row} for row in found["networks"]]
    s.out.answers(rows, text_tables.bans(_now_ms()), "Nobody is banned.")


Refused = Annotated[
    str,
    typer.Argument(
        metavar="PEER", help="As above; or a network such as 192.0.2.0/24.", autocompletion=completion.peers
    ),
]


@_peers.command("ban")
def ban(
    s: Session,
    peer: Refused,
    reason: Annotated[str, typer.Option(help="Why; the peer is told.")] = "",
    days: Annotated[int, typer.Option(min=0, help="For how long; 0: until it is pardoned.")] = 0,
) -> None:
    """Hang up on a peer, or on all of a network, and refuse it until it is pardoned."""
    if _is_network(peer):
        s.out.done(s.call("networks.ban", network=peer, reason=reason, days=days), f"{peer} is banned.")
        return
    peer = _peer(s, peer)
    s.out.done(s.call("peers.ban", peer=peer, reason=reason, days=days), f"{peer} is banned.")


def _is_network(text: str) -> bool:
    return "/" in text or "." in text or ":" in text


@_peers.command("pardon")
def pardon(s: Session, peer: Refused) -> None:
    """Lift a ban and forget what the peer lost points for."""
    if _is_network(peer):
        s.out.done(s.call("networks.pardon", network=peer), f"{peer} is welcome again.")
        return
    peer = _peer(s, peer)
    s.out.done(s.call("peers.pardon", peer=peer), f"{peer} is welcome again.")


def _peer(s: Session, text: str) -> str:
    """A whole id is taken unchanged, because a peer that is not linked can be banned too. The node checks it."""
    known = sorted({row["peer"] for row in s.call("peers")}) if len(text) < PEER else []
    fits = any(each.startswith(text) or each.endswith(text) for each in known)
    return refs.one_of("peer", text, known, "`banyan peers`") if fits else text


@root.command()
def status(s: Session) -> None:
    """Whether this node is complete; for each account that you follow: what is held, what peers have, who is asked."""
    from banyan_cli.show import text_tables

    s.out.answer(s.call("status"), text_tables.status(_now_ms()))


@root.command()
def diff(s: Session, peer: Peer) -> None:
    """Each difference from a peer, with its reason."""
    from banyan_cli.progress import waiting
    from banyan_cli.show import text_tables

    with waiting(s.out.notes, "comparing"):
        rows = s.call("diff", peer=_peer(s, peer))
    s.out.answers(rows, text_tables.differences, "No difference: both hold the same.")


@root.command()
def digest(
    s: Session,
    account: Annotated[
        str | None,
        typer.Argument(help="Only of this account: name or id.", autocompletion=completion.accounts),
    ] = None,
) -> None:
    """Two digests, over heads and over what a person reads; equal at any two nodes that hold the same."""
    from banyan_cli.show import text_tables

    s.out.answer(s.call("digest", account=None if account is None else refs.account(s, account)), text_tables.facts)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
