"""The inputs and outputs of the gossip: frames between nodes, effects, and messages to judge.

A frame on the wire is one array of unsigned integers, byte strings and arrays; its first element is the code. Codec and
grammar (docs/protocol.md) are made from the table `SHAPES`, as for messages (wire/message_table.py).

Invariant: decode_frame(encode_frame(f)) == f, every list is bounded, and anything else raises Malformed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.codec import encode
from banyan_crdt.errors import Malformed
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
from banyan_replica.wire.fields import (
    FieldKind,
    MessageShape,
    ShapeField,
    at_most,
    bounded,
    exactly,
    read_rows,
    reader,
    several,
    spelled,
    up_to,
    writers,
)

PeerId: TypeAlias = str


class PeerInfo(NamedTuple):
    """A peer and its addresses, as another peer claimed them; not verified."""

    peer: PeerId
    addrs: tuple[str, ...]


class Push(NamedTuple):
    """A pushed message. hop: links it crossed, for statistics only."""

    mid: bytes
    hop: int
    payload: bytes


class PushFrame(NamedTuple):
    items: tuple[Push, ...] = ()
    ihaves: tuple[bytes, ...] = ()
    grafts: tuple[bytes, ...] = ()
    prune: bool = False


def is_own(frame: PushFrame) -> bool:
    """Whether the frame brings what the sender's people wrote, by its first message. `opens_as_own` tells it of
    bytes."""
    return bool(frame.items) and frame.items[0].hop == 0


class Join(NamedTuple):
    """addrs: the sender's own addresses, which the accepting side of a connection cannot know."""

    addrs: tuple[str, ...] = ()


class ForwardJoin(NamedTuple):
    joiner: PeerInfo
    ttl: int


class Neighbour(NamedTuple):
    urgent: bool
    addrs: tuple[str, ...] = ()


class NeighbourAnswer(NamedTuple):
    yes: bool


class NoNeighbour(NamedTuple):
    """The receiver is no longer the sender's neighbour; the connection may stay."""


class Shuffle(NamedTuple):
    origin: PeerInfo
    ttl: int
    peers: tuple[PeerInfo, ...]


class Shuffled(NamedTuple):
    origin: PeerId
    peers: tuple[PeerInfo, ...]


MemberFrame: TypeAlias = Join | ForwardJoin | Neighbour | NeighbourAnswer | NoNeighbour | Shuffle | Shuffled
AnyFrame: TypeAlias = PushFrame | MemberFrame


class DeliverMessage(NamedTuple):
    """A message that is new here. Judge it, then call accepted, ignored or rejected."""

    mid: bytes
    payload: bytes
    hop: int
    peer: PeerId


class SendFrame(NamedTuple):
    peer: PeerId
    frame: AnyFrame


class DialPeer(NamedTuple):
    """Dial this peer; report with peer_up or dial_failed."""

    peer: PeerId
    addrs: tuple[str, ...]


class DropPeer(NamedTuple):
    """Close the connection. fault: the peer is to blame; if False, keep the connection if something else uses it."""

    peer: PeerId
    reason: str
    fault: bool


GossipEffect: TypeAlias = SendFrame | DialPeer | DropPeer


# -- encoding


def _text(most: int, what: str) -> FieldKind:
    """UTF-8 on the wire, str here."""
    raw = at_most(most, least=1).read

    def read(v: Any) -> str:
        try:
            return str(raw(v), "utf-8")
        except UnicodeDecodeError as e:
            raise Malformed(f"a {what} must be UTF-8: {e}") from None

    return FieldKind(what, read, str.encode)


def _items(v: Any) -> tuple[Push, ...]:
    rows = read_rows(v, 3)
    bounded(rows, 0, MAX_ITEMS)
    return tuple([Push(MID.read(mid), HOP.read(hop), PAYLOAD.read(payload)) for mid, hop, payload in rows])


