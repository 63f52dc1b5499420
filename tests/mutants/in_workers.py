"""Mistakes of processes that serve the door beside the node."""

from tests.mutants.mutant import Mutant

_HELD, _SERVING = (f"web/banyan_web/workers/{m}.py" for m in ("held", "serving"))
_COUNTS, _BOUNDS = (f"web/banyan_web/{m}.py" for m in ("shared_counts", "bounds"))
_BLOBS, _IDS = "storage/banyan_storage/blobs/blob_store.py", "storage/banyan_storage/id_index.py"
_SERVER = ("tests/web/test_worker_server.py",)

IN_WORKERS = (
    Mutant("the head of a request may take for ever", _HELD, "late = held.head_since", "late = None", _SERVER),
    Mutant("an answer need not be read", _HELD, "stuck = waits and", "stuck = False and", _SERVER),
    Mutant("a stranger keeps others out", _HELD, "if not held.shown.let_in), None)", "if False), None)", _SERVER),
    Mutant("a length and chunks are taken", _SERVING, 'if b"content-length" in names and', "if False and", _SERVER),
    Mutant(
        "each worker counts for itself",
        _COUNTS,
        "count, before = moved_on(at_last, counted, earlier, ends, seconds)",
        "count, before = 1, 0",
        _SERVER,
    ),
    Mutant(
        "one worker takes all connections",
        "web/banyan_web/workers/serving.py",
        "return share.counts.least_load(share.workers) < len(self.lines)",
        "return False",
        ("tests/web/test_workers.py",),
    ),
    Mutant("each worker has the whole share", _BOUNDS, "return -(-most // self._processes)", "return most", _SERVER),
    Mutant(
        "a worker knows the blobs of its start",
        _BLOBS,
        "if self._index is None or not self._owns:",
        "if self._index is None:",
        ("tests/storage/test_blobs.py",),
    ),
    Mutant(
        "a worker renames a damaged blob",
        _BLOBS,
        "not (self._owns and self._unhold(held.root, chunk))",
        "not self._unhold(held.root, chunk)",
        ("tests/storage/test_blobs.py",),
    ),
    Mutant(
        "late ids are read once",
        _IDS,
        "self._upto = t.number(arrival)\n            return Late(",
        "self._upto = 1 << 40\n            return Late(",
        ("tests/storage/test_id_index.py",),
    ),
    Mutant(
        "each worker sends push messages",
        "web/banyan_web/workers/child.py",
        "            tasks.start_soon(send_pushes, web)\n",
        "        tasks.start_soon(send_pushes, web)\n",
        ("tests/web/test_push_workers.py",),
    ),
)
