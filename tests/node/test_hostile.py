"""A few seconds of tests/node/hostile.py against a real node. Two minutes are run by hand, with any seed."""

from __future__ import annotations

from pathlib import Path

from banyan_node.home.folder import Home
from tests.cli.shell import banyan, node_up
from tests.node.hostile import Hostile

SECONDS = 4.0


def test_a_node_answers_rightly_whatever_is_thrown_at_its_control_port(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert banyan("--home", home, "init", "--name", "an", "--realm", "test").code == 0
    with node_up(home) as node:
        hostile = Hostile(Home(home), 7)
        hostile.run(SECONDS)
        assert sum(hostile.sent.values()) > 50
        assert hostile.wrong == []
        assert node.call("status")["ready"]
