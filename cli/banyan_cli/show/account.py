"""Shows an account to its owner: whether something is wrong, who may write, and what was decided when."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from banyan_cli.show.phrases import count
from banyan_cli.show.tables import Row, aside, columns, named
from banyan_schema.dates import minute

SLOTS = {0: "root", 1: "recovery"}
_KEYS = columns(
    ("key", lambda key: SLOTS.get(key["slot"], f"slot {key['slot']}")),
    ("generation#", lambda key: str(key["generation"])),
    ("here", lambda key: "yes" if key["held"] else "no"),
    ("digest", lambda key: key["current"][:16]),
)
_HISTORY = columns(
    ("entry#", lambda step: str(step["seq"])),
    ("when", lambda step: minute(step["time_ms"])),
    ("op", "op"),
    ("what", "sentence"),
)


def account(console: Console, value: Row, here: str = "") -> None:
    """Shows the answer of `account.show`. here: this node's writer."""
    state = (
        "closed" if value["closed"] else "frozen: two keys of equal strength disagree" if value["frozen"] else "open"
    )
    whose = "  yours" if value["own"] else "  hosted here" if value["hosted"] else ""
    console.print(Text.assemble((named(value), "bold"), f"  {state}", (whose, "dim")))
    console.print(Text(value["account"], "dim"), soft_wrap=True)
    _KEYS(console, value["keys"])
    cut = {cut["writer"] for cut in value["cuts"]}
    columns(
        ("writer", lambda grant: grant["writer"][:16]),
        ("stratum#", lambda grant: str(grant["stratum"])),
        ("until", lambda grant: "no end" if grant["until_ms"] is None else minute(grant["until_ms"])),
        ("collections", lambda grant: "all" if grant["colls"] is None else ", ".join(grant["colls"])),
        ("", lambda grant: "cut" if grant["writer"] in cut else "this node" if grant["writer"] == here else ""),
    )(console, value["grants"])
    pinned = {(pin["writer"], pin["log"]): pin["seq"] + 1 for pin in value["pins"]}
    columns(
        ("log", lambda log: "control" if log["log"] == 0 else f"{log['writer'][:16]} {log['log']}"),
        ("entries#", "length"),
        ("pinned#", lambda log: pinned.get((log["writer"], log["log"]))),
        ("", lambda log: ", ".join(["forked"] * bool(log["flag"]) + ["written here"] * bool(log.get("own")))),
    )(console, value["logs"])
    if value["host"]:
        console.print(Text(f"hosted by {value['host']}", "dim"), soft_wrap=True)
    aside(console, count(len(value["logs"]), "log"))
    _HISTORY(console, value["path"])


def _marks(row: Row) -> Text:
    """With what may be a thief's in bold."""
    marks = ["written here"] * row["own"] + row["marks"] + ["counts no more"] * (not row["counts"])
    return Text(", ".join(marks), "" if marks == ["written here"] else "bold")


_DID = {"post": "post", "edit": "edit of", "delete": "deletes", "other": "something else"}


def _what(row: Row) -> str:
    said = "" if row["text"] is None else " ".join(row["text"].split())[:60]
    about = "" if row["uri"] is None else f"{row['uri'].rpartition('/')[2][-8:]} "
    return f"{_DID[row['does']]} {about}{said}".rstrip()


activity = columns(
    ("entry", lambda row: row["entry"][:8]),
    ("when", lambda row: minute(row["time_ms"])),
    ("writer", lambda row: row["writer"][:16]),
    ("log#", lambda row: str(row["log"])),
    ("", _marks),
    ("what", _what),
)
"""What writers did lately: entries by which a cut is named."""
