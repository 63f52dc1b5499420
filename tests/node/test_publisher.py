"""When the replica's thread publishes its state for readers."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from banyan_node.local import open_local
from banyan_node.workers.publisher import LAG_S, AnswerScope, Publisher
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import VERSION, Hello
from tests.node.real import load_settings, make_home


def test_the_age_of_what_is_published_is_bounded(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as local:
        c, now = local.context, 100.0
        publisher = Publisher()
        publisher.after(c, now, AnswerScope.NOBODY)
        first = publisher.seen
        assert publisher.after(c, now + 0.01, AnswerScope.NOBODY) == pytest.approx(now + LAG_S)
        assert publisher.seen is first
        assert publisher.after(c, now + LAG_S, AnswerScope.NOBODY) == inf, "it was published now"
        assert publisher.seen is not first


def test_it_is_published_at_once_for_an_answer_and_for_a_peer_that_comes_or_goes(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as local:
        c, now = local.context, 100.0
        publisher = Publisher()
        publisher.after(c, now, AnswerScope.NOBODY)
        assert publisher.after(c, now, AnswerScope.PUBLISHERS) == pytest.approx(now + LAG_S), "only root and count"
        assert publisher.after(c, now, AnswerScope.OTHERS) == inf
        c.replica.peer_up("q", group="g", outbound=False, addrs=(), now=now)
        hello = Hello(VERSION, c.realm.id, bytes(16), 0, bytes(32), 0, b"", 0)
        c.replica.receive("q", encode_message(hello), now)
        assert publisher.after(c, now, AnswerScope.NOBODY) == inf
        assert [link.greeted for link in publisher.seen.links] == [True]
        assert publisher.after(c, now, AnswerScope.NOBODY) == pytest.approx(now + LAG_S), "nobody came since"
        c.replica.peer_down("q", now)
        assert publisher.after(c, now, AnswerScope.NOBODY) == inf
        assert publisher.seen.links == ()
