"""Reads files in other formats strictly, and turns them into batches that a node applies once each."""
