"""Runs `banyan` as a person would: in this process for speed, or in a separate process."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from banyan_cli.main import main
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.control_client import ControlClient

COMMAND = [sys.executable, "-W", "error::DeprecationWarning:banyan_cli", "-m", "banyan_cli"]


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
        child = _LOADED.Process(target=_run, args=(out, err, environment, list(map(str, words)), said))
        child.start()
        child.join(120)
        if child.exitcode is None:
            child.kill()
        assert child.exitcode is not None, f"banyan {words} goes on: {err.read_text('utf-8')}"
        return Ran(child.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("BANYAN_")}


@contextmanager
def node_up(home: Path, *flags: str) -> Iterator[ControlClient]:
    """`banyan up` as a process, answering; stopped at the end, if the test has not stopped it."""
    log = home.with_suffix(".log")
    node = _LOADED.Process(
        target=_run, args=(log, log, clean_environment(), ["--home", str(home), "up", "--interest", "all", *flags])
    )
    node.start()
    try:
        with _answering(node, home) as client:
            yield client
    finally:
        node.terminate()
        node.join(15)


_LOADED = multiprocessing.get_context("forkserver")
"""Forks processes from one that has loaded the program, because loading is most of the work of a short life."""
_LOADED.set_forkserver_preload(["banyan_cli.main", "banyan_node.process", "banyan_web.opening", __name__])


def _run(out: Path, err: Path, environment: dict[str, str], words: Sequence[str], said: Path | None = None) -> None:
    with out.open("ab") as first, err.open("ab") as second:
        os.dup2(first.fileno(), 1)
        os.dup2(second.fileno(), 2)
    if said is not None:
        sys.stdin = said.open(encoding="utf-8")
    os.environ.clear()
    os.environ.update(environment)
    warnings.filterwarnings("error", category=DeprecationWarning, module="banyan_cli")
    sys.exit(main(words))


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
