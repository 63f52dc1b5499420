"""Mistakes of processes that serve the door beside the node."""

from tests.mutants.mutant import Mutant

_HELD, _SERVING = (f"web/banyan_web/workers/{m}.py" for m in ("held", "serving"))
_COUNTS, _BOUNDS = (f"web/banyan_web/{m}.py" for m in ("shared_counts", "bounds"))
_BLOBS, _IDS = "storage/banyan_storage/blobs/blob_store.py", "storage/banyan_storage/id_index.py"
_COUNTING, _COST = "web/banyan_web/counting.py", "node/banyan_node/api/cost.py"
_COSTS = ("tests/web/test_costs_of_strangers.py",)
_SERVER = ("tests/web/test_worker_server.py",)
_HTTP = "node/banyan_node/server/http_protocol.py"

IN_WORKERS = (
    Mutant("the head of a request may take for ever", _HELD, "late = held.head_since", "late = None", _SERVER),
    Mutant("an answer need not be read", _HELD, "stuck = waits and", "stuck = False and", _SERVER),
    Mutant("a stranger keeps others out", _HELD, "if not held.shown.let_in), None)", "if False), None)", _SERVER),
    Mutant("a length and chunks are taken", _HTTP, 'if b"content-length" in names and', "if False and", _SERVER),
    Mutant(
        "a long head that came whole is taken",
        _HTTP,
        "if framing > HEAD_BYTES:",
        "if framing > 4 * HEAD_BYTES:",
        _SERVER,
    ),
    Mutant(
        "each worker counts for itself",
        _COUNTS,
        "count, before = moved_on(at_last, counted, earlier, ends, seconds, more)",
        "count, before = 1, 0",
        _SERVER,
    ),
    Mutant(
        "one worker takes all connections",
        _SERVING,
        "return share.counts.least_load(share.workers) < len(self.lines)",
        "return False",
        _SERVER,
    ),
    Mutant(
        "a connection is left for ever to a worker that does not take it",
        _SERVING,
        "self._takes_until = self.lines.clock() + GIVE_WAY_S",
        "pass",
        _SERVER,
    ),
    Mutant(
        "a worker that gave way to nobody takes the next one before others",
        _SERVING,
        "                if n:\n                    return  # perhaps none waits\n",
        "",
        _SERVER,
    ),
    Mutant(
        "a worker does not say what it took",
        _SERVING,
        "            self._note_load()\n            self._tasks",
        "            self._tasks",
        _SERVER,
    ),
    Mutant(
        "reads on threads cost nothing", _COST, " cost.seconds += thread_time() - began", " cost.seconds += 0.0", _COSTS
    ),
    Mutant(
        "an answer costs a stranger nothing",
        _COUNTING,
        "self._bounds.spend_anonymous(self._address, self._cost.seconds - self._charged)",
        "pass",
        _COSTS,
    ),
    Mutant("a token of an app alone costs nothing", _COUNTING, "token is None or (", "token is None and (", _COSTS),
    Mutant(
        "an app without a person speaks over a WebSocket for nothing",
        "web/banyan_web/sockets.py",
        "        self.meter.demand()\n",
        "",
        _COSTS,
    ),
    Mutant(
        "all who read wait for an archive",
        "node/banyan_node/api/methods/exporting.py",
        '"too_large", slow=True',
        '"too_large"',
        _COSTS,
    ),
    Mutant(
        "one address watches with as many streams as it likes",
        _BOUNDS,
        "counts[address] >= self.share(of_address) or ",
        "",
        _COSTS,
    ),
    Mutant("one network has all there is", _BOUNDS, "OF_NEAR, OF_ADDRESS = 4, 8", "OF_NEAR, OF_ADDRESS = 1, 8", _COSTS),
    Mutant("all at once find the whole allowance", _BOUNDS, " or count.left < self._begun[key] * BEGUN_US", "", _COSTS),
    Mutant(
        "a picture that is put again has no day to be posted",
        _BLOBS,
        'os.utime(self._paths(of.root).at(".list"))',
        "pass",
        ("tests/node/test_drafts.py",),
    ),
    Mutant(
        "the preview of a picture that is put again goes with the post of before",
        "node/banyan_node/media/keeping.py",
        "if c.blobs.put_ms(root) > max(",
        "if 0 > max(",
        ("tests/node/test_drafts.py",),
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
