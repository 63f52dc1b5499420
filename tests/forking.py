"""Processes for tests, forked from one that has loaded the program: loading is most of the work of a short life.

They differ in nothing else from those that `banyan` is: a home of their own, no setting from outside, and SIGKILL ends
them. (A test of how the program is started, or of signals while it loads, starts it with `COMMAND`.)
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path

from banyan_cli.main import main

COMMAND = [sys.executable, "-W", "error::DeprecationWarning:banyan_cli", "-m", "banyan_cli"]
LOADED = multiprocessing.get_context("forkserver")
get_temp_dir()  # for its socket: chosen now, because tests put another folder in this place
LOADED.set_forkserver_preload(["banyan_cli.main", "banyan_node.process", "banyan_web.opening", __name__])


def forked(log: Path, *words: object) -> BaseProcess:
    """`banyan` with these words. What it says goes into the log."""
    return started(run, log, log, clean_environment(), list(map(str, words)))


def started(runs: Callable[..., None], *given: object) -> BaseProcess:
    """A function of a module, in a process of its own."""
    child = LOADED.Process(target=runs, args=given)
    child.start()
    return child


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("BANYAN_")}


def run(out: Path, err: Path, environment: dict[str, str], words: Sequence[str], said: Path | None = None) -> None:
    """said: what it reads."""
    with out.open("ab") as first, err.open("ab") as second:
        os.dup2(first.fileno(), 1)
        os.dup2(second.fileno(), 2)
    if said is not None:
        sys.stdin = said.open(encoding="utf-8")
    os.environ.clear()
    os.environ.update(environment)
    warnings.filterwarnings("error", category=DeprecationWarning, module="banyan_cli")
    sys.exit(main(words))
