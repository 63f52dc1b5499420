"""Shows the four frontiers live: a row per node, relative to the fullest one, with a colour for each different root.

A separate thread asks each node twice a second. The story runs meanwhile and only adds its sentences.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from banyan_cli.demo.nodes import DemoNode
from banyan_node.operator_errors import OperatorError

POLL_SECONDS = 0.4
SILENCE_SECONDS = 2.0
"""The longest that nothing is said where no picture moves."""
_COLOURS = ("green", "yellow", "magenta", "cyan")


class Screen:
    """Sentences of the story, and the last status of each node."""

    def __init__(self, console: Console, nodes: Sequence[DemoNode]) -> None:
        self._console = console
        self._nodes = nodes
        self._status: dict[str, dict[str, Any]] = {}
        self._cut: frozenset[str] = frozenset()
        self._told: deque[str] = deque(maxlen=10)
        self._ended = threading.Event()
        self._began = self._spoke = time.monotonic()
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=5, transient=False)

    def tell(self, sentence: str) -> None:
        """The next sentence of the story."""
        self._told.append(sentence)
        self._spoke = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(sentence)

    def cut_off(self, *names: str) -> None:
        """Mark nodes as cut off; none: nobody is."""
        self._cut = frozenset(names)

    def pause(self, seconds: float) -> None:
        """Time for a person to look; none where nobody does."""
        if self._console.is_terminal:
            self._ended.wait(seconds)

    def hold(self) -> None:
        """Keep the picture as it is now: the nodes are about to stop."""
        self._ended.set()
        if self._console.is_terminal:
            self._look()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Live inside the block, on a terminal; plain sentences elsewhere."""
        person = self._console.is_terminal
        poller = threading.Thread(target=self._poll if person else self._break_silence, daemon=True)
        poller.start()
        try:
            with self._live if person else nullcontext():
                yield
        finally:
            self._ended.set()
            poller.join(5.0)

    def _poll(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._look()

    def _break_silence(self) -> None:
        """Says how long it has been, and what the nodes hold, whenever the story was silent for too long."""
        while not self._ended.wait(0.1):
            if time.monotonic() - self._spoke > SILENCE_SECONDS - 0.3:
                self._spoke = time.monotonic()
                self._console.print(self._meanwhile(), highlight=False)

    def _meanwhile(self) -> str:
        self._look(1.0)
        held = [f"{name} {status['entries']:,}" for name, _, status in self._nodes_and_status() if status]
        what = f"entries held: {', '.join(held)}" if held else "the nodes are starting"
        return f"  ... {time.monotonic() - self._began:.0f} s, {what}"

    def _look(self, seconds: float = 10.0) -> None:
        for node in self._nodes:
            try:
                with node.client(seconds) as client:
                    self._status[node.name] = client.call("status")
            except OperatorError:
                self._status.pop(node.name, None)

    def _picture(self) -> RenderableType:
        passed = Text(f"  {time.monotonic() - self._began:.0f} s", "dim")
        lines = [
            Text(f"  {sentence}", "dim" if i < len(self._told) - 1 else "") for i, sentence in enumerate(self._told)
        ]
        return Group(frontiers(self._nodes_and_status(), self._cut), *lines, passed)

    def _nodes_and_status(self) -> list[tuple[str, str, dict[str, Any] | None]]:
        return [(node.name, node.role, self._status.get(node.name)) for node in self._nodes]


def frontiers(rows: Sequence[tuple[str, str, dict[str, Any] | None]], cut: frozenset[str]) -> Table:
    """One row for each (name, role, status); equal roots have equal colours."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("node", no_wrap=True)
    made.add_column("", style="dim", no_wrap=True)
    made.add_column("peers", justify="right")
    made.add_column("entries", justify="right")
    made.add_column("frontier", width=30)
    made.add_column("root", no_wrap=True)
    most = max((status["entries"] for _, _, status in rows if status), default=0)
    colours: dict[str, str] = {}
    for name, role, status in rows:
        if status is None:
            made.add_row(name, role, "", "", Text("starting", "dim"), "")
            continue
        root = status["root"]
        colour = colours.setdefault(root, _COLOURS[min(len(colours), len(_COLOURS) - 1)])
        bar = ProgressBar(total=max(most, 1), completed=status["entries"], width=30, complete_style=colour)
        shown = Text(root[:12], colour)
        if name in cut:
            shown.append("  cut off", "bold red")
        elif status["lacking_parts"]:
            shown.append(f"  {status['lacking_parts']} contents to come", "dim")
        made.add_row(name, role, str(status["peers"]), f"{status['entries']:,}", bar, shown)
    return made
