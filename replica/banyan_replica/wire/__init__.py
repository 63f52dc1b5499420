"""The messages between two replicas: one per frame, [code, field, ...], in the strict CBOR of signed values.

`message_table.py` defines all messages. From it are made the codec, which messages may come before hello, which count
against credit, and the grammar and the table in docs/protocol.md. `messages.py` has the values, `fields.py` the types
of fields, `data_items.py` the items of `data`.
"""
