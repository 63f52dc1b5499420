"""The command `banyan`."""
