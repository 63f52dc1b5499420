"""Mistakes in how much of the processor strangers get."""

from tests.mutants.mutant import Mutant

_PACE, _TURNS = "node/banyan_node/workers/pace.py", "node/banyan_node/workers/turns.py"
_WORKER, _STACK = "node/banyan_node/workers/worker.py", "node/banyan_node/edge/stack.py"
_PACED = ("tests/node/test_pace.py",)

IN_PACE = (
    Mutant(
        "strangers wait though own people do nothing",
        _PACE,
        "if now < self._busy_until else 0.0",
        "if True else 0.0",
        _PACED,
    ),
    Mutant("what strangers owe is paid at once", _PACE, "(now - self._at) * self._share", "(now - self._at)", _PACED),
    Mutant("strangers owe without bound", _PACE, "max(self.used - DEEPEST_S, min(", "max(0.0, min(", _PACED),
    Mutant("strangers save up time", _PACE, "min(paid, self.used + SAVED_S)", "paid", _PACED),
    Mutant(
        "a network that used little waits for what others owe",
        _PACE,
        "            return not self._lag(usage.group)",
        "            return True",
        _PACED,
    ),
    Mutant(
        "a network that was away saves up all the time",
        _PACE,
        "group.seconds = max(group.seconds, self._served - AHEAD_S)",
        "pass",
        _PACED,
    ),
    Mutant("a network that comes back is new", _PACE, "self._groups.pop(name, None)\n", "None\n", _PACED),
    Mutant("networks are remembered without bound", _PACE, "len(self._groups) >= GROUPS", "False", _PACED),
    Mutant(
        "those that wait go on in the order in which they came",
        _PACE,
        "min(self._waiting, key=lambda w: (w[0].group.seconds, w[0].seconds))",
        "self._waiting[0]",
        _PACED,
    ),
    Mutant(
        "many connections of a network have many shares",
        _PACE,
        "key=lambda w: (w[0].group.seconds, w[0].seconds)",
        "key=lambda w: w[0].seconds",
        _PACED,
    ),
    Mutant(
        "a new connection has saved up what the others of its network used",
        _PACE,
        "        usage.seconds = max(usage.seconds, usage.group.served)\n",
        "",
        _PACED,
    ),
    Mutant(
        "who ends while waiting is waited for",
        _PACE,
        "                self._waiting.remove((usage, go_on))\n",
        "                pass\n",
        _PACED,
    ),
    Mutant(
        "a named peer is a stranger",
        _PACE,
        "usage.peer, usage.spared = peer, peer in self.named",
        "usage.peer, usage.spared = peer, False",
        _PACED,
    ),
    Mutant(
        "what named peers use is the strangers'",
        _PACE,
        "        if not usage.spared:\n            with",
        "        if True:\n            with",
        _PACED,
    ),
    Mutant(
        "what was done after a connection ended is free",
        _PACE,
        "        with self._lock:  # its connection has ended\n            self.used += seconds",
        "        with self._lock:  # its connection has ended\n            pass",
        _PACED,
    ),
    Mutant(
        "the last node takes no meter away",
        _PACE,
        "            trio.lowlevel.remove_instrument(self._meter)\n",
        "",
        _PACED,
    ),
    Mutant(
        "who is dialled is nobody's stranger",
        _STACK,
        "BoundedStream(raw.stream, CAUSE.get())",
        "BoundedStream(raw.stream)",
        _PACED,
    ),
    Mutant(
        "who dials is read from whatever it owes",
        _STACK,
        "BoundedStream(stream, usage)",
        "BoundedStream(stream)",
        _PACED,
    ),
    Mutant("frames of strangers do not wait", _WORKER, "self._turns.next(self._may())", "self._turns.next()", _PACED),
    Mutant(
        "frames of friends wait for strangers", _TURNS, "bool(self._classes[0].inner) or _any", "False or _any", _PACED
    ),
    Mutant("what frames of strangers cost is free", _WORKER, "self._pace.spent(*job.whose, spent)", "pass", _PACED),
    Mutant("a call waits for all frames", _WORKER, "for _ in range(SORTED):", "for _ in range(10**9):", _PACED),
)
