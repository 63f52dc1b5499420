"""Links to peers: which are dialled, why one cannot be reached, and whether this node is complete."""
