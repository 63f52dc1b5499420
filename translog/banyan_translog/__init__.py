"""A public log that anybody can check. Start with README.md."""
