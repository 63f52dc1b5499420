"""Mistakes in home timelines, and in what readers keep."""

from tests.mutants.mutant import Mutant

_MERGED, _KEPT = "storage/banyan_storage/merged.py", "storage/banyan_storage/kept.py"
_TOUCHED, _CHANGES = "storage/banyan_storage/views/touched.py", "storage/banyan_storage/views/changes.py"
_HOME, _ROWS = "node/banyan_node/hosting/home.py", "node/banyan_node/api/kept_rows.py"
_PAGES, _MODEL = ("tests/storage/test_merged.py",), ("tests/web/test_home.py",)
_GUARDED = ("tests/node/test_guarded.py",)

IN_HOME = (
    Mutant(
        "a timeline that was touched is not read again", _MERGED, "if number in touched and", "if False and", _PAGES
    ),
    Mutant(
        "a line is given out above which another may be unknown",
        _MERGED,
        "while end and self._lines[end - 1] >= floor:",
        "while end:",
        _PAGES,
    ),
    Mutant("a timeline ends where it was read first", _MERGED, "if len(found) == STEP:", "if False:", _PAGES),
    Mutant("who is followed no more stays", _MERGED, "            self._drop(gone)\n", "            pass\n", _PAGES),
    Mutant("what was deleted stays in a page", _MERGED, "for line in held - shown:", "for line in ():", _PAGES),
    Mutant(
        "of what is newer than a place a part is missing",
        _MERGED,
        "        if not self.reaches(txn, after):\n",
        "        if False:\n",
        _PAGES,
    ),
    Mutant(
        "what is kept outlives what it was made of",
        _KEPT,
        "for key in self._made_of.pop(name, ()):",
        "for key in ():",
        (*_PAGES, *_MODEL),
    ),
    Mutant("an older snapshot is told newer things", _KEPT, "return now == self._at", "return True", _PAGES),
    Mutant("what is kept has no bound", _KEPT, "while self.weight > self._most", "while False", _PAGES),
    Mutant(
        "changes that were removed are taken for none",
        _TOUCHED,
        "if any(b != a + 1 for a, b in pairwise(numbers)) or",
        "if",
        _PAGES,
    ),
    Mutant("a change of everything changes nothing", _TOUCHED, "or len(rows) < len(found):", ":", _GUARDED),
    Mutant("posts whose counts change are not touched", _CHANGES, "if len(key) >= TARGET_BYTES", "if False", _MODEL),
    Mutant(
        "who says something else is not touched",
        _CHANGES,
        "self.touched.union([number for number, _ in shows])",
        "self.touched",
        _PAGES,
    ),
    Mutant(
        "who locks itself later is read on by those whom it did not accept",
        _HOME,
        "(a not in before.numbers or numbers[a] in touched)",
        "a not in before.numbers",
        _MODEL,
    ),
    Mutant(
        "who only asks has the posts in the home feed",
        _HOME,
        "if account not in now.waits}",
        "}",
        ("tests/node/test_followers.py",),
    ),
    Mutant(
        "who was followed before anything of it came does not come",
        _HOME,
        "elif lacking and (came := _numbers(q, lacking)):",
        "elif lacking and (came := _numbers(q, [])):",
        _MODEL,
    ),
    Mutant(
        "a mute counts when the home is made anew",
        _HOME,
        "if lens.sees(account)} if lens.hidden else numbers",
        "}",
        _MODEL,
    ),
    Mutant(
        "a row shows what another reader did",
        _ROWS,
        'key = ("row of", self._lens.reader, view.target, by)',
        'key = ("row of", view.target, by)',
        _MODEL,
    ),
    Mutant(
        "a row outlives what its reader did",
        _ROWS,
        "of = () if self._lens.reader is None else (self._reader,)",
        "of = ()",
        _MODEL,
    ),
    Mutant(
        "a row outlives the name of whom it answers",
        _ROWS,
        "        yield post.reply.parent.account\n",
        "        yield from ()\n",
        _MODEL,
    ),
    Mutant(
        "a name outlives its change",
        _ROWS,
        "found, [self._q.number(account)], FACE_BYTES",
        "found, (), FACE_BYTES",
        _MODEL,
    ),
    Mutant(
        "a row outlives what it quotes",
        _ROWS,
        "if said.quote is not None or said.poll",
        "if said.poll",
        ("tests/node/test_reading.py",),
    ),
)
