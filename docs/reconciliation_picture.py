"""Draws reconciliation.svg: six logs, eight cells, three differences, taken out one by one. The walks are real.

uv run python docs/reconciliation_picture.py
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from banyan_replica.frontier.sketch import P, add_one, decode, empty, key_of, place, pure, submod, walk, weight

PICTURE = Path(__file__).with_name("reconciliation.svg")
CELLS, LEFT, STEP, BOX = 8, 250, 52, 40
KEY = key_of(b"picture 315")
GREY, INK = "#8a9a90", "#24332b"


class Log(NamedTuple):
    name: str
    here: int
    there: int
    colour: str

    @property
    def place(self) -> int:
        digest = hashlib.sha256(self.name.encode()).digest()
        return place(KEY, int.from_bytes(digest[:7], "big"), int.from_bytes(digest[7:14], "big"))

    def weight(self, length: int) -> int:
        head = hashlib.sha256(f"{self.name} {length}".encode()).digest()
        return weight(KEY, int.from_bytes(head[:7], "big"), int.from_bytes(head[7:14], "big"), length, 0)

    @property
    def differs(self) -> bool:
        return self.here != self.there


LOGS = (
    Log("An", 7, 7, GREY),
    Log("Bình", 12, 15, "#c2410c"),
    Log("Chi", 3, 3, GREY),
    Log("Dũng", 40, 31, "#0f766e"),
    Log("Em", 5, 5, GREY),
    Log("Giang", 2, 8, "#6d28d9"),
)


def text(x: float, y: float, words: str, size: int = 14, colour: str = INK, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def column(cell: int) -> int:
    return LEFT + cell * STEP


def matrix(y: int) -> list[str]:
    """Which log is in which cell."""
    out = [text(24, y, "log"), text(150, y, "here", anchor="end"), text(212, y, "there", anchor="end")]
    out += [text(column(c) + BOX / 2, y, str(c), 13, GREY, "middle") for c in range(CELLS)]
    for n, log in enumerate(LOGS):
        row = y + 28 * (n + 1)
        colour = log.colour if log.differs else INK
        out += [text(24, row, log.name, colour=colour), text(150, row, str(log.here), colour=colour, anchor="end")]
        out.append(text(212, row, str(log.there), colour=colour, anchor="end"))
        for c in walk(log.place, CELLS):
            out.append(f'<circle cx="{column(c) + BOX / 2}" cy="{row - 5}" r="8" fill="{log.colour}"/>')
    return out


def cells(y: int, label: str, inside: list[list[Log]], taken: Log | None = None) -> list[str]:
    """A row of cells: empty, one item (marked), or several."""
    out = [text(24, y + 25, label, colour=taken.colour if taken else INK)]
    for c, logs in enumerate(inside):
        one = len(logs) == 1
        edge = logs[0].colour if one else GREY
        out.append(
            f'<rect x="{column(c)}" y="{y}" width="{BOX}" height="{BOX}" rx="6" fill="#ffffff" stroke="{edge}" '
            f'stroke-width="{3 if one else 1}"/>'
        )
        if not logs:
            out.append(text(column(c) + BOX / 2, y + 25, "0", 14, GREY, "middle"))
        for k, log in enumerate(logs):
            x = column(c) + BOX / 2 + 12 * (k - (len(logs) - 1) / 2)
            out.append(f'<circle cx="{x}" cy="{y + BOX / 2}" r="5" fill="{log.colour}"/>')
    return out


def contents(logs: list[Log]) -> list[list[Log]]:
    return [[log for log in logs if c in walk(log.place, CELLS)] for c in range(CELLS)]


def peeled() -> list[tuple[Log, list[Log]]]:
    """(what is taken out, what is left), in the order of a decoder that takes the first pure cell."""
    left, out = [log for log in LOGS if log.differs], list[tuple[Log, list[Log]]]()
    while left:
        one = next(logs[0] for logs in contents(left) if len(logs) == 1)
        left = [log for log in left if log is not one]
        out.append((one, left))
    return out


def checked() -> None:
    """What is drawn is what the code does."""
    here, there = empty(CELLS), empty(CELLS)
    for log in LOGS:
        add_one(here, log.place, log.weight(log.here))
        add_one(there, log.place, log.weight(log.there))
    difference, apart = submod(here, there), [log for log in LOGS if log.differs]
    assert pure(difference).tolist() == [len(logs) == 1 for logs in contents(apart)]
    assert decode(difference).items == {log.place: (log.weight(log.here) - log.weight(log.there)) % P for log in apart}


def picture() -> str:
    checked()
    apart = [log for log in LOGS if log.differs]
    out = [text(24, 30, "Each log adds its weight to the cells of its walk; the walk depends on its name only", 15)]
    out += matrix(62)
    y = 262
    out.append(text(24, y, "Cells subtract: what is equal is gone, however much of it there is", 15))
    y += 18
    out += cells(y, "here − there", contents(apart))
    for taken, left in peeled():
        y += 62
        out += cells(y, f"{taken.name} taken out", contents(left), taken)
    who = ("the peer has {} more", "we have {} more")
    ahead = ", ".join(f"{log.name}: {who[log.here > log.there].format(abs(log.here - log.there))}" for log in apart)
    y += 76
    out.append(text(24, y, "A bold cell holds one item: S1² = S0·S2. Then h = S1 / S0, and S0 says who is ahead.", 15))
    out.append(text(24, y + 24, ahead, 14, GREY))
    height = y + 44
    label = "Sketches of six logs in eight cells are subtracted, and the three that differ are taken out one by one"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" role="img" aria-label="{label}" '
            f'font-family="system-ui, sans-serif">',
            f'<rect width="700" height="{height}" rx="12" fill="#fbfaf5"/>',
            *out,
            "</svg>\n",
        )
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
