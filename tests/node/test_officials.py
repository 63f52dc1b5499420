"""Official channels: whose word counts, and who is told of an urgent post."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan_node.api.methods.people.profiles import set_fields
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_reading.notifications import HOPS
from banyan_schema.social.identity import Official, attest
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_groups import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="Lotus")
        for name in ("y tế", "lan", "minh"):
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def official(app: App, account: str) -> list[tuple[str, str]]:
    return [(one["platform"]["name"], one["title"]) for one in app("profile.get", account=account)["official"]]


def test_an_urgent_post_of_a_verified_channel_is_told_to_those_who_follow_it(app: App) -> None:
    app("follow", account="y tế", by="lan")
    app("post", text="bão", urgency="urgent", by="y tế")
    app("post", text="thường", by="y tế")
    assert app.told("lan") == [], "nobody verified it yet"
    app.refused("is the platform of no domain", "official.verify", account="y tế", title="Sở Y tế")
    app("handle.domain", domain="vn.example")
    app("official.verify", account="y tế", title=" Sở Y tế ")
    assert official(app, "y tế") == [("Lotus", "Sở Y tế")]
    (told,) = app("notifications", by="lan")["notices"]
    assert (told["kind"], told["post"]["text"], told["accounts"][0]["name"]) == ("urgent", "bão", "y tế")
    assert app.told("minh") == [], "it does not follow"
    entry = app("official.verify", account="y tế", title="Sở Y tế")["entry"]
    assert app("official.verify", account="y tế", title="Sở Y tế")["entry"] == entry, "nothing is written twice"
    app("official.verify", account="y tế", title="Sở Y tế Huế")
    assert official(app, "y tế") == [("Lotus", "Sở Y tế Huế")]
    app("mute", account="y tế", by="lan")
    assert app.told("lan") == []
    app("mute", account="y tế", undo=True, by="lan")
    app("official.verify", account="y tế", undo=True)
    assert (app.told("lan"), official(app, "y tế")) == ([], [])
    app.refused("nothing to undo by official.verify", "official.verify", account="y tế", undo=True)


def test_who_follows_many_is_told_what_those_few_say_that_told_all_something(app: App) -> None:
    app("handle.domain", domain="vn.example")
    names = [f"người {n}" for n in range(6 * HOPS)]
    for name in names:
        app("account.create", name=name, hosted=True)
    for name in names[1:]:
        app("follow", account=name, by="lan")
    for name in names[:3]:
        app("official.verify", account=name, title="Sở Y tế")
        app("post", text=name, urgency="urgent", by=name)
    assert [row["post"]["text"] for row in app("notifications", by="lan")["notices"]] == [names[2], names[1]]
    newer = app("notifications", by="lan", limit=1)
    (older,) = app("notifications", by="lan", before=newer["before"])["notices"]
    assert older["post"]["text"] == names[1]


def test_the_word_of_an_account_that_this_node_does_not_trust_counts_nothing(app: App) -> None:
    app("handle.domain", domain="liar.example", by="minh")
    app("official.verify", account="lan", title="Chính phủ", by="minh")
    assert official(app, "lan") == []
    app("follow", account="minh")
    assert official(app, "lan") == [("minh", "Chính phủ")], "the node's own account follows that platform"
    app("handle.domain", undo=True, by="minh")
    assert official(app, "lan") == [], "it is no platform any more"
    ctx = app.node.context
    minh = hosted.account_of(ctx, "minh")
    for domain in ("nope", "VN.example", "vn..example", f"{'a.' * 100}example"):
        set_fields(ctx, minh, {"domain": domain}, time.time())
        ctx.store.commit()
        assert official(app, "lan") == [], domain
        app.refused("is the platform of no domain", "official.verify", account="lan", title="Báo", by="minh")
    lotus = hosted.account_of(ctx, "Lotus")
    append(ctx, lotus, [attest(hosted.salt_of(ctx, lotus), Official(lotus, "tự phong"))], time.time())
    ctx.store.commit()
    app("handle.domain", domain="vn.example")
    assert official(app, "Lotus") == [], "nobody verifies itself"
    for given, says in (({"account": "Lotus", "title": "x"}, "cannot verify itself"), ({"account": "lan"}, "is empty")):
        app.refused(says, "official.verify", **given)


async def test_an_urgent_post_is_told_at_another_node_that_follows_the_platform(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        lotus = (await a.backend.call("account.create", {"name": "Lotus"}))["account"]
        channel = (await a.backend.call("account.create", {"name": "y tế", "hosted": True}))["account"]
        await b.backend.call("account.create", {"name": "lan"})
        await a.backend.call("handle.domain", {"domain": "vn.example"})
        await a.backend.call("official.verify", {"account": channel, "title": "Sở Y tế"})
        await b.backend.call("follow", {"account": channel})
        await a.backend.call("post", {"text": "bão", "urgency": "urgent", "as": channel})
        await converged([a, b])
        assert (await b.backend.call("notifications", {}))["notices"] == []
        await b.backend.call("follow", {"account": lotus})
        (told,) = (await b.backend.call("notifications", {}))["notices"]
        assert (told["kind"], told["post"]["text"]) == ("urgent", "bão")
