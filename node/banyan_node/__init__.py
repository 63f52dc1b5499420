"""A node: trio, libp2p, keys and an API around a replica. Start reading at node.py."""

from functools import cache
from importlib.metadata import version

DISTRIBUTION = "banyan-social"


@cache
def program_version() -> str:
    """Which version of the program this is, as the installed package says."""
    return version(DISTRIBUTION)
