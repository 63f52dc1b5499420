"""Writes docs/api.sha256: a digest of what programs see of each API, so that a change of it stands in the diff.

uv run python -m docs.api_digests
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from banyan_node.api.reference import reference
from docs.platform_openapi import platform_openapi

PLACE = Path(__file__).with_name("api.sha256")


def digests() -> str:
    """A line for each: the digest, and the command that prints the text."""
    made = {"-m banyan_node.api.reference": reference(), "docs/platform_openapi.py": platform_openapi()}
    return "".join(f"{sha256(text.encode()).hexdigest()}  uv run python {command}\n" for command, text in made.items())


if __name__ == "__main__":
    PLACE.write_text(digests())
