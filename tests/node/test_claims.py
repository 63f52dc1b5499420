"""Accounts of restored keys come back by themselves, and only the own account becomes the own account."""

from __future__ import annotations

import random
import time
from itertools import permutations
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import account_from_text
from banyan_node.context import Search
from banyan_node.home import recovery, settings
from banyan_node.home.keystore import Keystore
from banyan_node.hosting import claims, erasure, hosted
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance
from banyan_storage.local_tables import RESTORING
from tests.node.real import converged, make_home, make_node, restored, running

HOSTED = 200


async def accounts(node: Node) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (await node.backend.call("account.list", {"limit": 1_000}))["accounts"]
    return rows


@pytest.mark.parametrize("mode", ["all", "follows"])
async def test_200_hosted_accounts_come_back_by_name_and_only_the_owners_own_is_posted_as(
    tmp_path: Path, mode: str
) -> None:
    lost, other = make_home(tmp_path / "lost"), make_home(tmp_path / "other")
    words = Keystore.open(lost.keys).keys.words()
    names = [f"người {n}" for n in range(HOSTED)]
    with open_local(lost, settings.load(lost, env={})) as node:
        own = node.call("account.create", name="Chủ", hosted=False)["account"]
        begun = node.call("import.begin", kind="graph", source="s", label="l", batches=1)
        node.call("import.batch", id=begun["id"], number=0, rows=[{"accounts": names}])
    async with running(make_node(other)) as b:
        address = b.edge.addresses[0]
        async with running(make_node(lost, [address])) as a:
            await converged([a, b])
        again = restored(tmp_path / "again", words)
        async with running(make_node(again, [address], interest__mode=mode), 120) as a:
            with trio.fail_after(60):
                while (await a.backend.call("status", {}))["restoring"]:
                    await trio.sleep(0.1)
                while any(not row["name"] for row in await accounts(a)):
                    await trio.sleep(0.1)
            rows = await accounts(a)
            assert sorted(str(row["name"]) for row in rows) == sorted([*names, "Chủ"])
            assert [row["account"] for row in rows if row["own"]] == [own]
            assert [(await a.backend.call(m, {}))["name"] for m in ("id", "status")] == ["Chủ", "Chủ"]
            posted = await a.backend.call("post", {"text": "after the fire"})
            assert own.removeprefix("did:") in posted["uri"]
            by = await a.backend.call("post", {"text": "as a user", "as": names[7]})
            assert own.removeprefix("did:") not in by["uri"]


async def test_among_nodes_of_chosen_accounts_the_search_ends_once_what_one_of_them_holds_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "AMONG_FEW_S", 1.0)
    lost, friend = make_home(tmp_path / "lost"), make_home(tmp_path / "friend")
    words = Keystore.open(lost.keys).keys.words()
    with open_local(lost, settings.load(lost, env={})) as node:
        own = node.call("account.create", name="An", hosted=False)["account"]
        node.call("post", text="một")
    few = {"node__role": "hobbyist", "interest__mode": "follows"}
    async with running(make_node(friend, **few), 180) as b:
        address = b.edge.addresses[0]
        await b.backend.call("account.create", {"name": "Binh"})
        async with running(make_node(lost, [address], **few), 60) as a:
            await b.backend.call("follow", {"account": own})
            with trio.fail_after(60):
                while not (await b.backend.call("feed", {"account": own}))["posts"]:
                    await trio.sleep(0.1)
        async with running(make_node(restored(tmp_path / "again", words), [address], **few), 120) as a:
            with trio.fail_after(90):
                while (await a.backend.call("status", {}))["restoring"]:
                    await trio.sleep(0.1)
            assert [post["text"] for post in (await a.backend.call("feed", {"account": own}))["posts"]] == ["một"]


def test_accounts_are_found_in_whatever_order_and_however_far_apart_their_control_logs_come(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, settings.load(home, env={})) as node:
        own = node.call("account.create", name="Chủ", hosted=False)["account"]
        made = [node.call("account.create", name=f"u{n}", hosted=True)["account"] for n in range(40)]
        far = hosted.create(node.context, "far", 0)
        everything = [account_from_text(a) for a in (own, *made)] + [far.account]
        store = node.context.store
        for key, _ in [*store.notes(b"hosted:"), *store.notes(b"name:"), *store.notes(b"self"), *store.notes(b"next")]:
            store.put_note(key, None)
        random.Random(7).shuffle(everything)
        node.context.claims = Search()
        claims_ahead, claims.AHEAD = claims.AHEAD, 5  # so that most lie beyond what is tried at first
        try:
            found = [h for account in everything for h in claims.take(node.context, [account])]
        finally:
            claims.AHEAD = claims_ahead
        assert {h.account: h.number for h in found} == {
            a: n for n, a in enumerate([account_from_text(own), *map(account_from_text, made), far.account])
        }
        assert hosted.me(node.context) == account_from_text(own)
        claims.give_names(node.context)
        assert hosted.named(node.context, "u3") == account_from_text(made[3])


