"""What a value must be beyond its type. A check stands beside the setting: `Annotated[str, Meta(...), Check(why)]`.

It says what is wrong in words that follow the value: "is no network: give one such as 10.0.0.0/8". So the first
questions, `banyan config set` and the start say the same.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from banyan_node.home.peers import is_peer_id, is_port, why_no_address, why_no_place

TEXT_BYTES = 256 << 10
"""Of a text that is shown to people."""
_SOCKET_BYTES = 107
"""The longest path of a Unix socket, as the system takes it."""
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_URL = re.compile(r"https?://(\[[^\]]*\]|[^:/?#@]*)(?::([0-9]*))?")
_NO_BIND = "is no address to listen at: give HOST:PORT or unix:PATH"
_NO_URL = "is no address of a server: give http:// or https:// and its name, such as https://social.example.org"
_NO_DOMAIN = "is no domain: give a name such as social.example.org"
_NO_MAIL = "is no address of mail: give one such as me@example.org"
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
"""Where what this process has open may be a pipe."""
NO_SOCKET = "is there and no socket: move it away, or choose another path"


class Check(NamedTuple):
    """why_not: what is wrong with a value, without a full stop; None: nothing. Nothing is asked of an empty text."""

    why_not: Callable[[str], str | None]


class PathCheck(NamedTuple):
    """why_not: the same of a path; one without a slash at its begin is inside the home. lacks: what has to be made
    before the node starts, in words that follow its name; None: nothing."""

    why_not: Callable[[Path], str | None]
    lacks: Callable[[Path], str | None]


def why_no_network(text: str) -> str | None:
    """Of a network (CIDR)."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is no network: give one such as 10.0.0.0/8 or fd00::/8"
    return None


def why_no_listen(address: str) -> str | None:
    """Of a place where peers connect; port 0 is any that is free."""
    why = why_no_place(address, least=0, names=False)
    return None if why is None else f"is no address to listen at: {why}"


def why_no_dial(address: str) -> str | None:
    """Of the address of a peer."""
    why = why_no_address(address)
    return None if why is None else f"is no address to dial: {why}"


def why_no_announce(address: str) -> str | None:
    """Of an address that peers dial; it may end in this node's id."""
    place, at, peer = address.partition("/p2p/")
    why = why_no_place(place)
    if why is None and at and not is_peer_id(peer):
        why = f"{peer[:60]!r} is not a peer's id"
    return None if why is None else f"is no address that peers can dial: {why}"


def why_no_bind(text: str) -> str | None:
    """Of HOST:PORT, [IPV6]:PORT or unix:PATH."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        return why_no_socket(Path(path)) if path.startswith("/") else "needs the whole path, such as unix:/run/banyan"
    host, colon, port = text.rpartition(":")
    return None if colon and is_port(port) and _is_host(host) else _NO_BIND


def why_no_url(text: str) -> str | None:
    """Of the address of a server: its scheme, its name, perhaps a port."""
    if not text.isascii():  # it stands in headers of HTTP
        return "has letters that the DNS does not have: give the name as it stands there, such as https://xn--x-6ja.vn"
    found = _URL.fullmatch(text)
    return None if found and _is_host(found[1]) and (found[2] is None or is_port(found[2])) else _NO_URL


def why_no_domain(text: str) -> str | None:
    """Of a name in the DNS, perhaps with a port."""
    name, colon, port = text.partition(":")
    return None if _NAME.fullmatch(name) and (not colon or is_port(port)) else _NO_DOMAIN


def why_no_mail(text: str) -> str | None:
    """Of an address of mail. Whether somebody reads it, nobody knows."""
    return None if re.fullmatch(r"[^@\s]+@[^@\s]+", text) else _NO_MAIL


def why_no_socket(path: Path) -> str | None:
    """Of the path of a Unix socket, which the node makes, or replaces if nothing answers on it."""
    if len(os.fsencode(path)) > _SOCKET_BYTES or "\0" in str(path):
        return f"is no path for a socket: give one of at most {_SOCKET_BYTES} bytes"
    kind = _kind(path)
    return None if kind in (None, stat.S_IFSOCK) else NO_SOCKET


def why_no_log(path: Path) -> str | None:
    """Of a file that lines are added to."""
    kind = _kind(path)
    if kind == stat.S_IFIFO and not str(path).startswith(_STREAMS):  # it would wait for a reader
        return "is a pipe: name a file"
    return "is a folder: name a file" if kind == stat.S_IFDIR else _why_no_path(path)


def why_no_text(path: Path) -> str | None:
    """Of a file with a text that is shown to people."""
    kind = _kind(path)
    if kind is None:
        return _why_no_path(path)
    if kind != stat.S_IFREG:  # a pipe would be waited for
        what = "a folder" if kind == stat.S_IFDIR else "no ordinary file"
        return f"is {what}: name a file with plain text"
    try:
        read_text(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:
        return str(error)
    return None


def lacks_file(path: Path) -> str | None:
    """Of a file that must be there."""
    return None if _kind(path) else "is not there: write it before the node starts, or name another"


def lacks_folder(path: Path) -> str | None:
    """Of a file that the node makes."""
    return None if _kind(path.parent) else "is in a folder that is not there: make it before the node starts"


def read_text(path: Path) -> str:
    """Raises OSError; ValueError with what is wrong with it, in words that follow its name."""
    with path.open("rb") as file:
        raw = file.read(TEXT_BYTES + 1)
    if len(raw) > TEXT_BYTES:
        raise ValueError(f"has more than {TEXT_BYTES:,} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError("is no plain text in UTF-8") from None


def _is_host(text: str) -> bool:
    """Whether this is an address of IP, IPv6 in brackets or not, or can be a name."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare or bare.replace(".", "").isdigit():
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            return False
        return True
    return bare == text and len(text) <= 253 and _NAME.fullmatch(text) is not None


def _why_no_path(path: Path) -> str | None:
    return "is no path" if "\0" in str(path) else None


def _kind(path: Path) -> int | None:
    """None: nothing is there, or it cannot be seen."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return None
