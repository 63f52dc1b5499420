"""Thefts, acted out: which key is stolen, what the thief does, what remains, and what the owner gets back."""
