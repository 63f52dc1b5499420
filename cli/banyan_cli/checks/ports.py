"""Whether ports are free, and whether those that a running node names are its own: what answers there may be another
program, which took the port while the node restarted."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def why_taken(host: str, port: int) -> str | None:
    """Why nobody can listen there now, in a sentence without a full stop; None if one can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"{host} port {port} is taken by another program; stop that, or choose another port"
            return f"{host} port {port} cannot be had ({error.strerror}); choose another"
    return None


def of_process(pid: int, ports: Mapping[int, str]) -> tuple[bool | None, str]:
    """Whether the process or its children listen on these ports. ports: port -> what it is for."""
    if sys.platform != "linux":
        return None, "Whose the ports are cannot be told on this system."
    try:
        own = {inode for each in _family(pid) for inode in _sockets(each)}
    except PermissionError:
        return None, "Whose the ports are cannot be told: ask as the user that runs the node."
    open_now = _listening()
    for port, what in sorted(ports.items()):
        if not open_now.get(port):
            return False, f"Nobody listens on port {port}, which is for {what}; start the node again."
        if not open_now[port] & own:
            return False, f"Port {port}, which is for {what}, is of another program; stop that, and start the node."
    count = "1 port is" if len(ports) == 1 else f"{len(ports)} ports are"
    return True, f"{count} the node's own: {', '.join(f'{port} for {what}' for port, what in sorted(ports.items()))}."


def _family(pid: int) -> Iterator[int]:
    """The process, its children, and theirs."""
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:  # it has just ended
            continue
        for child in children:
            yield from _family(int(child))


def _sockets(pid: int) -> Iterator[str]:
    """Raises PermissionError."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:
        return
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _listening() -> dict[int, set[str]]:
    """Port -> the inodes of sockets that listen on it."""
    found: dict[int, set[str]] = {}
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS:
                found.setdefault(int(fields[1].rpartition(":")[2], 16), set()).add(fields[9])
    return found
