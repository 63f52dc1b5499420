"""Every mistake of the list fits the current code, and its suites run in CI. Nothing is planted here."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import imported
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import DoesNotApply, Mutant, mutated
from tests.mutants.runner import ROOMS, ROOT

LEAST = 60
"""Mistakes; about a third of them in each of three rooms."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "_"))
def test_every_mistake_can_be_planted_and_the_file_still_compiles(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text()
    planted = mutated(mutant, source)
    assert planted != source
    compile(planted, mutant.file, "exec")


def test_every_room_has_many_mistakes_and_names_are_unique() -> None:
    assert len(MUTANTS) >= LEAST
    assert [name for name, n in Counter(m.name for m in MUTANTS).items() if n > 1] == []
    of_room = Counter(Path(m.file).parts[0] for m in MUTANTS)
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


@pytest.mark.parametrize("times", [0, 2])
def test_a_mistake_whose_text_is_not_there_exactly_once_does_not_apply(times: int) -> None:
    mutant = Mutant("x", "a/b.py", "old", "new", ("tests/test_docs.py",))
    with pytest.raises(DoesNotApply, match=f"{times} times, not once"):
        mutated(mutant, "old " * times)


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
