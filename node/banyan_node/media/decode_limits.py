"""Limits of what is decoded, which others are told too."""

MAX_PIXELS = 100_000_000
"""Of one picture: more than the sensors of cameras have, and 300 MB decoded."""
MAX_PAGE = 1 << 20
"""Bytes of a page of the web that are read: what it says of itself stands at its beginning."""
