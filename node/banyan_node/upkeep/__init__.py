"""Work that a node does by itself over time."""
