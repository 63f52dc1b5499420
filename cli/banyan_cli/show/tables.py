"""Facts and rows as tables; columns line up in any script, because rich counts cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from banyan_cli.refs import short
from banyan_cli.show.phrases import name_of, size
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Row: TypeAlias = dict[str, Any]
Cell: TypeAlias = str | Callable[[Row], Any]
"""What stands in a column: a field, or what is made of the row."""


def table(*columns: str) -> Table:
    """A table in the house style; columns that end in # are numbers, the last one may wrap."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        last = i == len(columns) - 1
        justify: Literal["left", "right"] = "right" if column.endswith("#") else "left"
        overflow: Literal["fold", "ellipsis"] = "fold" if last else "ellipsis"
        made.add_column(column.rstrip("#"), justify=justify, no_wrap=not last, overflow=overflow)
    return made


def columns(*shown: tuple[str, Cell]) -> Callable[[Console, list[Row]], None]:
    """Shows rows as a table: of each column its heading, as in `table`, and what stands in it."""

    def show(console: Console, rows: list[Row]) -> None:
        made = table(*(heading for heading, _ in shown))
        for row in rows:
            made.add_row(*(_cell(row, of) for _, of in shown))
        console.print(made)

    return show


def _cell(row: Row, of: Cell) -> Any:
    value = row[of] if isinstance(of, str) else of(row)
    if isinstance(value, str):
        return plain(value, lines=not isinstance(of, str))
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value


def named(row: Row) -> str:
    """What the account of a row is called."""
    return name_of(row["account"], row.get("name"))


people = columns(("name", named), ("account", "account"))


def posts(console: Console, rows: list[Row]) -> None:
    """The posts that a feed answers."""
    from banyan_cli.show.feed import feed

    feed(console, rows)


def facts(console: Console, value: Row) -> None:
    """One line a fact: label, value."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, fact in value.items():
        grid.add_row(label.replace("_", " "), Text(_fact(label, fact)))
    console.print(grid)


def _fact(label: str, fact: Any) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, int):
        return f"{size(fact)} ({fact:,})" if label in ("bytes", "media_bytes", "before", "after") else f"{fact:,}"
    return "none" if fact is None else plain(str(fact))


# What one thing is: a line with its title, one with its address, and a line for each fact.


def styled(*parts: str | tuple[str, str]) -> Text:
    """Texts, each alone or with its style."""
    from rich.text import Text

    return Text.assemble(*parts)


def headline(console: Console, title: str, uri: str) -> None:
    """uri: of a group, an event or the like; below it the whole."""
    console.print(styled((plain(title), "bold"), f"  {short(uri)}"))
    console.print(styled((uri, "dim")), soft_wrap=True)


def aside(console: Console, *facts: str | None) -> None:
    """Those facts that there are, in one line."""
    console.print(styled((" · ".join(filter(None, facts)), "dim")))


def labelled(console: Console, label: str, said: str | None) -> None:
    """A text of a person, if there is one, after what it is."""
    if said:
        console.print(styled((f"{label}: ", "dim"), plain(said, lines=True)))
