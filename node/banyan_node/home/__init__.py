"""The home folder of a node: settings and secrets."""
