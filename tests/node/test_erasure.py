"""An account that is erased is in no file of the node any more, and only its control log is left."""

from __future__ import annotations

import time
from pathlib import Path
from shutil import copytree

import pytest
import trio

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.context import TABLES, Context, DoorData
from banyan_node.home.folder import Home
from banyan_node.home.recovery import commitment, new_words
from banyan_node.hosting import erasure, hosted, interest
from banyan_node.hosting.entry_writer import append_each
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError, NoNode
from banyan_node.server.control_client import ControlClient
from banyan_node.upkeep import maintenance, trusted_clock
from banyan_schema.social import Post, post_key, write_post
from banyan_storage.due import Work
from banyan_storage.errors import StorageError
from banyan_storage.tables import COPIES, DUE, NOTE
from tests.forking import forked
from tests.needs import NIGHT
from tests.node.pictures import photo
from tests.node.real import load_settings, make_home, make_node, running

SAID = ("bí mật số một", "câu trả lời kín", "sửa lại rồi đó", "Nguyễn Văn Ẩn", "thợ sửa đồng hồ", "con mèo trên ghế")

STAYS = {
    *("account_numbers", "accounts", "accounts_by_number", "entries", "heads", "logs", "meta own", "due FORGET"),
    *("acts", "meta erasure", "meta wished to be erased", "meta report open", "meta reports against"),
    "meta withheld post",
}
"""The tables, notes and work that name an account that is erased: its control log, and what the node did about it."""


