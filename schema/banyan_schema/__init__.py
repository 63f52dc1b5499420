"""Says what people say: which collections there are, their cells, their content. Start reading at collection.py."""
