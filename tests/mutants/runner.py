"""Plants mistakes in copies of the tree, one at a time, and runs the suites that are to notice them.

A job has a copy of its own. In it the suites must pass before any mistake is planted; otherwise whatever breaks them
would count as noticing. A suite that runs into the time limit has noticed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tests.mutants.imported import FILE, MODULE
from tests.mutants.mutant import Edit
from tests.rooms import ROOMS, ROOT

IMPORTED_BEFORE = "ignore::pytest.PytestAssertRewriteWarning"
"""Plugins are imported before pytest looks at them; only what their own asserts say gets shorter."""
OPTIONS = ("-n", "0", "-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.imported", "-W", IMPORTED_BEFORE)
LIMIT_S = 300
"""Seconds for one suite. The slowest takes about 20 on an idle core."""

Verdict = Literal["killed", "SURVIVED", "did not apply", "left out"]


class Outcome(NamedTuple):
    """by: the test that noticed, or why the mistake could not be tried."""

    name: str
    file: str
    verdict: Verdict
    by: str
    seconds: float


class Copy:
    """A copy of the tree: files that git tracks, and new files that it does not ignore.

    suites: all that will be run in it.
    """

    def __init__(self, folder: Path, suites: Sequence[str]) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0"):
            source, to = ROOT / name, folder / name
            if name and source.is_file():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, to)
        path = [*(str(folder / room) for room in ROOMS), str(folder)]
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.warm", *suites],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "CI": "true", "BANYAN_NIGHT": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self._warm.stdin is not None
        self._warm.stdin.close()
        self._warm.wait()

    def unharmed(self, suites: Sequence[str], modules: Sequence[str]) -> str | None:
        """Why the suites fail without a mistake, or None if they pass."""
        status, said = self._pytest(suites, modules, LIMIT_S * 4)
        return None if status == 0 else _failed(said) or said[-1_000:]

    def run(self, edit: Edit) -> Outcome:
        began, inside = time.monotonic(), edit.file.relative_to(ROOT)
        file, module = self.folder / inside, module_of(edit.file)
        source = file.read_text()

        def outcome(verdict: Verdict, by: str) -> Outcome:
            return Outcome(edit.name, str(inside), verdict, by, round(time.monotonic() - began, 1))

        try:
            _write(file, edit.text)
            for suite in edit.suites:
                status, said = self._pytest([suite], [module], LIMIT_S)
                if status == 1:
                    return outcome("killed", _failed(said) or suite)
                if status is None:
                    return outcome("killed", f"{suite}, by its time limit of {LIMIT_S} s")
                if status:
                    return outcome("did not apply", f"{suite} ended with status {status}: {said[-500:]}")
            return outcome("SURVIVED", "")
        finally:
            _write(file, source)

    def _pytest(self, suites: Sequence[str], modules: Sequence[str], limit: float) -> tuple[int | None, str]:
        """The exit status (None at the time limit) and the output."""
        said = self.folder.parent / f"{self.folder.name}.said"
        asked = {
            "args": [*OPTIONS, *suites],
            "env": {MODULE: " ".join(modules), FILE: str(self.folder)},
            "said": str(said),
            "limit": limit,
        }
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        self._warm.stdin.write(json.dumps(asked) + "\n")
        self._warm.stdin.flush()
        answer = self._warm.stdout.readline()
        if not answer:
            raise RuntimeError("the process that runs pytest ended by itself")
        status: int | None = json.loads(answer)["status"]
        return status, said.read_text(errors="replace")


def module_of(file: Path) -> str:
    """The name under which a file of the product is imported."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts[1:])


def _failed(said: str) -> str:
    """The test that failed, as pytest names it."""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    return found[1] if found else ""


def _write(file: Path, source: str) -> None:
    """Also deletes the compiled file: a mistake of the same length in the same second would not be noticed."""
    file.write_text(source)
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()
