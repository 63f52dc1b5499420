"""What people read, and who sees it (README.md)."""
