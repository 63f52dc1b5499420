"""Writes the table of states in architecture.md from the tables of steps themselves, so that the page cannot go stale.

uv run python docs/states_table.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from banyan_replica.peers.states import COURSE, LIFE, READER, TURN

PAGE = Path(__file__).with_name("architecture.md")
START, END = "<!-- states: made by docs/states_table.py -->", "<!-- end of states -->"
MACHINES: dict[str, Mapping[Any, Mapping[Any, Any]]] = {"life": LIFE, "course": COURSE, "reader": READER, "turn": TURN}


def table() -> str:
    """One row a state, in the order of states.py."""
    rows = ["| machine | state | what | steps |", "|---|---|---|---|"]
    for name, machine in MACHINES.items():
        rows += _rows(name, machine)
    return "\n".join(rows)


def _rows(name: str, machine: Mapping[Any, Mapping[Any, Any]]) -> Iterator[str]:
    for state, steps in machine.items():
        to: dict[Any, list[str]] = {}
        for event, after in steps.items():
            to.setdefault(after, []).append(event.name)
        said = [f"{', '.join(events)}: **{after.name}**" for after, events in to.items() if after is not state]
        stays = [f"{', '.join(to[state])}: stays"] if state in to else []
        yield f"| {name} | {state.name} | {state.value} | {'; '.join(said + stays)} |"


def filled(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
