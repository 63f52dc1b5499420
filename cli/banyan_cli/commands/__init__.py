"""The commands, one file per subject. Each parses arguments, calls methods and shows results."""

from __future__ import annotations

import typer

ANYWHERE = "With --json it answers in JSON; --home DIR names the node. Both may stand anywhere on the line."


def register(app: typer.Typer) -> None:
    """Adds every command, in the order in which `--help` lists them."""
    from banyan_cli.commands import (
        accounts,
        channels,
        cuts,
        doctor,
        drafts,
        erasure,
        events,
        feeds,
        followers,
        groups,
        handles,
        handover,
        import_export,
        items,
        keys,
        logins,
        media,
        moderation,
        moves,
        network,
        play,
        playlists,
        posts,
        private,
        profiles,
        setup,
        stores,
    )

    for module in (
        setup,
        keys,
        posts,
        media,
        feeds,
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
        cuts,
        handover,
        erasure,
        logins,
        moderation,
        network,
        import_export,
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
