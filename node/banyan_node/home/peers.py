"""Ids and addresses of peers as people write them.

libp2p would take more: it dials port 99999 as 34463, and looks 999.0.0.1 up as a name. And a ban of what is nobody's id
has no effect.
"""

from __future__ import annotations

import ipaddress
import re

from banyan_crdt.ids import of_base58

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
