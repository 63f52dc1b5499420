"""Runs `banyan` as a person would: in this process for speed, or in a separate process."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from banyan_cli.main import main
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.control_client import ControlClient
from tests.forking import COMMAND, clean_environment, forked, run, started

__all__ = ["COMMAND", "clean_environment", "forked"]


class Ran(NamedTuple):
    """The result of one command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """JSONL on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


def banyan(*words: object) -> Ran:
    """Runs it in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ran(code, out.getvalue(), err.getvalue())


def process(*words: object, stdin: str = "", **env: str) -> Ran:
    """Runs it in a separate process, forked from one that has loaded the program."""
    with TemporaryDirectory() as folder:
        said, out, err = (Path(folder) / name for name in ("in", "out", "err"))
        said.write_text(stdin, "utf-8")
        environment = {**clean_environment(), **env}
        child = started(run, out, err, environment, list(map(str, words)), said)
        child.join(120)
        if child.exitcode is None:
            child.kill()
        assert child.exitcode is not None, f"banyan {words} goes on: {err.read_text('utf-8')}"
        return Ran(child.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))


@contextmanager
def node_up(home: Path, *flags: str) -> Iterator[ControlClient]:
    """`banyan up` as a process, answering; stopped at the end, if the test has not stopped it."""
    log = home.with_suffix(".log")
    node = forked(log, "--home", home, "up", "--interest", "all", *flags)
    try:
        with _answering(node, home) as client:
            yield client
    finally:
        node.terminate()
        node.join(60)


def _answering(node: BaseProcess, home: Path) -> ControlClient:
    deadline = time.monotonic() + 120
    while node.is_alive() and time.monotonic() < deadline:
        try:
            client = ControlClient.from_home(Home(home))
            client.call("id")
            return client
        except NoNode:
            time.sleep(0.05)
    raise AssertionError(home.with_suffix(".log").read_text("utf-8")[-2000:])
