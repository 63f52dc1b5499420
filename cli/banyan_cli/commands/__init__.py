"""The commands, one file a subject. Each parses, calls, and shows; what happens is decided by who answers the call."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add every command, in the order in which `--help` lists them."""
    from banyan_cli.commands import accounts, bring, doctor, network, play, reading, setup, social, stores

    for module in (setup, social, reading, accounts, network, bring, stores, doctor, play):
        module.add_to(app)