def _peer(v: Any) -> PeerInfo:
    (row,) = read_rows([v], 2)
    return PeerInfo(PEER_ID.read(row[0]), ADDRS.read(row[1]))


def _peer_out(p: PeerInfo) -> list[Any]:
    return [p.peer.encode(), [a.encode() for a in p.addrs]]


MID, HOP, PAYLOAD = exactly(MID_BYTES), up_to(MAX_HOP), at_most(MAX_PAYLOAD)
TTL, YES = up_to(MAX_TTL), FieldKind("0 / 1", lambda v: bool(up_to(1).read(v)), int)
PEER_ID, ADDRESS = _text(MAX_PEER_ID, "peer-id"), _text(MAX_ADDR, "address")
ADDRS = several(ADDRESS, MAX_ADDRS)
PEER = FieldKind("peer", _peer, _peer_out)
PEERS = several(PEER, MAX_SAMPLE)
ITEMS = FieldKind(f"[0*{MAX_ITEMS} push]", _items, lambda items: [list(i) for i in items])

GRAMMAR = {
    "push": f"[mid: {MID.grammar}, hop: {HOP.grammar}, payload: {PAYLOAD.grammar}]",
    "peer": f"[id: {PEER_ID.grammar}, addresses: {ADDRS.grammar}]",
    "peer-id": f"{at_most(MAX_PEER_ID, 1).grammar}   ; UTF-8",
    "address": f"{at_most(MAX_ADDR, 1).grammar}   ; UTF-8",
}
"""Grammar rules that the fields refer to."""

SHAPES = (
    MessageShape(
        0, "pushes", PushFrame,
        (
            ShapeField("items", ITEMS), ShapeField("ihaves", several(MID, MAX_IHAVES)),
            ShapeField("grafts", several(MID, MAX_GRAFTS)), ShapeField("prune", YES),
        ),
    ),
    MessageShape(1, "join", Join, (ShapeField("addresses", ADDRS),)),
    MessageShape(2, "forwarded", ForwardJoin, (ShapeField("joiner", PEER), ShapeField("ttl", TTL))),
    MessageShape(3, "neighbour", Neighbour, (ShapeField("urgent", YES), ShapeField("addresses", ADDRS))),
    MessageShape(4, "answer", NeighbourAnswer, (ShapeField("yes", YES),)),
    MessageShape(5, "disconnect", NoNeighbour, ()),
    MessageShape(
        6, "shuffle", Shuffle, (ShapeField("origin", PEER), ShapeField("ttl", TTL), ShapeField("peers", PEERS))
    ),
    MessageShape(7, "shuffled", Shuffled, (ShapeField("origin", PEER_ID), ShapeField("peers", PEERS))),
)  # fmt: skip
_READ: dict[int, Callable[[list[Any]], AnyFrame]] = {shape.code: reader(shape) for shape in SHAPES}
_WRITE = writers(SHAPES)
_PUSHES, _NONE = encode(0), encode([])
"""How the code of pushes is written, and a list of none."""


def is_of_the_tree(raw: bytes) -> bool:
    """Whether the encoded gossip frame, if it is valid, says something of messages, and not of who is a neighbour."""
    return raw[1:2] == _PUSHES


def brings_messages(raw: bytes) -> bool:
    """Whether the encoded gossip frame, if it is valid, brings messages: they come first, and others have none."""
    return is_of_the_tree(raw) and raw[2:3] != _NONE


def encode_frame(frame: AnyFrame) -> list[Any]:
    return spelled(frame, _WRITE)


def decode_frame(wire: object) -> AnyFrame:
    """The frame of an array that the wire layer decoded. Raises Malformed."""
    if type(wire) is not list or not wire or type(wire[0]) is not int:
        raise Malformed("a gossip frame is an array that starts with its code")
    read = _READ.get(wire[0])
    if read is None:
        raise Malformed(f"gossip frame code {wire[0]} is unknown, this version knows 0 to {len(SHAPES) - 1}")
    return read(wire)
