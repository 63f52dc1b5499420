"""The node itself: its state, store, peers and firehose."""
