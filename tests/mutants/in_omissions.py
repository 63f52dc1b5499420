"""Mistakes by which a node does nothing: it does not ask, nothing gives way, or what was taken down is taken again."""

from tests.mutants.mutant import Mutant

_ASKING, _COMPARING = (f"replica/banyan_replica/sync/{m}.py" for m in ("asking", "comparing"))
_COUNTING = "replica/banyan_replica/intake/counting.py"
_OWED, _TOLD = "replica/banyan_replica/sync/owed.py", "replica/banyan_replica/peers/told.py"
_COUNTED, _ASKED = ("tests/replica/test_counting.py",), ("tests/replica/test_asking.py",)
_SKETCHED = ("tests/replica/test_comparing.py", "tests/replica/test_replica.py")

IN_OMISSIONS = (
    # -- not asked
    Mutant(
        "a frozen node does not ask a peer whose head it holds",
        _ASKING,
        "if mine.flag and claimed is not None and claimed != mine:",
        "if False:",
        ("tests/replica/test_checkpoints.py",),
    ),
    Mutant(
        "an account of which nothing is held is not asked for where a log of it is claimed",
        _ASKING,
        "if behind or (not mine.length and claimed is None):",
        "if behind:",
        _ASKED,
    ),
    Mutant(
        "heads that are told while the control log is under way are forgotten",
        _ASKING,
        "self._ask(link, control, claimed, root) or control in link.owed.logs:",
        "self._ask(link, control, claimed, root):",
        _ASKED,
    ),
    Mutant(
        "who claimed a log long ago is blamed for not serving it now",
        _ASKING,
        "claimed(account), LONG_AGO)",
        "claimed(account))",
        _ASKED,
    ),
    Mutant(
        "what differs and has no room is not remembered",
        _ASKING,
        "                    if head != self._ingest.head(log):\n                        self.differs",
        "                    if False:\n                        self.differs",
        ("tests/replica/test_room.py",),
    ),
    Mutant("a node does not tell who is behind", _COMPARING, "        self._sync.tell(link, tell)\n", "", _ASKED),
    Mutant(
        "heads that a sketch does not give are not asked for",
        _COMPARING,
        "        if ask:\n            self._out",
        "        if False:\n            self._out",
        _SKETCHED,
    ),
    Mutant(
        "what does not decode is compared no further",
        _COMPARING,
        "            self._failed(link, at, found.left, m.stamp, now)\n",
        "            pass\n",
        _SKETCHED,
    ),
    # -- not displaced
    Mutant(
        "evidence of a fork does not displace branches",
        _COUNTING,
        "        self._give_way(log, room)\n        account",
        "        account",
        _COUNTED,
    ),
    Mutant(
        "what counted takes the room of branches",
        _COUNTING,
        "        self._rooms[log] = {BRANCH: room}  # what counted until now takes none of it\n",
        "",
        _COUNTED,
    ),
    Mutant(
        "claims of a peer are kept without end", _TOLD, "while len(self.differences) > most:", "while False:", _ASKED
    ),
    Mutant(
        "heads that wait for control logs are kept without end",
        _OWED,
        "        while len(self) > most:\n",
        "        while False:\n",
        _ASKED,
    ),
    # -- taken again
    Mutant(
        "erased content returns with a branch",
        "storage/banyan_storage/content_store.py",
        "if n is not None and self._write.get(t.WITHHELD, key) is None:",
        "if n is not None:",
        _COUNTED,
    ),
)
