"""Mistakes in how a node of chosen accounts hears of people whom nobody there follows."""

from tests.mutants.mutant import Mutant

_NOTICES = "replica/banyan_replica/sync/notices.py"
_STRANGERS = "replica/banyan_replica/intake/strangers.py"
_TESTS, _WIRE = ("tests/replica/test_notices.py",), ("tests/vectors/test_vectors.py", "tests/vectors/test_grammar.py")

IN_NOTICES = (
    Mutant("pages without end are asked for at once", _NOTICES, "if m.more and new:", "if m.more:", _TESTS),
    Mutant("a page of nothing is an answer like others", _NOTICES, " or not m.notices:", ":", _TESTS),
    Mutant("a peer of the first release is asked", _NOTICES, "link.told.answers_notices and ", "", _TESTS),
    Mutant("who is no neighbour learns whom a node hosts", _NOTICES, " and self._sync.near(link.peer)", "", _TESTS),
    Mutant(
        "nothing is told while the question waits",
        _NOTICES,
        "            self._look(self._links[peer], now)\n",
        "            pass\n",
        _TESTS,
    ),
    Mutant(
        "a question is asked from the beginning each time",
        _NOTICES,
        "note[24:] if note[:24] ==",
        "BEGIN if note[:24] ==",
        _TESTS,
    ),
    Mutant(
        "who is beyond what one peer may tell at once is forgotten",
        _NOTICES,
        "        self._make_room()\n        if not asked.found:\n",
        "        self._make_room()\n        asked.found.clear()\n        if not asked.found:\n",
        _TESTS,
    ),
    Mutant(
        "a cursor is noted before all up to it are held",
        _NOTICES,
        "back = asked.back if asked.found else asked.cursor",
        "back = asked.cursor",
        _TESTS,
    ),
    Mutant(
        "of one peer all enter whose entries are not here",
        _NOTICES,
        "unproved < self._limits.heard_unproved",
        "True",
        _TESTS,
    ),
    Mutant(
        "whoever is followed no longer is forgotten, though it names an account here",
        _NOTICES,
        "        if not leaving or ",
        "        if True or ",
        _TESTS,
    ),
    Mutant(
        "authors are named after friends of friends",
        _NOTICES,
        "(*chosen, *self.room, *far)",
        "(*chosen, *far, *self.room)",
        _TESTS,
    ),
    Mutant(
        "friends of friends fill the room of authors", _STRANGERS, "account in self.heard and ", "False and ", _TESTS
    ),
    Mutant(
        "of an account that has its part nothing is told after a while",
        _STRANGERS,
        "        self._part = {one: None for one in self._part if self._beyond(one)",
        "        self._part = {one: None for one in self._part if False",
        ("tests/replica/test_strangers.py",),
    ),
    Mutant(
        "who was followed, is not any more and names an account here takes room that nobody counts",
        "node/banyan_node/hosting/evicting.py",
        "(self._interest - asking.interest) | (self._chosen - chosen)",
        "self._interest - asking.interest",
        ("tests/node/test_evicting.py",),
    ),
    Mutant("the room has no bound", _NOTICES, "while len(self.room) > self._limits.heard:", "while False:", _TESTS),
    Mutant(
        "who was told last leaves the room first",
        _NOTICES,
        "return next(author for author, about in self.room.items()",
        "return next(author for author, about in reversed(self.room.items())",
        _TESTS,
    ),
    Mutant("whoever told most, the first ones go", _NOTICES, " if about.peer == most)", ")", _TESTS),
    Mutant("who was chosen takes the room of strangers", _NOTICES, "author in self.chosen or ", "", _TESTS),
    Mutant(
        "what is invented stays",
        _NOTICES,
        "            if not about.proved and now >=",
        "            if False and now >=",
        _TESTS,
    ),
    Mutant("an inventor is asked as often as others", _NOTICES, "        leak.rise(1)\n", "        pass\n", _TESTS),
    Mutant(
        "an answer that nobody asked for is read",
        "replica/banyan_replica/receiving.py",
        "return self.sync.notices.asked(link.peer)",
        "return True",
        _TESTS,
    ),
    Mutant(
        "an answer that does not go on is taken",
        _NOTICES,
        "        if m.cursor <= asked.cursor:\n            return\n",
        "",
        _TESTS,
    ),
    Mutant("who names nobody here is held", _NOTICES, "if named in asked.accounts and author", "if author", _TESTS),
    Mutant(
        "who names themself is told of",
        "storage/banyan_storage/noticed.py",
        "if author != named:",
        "if True:",
        _TESTS,
    ),
    Mutant(
        "codes of two bytes are read as one",
        "replica/banyan_replica/wire/table.py",
        'return raw[:3] if raw[1:2] == b"\\x18" else raw[:2]',
        "return raw[:2]",
        _WIRE,
    ),
    Mutant(
        "who votes is not found",
        "schema/banyan_schema/social/vote.py",
        ", *names(seed))",
        ")",
        _TESTS,
    ),
    Mutant(
        "an account is told of what it is only named by",
        "storage/banyan_storage/views/social/notices.py",
        "if what == UNTOLD",
        "if False",
        ("tests/node/test_notices.py",),
    ),
)
