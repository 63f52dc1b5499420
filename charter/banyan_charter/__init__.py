"""The rules of an alliance that nobody owns. Start with README.md."""
