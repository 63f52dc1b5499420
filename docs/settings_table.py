"""Writes the table of settings in operating.md from the settings themselves, so that the page cannot go stale.

uv run python docs/settings_table.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from banyan_node.home.settings import OPTIONS

PAGE = Path(__file__).with_name("operating.md")
START, END = "<!-- settings: made by docs/settings_table.py -->", "<!-- end of settings -->"


def table() -> str:
    """One row a setting, in the order of config.py."""
    rows = ["| setting | default | allowed | why |", "|---|---|---|---|"]
    for option in OPTIONS.values():
        cells = (f"`{option.name}`", _shown(option.default), option.allowed, option.why)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def filled(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "none"
    return f"`{value}`" if value != "" else "none"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
