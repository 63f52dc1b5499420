"""Reports, decisions, content that is withheld; labels, and whose this node follows; orders of the alliance."""
