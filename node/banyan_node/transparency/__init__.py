"""What this node withheld, in a log that anybody can check (docs/transparency.md)."""
