"""Mistakes in how much of the processor strangers get."""

from tests.mutants.mutant import Mutant

_THROTTLE, _TURNS = "node/banyan_node/workers/throttle.py", "node/banyan_node/workers/turns.py"
_WORKER, _STACK = "node/banyan_node/workers/worker.py", "node/banyan_node/edge/stack.py"
_THROTTLED = ("tests/node/test_throttle.py",)

IN_THROTTLE = (
    Mutant(
        "strangers wait though own people do nothing",
        _THROTTLE,
        "if now < self._busy_until else 0.0",
        "if True else 0.0",
        _THROTTLED,
    ),
    Mutant(
        "what strangers owe is paid at once",
        _THROTTLE,
        "(now - self._at) * self._share",
        "(now - self._at)",
        _THROTTLED,
    ),
    Mutant("strangers owe without bound", _THROTTLE, "max(self.used - DEEPEST_S, min(", "max(0.0, min(", _THROTTLED),
    Mutant("strangers save up time", _THROTTLE, "min(paid, self.used + SAVED_S)", "paid", _THROTTLED),
    Mutant(
        "a network that used little waits for what others owe",
        _THROTTLE,
        "            return not self._lag(usage.group)",
        "            return True",
        _THROTTLED,
    ),
    Mutant(
        "a network that was away saves up all the time",
        _THROTTLE,
        "group.seconds = max(group.seconds, self._served - AHEAD_S)",
        "pass",
        _THROTTLED,
    ),
    Mutant("a network that comes back is new", _THROTTLE, "self._groups.pop(name, None)\n", "None\n", _THROTTLED),
    Mutant("networks are remembered without bound", _THROTTLE, "len(self._groups) >= GROUPS", "False", _THROTTLED),
    Mutant(
        "those that wait go on in the order in which they came",
        _THROTTLE,
        "min(self._waiting, key=lambda w: (w.usage.group.seconds, w.usage.seconds))",
        "self._waiting[0]",
        _THROTTLED,
    ),
    Mutant(
        "many connections of a network have many shares",
        _THROTTLE,
        "key=lambda w: (w.usage.group.seconds, w.usage.seconds)",
        "key=lambda w: w.usage.seconds",
        _THROTTLED,
    ),
    Mutant(
        "a new connection has saved up what the others of its network used",
        _THROTTLE,
        "        usage.seconds = max(usage.seconds, usage.group.served)\n",
        "",
        _THROTTLED,
    ),
    Mutant(
        "who ends while waiting is waited for",
        _THROTTLE,
        "                self._waiting.remove(mine)\n",
        "                pass\n",
        _THROTTLED,
    ),
    Mutant(
        "a named peer is a stranger",
        _THROTTLE,
        "usage.proved(peer, peer in self._named)",
        "usage.proved(peer, False)",
        _THROTTLED,
    ),
    Mutant(
        "what named peers use is the strangers'",
        _THROTTLE,
        "        if not usage.spared and self",
        "        if self",
        _THROTTLED,
    ),
    Mutant(
        "what strangers use is counted while own people do nothing",
        _THROTTLE,
        "not usage.spared and self._busy_s > 0:",
        "not usage.spared:",
        _THROTTLED,
    ),
    Mutant(
        "own people at work are not noticed while nobody waits",
        _THROTTLE,
        "        self._begins.set()\n\n    @property",
        "\n    @property",
        _THROTTLED,
    ),
    Mutant(
        "what was done after a connection ended is free",
        _THROTTLE,
        "with self._lock:  # its connection has ended\n                self.used += seconds",
        "with self._lock:  # its connection has ended\n                pass",
        _THROTTLED,
    ),
    Mutant(
        "the last node takes no meter away",
        _THROTTLE,
        "            trio.lowlevel.remove_instrument(self._meter)\n",
        "",
        _THROTTLED,
    ),
    Mutant(
        "large answers leave together",
        _WORKER,
        "replica.unsent > LEAST_BYTES or ",
        "",
        ("tests/node/test_worker.py",),
    ),
    Mutant(
        "who is dialled is nobody's stranger",
        _STACK,
        "BoundedStream(raw.stream, CAUSE.get())",
        "BoundedStream(raw.stream)",
        _THROTTLED,
    ),
    Mutant(
        "who dials is read from whatever it owes",
        _STACK,
        "BoundedStream(stream, usage)",
        "BoundedStream(stream)",
        _THROTTLED,
    ),
    Mutant(
        "frames of strangers do not wait", _WORKER, "self._turns.next(self._may())", "self._turns.next()", _THROTTLED
    ),
    Mutant(
        "frames of friends wait for strangers",
        _TURNS,
        "bool(self._classes[0].inner) or _any",
        "False or _any",
        _THROTTLED,
    ),
    Mutant(
        "what frames of strangers cost is free", _WORKER, "self._throttle.spent(*job.whose, spent)", "pass", _THROTTLED
    ),
    Mutant("a call waits for all frames", _WORKER, "for _ in range(SORTED):", "for _ in range(10**9):", _THROTTLED),
    Mutant(
        "hundreds of networks get a share each",
        _THROTTLE,
        "group.seconds < self._served and self._debt < AHEAD_OF_ALL_S",
        "group.seconds < self._served",
        _THROTTLED,
    ),
    Mutant(
        "deadlines go on while a connection waits",
        _THROTTLE,
        "        for scope in self._scopes:\n            scope.deadline = inf\n",
        "",
        _THROTTLED,
    ),
    Mutant(
        "a deadline comes at once after a wait",
        _THROTTLE,
        "                scope.deadline = due + self._held\n",
        "                scope.deadline = due\n",
        _THROTTLED,
    ),
    Mutant(
        "who hung up while it waited waits on",
        _THROTTLE,
        "                        self._let_go()\n",
        "                        pass\n",
        _THROTTLED,
    ),
    Mutant(
        "who is not read from is slow",
        "node/banyan_node/links/linking.py",
        "link.usage is not None and link.usage.held_lately",
        "False",
        _THROTTLED,
    ),
    Mutant(
        "names of all peers together have no bound",
        "replica/banyan_replica/sync/interest.py",
        "while total > self._limits.interest_of_all:",
        "while False:",
        ("tests/replica/test_interest.py",),
    ),
    Mutant(
        "names of honest peers go first",
        "replica/banyan_replica/sync/interest.py",
        "(groups[self._group(peer)], held[peer])",
        "held[peer]",
        ("tests/replica/test_interest.py",),
    ),
)
