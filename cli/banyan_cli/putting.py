"""Files that are posted: put before the post is written, so that nothing is posted if one of them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from banyan_cli import session
from banyan_cli.errors import BadInput


def put_all(s: session.Session, files: list[str] | None, alts: list[str] | None) -> list[dict[str, Any]]:
    """What `post` takes as its media. Each description belongs to the file at its place."""
    files, alts = files or [], alts or []
    if len(alts) > len(files):
        raise BadInput(f"There are {len(alts)} --alt and {len(files)} --media; give each file before its description.")
    items = list[dict[str, Any]]()
    for n, file in enumerate(files):
        item = {"blob": put(s, file)["blob"], "description": alts[n] if n < len(alts) else None}
        items.append({name: value for name, value in item.items() if value is not None})
    return items


def put(s: session.Session, file: str) -> dict[str, Any]:
    """The answer of `media.put`. The node may run in another folder, so the path is made absolute here."""
    from banyan_cli.progress import waiting

    with waiting(s.out.notes, f"reading {Path(file).name}"):
        found: dict[str, Any] = s.call("media.put", path=str(Path(file).expanduser().absolute()))
    if found["note"]:
        s.out.note(f"{Path(file).name}: {found['note']}")
    return found
