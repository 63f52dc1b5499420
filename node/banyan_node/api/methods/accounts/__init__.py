"""Accounts: keys, moving in, moving on, closing."""
