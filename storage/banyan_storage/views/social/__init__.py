"""Views of what people say, by what they are about. registry.py finds every `View` in a file; no list names it."""
