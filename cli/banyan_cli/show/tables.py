"""Texts for times, counts and names, which are made safe for a terminal; facts and rows as tables, whose columns line
up in any script, because rich counts cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from banyan_cli.refs import short
from banyan_node.terminal_escape import plain
from banyan_schema.dates import moment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def ago(time_ms: int, now: int | None = None) -> str:
    """`now`, `5 min`, `3 h`, `2 d`, then the date. A time to come is said as one: clocks differ. now: milliseconds;
    None: of this machine."""
    now = now_ms() if now is None else now
    passed = now - time_ms
    if passed < 0:
        return "now" if passed > -_MINUTE else f"in {span(-passed)}"
    if passed < _MINUTE:
        return "now" if passed < 10 * _SECOND else f"{passed // _SECOND} s"
    if passed < 7 * _DAY:
        return span(passed)
    then = moment(time_ms)
    return f"{then.day} {then:%b}" if then.year == moment(now).year else f"{then.day} {then:%b %Y}"


def span(ms: int) -> str:
    """A length of time in its largest unit."""
    for unit, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if ms >= unit:
            return f"{ms // unit} {word}"
    return f"{ms} ms"


def measured(seconds: float) -> str:
    """A length of time that was measured: `7 ms`, `1.9 s`."""
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1_000:.0f} ms"


def clock(ms: int) -> str:
    """`1:02:03`, or `2:03`."""
    hours, rest = divmod(ms // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 reply`, `3,021 replies`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def size(n: int) -> str:
    """Bytes for people."""
    value = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def short_account(account: str) -> str:
    """An account without a name."""
    body = account.removeprefix("did:banyan:")
    return body[:9] + "…" if len(body) > 10 else body


def name_of(account: str, name: str | None) -> str:
    """What an account is called on the screen; the name is its own claim."""
    shown = " ".join(plain(name or "").split())
    return shown or short_account(account)


def sentence(said: str) -> str:
    """What the node says without a capital and a full stop, with both."""
    return f"{said[0].upper()}{said[1:]}."


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
