"""Where people meet: groups, events, channels and their playlists."""