def test_two_users_with_one_name_get_different_names(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, settings.load(home, env={})) as node:
        a, b = (node.call("account.create", name=name, hosted=True)["account"] for name in ("An", "Bình"))
        node.call("profile.set", fields={"name": "An"}, by=b)
        store = node.context.store
        for key, _ in [*store.notes(b"hosted:"), *store.notes(b"name:")]:
            store.put_note(key, None)
        claims.take(node.context, [account_from_text(a), account_from_text(b)])
        claims.give_names(node.context)
        store.commit()
        names = {row["account"]: row["name"] for row in node.call("account.list")["accounts"]}
        assert sorted(names.values()) in (["An", "An-1"], ["An", "An-2"])


def test_an_account_hosted_before_the_own_one_is_never_the_own_one(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, settings.load(home, env={})) as node:
        first = node.call("account.create", name="user", hosted=True)["account"]
        own = node.call("account.create", name="Chủ", hosted=False)["account"]
        context = node.context
        found = {hosted.hosted(context, account_from_text(a)) for a in (first, own)}
        assert {(h.name, h.number) for h in found if h} == {("user", 1), ("Chủ", 0)}


def test_a_new_store_under_old_keys_is_restoring_and_a_new_node_is_not(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, settings.load(home, env={})) as node:
        assert RESTORING.get(node.context.store) is None
        node.call("account.create", name="An", hosted=False)
    home.store.rename(tmp_path / "away")
    with open_local(home, settings.load(home, env={})) as node:
        assert claims.restoring(node.context)
        with pytest.raises(CallError, match="has not arrived from a peer"):
            node.call("post", text="too early")
    again = restored(tmp_path / "again", Keystore.open(home.keys).keys.words())
    for _ in range(2):
        with open_local(again, settings.load(again, env={})) as node:
            assert claims.restoring(node.context)


def test_the_account_that_the_owner_named_is_the_own_one_and_no_other(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, settings.load(home, env={})) as node:
        first = node.call("account.create", name="first", hosted=False)["account"]
        user = node.call("account.create", name="user", hosted=True)["account"]
    archive = str(tmp_path / "all.banyan")
    with open_local(home, settings.load(home, env={})) as node:
        node.call("archive.export", path=archive)
    words = Keystore.open(home.keys).keys.words()
    for number, named in enumerate((b"", account_from_text(user))):
        again = restored(tmp_path / f"again{number}", words)
        again.restored.write_bytes(named)
        with open_local(again, settings.load(again, env={})) as node:
            node.call("archive.import", path=archive)
            rows = node.call("account.list")["accounts"]
            assert sorted(row["account"] for row in rows) == sorted([first, user])
            assert [row["account"] for row in rows if row["own"]] == [user if named else first]


def test_the_own_account_is_named_first_and_the_status_says_how_many_have_no_name(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, settings.load(home, env={})) as node:
        own = node.call("account.create", name="Chủ", hosted=False)["account"]
        made = [node.call("account.create", name=f"u{n}", hosted=True)["account"] for n in range(9)]
        context = node.context
        for key, _ in [*context.store.notes(b"hosted:"), *context.store.notes(b"name:"), *context.store.notes(b"self")]:
            context.store.put_note(key, None)
        RESTORING.put(context.store, True)
        claims.take(context, map(account_from_text, [*made, own]))
        names, claims.NAMES = claims.NAMES, 4
        try:
            assert claims.unnamed(context) == 10
            assert claims.give_names(context) == 5
            assert hosted.named(context, "Chủ") == account_from_text(own)
            assert claims.unnamed(context) == 5
            assert claims.give_names(context) + claims.give_names(context) == 5
            assert claims.unnamed(context) == 0
        finally:
            claims.NAMES = names


def test_who_left_does_not_come_back_with_the_keys_of_the_platform_and_who_stays_a_guest_does(tmp_path: Path) -> None:
    platform, own = make_home(tmp_path / "platform"), make_home(tmp_path / "own")
    first, second = (str(tmp_path / name) for name in ("first.banyan", "second.banyan"))
    with open_local(platform, settings.load(platform, env={})) as node:
        node.call("account.create", name="Lotus", hosted=False)
        stays, left, guest = (
            node.call("account.create", name=name, hosted=True)["account"] for name in ("stays", "left", "guest")
        )
        words = recovery.new_words()
        root, key = recovery.first_root(words), recovery.first_recovery(words)
        for account in (left, guest):
            node.call(
                "account.handover",
                account=account,
                root=root.seed.hex(),
                root_following=root.following.hex(),
                recovery=key.seed.hex(),
                recovery_following=key.following.hex(),
                carrier=recovery.carrier_key(words).hex(),
            )
        node.call("archive.export", path=first)
    with open_local(own, settings.load(own, env={})) as node:
        node.call("archive.import", path=first)
        seed = recovery.next_root(words, root.following)
        assert seed is not None
        taken = node.call("account.take", account=left, root=seed.hex(), own=True)
        assert taken["by"] == "root"
        node.call("archive.export", path=second)
    for home, expected in ((platform, {stays, guest}), (own, {left})):
        again = restored(tmp_path / f"{home.path.name} again", Keystore.open(home.keys).keys.words())
        with open_local(again, settings.load(again, env={})) as node:
            node.call("archive.import", path=second)
            rows = node.call("account.list")["accounts"]
            assert {row["account"] for row in rows if row["name"] != "Lotus"} == expected
            assert [row["name"] for row in rows if row["own"]] == (["Lotus"] if home == platform else ["left"])


