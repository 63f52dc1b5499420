"""Pictures, films and sounds: putting them here, fetching, saving, and which are kept."""

from __future__ import annotations

import os
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli.command_session import Session, put
from banyan_cli.declare import Fields, Parser, Resolver, root
from banyan_cli.errors import BadInput, Failed
from banyan_cli.parameters import Undo
from banyan_cli.refs import SHORT_BLOB
from banyan_cli.show.tables import Row, columns, count, facts, size
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

_media = root.group("media", "Pictures and films: add, list, show, save, fetch, pin, drop.")
Blob = Annotated[str, typer.Argument(metavar="BLOB", help="Its digits as a post shows them; 8 are enough.")]
Whole = Annotated[Blob, Resolver(lambda s, text, by: _shown(s, text)["blob"])]
DIGITS = 64
READ, WAIT_S = 4 << 20, 1.0
PAGE = 1_000


def _digits(blob: str) -> str:
    digits = blob.strip().lower()
    if not 8 <= len(digits) <= DIGITS or set(digits) - set("0123456789abcdef"):
        raise BadInput(f"'{blob[:80]}' is no blob: give at least 8 of its hexadecimal digits, as a post shows them.")
    return digits


def _shown(s: Session, blob: str) -> Row:
    """What is known of a blob, by its first digits."""
    found: Row = s.call("media.show", blob=_digits(blob))
    return found


@_media.command("add")
def add(s: Session, file: Annotated[str, typer.Argument(metavar="FILE", help="To be posted later.")]) -> None:
    """Put a file here, to be posted within a day by a program. `banyan post --media FILE` does both."""
    from banyan_cli.show import feed as shown

    found = put(s, file)
    s.out.done(found, f"{found['blob']}\n{shown.about(found)}")


def _why(row: Row) -> str:
    return "pinned" if row["pinned"] else "" if row["named"] else "nothing names it"


_BLOBS = columns(
    ("blob", lambda row: row["blob"][:SHORT_BLOB]),
    ("type", lambda row: row["type"] or ("preview" if row["named"] else "?")),
    ("size#", lambda row: size(row["size"])),
    ("here", lambda row: "yes" if row["whole"] else "in part"),
    ("", _why),
)


@_media.command("list")
def listed(s: Session) -> None:
    """The pictures and films that are here."""
    rows, after = list[Row](), None
    while True:
        page = s.call("media.list", after=after, limit=PAGE)
        rows, after = rows + page["blobs"], page["after"]
        if after is None:
            break

    def show(console: Console, found: list[Row]) -> None:
        _BLOBS(console, found)
        console.print(f"{count(len(found), 'blob')}, {size(page['bytes'])}.")

    s.out.answers(rows, show, "No pictures or films are here.")


def _facts(console: Console, found: Row) -> None:
    names = [*found["posts"], *(f"{of['account']} ({of['field']})" for of in found["profiles"])]
    apart = ("posts", "profiles", "wanted_ms", "whole", "held", "size")
    value = {name: fact for name, fact in found.items() if name not in apart and fact is not None}
    held = "all of it" if found["whole"] else f"{size(found['held'])}"
    value |= {"size": "unknown" if found["size"] is None else size(found["size"]), "here": held}
    facts(console, value | {"named by": ", ".join(names) or "nothing"})


@_media.value("media.show", _facts)
def media_show(blob: Annotated[Blob, Parser(_digits)]) -> None:
    """What is known of one: type, size, how much of it is here, what names it."""


@_media.command("save")
def save(
    s: Session,
    blob: Blob,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write one to a file. It is fetched first if it is not here."""
    if file.is_dir():
        raise BadInput(f"{file} is a folder; name a file in it.")
    if file.exists() and not force:
        raise BadInput(f"{file} exists; name another file, or write over it with --force.")
    if file.exists() and not file.is_file():
        raise BadInput(f"{file} is no ordinary file; name one.")
    found = _shown(s, blob)
    if not found["whole"]:
        found = found | _fetch(s, found["blob"])
    draft, total = file.with_name(f".{file.name}.part"), int(found["size"])
    try:
        _write(s, found["blob"], draft, total)
        draft.replace(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written ({error.strerror}); choose another place.") from error
    finally:
        draft.unlink(missing_ok=True)
    answer = {"blob": found["blob"], "size": total, "file": str(file.absolute())}
    s.out.done(answer, f"Saved {size(total)} as {plain(str(file))}.")


def _write(s: Session, blob: str, draft: Path, total: int) -> None:
    from banyan_cli.progress import bar

    with draft.open("wb") as out, bar(s.out.notes, "saving", total) as advance:
        for offset in range(0, total, READ):
            raw = b64decode(s.call("media.read", blob=blob, offset=offset, length=READ)["data"])
            out.write(raw)
            advance(len(raw))
        out.flush()
        os.fsync(out.fileno())


@_media.command("fetch")
def fetch(s: Session, blob: Blob) -> None:
    """Fetch one from peers, and wait for it. Stopped and begun again, it goes on."""
    found = _shown(s, blob)
    answer = _fetch(s, found["blob"])
    s.out.done(answer, f"Here: {size(answer['size'])}. `banyan media save {found['blob'][:12]} FILE` writes it.")


def _fetch(s: Session, blob: str) -> Row:
    from banyan_cli.progress import bar

    state: Row = s.call("media.fetch", blob=blob, wait_s=0)
    with bar(s.out.notes, "fetching", state["size"] or 1) as advance:
        have = 0
        while not state["whole"]:
            if state["failed"]:
                raise Failed(f"{blob[:16]} could not be fetched: {state['failed']}. What came of it is kept.")
            state = s.call("media.fetch", blob=blob, wait_s=WAIT_S)
            advance(state["held"] - have)
            have = state["held"]
    return state


@_media.act("media.drop")
def media_drop(answer: Fields, blob: Whole) -> str:
    """Remove one from this node. It can be fetched again while a peer has it."""
    return f"Dropped {answer['blob'][:16]}: {size(answer['bytes'])} are free again."


@_media.act("media.pin", "{given[blob]:.16} is kept.", undone="{given[blob]:.16} is no longer kept for good.")
def media_pin(blob: Whole, undo: Undo = False) -> None:
    """Keep one here, whatever happens to its post and however full the disk is."""
