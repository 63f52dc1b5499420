"""Ids and addresses of peers as people write them.

libp2p would take more: it dials port 99999 as 34463, and looks 999.0.0.1 up as a name. And a ban of what is nobody's id
has no effect.
"""

from __future__ import annotations

import ipaddress

from banyan_crdt.ids import of_base58

_SHAPES = ((b"\0\x24\x08\x01\x12\x20", 38), (b"\0\x25\x08\x02\x12\x21", 39), (b"\x12\x20", 34))
"""How an id begins and how many bytes it has: an Ed25519 key, a secp256k1 key, the SHA-256 of any other key."""
_MOST_LETTERS = 53
"""Of the longest of these, 39 bytes, in base58."""
_IP = {"ip4": ipaddress.IPv4Address, "ip6": ipaddress.IPv6Address}
_NAMES = ("dns", "dns4", "dns6")
EXPECTED = "expected /ip4/HOST/tcp/PORT/p2p/PEER"


def is_peer_id(text: str) -> bool:
    """Whether somebody can have this id."""
    raw = of_base58(text) if len(text) <= _MOST_LETTERS else None
    return raw is not None and any(raw.startswith(begins) and len(raw) == size for begins, size in _SHAPES)


def why_no_address(address: str) -> str | None:
    """What keeps this from being the address of a peer, without a full stop; None: nothing."""
    parts = address.split("/")
    if len(parts) != 7 or (parts[0], parts[3], parts[5]) != ("", "tcp", "p2p"):
        return EXPECTED
    _, kind, host, _, port, _, peer = parts
    if kind in _IP:
        try:
            _IP[kind](host)
        except ValueError:
            return f"{host[:60]!r} is no address of {kind}"
    elif kind not in _NAMES or not host:
        return EXPECTED
    if not is_port(port) or not int(port):
        return f"{port[:60]!r} is no port: it is from 1 to 65535"
    return None if is_peer_id(peer) else f"{peer[:60]!r} is not a peer's id: give it whole"


def is_port(text: str) -> bool:
    """Whether this is a number of TCP's ports, 0 included."""
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 1 << 16
