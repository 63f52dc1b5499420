"""A post may ask a poll: one vote an account, the last one, until it closes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.social import Poll, post_from_text, write_vote
from tests.node.real import converged, load_settings, make_home, make_node, running

HOUR = 3_600_000


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi"):
            backend.call("account.create", name=name, hosted=True)
        yield backend


def asked(hours: float = 1, choices: str = "one") -> dict[str, Any]:
    return {"options": ["phở", "bún", "mì"], "choices": choices, "closes_ms": int(time.time() * 1000 + hours * HOUR)}


def votes(poll: dict[str, Any]) -> tuple[list[int], int, list[int]]:
    return [option["votes"] for option in poll["options"]], poll["voters"], poll["mine"]


def test_an_account_has_one_vote_which_it_may_change_and_take_back(node: LocalBackend) -> None:
    uri = node.call("post", text="Ăn gì?", poll=asked(), by="chi")["uri"]
    assert votes(node.call("vote", uri=uri, options=[0])["poll"]) == ([1, 0, 0], 1, [0])
    node.call("vote", uri=uri, options=[1], by="bình")
    assert votes(node.call("vote", uri=uri, options=[1])["poll"]) == ([0, 2, 0], 2, [1])
    (row,) = node.call("feed", by="chi", all=True)["posts"]
    assert votes(row["poll"]) == ([0, 2, 0], 2, [])
    assert not row["poll"]["closed"]
    assert votes(node.call("vote", uri=uri, undo=True)["poll"]) == ([0, 1, 0], 1, [])
    with pytest.raises(CallError, match="nothing to undo"):
        node.call("vote", uri=uri, undo=True)
    node.call("edit", uri=uri, text="Ăn gì trưa nay?")
    assert votes(node.call("thread", uri=uri)["posts"][0]["poll"]) == ([0, 1, 0], 1, []), "the poll is the same"


def test_nobody_votes_in_their_own_poll(node: LocalBackend) -> None:
    uri = node.call("post", text="Ăn gì?", poll=asked())["uri"]
    with pytest.raises(CallError, match="your own poll"):
        node.call("vote", uri=uri, options=[0])
    assert votes(node.call("thread", uri=uri)["posts"][0]["poll"]) == ([0, 0, 0], 0, [])


def test_several_options_count_one_voter(node: LocalBackend) -> None:
    uri = node.call("post", text="Ăn gì?", poll=asked(choices="several"), by="chi")["uri"]
    node.call("vote", uri=uri, options=[2, 0, 2], by="bình")
    assert votes(node.call("vote", uri=uri, options=[0])["poll"]) == ([2, 0, 1], 2, [0])


def test_what_cannot_be_voted_for_is_refused_and_a_closed_poll_says_so(
    node: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = node.call("post", text="Ăn gì?", poll=asked(), by="chi")["uri"]
    plain = node.call("post", text="một")["uri"]
    for given, why in (
        ({"uri": uri, "options": []}, "No option is given"),
        ({"uri": uri, "options": [3]}, "has 3 options, and no such one"),
        ({"uri": uri, "options": [0, 1]}, "wants one option, not 2"),
        ({"uri": plain, "options": [0]}, "has no poll"),
    ):
        with pytest.raises(CallError, match=why):
            node.call("vote", **given)
    for poll, why in (
        ({**asked(), "options": ["a", " a"]}, "differ"),
        ({**asked(), "options": ["a", " "]}, "differ"),
        ({**asked(), "options": ["e\u0301", "\u00e9"]}, "differ"),
        (asked(-1), "later than now"),
        (asked(24 * 400), "within a year"),
        ({**asked(), "options": ["a", "b" * 513]}, "an option of a poll has 513 bytes"),
        ({**asked(), "options": ["a"]}, "has 2 to 20 options, not 1"),
    ):
        with pytest.raises((CallError, ValueError), match=why):
            node.call("post", text="?", poll=poll)
    later = time.time() + 2 * HOUR / 1000
    monkeypatch.setattr("banyan_node.api.methods.posts.post_rows.now_ms", lambda: int(later * 1000))
    assert node.call("thread", uri=uri)["posts"][0]["poll"]["closed"]


def test_a_vote_that_does_not_count_is_nobodys(node: LocalBackend) -> None:
    poll = asked()
    uri = node.call("post", text="Ăn gì?", poll=poll)["uri"]
    target, said = post_from_text(uri), Poll(("phở", "bún", "mì"), "one", poll["closes_ms"])
    me = account_from_text(node.call("id")["account"])
    for options in ([0, 1], [3], [255]):
        append(node.context, me, [write_vote(target, said, options)], time.time())
        node.context.store.commit()
        assert votes(node.call("thread", uri=uri)["posts"][0]["poll"]) == ([0, 0, 0], 0, [])


def test_a_reaction_is_emoji(node: LocalBackend) -> None:
    uri = node.call("post", text="một")["uri"]
    for emoji in ("❤", "❤️", "👍🏽", "🇻🇳", "1️⃣", "👨‍👩‍👧", "🔥🔥"):
        node.call("react", uri=uri, emoji=emoji, by="bình")
    for emoji in ("hay", "", " ", "👍x", "1", "<b>", "\ufe0f", "🏽", "👍\u200d"):
        with pytest.raises(CallError, match="is no emoji"):
            node.call("react", uri=uri, emoji=emoji)


async def test_two_devices_vote_and_the_later_vote_counts_at_every_node(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        me = (await a.backend.call("account.create", {"name": "an"}))["account"]
        await a.backend.call("account.create", {"name": "bình", "hosted": True})
        uri = (await a.backend.call("post", {"text": "Ăn gì?", "poll": asked(), "as": "bình"}))["uri"]
        async with running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b:
            await converged([a, b])
            writer = (await b.backend.call("id", {}))["writer"]
            await a.backend.call("account.grant", {"writer": writer})
            await converged([a, b])
            await a.backend.call("vote", {"uri": uri, "options": [0]})
            await converged([a, b])
            await b.backend.call("vote", {"uri": uri, "options": [1], "as": me})
            await converged([a, b])
            for node in (a, b):
                page = await node.backend.call("thread", {"uri": uri, "as": me})
                assert votes(page["posts"][0]["poll"]) == ([0, 1, 0], 1, [1])
