"""Networks of which a third is hostile: every post of honest people arrives, and no honest machine charges another."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from banyan_crdt.realm import TEST
from banyan_replica.peers.ledger import Charge, Offence
from banyan_replica.peers.limits import Limits
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import VERSION, Hello
from banyan_sim.attack import NOTHING, named, names
from banyan_sim.attack_network import BOUND_S, drawn, ended, main, run
from banyan_sim.attack_world import WRITE_S, AttackWorld
from banyan_sim.forge import Forge
from tests.needs import few

NODES = 24
"""A night has 300 (docs/evidence.md)."""
SEEDS = range(1, 1 + few(6))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_of_which_a_third_is_hostile_serves_its_people(seed: int) -> None:
    found = run(seed, nodes=NODES)
    assert found.failed == ()
    assert (found.honest, found.chosen, found.hostile) == (16, seed % 2 * 8, 8)
    assert found.posts == 20
    assert found.frames > 0
    assert found.surrounded > 0, "no attacker became a neighbour, so that this world proves little"


def test_as_many_seeds_as_there_are_attacks_begin_with_each_of_them() -> None:
    every = set(names()) - {NOTHING}
    assert {drawn(seed)[0] for seed in range(100, 100 + len(every))} == every
    assert all(len(set(drawn(seed))) == 4 for seed in SEEDS)
    assert all(named(name).about for name in every)


def quiet(chosen: int = 0) -> AttackWorld:
    world = AttackWorld(8, 0, 1, [NOTHING], 2, Limits(), chosen)
    world.plan_all(4)
    return world


def test_in_peace_all_machines_say_that_they_are_complete() -> None:
    for chosen in (0, 7):
        found = ended(quiet(chosen))
        assert found.failed == ()
        assert (found.chosen, found.complete) == (chosen, 8)


def test_a_machine_that_is_cut_off_is_found() -> None:
    world = quiet()
    world.at(WRITE_S, world.network.part, {"n5": 1})
    found = ended(world)
    assert found.failed == (f"4 posts are missing somewhere after {BOUND_S:.0f} s",)


def test_a_machine_that_lacks_posts_of_accounts_that_it_chose_is_found() -> None:
    world = quiet(7)
    node = next(n for n in world.honestly if n.chosen is not None and all(n is not w.home for w in world.writers))
    world.at(WRITE_S, world.network.part, {node.name: 1})
    (why,) = ended(world).failed
    posts = sum(len(writer.posts) for writer in world.due(node).values())
    assert why == f"{posts} posts are missing somewhere after {BOUND_S:.0f} s"
    assert 0 < posts <= 4


def test_a_machine_that_charges_an_honest_one_is_found() -> None:
    world = quiet()
    charge = Charge(Offence.UNSERVED, "claimed something")
    world.at(WRITE_S, world.honestly[3].feed, lambda r, now: r.ledger.charge("n4", charge, now))
    (why,) = ended(world).failed
    assert why.startswith("n3 holds 2.")
    assert why.endswith("points against n4")


def test_a_machine_that_lacks_a_post_and_says_that_it_is_complete_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_sim.attack_world.says_complete", lambda node: True)
    world = quiet()
    world.at(WRITE_S, world.network.part, {"n5": 1})
    assert ended(world).failed[1].startswith("n5 at ")


def test_a_post_that_waits_beside_its_senders_hello_is_read() -> None:
    """What a peer's own people wrote goes before its other frames, but not before its hello."""
    world = AttackWorld(1, 0, 1, [], 1, Limits())
    (node,) = world.honestly
    node.boot()
    frame, (account,) = Forge(random.Random(1).randbytes, node.wall_ms).minted(1)
    node.feed(lambda r, now: setattr(node, "_busy", True))  # as if the disk were busy
    hello = Hello(VERSION, TEST.id, bytes(16), 0, bytes(32), 0, b"", 0)
    node.met("x", "9.9", lambda r, now: r.peer_up("x", group="9.9", outbound=False, addrs=(), now=now))
    node.receive("x", encode_message(hello))
    node.receive("x", frame)
    node._worked(node.life)
    world.run(1.0)
    assert node.replica.ingest.control_of(account.id) is not None


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    code = "from banyan_sim.attack_network import run; print(run(4, nodes=9, posts=8))"
    hash_seed = str(1 + int(os.environ.get("PYTHONHASHSEED", "0").replace("random", "0")))  # another than here
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert other == f"{run(4, nodes=9, posts=8)}\n"


def test_a_night_goes_on_where_it_was_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "rows"
    some = ["--nodes", "3", "--posts", "4", "--attack", "not_yet", "--kept", str(kept), "--json"]
    assert main(["--seeds", "2", *some]) == 0
    first = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(first) == 3
    assert main(["--seeds", "3", *some]) == 0
    *rows, found = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [row["seed"] for row in rows] == [3]
    assert (found["seeds"], found["failed"], found["posts"]) == (3, [], 12)
