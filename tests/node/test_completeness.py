"""A node reports `complete` only if a peer could tell: not alone, not with a wrong clock. `diff` names the cause."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey, account_from_text, account_to_text, control_log
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_node.api.methods.network import network_view
from banyan_node.context import Context
from banyan_node.links.completeness import doubt
from banyan_node.local import open_local
from banyan_node.workers import publisher
from banyan_node.workers.publisher import here, published
from banyan_replica.intake.intake import REASONS, NotTaken
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.peers.statements import PLATFORMS, UNNAMED_BURST, UNNAMED_PER_S, Witnesses, _witnessed_hash
from banyan_replica.status import LinkView
from banyan_replica.sync.notice_exchange import NoticeQuestion
from banyan_replica.wire.messages import Witness
from tests.node.real import converged, load_settings, make_home, make_node, running

MINUTE = 60_000


async def test_a_node_without_peers_is_not_complete_and_says_why(tmp_path: Path) -> None:
    nowhere = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV"
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        said = await a.backend.call("status", {})
        assert (said["complete"], said["doubt"]) == (
            False,
            "no peer is connected, so nothing tells what may be missing",
        )
        async with running(make_node(make_home(tmp_path / "c"), [nowhere])) as c:
            said = await c.backend.call("status", {})
            assert not said["complete"]
            assert said["doubt"].endswith("no answer from any of the 1 in node.bootstrap")
        async with running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b:
            await b.backend.call("account.create", {"name": "An", "hosted": False})
            await converged([a, b])
            with trio.fail_after(60):
                while not (said := await b.backend.call("status", {}))["complete"]:
                    await trio.sleep(0.1)
            assert said["doubt"] is None

            def one_waits(c: Context, now: float) -> None:
                author, waits = AccountId(bytes(32)), NoticeQuestion((), bytes(8), bytes(8), now)
                waits.found[author] = author, EntryId(bytes(32))
                c.replica.sync.notices._asked["a peer"] = waits

            await b.worker.call(one_waits)
            said = await b.backend.call("status", {})
            assert (said["complete"], said["doubt"]) == (
                False,
                "accounts that name accounts of this node are yet to be fetched: 1",
            )


def test_what_peers_have_and_is_refused_is_named_for_each_reason_and_a_named_peer_that_is_ahead_is_no_stranger(
    tmp_path: Path,
) -> None:
    account, other, length = AccountId(b"a" * 32), AccountId(b"b" * 32), Head(7, EntryId(bytes(32)), 0)
    logs = [LogId(one, WriterKey(bytes(32)), 1) for one in (account, account, other)]
    logs[1] = control_log(account)
    link = LinkView(
        "P", "", False, True, False, b"", True, False, False, None, 0.0, False, False, 0.0, "", {logs[0]: length}, (),
        None,
    )  # fmt: skip
    home = make_home(tmp_path / "a")
    with open_local(home, load_settings(home)) as node:
        at, me = node.context, here(node.context)
        seen = replace(published(at, 0.0), links=(link,), compared=True)
        assert "peers that nobody named" in (doubt(at, me, seen) or "")
        named = replace(link, named=True)
        is_named = replace(seen, links=(named,))
        ahead = "the linked peer that you named does not agree with this node yet, which is 7 entries behind"
        assert doubt(at, me, is_named) == ahead
        same = replace(is_named, links=(replace(named, differences={}),))
        assert doubt(at, me, same) == "the linked peer that you named does not agree with this node yet"
        said = set[str]()
        for reason in REASONS:
            busy = {logs[1]: (NotTaken("busy" if reason != "busy" else "gap", "", 0.0), 1)}
            refused = {log: (NotTaken(reason, f"no {reason}", 0.0), 2) for log in (logs[0], logs[2])}
            why = doubt(at, me, replace(is_named, refused=busy | refused)) or ""
            begins = (
                f"4 entries of {account_to_text(account)} and of 1 other account, which peers have, are not taken: "
            )
            assert why.startswith(begins), reason
            said.add(why.removeprefix(begins))
        assert len(said) == len(REASONS)
        assert "no full" in said, "its own sentence says where there is no room"
        held = {control_log(account): (NotTaken("future", "", 0.0), 0)}
        assert doubt(at, me, replace(is_named, refused=held)) == ahead, "what is here was taken"


async def test_a_node_that_is_to_dial_only_itself_says_so(tmp_path: Path) -> None:
    home = make_home(tmp_path / "a")
    async with running(make_node(home)) as a:
        itself = a.edge.addresses[0]
    async with running(make_node(home, [itself])) as a:
        said = await a.backend.call("status", {})
        assert "; node.bootstrap names only this node itself, and two nodes must not" in said["doubt"]


def said_by(platform: Signer, time_ms: int) -> Witness:
    return Witness(platform.key, time_ms, bytes(32), platform.sign(_witnessed_hash(time_ms, bytes(32))))


def test_a_clock_is_compared_with_platforms_that_are_heard_as_they_speak() -> None:
    one, two, three = (Signer(TEST, bytes([n]) * 32) for n in (1, 2, 3))
    ours = 120 * MINUTE  # ahead
    w = Witnesses(TEST, None, OperatorTrust(platforms=[one.key, two.key, three.key]))
    w.heard(said_by(one, 10 * MINUTE), 10 * MINUTE + ours)
    assert w.ahead_ms() is None, "once may be an old word, passed on late"
    w.heard(said_by(one, 11 * MINUTE), 11 * MINUTE + ours)
    assert w.ahead_ms() == (ours, 1)
    for platform in (two, three):  # two that agree outweigh one
        w.heard(said_by(platform, 10 * MINUTE), 10 * MINUTE)
        w.heard(said_by(platform, 11 * MINUTE), 11 * MINUTE + 200)
    assert w.ahead_ms() == (200, 3)


def test_an_old_statement_that_is_passed_on_late_says_nothing_about_the_clock() -> None:
    one = Signer(TEST, bytes(32))
    w = Witnesses(TEST, None, OperatorTrust(platforms=[one.key]))
    w.heard(said_by(one, 1 * MINUTE), 60 * MINUTE)
    w.heard(said_by(one, 2 * MINUTE), 60 * MINUTE + 50)
    w.heard(said_by(one, 50 * MINUTE), 61 * MINUTE)
    assert w.ahead_ms() is None


def test_platforms_that_nobody_named_say_nothing_about_the_clock_or_how_fresh_a_node_is() -> None:
    stranger, friend = Signer(TEST, bytes(32)), Signer(TEST, b"f" * 32)
    w = Witnesses(TEST, None, OperatorTrust(["P"]))
    w.saw(bytes(32), 10 * MINUTE)
    for minute in (10, 11):
        for platform in (stranger, friend):
            assert w.heard(said_by(platform, minute * MINUTE), (minute + 3) * MINUTE), "it is passed on"
    assert (w.ahead_ms(), w.fresh_as_of()) == (None, None)
    w.named.said("Q", stranger.key)  # a peer that nobody named
    w.named.said("P", friend.key)
    assert w.fresh_as_of() == (11 * MINUTE, friend.key)
    for minute in (12, 13):
        w.heard(said_by(friend, minute * MINUTE), (minute + 3) * MINUTE)
        w.heard(said_by(stranger, minute * MINUTE), (minute + 4) * MINUTE)
    assert w.ahead_ms() == (3 * MINUTE, 1)


def test_a_forged_statement_says_nothing_about_the_clock() -> None:
    one, w = Signer(TEST, bytes(32)), Witnesses(TEST, None)
    w.named.name("P", one.key)
    for minute in (10, 11):
        with pytest.raises(BadSignature):
            w.heard(said_by(one, minute * MINUTE)._replace(sig=bytes(64)), (minute + 60) * MINUTE)
    assert w.ahead_ms() is None


def test_a_flood_of_platforms_is_dropped_unread_and_named_ones_are_heard_through_it() -> None:
    friend, w = Signer(TEST, b"f" * 32), Witnesses(TEST, None)
    w.named.name("P", friend.key)
    now, taken = 10 * MINUTE, 0
    for n in range(2_000):  # in ten seconds
        now += 5
        taken += w.heard(said_by(Signer(TEST, n.to_bytes(32, "big")), now), now)
    assert taken <= UNNAMED_BURST + 10 * UNNAMED_PER_S
    assert w.heard(said_by(friend, now), now)
    for n in range(2_000, 2_000 + 2 * PLATFORMS):
        now += 50
        assert w.heard(said_by(Signer(TEST, n.to_bytes(32, "big")), now), now), "a thousand platforms are within it"
    assert len(w.latest()) == PLATFORMS
    assert w.latest()[0].platform == friend.key


async def test_a_stranger_alone_is_no_ground_to_be_called_complete(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        await a.backend.call("account.create", {"name": "An", "hosted": False})
        async with running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b:
            await converged([a, b])
            with trio.fail_after(60):
                while not (await b.backend.call("status", {}))["complete"]:
                    await trio.sleep(0.1)
                while "fewer than 3 networks" not in ((said := await a.backend.call("status", {}))["doubt"] or ""):
                    await trio.sleep(0.1)
            assert not said["complete"]
            await a.backend.call("peers.add", {"addr": b.edge.addresses[0]})
            with trio.fail_after(60):
                while not (await a.backend.call("status", {}))["complete"]:
                    await trio.sleep(0.1)


async def test_entries_of_the_future_from_one_stranger_say_nothing_about_the_clock(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        await a.backend.call("account.create", {"name": "An", "hosted": False})
        await converged([a, b])

        def of_the_future(c: Context, now: float) -> str | None:
            (link,) = c.replica.links.values()
            log, why = LogId(AccountId(bytes(32)), WriterKey(bytes(32)), 7), NotTaken("future", "it is of then", now)
            c.replica.intake.notes[link.peer, log] = c.replica.intake.notes["who left", log] = why
            assert not published(c, now).refused, "it is here by now, or nobody has it any more"
            link.told.differences[log] = Head(3, EntryId(bytes(32)), 0)
            assert published(c, now).refused == {log: (why, 3)}
            return published(c, now).wrong_clock

        assert await a.worker.call(of_the_future) is None, "nobody named b at a"
        assert (await b.worker.call(of_the_future) or "").startswith("entries of 1 log that"), "a is b's bootstrap peer"


async def test_under_a_clock_two_hours_ahead_nothing_is_called_complete(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        with trio.fail_after(60):
            while not (await b.backend.call("status", {}))["complete"]:
                await trio.sleep(0.1)

        def behind_us(c: Context, now: float) -> str | None:
            c.replica.witnesses._ahead[WriterKey(bytes(32))] = 120 * MINUTE
            return published(c, now).wrong_clock

        wrong = "this clock is 120 min ahead of the only named platform; set it, with NTP if you can"
        assert await b.worker.call(behind_us) == wrong
        said = await b.backend.call("status", {})
        assert (said["complete"], said["clock"]["wrong"]) == (False, wrong)
        await b.backend.call("account.create", {"name": "Bo", "hosted": False})
        assert (await b.backend.call("post", {"text": "late"}))["clock"] == wrong
        assert (await a.backend.call("account.create", {"name": "An", "hosted": False}))["account"]
        assert (await a.backend.call("post", {"text": "in time"}))["clock"] is None


async def test_a_node_of_which_peers_take_nothing_because_its_clock_is_ahead_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: dict[int | None, float] = {}  # by the thread of a replica

    def clock() -> float:
        return real() + ahead.get(threading.get_ident(), 0.0)

    real = time.time
    monkeypatch.setattr(publisher, "UNTAKEN_S", 1.5)
    monkeypatch.setattr("banyan_node.workers.worker.time", SimpleNamespace(**{**vars(time), "time": clock}))
    alone = {"node__role": "hobbyist", "interest__mode": "all"}  # no platform says what time it is
    async with (
        running(make_node(make_home(tmp_path / "a"), **alone)) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]], **alone)) as b,
    ):
        await b.backend.call("account.create", {"name": "Bo", "hosted": False})
        await converged([a, b])
        with trio.fail_after(60):
            while not (said := await b.backend.call("status", {}))["complete"]:
                await trio.sleep(0.05)
        assert said["clock"]["wrong"] is None
        ahead[b.worker._thread.ident] = 600.0
        await b.backend.call("post", {"text": "from the future"})
        with trio.fail_after(60):
            while (said := await b.backend.call("status", {}))["complete"] or not said["doubt"]:
                await trio.sleep(0.05)
            while "ahead" not in (said := await b.backend.call("status", {}))["doubt"]:
                await trio.sleep(0.05)
        assert (said["complete"], said["clock"]["wrong"]) == (False, said["doubt"])
        wrong = r"the linked peer does not take the last (\d+ entries|entry) of this node; "
        assert re.fullmatch(wrong + "this clock may be ahead of theirs: compare it, and set it", said["doubt"])
        ahead[a.worker._thread.ident] = 600.0  # ten minutes pass there
        with trio.fail_after(60):
            while not (said := await b.backend.call("status", {}))["complete"]:
                await trio.sleep(0.05)
            assert said["clock"]["wrong"] is None
            await b.backend.call("peers.ban", {"peer": a.edge.peer_id})  # now it is isolated
            while (said := await b.backend.call("status", {}))["complete"]:
                await trio.sleep(0.05)
        assert said["doubt"].startswith("no peer is connected, so nothing tells what may be missing")


async def test_where_the_control_log_differs_diff_blames_it_and_not_what_waits_for_it(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        made = await a.backend.call("account.create", {"name": "An", "hosted": False})
        await converged([a, b])
        account = account_from_text(made["account"])

        def say(c: Context, now: float) -> network_view.PeerFacts:
            (link,) = c.replica.links.values()
            control, log = control_log(account), LogId(account, WriterKey(bytes(32)), 7)
            link.told.differences[control] = Head(9, EntryId(bytes(32)), 0)
            link.told.differences[log] = Head(3, EntryId(bytes(32)), 0)
            for held, head in c.store.heads(account).items():  # what a sketch said, and came
                if held.log:
                    link.told.differences[held] = Head(head.length, None, 0)
            assert len(link.told.differences) > 2
            known = network_view.facts(c, link.peer, now)
            link.told.differences.clear()
            return known

        known = await b.worker.call(say)
        rows = await b.look(lambda at: network_view.differences(at, known))
        said = {row.log: (row.reason, row.sentence) for row in rows}
        assert said[7] == (
            "control",
            "the account's control log has length 1 here and 9 at the peer: this log waits for the rest of it",
        )
        assert said[0][0] == "behind"
        assert len(rows) == 2, "what was behind and came is no difference, and has not diverged"


async def test_agreeing_with_a_hub_that_holds_none_of_its_accounts_is_not_complete(tmp_path: Path) -> None:
    chosen = {"node__role": "hobbyist", "interest__mode": "follows"}
    hidden = {**chosen, "node__announce": "/ip4/127.0.0.9/tcp/9"}  # nobody can dial them
    hub, every, a, b = (make_home(tmp_path / name) for name in ("hub", "all", "a", "b"))
    async with running(make_node(hub, **chosen)) as one:
        at = [one.edge.addresses[0]]
        async with running(make_node(a, at, **hidden)) as first, running(make_node(b, at, **hidden)) as other:
            followed = (await first.backend.call("account.create", {"name": "An", "hosted": False}))["account"]
            await other.backend.call("account.create", {"name": "Bình", "hosted": False})
            await other.backend.call("follow", {"account": followed})

            async def told(complete: bool, word: str) -> str:
                with trio.fail_after(60):
                    while True:
                        said = await other.backend.call("status", {})
                        if said["complete"] == complete and word in str(said["doubt"]):
                            return str(said["doubt"])
                        await trio.sleep(0.1)

            async with running(make_node(every, at, interest__mode="all")) as all_:
                for node in (first, other):
                    await node.backend.call("peers.add", {"addr": all_.edge.addresses[0]})
                await first.backend.call("post", {"text": "a1"})
                await told(True, "None")
            doubt = await told(False, "no connected peer holds the posts of")
            assert followed in doubt
            assert "`banyan peers add`" in doubt


async def test_a_node_that_holds_all_is_not_complete_among_peers_that_hold_little_of_it(tmp_path: Path) -> None:
    chosen = {"node__role": "hobbyist", "interest__mode": "follows"}
    hub, every, a = (make_home(tmp_path / name) for name in ("hub", "all", "a"))
    async with (
        running(make_node(hub, **chosen)) as one,
        running(make_node(every, [one.edge.addresses[0]], interest__mode="all")) as all_,
    ):

        async def told(word: str) -> Any:
            with trio.fail_after(60):
                while word not in str((said := await all_.backend.call("status", {}))["doubt"]):
                    await trio.sleep(0.1)
            return said

        async with running(make_node(a, [all_.edge.addresses[0]], **chosen)) as first:
            account = (await first.backend.call("account.create", {"name": "An", "hosted": False}))["account"]
            with trio.fail_after(60):
                while not await all_.worker.call(lambda c, now: c.holds(account_from_text(account))):
                    await trio.sleep(0.1)
            await told("None")
        said = await told("no connected peer holds the posts of")
        assert not said["complete"]
        assert account in said["doubt"]
