"""Shows an account to its owner: whether something is wrong, who may write, and what was decided when."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from banyan_cli.show.phrases import count, name_of
from banyan_cli.show.tables import table
from banyan_node.terminal_escape import plain
from banyan_schema.dates import minute

Row = dict[str, Any]


def account(console: Console, value: Row, here: str = "") -> None:
    """Shows the answer of `account.show`. here: this node's writer."""
    state = (
        "closed" if value["closed"] else "frozen: two keys of equal strength disagree" if value["frozen"] else "open"
    )
    name = name_of(value["account"], value["name"])
    console.print(Text.assemble((name, "bold"), f"  {state}", (_whose(value), "dim")))
    console.print(Text(value["account"], "dim"), soft_wrap=True)
    keys = table("key", "generation#", "here", "digest")
    for key in value["keys"]:
        slot = {0: "root", 1: "recovery"}.get(key["slot"], f"slot {key['slot']}")
        keys.add_row(slot, str(key["generation"]), "yes" if key["held"] else "no", key["current"][:16])
    console.print(keys)
    _writers(console, value, here)
    _logs(console, value)
    history = table("entry#", "when", "op", "what")
    for step in value["path"]:
        history.add_row(str(step["seq"]), minute(step["time_ms"]), step["op"], Text(plain(step["sentence"])))
    console.print(history)


def activity(console: Console, rows: list[Row]) -> None:
    """What writers did lately: entries by which a cut is named, with what may be a thief's marked."""
    shown = table("entry", "when", "writer", "log#", "", "what")
    for row in rows:
        marks = [
            *(["written here"] if row["own"] else []),
            *row["marks"],
            *([] if row["counts"] else ["counts no more"]),
        ]
        said = "" if row["text"] is None else " ".join(plain(row["text"]).split())[:60]
        about = "" if row["uri"] is None else f"{row['uri'].rpartition('/')[2][-8:]} "
        what = Text(f"{_DID[row['does']]} {about}{said}".rstrip())
        marked = Text(", ".join(marks), "" if marks == ["written here"] else "bold")
        shown.add_row(row["entry"][:8], minute(row["time_ms"]), row["writer"][:16], str(row["log"]), marked, what)
    console.print(shown)


_DID = {"post": "post", "edit": "edit of", "delete": "deletes", "other": "something else"}


def _whose(value: Row) -> str:
    return "  yours" if value["own"] else "  hosted here" if value["hosted"] else ""


def _writers(console: Console, value: Row, here: str) -> None:
    cuts = {cut["writer"]: cut for cut in value["cuts"]}
    shown = table("writer", "stratum#", "until", "collections", "")
    for grant in value["grants"]:
        cut = cuts.get(grant["writer"])
        until = "no end" if grant["until_ms"] is None else minute(grant["until_ms"])
        colls = "all" if grant["colls"] is None else ", ".join(grant["colls"])
        shown.add_row(
            grant["writer"][:16], str(grant["stratum"]), until, plain(colls), _state(cut, grant["writer"] == here)
        )
    console.print(shown)


def _state(cut: Row | None, here: bool) -> str:
    return "cut" if cut else "this node" if here else ""


def _logs(console: Console, value: Row) -> None:
    shown = table("log", "entries#", "pinned#", "")
    pins = {(pin["writer"], pin["log"]): pin["seq"] for pin in value["pins"]}
    for log in value["logs"]:
        pinned = pins.get((log["writer"], log["log"]))
        state = ", ".join(word for word, said in (("forked", log["flag"]), ("written here", log.get("own"))) if said)
        label = "control" if log["log"] == 0 else f"{log['writer'][:16]} {log['log']}"
        shown.add_row(label, f"{log['length']:,}", "" if pinned is None else f"{pinned + 1:,}", state)
    console.print(shown)
    if value["host"]:
        console.print(Text(f"hosted by {value['host']}", "dim"), soft_wrap=True)
    console.print(Text(count(len(value["logs"]), "log"), "dim"))
