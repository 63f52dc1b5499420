"""All methods, a folder a subject. A module with a `METHODS` is found by dispatch.py; no list names it."""
