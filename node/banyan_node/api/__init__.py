"""The methods of the control API. The command line also runs them without a running node.

Start reading at declare.py (what a method is), then methods/ (all of them), dispatch.py (how a call reaches one).
"""

from banyan_node.api.dispatch import LocalBackend, NodeBackend, ReadingBackend

__all__ = ["LocalBackend", "NodeBackend", "ReadingBackend"]
