"""Gossip: HyParView keeps a small active view, a damped Plumtree spreads durable messages along it. Sans-I/O."""
