"""Thefts, acted out: which key is stolen, what the thief does, what is left, and what the owner gets back."""
