"""What apps are shown: the node's answers as Mastodon's entities."""
