"""The commands, one file per subject. Each parses arguments, calls methods and shows results."""

from importlib import import_module

IN_ORDER = (
    *("setup", "keys", "posts", "media", "feeds", "profiles", "people", "groups", "events"),
    *("channels", "items", "accounts", "cuts", "handover", "logins"),
    *("moderation", "labels", "network", "alliance", "alliance_votes", "alliance_state"),
    *("orders", "transparency"),
    *("import_export", "stores", "doctor", "play"),
)
"""The order in which `--help` lists what they declare."""


def load() -> None:
    """Every command declares itself in `declare.root`."""
    for name in IN_ORDER:
        import_module(f"banyan_cli.commands.{name}")
