"""All methods, one file a subject. A file with a `METHODS` is found by registry.py; no list names it."""
