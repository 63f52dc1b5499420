"""What came of an archive, what was here already, and what was left out and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from banyan_cli.show.tables import table
from banyan_cli.show.words import count
from banyan_node.harmless import plain

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]
_COLUMNS = ("came", "here", "gone", "left_out")


def moved(console: Console, value: Row) -> None:
    """Shows the answer of an import of a life."""
    made = table("", "will come#" if value["dry"] else "came#", "here already#", "undone here#", "left out#")
    for name, row in value["table"].items():
        if any(row.values()):
            made.add_row(name, *(f"{row[c]:,}" if row[c] else "" for c in _COLUMNS))
    console.print(made)
    for why, many in sorted(value["left_out"].items(), key=lambda one: (-one[1], one[0])):
        console.print(Text(f"Left out: {many:,} {plain(why)}."), soft_wrap=True)
    for sentence in value["notes"]:
        console.print(Text(plain(sentence)), soft_wrap=True)
    if value["report"]:
        console.print(Text(f"{value['report']} names what was left out, one line each."), soft_wrap=True)
    done = "Nothing was written." if value["dry"] else f"{count(value['entries'], 'entry', 'entries')} written."
    console.print(Text(f"{done} {value['seconds']:,} s", "dim"))
