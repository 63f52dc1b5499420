"""Real nodes as processes of this machine: each with a home of its own in a temporary folder, on loopback.

The invariant: no process outlives the block that started it, whatever ends the block.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from banyan_cli.errors import Failed
from banyan_cli.node_setup import make_node
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.control_client import ControlClient

START_SECONDS = 40.0
STOP_SECONDS = 8.0
_SETTINGS: dict[str, Any] = {
    "node.realm": "test",
    "node.listen": ["/ip4/127.0.0.1/tcp/0"],
    "interest.mode": "all",
    "discovery.reconcile_seconds": 1.0,
    "discovery.shuffle_seconds": 5.0,
    "discovery.redial_seconds": 2.0,
    "log.format": "json",
}


class DemoNode:
    """One node. Calls go to its control API; `peer` and `address` are known once it runs."""

    def __init__(self, name: str, role: str, folder: Path) -> None:
        self.name = name
        self.role = role
        self.home = Home(folder / name)
        self.peer = ""
        self.address = ""
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._client: ControlClient | None = None

    def make(self) -> None:
        """Its home, its keys, its account."""
        make_node(self.home, {"node.name": self.name, "node.role": self.role, **_SETTINGS}, None)

    def start(self) -> None:
        """Start the process, beyond the reach of the terminal's ctrl-C; `wait_up` waits for it."""
        command = [sys.executable, "-m", "banyan_cli", "--home", str(self.home.path), "up"]
        env = {key: value for key, value in os.environ.items() if not key.startswith("BANYAN_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
            )

    def wait_up(self) -> None:
        """Until it answers. Raises Failed with the end of its log."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                self._client = ControlClient.from_home(self.home, 30.0)
                who = self._client.call("id")
            except NoNode:
                time.sleep(0.05)
                continue
            self.peer, self.address = who["peer_id"], who["addresses"][0]
            return
        raise Failed(f"The node {self.name} did not start; the end of its log says: {self._last_words()}")

    def call(self, method: str, **params: Any) -> Any:
        """One call."""
        if self._client is None:
            raise NoNode(f"The node {self.name} is not running.")
        return self._client.call(method, **params)

    def client(self, seconds: float = 10.0) -> ControlClient:
        """A client of its own for another thread."""
        return ControlClient.from_home(self.home, seconds)

    def ask_to_stop(self) -> None:
        """As ctrl-C would."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Wait for the end; what does not end is ended."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self.ask_to_stop()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return "(nothing)"
        return " / ".join(lines[-3:]) or "(nothing)"


@contextmanager
def running(nodes: Sequence[DemoNode]) -> Iterator[None]:
    """All nodes up inside the block, all stopped after it."""
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_up()
        yield
    finally:
        for node in nodes:
            node.ask_to_stop()
        for node in nodes:
            node.stop()
