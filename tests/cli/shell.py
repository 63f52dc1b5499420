"""Runs `banyan` as a person would: in this process for speed, or in a separate process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
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
    """Runs it in a separate process."""
    result = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**clean_environment(), **env},
        timeout=60,
        check=False,
    )
    return Ran(result.returncode, result.stdout, result.stderr)


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("BANYAN_")}


@contextmanager
def node_up(home: Path, *flags: str) -> Iterator[ControlClient]:
    """`banyan up` as a process, answering; stopped at the end, if the test has not stopped it."""
    log = home.with_suffix(".log").open("ab")
    node = subprocess.Popen(
        [*COMMAND, "--home", str(home), "up", "--interest", "all", *flags],
        stdout=log,
        stderr=log,
        env=clean_environment(),
    )
    try:
        with _answering(node, home) as client:
            yield client
    finally:
        node.terminate()
        node.wait(15)
        log.close()


def _answering(node: subprocess.Popen[bytes], home: Path) -> ControlClient:
    import time

    deadline = time.monotonic() + 120
    while node.poll() is None and time.monotonic() < deadline:
        try:
            client = ControlClient.from_home(Home(home))
            client.call("id")
            return client
        except NoNode:
            time.sleep(0.05)
    raise AssertionError(home.with_suffix(".log").read_text("utf-8")[-2000:])
