"""Pictures and films in a terminal: a line for each. Descriptions are other people's: they pass `plain`."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

from banyan_cli.show.words import count, size
from banyan_node.harmless import plain

Row = dict[str, Any]
SHORT = 12
"""Digits of a blob that are shown."""


def line(item: Row) -> Text:
    """One item under a post: what it is, what it shows, and whether it is here."""
    said = unicodedata.normalize("NFC", item["description"] or "")
    text = Text.assemble(("▣ ", "cyan"), about(item))
    if said.strip():
        text.append(f"  {plain(' '.join(said.split()))}")
    text.append(f"  {item['blob'][:SHORT]}", "dim")
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
        parts.append(_length(item["duration_ms"]))
    if item.get("size"):
        parts.append(size(item["size"]))
    return ", ".join(parts)


def _length(ms: int) -> str:
    seconds = ms // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def rows(console: Console, found: list[Row], total: int) -> None:
    """A table of what is here."""
    from banyan_cli.show.tables import table

    made = table("blob", "type", "size#", "here", "")
    for row in found:
        why = "pinned" if row["pinned"] else "" if row["named"] else "nothing names it"
        here = "yes" if row["whole"] else "in part"
        made.add_row(
            row["blob"][:SHORT],
            plain(row["type"] or ("preview" if row["named"] else "?")),
            size(row["size"]),
            here,
            why,
        )
    console.print(made)
    console.print(f"{count(len(found), 'blob')}, {size(total)}.")


def facts_of(found: Row) -> Row:
    """What `show` says of one."""
    names = [*found["posts"], *(f"{of['account']} ({of['field']})" for of in found["profiles"])]
    apart = ("posts", "profiles", "wanted_ms", "whole", "held", "size")
    value = {name: fact for name, fact in found.items() if name not in apart and fact is not None}
    held = "all of it" if found["whole"] else f"{size(found['held'])}"
    value |= {"size": "unknown" if found["size"] is None else size(found["size"]), "here": held}
    return value | {"named by": ", ".join(names) or "nothing"}
