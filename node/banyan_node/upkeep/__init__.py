"""What a node does over time, beside what peers and clients ask of it."""
