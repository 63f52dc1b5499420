"""What is known of each neighbour, and what comes of what it does. Start reading at session.py, then states.py."""
