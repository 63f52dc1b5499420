"""Posts in a terminal: a heading, the text, pictures, what people answered, and why one sees it; threads are indented.

Widths are counted in terminal cells (an emoji takes two, a Vietnamese letter one however it is composed), so that the
right edge is straight in any script. Texts and names are other people's: they pass `plain` before they are shown.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from banyan_cli import refs
from banyan_cli.show.tables import Row, ago, clock, count, name_of, now_ms, size, span
from banyan_node.terminal_escape import plain
from banyan_schema.dates import second

# Pictures and films: a line for each.


def media_line(item: Row) -> Text:
    """One item under a post: what it is, what it shows, and whether it is here."""
    said = unicodedata.normalize("NFC", item["description"] or "")
    text = Text.assemble(("▣ ", "cyan"), about(item))
    if said.strip():
        text.append(f"  {plain(' '.join(said.split()))}")
    text.append(f"  {item['blob'][: refs.SHORT_BLOB]}", "dim")
    if not item["here"]:
        text.append("  not here: `banyan media fetch`", "dim italic")
    return text


def about(item: Row) -> str:
    """`picture, 960 x 1280, 516.8 kB`."""
    kind = plain(item["type"] or "of an unknown type")
    family = {"image": "picture", "video": "film", "audio": "sound"}.get(kind.partition("/")[0])
    word = "captions" if kind == "text/vtt" else f"{family} ({kind.partition('/')[2]})" if family else kind
    parts = [word]
    if item.get("width") and item.get("height"):
        parts.append(f"{item['width']:,} x {item['height']:,}")
    if item.get("duration_ms"):
        parts.append(clock(item["duration_ms"]))
    if item.get("size"):
        parts.append(size(item["size"]))
    return ", ".join(parts)


# -- posts

NAME_CELLS = 28
MAX_INDENT = 8
"""Levels; a deeper answer stays at this one, so that its text keeps room."""


def feed(console: Console, posts: list[Row], now: int | None = None) -> None:
    """Shows the posts that `feed` answers."""
    for row in posts:
        console.print(post(row, now))
        console.print()


def thread(console: Console, page: Row, asked: str, now: int | None = None) -> None:
    """Shows the answer of `thread`; the post that was asked for is marked."""
    if page.get("missing"):
        console.print(Text(gone(page), "dim italic"))
    gaps = page["gaps"]
    for at, row in enumerate(page["posts"]):
        _show_gaps(console, [gap for gap in gaps if gap["at"] == at])
        depth = min(int(row["depth"]), MAX_INDENT)
        console.print(_Guided(post(row, now, asked == row["uri"], True), depth))
        console.print(_Guided(Text(), depth))
    _show_gaps(console, [gap for gap in gaps if gap["at"] >= len(page["posts"])])


def _show_gaps(console: Console, gaps: list[Row]) -> None:
    for gap in gaps:
        depth = min(int(gap["depth"]), MAX_INDENT)
        line = f"… here is an answer that is {plain(gap['gone']['sentence'])} ({refs.short(gap['uri'])})"
        console.print(_Guided(Text(line, "dim italic"), depth))
        console.print(_Guided(Text(), depth))


def gone(page: Row) -> str:
    """The line in the place of a post that a thread lacks."""
    why = (page.get("gone") or {}).get("sentence") or "not held here"
    return f"… above this is a post that is {plain(why)} ({refs.short(page['missing'])})"


def post(row: Row, now: int | None = None, marked: bool = False, in_thread: bool = False) -> RenderableType:
    """One post: who, when and its short name; text; what it quotes; reactions and answers."""
    lines: list[RenderableType] = [_heading(row, now, marked)]
    if who := row.get("reposted"):
        names = ", ".join(name_of(one["account"], one["name"]) for one in who)
        lines.insert(0, Text(f"⟳ reposted by {names}, {ago(who[0]['time_ms'], now)}", "dim"))
    if row.get("reply_to") and not in_thread:
        to = row.get("reply_name")
        whom = plain(to) if to else f"a post that is not held ({refs.short(row['reply_to'])})"
        lines.append(Text(f"↳ answers {whom}", "dim"))
    if row.get("group"):
        lines.append(Text(f"in {plain(row['group']['name']) or refs.short(row['group']['uri'])}", "dim"))
    lines.append(words(row, marked))
    if not hides(row, marked):
        lines += [media_line(item) for item in row.get("media", ())]
    if row.get("quote"):
        lines.append(_quote(row["quote"]))
    if row.get("poll"):
        lines += [Text(line) for line in poll(row["poll"], now)]
    if row.get("explained"):
        lines.append(Text(because(row["explained"]), "dim italic"))
    below = footer(row)
    if below:
        lines.append(Text(below, "dim"))
    return Group(*lines)


def because(said: Row) -> str:
    """Why a post is in a feed, and why there."""
    names = ", ".join(name_of(one["account"], one["name"]) for one in said["by"])
    shown = {
        "own": "you wrote it",
        "followed": f"you follow {names}",
        "reposted": f"reposted by {names}",
        "listed": f"{names} is on the list",
        "asked": f"you asked for the posts of {names}",
        "public": "it is public",
    }[said["because"]]
    return f"? {shown}; {plain(said['order'])}"


def poll(asked: Row, now: int | None = None) -> list[str]:
    """A line for each option, and one for the whole."""
    voters, lines = asked["voters"], []
    for n, option in enumerate(asked["options"]):
        share = option["votes"] / voters if voters else 0
        mark = "●" if n in asked["mine"] else "○"
        lines.append(f"{mark} {n + 1}. {text_of(option['text'])}  {option['votes']} ({share:.0%})")
    left = asked["closes_ms"] - (now_ms() if now is None else now)
    when = "closed" if asked["closed"] else f"closes in {span(left)}"
    several = ", several choices" if asked["choices"] == "several" else ""
    return [*lines, f"{count(voters, 'voter')}{several}, {when}"]


def words(row: Row, asked: bool = False) -> Text:
    """What a post says, or what it warns of, unless one asked for the post."""
    warning = _warning(row)
    if warning and not asked:
        return Text.assemble(("⚠ ", "yellow"), text_of(warning), ("  `banyan thread` shows it", "dim"))
    text = text_of(row["text"]) if row["text"].strip() or not row.get("media") else ""
    return Text.assemble(("⚑ ", "yellow"), text_of(row["label"]), f"\n{text}") if row.get("label") else Text(text)


def _warning(row: Row) -> str | None:
    """The words of moderators, of the author, or of the reader's filter."""
    return row.get("label") or row.get("warning") or row.get("filtered")


