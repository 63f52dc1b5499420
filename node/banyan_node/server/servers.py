"""The servers of a node: its control API, and doors for others; where they listen, and how clients find them."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from banyan_node.home.folder import Home, write_private
from banyan_node.operator_errors import CopiedHome, NoNode

if TYPE_CHECKING:
    import trio

# How programs with access to the home find its running node: control.json has the address, control.token the token.
#
# The invariant: both files are 0600, exist only while the node listens, and belong to one run. Every run has a new
# token, so a token from a stale file is useless. control.json also names its home (device and inode of the folder): a
# copy of the folder of a running node has the file too, and a command in the copy must not call the node of the
# original.


class ServerAddress(msgspec.Struct, frozen=True):
    """Where a server listens: a Unix socket's path, or a host and port."""

    host: str = ""
    port: int = 0
    socket: str = ""

    @property
    def url(self) -> str:
        """The base URL. Over a Unix socket the host is only a name."""
        if self.socket:
            return "http://localhost"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.socket or f"{self.host} port {self.port}"


class ControlFile(msgspec.Struct, frozen=True):
    """The content of control.json. home, device, inode: of the folder it was written for; inode 0: unknown."""

    format: int
    pid: int
    endpoint: ServerAddress
    home: str = ""
    device: int = 0
    inode: int = 0


def new_token() -> str:
    """256 random bits, as text for a header."""
    return secrets.token_urlsafe(32)


class Announcement:
    """control.json and control.token of one run. Make it while holding the store's lock, so that a home has one node.

    `write` may fail on a full disk, and then be called again: a node without it serves its peers, though no command
    finds it. `end` removes what this run wrote.
    """

    def __init__(self, home: Home, endpoint: ServerAddress, token: str) -> None:
        folder = home.path.stat()
        running = ControlFile(1, os.getpid(), endpoint, str(home.path), folder.st_dev, folder.st_ino)
        self._home, self._token = home, token
        self._written = msgspec.json.encode(running) + b"\n"

    def write(self) -> None:
        """Raises OSError."""
        write_private(self._home.token, self._token.encode())
        write_private(self._home.running, self._written)

    def close(self) -> None:
        if self._home.running.exists() and self._home.running.read_bytes() == self._written:
            self._home.running.unlink()
            self._home.token.unlink(missing_ok=True)


def name_of(client: tuple[str, int] | None) -> str:
    """Of the other end of a connection; None: of a Unix socket."""
    return client[0] if client else "a Unix socket"


def find_running(home: Home) -> tuple[ControlFile, str]:
    """The running node of this home, and its token. Raises NoNode, CopiedHome."""
    nobody = f"No node is running in {home.path}; start one with `banyan up`."
    try:
        running = msgspec.json.decode(home.running.read_bytes(), type=ControlFile)
        token = home.token.read_text("utf-8").strip()
    except FileNotFoundError as error:
        raise NoNode(nobody) from error
    except PermissionError as error:
        raise NoNode(f"{error.filename} belongs to another user; ask as the user that runs the node.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise NoNode(f"{home.running} cannot be read ({error}); start the node again with `banyan up`.") from error
    _refuse_a_copy(home, running)
    if not running.endpoint.socket and not alive(running.pid):
        raise NoNode(
            f"No node is running in {home.path}: {home.running} names process {running.pid}, which has ended without "
            "saying so; start one with `banyan up`."
        )
    if not _answers(running.endpoint):
        raise NoNode(
            f"No node is running in {home.path}: {home.running} names {running.endpoint}, where nobody answers; start "
            "one with `banyan up`."
        )
    return running, token


def _refuse_a_copy(home: Home, running: ControlFile) -> None:
    folder = home.path.stat()
    if running.inode and (running.device, running.inode) != (folder.st_dev, folder.st_ino):
        raise CopiedHome(
            f"No node is running in {home.path}: its control.json was copied from {running.home}, which has a node "
            "of its own; start one here with `banyan up`."
        )


def _answers(endpoint: ServerAddress) -> bool:
    """Whether something listens there: a killed process leaves its file, and its process id may be used again."""
    family = socket.AF_UNIX if endpoint.socket else socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(endpoint.socket or (endpoint.host, endpoint.port))
        except OSError:
            return False
    return True


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no such file on this system
    return state not in (b"Z", b"X")


class Servers:
    """Each ends by itself, once the node is told to stop."""

    def __init__(self) -> None:
        self._doors: list[ServerAddress] = []
        self._ended: list[trio.Event] = []

    @property
    def doors(self) -> tuple[str, ...]:
        """Where they listen: HOST:PORT or unix:PATH."""
        return tuple(f"unix:{e.socket}" if e.socket else _host_port(e.host, e.port) for e in self._doors)

    async def start(
        self, nursery: trio.Nursery, server: Callable[..., Awaitable[None]], door: bool = False
    ) -> ServerAddress:
        """Returns where it listens."""
        import trio  # commands read the files above beside a running node, and load no network for it

        ended = trio.Event()

        async def run(task_status: Any) -> None:
            try:
                await server(task_status=task_status)
            finally:
                ended.set()

        self._ended.append(ended)
        endpoint: ServerAddress = await nursery.start(run)
        if door:
            self._doors.append(endpoint)
        return endpoint

    async def ended(self) -> None:
        """Returns when all have ended."""
        for one in self._ended:
            await one.wait()


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
