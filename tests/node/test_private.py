"""What an account keeps to itself: its devices read it and nobody else, and what older programs told all is sealed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.ids import AccountId, CellKey, WriterKey, account_from_text, account_to_text
from banyan_crdt.sealing import wrap
from banyan_node.api import LocalBackend
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance
from banyan_schema.private_kinds import Mute
from banyan_schema.social import relate
from banyan_schema.social.private import PRIVATE, SealedContent, WrappedSecret, hand_over
from tests.node.real import converged, load_settings, make_home, make_node, running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi", "dung"):
            backend.call("account.create", name=name, hosted=True)
        yield backend


def texts(page: dict[str, Any]) -> list[str]:
    return [row["text"] for row in page["posts"]]


def test_a_mute_hides_for_the_one_who_mutes_and_is_written_nowhere_in_clear(node: LocalBackend, tmp_path: Path) -> None:
    muted = bytes(account_from_text(named(node, "bình")))
    node.call("post", text="một", by="bình")
    node.call("post", text="hai", by="chi")
    node.call("mute", account="bình")
    assert texts(node.call("feed", all=True)) == ["hai"]
    assert len(texts(node.call("feed", all=True, by="chi"))) == 2
    assert [row["account"] for row in node.call("mutes")["mutes"]] == [named(node, "bình")]
    me = account_from_text(named(node, "an"))
    with node.context.store.snapshot() as at:
        for log in at.heads(me):
            for entry in at.walk(log):
                assert muted not in entry.ops
                for op in range(8):
                    assert muted not in (at.part(entry.id, op) or b"")
    node.call("mute", account="bình", undo=True)
    assert len(texts(node.call("feed", all=True))) == 2
    with pytest.raises(CallError, match="nothing to undo by mute"):
        node.call("mute", account="bình", undo=True)
    with pytest.raises(CallError, match="cannot mute itself"):
        node.call("mute", account="an")


def named(node: LocalBackend, name: str) -> str:
    return next(str(row["account"]) for row in node.call("account.list")["accounts"] if row["name"] == name)


def test_a_mute_may_end(node: LocalBackend) -> None:
    node.call("post", text="một", by="bình")
    node.call("mute", account="bình", until=1_000)
    assert texts(node.call("feed", all=True)) == ["một"]
    assert node.call("mutes")["mutes"] == []
    node.call("mute", account="bình", until=1 << 50)
    assert texts(node.call("feed", all=True)) == []
    assert [row["until"] for row in node.call("mutes")["mutes"]] == [1 << 50]


def test_lists_bookmarks_notes_and_filters_are_kept_changed_and_taken_back(node: LocalBackend) -> None:
    uris = [node.call("post", text=text, by=name)["uri"] for text, name in (("Phim hay", "bình"), ("Ăn phở", "chi"))]
    made = node.call("list.set", title="bạn")
    assert node.call("list.add", id=made["id"], accounts=["bình", "chi", "bình"])["members"] == 2
    assert sorted(texts(node.call("feed", in_list=made["id"]))) == ["Phim hay", "Ăn phở"]
    node.call("list.add", id=made["id"], accounts=["chi"], undo=True)
    assert texts(node.call("feed", in_list=made["id"])) == ["Phim hay"]
    node.call("list.set", id=made["id"], title="bạn bè")
    assert [(row["title"], row["members"]) for row in node.call("lists")["lists"]] == [("bạn bè", 1)]
    assert [row["name"] for row in node.call("list.show", id=made["id"])["members"]] == ["bình"]
    assert node.call("lists", by="chi")["lists"] == []
    node.call("list.delete", id=made["id"])
    assert node.call("lists")["lists"] == []
    with pytest.raises(CallError, match="There is no list"):
        node.call("list.show", id=made["id"])

    node.call("bookmark", uri=uris[0])
    node.call("bookmark", uri=uris[0])
    (kept,) = node.call("bookmarks")["bookmarks"]
    assert (kept["uri"], kept["post"]["text"]) == (uris[0], "Phim hay")
    node.call("bookmark", uri=uris[0], undo=True)
    assert node.call("bookmarks")["bookmarks"] == []
    with pytest.raises(CallError, match="never heard of"):
        node.call("bookmark", uri=uris[0][:-4] + "0000")

    hiding = node.call("filter.set", words="PHIM")
    node.call("post", text="phimảnh", by="dung")
    node.call("filter.set", words="ăn  phở", action="warn")
    rows = {row["text"]: row["filtered"] for row in node.call("feed", all=True)["posts"]}
    assert rows == {"phimảnh": None, "Ăn phở": "ăn  phở"}
    assert len(node.call("feed", all=True, by="chi")["posts"]) == 3
    node.call("filter.delete", id=hiding["id"])
    assert [row["words"] for row in node.call("filters")["filters"]] == ["ăn  phở"]
    assert node.call("note.set", account="bình", text=" bạn học ")["text"] == "bạn học"
    assert node.call("note", account="bình")["text"] == "bạn học"
    assert node.call("note", account="bình", by="chi")["text"] == ""
    node.call("note.set", account="bình", text="")
    with pytest.raises(CallError, match="no note on that account"):
        node.call("note.set", account="bình", text="")
    assert node.call("note", account="bình")["text"] == ""
    for method, given in (("filter.set", {"words": " \u00a0"}), ("list.set", {"title": "  "})):
        with pytest.raises(CallError, match="empty"):
            node.call(method, **given)


def test_filters_that_people_see_as_one_are_set_together_or_not_at_all(node: LocalBackend) -> None:
    for text in ("phim hay", "ca nhạc", "phở"):
        node.call("post", text=text, by="bình")

    def rows() -> list[tuple[str, str, str]]:
        return [(row["words"], row["title"], row["of"]) for row in node.call("filters")["filters"]]

    made = node.call("filters.set", title="Giải trí", words=[{"words": "phim"}, {"words": "nhạc"}])["filters"]
    of = made[0]["of"]
    assert rows() == [("nhạc", "Giải trí", of), ("phim", "Giải trí", of)]
    assert texts(node.call("feed", all=True)) == ["phở"]
    kept = [{"words": "ca", "id": made[1]["id"]}, {"words": "kịch"}]
    for wrong, says in (
        ({"words": [*kept, {"words": " "}]}, "empty"),
        ({"words": [{"words": "x", "id": "0" * 32}]}, "among these"),
        ({"words": kept, "title": "  "}, "title"),
    ):
        with pytest.raises(CallError, match=says):
            node.call("filters.set", **{"of": of, "title": "x", **wrong})
    assert rows() == [("nhạc", "Giải trí", of), ("phim", "Giải trí", of)]
    changed = node.call("filters.set", of=of, title="Nghệ thuật", words=kept, action="warn")["filters"]
    assert changed[0]["id"] == made[1]["id"]
    assert rows() == [("ca", "Nghệ thuật", of), ("kịch", "Nghệ thuật", of)]
    node.call("filter.set", id=changed[1]["id"], words="tuồng")
    assert rows() == [("ca", "Nghệ thuật", of), ("tuồng", "Nghệ thuật", of)], "one alone stays among the others"
    alone = node.call("filter.set", words="phở")
    assert (alone["title"], alone["of"]) == ("phở", alone["id"])
    node.call("filters.set", of=alone["id"], title="ăn", words=[{"words": "phở", "id": alone["id"]}])
    assert ("phở", "ăn", alone["id"]) in rows()
    node.call("filters.set", of=of, title="x", words=[])
    assert rows() == [("phở", "ăn", alone["id"])]
    with pytest.raises(CallError, match="There is no filter"):
        node.call("filters.set", of=of, title="x", words=[])


def test_a_filter_of_signs_and_emoji_finds_these_and_nothing_else(node: LocalBackend) -> None:
    for text in ("phim🔥hay", "a.b", "axb", "phim"):
        node.call("post", text=text, by="bình")
    node.call("filter.set", words="🔥")
    node.call("filter.set", words="A.B")
    assert sorted(texts(node.call("feed", all=True))) == ["axb", "phim"]


def test_what_a_filter_hides_is_warned_of_where_it_is_shown_all_the_same(node: LocalBackend) -> None:
    uri = node.call("post", text="phim", by="bình")["uri"]
    answer = node.call("reply", uri=uri, text="hay", by="chi")["uri"]
    node.call("quote", uri=uri, text="xem", by="chi")
    node.call("filter.set", words="phim")
    assert [row["filtered"] for row in node.call("thread", uri=answer)["posts"]] == ["phim", None]
    assert [row["filtered"] for row in node.call("feed", account="bình")["posts"]] == ["phim"]
    (quoting,) = [row for row in node.call("feed", all=True)["posts"] if row["quote"]]
    assert quoting["quote"]["warning"] == "phim"


def test_who_is_blocked_is_neither_quoted_nor_above_nor_heard_through_a_filter(node: LocalBackend) -> None:
    uri = node.call("post", text="xấu", by="bình")["uri"]
    node.call("quote", uri=uri, text="xem", by="chi", mentions=["an"])
    answer = node.call("reply", uri=uri, text="trả lời", by="chi")["uri"]
    below = node.call("reply", uri=answer, text="tiếp", by="dung")["uri"]
    assert texts(node.call("thread", uri=below)) == ["xấu", "trả lời", "tiếp"]
    node.call("mute", account="bình")
    page = node.call("thread", uri=below)
    assert (texts(page), page["missing"], page["gone"]["word"]) == (["trả lời", "tiếp"], uri, "hidden")
    (quoting,) = [row for row in node.call("feed", all=True)["posts"] if row["quote"]]
    assert quoting["quote"] == {"uri": uri, "name": None, "text": None, "warning": None, "refused": None}
    assert len(node.call("notifications")["notices"]) == 1
    node.call("filter.set", words="xem")
    assert node.call("notifications")["notices"] == []


def test_pages_of_a_feed_of_which_most_is_hidden_join(node: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_node.api.json_types.LOOKED", 2)
    for n in range(24):
        node.call("post", text=f"{n}" if n % 8 == 0 else f"{n} phim", by="bình")
    node.call("filter.set", words="phim")
    found, page = [], node.call("feed", all=True, limit=2)
    for _ in range(30):
        found += texts(page)
        if page["before"] is None:
            break
        page = node.call("feed", all=True, limit=2, before=page["before"])
    assert found == ["16", "8", "0"]


def test_who_is_blocked_answers_in_no_thread_of_the_one_who_blocks(node: LocalBackend) -> None:
    uri = node.call("post", text="một")["uri"]
    node.call("reply", uri=uri, text="xấu", by="bình")
    node.call("reply", uri=uri, text="tốt", by="chi")
    node.call("block", account="bình")
    for reader in ("an", "chi", "dung"):
        assert texts(node.call("thread", uri=uri, by=reader)) == ["một", "tốt"]
    assert [row["name"] for row in node.call("blocks")["blocks"]] == ["bình"]
    node.call("block", account="bình", undo=True)
    assert sorted(texts(node.call("thread", uri=uri))) == ["một", "tốt", "xấu"]


def test_what_older_programs_told_everybody_is_sealed_and_ended(node: LocalBackend) -> None:
    ctx, me = node.context, account_from_text(named(node, "an"))
    others = [AccountId(bytes((n,)) * 32) for n in range(130)]
    for at in range(0, 130, 100):
        drafts = [relate(hosted.salt_of(ctx, me), "mute", other) for other in others[at : at + 100]]
        append(ctx, me, drafts, time.time())
    node.call("post", text="w")  # a command commits
    assert len(node.call("mutes")["mutes"]) == 130
    assert maintenance.checkpoint_own_accounts(ctx, time.time()).number >= 1
    node.call("post", text="x")
    assert ctx.queries().mutes(me) == []
    assert len(node.call("mutes")["mutes"]) == 130
    assert not sealed_writer.seal_old_mutes(ctx, me, time.time())
    assert maintenance.erase_deleted(ctx, time.time()).number == 0
    assert maintenance.erase_deleted(ctx, time.time() + 40 * maintenance.DAY_S).number == 130, (
        "and is read by nobody any more"
    )


PLANTED = CellKey(b"\xff" * 16)
"""The name of a secret that is preferred to others."""


def plant(account: AccountId, whom: WriterKey, ctx: Context, now: float) -> CellKey:
    """A device hands the other a secret, and seems not to have it itself."""
    box = wrap(b"s" * 32, whom, b"r" * 32)
    assert box is not None
    append(ctx, account, [hand_over(hosted.salt_of(ctx, account), WrappedSecret(PLANTED, whom, box))], now)
    return PLANTED


def first_key(node: Node) -> WriterKey:
    assert node.context is not None
    return node.context.device.key


def secrets_in_use(account: AccountId, ctx: Context, now: float) -> set[CellKey]:
    q = ctx.queries()
    found = [q.content(slot, place) for slot, place in q.shown(q.number(account) or b"", PRIVATE)]
    return {sealed.secret for sealed in found if isinstance(sealed, SealedContent)}


async def test_devices_share_it_and_one_that_was_cut_learns_nothing_new(tmp_path: Path) -> None:
    """Two real nodes write for one account; the second is granted, reads what was said before, says something itself,
    and is cut off."""
    async with (
        running(make_node(make_home(tmp_path / "a"))) as first,
        running(make_node(make_home(tmp_path / "b"), [first.edge.addresses[0]])) as second,
    ):
        account = (await first.backend.call("account.create", {"name": "An"}))["account"]
        muted = [(await first.backend.call("account.create", {"name": n, "hosted": True}))["account"] for n in "xyz"]
        await first.backend.call("mute", {"account": muted[0]})

        async def shown(node: Node) -> set[str]:
            return {row["account"] for row in (await node.backend.call("mutes", {"as": account}))["mutes"]}

        writer = (await second.backend.call("id", {}))["writer"]
        await first.backend.call("account.grant", {"writer": writer})
        await converged([first, second])
        assert await shown(second) == set(muted[:1]), "a new device reads what was said before"
        await second.backend.call("mute", {"account": muted[1], "as": account})
        await converged([first, second])

        assert await shown(first) == await shown(second) == set(muted[:2])
        await second.backend.call("mute", {"account": muted[0], "undo": True, "as": account})
        await second.backend.call("mute", {"account": muted[2], "as": account})
        await converged([first, second])
        assert await shown(first) == await shown(second) == set(muted[1:])
        assert second.context is not None
        planted = await second.worker.call(partial(plant, account_from_text(account), first_key(first)))
        await converged([first, second])
        await first.backend.call("account.cut", {"writer": writer})
        await first.backend.call("mute", {"account": muted[0]})
        await converged([first, second])
        assert await shown(first) == set(muted)
        assert muted[0] not in await shown(second)
        assert planted not in await first.worker.call(partial(secrets_in_use, account_from_text(account)))
        with trio.fail_after(60), pytest.raises(CallError):
            await second.backend.call("mute", {"account": muted[0], "as": account})


def test_of_an_account_that_is_not_written_here_nothing_is_read(node: LocalBackend, tmp_path: Path) -> None:
    node.call("mute", account="bình")
    node.call("archive.export", path=str(tmp_path / "archive"))
    home = make_home(tmp_path / "other")
    with open_local(home, load_settings(home)) as other:
        other.call("archive.import", path=str(tmp_path / "archive"))
        with pytest.raises(CallError, match="sealed for the devices of the account, and this node is none of them"):
            other.call("mutes", by=named(node, "an"))
        with pytest.raises(CallError, match="is not held here"):
            other.call("filters", by=account_to_text(AccountId(b"x" * 32)))
        held = other.context.sealed_reader.read(other.context.queries(), account_from_text(named(node, "an")))
        assert held.get(Mute(account_from_text(named(node, "bình")))) is None
