"""The simulated node is the shipped node: the simulator uses the settings of a node without settings."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from banyan_node.context import close_context, gossip_of, limits_of, open_context
from banyan_node.edge.config import MAX_FRAME as EDGE_MAX_FRAME
from banyan_node.home.config import Config
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.home.settings import load, set_in_file
from banyan_node.host import CommandHost
from banyan_node.operator_errors import ConfigError
from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.wire.messages import MAX_FRAME
from banyan_sim.gossip_world import GossipWorld
from banyan_sim.world import World


@pytest.mark.parametrize("role", ["platform", "hobbyist", "researcher"])
def test_a_node_without_settings_has_the_bounds_of_the_simulated_one(tmp_path: Path, role: str) -> None:
    home = Home(tmp_path)
    home.prepare()
    Keystore.create(home.keys)
    settings = load(home, {"node.role": role}, env={})
    context = open_context(home, settings, Keystore.open(home.keys).keys, "peer", CommandHost, random.Random(1))
    try:
        shipped = context.replica
        simulated = _simulated()
        assert shipped.gossip.settings == simulated.gossip.settings
        assert shipped.limits == simulated.limits
        assert shipped.ledger.scale == simulated.ledger.scale
    finally:
        close_context(context)


def _simulated() -> Replica:
    world = World(1, 1, limits=Limits())
    world.boot(0.0)
    world.run(0.1)
    assert GossipWorld(1).settings == world.nodes["n0"].replica.gossip.settings
    return world.nodes["n0"].replica


def test_a_file_that_names_the_settings_of_before_still_decides(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.write_text(
        "[limits]\npeers = 128\ndials = 8\nnotes_per_peer = 10000\nsend_queue_bytes = 4000000\n"
        "[discovery]\nactive_view = 5\npassive_view = 60\nshuffle_seconds = 30.0\n"
        "reconcile_seconds = 2.5\nredial_seconds = 9.0\n"
    )
    settings = load(home, env={})
    assert gossip_of(settings) == GossipSettings(
        active=5, passive=60, shuffle_s=30.0, retry_max_s=9.0, links=128 + 512, dials=8, notes_per_peer=10_000
    )
    assert limits_of(settings) == Limits(root_s=2.5, outbox=2_000_000)


def test_a_view_too_small_for_newcomers_is_refused_where_it_is_set(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for least in (GossipSettings().least_active, 64):
        GossipSettings(active=load(home, {"discovery.active_view": least}, env={}).config.discovery.active_view)
    with pytest.raises(Exception, match=r"discovery.active_view to 4, which is not allowed; allowed: a whole number"):
        load(home, {"discovery.active_view": 4}, env={})
    for name, value, default in (("active_view", 4, 6), ("passive_view", 0, 36)):
        home.config.write_text(f"[discovery]\n{name} = {value}\n")
        with pytest.raises(
            ConfigError, match=rf"Run `banyan config set discovery.{name} {default}` for the default\.$"
        ):
            load(home, env={})
        set_in_file(home.config, f"discovery.{name}", default)  # what the command does
        load(home, env={})


def test_a_frame_has_one_largest_size() -> None:
    assert Config().limits.frame_bytes == MAX_FRAME == EDGE_MAX_FRAME
