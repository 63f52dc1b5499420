"""Pages with examples in hex: what is between `<!-- vector NAME -->` and `<!-- end -->` is made."""

from __future__ import annotations

import re
from pathlib import Path


def block(hexed: str, width: int = 96) -> str:
    return "\n".join(hexed[i : i + width] for i in range(0, len(hexed), width))


def filled(document: Path, shown: dict[str, str]) -> str:
    """The page with its examples. Exits if it has no block for one of them."""

    def fill(m: re.Match[str]) -> str:
        text = shown.pop(m[1])
        fenced = text if text.startswith(("```", "|")) else f"```\n{text}\n```"
        return f"<!-- vector {m[1]} -->\n{fenced}\n<!-- end -->"

    page = re.sub(r"<!-- vector (\w+) -->\n.*?<!-- end -->", fill, document.read_text(), flags=re.DOTALL)
    if shown:
        raise SystemExit(f"{document.name} has no block for {', '.join(shown)}: add <!-- vector NAME --> <!-- end -->")
    return page
