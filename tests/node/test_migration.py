"""A handover moves keys in one step, and leaves the platform a writer; take makes another node the holder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_node.api import LocalBackend
from banyan_node.home import recovery
from banyan_node.home.folder import Home
from banyan_node.hosting import interest
from banyan_node.hosting.interest import LocalDemand
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance
from tests.node.real import load_settings, make_home

PLATFORM_PAPER = recovery.new_words()
WORDS = recovery.new_words()


@contextmanager
def local(path: Path) -> Iterator[LocalBackend]:
    home = Home(path) if path.exists() else make_home(path)
    with open_local(home, load_settings(home)) as node:
        yield node


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[LocalBackend]:
    """Its own account has its recovery key on paper, and so has An, who is hosted here."""
    with local(tmp_path / "platform") as node:
        node.call("account.create", name="Lotus", hosted=False, recovery=recovery.commitment(PLATFORM_PAPER))
        node.call("account.create", name="An", hosted=True)
        node.call("post", text="before", by="An")
        yield node


def asked(words: str, paper: str | None = PLATFORM_PAPER, node: LocalBackend | None = None) -> dict[str, Any]:
    root, key = recovery.first_root(words), recovery.first_recovery(words)
    params: dict[str, Any] = {
        "root": root.seed.hex(),
        "root_following": root.following.hex(),
        "recovery": key.seed.hex(),
        "recovery_following": key.following.hex(),
        "carrier": recovery.carrier_key(words).hex(),
    }
    if paper is not None:
        following = recovery.slot_of(recovery.commitment(paper)).next
        params["platform"] = recovery.rotation(paper, following)[0].hex()
    return params


def ops(node: LocalBackend, account: str) -> list[str]:
    return [step["op"] for step in node.call("account.show", account=account)["path"]]


def carry(origin: LocalBackend, target: LocalBackend, path: Path) -> None:
    path.unlink(missing_ok=True)
    origin.call("archive.export", path=str(path))
    target.call("archive.import", path=str(path))


def texts(node: LocalBackend, account: str) -> set[str]:
    return {post["text"] for post in node.call("feed", account=account)["posts"]}


def test_a_handover_moves_both_keys_and_leaves_a_writer_that_the_words_can_cut(platform: LocalBackend) -> None:
    an = platform.call("account.list")["accounts"][1]["account"]
    before = platform.call("digest")
    assert platform.call("account.handover", account="An", check=True, **asked(WORDS))["recovery"] == "words"
    assert platform.call("digest") == before
    done = platform.call("account.handover", account="An", **asked(WORDS))
    assert (done["recovery"], done["writer"]) == ("words", platform.context.device.key.hex())
    assert ops(platform, an) == ["init", "grant", "rotate", "rotate", "rotate", "rotate"]
    shown = platform.call("account.show", account=an)
    made = [recovery.root_digest(WORDS, n).hex() for n in (0, 1)]
    assert [shown["keys"][0][k] for k in ("current", "next")] == made
    assert shown["keys"][1]["current"] + shown["keys"][1]["next"] == recovery.commitment(WORDS)
    assert [key["held"] for key in shown["keys"]] == [False, False]
    assert [c["root"] for c in shown["checkpoints"]].count(
        True
    ) == 1  # the new root vouches for what the old one pinned
    assert {pin["writer"] for pin in shown["pins"]} == {done["writer"]}
    platform.call("post", text="between", by="An")
    for method, more in (
        ("rotate", {}),
        ("cut", {"writer": done["writer"]}),
        ("grant", {"writer": "12" * 32}),
        ("close", {}),
    ):
        with pytest.raises(CallError, match=r"The root key of .* is not on this node"):
            platform.call(f"account.{method}", account="An", **more)
    with pytest.raises(CallError, match="was handed over or moved before"):
        platform.call("account.handover", account="An", **asked(recovery.new_words()))


def test_what_cannot_be_handed_over_is_refused_and_nothing_is_signed(platform: LocalBackend) -> None:
    lan = platform.call("account.create", name="Lan", hosted=True)["account"]
    platform.call("account.close", account=lan)
    before = platform.call("digest")
    stranger = "did:banyan:z" + "2" * 44
    for account, params, says in (
        ("An", asked(WORDS, None), "on the paper of this platform"),
        ("An", {**asked(WORDS), "platform": "ab" * 32}, "does not commit to this recovery key"),
        ("Lotus", asked(WORDS), "is this node's own account"),
        ("Lan", asked(WORDS), "is closed"),
        (stranger, asked(WORDS), "is not hosted on this node|is not an account"),
    ):
        with pytest.raises(CallError, match=says):
            platform.call("account.handover", account=account, **params)
        assert platform.call("digest") == before
    answer = platform.call("account.handover", account="An", root_only=True, **asked(WORDS, None))
    assert answer["recovery"] == "platform"
    assert ops(platform, answer["account"]) == ["init", "grant", "rotate", "rotate"]


@pytest.mark.parametrize("by", ["recovery", "root"])
def test_take_cuts_the_platform_and_what_it_writes_later_counts_nowhere(
    platform: LocalBackend, tmp_path: Path, by: str
) -> None:
    paper = {"paper": PLATFORM_PAPER} if by == "recovery" else {"paper": None}
    an = platform.call("account.handover", account="An", root_only=True, **asked(WORDS, **paper))["account"]
    shown = platform.call("account.show", account=an)
    archive = tmp_path / "all.banyan"
    with local(tmp_path / "own") as own, local(tmp_path / "other") as other:
        own.call("account.create", name="An at home", hosted=False)
        carry(platform, own, archive)
        if by == "recovery":
            seed = recovery.seed_for(WORDS, bytes.fromhex(shown["keys"][1]["current"]))
        else:
            seed = recovery.next_root(WORDS, bytes.fromhex(shown["keys"][0]["next"])) or b""
        for wrong in ({"root": "ab" * 32}, {"recovery": "ab" * 32}, {}, {"root": "ab" * 32, "recovery": "ab" * 32}):
            before = own.call("digest")
            with pytest.raises(CallError, match=r"does not commit|one of the two"):
                own.call("account.take", account=an, **wrong)
            assert own.call("digest") == before
        params = {by: seed.hex(), "carrier": recovery.carrier(WORDS).hex(), "own": True}
        taken = own.call("account.take", account=an, **params)
        assert (taken["by"], taken["cut"], taken["uncut"]) == (by, [platform.context.device.key.hex()], [])
        assert own.call("id")["account"] == an
        own.call("post", text="after")
        own.call("account.rotate")
        with pytest.raises(CallError, match="is on this node already"):
            own.call("account.take", account=an, **params)
        if by == "root":  # a copy of this home has that root key
            seed = recovery.seed_for(PLATFORM_PAPER, bytes.fromhex(shown["keys"][1]["current"]))
            with pytest.raises(CallError, match="A copy of this home"):
                own.call("account.recover", account=an, seed=seed.hex())
        platform.call("post", text="too late", by="An")
        carry(platform, other, archive)
        carry(own, other, archive)
        carry(platform, own, archive)
        carry(own, platform, archive)
        for node in (own, other, platform):
            assert texts(node, an) == {"before", "after"}
        with pytest.raises(CallError, match="its owner cut it off"):
            platform.call("post", text="much too late", by="An")
        assert platform.call("account.standing", account=an)["hosted"]
        maintenance.bring_back(platform.context, time.time())
        platform.context.store.commit()
        assert not platform.call("account.standing", account=an)["hosted"]
        assert [row["name"] for row in platform.call("account.list")["accounts"]] == ["Lotus"]
        assert (platform.call("account.list")["count"], texts(platform, an)) == (1, {"before", "after"})
        with pytest.raises(CallError, match="which left"):
            platform.call("account.create", name="An", hosted=True)


def test_an_account_that_is_awaited_is_fetched_although_nobody_follows_it(platform: LocalBackend) -> None:
    stranger = account_to_text(AccountId(bytes([7]) * 32))
    account = account_from_text(stranger)
    context = platform.context
    assert not LocalDemand(context)(account)
    platform.call("account.await", account=stranger)
    assert LocalDemand(context)(account)
    held = platform.call("account.arrival", account=stranger)
    assert (held["held"], held["entries"], held["peers"]) == (False, 0, 0)
    follows = load_settings(context.home, interest__mode="follows")
    context.settings, before = follows, context.settings
    assert account in interest.AccountChoice(context).of(context.queries()).found
    platform.call("account.await", account=stranger, undo=True)
    assert account not in interest.AccountChoice(context).of(context.queries()).found
    context.settings = before
    assert not LocalDemand(context)(account)
