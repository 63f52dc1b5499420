"""The commands, one file a subject. Each parses, calls, and shows; what happens is decided by who answers the call."""

from __future__ import annotations

import typer

ANYWHERE = "With --json it answers in JSON; --home DIR names the node. Both may stand anywhere on the line."


def register(app: typer.Typer) -> None:
    """Add every command, in the order in which `--help` lists them."""
    from banyan_cli.commands import accounts, bring, doctor, items, keys, network, play, reading, setup, social, stores

    for module in (setup, keys, social, reading, items, accounts, network, bring, stores, doctor, play):
        module.add_to(app)
    _mention(app)


def _mention(app: typer.Typer) -> None:
    """The options that are good anywhere, at the end of every command's own help."""
    for command in app.registered_commands:
        command.epilog = ANYWHERE
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _mention(group.typer_instance)
