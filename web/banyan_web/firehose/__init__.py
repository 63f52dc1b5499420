"""The firehose: everything that arrives at the node, for programs. Start reading at tail.py."""
