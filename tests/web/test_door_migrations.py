"""A `door.db` of an earlier version: what it remembers is there after it is opened, also if that was interrupted."""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from banyan_storage.errors import StoreVersion
from banyan_web.door_store import MIGRATIONS, DoorStore
from banyan_web.firehose.requests import consumers_of
from banyan_web.mastodon import compose_store, link_cards
from banyan_web.mastodon.compose_store import INTERRUPTED, posting, upload
from banyan_web.mastodon.push import subscriptions
from banyan_web.oauth import apps, logins
from banyan_web.platform import webhooks
from tests.forking import started
from tests.needs import NIGHT

AN = "did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH"
OF_AN, OF_PLATFORM, OF_APP, CODE, SESSION, LINK = (f"secret-{n}" for n in (1, 3, 8, 10, 11, 12))
READ, WHOLE, POSTED, REFUSED, FAILED = (f"41024448{n:042d}" for n in range(1, 6))
OPERATIONS = 40
"""Of SQLite's machine, between two places where a process is killed."""


def old_file(folder: Path) -> Path:
    path = folder / "door.db"
    db = apsw.Connection(str(path))
    db.execute(Path(__file__).with_name("door_95f9db67.sql").read_text("utf-8"))
    db.close()
    return path


def rows(path: Path) -> dict[str, list[Any]]:
    """Of each table."""
    db = apsw.Connection(str(path))
    tables = [str(name) for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
    found = {table: sorted(db.execute(f"select * from {table}"), key=repr) for table in tables}
    db.close()
    return found


def version(path: Path) -> int:
    db = apsw.Connection(str(path))
    found = next(iter(db.execute("pragma user_version")))[0]
    db.close()
    return int(found)


def test_a_file_of_the_first_version_keeps_tokens_logins_uploads_and_subscriptions(tmp_path: Path) -> None:
    path = old_file(tmp_path)
    assert version(path) == 1
    before = rows(path)
    door = DoorStore(path)
    assert version(path) == len(MIGRATIONS)
    after = rows(path)
    changed = {"uploads", "defaults", "reading", "posted", "sealed", "writings"}
    assert {name: after.get(name) for name in before.keys() - changed} == {
        name: before[name] for name in before.keys() - changed
    }
    assert after.keys() == before.keys() - changed | {"uploads", "defaults"}

    scopes = {raw: token.scopes for raw in (OF_AN, OF_PLATFORM, OF_APP) if (token := door.token(raw)) is not None}
    assert scopes == {OF_AN: ("read", "write"), OF_PLATFORM: ("host", "write"), OF_APP: ("read", "push")}
    app = apps.app_with(door, "secret-5", "secret-6")
    assert app is not None
    redeemed = apps.redeem(door, app, CODE, "https://tuba/cb", None)
    assert redeemed is not None
    assert door.token(redeemed[0]) is not None
    person = logins.Person(AN, "An")
    assert logins.who(door, "An", "xin chào, An ơi") == person
    assert logins.session(door, SESSION) == person
    assert logins.use_link(door, LINK) is not None
    assert compose_store.defaults_of(door, AN) == compose_store.Defaults("unlisted", True, "vi")

    uploads = {id_: upload(door, id_) for id_ in (READ, WHOLE, POSTED, REFUSED, FAILED)}
    assert {id_: (one.failed, one.made is not None, one.posted) for id_, one in uploads.items() if one is not None} == {
        READ: (None, False, False),
        WHOLE: (None, True, False),
        POSTED: (None, True, True),
        REFUSED: (None, True, False),
        FAILED: ("It is no picture.", False, False),
    }
    with door.writing() as db:
        db.execute("update uploads set read_until = 1 where id = ?", (READ,))
    read, whole = upload(door, READ), upload(door, WHOLE)
    assert read is not None
    assert read.failed == INTERRUPTED
    assert whole is not None
    assert (whole.description, whole.focus) == ("hoa sen", (0.5, -0.25))
    with posting(door, AN, [WHOLE]):
        pass
    assert upload(door, WHOLE) == whole._replace(posted=True)

    told = subscriptions.of_token(door, "0000000000000009")
    assert told is not None
    assert (told.endpoint, told.sealed, told.wish.alerts) == (
        "https://push.example/1",
        b"sealed token",
        {"mention": True},
    )
    assert [(hook.id, hook.owner, hook.url, hook.cursor) for hook in webhooks.every(door)] == [
        ("00aa", " lotus", "https://lotus/hook", "cursor1")
    ]
    assert [(one.name, one.cursor) for one in consumers_of(door, AN)] == [("reader", f"b1.{'0' * 32}.7")]
    card = link_cards.card(door, "https://example.org/")
    assert card is not None
    assert card.said == {"title": "Một trang"}
    door.close()


def open_until(path: Path, place: int) -> None:
    """Opens the file in a process that ends by SIGKILL at this place: before a statement, or within one."""
    places = count()

    def go_on() -> bool:
        if next(places) == place:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    def watch(db: apsw.Connection) -> None:
        db.exec_trace = lambda *_: go_on()
        db.set_progress_handler(lambda: not go_on(), OPERATIONS)

    apsw.connection_hooks.append(watch)
    DoorStore(path).close()


@pytest.mark.parametrize("old", [False, True])
def test_a_process_that_is_killed_amid_the_steps_leaves_a_version_and_the_next_one_goes_on(
    tmp_path: Path, old: bool
) -> None:
    (tmp_path / "whole").mkdir()
    whole = old_file(tmp_path / "whole") if old else tmp_path / "whole" / "door.db"
    DoorStore(whole).close()
    wanted, left, by = rows(whole), set[int](), 1 if NIGHT else 3
    for place in count(0, by):
        folder = tmp_path / str(place)
        folder.mkdir()
        path = old_file(folder) if old else folder / "door.db"
        before = rows(path)
        process = started(open_until, path, place)
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        if (found := version(path)) == int(old):
            assert rows(path) == before
        left.add(found)
        DoorStore(path).close()
        assert rows(path) == wanted
    assert left == {*range(int(old), len(MIGRATIONS) + 1)}


def test_a_file_of_a_newer_version_is_refused_in_one_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    path, newer = tmp_path / "door.db", len(MIGRATIONS) + 1
    DoorStore(path).close()
    db = apsw.Connection(str(path))
    db.execute(f"create table of_tomorrow (x); pragma user_version = {newer}")
    db.close()
    before = rows(path)
    with pytest.raises(StoreVersion) as refused:
        DoorStore(path)
    assert str(refused.value) == (
        f"{path} is of version {newer}, and this banyan reads versions up to {newer - 1}: start the newer one that "
        "wrote it, or put back a copy from before."
    )
    assert (rows(path), version(path)) == (before, newer)
