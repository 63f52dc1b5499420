"""Events as apps use them: who may change them, in which order they are listed, and who hears of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.local import open_local
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_groups import App

HOUR = 3_600_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi"):
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def in_hours(hours: float) -> int:
    return int(time.time() * 1000 + hours * HOUR)


def announce(app: App, title: str, hours: float, **more: Any) -> str:
    given = {"begins": in_hours(hours), "zone": "Asia/Ho_Chi_Minh", **more}
    uri: str = app("event.create", title=title, **given)["uri"]
    return uri


def titles(app: App, **more: Any) -> list[str]:
    return [row["title"] for row in app("event.list", **more)["events"]]


def test_events_to_come_are_listed_by_their_beginning_and_what_is_over_is_not(app: App) -> None:
    announce(app, "mai", 24)
    announce(app, "qua", -2.5)
    announce(app, "đang", -2, ends=in_hours(1))
    announce(app, "sớm", 1, by="bình")
    assert titles(app) == ["đang", "mai"]
    app("follow", account="bình")
    assert titles(app) == ["đang", "sớm", "mai"]
    assert titles(app, account="bình") == ["sớm"]
    assert titles(app, since=in_hours(-3)) == ["qua", "đang", "sớm", "mai"]
    found, page = list[str](), app("event.list", limit=1)
    while page["after"]:
        found += [row["title"] for row in page["events"]]
        page = app("event.list", limit=1, after=page["after"])
    assert [*found, *(row["title"] for row in page["events"])] == ["đang", "sớm", "mai"]
    app("block", account="bình")
    assert titles(app) == ["đang", "mai"]


def test_an_event_before_1970_is_shown_and_is_never_to_come(app: App) -> None:
    uri = announce(app, "1945", 0, begins=-767_750_400_000)
    assert app("event.show", event=uri)["begins"] == -767_750_400_000
    assert titles(app) == []
    announce(app, "1969", 0, begins=-1)
    assert titles(app, since=-800_000_000_000) == ["1945", "1969"]


def test_the_last_answer_counts_and_can_be_taken_back(app: App) -> None:
    uri = announce(app, "Tết", 24)
    app("event.reply", event=uri, answer="yes", by="bình")
    app("event.reply", event=uri, answer="maybe", by="chi")
    app("event.reply", event=uri, answer="no", by="bình")
    row = app("event.show", event=uri, by="bình")
    assert (row["answers"], row["mine"]) == ({"yes": 0, "no": 1, "maybe": 1}, "no")
    entry = app("event.reply", event=uri, answer="no", by="bình")["entry"]
    assert app("event.reply", event=uri, answer="no", by="bình")["entry"] == entry, "nothing is written twice"
    assert [one["name"] for one in app("event.replies", event=uri, answer="maybe")["accounts"]] == ["chi"]
    assert titles(app, answered=True, by="chi") == ["Tết"]
    assert titles(app, answered=True, by="bình") == []
    app("block", account="chi")
    assert app("event.replies", event=uri, answer="maybe")["accounts"] == []
    app("event.reply", event=uri, undo=True, by="bình")
    assert app("event.show", event=uri)["answers"] == {"yes": 0, "no": 0, "maybe": 1}


def test_only_its_account_changes_calls_off_and_invites_and_the_invited_hears_of_it(app: App) -> None:
    uri = announce(app, "Tết", 24, place="Hà Nội", latitude=210_285_000, longitude=1_058_542_000)
    app.refused("Only the account that announced 'Tết' changes", "event.set", event=uri, title="x", by="bình")
    app.refused("Only the account that announced 'Tết' invites", "event.invite", event=uri, account="chi", by="bình")
    app("event.set", event=uri, title="Tết Nguyên Đán", place="")
    row = app("event.show", event=uri)
    assert (row["title"], row["place"], row["latitude"]) == ("Tết Nguyên Đán", None, 210_285_000)
    app("event.invite", event=uri, account="chi")
    (told,) = app("notifications", by="chi")["notices"]
    assert (told["kind"], told["event"]["title"]) == ("event_invite", "Tết Nguyên Đán")
    app.refused("Only the account that announced", "event.delete", event=uri, by="bình")
    app("event.reply", event=uri, by="chi")
    app("event.delete", event=uri)
    app.refused("is deleted by its account", "event.reply", event=uri, by="bình")
    assert app("notifications", by="chi")["notices"] == []
    app("event.reply", event=uri, undo=True, by="chi")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"zone": "Asia/Saigonn"}, "'Asia/Saigonn' is no time zone; give a name of IANA's list"),
        ({"zone": "../../etc/passwd"}, "is no time zone"),
        ({"zone": "Asia"}, "'Asia' is no time zone"),
        ({"zone": "localtime"}, "'localtime' is no time zone"),
        ({"title": " "}, "The title of the event is empty"),
        ({"ends": 0}, "The event ends before it begins"),
        ({"latitude": 5}, "A latitude needs a longitude"),
        ({"begins": 1 << 60}, "event.create takes 'begins' as a time"),
    ],
    ids=str,
)
def test_bad_events_are_refused_in_a_sentence(app: App, given: dict[str, Any], says: str) -> None:
    app.refused(says, "event.create", **{"title": "x", "begins": in_hours(1), "zone": "UTC", **given})


def test_a_group_shows_the_events_of_its_members(app: App) -> None:
    group = app.group()
    app.refused("is no member", "event.create", title="x", begins=0, zone="UTC", group=group, by="bình")
    app("group.join", group=group, by="bình")
    uri = announce(app, "họp", 2, group=group, by="bình")
    announce(app, "riêng", 1, by="bình")
    assert titles(app, group=group) == ["họp"]
    assert app("event.show", event=uri)["group"]["name"] == "Vườn"
    app("group.remove", uri=uri)
    assert titles(app, group=group) == []
    assert titles(app, account="bình") == ["riêng", "họp"], "it stays with its account"
    app("group.remove", uri=uri, undo=True)
    app("group.ban", group=group, account="bình")
    assert titles(app, group=group) == []
    app.refused("'account', 'group' and 'answered' exclude", "event.list", group=group, answered=True)


async def test_two_nodes_show_an_event_alike(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        an = (await a.backend.call("account.create", {"name": "an"}))["account"]
        await b.backend.call("account.create", {"name": "bình"})
        await b.backend.call("follow", {"account": an})
        given = {"title": "Tết", "begins": in_hours(24), "zone": "Asia/Ho_Chi_Minh"}
        event = (await a.backend.call("event.create", given))["uri"]
        await converged([a, b])
        await b.backend.call("event.reply", {"event": event})
        await converged([a, b])
        for node in (a, b):
            (row,) = (await node.backend.call("event.list", {}))["events"]
            assert (row["uri"], row["answers"]["yes"]) == (event, 1)
