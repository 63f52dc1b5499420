"""What an app is told while it is open. Start reading at hub.py."""
