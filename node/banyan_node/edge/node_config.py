"""The settings of the edge, made of those of the node."""

from __future__ import annotations

from banyan_node.admission.pauses import PauseSettings
from banyan_node.context import named_of, slots_of
from banyan_node.edge.config import EdgeConfig
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings


def edge_of(settings: Settings, keys: Keys) -> EdgeConfig:
    """The libp2p edge of a node with these settings."""
    config = settings.config
    return EdgeConfig(
        identity_seed=keys.libp2p_seed(),
        listen=tuple(config.node.listen),
        psk=bytes.fromhex(config.network.key) or None,
        allow_cidrs=tuple(config.network.allow),
        deny_cidrs=tuple(config.network.deny),
        heads_bridge=config.network.heads_bridge,
        slots=slots_of(settings),
        named=named_of(settings),
        pauses=PauseSettings(most_s=config.discovery.redial_seconds),
        max_streams_per_peer=config.limits.streams_per_peer,
        idle_timeout=config.limits.idle_seconds,
        max_frame=config.limits.frame_bytes,
        frame_buffer=16 << 20,
        mdns=config.node.mdns,
    )
