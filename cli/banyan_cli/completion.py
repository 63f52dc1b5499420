"""What the shell offers to complete a command: accounts and posts shown lately, writers, peers, settings.

The invariant: completing never writes, never asks for a passphrase and never fails. If nothing is known, nothing is
offered. Without a running node only what was shown is offered, because opening the store would take its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer

from banyan_cli import refs
from banyan_node.home.folder import Home, find_home
from banyan_node.terminal_escape import plain

Offered = list[tuple[str, str]]
MOST = 50


def _offers(known: Callable[[Home], Iterable[tuple[str, str]]]) -> Callable[[typer.Context, str], Offered]:
    """known: (what is offered, what it is called), of a home."""

    def complete(ctx: typer.Context, incomplete: str) -> Offered:
        try:
            given: str | None = ctx.find_root().params.get("home")
            rows = [row for row in known(find_home(given)) if row[0].lower().startswith(incomplete.lower())]
        except Exception:
            return []  # the shell is waiting for the next key and must not show an error
        return [(plain(offer), plain(what)) for offer, what in rows[:MOST]]

    return complete


def _accounts(home: Home) -> Iterable[tuple[str, str]]:
    shown = refs.shown_accounts(home)
    return [(name, account) for account, name in shown.items()] + list(shown.items())


def _posts(home: Home) -> Iterable[tuple[str, str]]:
    return [(digits, "") for digits in refs.shown_posts(home)]


def _writers(home: Home) -> Iterable[tuple[str, str]]:
    return [(grant["writer"], "") for grant in _ask(home, "account.show")["grants"]]


def _peers(home: Home) -> Iterable[tuple[str, str]]:
    return [(row["peer"], row["address"]) for row in _ask(home, "peers")]


def _settings(home: Home) -> Iterable[tuple[str, str]]:
    from banyan_node.home.settings import OPTIONS

    return [(option.name, option.why) for option in OPTIONS.values()]


def _ask(home: Home, method: str) -> Any:
    from banyan_node.server.control_client import ControlClient

    with ControlClient.from_home(home, 1.0) as node:
        return node.call(method)


accounts, posts, writers, peers, settings = map(_offers, (_accounts, _posts, _writers, _peers, _settings))
