"""Sizes as people write them."""

import re
from decimal import Decimal


def size_of_text(text: str) -> int:
    """The bytes of a text such as `500000000`, `500 MB` or `20GB`. Raises ValueError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?B)?", text.strip())
    if found is None:
        raise ValueError(text)
    return int(Decimal(found[1]) * _UNITS[found[2] or "B"])


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = "bytes, or a text such as 500 MB or 20 GB"
"""The title of settings that `size_of_text` reads."""