async def test_what_is_erased_is_in_no_file_and_what_others_said_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest, "AT_ONCE", 8)
    home = make_home(tmp_path / "a")
    async with running(make_node(home)) as node:
        call = node.backend.call
        await call("account.create", {"name": "chủ"})
        an = (await call("account.create", {"name": "ẩn danh", "hosted": True}))["account"]
        binh = (await call("account.create", {"name": "bình", "hosted": True}))["account"]
        blob = (await call("media.put", {"path": str(photo(tmp_path / "a.jpg"))}))["blob"]
        shared = (await call("media.put", {"path": str(photo(tmp_path / "b.jpg", 800, 600))}))["blob"]
        bytes_of = {root: (home.blobs / root[:2] / root).read_bytes()[2_000:2_064] for root in (blob, shared)}
        uris = []
        for n in range(40):
            media = [{"blob": blob, "description": SAID[5]}, {"blob": shared}] if n == 7 else []
            uris.append((await call("post", {"text": f"{SAID[0]} {n}", "as": an, "media": media}))["uri"])
            await call("post", {"text": f"lời của bình {n}", "as": binh})
        await call("post", {"text": "của bình", "as": binh, "media": [{"blob": shared}]})
        await call("reply", {"uri": uris[0], "text": SAID[1], "as": an})
        await call("edit", {"uri": uris[1], "text": SAID[2]})
        await call("profile.set", {"fields": {"name": SAID[3], "bio": SAID[4]}, "as": an})
        await call("draft.set", {"text": SAID[1], "as": an, "due": time.time_ns() // 1_000_000 + 9_000_000})
        await call("report.add", {"account": an, "posts": [uris[2]], "as": binh, "comment": "xem đi"})
        await call("content.withhold", {"uri": uris[3], "order": "QĐ 1"})
        while not (await call("search", {"question": "mật"}))["posts"]:
            await trio.sleep(0.05)
        assert found(home.path, SAID[0]), "the test looks where it is"
        with pytest.raises(CallError, match="type it again"):
            await call("account.erase", {"account": an, "confirm": "ẩn", "reason": "yêu cầu"})
        made = await call("account.erase", {"account": an, "confirm": "ẩn danh", "reason": "yêu cầu", "days": 30})
        assert made["erased_ms"] is None
        assert (await call("account.show", {"account": an}))["closed"]
        asked = {"accounts": [an], "uncounted": True, "since": "begin"}
        assert SAID[0] not in str(await call("firehose", asked)), "it is closed"
        day = 86_400
        assert not await node.worker.call(lambda c, now: erasure.step(c, now + 28 * day), True)
        assert (await call("account.list", {}))["count"] == 3
        assert await node.worker.call(lambda c, now: erasure.step(c, now + 29.5 * day), True)
        assert not await node.worker.call(lambda c, now: erasure.step(c, now + 29.5 * day), True), "the clock jumped"
        assert (await call("account.list", {}))["count"] == 3
        await node.worker.call(
            lambda c, now: trusted_clock.trust(c, trusted_clock.moment(c.replica.wall_ms(now + 30.6 * day)))
        )
        steps = 0
        while await node.worker.call(lambda c, now: erasure.step(c, now + 30.6 * day), True):
            steps += 1
        assert steps > 40 / 8, "other work comes between"
        await node.worker.call(maintenance.bring_back)
        assert await node.worker.call(lambda c, now: naming(c, an, "ẩn danh")) <= STAYS
        receipt = await call("account.erasure", {"account": an})
        assert receipt["erased_ms"] > made["at_ms"]
        assert (await call("account.list", {}))["count"] == 2
        events = (await call("firehose", asked))["events"]
        assert not any(said in str(events) for said in SAID), "keys, and what was done here"
        assert not {event["kind"] for event in events} & {"create", "update", "delete"}
        with pytest.raises(CallError):
            await call("account.standing", {"account": "ẩn danh"})
        assert len((await call("feed", {"account": binh, "limit": 100}))["posts"]) == 41
        await call("search", {"question": "mật"})
        assert (await call("store.verify", {}))["problems"] == []
        with trio.fail_after(60):
            while left := [said for said in SAID if found(home.path, said)]:
                await trio.sleep(0.2)
        assert not left
        assert not found(home.path, bytes_of[blob])
        assert found(home.path, bytes_of[shared]), "another post shows it"
        await call("post", {"text": "vẫn chạy", "as": binh})
    async with running(make_node(home)) as node:
        assert (await node.backend.call("account.list", {}))["count"] == 2
        assert (await node.backend.call("feed", {"account": binh}))["posts"][0]["text"] == "vẫn chạy"
        assert not [said for said in SAID if found(home.path, said)]


def naming(ctx: Context, account: str, name: str) -> set[str]:
    """The tables that name the account, and of notes and work what they are of."""
    raw, tables = account_from_text(account), set[str]()
    for table in TABLES:
        for key, value in ctx.store.txn.scan(table, b"", None):
            both = key + b"\0" + value
            if any(one in both for one in (raw, account.encode(), name.encode())):
                row = key if table == COPIES else key.removeprefix(NOTE) if key.startswith(NOTE) else b""
                note = row.split(b":")[0].decode(errors="replace")
                work = Work(key[0]).name if table == DUE else ""
                tables.add(f"{'meta' if table == COPIES else table.name} {note}{work}".strip())
    return tables


def found(folder: Path, said: str | bytes) -> list[str]:
    """The files that have these bytes."""
    raw = said.encode() if isinstance(said, str) else said
    return [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and raw in file.read_bytes()]


def test_what_is_erased_at_once_has_no_term_that_a_clock_could_end(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="chủ")
        an = node.call("account.create", name="an", hosted=True)["account"]
        erasure.step(node.context, time.time() - 40 * 86_400)
        trusted_clock.doubt(node.context, trusted_clock.moment(int((time.time() - 40 * 86_400) * 1000)))
        node.call("account.erase", account=an, confirm="an", reason="x")
        while erasure.step(node.context, time.time()):
            pass
        assert trusted_clock.doubted(node.context.store)
        assert node.call("store.erasures")["erasures"][0]["erased_ms"] is not None


def test_the_door_signs_out_an_account_that_is_closed_here_or_on_another_node(tmp_path: Path) -> None:
    home, signed_out, full = make_home(tmp_path / "a"), list[str](), [True]

    def sign_out(account: str) -> None:
        if full.pop() if full else False:
            raise StorageError("it is locked")
        signed_out.append(account)

    def look(node: LocalBackend) -> list[str]:
        maintenance.bring_back(node.context, time.time())
        maintenance.sign_out_closed(node.context, time.time())
        return signed_out

    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="chủ")
        an, binh, _ = [node.call("account.create", name=name, hosted=True)["account"] for name in ("an", "bình", "chi")]
    copied = Home(Path(copytree(home.path, tmp_path / "b")))
    with open_local(copied, load_settings(copied)) as other:
        other.call("account.close", account=binh, confirm="bình")
        other.call("account.export", account=binh, path=str(tmp_path / "archive"))
    with open_local(home, load_settings(home)) as node:
        node.context.at_door = DoorData(sign_out=sign_out)
        assert look(node) == []
        node.call("account.close", account=an, confirm="an")
        assert look(node) == [], "the door's file was locked"
        assert look(node) == [an]
        node.call("archive.import", path=str(tmp_path / "archive"))
        assert look(node) == look(node) == [an, binh]


def test_what_is_erased_stays_erased_and_nobody_gets_its_recovery_key(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="chủ")
        words = {"hosted": True, "recovery": commitment(new_words())}
        an = node.call("account.create", name="an", **words)["account"]
        closed = node.call("account.close", account=an, confirm="an")
        assert node.call("account.close", account=an, confirm="an") == closed
        assert len(node.call("account.show", account=an)["path"]) == 2
        told = list[str]()

        def forget(account: str) -> None:
            told.append(account)
            if len(told) == 1:
                raise StorageError("it is locked")

        node.context.at_door = DoorData(forget)
        node.call("account.erase", account=an, confirm="an", reason="x")
        assert not erasure.step(node.context, time.time())
        assert node.call("account.list")["count"] == 2, "another could get its name before the door forgot it"
        while erasure.step(node.context, time.time()):
            pass
        assert told == [an] * 3
        maintenance.bring_back(node.context, time.time())
        assert [row["name"] for row in node.call("account.list")["accounts"]] == ["chủ"]
        receipt = node.call("account.erasure", account=an)
        assert node.call("account.erase", account=an, confirm="an", reason="y", days=30) == receipt
        assert receipt["erased_ms"]
        with pytest.raises(CallError, match="erased here already"):
            node.call("account.unerase", account=an)
        write = {"operations": [{"id": "1", "do": "post", "as": an, "text": "một"}], "whose": "x"}
        assert "is closed" in node.call("bulk.write", **write)["rows"][0]["message"]
        with pytest.raises(CallError, match="give a new one"):
            node.call("account.create", name="an", **words)
        assert node.call("account.create", name="an", hosted=True)["account"] != an


def test_an_account_whose_closing_was_undone_is_not_erased(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="chủ")
        an = node.call("account.create", name="an", hosted=True)["account"]
        uri = node.call("post", text="một", **{"as": an})["uri"]
        node.call("account.erase", account=an, confirm="an", reason="x", days=30)
        node.call("account.recover", account=an, undo=1)
        while erasure.step(node.context, time.time() + 40 * 86_400):
            pass
        assert node.call("store.erasures")["erasures"] == []
        assert node.call("post.get", uri=uri)["text"] == "một"


ERASURE_KILLS = 4 if NIGHT else 1


def _is_erasing(home: Home, account: str, ended: bool) -> bool:
    """Whether the running node has begun it, or ended it."""
    try:
        with ControlClient.from_home(home) as client:
            if ended:
                return client.call("account.erasure", account=account)["erased_ms"] is not None
            return int(client.call("account.list")["count"]) == 1
    except NoNode:
        return False


def test_a_node_that_is_killed_amid_an_erasure_ends_it_and_nothing_erased_is_readable(tmp_path: Path) -> None:
    tries = (_erased_by_lives_that_are_killed(tmp_path / str(n)) for n in range(10))
    assert any(tries), "of ten erasures one was cut off amid its steps"


def _erased_by_lives_that_are_killed(folder: Path) -> int:
    """How many lives of the node ended amid the steps; a busy machine may look too late."""
    folder.mkdir()
    home, said = make_home(folder / "home"), "lời sẽ mất"
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="chủ")
        node.call("post", text="lời ở lại")
        an = node.call("account.create", name="an", hosted=True)["account"]
        ctx, account = node.context, account_from_text(an)
        salt, now = hosted.salt_of(ctx, account), time.time()
        keys = [
            post_key(salt, n.to_bytes(16, "big"), int(now * 1000))
            for n in range((1 + ERASURE_KILLS) * interest.AT_ONCE)
        ]
        append_each(ctx, account, [[write_post(key, Post(f"{said} {n}"))] for n, key in enumerate(keys)], now)
        ctx.store.commit()
        assert found(home.path, said)
        node.call("account.erase", account=an, confirm="an", reason="x")
    amid = 0
    for life in range(ERASURE_KILLS + 1):
        running = forked(folder / "log", "--home", home.path, "up")
        try:
            until = time.monotonic() + 60
            while not _is_erasing(home, an, ended=life == ERASURE_KILLS):
                assert time.monotonic() < until
                time.sleep(0.05)
        finally:
            running.kill()
            running.join(60)
        with open_local(home, load_settings(home)) as node:
            amid += account in node.context.store.leaving()
            assert [post["text"] for post in node.call("feed")["posts"]] == ["lời ở lại"]
            assert node.call("store.verify")["problems"] == []
    assert found(home.path, said) == []
    assert found(home.path, "lời ở lại")
    return amid
