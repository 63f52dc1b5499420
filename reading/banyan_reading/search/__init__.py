"""Search: an index of what posts say, in a file of its own. It is made from the store, and can be made again.

query.py       how texts are folded, and what a person's question means
fts_index.py   the index: SQLite's FTS5
indexer.py     keeps it as the store is
"""
