"""The control API on loopback: its server, its client, and how they find each other."""
