"""The folder of a node: its settings and its secrets."""
