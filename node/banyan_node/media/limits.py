"""Limits of what is decoded, which others are told too."""

MAX_PIXELS = 100_000_000
"""Of one picture: more than the sensors of cameras have, and 300 MB decoded."""
