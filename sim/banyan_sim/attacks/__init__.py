"""One module per attack that consists of messages. Its name is the attack's name; nothing else names it."""
