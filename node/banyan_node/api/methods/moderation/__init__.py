"""Reports, decisions, and content that is withheld."""
