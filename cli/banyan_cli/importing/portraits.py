"""The pictures of a profile: brought where none was ever set here, as those of posts are, and counted apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from banyan_cli.importing.moved import Item, ProfilePicture
from banyan_cli.importing.pictures import REFUSED, Pictures
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from banyan_cli.session import CallTarget


def bring(
    backend: CallTarget,
    pictures: Pictures,
    some: Mapping[str, ProfilePicture],
    without: Sequence[str],
    who: Mapping[str, str],
    dry: bool,
    advance: Callable[[int], None],
) -> int:
    """some: by name. without: the names of pictures that were never set here. Returns how many entries were written;
    the totals of `pictures` say what became of each. Raises what stops the import."""
    entries, states = 0, {name: "new" if name in without else "here" for name in some}
    items = [Item(name, "", None, one.place, media=(one.item,)) for name, one in some.items()]
    pictures.expect(items, states)
    for item, (name, one) in zip(items, some.items(), strict=True):
        for row in pictures.of(item, states[name], advance):
            try:
                if not dry:
                    entries += backend.call("move.profile", pictures={name: row}, **who)["entries"]
                pictures.totals["came"] += 1
            except CallError as why:
                if why.code != "bad_request":
                    raise
                pictures.lost(REFUSED, one.item, f"{one.place}: {why.message}")  # a film, say
    return entries
