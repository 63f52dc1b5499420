"""Gossip: HyParView keeps a small active view, a damped Plumtree spreads durable messages along it. Sans-I/O."""

from banyan_replica.gossip.frames import (
    Connect,
    Data,
    Delivery,
    Drop,
    Effect,
    Frame,
    PeerId,
    PeerInfo,
    SendFrame,
    decode_frame,
    encode_frame,
)
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.groups import group_of
from banyan_replica.gossip.settings import GossipSettings, Rng

__all__ = [
    "Connect",
    "Data",
    "Delivery",
    "Drop",
    "Effect",
    "Frame",
    "Gossip",
    "GossipSettings",
    "PeerId",
    "PeerInfo",
    "Rng",
    "SendFrame",
    "decode_frame",
    "encode_frame",
    "group_of",
]
