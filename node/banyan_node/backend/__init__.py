"""What a node can be asked, by name: the methods of the control API, and of the command line without a running node.

Start reading at dispatch.py (how a call reaches its method), then accounts.py, social.py, imports.py, status.py.
"""

from banyan_node.backend.dispatch import LocalBackend, NodeBackend, ReadingBackend

__all__ = ["LocalBackend", "NodeBackend", "ReadingBackend"]
