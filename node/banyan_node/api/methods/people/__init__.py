"""People: profiles, relations, notifications, and what each keeps to itself."""
