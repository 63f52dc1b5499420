"""Mistakes in finding damage of a disk, and in repairing it."""

from tests.mutants.mutant import Mutant

_PAGES, _RECORDS = "storage/banyan_storage/lmdb_pages.py", "storage/banyan_storage/records.py"
_MENDING, _RESTORING = "node/banyan_node/upkeep/mending.py", "storage/banyan_storage/restoring.py"
_REPAIRED = ("tests/node/test_repairing.py",)

IN_DAMAGE = (
    Mutant(
        "a page may be in use and free",
        _PAGES,
        "        elif number in self.used:\n",
        "        elif False:\n",
        _REPAIRED,
    ),
    Mutant(
        "a meta page that is none of LMDB's is taken for one",
        _PAGES,
        "            if kind != (number, _MAGIC, _VERSION, size) or not flags",
        "            if kind[2:] != (_VERSION, size) or not flags",
        _REPAIRED,
    ),
    Mutant(
        "a record may have flags that no record has",
        _RECORDS,
        "linked = flags in _FLAGS and (prev",
        "linked = (prev",
        ("tests/storage/test_check.py",),
    ),
    Mutant(
        "an account may stand under another name than its first entry gives",
        _RECORDS,
        "        if entry != account:\n",
        "        if not entry:\n",
        ("tests/storage/test_check.py",),
    ),
    Mutant(
        "a checkpoint that its writer did not sign is kept by a repair",
        _RESTORING,
        "            verify_signature(realm, made.writer, made.id, made.sig)\n",
        "",
        ("tests/storage/test_check.py",),
    ),
    Mutant(
        "a checkpoint of whom the control log does not name is kept by a repair",
        _RESTORING,
        "        if not entitles[made.account](made.writer):\n",
        "        if False:\n",
        ("tests/storage/test_check.py",),
    ),
    Mutant(
        "a number of a checkpoint may stand for something else",
        "storage/banyan_storage/check.py",
        "        if reader.txn.get(t.LOGS, lid) != t.log_name(held.log_id):\n",
        "        if False:\n",
        ("tests/storage/test_check.py",),
    ),
    Mutant(
        "a checksum is not compared",
        "storage/banyan_storage/tables.py",
        "return value if len(raw) >= 4 and guard(key, value) == raw else None",
        "return value if len(raw) >= 4 else None",
        ("tests/node/test_guarded.py",),
    ),
    Mutant(
        "a log of which only the head is left keeps its head",
        _MENDING,
        "or j.head != Head(0, None, 0)):",
        "or j.head.flag):",
        ("tests/node/test_mending.py",),
    ),
    Mutant(
        "content of a repaired store that is not here is not wanted",
        _RESTORING,
        "        txn.put_many(t.LACKING, sorted(wanted.items()))\n",
        "",
        _REPAIRED,
    ),
)
