"""Accounts whose keys this node holds."""
