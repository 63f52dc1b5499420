"""The settings of pictures and films."""

from typing import Annotated

from msgspec import Meta, Struct

from banyan_node.home.sizes import SIZE


class MediaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Pictures and films: how much of the disk they take, and which are fetched."""

    max_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 50,
            title=f"{SIZE}; 0: no limit",
            description="What pictures and films may take. Beyond it, those of accounts that nobody here hosts or "
            "follows are removed, the least recently wanted first",
        ),
    ] = 20_000_000_000
    fetch_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 34,
            title=f"{SIZE}; 0: none",
            description="Pictures up to this size are fetched by themselves, for posts of accounts that somebody here "
            "follows, and so are all previews; what is larger is fetched when it is asked for",
        ),
    ] = 8_000_000
    picture_side: Annotated[
        int,
        Meta(
            ge=400,
            le=8_192,
            description="The longer side of a posted picture, pixels; a larger one is made smaller before it is posted",
        ),
    ] = 1_280
    strangers_rate: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 40,
            title=f"{SIZE}; 0: nothing",
            description="Bytes a second of pictures and films that peers get together which nobody named; named peers "
            "have no limit",
        ),
    ] = 20_000_000
