"""What others did that concerns an account, a line each, with the text of their post under it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from banyan_cli import refs
from banyan_cli.show.feed import words
from banyan_cli.show.phrases import ago, name_of
from banyan_node.terminal_escape import plain

DID = {
    "reply": "answered your post",
    "quote": "quoted your post",
    "mention": "mentioned you",
    "reaction": "reacted to your post",
    "repost": "reposted your post",
    "follow": "followed you",
    "group_invite": "invited you to the group",
    "group_accept": "accepted you into the group",
    "group_request": "asked to join your group",
    "follow_request": "asked to follow you",
    "follow_accept": "accepted you as a follower",
    "move": "moved, and goes on as",
    "urgent": "says, urgently",
    "event_invite": "invited you to",
    "episode": "has a new episode in",
    "poll_ended": "asked a poll that has ended",
}
NAMED = 3
"""So many are named in a line."""


def notices(console: Console, rows: list[dict[str, Any]], now: int | None = None) -> None:
    """Shows the rows that `notifications` answers."""
    for row in rows:
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(_line(row), Text(ago(row["time_ms"], now), "dim"))
        console.print(grid)
        if row["post"]:
            console.print(words(row["post"]), style="dim")


def _line(row: dict[str, Any]) -> Text:
    accounts = row["accounts"]
    names = [name_of(a["account"], a["name"]) for a in accounts[:NAMED]]
    more = len(accounts) - len(names) + row["others"]
    if more:
        names.append("1 other" if more == 1 else f"{more:,} others")
    who = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    mark = ("● ", "yellow") if row["unread"] else ""
    line = Text.assemble(mark, (who, "bold"), f" {DID[row['kind']]}")
    if row["emojis"]:
        line.append(f" with {' '.join(map(plain, row['emojis']))}")
    if row.get("group"):
        line.append(f" {plain(row['group']['name'])}  ").append(refs.short(row["group"]["uri"]), "dim")
    if row.get("to"):
        line.append(f" {name_of(row['to']['account'], row['to']['name'])}  `banyan follow` follows it there", "")
    if row.get("event"):
        line.append(f" {plain(row['event']['title'])}  ").append(refs.short(row["event"]["uri"]), "dim")
    if row.get("channel"):
        line.append(f" {plain(row['channel']['title'])}  ").append(refs.short(row["channel"]["uri"]), "dim")
    about = row["about"] or (row["post"] and row["post"]["uri"])
    if about:
        line.append(f"  {refs.short(about)}", "dim")
    if row["edited"]:
        line.append("  edited", "dim italic")
    return line
