"""A replica: bytes and the time go in, effects come out, nothing waits. Start reading at replica.py."""
