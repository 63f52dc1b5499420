"""Push messages: what an app is told while it is closed. Start reading at sender.py."""
