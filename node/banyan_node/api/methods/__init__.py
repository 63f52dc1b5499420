"""All methods, one file a subject. A file with a `METHODS` is found by dispatch.py; no list names it."""
