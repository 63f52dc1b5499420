"""A node: what others say goes in, what is true is stored, what they lack goes out. Start reading at replica.py."""
