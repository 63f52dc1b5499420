"""Files of others, read strictly and turned into batches that a node applies once each."""
