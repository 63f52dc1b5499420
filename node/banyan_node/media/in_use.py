"""Which uploads something is done with at this moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from banyan_crdt.blob import BlobRoot
from banyan_node.operator_errors import CallError


class InUse:
    """Chunks of an upload may come at once; a blob is made of it, or it is dropped, alone. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._alone = set[BlobRoot]()
        self._beside = Counter[BlobRoot]()

    @contextmanager
    def alone(self, root: BlobRoot) -> Iterator[None]:
        """Raises CallError if anything else is done with the upload."""
        with self._lock:
            if root in self._alone or self._beside[root]:
                raise _busy(root)
            self._alone.add(root)
        try:
            yield
        finally:
            with self._lock:
                self._alone.discard(root)

    @contextmanager
    def beside(self, root: BlobRoot) -> Iterator[None]:
        """Raises CallError while somebody has the upload alone."""
        with self._lock:
            if root in self._alone:
                raise _busy(root)
            self._beside[root] += 1
        try:
            yield
        finally:
            with self._lock:
                self._beside[root] -= 1
                if not self._beside[root]:
                    del self._beside[root]


def _busy(root: BlobRoot) -> CallError:
    says = f"Something else is being done with the upload {root.hex()[:16]}...: wait for its answer."
    return CallError("refused", says, 409)
