"""One module per attack. Its name is the attack's name; nothing else names it."""
