"""Orders of an alliance on real nodes: given at one, carried out at another, appealed against, and undone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from banyan_charter.values import Authority, Parameters, Scope
from banyan_crdt.ids import AccountId, account_from_text
from banyan_duties.commitment import OrderItem, committed, encode_items
from banyan_duties.order_rules import DAY_MS
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import settle
from banyan_node.api.methods.moderation import content, order_execution
from banyan_node.api.methods.moderation.content import _writes
from banyan_node.hosting import letters
from banyan_node.moderation.known_orders import letter_name
from banyan_node.operator_errors import CallError
from banyan_node.transparency.lines import line_name
from banyan_replica.peers.statements import read_withheld
from banyan_schema.social import post_from_text
from banyan_schema.social.order import OrderNotice, order_id
from banyan_storage.alliance_tables import ORDER_ITEMS, PUBLIC_COSIGNED, PUBLIC_LOGGED, PUBLIC_PLACES
from tests.node.test_moderation import a_node, refused, texts
from tests.node.test_policy import Members, brought

OTHERS = [AccountId(bytes((k,)) * 32) for k in range(1, 7)]


def parameters(roles: list[str], member: str, judge: str, cap: int = 2) -> Parameters:
    """The roles may order for vn, where this member carries orders out and the judge judges."""
    named = sorted(map(account_from_text, roles))
    scope = Scope(b"vn", (account_from_text(member),), (account_from_text(judge),))
    return Parameters(
        duties=(b"vn-147-2024",), authorities=tuple(Authority(one, (b"vn",), cap) for one in named), scopes=(scope,)
    )


def alliance(node: LocalBackend, who: dict[str, str], cap: int = 2) -> None:
    """bình and dung may order, chi judges, lotus is the member; an writes."""
    p = parameters([who["bình"], who["dung"]], who["lotus"], who["chi"], cap)
    made = Members(node.context.realm, [account_from_text(who["lotus"]), *OTHERS], p)
    brought(node.context, made, made.founded)


def issued(node: LocalBackend, *posts: str, **more: Any) -> str:
    given = node.call("order.issue", **{"by": "bình", "scope": "vn", "posts": [*posts], "basis": "Điều 23", **more})
    later(node)
    return str(given["order"])


def later(node: LocalBackend) -> None:
    """What a running node does every few seconds."""
    order_execution.OrderFollower().look(node.context, time.time())
    settle(node.context)


def row(node: LocalBackend, order: str) -> dict[str, Any]:
    return next(one for one in node.call("order.list")["orders"] if one["order"] == order)


def test_what_an_order_withholds_is_shown_again_byte_for_byte_when_a_judge_suspends_it(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        other = node.call("post", text="tin khác", by="an")["uri"]
        ctx, post = node.context, post_from_text(uri)
        parts = [ctx.store.part(*ref) for ref in _writes(ctx, post)]
        order = issued(node, uri, other)
        assert texts(node) == []
        written = node.call("account.activity", account=who["bình"])["entries"]
        assert "order" in {one["collection"] for one in written}, "its owner sees what a thief gave"
        found = row(node, order)
        assert (found["standing"], found["withheld"]) == ("in force", 2)
        assert [(a["word"], a["posts"]) for a in found["answers"]] == [("done", 2)]
        assert [one["verdict"] for one in node.call("decision.mine", by="an")["decisions"]] == ["withhold"] * 2
        node.call("order.appeal", post=uri, why="châm biếm", by="an")
        assert row(node, order)["appeals"] == 1
        node.call("order.rule", order=order, outcome="suspends", post=uri, by="chi")
        assert texts(node) == ["tin"]
        assert [ctx.store.part(*ref) for ref in _writes(ctx, post)] == parts
        node.call("order.rule", order=order, outcome="confirms", post=uri, by="chi")
        refused(node, "is withheld by this node: order", "edit", uri=other, text="tin sửa")
        assert texts(node) == [], "confirmed again"
        node.call("order.rule", order=order, outcome="ends", by="bình")
        assert texts(node) == ["tin", "tin khác"]
        assert all(one["undone_ms"] for one in node.call("decision.mine", by="an")["decisions"])


def test_a_post_is_withheld_while_one_order_covers_it_and_what_is_void_or_gone_withholds_nothing(
    tmp_path: Path,
) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        paper = "ab" * 32
        spoken = issued(node, uri, given="phone", paper=paper)
        assert row(node, spoken)["why"] == "it was given by phone, and no second role confirmed it"
        assert row(node, spoken)["answers"] == [], "nobody is waited for"
        assert texts(node) == ["tin"]
        refused(node, "paper differs", "order.confirm", order=spoken, paper="cd" * 32, by="dung")
        refused(node, "does not confirm it", "order.confirm", order=spoken, paper=paper, by="bình")
        refused(node, "has no role", "order.confirm", order=spoken, paper=paper, by="chi")
        node.call("order.confirm", order=spoken, paper=paper, by="dung")
        assert texts(node) == []
        second = issued(node, uri, by="dung")
        node.call("order.rule", order=spoken, outcome="ends", by="bình")
        assert texts(node) == [], "the second order covers it"
        (key,) = (one["key"] for one in node.call("items.list", collection="order", account=who["dung"])["items"])
        assert second.startswith(key)
        node.context.replica.charter.leave()
        later(node)
        assert texts(node) == ["tin"], "who follows no charter carries out nothing"


def test_when_an_order_is_over_readers_and_the_author_are_told_the_other_one_that_covers_the_post(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri, ctx = node.call("post", text="tin", by="an")["uri"], node.context
        post = post_from_text(uri)
        (ref,) = _writes(ctx, post)
        first, second = issued(node, uri), issued(node, uri, by="dung", basis="Điều 24")

        def told() -> list[str]:
            """By which order: a reader, a peer, and the list of what is withheld."""
            with pytest.raises(CallError) as stub:
                node.call("post.get", uri=uri)
            stated = read_withheld(ctx.realm, ctx.store.withheld(*ref) or b"", *ref)
            (listed,) = node.call("content.withheld")["posts"]
            return [by.split()[1] for by in (stub.value.more["withheld"]["order"], stated.order, listed["order"])]

        def author() -> list[tuple[str, bool]]:
            rows = node.call("decision.mine", by="an")["decisions"]
            return [(one["order"].split()[1], one["undone_ms"] is None) for one in rows]

        assert told() == [first[:16]] * 3
        released = list[Any]()
        monkeypatch.setattr(content, "release", lambda *asked: released.append(asked))
        node.call("order.rule", order=first, outcome="suspends", by="chi")
        assert told() == [second[:16]] * 3
        assert author() == [(second[:16], True), (first[:16], False)]
        assert first[:16] in node.call("decision.mine", by="an")["decisions"][0]["text"]
        tells = node.call("moderation.told", by="an")["tells"]
        assert [one["decision"]["order"].split()[1] for one in tells] == [first[:16], second[:16], first[:16]]
        assert (row(node, first)["withheld"], row(node, second)["withheld"]) == (0, 1)
        node.call("order.rule", order=first, outcome="confirms", by="chi")
        assert told() == [second[:16]] * 3, "it stays with the order that withholds it"
        node.call("order.appeal", post=uri, why="châm biếm", by="an")
        assert (row(node, first)["appeals"], row(node, second)["appeals"]) == (0, 1)
        node.call("order.refuse", order=second, why="quá rộng", by="lotus")
        assert told() == [first[:16]] * 3, "also when the platform refuses it"
        assert released == [], "nothing is given out in between"
        monkeypatch.undo()
        node.call("order.rule", order=first, outcome="ends", by="bình")
        assert texts(node) == ["tin"]
        assert not any(stands for _, stands in author())


def test_what_moderators_withhold_too_stays_theirs_when_another_order_covers_it(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        first, second = issued(node, uri), issued(node, uri, by="dung")
        node.call("content.withhold", uri=uri, order="toà án", basis="Điều 1", days=3)
        (before,) = node.call("content.withheld")["posts"]
        node.call("order.rule", order=first, outcome="ends", by="bình")
        assert node.call("content.withheld")["posts"] == [before]
        assert (row(node, first)["withheld"], row(node, second)["withheld"]) == (0, 1)
        node.call("order.rule", order=second, outcome="ends", by="dung")
        assert node.call("content.withheld")["posts"] == [before]
        node.call("content.release", uri=uri)
        assert texts(node) == ["tin"]


@pytest.mark.parametrize(
    ("says", "more"),
    [
        ("may order for vn, and this is for de", {"scope": "de"}),
        ("may order for vn, and this is for everything", {"scope": "everything"}),
        ("is no authority of the charter", {"by": "an"}),
        ("names 1 to 1000 posts, and this one 0", {"posts": []}),
        ("names 1 to 1000 posts, and this one 1001", {"posts": None}),
        ("names the hash of its paper", {"given": "paper"}),
        ("No law has the class 'spam'; those that have one: ", {"category": "spam"}),
    ],
)
def test_an_order_that_would_be_void_is_refused_with_a_sentence(
    tmp_path: Path, says: str, more: dict[str, Any]
) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="tin", by="an")["uri"]
        ask = {"by": "bình", "scope": "vn", "posts": [uri]}
        refused(node, "follows no charter", "order.issue", **ask)
        alliance(node, who)
        many = [f"{uri[:-32]}{n:032x}" for n in range(1_001)]
        asked = {**ask, **more} if more.get("posts", ask) is not None else {**ask, "posts": many}
        refused(node, says, "order.issue", **asked)
        assert node.call("order.list")["orders"] == []


def test_a_platform_refuses_with_its_reason_and_shows_the_post(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        order = issued(node, uri)
        assert texts(node) == []
        node.call("order.refuse", order=order, why="quá rộng", by="lotus")
        assert texts(node) == ["tin"]
        assert [(a["word"], a["why"]) for a in row(node, order)["answers"]] == [("refused", "quá rộng")]
        assert node.call("order.accept", order=order)["standing"] == "in force"
        later(node)
        assert texts(node) == []
        assert [a["word"] for a in row(node, order)["answers"]] == ["done"]
        node.call("order.refuse", order=order, why="quá rộng", by="lotus")
        refused(node, "is no judge for vn", "order.rule", order=order, outcome="suspends", by="bình")
        refused(node, "No order of the alliance withholds", "order.appeal", post=uri, why="", by="an")


def test_what_moderators_withhold_under_an_order_stays_and_an_order_in_force_is_not_released(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        order = issued(node, uri)
        for method, more in (("content.release", {"uri": uri}), ("decision.undo", {"id": 1})):
            refused(node, "of the alliance withholds this post: refuse it", method, **more)
        node.call("content.withhold", uri=uri, order="toà án", basis="Điều 1")
        node.call("order.rule", order=order, outcome="ends", by="bình")
        later(node)
        assert texts(node) == [], "a court withholds it too"
        node.call("content.release", uri=uri)
        assert texts(node) == ["tin"]
        order = issued(node, uri)
        ask = {"verdict": "withhold", "account": who["an"], "posts": [uri], "order": "toà án", "basis": "Điều 1"}
        made = node.call("decision.add", **ask)
        node.call("decision.undo", id=made["id"], why="nhầm")
        assert texts(node) == [], "the order is in force"
        node.call("order.rule", order=order, outcome="ends", by="bình")
        assert texts(node) == ["tin"]


def test_an_order_of_many_posts_goes_in_steps_and_is_answered_after_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_execution, "AT_ONCE", 1)
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        posts = [node.call("post", text=text, by="an")["uri"] for text in ("một", "hai")]
        order = node.call("order.issue", by="bình", scope="vn", posts=posts)["order"]
        assert len(texts(node)) == 1
        assert [a["word"] for a in row(node, order)["answers"]] == ["waiting"]
        later(node)
        assert texts(node) == []
        assert [(a["word"], a["posts"]) for a in row(node, order)["answers"]] == [("done", 2)]
        node.call("order.rule", order=order, outcome="suspends", by="chi")
        assert len(texts(node)) == 1
        later(node)
        assert sorted(texts(node)) == ["hai", "một"]


def test_an_order_waits_for_a_person_where_the_operator_asks_for_one(tmp_path: Path) -> None:
    with a_node(tmp_path, node__ask_before_orders="true") as (node, who):
        alliance(node, who)
        order = issued(node, node.call("post", text="tin", by="an")["uri"])
        assert (row(node, order)["waits"], row(node, order)["answers"][0]["word"]) == (True, "waiting")
        assert texts(node) == ["tin"]
        node.call("order.rule", order=order, outcome="suspends", by="chi")
        assert (row(node, order)["waits"], row(node, order)["answers"]) == (False, [])
        node.call("order.rule", order=order, outcome="confirms", by="chi")
        assert (row(node, order)["waits"], row(node, order)["answers"][0]["word"]) == (True, "waiting")
        node.call("order.accept", order=order)
        assert (row(node, order)["waits"], row(node, order)["answers"][0]["word"]) == (False, "done")
        assert texts(node) == []
        refused(node, "No order 00000000", "order.accept", order="00" * 32)


def test_items_that_are_lost_here_are_read_again_and_a_platform_refuses_what_the_order_does_not_commit_to(
    tmp_path: Path,
) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        ctx, now, issuer = node.context, time.time(), account_from_text(who["bình"])
        uri = node.call("post", text="tin", by="an")["uri"]
        order = issued(node, uri)
        ORDER_ITEMS.put(ctx.store, bytes.fromhex(order), None)
        later(node)
        assert (row(node, order)["here"], texts(node)) == (1, []), "out of the log of the authority"
        count, root = committed([OrderItem(b"s" * 16, post_from_text(uri))])
        forged = OrderNotice("vn", "", "Điều 24", 60, 0, count, root)
        order_execution.write(ctx, issuer, forged, now)
        id_, readers = order_id(issuer, forged), letters.writers_of(ctx, now, (issuer, account_from_text(who["lotus"])))
        other = encode_items([OrderItem(b"s" * 16, post_from_text(node.call("post", text="tin khác", by="an")["uri"]))])
        assert letters.send(ctx, issuer, letter_name(id_, 0), other, readers, now)
        settle(ctx)
        later(node)
        (answer,) = row(node, id_.hex())["answers"]
        assert (answer["word"], answer["why"]) == ("refused", "these are not the items to which the order commits")
        assert texts(node) == ["tin khác"]


LONG = "Tin này dài hơn hai mươi chữ cái."


def test_a_copy_an_edit_into_one_and_a_repost_stay_withheld_until_the_order_ends(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text=LONG, by="an")["uri"]
        earlier = node.call("post", text=LONG, by="chi")["uri"]
        other = node.call("post", text="chuyện khác", by="an")["uri"]
        order = issued(node, uri)
        later(node)
        assert texts(node) == ["chuyện khác"], "what was there before too"
        node.call("post", text=LONG, by="dung")
        node.call("edit", uri=other, text=LONG)
        refused(node, "is withheld by this node", "repost", uri=uri, by="dung")
        later(node)
        assert texts(node) == []
        (told,) = [one for one in node.call("decision.mine", by="dung")["decisions"] if one["verdict"] == "withhold"]
        assert told["order"].startswith(f"order {order[:16]}")
        refused(node, "is withheld by this node", "edit", uri=earlier, text=LONG + "!")
        node.call("order.appeal", post=earlier, why="của tôi", by="chi")
        assert row(node, order)["appeals"] == 1, "the platform stands for who wrote a copy"
        node.call("order.rule", order=order, outcome="ends", by="bình")
        later(node)
        assert texts(node)[:3] == [LONG] * 3
        node.call("post", text=LONG, by="dung")
        later(node)
        assert texts(node) == [LONG] * 5


def test_what_is_nearly_a_copy_and_a_copy_of_a_short_text_go_to_a_person(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        long, short = (node.call("post", text=text, by="an")["uri"] for text in (LONG, "chào"))
        issued(node, long)
        issued(node, short)
        near = [node.call("post", text=text, by="dung")["uri"] for text in (LONG.upper() + "!!", "chào")]
        node.call("post", text="chào bạn", by="chi")
        later(node)
        assert texts(node) == sorted([LONG.upper() + "!!", "chào", "chào bạn"])
        found = node.call("report.list")["reports"]
        assert sorted(post["uri"] for one in found for post in one["posts"]) == sorted(near)
        assert all("withholds" in one["by"]["comment"] for one in found)


def test_a_class_that_is_never_kept_leaves_no_copy(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        order = issued(node, uri, category="child-abuse")
        assert texts(node) == []
        assert not [*node.context.store.notes(b"sealed content:")]
        assert row(node, order)["posts"] == 1
        (report,) = node.call("report.list")["reports"]
        assert report["by"]["comment"].startswith("For the role 'child protection': ")
        assert report["posts"] == [], "nothing of it is kept there"


def cosigned(node: LocalBackend, who: dict[str, str], n: int, order: str, at_ms: int) -> None:
    """The line of the receipt is in a checkpoint that enough witnesses cosigned."""
    name = line_name("receipt", account_from_text(who["lotus"]), bytes.fromhex(order))
    PUBLIC_PLACES.put(node.context.store, name, n)
    PUBLIC_COSIGNED.put(node.context.store, n + 1, at_ms)
    PUBLIC_LOGGED.put(node.context.store, int(time.time() * 1_000))
    settle(node.context)


def test_an_appeal_after_the_window_of_the_law_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri, now_ms = node.call("post", text="tin", by="an")["uri"], int(time.time() * 1_000)
        cosigned(node, who, 0, order := issued(node, uri), now_ms - 91 * DAY_MS)
        refused(node, "One appeals within 90 days", "order.appeal", post=uri, why="muộn", by="an")
        cosigned(node, who, 0, order, now_ms - 89 * DAY_MS)
        node.call("order.appeal", post=uri, why="kịp", by="an")


def test_five_orders_in_thirty_days_lock_an_account_until_one_of_them_falls(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who, cap=9)
        now_ms = int(time.time() * 1_000)

        orders = [issued(node, node.call("post", text=f"tin {n}", by="an")["uri"]) for n in range(5)]
        for n, order in enumerate(orders[:4]):
            cosigned(node, who, n, order, now_ms - (29 - n) * DAY_MS)
        later(node)
        node.call("post", text="bốn lần, và một lần chưa có chữ ký", by="an")
        cosigned(node, who, 5, orders[4], now_ms - DAY_MS)
        later(node)
        refused(
            node,
            r"5 orders of authorities .* by Art. 23\(5\), Art. 35\(7\) .* locked until 20",
            "post",
            text="x",
            by="an",
        )
        node.call("post", text="chi viết được", by="chi")
        node.call("order.rule", order=orders[0], outcome="suspends", by="chi")
        node.call("post", text="được viết lại", by="an")
        verdicts = [one["verdict"] for one in node.call("decision.mine", by="an")["decisions"]]
        assert verdicts.count("suspend") == 1
