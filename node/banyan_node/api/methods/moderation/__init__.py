"""Reports, decisions, content that is withheld; labels, and whose this node follows; orders.py: those of
the alliance."""
