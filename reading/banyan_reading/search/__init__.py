"""Search: an index of what posts say, in a file of its own. It is made from the store, and can be made again.

words.py       how texts are folded, and what a person's question means
index.py       the index: SQLite's FTS5
following.py   keeps it as the store is
"""
