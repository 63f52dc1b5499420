"""The commands, one file per subject. Each parses arguments, calls methods and shows results."""

from __future__ import annotations

import typer

ANYWHERE = "With --json it answers in JSON; --home DIR names the node. Both may stand anywhere on the line."


def register(app: typer.Typer) -> None:
    """Adds every command, in the order in which `--help` lists them."""
    from banyan_cli.commands import (
        accounts,
        bring,
        channels,
        cutting,
        doctor,
        drafts,
        erasing,
        events,
        followers,
        groups,
        handles,
        items,
        keys,
        leaving,
        logins,
        media,
        moderation,
        moves,
        network,
        play,
        playlists,
        private,
        profiles,
        reading,
        setup,
        social,
        stores,
    )

    for module in (
        setup,
        keys,
        social,
        media,
        reading,
        profiles,
        private,
        drafts,
        followers,
        groups,
        events,
        channels,
        playlists,
        handles,
        moves,
        items,
        accounts,
        cutting,
        leaving,
        erasing,
        logins,
        moderation,
        network,
        bring,
        stores,
        doctor,
        play,
    ):
        module.add_to(app)
    _mention(app)


def _mention(app: typer.Typer) -> None:
    """The options that every command takes, for the end of its help."""
    for command in app.registered_commands:
        command.epilog = ANYWHERE
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _mention(group.typer_instance)
