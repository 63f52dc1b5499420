"""The client API of Mastodon, so that apps that people have work with a node."""
