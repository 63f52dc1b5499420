"""The state kept for each peer, and the consequences of its conduct. Start reading at session.py, then states.py."""
