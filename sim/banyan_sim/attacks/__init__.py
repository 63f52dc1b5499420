"""Attacks of messages, by what they go for. The class's name is the attack's name; nothing else names it."""
