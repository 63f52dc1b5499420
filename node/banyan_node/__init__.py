"""A node: trio, libp2p, keys and an API around a replica. Start reading at node.py."""
