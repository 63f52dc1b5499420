"""A node: trio, libp2p, keys and an API around a replica. Start reading at node.py."""

from functools import cache

DISTRIBUTION = "banyan-social"


@cache
def program_version() -> str:
    """Which version of the program this is, as the installed package says."""
    from importlib.metadata import version  # a third of the start of a process that only checks signatures

    return version(DISTRIBUTION)