def test_of_several_own_accounts_the_one_that_was_taken_last_is_the_own_one_in_whatever_order_they_come(
    tmp_path: Path,
) -> None:
    platform, home = make_home(tmp_path / "platform"), make_home(tmp_path / "home")
    first, second = (str(tmp_path / name) for name in ("first.banyan", "second.banyan"))
    papers = [recovery.new_words() for _ in range(2)]
    with open_local(platform, settings.load(platform, env={})) as node:
        node.call("account.create", name="Lotus", hosted=False)
        taken = [
            node.call("account.create", name=f"u{n}", hosted=True, recovery=recovery.commitment(paper))["account"]
            for n, paper in enumerate(papers)
        ]
        root, key = recovery.first_root(papers[0]), recovery.first_recovery(papers[0])
        node.call(
            "account.handover",
            account=taken[0],
            root=root.seed.hex(),
            root_following=root.following.hex(),
            recovery=key.seed.hex(),
            recovery_following=key.following.hex(),
            carrier=recovery.carrier_key(papers[0]).hex(),
        )
        node.call("archive.export", path=first)
    with open_local(home, settings.load(home, env={})) as node:
        begun = node.call("account.create", name="begun", hosted=False)["account"]
        node.call("archive.import", path=first)
        by_root = recovery.next_root(papers[0], root.following) or b""
        node.call("account.take", account=taken[0], root=by_root.hex(), own=True)
        node.call("account.take", account=taken[1], recovery=recovery.first_recovery(papers[1]).seed.hex(), own=True)
        assert node.call("id")["account"] == taken[1]
        context = node.context
        for order in permutations([begun, *taken]):
            for prefix in (b"hosted", b"name:", b"self", b"next", b"unclaimed:"):
                for note, _ in [*context.store.notes(prefix)]:
                    context.store.put_note(note, None)
            context.claims = Search()
            for account in order:
                claims.take(context, [account_from_text(account)])
            assert hosted.me(context) == account_from_text(taken[1]), order
            assert len(hosted.all_hosted(context)) == 3
        node.call("archive.export", path=second)


def test_an_account_that_is_closed_does_not_come_back_as_if_it_were_open_and_is_erased_if_it_wishes(
    tmp_path: Path,
) -> None:
    home, early, late = make_home(tmp_path / "home"), *(str(tmp_path / name) for name in ("early", "late"))
    words = recovery.new_words()
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="Chủ")
        given = {"hosted": True, "recovery": recovery.commitment(words)}
        an, binh, _ = [node.call("account.create", name=name, **given)["account"] for name in ("An", "Bình", "Chi")]
        node.call("account.close", account=an, confirm="An")
        node.call("archive.export", path=early)
        node.call("account.erase", account=binh, confirm="Bình", reason="x")
        while erasure.step(node.context, time.time()):
            pass
        node.call("archive.export", path=late)
    again = restored(tmp_path / "again", Keystore.open(home.keys).keys.words())
    with open_local(again, settings.load(again, env={})) as node:

        def names() -> list[str]:
            maintenance.bring_back(node.context, time.time())
            return sorted(row["name"] for row in node.call("account.list")["accounts"])

        node.call("archive.import", path=early)
        assert names() == ["Bình", "Chi", "Chủ"]
        assert node.call("status")["restoring"]["closed"] == 1
        node.call("archive.import", path=late)
        assert names() == ["Chi", "Chủ"]
        assert node.call("status")["restoring"]["closed"] == 2
        receipt = node.call("account.erasure", account=binh)
        assert receipt["state"] == "waits"
        assert receipt["until_ms"] - receipt["at_ms"] == 30 * maintenance.DAY_MS
        with pytest.raises(CallError, match="is closed"):
            node.call("post", text="x", by=an)
        shown = node.call("account.show", account=an)["keys"][1]["current"]
        node.call("account.recover", account=an, seed=recovery.seed_for(words, bytes.fromhex(shown)).hex(), undo=1)
        assert names() == ["", "Chi", "Chủ"], "it is open again; its profile is at nodes that had it before"
        assert node.call("status")["restoring"]["closed"] == 1
