"""24 words that stay off the node: a node gets a commitment, and for a recovery one key."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from banyan_crdt.errors import NotYet
from banyan_crdt.ids import EntryId, Head, LogId, WriterKey, account_from_text, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_crdt.signing import Signer
from banyan_node.api.methods.accounts import keys
from banyan_node.context import Context
from banyan_node.home import recovery
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT, Keys, Keystore
from banyan_node.home.mnemonic import Paper, spell
from banyan_node.hosting import hosted
from banyan_node.local import open_local
from banyan_node.operator_errors import BadBackup, CallError, WrongWords
from banyan_node.upkeep import maintenance
from banyan_replica.sync.item_builder import log_items
from tests.node.real import converged, load_settings, make_home, make_node, running

ZERO = Keys(bytes(32)).words()
COMMITMENT_OF_ZERO = (
    "da8cebbe3a5d704d3ecf3b6940d47d4171393b9df0c5cf914531fe28869a782d"
    "18b968c29e86cd56a876902dc3d8e716c95c7ae948a757618b93ff83e36c37af"
)


def _digest(seed: bytes) -> bytes:
    return key_digest(Signer(TEST, seed).key)


def test_the_commitment_of_known_words_never_changes() -> None:
    assert recovery.commitment(ZERO) == recovery.commitment("  " + ZERO.upper().replace(" ", "\n"))
    assert recovery.commitment(ZERO) == COMMITMENT_OF_ZERO


def test_every_generation_of_the_words_is_found_by_its_digest() -> None:
    slot = recovery.slot_of(recovery.commitment(ZERO))
    first = recovery.seed_for(ZERO, slot.current)
    second, third = recovery.rotation(ZERO, slot.next)
    assert (_digest(first), _digest(second)) == (slot.current, slot.next)
    assert _digest(recovery.rotation(ZERO, third)[0]) == third
    assert len({first, second, recovery.rotation(ZERO, third)[0]}) == 3


def test_the_same_words_as_a_master_give_no_key_that_they_give_as_a_recovery() -> None:
    keys = Keys(bytes(32))
    seeds = {keys.slot_seed(i, slot, g) for i in range(3) for slot in (ROOT_SLOT, RECOVERY_SLOT) for g in range(3)}
    assert recovery.seed_for(ZERO, recovery.slot_of(COMMITMENT_OF_ZERO).current) not in seeds | {bytes(32)}


def test_words_are_fresh_and_wrong_ones_are_told_from_misspelt_ones() -> None:
    one, other = recovery.new_words(), recovery.new_words()
    assert one != other
    with pytest.raises(WrongWords, match="not the recovery words of this account"):
        recovery.seed_for(other, recovery.slot_of(recovery.commitment(one)).current)
    with pytest.raises(BadBackup, match="Word 3 "):
        recovery.commitment(" ".join([*one.split()[:2], "xx", *one.split()[3:]]))


@pytest.mark.parametrize("text", ["", "00" * 64, "zz" * 64, COMMITMENT_OF_ZERO[:-2], COMMITMENT_OF_ZERO + "00"])
def test_what_is_no_commitment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="128 hexadecimal digits"):
        recovery.slot_of(text)


def _context(backend: object) -> Context:
    context = getattr(backend, "context", None)
    assert isinstance(context, Context)
    return context


def test_an_account_of_an_older_home_is_recovered_by_the_key_that_its_master_holds(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    keys = Keystore.open(home.keys).keys
    with open_local(home, load_settings(home)) as node:
        account = node.call("account.create", name="an", hosted=False)["account"]
        shown = node.call("account.show")["keys"]
        assert shown[1]["current"] == _digest(keys.slot_seed(0, RECOVERY_SLOT, 0)).hex()
        assert shown[1]["next"] == _digest(keys.slot_seed(0, RECOVERY_SLOT, 1)).hex()
        node.call("account.recover")
        after = node.call("account.show")
        assert (after["keys"][0]["held"], after["keys"][0]["current"]) != (True, shown[0]["current"])
        assert hosted.slot_signer(_context(node), account_from_text(account), RECOVERY_SLOT)


def test_a_seed_that_the_account_does_not_commit_to_signs_nothing_and_is_in_no_error(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an", hosted=False, recovery=recovery.commitment(ZERO))
        before = node.call("account.show")
        wrong, text = "5e" * 32, "5ecret"
        for method, seed in (("recover", wrong), ("recover", text), ("rotate", wrong), ("rotate", text)):
            with pytest.raises(CallError) as refused:
                node.call(f"account.{method}", slot=1, seed=seed, following="ab" * 32)
            assert seed not in str(refused.value)
            assert node.call("account.show") == before


def test_a_recovery_cannot_be_undone_by_its_own_key_and_the_refusal_says_from_where_on_it_can(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an", hosted=False)
        node.call("account.rotate")
        node.call("account.recover", undo=1)
        node.call("account.close")
        before = node.call("account.show")
        with pytest.raises(CallError, match="undo entry 2 and later ones only"):
            node.call("account.recover", undo=1)
        assert node.call("account.show") == before
        node.call("account.recover", undo=2)
        assert not node.call("account.show")["closed"]


@pytest.mark.parametrize(("undo", "some"), [(0, False), (1, False), (1, True)])
def test_a_home_that_lacks_what_a_platform_wrote_for_a_user_does_not_cut_the_platform_and_loses_nothing(
    tmp_path: Path, undo: int, some: bool
) -> None:
    """The platform's checkpoint is of the same writer as the posts. It is no post. some: a part of the posts is here,
    and of a closed account nobody claims the rest."""
    platform, own, words = make_home(tmp_path / "platform"), make_home(tmp_path / "own"), recovery.new_words()
    with open_local(platform, load_settings(platform)) as p, open_local(own, load_settings(own)) as u:
        u.call("account.create", name="lan", hosted=False)
        lan = p.call("account.create", name="lan", hosted=True, recovery=recovery.commitment(words))["account"]
        p.call("post", text="một", by=lan)
        theirs, mine, now = _context(p), _context(u), time.time()
        assert maintenance.checkpoint_own_accounts(theirs, now).number
        account, ingest = account_from_text(lan), mine.replica.ingest
        if some:
            ingest.control(account, theirs.store.control(account), int(now * 1000) + 1)
            for log in theirs.store.heads(account):
                for item in log_items(theirs.store, log, 0) if log.log else ():
                    ingest.run(decode_run(mine.realm, item.run), int(now * 1000) + 1)
            p.call("post", text="hai", by=lan)
        if undo:
            p.call("account.close", account=lan)
        ingest.control(account, theirs.store.control(account), int(now * 1000) + 1)
        for said in theirs.store.checkpoints(account):
            with contextlib.suppress(NotYet):
                ingest.checkpoint(said, int(now * 1000) + 1)
        seed = recovery.seed_for(words, recovery.slot_of(recovery.commitment(words)).current).hex()
        if undo:
            with pytest.raises(CallError, match=r"Entry 1 closed the account: undo 1, and with it all after it\."):
                u.call("account.recover", account=lan, seed=seed, own=True)
        with pytest.raises(CallError, match=f"There is no entry 9 to undo: the account's path ends with entry {undo}"):
            u.call("account.recover", account=lan, seed=seed, own=True, undo=9)
        done = u.call("account.recover", account=lan, seed=seed, own=True, undo=undo)
        assert (done["cut"], done["uncut"]) == ([], [p.call("id")["writer"]])
        assert [row["seq"] for row in u.call("account.show", account=lan)["path"]] == [0, 1, 2]

        theirs.replica.ingest.control(account, mine.store.control(account), int(now * 1000) + 2)
        theirs.store.commit()
        assert [post["text"] for post in p.call("feed", account=lan)["posts"]] == [*["hai"] * some, "một"]


async def test_a_cut_waits_for_what_a_peer_says_that_it_holds_more_of_the_account(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        lan = (await a.backend.call("account.create", {"name": "Lan", "hosted": True}))["account"]
        await a.backend.call("post", {"text": "một", "as": lan})
        phone, log = WriterKey(b"\7" * 32), LogId(account_from_text(lan), WriterKey(b"\7" * 32), 1)
        await a.backend.call("account.grant", {"writer": phone.hex(), "account": lan})
        async with running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b:
            await converged([a, b])
            claimed = Head(3, EntryId(b"\3" * 32), 0)
            ask = keys.CutRequest(writer=phone.hex(), account=lan)

            def cut_when_told(c: Context, now: float) -> None:
                """In one job: what the peer says of itself takes the claim back at any time."""
                c.replica.links[b.edge.peer_id].told.differs(log, claimed, 9)
                keys.cut(c, ask, now)

            with pytest.raises(CallError, match="claims 3 entries more of the account than are here"):
                await a.worker.call(cut_when_told)
            done = await a.backend.call("account.cut", {"writer": phone.hex(), "account": lan, "incomplete": True})
            assert done["keeps"] == []


def test_the_page_about_leaving_shows_what_is_made_of_the_words() -> None:
    page = (Path(__file__).parents[2] / "docs" / "leaving.md").read_text("utf-8")
    words = spell(bytes(range(32)), Paper.RECOVERY)
    root, key = recovery.first_root(words), recovery.first_recovery(words)
    assert " ".join(words.split()[:12]) in page
    assert " ".join(words.split()[12:]) in page
    for name, value in (
        ("root 0", root.seed),
        ("H(root 1)", root.following),
        ("recovery 0", key.seed),
        ("H(recovery 1)", key.following),
        ("writer", recovery.carrier(words)),
    ):
        assert f"\n{name:<13} {value.hex()}\n" in page
    assert recovery.root_digest(words, 1) == root.following
    assert recovery.next_root(words, root.following) is not None
    assert recovery.next_root(recovery.new_words(), root.following) is None
