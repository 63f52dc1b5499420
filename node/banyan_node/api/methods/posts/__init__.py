"""Posts: how they are written, read, found, drafted and proved."""
