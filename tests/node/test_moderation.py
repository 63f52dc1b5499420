"""Reports and decisions: what holds at a node because its moderators decided it, and what never does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.moderation import decisions, reports
from banyan_node.operator_errors import CallError
from tests.node.real import converged, load_settings, make_home, make_node, running


@contextmanager
def a_node(path: Path, **flags: str) -> Iterator[tuple[LocalBackend, dict[str, str]]]:
    """A node with an author, a reader, a moderator and somebody else."""
    home = make_home(path)
    with open_local(home, load_settings(home, **flags)) as node:
        names = ("lotus", "an", "bình", "chi", "dung")
        dids = {
            name: node.call("account.create", name=name, **({"hosted": True} if n else {}))["account"]
            for n, name in enumerate(names)
        }
        node.call("moderator.add", account="chi")
        yield node, dids


def texts(node: LocalBackend, **asked: Any) -> list[str]:
    """In the order of the alphabet: posts of one millisecond stand in any."""
    return sorted(post["text"] for post in node.call("feed", all=True, limit=50, **asked)["posts"])


def refused(node: LocalBackend, says: str, method: str, **params: Any) -> None:
    with pytest.raises(CallError, match=says):
        node.call(method, **params)


def test_reports_queue_fold_and_are_bounded(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="mua ngay!", by="an")["uri"]
        first = node.call("report.add", account=who["an"], posts=[uri], comment="rác", category="spam", by="bình")
        assert (first["state"], first["outcome"], first["posts"]) == ("open", [], [uri])
        assert node.call("report.add", account=who["an"], posts=[uri], by="bình")["id"] == first["id"]
        assert node.call("report.add", account=who["an"], posts=[uri], comment="cũng", by="dung")["id"] == first["id"]
        other = node.call("report.add", account=who["an"], category="legal", by="bình")
        assert other["id"] == first["id"] + 1
        node.call("edit", uri=uri, text="không có gì")
        found = node.call("report.list")
        assert ([row["id"] for row in found["reports"]], found["open"]) == ([first["id"], other["id"]], 2)
        row = found["reports"][0]
        (said,) = row["posts"]
        assert (said["text"], said["now"], said["post"]["text"]) == ("mua ngay!", "edited", "không có gì")
        assert [one["comment"] for one in [row["by"], *row["also"]]] == ["rác", "cũng"]
        page = node.call("report.list", limit=1)
        assert node.call("report.list", limit=1, after=page["after"])["reports"][0]["id"] == other["id"]
        refused(node, "cannot report oneself", "report.add", account=who["an"], by="an")
        refused(node, "of the account that is reported", "report.add", account=who["bình"], posts=[uri], by="dung")
        refused(node, "is not held here", "report.add", account="did:banyan:z" + "1" * 31 + "2", by="dung")
        for n in range(reports.A_DAY - 2):
            some = node.call("post", text=f"bài {n}", by="an")["uri"]
            node.call("report.add", account=who["an"], posts=[some], by="bình")
        refused(node, "a day are taken from one account", "report.add", account=who["lotus"], by="bình")
        assert node.call("report.add", account=who["lotus"], by="dung")["id"]
        assert node.call("report.mine", by="dung")["reports"][0]["at_ms"] > 0
        assert len(node.call("report.mine", by="bình", limit=100)["reports"]) == reports.A_DAY
        told = node.call("moderation.told", by="chi", limit=200)["tells"]
        assert len(told) == reports.A_DAY + 1
        assert told[0]["report"]["account"]["account"] == who["lotus"]
        assert node.call("moderation.told", by="bình")["tells"] == []


def test_a_closed_report_is_kept_and_the_oldest_of_very_many_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "KEPT", 3)
    monkeypatch.setattr(reports, "OPEN", 2)
    monkeypatch.setattr(decisions, "KEPT", 4)
    with a_node(tmp_path) as (node, who):
        made = []
        for n in range(6):
            uri = node.call("post", text=str(n), by="an")["uri"]
            made.append(node.call("report.add", account=who["an"], posts=[uri], by="bình")["id"])
            node.call("decision.add", report=made[-1], verdict="nothing", by="chi")
        closed = node.call("report.list", state="closed")
        assert ([row["id"] for row in closed["reports"]], closed["closed"]) == (made[:2:-1], 3)
        assert len(node.call("report.mine", by="bình")["reports"]) == 3
        assert len(node.call("moderation.told", by="chi", limit=200)["tells"]) == 4
        refused(node, "is no longer kept", "report.show", id=made[0])
        for name in ("an", "dung"):
            node.call("report.add", account=who[name], by="bình")
        refused(node, "reports wait for the moderators", "report.add", account=who["lotus"], by="bình")


def test_each_decision_holds_here_is_told_and_is_taken_back(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="một", by="an")["uri"]
        answer = node.call("reply", uri=uri, text="hai", by="bình")["uri"]
        quote = node.call("quote", uri=uri, text="ba", by="bình")["uri"]
        node.call("react", uri=uri, emoji="🌸", by="dung")
        digest = node.call("digest")["digest"]
        report = node.call("report.add", account=who["an"], posts=[uri], category="legal", by="bình")["id"]

        def decide(verdict: str, **said: Any) -> Any:
            return node.call("decision.add", report=report, verdict=verdict, by="chi", **said)

        def undo(made: Any) -> None:
            node.call("decision.undo", id=made["id"], why="nhầm", by="chi")
            row = node.call("report.show", id=report)
            assert (row["state"], row["decisions"][-1]["undone"]["why"]) == ("open", "nhầm")

        made = decide("label", text="chưa kiểm chứng")
        assert node.call("report.show", id=report)["state"] == "closed"
        assert (node.call("post.get", uri=uri)["label"], node.call("post.get", uri=uri)["text"]) == (
            "chưa kiểm chứng",
            "một",
        )
        assert node.call("post.get", uri=quote)["quote"]["warning"] == "chưa kiểm chứng"
        refused(node, "says that of all these posts already", "decision.add", report=report, verdict="label", text="x")
        undo(made)
        assert node.call("post.get", uri=uri)["label"] is None

        made = decide("hide", why="luật")
        assert texts(node) == ["ba", "hai"]
        assert texts(node, by="an") == ["ba", "hai"]
        gone = node.call("thread", uri=answer)
        assert (gone["missing"], gone["gone"]["word"]) == (uri, "hidden")
        assert node.call("post.get", uri=quote)["quote"]["text"] is None
        refused(node, "hidden by the moderators", "post.get", uri=uri)
        refused(node, "hidden by the moderators", "reply", uri=uri, text="x", by="dung")
        assert node.call("search", question="một")["posts"] == []
        (said,) = node.call("report.show", id=report)["posts"]
        assert (said["now"], said["post"]["text"]) == ("hidden", "một")
        undo(made)
        assert texts(node) == ["ba", "hai", "một"]
        assert [post["uri"] for post in node.call("search", question="một")["posts"]] == [uri]

        made = decide("withhold", order="QĐ 12", basis="NĐ 147", scope="VN", days=30)
        assert texts(node) == ["ba", "hai"]
        assert node.call("content.withheld")["posts"][0]["order"] == "QĐ 12"
        undo(made)
        assert texts(node) == ["ba", "hai", "một"]
        assert node.call("post.get", uri=uri)["reactions"] == {"🌸": 1}
        assert node.call("digest")["lacking_parts"] == 0

        made = decide("limit", text="ít thôi")
        node.call("follow", account=who["an"], by="dung")
        assert (texts(node, by="bình"), texts(node, by="")) == (["ba", "hai"], ["ba", "hai"])
        assert texts(node, by="dung") == texts(node, by="an") == ["ba", "hai", "một"]
        assert [p["text"] for p in node.call("feed", account=who["an"], by="bình")["posts"]] == ["một"]
        assert node.call("relationship", account=who["an"], by="bình")["muting"] is False
        assert node.call("account.standing", account="an")["limited"] == made["id"]
        refused(node, f"Decision {made['id']} says that already", "decision.add", account="an", verdict="limit")
        undo(made)
        assert texts(node, by="") == ["ba", "hai", "một"]

        made = decide("suspend", text="trả lời thư chúng tôi")
        refused(node, "suspended .*: trả lời thư chúng tôi", "post", text="x", by="an")
        refused(node, "suspended", "follow", account=who["bình"], by="an")
        assert node.call("feed", account=who["an"], by="an")["posts"]
        undo(made)
        node.call("unfollow", account=who["an"], by="dung")

        made = decide("pass_on", to="vn.example")
        undo(made)
        made = decide("nothing", why="đúng luật")
        row = node.call("report.mine", by="bình")["reports"][0]
        assert [(one["verdict"], one["undone"]) for one in row["outcome"]][-1] == ("nothing", False)
        assert node.call("report.show", id=report)["standing"]["suspended"] is None
        about = node.call("decision.mine", by="an")["decisions"]
        assert [one["verdict"] for one in about] == ["suspend", "limit", "withhold", "hide", "label"]
        assert "why" not in about[0]
        assert (about[2]["order"], about[2]["undone_ms"] is not None) == ("QĐ 12", True)
        told = node.call("moderation.told", by="an")["tells"]
        assert [row["what"] for row in told] == ["decision"] * 10
        assert [row["what"] for row in node.call("moderation.told", by="bình")["tells"]] == ["outcome"] * 13
        assert node.call("digest")["digest"] != digest, "follow and unfollow are entries"
        assert node.call("store.verify")["problems"] == []


def test_who_may_decide_and_what_cannot_be_decided(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="một", by="an")["uri"]
        mine = node.call("post", text="của chi", by="chi")["uri"]
        report = node.call("report.add", account=who["an"], posts=[uri], by="bình")["id"]
        own = node.call("report.add", account=who["chi"], posts=[mine], by="bình")["id"]
        add = {"report": report, "verdict": "hide"}
        refused(node, "is no moderator", "decision.add", by="bình", **add)
        refused(node, "another moderator", "decision.add", report=own, verdict="nothing", by="chi")
        refused(node, "needs 'text'", "decision.add", report=report, verdict="label", by="chi")
        refused(node, "needs 'order'", "decision.add", report=report, verdict="withhold", by="chi")
        refused(node, "needs 'to'", "decision.add", report=report, verdict="pass_on", by="chi")
        refused(node, "are of one account", "decision.add", posts=[mine], by="chi", **add)
        refused(node, "Name the 'report'", "decision.add", verdict="limit")
        refused(node, "Name the 'report'", "decision.add", verdict="hide", posts=[mine])  # not the node's own account
        refused(node, "There is no report 99", "decision.add", report=99, verdict="nothing")
        refused(node, "There is no decision 9", "decision.undo", id=9)
        refused(node, "is about posts", "decision.add", account="an", verdict="hide")
        assert node.call("report.list")["open"] == 2
        assert node.call("decision.list")["decisions"] == []
        assert (node.call("moderator.am_i", by="chi"), node.call("moderator.am_i", by="an")["moderator"]) == (
            {"moderator": True, "open": 2},
            False,
        )
        made = node.call("decision.add", by="chi", **add)
        node.call("moderator.drop", account="chi")
        refused(node, "is no moderator", "decision.undo", id=made["id"], by="chi")
        assert node.call("moderator.list")["moderators"] == []
        node.call("decision.undo", id=made["id"])
        refused(node, "taken back already", "decision.undo", id=made["id"])
        node.call("decision.add", **add)
        node.call("delete", uri=uri)
        assert node.call("report.show", id=report)["posts"][0]["now"] == "deleted"
        acts = node.call("audit.list", do="decision.", limit=100)["acts"]
        assert sum(row["refused"] is None for row in acts) >= 5
        assert {row["who"] for row in acts} == {"operator"}


async def test_no_decision_changes_what_another_node_shows_but_an_order_is_told_to_it(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        an = (await a.backend.call("account.create", {"name": "An"}))["account"]
        await b.backend.call("account.create", {"name": "Bình"})
        uris = [(await a.backend.call("post", {"text": text}))["uri"] for text in ("một", "hai")]
        await converged([a, b])
        for given in (
            {"verdict": "hide", "posts": uris[:1]},
            {"verdict": "label", "posts": uris[1:], "text": "chú ý"},
            {"verdict": "limit"},
        ):
            await a.backend.call("decision.add", {"account": an, **given})
        await trio.sleep(0.6)
        await converged([a, b])
        found = await b.backend.call("feed", {"all": True})
        assert [(post["text"], post["label"]) for post in found["posts"]] == [("hai", None), ("một", None)]
        made = await a.backend.call(
            "decision.add", {"account": an, "verdict": "withhold", "posts": uris[1:], "order": "QĐ 12"}
        )
        assert made["days"] == 0
        assert [post["text"] for post in (await b.backend.call("feed", {"all": True}))["posts"]] == ["hai", "một"]
        assert await a.backend.call("digest", {}) != await b.backend.call("digest", {})
        found, held = await a.backend.call("digest", {}), await b.backend.call("digest", {})
        assert found["digest"] == held["digest"]
        await a.backend.call("decision.undo", {"id": made["id"]})
        await converged([a, b])
