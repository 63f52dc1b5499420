"""What people read: who sees which post (README.md)."""
