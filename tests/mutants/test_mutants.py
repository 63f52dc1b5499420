"""Every mistake of the list has its place in the current code, and its suites run in CI. Nothing is planted here."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import anchor, imported
from tests.mutants.anchor import NoPlace, Place, planted, scopes
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.operators import edits, suites_of
from tests.rooms import ROOMS, ROOT

LEAST = 60
"""Mistakes; about a third of them in each of three rooms."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "_"))
def test_every_mistake_can_be_planted_and_the_file_still_compiles(mutant: Mutant) -> None:
    edit = mutant.edit()
    assert edit.text != edit.file.read_text()
    compile(edit.text, edit.file, "exec")


def test_every_room_has_many_mistakes_and_names_are_unique() -> None:
    assert len(MUTANTS) >= LEAST
    assert [name for name, n in Counter(m.name for m in MUTANTS).items() if n > 1] == []
    of_room = Counter(m.edit().file.relative_to(ROOT).parts[0] for m in MUTANTS)
    assert set(of_room) <= set(ROOMS)
    assert min(of_room[room] for room in ("crdt", "replica", "storage")) >= LEAST // 3


def test_the_suites_that_must_notice_them_run_in_ci() -> None:
    assert "\nstep uv run pytest\n" in (ROOT / ".ci/run").read_text()
    assert 'testpaths = ["tests"]' in (ROOT / "pyproject.toml").read_text()
    for suite in sorted({suite for m in MUTANTS for suite in m.suites}):
        path = ROOT / suite
        assert path.is_file(), suite
        assert path.is_relative_to(ROOT / "tests"), suite
        assert path.name.startswith("test_"), suite
        assert "model" not in path.parts, (
            f"{suite} compares with another text of the rules, and promises nothing itself"
        )
    assert all(m.suites for m in MUTANTS)


CODE = """
LIMIT: int = 3

class Door:
    @property
    def open(self) -> bool:  # a comment
        return self.a and (
            self.b  # another
            or self.a
        )

    async def close(self, why="no"):
        with self.lock:
            self.a = f"{self.b}"
            self.b = "ô" if self.a else LIMIT + 1
        for each in self.all:
            each()
"""


def plant(monkeypatch: pytest.MonkeyPatch, where: str, old: str, new: str) -> str:
    found = dict[str, list[tuple[str, Place]]]()
    for name, scope in scopes(ast.parse(CODE)):
        found.setdefault(name.rpartition(".")[2], []).append((f".banyan_x.house.{name}", Place(Path("x"), CODE, scope)))
    monkeypatch.setattr(anchor, "places", lambda: found)
    return planted(where, old, new)[1]


@pytest.mark.parametrize(
    ("where", "old", "new", "gone", "come"),
    [
        ("Door.open", "self.b or self.a", "self.b", "or self.a", "(self.b)\n        )\n"),
        ("house.Door.open", "return self.a and (self.b or self.a)", "return 1", "self.a and", "        return 1\n"),
        ("LIMIT", "3", "4", "= 3", "LIMIT: int = (4)"),
        ("Door.close", "'ô' if self.a else LIMIT + 1", "LIMIT + 1", "ô", "self.b = (LIMIT + 1)\n        for"),
        (
            "Door.close",
            "with self.lock:\n    ...",
            "if self.lock:\n    ...",
            "with",
            "        if self.lock:\n            ",
        ),
        ("Door.close", "for each in self.all:\n    ...", "pass", "each()", "LIMIT + 1\n        pass\n"),
        (
            "Door.close",
            "async def close(self, why='no'):\n    ...",
            "async def close(self):\n    ...",
            "why",
            "(self):",
        ),
    ],
)
def test_a_mistake_is_put_where_the_syntax_is_the_same(
    monkeypatch: pytest.MonkeyPatch, where: str, old: str, new: str, gone: str, come: str
) -> None:
    made = plant(monkeypatch, where, old, new)
    assert gone not in made
    assert come in made
    compile(made, "x", "exec")


@pytest.mark.parametrize(
    ("where", "old", "says"),
    [
        ("Door.open", "self.c", "has 0 times"),
        ("Door.open", "self.a", "has 2 times"),
        ("Door.close", "self.b", "has 0 times"),
        ("Gate.open", "self.a", "is in the product 0 times"),
    ],
)
def test_a_mistake_that_has_not_one_place_does_not_apply(
    monkeypatch: pytest.MonkeyPatch, where: str, old: str, says: str
) -> None:
    with pytest.raises(NoPlace, match=says):
        plant(monkeypatch, where, old, "None")


def test_operators_make_each_small_mistake_once_and_the_file_still_compiles(tmp_path: Path) -> None:
    file = tmp_path / "banyan_x" / "house.py"
    file.parent.mkdir()
    file.write_text(
        "def f(a, b):\n    if not a or a < 3:\n        raise ValueError\n    g(b)\n    return min(a + 1, b)\n"
    )
    ((name, scope),) = scopes(ast.parse(file.read_text()))
    made = list(edits(file, name, scope, suites=()))
    assert sorted(edit.name.partition(": ")[2] for edit in made) == [
        "1 -> 2",
        "3 -> 4",
        "a + 1 -> a - 1",
        "a < 3 -> a <= 3",
        "g(b) -> pass",
        "min(a + 1, b) -> max(a + 1, b)",
        "not a -> a",
        "not a or a < 3 -> not a and a < 3",
        "raise ValueError -> pass",
        "return min(a + 1, b) -> return None",
    ]
    for edit in made:
        compile(edit.text, "x", "exec")
    assert len({edit.text for edit in made}) == len(made)


def test_suites_of_a_module_are_those_that_import_it() -> None:
    found = suites_of(ROOT / "replica/banyan_replica/peers/ledger.py")
    assert "tests/replica/test_ledger.py" in found
    assert all(suite.startswith("tests/") for suite in found)
    assert suites_of(ROOT / "sim/banyan_sim/wires.py")


def test_a_run_that_would_read_another_tree_than_the_copy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(imported.MODULE, "banyan_crdt.logs banyan_storage.store")
    monkeypatch.setenv(imported.FILE, str(ROOT))
    imported.pytest_configure()
    monkeypatch.setenv(imported.FILE, str(ROOT / "tests"))
    with pytest.raises(pytest.exit.Exception, match=r"banyan_crdt.logs would be imported from .*, not from"):
        imported.pytest_configure()


COLLECTED = """
from tests.mutants.warm import modules_of
print(*modules_of(["--collect-only", "-q", "-p", "no:cacheprovider", "test_it.py"]))
"""


def test_nothing_of_the_copy_is_imported_before_a_mistake_is_planted_in_it(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "test_it.py").write_text("import colorsys, helper")
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    line = [sys.executable, "-c", COLLECTED]
    found = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, check=True, text=True).stdout.split()
    assert "colorsys" in found
    assert not {"helper", "test_it"} & {*found}
