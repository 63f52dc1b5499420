"""What `banyan doctor` looks at beside the store. Each function answers (ok, a sentence); ok None: there was nothing to
check."""

from __future__ import annotations

import errno
import http.client
import os
import re
import socket
import ssl
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.parse import urlsplit

from banyan_node import DISTRIBUTION, program_version
from banyan_node.home.config import Config
from banyan_schema import dates

# Whether ports are free, and whether those that a running node names are its own: what answers there may be another
# program, which took the port while the node restarted.


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


# The door for HTTP as its clients meet it: whether it answers, how long its certificate lasts, what it remembers.


ANSWER_SECONDS = 5.0
"""How long an answer may take."""
SOON_DAYS = 14
"""A certificate that ends sooner should have been renewed: Caddy and certbot do it a month before."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_DAY_S = 86_400


def door_answers(address: str) -> tuple[bool, str]:
    """Whether /health answers. address: HOST:PORT or unix:PATH."""
    where = f"The door at {address}"
    try:
        began = time.monotonic()
        status = _health(address)
    except (OSError, http.client.HTTPException) as why:
        said = (isinstance(why, OSError) and why.strerror) or type(why).__name__
        return False, f"{where} does not answer ({said}); look at the node's log, and start it again."
    if status != 200:
        return False, f"{where} answers {status} to /health; look at the node's log."
    return True, f"{where} answers, in {1000 * (time.monotonic() - began):.0f} ms."


def _health(address: str) -> int:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if address.startswith("unix:"):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(ANSWER_SECONDS)
        line.connect(address.removeprefix("unix:"))
        connection = http.client.HTTPConnection("localhost", timeout=ANSWER_SECONDS)
    else:
        line = socket.create_connection((_ANY.get(host, host), int(port)), ANSWER_SECONDS)
        connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
    connection.sock = line
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    finally:
        connection.close()


def certificate(url: str) -> tuple[bool | None, str]:
    """How long the certificate of https://HOST lasts, and whether clients believe it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return None, "http.url names no https address, so there is none."
    try:
        with (
            socket.create_connection((host, parts.port or 443), ANSWER_SECONDS) as line,
            ssl.create_default_context().wrap_socket(line, server_hostname=host) as safe,
        ):
            ends = ssl.cert_time_to_seconds(str((safe.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as why:
        return False, f"Clients do not believe the certificate of {host}: {why.verify_message}; renew or replace it."
    except ssl.SSLError as why:
        return False, f"{host} speaks no TLS ({why.reason}); put a proxy with a certificate before the door."
    except OSError as why:
        return False, f"{url} is not reached from here ({why.strerror or why}); look at its DNS and at the proxy."
    left, day = int((ends - time.time()) // _DAY_S), dates.day(int(ends * 1000))
    if left < SOON_DAYS:
        return (
            False,
            f"The certificate of {host} ends on {day}, in {left} days; renew it (`certbot renew`, or Caddy's log).",
        )
    return True, f"That of {host} lasts until {day}, {left} days."


def door_remembers(path: Path) -> tuple[bool | None, str]:
    """Whether door.db can be read, and by its owner alone. Raises StorageError if it cannot."""
    from banyan_web.door_store import check

    if not path.exists():
        return None, "There is none yet: nobody has logged in, and no token was made."
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return False, f"{path} has mode {mode:04o}, so others on this machine can read it; run `chmod 600 {path}`."
    check(path)
    return True, "Logins, tokens and apps can be read."


# What the system allows a node: open files, address space, and a disk that LMDB can use.


SPARE_FILES = 256
"""Files beside the connections: the store, blobs, threads, libraries."""
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs", "afs", "ceph", "glusterfs")
"""File systems whose locks and mapped pages LMDB must not rely on."""


def open_files(config: Config, doors: bool, pid: int | None) -> tuple[bool | None, str]:
    """Whether all connections that the settings allow can be open. doors: whether HTTP is served. pid: of the node that
    runs; None: this process stands for it."""
    limits = config.limits
    needed = limits.peers + limits.arriving + config.control.connections + SPARE_FILES
    needed += config.http.connections * doors
    most = _most_files(pid)
    if most is None:
        return None, "How many files may be open cannot be told on this system."
    if most < needed:
        return False, (
            f"{most:,} files may be open, and the settings allow connections that need {needed:,}; raise it "
            "(`ulimit -Hn`, LimitNOFILE= of the unit), or lower limits.peers or http.connections."
        )
    return True, f"{_many(most)} files may be open, and {needed:,} are needed at most."


def _many(most: float) -> str:
    return "Any number of" if most == float("inf") else f"{most:,}"


def _most_files(pid: int | None) -> float | None:
    """The hard limit: a node raises its own to it."""
    if pid is not None:
        try:
            found = re.search(r"^Max open files +\S+ +(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
        except OSError:
            found = None
        if found:
            return float("inf") if found[1] == "unlimited" else int(found[1])
    if sys.platform == "win32":
        return None
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return float("inf") if hard == resource.RLIM_INFINITY else hard


def store_map(folder: Path) -> tuple[bool | None, str]:
    """Whether the store can be mapped: LMDB reserves address space, and needs a disk of this machine."""
    kind = _file_system(folder)
    if kind in REMOTE:
        return (
            False,
            f"{folder} is on {kind}, whose locks a store cannot rely on; move the home to a disk of this machine.",
        )
    if sys.platform != "win32":
        import resource

        from banyan_storage.lmdb_engine import ADDRESS_SPACE  # commands that open no store load none of it

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most not in (-1, resource.RLIM_INFINITY) and most < ADDRESS_SPACE:
            return False, (
                f"This process may have {most >> 30:,} GiB of address space, and the store reserves "
                f"{ADDRESS_SPACE >> 30:,} GiB, which use no memory; `ulimit -v unlimited` allows it."
            )
    return True, f"The store may be mapped{f', on {kind}' if kind else ''}; it grows by itself up to the disk."


def _file_system(folder: Path) -> str:
    """The type of the file system of a folder, or nothing where that is not told."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    where, found = str(folder.resolve()) + "/", ("", "")
    for line in lines:
        _, mounted, kind, *_ = line.split(" ")
        mounted = mounted.replace("\\040", " ").rstrip("/") + "/"
        if where.startswith(mounted) and len(mounted) >= len(found[0]):
            found = (mounted, kind)
    return found[1]


# Whether what runs fits together: this command, the node, the libraries, and the peers.


_BOUND = re.compile(r"(==|>=|<=|<|>|!=)\s*([0-9][^\s,;]*)")
OTHER_PROTOCOL = "protocol version "
"""How the reason begins for which a peer of another version hangs up."""


def versions(running: str | None, reasons: Iterable[str]) -> tuple[bool, str]:
    """running: the version of the running node; None: no node runs. reasons: why peers are not reached."""
    mine = program_version()
    if wrong := list(_wrong_libraries()):
        return False, f"{'; '.join(wrong)}: install banyan again."
    if running is not None and running != mine:
        return (
            False,
            f"The node that runs is banyan {running}, and this command {mine}: `banyan down`, then `banyan up`.",
        )
    if others := [why for why in dict.fromkeys(reasons) if OTHER_PROTOCOL in why]:
        return False, f"A peer is of another version: {others[0]}."
    return True, f"banyan {mine}, with the libraries that it asks for."


def _wrong_libraries() -> Iterator[str]:
    for line in requires(DISTRIBUTION) or ():
        asked, _, marker = line.partition(";")
        if "extra ==" in marker:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", asked.strip(), maxsplit=1)[0]
        try:
            found = version(name)
        except PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if not all(_fits(found, how, bound) for how, bound in _BOUND.findall(asked)):
            yield f"{name} {found} is installed, and {asked.strip()} is asked for"


def _fits(found: str, how: str, bound: str) -> bool:
    """By the numbers of a version: those of the project's own requirements have nothing else that counts."""
    a, b = _numbers(found), _numbers(bound)
    return {"==": a == b, "!=": a != b, ">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b}[how]


def _numbers(text: str) -> tuple[int, ...]:
    """Without zeros at the end: 1.0 is 1. A local version (+...) is none of it."""
    numbers = [int(n) for n in re.findall(r"[0-9]+", re.split(r"[+a-z]", text, maxsplit=1)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
