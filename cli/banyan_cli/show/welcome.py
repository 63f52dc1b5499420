"""What a person sees when the node is up, in the place of a log line: where it is, who it is, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from banyan_cli.show.text_tables import nobody
from banyan_node.terminal_escape import plain


def welcome(console: Console, value: dict[str, Any]) -> None:
    """Shows what the node says of itself when it is ready."""
    for line in lines(value):
        console.print(line, markup=False, soft_wrap=True)


def lines(value: dict[str, Any]) -> Iterator[str]:
    """value: the answer of `id`, with `accounts` (how many are held), `follows` (0 or 1), `interest`, `bootstrap` and
    `restoring`."""
    name = " ".join(plain(value["name"]).split())
    yield f"{name or 'Your node'} is up. Ctrl-C stops it."
    yield f"  account  {value['account'] or 'none yet'}"
    for address in value["addresses"]:
        yield f"  address  {address}"
    if all("/127.0.0.1/" in a or "/::1/" in a for a in value["addresses"]):
        yield "Only this machine can reach it; `banyan up --listen /ip4/0.0.0.0/tcp/4001` lets others connect."
    if not value["bootstrap"]:
        yield "It knows no peer to dial: `banyan peers add ADDRESS`, with what `banyan id` shows on the other node."
    if value["restoring"]:
        yield "The accounts of its keys come back from peers; `banyan status` says how many are here."
    elif value["account"] is None:
        yield "It has no account of its own: `banyan account create NAME --own` makes one."
    elif value["interest"] == "follows" and not value["follows"]:
        yield nobody(value["accounts"])
        yield "Ask a friend for the account that `banyan id` shows there."
    else:
        yield 'In a second terminal: `banyan feed`, `banyan post "..."`, `banyan status`.'
