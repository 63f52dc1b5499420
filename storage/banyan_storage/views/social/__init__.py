"""Views of what people say, one file a view. A file with a `VIEW` is found by registry.py; no list names it."""
