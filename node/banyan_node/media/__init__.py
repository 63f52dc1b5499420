"""Pictures and films: what a file is, putting it, fetching blobs from peers and giving them out, and what is kept."""
