"""The values that cross the gossip's doors: frames between nodes, effects to carry out, messages to judge.

A frame on the wire is one array of unsigned integers, byte strings and arrays, its first element the code:

    0 data       [0, [[mid, hop, payload], ...], [announced mid, ...], [asked mid, ...], prune]
    1 join       [1, [address, ...]]              where the joiner may be dialled
    2 forwarded  [2, peer, ttl]                   a random walk that looks for neighbours for a joiner
    3 neighbour  [3, urgent, [address, ...]]      may I be your neighbour? urgent: I have none
    4 answer     [4, yes]                         to join and neighbour
    5 disconnect [5]                              you are no longer my neighbour; the connection may stay
    6 shuffle    [6, origin, ttl, [peer, ...]]    a random walk; peer = [id, [address, ...]]
    7 shuffled   [7, origin id, [peer, ...]]      goes back the way the walk came

Invariant: decode_frame(encode_frame(f)) == f, every list is bounded, and anything else is a ValueError with a sentence.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from banyan_replica.gossip.settings import (
    MAX_ADDR,
    MAX_ADDRS,
    MAX_GRAFTS,
    MAX_HOP,
    MAX_IHAVES,
    MAX_ITEMS,
    MAX_PAYLOAD,
    MAX_PEER_ID,
    MAX_SAMPLE,
    MAX_TTL,
    MID_BYTES,
)

PeerId: TypeAlias = str


class PeerInfo(NamedTuple):
    """A peer and where it may be dialled: a claim of whoever told us, never a proof."""

    peer: PeerId
    addrs: tuple[str, ...]


class Item(NamedTuple):
    """A pushed message; `hop` counts the links it came over, for figures only."""

    mid: bytes
    hop: int
    payload: bytes


class Data(NamedTuple):
    items: tuple[Item, ...] = ()
    ihaves: tuple[bytes, ...] = ()
    grafts: tuple[bytes, ...] = ()
    prune: bool = False


class Join(NamedTuple):
    """`addrs`: where the sender says it may be dialled; who accepted a connection cannot tell."""

    addrs: tuple[str, ...] = ()


class ForwardJoin(NamedTuple):
    joiner: PeerInfo
    ttl: int


class Neighbour(NamedTuple):
    urgent: bool
    addrs: tuple[str, ...] = ()


class Answer(NamedTuple):
    yes: bool


class Disconnect(NamedTuple):
    code: int = 5


class Shuffle(NamedTuple):
    origin: PeerInfo
    ttl: int
    peers: tuple[PeerInfo, ...]


class Shuffled(NamedTuple):
    origin: PeerId
    peers: tuple[PeerInfo, ...]


MemberFrame: TypeAlias = Join | ForwardJoin | Neighbour | Answer | Disconnect | Shuffle | Shuffled
Frame: TypeAlias = Data | MemberFrame
Wire: TypeAlias = "int | bytes | list[Wire]"


class Delivery(NamedTuple):
    """A message not known here and not judged yet; answer with accepted, ignored or rejected."""

    mid: bytes
    payload: bytes
    hop: int
    peer: PeerId


class SendFrame(NamedTuple):
    peer: PeerId
    frame: Frame


class Connect(NamedTuple):
    """Dial this peer and report peer_up or dial_failed."""

    peer: PeerId
    addrs: tuple[str, ...]


class Drop(NamedTuple):
    """Close the connection. `fault` False: the gossip merely does not need it; keep it if something else does."""

    peer: PeerId
    reason: str
    fault: bool


Effect: TypeAlias = SendFrame | Connect | Drop


def encode_frame(frame: Frame) -> list[Wire]:
    match frame:
        case Data(items, ihaves, grafts, prune):
            return [0, [[m, h, p] for m, h, p in items], list(ihaves), list(grafts), int(prune)]
        case Join(addrs):
            return [1, [a.encode() for a in addrs]]
        case ForwardJoin(joiner, ttl):
            return [2, _info(joiner), ttl]
        case Neighbour(urgent, addrs):
            return [3, int(urgent), [a.encode() for a in addrs]]
        case Answer(yes):
            return [4, int(yes)]
        case Disconnect():
            return [5]
        case Shuffle(origin, ttl, peers):
            return [6, _info(origin), ttl, [_info(p) for p in peers]]
        case Shuffled(origin_id, peers):
            return [7, origin_id.encode(), [_info(p) for p in peers]]


def decode_frame(wire: object) -> Frame:
    """The frame of an array the wire layer decoded. Raises ValueError with a sentence on anything else."""
    if not isinstance(wire, list | tuple) or not wire:
        raise ValueError(f"a gossip frame is an array that starts with its code, this is {_shape(wire)}")
    code, *args = wire
    if not _is_int(code) or not 0 <= code < len(_ARGS):
        raise ValueError(f"gossip frame code {code!r:.40} is unknown, this version knows 0 to {len(_ARGS) - 1}")
    if len(args) != _ARGS[code]:
        raise ValueError(f"gossip frame {code} has {_ARGS[code]} arguments, this one has {len(args)}")
    match code:
        case 0:
            return Data(
                tuple(_item(x) for x in _list(args[0], MAX_ITEMS, "pushed messages")),
                tuple(_mid(x) for x in _list(args[1], MAX_IHAVES, "announced ids")),
                tuple(_mid(x) for x in _list(args[2], MAX_GRAFTS, "asked ids")),
                bool(_uint(args[3], 1, "prune")),
            )
        case 1:
            return Join(_addrs(args[0]))
        case 2:
            return ForwardJoin(_peer(args[0]), _uint(args[1], MAX_TTL, "ttl"))
        case 3:
            return Neighbour(bool(_uint(args[0], 1, "urgent")), _addrs(args[1]))
        case 4:
            return Answer(bool(_uint(args[0], 1, "yes")))
        case 5:
            return Disconnect()
        case 6:
            return Shuffle(_peer(args[0]), _uint(args[1], MAX_TTL, "ttl"), _peers(args[2]))
        case _:
            return Shuffled(_text(args[0], 1, MAX_PEER_ID, "peer id"), _peers(args[1]))


_ARGS = (4, 1, 2, 2, 1, 0, 3, 2)


def _info(peer: PeerInfo) -> list[Wire]:
    return [peer.peer.encode(), [a.encode() for a in peer.addrs]]


def _shape(x: object) -> str:
    return f"an empty {type(x).__name__}" if x in ([], (), b"") else f"a {type(x).__name__}"


def _is_int(x: object) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _uint(x: object, most: int, what: str) -> int:
    if not isinstance(x, int) or isinstance(x, bool) or not 0 <= x <= most:
        raise ValueError(f"{what} is {x!r:.40}, it must be a whole number from 0 to {most}")
    return x


def _list(x: object, most: int, what: str) -> list[object] | tuple[object, ...]:
    if not isinstance(x, list | tuple):
        raise ValueError(f"{what} must be an array, this is {_shape(x)}")
    if len(x) > most:
        raise ValueError(f"{len(x)} {what} in one frame, at most {most} are allowed")
    return x


def _mid(x: object) -> bytes:
    if not isinstance(x, bytes) or len(x) != MID_BYTES:
        raise ValueError(f"a message id is {MID_BYTES} bytes, this is {len(x) if isinstance(x, bytes) else _shape(x)}")
    return x


def _item(x: object) -> Item:
    if not isinstance(x, list | tuple) or len(x) != 3:
        raise ValueError("a pushed message is an array of id, hop and payload")
    mid, hop, payload = x
    if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD:
        size = len(payload) if isinstance(payload, bytes) else _shape(payload)
        raise ValueError(f"a payload is at most {MAX_PAYLOAD} bytes, this is {size}")
    return Item(_mid(mid), _uint(hop, MAX_HOP, "hop"), payload)


def _text(x: object, least: int, most: int, what: str) -> str:
    if not isinstance(x, bytes) or not least <= len(x) <= most:
        size = len(x) if isinstance(x, bytes) else _shape(x)
        raise ValueError(f"a {what} is {least} to {most} bytes of UTF-8, this is {size}")
    try:
        return x.decode()
    except UnicodeDecodeError as e:
        raise ValueError(f"a {what} must be UTF-8: {e}") from None


def _peer(x: object) -> PeerInfo:
    if not isinstance(x, list | tuple) or len(x) != 2:
        raise ValueError("a peer is an array of its id and its addresses")
    return PeerInfo(_text(x[0], 1, MAX_PEER_ID, "peer id"), _addrs(x[1]))


def _addrs(x: object) -> tuple[str, ...]:
    return tuple(_text(a, 1, MAX_ADDR, "peer address") for a in _list(x, MAX_ADDRS, "addresses"))


def _peers(x: object) -> tuple[PeerInfo, ...]:
    return tuple(_peer(p) for p in _list(x, MAX_SAMPLE, "peers"))
