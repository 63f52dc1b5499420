"""The settings of the node's log."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from banyan_node.home.checks import PathCheck, lacks_folder, why_no_log


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The node's log, on standard error or in a file."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The lowest level that is logged")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"], Meta(description="auto: coloured on a terminal, JSON lines otherwise")
    ] = "auto"
    file: Annotated[
        str,
        Meta(
            max_length=400,
            description="A file instead of standard error, inside the home unless the path begins with a slash; after "
            "it was moved away, SIGHUP makes a new one",
        ),
        PathCheck(why_no_log, lacks_folder),
    ] = ""
