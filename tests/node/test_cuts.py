"""A cut at the owner's last entry: what a thief deleted comes back, and what is said before is what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import account_from_text
from banyan_crdt.run import decode_run
from banyan_node.api import LocalBackend
from banyan_node.home import recovery
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_replica.host import PartItem
from banyan_replica.sync.item_builder import log_items
from banyan_storage.reader import StoreReader
from tests.node.real import load_settings, make_home

WORDS = recovery.new_words()


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[LocalBackend, LocalBackend]]:
    """The owner's node, and her phone, which may write in her account."""
    mine, phone = make_home(tmp_path / "mine"), make_home(tmp_path / "phone")
    with open_local(mine, load_settings(mine)) as m, open_local(phone, load_settings(phone)) as p:
        m.call("account.create", name="an", hosted=False, recovery=recovery.commitment(WORDS))
        m.call("account.grant", writer=p.call("id")["writer"])
        yield m, p


def _account(m: LocalBackend) -> str:
    return str(m.call("id")["account"])


def _carry(origin: LocalBackend, target: LocalBackend, account: str) -> None:
    """All of the account that one store holds comes to another."""
    who, store, ingest = account_from_text(account), origin.context.store, target.context.replica.ingest
    now_ms = int(time.time() * 1000) + 1
    ingest.control(who, store.control(who), now_ms)
    ingest.parts(_parts(store, store.control(who)[0]))
    for log in store.heads(who):
        for item in log_items(store, log, 0) if 0 < log.log < 1 << 16 else ():
            ingest.run(decode_run(target.context.realm, item.run), now_ms)
        for entry in store.walk(log) if 0 < log.log < 1 << 16 else ():
            ingest.parts(_parts(store, entry))
    target.context.store.commit()


def _parts(store: StoreReader, entry: Any) -> list[PartItem]:
    return [PartItem(entry.id, 0, raw)] if (raw := store.part(entry.id, 0)) is not None else []


def _texts(node: LocalBackend, account: str) -> list[str]:
    return sorted(post["text"] for post in node.call("feed", account=account)["posts"])


def _stolen(m: LocalBackend, p: LocalBackend) -> tuple[str, str, list[str]]:
    """Three posts of the phone, deleted by its thief, who posts too; (account, writer, posts)."""
    account = _account(m)
    _carry(m, p, account)
    posts = [p.call("post", text=text, by=account)["uri"] for text in ("một", "hai", "ba")]
    for uri in posts:
        p.call("delete", uri=uri)
    p.call("post", text="buy my coin", by=account)
    _carry(p, m, account)
    assert _texts(m, account) == ["buy my coin"]
    return account, p.call("id")["writer"], posts


def test_a_cut_after_a_post_brings_back_what_was_deleted_later_and_says_so_before(
    homes: tuple[LocalBackend, LocalBackend],
) -> None:
    m, p = homes
    account, writer, posts = _stolen(m, p)
    before = m.call("digest")
    would = m.call("account.cut", writer=writer, after=[posts[-1]], check=True)
    assert (would["entry"], would["changes"]["back"], would["changes"]["gone"]) == (None, 3, 1)
    assert [line["text"] for line in would["changes"]["gone_posts"]] == ["buy my coin"]
    assert m.call("digest") == before, "nothing was changed"
    done = m.call("account.cut", writer=writer, after=[posts[-1]])
    assert done["keeps"] == would["keeps"]
    assert _texts(m, account) == ["ba", "hai", "một"]
    _carry(m, p, account)
    assert _texts(p, account) == ["ba", "hai", "một"]
    assert m.call("store.verify")["problems"] == []


def test_activity_marks_what_a_thief_may_have_done_and_its_entries_name_the_point(
    homes: tuple[LocalBackend, LocalBackend],
) -> None:
    m, p = homes
    account, writer, posts = _stolen(m, p)
    rows = m.call("account.activity", writer=writer)["entries"]
    assert [row["does"] for row in rows] == ["post", *["delete"] * 3, *["post"] * 3]
    assert [row["marks"] for row in rows[1:4]] == [["deletes"]] * 3
    last = rows[4]
    assert (last["uri"], last["text"], last["own"]) == (posts[-1], "ba", False)
    m.call("account.cut", writer=writer, after=[last["entry"]])
    assert _texts(m, account) == ["ba", "hai", "một"]


def test_a_time_ends_the_logs_of_others_and_says_nothing_of_what_was_written_here(
    homes: tuple[LocalBackend, LocalBackend],
) -> None:
    m, p = homes
    account, writer, posts = _stolen(m, p)
    mine = m.call("post", text="của tôi")["uri"]
    (second,) = [row["time_ms"] for row in m.call("account.activity")["entries"] if row["uri"] == posts[1]][-1:]
    with pytest.raises(CallError, match="is no entry of"):
        m.call("account.cut", writer=writer, after=["ab" * 32])
    would = m.call("account.cut", writer=writer, after=[posts[0], mine], check=True)["changes"]
    assert (would["back"], would["gone"]) == (1, 1), "the later post of another log says nothing of this one"
    m.call("account.cut", writer=writer, after_ms=second)
    assert _texts(m, account) == ["của tôi", "hai", "một"]
    here = m.call("id")["writer"]
    would = m.call("account.cut", writer=here, after_ms=second, check=True)
    assert would["changes"] == {"back": 0, "gone": 0, "back_posts": [], "gone_posts": []}
    assert m.call("account.cut", writer=here, after=[mine], check=True)["changes"]["gone"] == 0


def test_a_recovery_of_a_closed_account_cuts_in_the_same_step_where_the_owner_says(
    homes: tuple[LocalBackend, LocalBackend], tmp_path: Path
) -> None:
    m, p = homes
    account, _, posts = _stolen(m, p)
    home = make_home(tmp_path / "new")
    with open_local(home, load_settings(home)) as new:
        _carry(p, new, account)
        m.call("account.close")
        _carry(m, new, account)
        assert _texts(new, account) == []
        shown = new.call("account.show", account=account, undo=2)
        seed = recovery.seed_for(WORDS, bytes.fromhex(shown["keys"][1]["current"])).hex()
        ask = {"account": account, "seed": seed, "undo": 2, "after": [posts[-1]], "own": True}
        would = new.call("account.recover", **ask, check=True)
        assert (would["entry"], would["changes"]["back"]) == (None, 3)
        assert new.call("account.show", account=account)["closed"], "nothing was changed"
        done = new.call("account.recover", **ask)
        assert (set(done["cut"]), done["uncut"]) == ({p.call("id")["writer"], m.call("id")["writer"]}, [])
        assert would["cut"] == done["cut"]
        assert _texts(new, account) == ["ba", "hai", "một"]
