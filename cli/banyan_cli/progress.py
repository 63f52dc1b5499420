"""Shows progress of work that takes longer than a second: on standard error, and only if that is a terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

QUIET_SECONDS = 0.5
"""Work that ends sooner shows nothing."""


@contextmanager
def bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar. Yields the function that advances it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.advance(task, n)


@contextmanager
def growing(console: Console, what: str, draft: Path) -> Iterator[None]:
    """As `waiting`, with how much is on the disk of what another process writes to this file or folder."""
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TimeElapsedColumn())
    over = threading.Event()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def look() -> None:
            while not over.wait(QUIET_SECONDS):
                progress.update(task, completed=_size(draft))

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()


def _size(path: Path) -> int:
    with suppress(OSError):
        if path.is_dir():
            return sum(_size(Path(entry.path)) for entry in os.scandir(path))
        return path.stat().st_size
    return 0


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """A spinner and the time that has passed, for work of unknown length."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True)
    if not console.is_terminal:
        yield
        return
    later = threading.Timer(QUIET_SECONDS, progress.start)
    later.daemon = True
    progress.add_task(what, total=None)
    later.start()
    try:
        yield
    finally:
        later.cancel()
        progress.stop()
