"""Decides what is true: bytes, validity, state. No I/O, no clock, no randomness; all of them are arguments."""
