"""What a value must be beyond its type. A check stands beside the setting: `Annotated[str, Meta(...), Check(why)]`.

It says what is wrong in words that follow the value: "is no network: give one such as 10.0.0.0/8". So the first
questions, `banyan config set` and the start say the same.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from msgspec import Meta

from banyan_crdt.ids import of_base58

E = TypeVar("E")

# Ids and addresses of peers. libp2p would take more: it dials port 99999 as 34463, and looks 999.0.0.1 up as a name.
# And a ban of what is nobody's id has no effect.

_SHAPES = ((b"\0\x24\x08\x01\x12\x20", 38), (b"\0\x25\x08\x02\x12\x21", 39), (b"\x12\x20", 34))
"""How an id begins and how many bytes it has: an Ed25519 key, a secp256k1 key, the SHA-256 of any other key."""
_MOST_LETTERS = 53
"""Of the longest of these, 39 bytes, in base58."""
_IP = {"ip4": ipaddress.IPv4Address, "ip6": ipaddress.IPv6Address}
_PLACE = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/([^/]*)")
PLACE = "expected /ip4/HOST/tcp/PORT"
EXPECTED = f"{PLACE}/p2p/PEER"


def is_peer_id(text: str) -> bool:
    """Whether somebody can have this id."""
    raw = of_base58(text) if len(text) <= _MOST_LETTERS else None
    return raw is not None and any(raw.startswith(begins) and len(raw) == size for begins, size in _SHAPES)


def why_no_address(address: str) -> str | None:
    """What keeps this from being the address of a peer, without a full stop; None: nothing."""
    place, _, peer = address.rpartition("/p2p/")
    if _PLACE.fullmatch(place) is None:
        return EXPECTED
    return why_no_place(place) or (None if is_peer_id(peer) else f"{peer[:60]!r} is not a peer's id: give it whole")


def why_no_place(place: str, least: int = 1, names: bool = True) -> str | None:
    """The same of an address without an id. least: its lowest port. names: whether it may have a name of the DNS."""
    found = _PLACE.fullmatch(place)
    if found is None or not (names or found[1] in _IP):
        return PLACE
    kind, host, port = found.groups()
    if kind in _IP:
        try:
            _IP[kind](host)
        except ValueError:
            return f"{host[:60]!r} is no address of {kind}"
    if not is_port(port) or int(port) < least:
        return f"{port[:60]!r} is no port: it is from {least} to 65535"
    return None


def is_port(text: str) -> bool:
    """Whether this is a number of TCP's ports, 0 included."""
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 1 << 16


# -- checks

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


# Addresses and networks, as settings name them.

_ADDRESS = r"^/(ip4|ip6|dns|dns4|dns6)/[^/\s,]+/(tcp|udp)/[0-9]+(/[^/\s,]+)*"

_SHAPE = Meta(pattern=_ADDRESS + "$", title="multiaddrs such as /ip4/0.0.0.0/tcp/4001")
ListenMultiaddr = Annotated[str, _SHAPE, Check(why_no_listen)]
AnnouncedMultiaddr = Annotated[str, _SHAPE, Check(why_no_announce)]
PeerMultiaddr = Annotated[
    str,
    Meta(
        pattern=_ADDRESS + r"/p2p/[A-Za-z0-9]+$",
        title="multiaddrs that end in the peer's id, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...",
    ),
    Check(why_no_dial),
]
Cidr = Annotated[
    str,
    Meta(pattern=r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$", title="networks like 10.0.0.0/8 or fd00::/8"),
    Check(why_no_network),
]


# Sizes as people write them.


def size_of_text(text: str) -> int:
    """The bytes of a text such as `500000000`, `500 MB` or `20GB`. Raises ValueError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?B)?", text.strip())
    if found is None:
        raise ValueError(text)
    return int(Decimal(found[1]) * _UNITS[found[2] or "B"])


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = "bytes, or a text such as 500 MB or 20 GB"
"""The title of settings that `size_of_text` reads."""


# What a setting says of itself: its bounds, its reason, and a title where the bounds do not tell what is allowed.


def about(why: str) -> Meta:
    return Meta(description=why)


def between(least: float, most: float, why: str, title: str | None = None) -> Meta:
    """Of a number."""
    return Meta(ge=least, le=most, title=title, description=why)


def at_most(letters: int, why: str, title: str | None = None) -> Meta:
    """Of a text, or of the items of a list."""
    return Meta(max_length=letters, title=title, description=why)


def bare(annotation: Any) -> Any:
    """The type alone."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def extra_of(annotation: Any, kind: type[E]) -> E | None:
    """What of this kind is said beside the type."""
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, kind)), None)


def meta_of(annotation: Any) -> Meta:
    return extra_of(annotation, Meta) or Meta()


def type_of_items(annotation: Any) -> Any:
    """The type of the items of a list, else the type itself."""
    kind = bare(annotation)
    return get_args(kind)[0] if get_origin(kind) is list else annotation


def allowed(annotation: Any) -> str:
    """What a value may be, in words."""
    kind, meta = bare(annotation), meta_of(annotation) if get_origin(annotation) is Annotated else Meta()
    if meta.title:
        return meta.title
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is list:
        most = f"at most {meta.max_length} " if meta.max_length is not None else ""
        return most + allowed(get_args(kind)[0])
    if kind is bool:
        return "true or false"
    if kind is str:
        return f"text of at most {meta.max_length} characters"
    noun = "a whole number" if kind is int else "a number"
    least = f"above {meta.gt}" if meta.gt is not None else f"from {meta.ge}"
    return f"{noun} {least} to {meta.le}"
