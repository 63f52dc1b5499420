"""Posts that an account pins to its profile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import converged, load_settings, make_home, make_node, running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        backend.call("account.create", name="bình", hosted=True)
        yield backend


def pinned(node: LocalBackend, **params: Any) -> list[str]:
    profile = node.call("profile.get", **params)
    msgspec.convert(profile, EVERY["profile.get"].answers)
    return [row["text"] for row in profile["pinned"]]


def test_what_is_pinned_is_on_the_profile_until_it_is_taken_off_or_deleted(node: LocalBackend) -> None:
    uris = [node.call("post", text=f"{n}")["uri"] for n in range(4)]
    for uri in uris[:3]:
        time.sleep(0.002)  # the order is that of milliseconds
        node.call("pin", uri=uri)
    written = node.call("digest")["digest"]
    node.call("pin", uri=uris[0])
    assert node.call("digest")["digest"] == written, "it is pinned already"
    assert pinned(node) == ["2", "1", "0"]
    node.call("pin", uri=uris[1], undo=True)
    node.call("edit", uri=uris[0], text="không")
    node.call("delete", uri=uris[2])
    assert pinned(node, account="an") == ["không"]
    node.call("pin", uri=uris[2], undo=True)
    assert pinned(node, account="bình") == []


def test_only_ones_own_posts_are_pinned_and_no_more_than_are_shown(
    node: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.api.methods.posts.post_writes.MOST_PINS", 2)
    theirs = node.call("post", text="x", by="bình")["uri"]
    with pytest.raises(CallError, match="Only posts of one's own"):
        node.call("pin", uri=theirs)
    for n in range(2):
        node.call("pin", uri=node.call("post", text=f"{n}")["uri"])
    more = node.call("post", text="2")["uri"]
    with pytest.raises(CallError, match="2 posts are pinned, and no more are shown: take one off first"):
        node.call("pin", uri=more)
    with pytest.raises(CallError, match="nothing to undo"):
        node.call("pin", uri=more, undo=True)


async def test_another_node_shows_the_same(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "one"))) as one:
        who = (await one.backend.call("account.create", {"name": "an", "hosted": False}))["account"]
        uri = (await one.backend.call("post", {"text": "một"}))["uri"]
        await one.backend.call("pin", {"uri": uri})
        async with running(make_node(make_home(tmp_path / "two"), [one.edge.addresses[0]])) as two:
            await converged([one, two])
            profile = await two.backend.call("profile.get", {"account": who})
            assert [row["uri"] for row in profile["pinned"]] == [uri]
