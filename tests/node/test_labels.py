"""Labels of others: what a node and a reader do by them, and that they do no more than both want."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import settle
from banyan_node.api.methods.moderation import labellers
from banyan_node.hosting import visibility
from banyan_node.operator_errors import CallError
from tests.node.real import make_home, make_node, running
from tests.node.test_moderation import a_node, refused, texts


def folded(
    node: LocalBackend, follower: labellers.LabelFollower | None = None, later_s: float = 0.0
) -> labellers.LabelFollower:
    """Carries out all labels, as the running node does each second. later_s: as if so much time had passed."""
    follower, ctx, more, ends = follower or labellers.LabelFollower(), node.context, True, later_s > 0
    while more:
        follower.scan(ctx.queries(), ctx.replica.wall_ms(time.time() + later_s), ends)
        follower.step(ctx, time.time() + later_s)
        settle(ctx)
        more, ends = follower.more or follower.waits, False
    return follower


def label_of(node: LocalBackend, uri: str, by: str) -> Any:
    return node.call("post.get", uri=uri, by=by)["label"]


def test_a_node_warns_and_hides_by_labels_and_takes_it_back_with_them(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        bad, worse = (node.call("post", text=text, by="an")["uri"] for text in ("mua ngay", "rất xấu"))
        node.call("label.define", by="dung", name="scam", severity="hide", title="Lừa đảo")
        node.call("label.put", by="dung", about=bad, name="spam", reason="quảng cáo")
        node.call("label.put", by="dung", about=worse, name="scam")
        assert texts(node, by="bình") == ["mua ngay", "rất xấu"]
        row = node.call("labeller.set", account=who["dung"], does="hide")
        assert (row["does"], row["standing"]) == ("hide", 0)
        follower = folded(node)
        assert texts(node, by="bình") == ["mua ngay"]
        assert label_of(node, bad, "bình") == "spam: quảng cáo"
        told = node.call("moderation.told", by="an")["tells"]
        assert {one["decision"]["verdict"] for one in told} == {"label", "hide"}
        assert {one["kind"] for one in node.call("notifications", by="an")["notices"]} == {"label"}
        node.call("label.put", by="dung", about=worse, name="scam", undo=True)
        node.call("label.put", by="dung", about=bad, name="spam", reason="hai lần")
        folded(node, follower)
        assert texts(node, by="bình") == ["mua ngay", "rất xấu"]
        assert label_of(node, bad, "bình") == "spam: hai lần"
        node.call("labeller.set", account=who["dung"], undo=True)
        folded(node, follower)
        assert label_of(node, bad, "bình") is None
        assert node.call("labeller.list")["labellers"] == []
        assert all(one["undone"] for one in node.call("decision.list")["decisions"])


def test_of_two_labels_that_ask_for_the_same_the_second_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="mua ngay", by="an")["uri"]
        for issuer, name in (("dung", "spam"), ("dung", "scam"), ("chi", "false")):
            node.call("label.put", by=issuer, about=uri, name=name)
            node.call("labeller.set", account=who[issuer])
        follower, shown = folded(node), set[str]()
        for _ in range(3):
            shown.add(name := label_of(node, uri, "bình"))
            issuer = "chi" if name == "false" else "dung"
            assert node.call("label.names", account=who[issuer], by="bình")["names"] == []
            node.call("label.put", by=issuer, about=uri, name=name, undo=True)
            folded(node, follower)
        assert shown == {"spam", "scam", "false"}
        assert label_of(node, uri, "bình") is None


def test_a_node_does_no_more_than_the_issuer_asks_for_and_it_wants(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="bài", by="an")["uri"]
        node.call("label.put", by="dung", about=uri, name="no-definition")
        node.call("label.put", by="dung", about=who["an"], name="account-warning")
        node.call("labeller.set", account=who["dung"], does="withhold")
        follower = folded(node)
        assert label_of(node, uri, "bình") == "no-definition"
        assert node.call("account.standing", account="an")["limited"] is None
        node.call("label.define", by="dung", name="account-warning", severity="hide")
        node.call("label.put", by="dung", about=who["an"], name="account-warning", reason="now it hides")
        folded(node, follower)
        assert node.call("account.standing", account="an")["limited"] is not None
        node.call("labeller.set", account=who["dung"], does="note")
        folded(node, follower)
        assert label_of(node, uri, "bình") is None


def test_allow_wins_over_all_other_labellers_and_ends_with_its_label(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="bài", by="an")["uri"]
        node.call("label.put", by="dung", about=uri, name="spam")
        node.call("labeller.set", account=who["dung"])
        node.call("labeller.set", account=who["bình"], does="allow")
        follower = folded(node)
        assert label_of(node, uri, "chi") == "spam"
        node.call("label.put", by="bình", about=who["an"], name="allow")
        folded(node, follower)
        folded(node, follower)
        assert label_of(node, uri, "chi") is None
        node.call("label.put", by="bình", about=who["an"], name="allow", undo=True)
        folded(node, follower)
        folded(node, follower)
        assert label_of(node, uri, "chi") == "spam"


def test_a_list_that_empties_waits_for_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labellers, "SMALL", 5)
    with a_node(tmp_path) as (node, who):
        uris = [node.call("post", text=f"bài {n}", by="an")["uri"] for n in range(10)]
        for uri in uris:
            node.call("label.put", by="dung", about=uri, name="spam")
        node.call("labeller.set", account=who["dung"])
        follower = folded(node)
        assert node.call("labeller.list")["labellers"][0]["standing"] == 10
        for uri in uris[:2]:
            node.call("label.put", by="dung", about=uri, name="spam", undo=True)
        folded(node, follower)
        assert node.call("labeller.list")["labellers"][0]["standing"] == 8
        for uri in uris[2:]:
            node.call("label.put", by="dung", about=uri, name="spam", undo=True)
        folded(node, follower)
        (row,) = node.call("labeller.list")["labellers"]
        assert (row["standing"], row["waits"]) == (8, 8)
        assert label_of(node, uris[-1], "bình") == "spam"
        node.call("labeller.accept", account=who["dung"])
        folded(node, follower)
        (row,) = node.call("labeller.list")["labellers"]
        assert (row["standing"], row["waits"]) == (0, 0)
        refused(node, "No changes of .* wait here", "labeller.accept", account=who["dung"])


def test_a_list_of_what_is_allowed_that_empties_allows_until_the_operator_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labellers, "SMALL", 5)
    with a_node(tmp_path) as (node, who):
        uris = [node.call("post", text=f"bài {n}", by="an")["uri"] for n in range(6)]
        for uri in uris:
            node.call("label.put", by="dung", about=uri, name="spam")
            node.call("label.put", by="bình", about=uri, name="allow")
        node.call("labeller.set", account=who["bình"], does="allow")
        node.call("labeller.set", account=who["dung"])
        follower = folded(node)
        for uri in uris:
            node.call("label.put", by="bình", about=uri, name="allow", undo=True)
        for _ in range(2):
            folded(node, follower, 60.0)
            waits = {row["does"]: row["waits"] for row in node.call("labeller.list")["labellers"]}
            assert waits == {"allow": 6, "warn": 0}
            assert [label_of(node, uri, "chi") for uri in uris] == [None] * 6
        node.call("labeller.accept", account=who["bình"])
        folded(node, follower)
        assert [label_of(node, uri, "chi") for uri in uris] == ["spam"] * 6


def test_a_list_that_a_reader_chose_hides_nothing_once_it_is_empty(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        node.call("post", text="bài", by="an")
        node.call("label.define", by="dung", name="block", severity="hide")
        node.call("label.put", by="dung", about=who["an"], name="block")
        node.call("labeller.choose", by="bình", account=who["dung"], wish="hide")
        assert texts(node, by="bình") == []
        node.call("label.put", by="dung", about=who["an"], name="block", undo=True)
        assert texts(node, by="bình") == ["bài"]


def test_a_storm_of_labels_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labellers, "MOST", 5)
    with a_node(tmp_path) as (node, who):
        uris = [node.call("post", text=f"bài {n}", by="an")["uri"] for n in range(6)]
        node.call("labeller.set", account=who["dung"])
        for uri in uris:
            node.call("label.put", by="dung", about=uri, name="spam")
        folded(node)
        (row,) = node.call("labeller.list")["labellers"]
        assert (row["standing"], row["waits"]) == (0, 6)
        says = "gives more than 5 labels, too many to follow: nothing changes here until it takes some back"
        refused(node, says, "labeller.accept", account=who["dung"])
        node.call("label.put", by="dung", about=uris[0], name="spam", undo=True)
        folded(node)
        (row,) = node.call("labeller.list")["labellers"]
        assert (row["standing"], row["waits"]) == (5, 0)


def test_a_label_ends_by_its_term(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="bài", by="an")["uri"]
        node.call("label.put", by="dung", about=uri, name="spam", days=1)
        node.call("labeller.set", account=who["dung"])
        follower = folded(node)
        assert label_of(node, uri, "bình") == "spam"
        folded(node, follower, 86_460.0)
        assert label_of(node, uri, "bình") is None


def test_a_reader_chooses_above_the_node(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="bài", by="an")["uri"]
        node.call("label.define", by="dung", name="scam", severity="hide", title="Lừa đảo")
        node.call("label.put", by="dung", about=uri, name="scam")
        assert texts(node, by="bình") == ["bài"]
        node.call("labeller.choose", by="bình", account=who["dung"], wish="warn")
        assert label_of(node, uri, "bình") == "Lừa đảo"
        assert label_of(node, uri, "chi") is None
        node.call("labeller.choose", by="bình", account=who["dung"], wish="hide")
        assert texts(node, by="bình") == []
        assert texts(node, by="chi") == ["bài"]
        assert texts(node, by="an") == ["bài"]
        node.call("labeller.choose", by="bình", account=who["dung"])
        assert texts(node, by="bình") == ["bài"]
        node.call("labeller.set", account=who["dung"])
        folded(node)
        assert label_of(node, uri, "bình") == "Lừa đảo"
        node.call("labeller.choose", by="bình", account=who["dung"], wish="refuse")
        assert label_of(node, uri, "bình") is None
        assert label_of(node, uri, "chi") == "Lừa đảo"
        assert [one["wish"] for one in node.call("labeller.chosen", by="bình")["labellers"]] == ["refuse"]


def test_a_chosen_list_mutes_accounts_and_another_allows_them(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        node.call("post", text="bài", by="an")
        node.call("label.define", by="dung", name="block", severity="hide")
        node.call("label.put", by="dung", about=who["an"], name="block")
        node.call("labeller.choose", by="bình", account=who["dung"], wish="hide")
        assert texts(node, by="bình") == []
        node.call("label.put", by="chi", about=who["an"], name="allow")
        node.call("labeller.choose", by="bình", account=who["chi"], wish="warn")
        assert texts(node, by="bình") == ["bài"]


def test_a_chosen_list_of_a_million_is_read_so_far_and_hides_posts_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "MOST_READ", 1)
    with a_node(tmp_path) as (node, who):
        node.call("label.define", by="dung", name="block", severity="hide")
        for name in ("an", "chi"):
            node.call("post", text=name, by=name)
            node.call("label.put", by="dung", about=who[name], name="block")
        node.call("labeller.choose", by="bình", account=who["dung"], wish="hide")
        ctx, reader = node.context, account_from_text(who["bình"])
        held = ctx.sealed_reader.read(ctx.queries(), reader)
        assert len(visibility.read_viewer(ctx.queries(), reader, held).mutes) == 1
        assert texts(node, by="bình") == []


def test_who_is_labelled_appeals_and_nobody_else(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="bài", by="an")["uri"]
        label = node.call("label.put", by="dung", about=uri, name="spam")["entry"]
        refused(node, "such as a label: label a post or an account", "label.put", by="chi", about=label, name="wrong")
        refused(node, "did not label that 'scam'", "label.appeal", by="an", issuer=who["dung"], about=uri, name="scam")
        refused(node, "Only who is labelled", "label.appeal", by="chi", issuer=who["dung"], about=uri, name="spam")
        node.call("label.appeal", by="an", issuer=who["dung"], about=uri, name="spam", text="đây là tin")
        (row,) = node.call("label.appeals", by="dung")["appeals"]
        assert (row["who"]["account"], row["post"], row["text"]) == (who["an"], uri, "đây là tin")
        assert [one["kind"] for one in node.call("notifications", by="dung")["notices"]] == ["label_appeal"]
        node.call("label.put", by="dung", about=uri, name="spam", undo=True)
        assert node.call("label.appeals", by="dung")["appeals"] == []
        refused(node, "has the form of", "label.put", by="dung", about=uri, name="Not A Name")
        refused(node, "cannot allow itself", "label.put", by="an", about=uri, name="allow")
        refused(node, "nothing to undo", "label.put", by="dung", about=uri, name="spam", undo=True)
        rows = node.call("label.list", about=uri)["labels"]
        assert rows == []


async def test_labels_travel_and_a_running_node_follows_them(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with (
            running(make_node(make_home(tmp_path / "a"))) as a,
            running(
                make_node(
                    make_home(tmp_path / "b"), [a.edge.addresses[0]], node__role="hobbyist", interest__mode="follows"
                )
            ) as b,
        ):
            lotus = (await a.backend.call("account.create", {"name": "lotus"}))["account"]
            issuer = (await a.backend.call("account.create", {"name": "an", "hosted": True}))["account"]
            uri = (await a.backend.call("post", {"text": "mua ngay"}))["uri"]
            await b.backend.call("account.create", {"name": "bách"})
            await b.backend.call("follow", {"account": lotus})
            with pytest.raises(CallError, match=r"does not hold did:banyan:.*: follow it, or ask the operator to"):
                await b.backend.call("labeller.choose", {"account": issuer, "wish": "warn"})
            await b.backend.call("labeller.set", {"account": issuer})
            await b.backend.call("labeller.choose", {"account": issuer, "wish": "warn"})
            await a.backend.call("label.put", {"as": "an", "about": uri, "name": "spam"})
            label = None
            while label != "spam":
                await trio.sleep(0.1)
                with suppress(CallError):  # the post is on its way
                    label = (await b.backend.call("post.get", {"uri": uri}))["label"]
            await a.backend.call("label.put", {"as": "an", "about": uri, "name": "spam", "undo": True})
            while (await b.backend.call("post.get", {"uri": uri}))["label"] is not None:
                await trio.sleep(0.1)
