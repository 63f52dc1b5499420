"""What the node says of itself: `status`, and what a person sees when it is up, in the place of a log line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from banyan_cli.show.phrases import ago, count, name_of, sentence, span
from banyan_node.terminal_escape import plain

Row = dict[str, Any]


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
