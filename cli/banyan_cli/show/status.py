"""What the node says of itself and of an account: `status`, what a person sees when it is up, in the place of a log
line, and `account show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from banyan_cli.show.tables import Row, ago, aside, columns, count, name_of, named, sentence, span
from banyan_node.terminal_escape import plain
from banyan_schema.dates import minute


def nobody(accounts: int) -> str:
    """What a node holds whose own account follows nobody. `accounts`: held, those of other people that it hosts too."""
    holds = "your own account alone" if accounts < 2 else "the accounts hosted here, and what those follow"
    return (
        f"You follow nobody yet, so this node holds {holds}: `banyan follow ACCOUNT`, or `banyan up --interest all` "
        "for the whole network."
    )


def status(console: Console, value: Row) -> None:
    """Shows the answer of `status`: first whether all is here, then what is not."""
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
        line.append(Text(f"fresh as of {ago(value['fresh_as_of'])}"))
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


def welcome(console: Console, value: dict[str, Any]) -> None:
    """Shows what the node says of itself when it is ready."""
    for line in welcome_lines(value):
        console.print(line, soft_wrap=True)


def welcome_lines(value: dict[str, Any]) -> Iterator[str]:
    """value: the answer of `id`, with `accounts` (how many are held), `follows` (0 or 1), `interest`, `bootstrap` and
    `restoring`."""
    name = " ".join(plain(value["name"]).split())
    yield f"{name or 'Your node'} is up. Ctrl-C stops it."
    yield f"  account  {value['account'] or 'none yet'}"
    for address in value["addresses"]:
        yield f"  address  {address}"
    if all("/127.0.0.1/" in a or "/::1/" in a for a in value["addresses"]):
        yield "Only this machine can reach it; `banyan up --listen /ip4/0.0.0.0/tcp/4001` lets others connect."
    if not value["bootstrap"]:
        yield "It knows no peer to dial: `banyan peers add ADDRESS`, with what `banyan id` shows on the other node."
    if value["restoring"]:
        yield "The accounts of its keys come back from peers; `banyan status` says how many are here."
    elif value["account"] is None:
        yield "It has no account of its own: `banyan account create NAME --own` makes one."
    elif value["interest"] == "follows" and not value["follows"]:
        yield nobody(value["accounts"])
        yield "Ask a friend for the account that `banyan id` shows there."
    else:
        yield 'In a second terminal: `banyan feed`, `banyan post "..."`, `banyan status`.'


# Shows an account to its owner: whether something is wrong, who may write, and what was decided when.

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
    did = _DID[row["does"]] if row["does"] != "other" else row["collection"] or _DID["other"]
    return f"{did} {about}{said}".rstrip()


activity = columns(
    ("entry", lambda row: row["entry"][:8]),
    ("when", lambda row: minute(row["time_ms"])),
    ("writer", lambda row: row["writer"][:16]),
    ("log#", lambda row: str(row["log"])),
    ("", _marks),
    ("what", _what),
)
"""What writers did lately: entries by which a cut is named."""
