"""The door in processes of its own. Start reading at supervisor.py (the node's side) and child.py (a worker's)."""
