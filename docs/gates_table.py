"""Writes the two chains of gates in architecture.md from the list itself, so that the page cannot go stale.

uv run python docs/gates_table.py
"""

from __future__ import annotations

from pathlib import Path

from banyan_node.admission.gates import FRAME, REQUEST

PAGE = Path(__file__).with_name("architecture.md")
START, END = "<!-- gates: made by docs/gates_table.py -->", "<!-- end of gates -->"


def table() -> str:
    """One row a gate, in the order of gates.py."""
    rows = list[str]()
    for chain, gates in (("a frame of a peer", FRAME), ("an HTTP request", REQUEST)):
        rows += [f"| {chain} | bounds | says | where |", "|---|---|---|---|"]
        for name, gate in gates.items():
            says = "; ".join(f'"{piece.strip(" .:")}"' for piece in gate.says) or "waits, or is dropped"
            where = ", ".join(f"`{'/'.join(file.split('/')[2:])}`" for file in gate.where)
            rows.append(f"| {name} | {gate.bounds} | {says} | {where} |")
        rows.append("")
    return "\n".join(rows[:-1])


def filled(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
