"""Takes one account out in forms that other programs read. Start reading at sinks.py."""