def hides(row: Row, asked: bool) -> bool:
    """Whether only the warning of a post is shown."""
    return bool(_warning(row)) and not asked


def text_of(text: str) -> str:
    """A post's text, composed (NFC), so that a letter and its marks share a cell."""
    return plain(unicodedata.normalize("NFC", text), lines=True).strip("\n") or "(no text)"


def footer(row: Row) -> str:
    """`❤ 3  👍 1 · 2 replies · 1 repost · followers may answer`."""
    reactions = "  ".join(f"{plain(emoji)} {n}" for emoji, n in row.get("reactions", {}).items())
    replies = count(row["replies"], "reply", "replies") if row.get("replies") else ""
    reposts = count(row["reposts"], "repost") if row.get("reposts") else ""
    whom = (row.get("policy") or {}).get("answers", "everybody")
    may = {"followers": "followers may answer", "mentioned": "whom it mentions may answer", "nobody": "no answers"}
    return " · ".join(part for part in (reactions, replies, reposts, may.get(whom)) if part)


def fit(text: str, cells: int) -> str:
    """The text in exactly that many cells, cut with an ellipsis or filled with spaces."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(set_cell_size(text, cells - 1).rstrip() + "…", cells)


def _heading(row: Row, now: int | None, marked: bool) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    name = name_of(row["account"], row.get("name"))
    if cell_len(name) > NAME_CELLS:
        name = fit(name, NAME_CELLS).rstrip()
    left = Text.assemble(("▸ " if marked else "", "bold yellow"), (name, "bold"))
    if row.get("edited"):
        left.append("  edited", "dim italic")
    grid.add_row(left, Text(f"{ago(row['time_ms'], now)}  {refs.short(row['uri'])}", "dim"))
    return grid


def _quote(quote: Row) -> RenderableType:
    if quote.get("text") is None:
        inside = Text(f"a post that is not held ({refs.short(quote['uri'])})", "dim italic")
    else:
        said = f"⚠ {text_of(quote['warning'])}" if quote.get("warning") else text_of(quote["text"])
        inside = Text.assemble((name_of("", quote.get("name")) + ": ", "bold dim"), (said, "dim"))
    return _Guided(inside, 1)


class _Guided:
    """Indented by two cells a level, with a line down each level's side."""

    def __init__(self, inside: RenderableType, depth: int) -> None:
        self._inside = inside
        self._depth = depth

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - 2 * self._depth, 16)
        rails = Segment("│ " * self._depth, Style(dim=True))
        for line in console.render_lines(self._inside, options.update(width=width), pad=False):
            yield rails
            yield from line
            yield Segment.line()


# Why one sees a post, as lines for people.

KEY_DIGITS = 16
"""Of keys and entries so many digits are shown; `--json` has all."""


def why(console: Console, value: Row) -> None:
    """Shows the answer of `why`."""
    for name, said in _lines(value):
        console.print(Text.assemble((f"{name:<12}", "dim"), said))


def _lines(value: Row) -> list[tuple[str, str]]:
    device = "this node" if value["here"] else f"the device {value['writer'][:KEY_DIGITS]}"
    granted = f", granted by {value['granted'][:KEY_DIGITS]} of the account's control log" if value["granted"] else ""
    lines = [
        ("signed by", f"{name_of(value['account'], value['name'])}, with {device}{granted}"),
        ("written", f"{_when(value['time_ms'])} by the author's clock"),
        ("came here", _came(value)),
        ("stands at", f"entry {value['seq']} of log {value['log']}: {value['entry'][:KEY_DIGITS]}"),
        ("proof", _proof(value["proof"])),
    ]
    for version in value["versions"][:-1]:
        said = "(not held any more)" if version["text"] is None else text_of(version["text"])
        lines.append(("said before", f"{said}  ({_when(version['time_ms'])})"))
    holders = value["holders"]
    has = sum(one["holds"] == "yes" for one in holders)
    lines.append(("held by", f"{has} of {count(len(holders), 'linked peer')}, as far as they told"))
    return lines


def _when(time_ms: int) -> str:
    return f"{second(time_ms)} UTC ({ago(time_ms)})"


def _came(value: Row) -> str:
    if value["arrived_ms"] is None:
        return "not known any more"
    whence = f"from {value['from_peer']}" if value["from_peer"] else "written or imported here"
    return f"{_when(value['arrived_ms'])}, {whence}"


def _proof(proof: Row | None) -> str:
    if proof is None:
        return "the signature is not here yet"
    run = "itself" if proof["entries"] == 1 else f"a run of {proof['entries']} entries from it to entry {proof['seq']}"
    verdict = "verified now" if proof["valid"] else "DOES NOT VERIFY"
    return f"the signature {proof['signature'][:KEY_DIGITS]}… covers {run}: {verdict}"


# What others did that concerns an account, a line each, with the text of their post under it.


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
    "label": "labelled you or your post",
    "label_appeal": "appeals to you against a label",
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
