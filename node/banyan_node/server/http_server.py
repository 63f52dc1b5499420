"""Serves an ASGI application inside the node, on a port or Unix socket of this machine.

The invariants: an address in use gives one sentence, and is not taken from its owner; a Unix socket is 0600 before it
listens; a shutdown lets requests finish for `grace_seconds` and then ends the rest. http_connections.py has the limits
of a connection.
"""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog
import trio
from starlette.types import ASGIApp

from banyan_node.home.config import ControlSettings
from banyan_node.home.folder import Home
from banyan_node.home.values import NO_SOCKET, why_no_bind
from banyan_node.operator_errors import ControlError, PortBusy
from banyan_node.server import http_protocol
from banyan_node.server.http_connections import PATIENCE, HttpConnections, Patience
from banyan_node.server.http_protocol import ServerSettings, Stopped, uncounted
from banyan_node.server.servers import Announcement, ServerAddress

_log = structlog.get_logger("banyan")
ANNOUNCE_S = 5.0
"""Seconds between two attempts to write control.json on a full disk."""
GRACE_LOOK_S = 0.02
"""Seconds between two checks whether the last request has ended, when the node stops."""


class StartSignal(Protocol):
    """The task_status that trio's nursery.start passes in."""

    def started(self, value: ServerAddress) -> None:
        """The server listens at this endpoint."""


class Bind(NamedTuple):
    """Where to listen. socket: a path, used instead of host and port. port 0: any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    socket: str = ""

    @classmethod
    def at(cls, address: str) -> "Bind":
        """HOST:PORT, [IPV6]:PORT or unix:PATH. Raises ControlError."""
        if (why := why_no_bind(address)) is not None:
            raise ControlError(f"{address!r} {why}.")
        if address.startswith("unix:"):
            return cls(socket=address.removeprefix("unix:"))
        host, _, port = address.rpartition(":")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @classmethod
    def of(cls, control: ControlSettings, home: Home) -> "Bind":
        """The settings' address. A relative socket path is inside the home."""
        return cls(control.host, control.port, str(home.path / control.socket) if control.socket else "")


async def serve_app(
    app: Callable[[str], ASGIApp],
    bind: Bind,
    *,
    shutdown: trio.Event,
    grace_seconds: float = 3.0,
    connections: int = 1_024,
    patience: Patience = PATIENCE,
    sockets: bool = False,
    stopped: Stopped = uncounted,
    task_status: StartSignal = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves an application until `shutdown`. app: makes it, from its URL. sockets: whether it takes WebSockets.
    stopped: see `ServerSettings`. Raises PortBusy, ControlError."""
    settings = ServerSettings(sockets, http_protocol.flat, stopped)
    with listening(bind) as (listener, endpoint):
        served = HttpConnections(app(endpoint.url), connections, patience, settings)
        await _serve(served, listener, endpoint, shutdown, grace_seconds, task_status)


async def serve_control(
    app: ASGIApp,
    bind: Bind,
    home: Home,
    token: str,
    *,
    shutdown: trio.Event | None = None,
    grace_seconds: float = 3.0,
    connections: int = 128,
    patience: Patience = PATIENCE,
    stopped: Stopped = uncounted,
    task_status: StartSignal = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves the control API, and announces it in the home while it answers. Raises PortBusy, ControlError."""
    served = HttpConnections(app, connections, patience, ServerSettings(stopped=stopped))
    with listening(bind) as (listener, endpoint), closing(Announcement(home, endpoint, token)) as announcement:
        async with trio.open_nursery() as nursery:
            if not _announce(announcement):
                nursery.start_soon(_announce_later, announcement)
            await _serve(served, listener, endpoint, shutdown, grace_seconds, task_status)
            nursery.cancel_scope.cancel()


def _announce(announcement: Announcement) -> bool:
    """Whether commands can find the node now. Raises OSError, except on a full disk."""
    try:
        announcement.write()
    except OSError as why:
        if why.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _log.error("the disk is full: until there is room, no command finds this node, which serves its peers")
        return False
    return True


async def _announce_later(announcement: Announcement) -> None:
    while True:
        await trio.sleep(ANNOUNCE_S)
        try:
            announcement.write()
        except OSError:
            continue
        _log.warning("there is room again: commands find this node")
        return


async def _serve(
    connections: HttpConnections,
    listener: socket.socket,
    endpoint: ServerAddress,
    shutdown: trio.Event | None,
    grace_seconds: float,
    task_status: StartSignal,
) -> None:
    async with trio.open_nursery() as serving:
        try:
            async with trio.open_nursery() as until_shutdown:
                until_shutdown.start_soon(connections.accept, listener, serving)
                task_status.started(endpoint)
                await (trio.Event() if shutdown is None else shutdown).wait()
                until_shutdown.cancel_scope.cancel()
            listener.close()
            await connections.close_idle()
            serving.start_soon(_end_after, grace_seconds, connections, serving)
        except BaseException:
            connections.end_all()
            raise


async def _end_after(seconds: float, connections: HttpConnections, serving: trio.Nursery) -> None:
    """Ends remaining connections then, or at once if it is cancelled."""
    try:
        with trio.move_on_after(seconds):
            while connections.count:
                await trio.sleep(GRACE_LOOK_S)
    finally:
        connections.end_all()
    serving.cancel_scope.cancel()


@contextmanager
def listening(bind: Bind) -> Iterator[tuple[socket.socket, ServerAddress]]:
    """A listening socket, and its actual address. Raises PortBusy, ControlError."""
    listener = _bind_socket(Path(bind.socket)) if bind.socket else _bind_port(bind.host, bind.port)
    name = listener.getsockname()
    endpoint = ServerAddress(socket=name) if isinstance(name, str) else ServerAddress(name[0], name[1])
    try:
        yield listener, endpoint
    finally:
        listener.close()
        if endpoint.socket:
            Path(endpoint.socket).unlink(missing_ok=True)


def _bind_port(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ControlError(f"{host} is no address of this machine ({error.strerror}).") from error
    try:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait out TIME_WAIT
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortBusy(
                f"Port {port} of {host} is taken by another program; stop it, or choose another (0: any that is free)."
            ) from error
        raise ControlError(f"Port {port} of {host} cannot be used ({error.strerror}); choose another.") from error
    return listener


def _bind_socket(path: Path) -> socket.socket:
    _clear_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        raise ControlError(
            f"The socket {path} cannot be made ({error.strerror or error}); choose another path."
        ) from error
    return listener


def _clear_stale(path: Path) -> None:
    """Removes a socket that nothing answers on. Raises PortBusy for any other file, or if a program answers."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise PortBusy(f"{path} {NO_SOCKET}.")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
    else:
        raise PortBusy(f"Another program answers on {path}; stop it, or choose another path.")
    finally:
        probe.close()
