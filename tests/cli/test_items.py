"""A collection is one file: once it is there, the node and the command line know its items."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from banyan_cli import errors
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.control_client import ControlClient
from tests.cli.shell import Ran, banyan, clean_environment
from tests.node.test_a_new_view import program_with_polls

OPTIONS = '["phở", "bún chả"]'


PROGRAM = """
import json, os, signal, sys
from banyan_cli.main import main
import banyan_node.process

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for line in sys.stdin:
    words, told = json.loads(line)
    if not words:
        os.kill(node, signal.SIGTERM)
        print(ended(node), flush=True)
        continue
    child = os.fork()
    if not child:
        for number, name in enumerate((os.devnull, told + ".out", told + ".err")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), number)
        code = main(words)
        sys.stdout.flush()
        os._exit(code)
    if words[-1] == "up":
        node = child
    print(0 if words[-1] == "up" else ended(child), flush=True)
"""


class Program:
    """A program that has poll.py among its collections. It is loaded once, and each command is forked from it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._commands = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error::DeprecationWarning:banyan_cli", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**clean_environment(), "PYTHONPATH": program_with_polls(folder / "more")},
        )

    def run(self, *words: object) -> Ran:
        self._commands += 1
        told = self._folder / f"said {self._commands}"
        code = self._ask([str(word) for word in words], told)
        return Ran(code, *(told.with_suffix(end).read_text("utf-8") for end in (".out", ".err")))

    @contextmanager
    def node(self, home: Path) -> Iterator[None]:
        told = self._folder / "node"
        self._ask(["--home", str(home), "up"], told)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    with ControlClient.from_home(Home(home)) as client:
                        client.call("id")
                    break
                except NoNode:
                    time.sleep(0.05)
            else:
                raise AssertionError(told.with_suffix(".err").read_text("utf-8")[-2000:])
            yield
        finally:
            assert self._ask([], told) == 0

    def _ask(self, words: list[str], told: Path) -> int:
        """Its exit status, or 0 of a node that goes on. No words: ends the node."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([words, str(told)]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with closing(Program(tmp_path)) as made:
        yield made


def test_polls_are_written_and_read_on_the_command_line_with_a_node_and_without(program: Program, home: Path) -> None:
    def polling(*words: str) -> Ran:
        return program.run("--home", home, *words)

    made = polling("item", "put", "vn.example.poll", "question=12", f"options={OPTIONS}", "--json")
    assert made.code == 0, made.err
    key, account = made.json["key"], made.json["account"]
    with program.node(home):
        fields = (f"account={account}", f"key={key}", "option=1")
        vote = polling("item", "put", "vn.example.vote", *fields, "--key", key, "--json")
        assert vote.code == 0, vote.err
        assert vote.json["key"] == key
        listed = polling("item", "list", "Minh", "vn.example.poll", "--json")
        assert [row["content"] for row in listed.lines] == [{"question": "12", "options": json.loads(OPTIONS)}]
        shown = polling("item", "list", "Minh", "vn.example.vote").out
        assert f"{key} {vote.json['element']}" in shown
        assert "option: 1" in shown
    one = polling("item", "get", "Minh", "vn.example.vote", key, vote.json["element"], "--json")
    assert one.json["content"] == {"account": account, "key": key, "option": 1}
    gone = polling("item", "delete", "vn.example.poll", key)
    assert (gone.code, gone.out) == (0, f"Deleted: vn.example.poll {key}.\n")
    assert polling("item", "list", "Minh", "vn.example.poll", "--json").lines == []
    proved = polling("store", "verify")
    assert proved.code == 0, proved.out + proved.err


def test_what_cannot_be_written_is_said_in_a_sentence(home: Path) -> None:
    unknown = banyan("--home", home, "item", "put", "vn.example.poll", "question=x")
    assert unknown.code == errors.USAGE
    assert "There is no collection 'vn.example.poll' here; there are block, " in unknown.err
    wrong = banyan("--home", home, "item", "put", "vn.example.poll", "question")
    assert "'question' is not FIELD=VALUE" in wrong.err
    posts = banyan("--home", home, "item", "put", "post", "text=x")
    assert "is written by methods of its own: post, reply" in posts.err


def test_collections_and_pages_are_listed(home: Path) -> None:
    for text in ("một", "hai", "ba"):
        assert banyan("--home", home, "post", text).code == 0
    names = [row["name"] for row in banyan("--home", home, "item", "collections", "--json").lines]
    assert names == sorted(names)
    assert {"block", "follow", "mute", "post", "profile", "reaction", "repost"} <= set(names)
    shown = banyan("--home", home, "item", "collections").out
    assert "created_ms: a whole number or nothing" in " ".join(shown.split())
    page = banyan("--home", home, "item", "list", "Minh", "post", "-n", 2, "--json")
    assert len(page.lines) == 2
    after = page.err.split("--after ")[1].split("`")[0]
    rest = banyan("--home", home, "item", "list", "Minh", "post", "--after", after, "--json")
    assert {row["content"]["text"] for row in page.lines + rest.lines} == {"một", "hai", "ba"}
