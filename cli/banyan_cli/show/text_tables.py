"""Facts, accounts, peers, differences and what came of an archive as tables; columns line up in any script, because
rich counts cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from banyan_cli.refs import short
from banyan_cli.show.phrases import ago, count, name_of, size, span
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console


Row = dict[str, Any]


def facts(console: Console, value: Row) -> None:
    """One line a fact: label, value."""
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


def nobody(accounts: int) -> str:
    """What a node holds whose own account follows nobody. `accounts`: held, those of other people that it hosts too."""
    holds = "your own account alone" if accounts < 2 else "the accounts hosted here, and what those follow"
    return (
        f"You follow nobody yet, so this node holds {holds}: `banyan follow ACCOUNT`, or `banyan up --interest all` "
        "for the whole network."
    )


def table(*columns: str) -> Table:
    """A table in the house style; columns that end in # are numbers, the last one may wrap."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        last = i == len(columns) - 1
        justify: Literal["left", "right"] = "right" if column.endswith("#") else "left"
        overflow: Literal["fold", "ellipsis"] = "fold" if last else "ellipsis"
        made.add_column(column.rstrip("#"), justify=justify, no_wrap=not last, overflow=overflow)
    return made


def accounts(console: Console, rows: list[Row]) -> None:
    """The accounts that this node signs for."""
    made = table("name", "", "account")
    for row in rows:
        made.add_row(Text(name_of(row["account"], row["name"])), "own" if row["own"] else "", row["account"])
    console.print(made)
    console.print(count(len(rows), "account"), style="dim")


def bans(now_ms: int) -> Callable[[Console, list[Row]], None]:
    """Shows whom a node refuses."""

    def show(console: Console, rows: list[Row]) -> None:
        made = table("refused", "by", "since", "ends", "why")
        for row in rows:
            since = "" if row["since_ms"] is None else ago(row["since_ms"], now_ms)
            ends = "when pardoned" if row["until_ms"] is None else f"in {span(max(0, row['until_ms'] - now_ms))}"
            made.add_row(row["refused"], "you" if row["by_operator"] else "itself", since, ends, Text(row["reason"]))
        console.print(made)

    return show


def peers(now_ms: int) -> Callable[[Console, list[Row]], None]:
    """Shows the answer of `peers`."""

    def show(console: Console, rows: list[Row]) -> None:
        made = table("peer", "", "", "points#", "behind#", "since#", "address")
        for row in rows:
            ban = row.get("ban")
            way = "banned" if ban else "in" if row.get("inbound") else "out"
            made.add_row(
                row["peer"][-8:],
                Text(" ".join(plain(row.get("name") or row.get("role") or "").split())),
                Text(way, "red" if ban else ""),
                f"{row.get('points') or 0:.1f}",
                "" if row.get("behind") is None else f"{row['behind']:,}",
                ago(row["since_ms"], now_ms) if row.get("since_ms") else "",
                Text(plain(_where(row))),
            )
        console.print(made)

    return show


def _where(row: Row) -> str:
    """Where a peer is, and the last thing held against it; of a banned one only why."""
    address = "" if row.get("ban") else (row.get("address") or "").partition("/p2p/")[0]
    return ": ".join(filter(None, (address, row.get("reason"))))


