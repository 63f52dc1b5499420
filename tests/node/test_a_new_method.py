"""The promise: a method more is one file in api/methods/, and nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import banyan_node
from banyan_node.api.dispatch import EVERY, by_name

GREETING = '''"""Greets."""

from banyan_node.api.declare import CommitView, MethodTable, Request, Response

METHODS = MethodTable()


class Greeted(Request, frozen=True, forbid_unknown_fields=True):
    whom: str


class Greeting(Response, frozen=True):
    text: str


@METHODS.read("greeting")
def greeting(at: CommitView, ask: Greeted) -> Greeting:
    """Says hello."""
    return Greeting(f"Xin chào {ask.whom}")
'''
CALLS = """
import json, sys
from pathlib import Path
from banyan_node.api.reference import document, reference
from banyan_node.api.dispatch import EVERY
from banyan_node.local import open_local
from tests.node.real import load_settings, make_home

home = make_home(Path(sys.argv[1]))
with open_local(home, load_settings(home)) as node:
    said = node.call("greeting", whom="Lan")
print(json.dumps([said, "/v1/greeting" in document(EVERY)["paths"], "### greeting" in reference()]))
"""


def test_a_method_in_a_file_of_its_own_is_called_and_described(tmp_path: Path) -> None:
    copy = tmp_path / "program" / banyan_node.__name__
    shutil.copytree(Path(banyan_node.__path__[0]), copy)
    (copy / "api" / "methods" / "greetings.py").write_text(GREETING, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CALLS, str(tmp_path / "home")],
        env={**os.environ, "PYTHONPATH": str(copy.parent)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-3_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [{"text": "Xin chào Lan"}, True, True]


def test_methods_have_the_order_of_their_names_and_no_two_have_the_same() -> None:
    assert list(EVERY) == sorted(EVERY)
    assert by_name(reversed(EVERY.values())) == EVERY
    with pytest.raises(ValueError, match=r"^two methods have the name 'post': rename one$"):
        by_name([*EVERY.values(), EVERY["post"]])
