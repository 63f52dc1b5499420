"""Pictures, films and other files, and previews of links."""