def status(now_ms: int) -> Callable[[Console, Row], None]:
    """Shows the answer of `status`: first whether all is here, then what is not."""

    def show(console: Console, value: Row) -> None:
        running = value.get("running", True)
        if not running:
            head = Text("not running", "yellow")
        elif value["complete"]:
            head = Text("complete", "bold green")
        elif value.get("doubt") and not value.get("behind"):
            head = Text("not known to be complete", "bold yellow")
        else:
            head = Text(f"{count(value['behind'], 'entry', 'entries')} behind" if value.get("behind") else "incomplete")
            head.stylize("bold yellow")
        line = [head, Text(f"{value.get('role') or ''} {plain(value.get('name') or '')}".strip())]
        if running:
            line += [Text(count(value["peers"], "peer")), Text(f"up {span(int(value['uptime_s'] * 1000))}")]
        if value.get("fresh_as_of"):
            line.append(Text(f"fresh as of {ago(value['fresh_as_of'], now_ms)}"))
        console.print(Text(" · ").join(part for part in line if part.plain))
        if value.get("trouble"):
            console.print(Text(sentence(value["trouble"]), "bold red"), soft_wrap=True)
        if (slots := value.get("slots")) and slots["crowded"]:
            console.print(Text(sentence(slots["crowded"]), "yellow"), soft_wrap=True)
        if running and value.get("doubt"):
            console.print(Text(sentence(value["doubt"]), "yellow"), soft_wrap=True)
        for why in [] if value.get("peers") else dict.fromkeys(value.get("unreached", {}).values()):
            console.print(Text(sentence(plain(why)), "yellow"), soft_wrap=True)
        for task, why in value.get("failing", {}).items():
            console.print(Text(f"{task} failed and is tried again: {plain(why)}.", "bold red"), soft_wrap=True)
        if (door := value.get("door")) and door["trouble"]:
            console.print(Text(f"{sentence(door['trouble'])} It is started anew.", "bold red"), soft_wrap=True)
        held = [count(value["accounts"], "account"), count(value["logs"], "log")]
        held.append(count(value["entries"], "entry", "entries"))
        if value.get("lacking_parts"):
            held.append(f"the content of {count(value['lacking_parts'], 'operation')} is lacking")
        if reading := value.get("catchup"):
            held.append(f"read to by {count(reading['peers'], 'peer')}, {reading['left']:.0%} left")
        console.print(Text(" · ".join(held), "dim"))
        if door:
            served = f" by {count(len(door['workers']), 'worker')}" if door["workers"] else ""
            console.print(Text(f"HTTP at {door['address']}{served}", "dim"), soft_wrap=True)
        console.print(Text(f"root {value['root']}", "dim"), soft_wrap=True)
        if back := value.get("restoring"):
            console.print(Text(restoring(back), "yellow"))
        for row in value.get("following", []):
            console.print(Text(following(row)))
        if value.get("interest") == "follows" and not value.get("following") and not value.get("restoring"):
            console.print(Text(nobody(value["accounts"]), "dim"), soft_wrap=True)

    return show


def sentence(said: str) -> str:
    """What the node says without a capital and a full stop, with both."""
    return f"{said[0].upper()}{said[1:]}."


def restoring(back: Row) -> str:
    """What has come back of the accounts of restored keys."""
    own = "your own account is among them" if back["own"] else "your own account is not back yet"
    unnamed = f", {back['unnamed']:,} without a name yet" if back.get("unnamed") else ""
    closed = f"; {back['closed']:,} more are closed, and not hosted here" if back.get("closed") else ""
    return f"restored keys: {count(back['accounts'], 'account')} came back so far{unnamed}; {own}{closed}"


def following(row: Row) -> str:
    """`Minh: 237 of 240 entries, 3 behind, asking 2 peers`."""
    name = name_of(row["account"], row.get("name"))
    if row["complete"]:
        return f"{name}: {count(row['held'], 'entry', 'entries')}, complete"
    if row.get("dropped"):
        return f"{name}: dropped here; `banyan store undrop {row['account']}` takes it again, or unfollow it"
    asking = f"asking {count(row['asking'], 'peer')}" if row["asking"] else "nobody to ask"
    return f"{name}: {row['held']:,} of {row['known']:,} entries, {row['behind']:,} behind, {asking}"


def withheld(now_ms: int) -> Callable[[Console, list[Row]], None]:
    """Shows what `content.withheld` answers."""

    def show(console: Console, rows: list[Row]) -> None:
        made = table("post", "by", "since#", "until", "order")
        for row in rows:
            until = "released" if not row["expires_ms"] else ago(row["expires_ms"], now_ms)
            name = Text(name_of(row["uri"].partition("/")[0], row["name"]))
            said = ". ".join(plain(text) for text in (row["order"], row["basis"], row["scope"]) if text)
            made.add_row(short(row["uri"]), name, ago(row["since_ms"], now_ms), until, Text(said))
        console.print(made)

    return show


def differences(console: Console, rows: list[Row]) -> None:
    """Shows the answer of `diff`."""
    made = table("account", "log#", "mine#", "theirs#", "reason", "")
    for row in rows:
        name = name_of(row["account"], row.get("name"))
        numbers = (f"{row['log']}", f"{row['mine']:,}", f"{row['theirs']:,}")
        made.add_row(Text(name), *numbers, Text(row["reason"]), Text(plain(row["sentence"])))
    console.print(made)
    console.print(count(len(rows), "difference"), style="dim")


# What came of an archive: brought, here already, left out and why.

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
