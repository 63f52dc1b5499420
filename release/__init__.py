"""What strangers install: a wheelhouse, an executable, and the proof that both work (README.md)."""
