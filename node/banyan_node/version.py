"""Which version of the program this is."""

from functools import cache
from importlib.metadata import version

DISTRIBUTION = "banyan-social"


@cache
def program_version() -> str:
    """As the installed package says."""
    return version(DISTRIBUTION)
