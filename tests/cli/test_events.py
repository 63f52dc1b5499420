"""`banyan event` without a running node: times in the clock of a zone, places in degrees."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_cli import errors
from tests.cli.shell import Ran, banyan


def _ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_an_event_from_its_announcement_to_its_end(home: Path) -> None:
    def run(*words: str) -> Ran:
        return _ok(banyan("--home", home, *words))

    run("account", "create", "Lan")
    told = ("--begins", "2099-02-17 19:30", "--ends", "2099-02-17 22:00", "--zone", "Asia/Ho_Chi_Minh")
    uri = run("event", "create", "Tết", *told, "--place", "Hà Nội", "--at", "21.0285,-105.8542", "--json").json["uri"]
    row = run("event", "show", "Tết", "--json").json
    assert (row["begins"], row["ends"] - row["begins"]) == (4_075_014_600_000, 9_000_000)
    assert (row["latitude"], row["longitude"]) == (210_285_000, -1_058_542_000)
    shown = run("event", "show", uri[-8:]).out
    for word in (
        "Tue 17 Feb 2099 19:30 +07, 2 h  Asia/Ho_Chi_Minh",
        "place: Hà Nội",
        "at 21.02850,-105.85420",
        "0 yes",
    ):
        assert word in shown
    run("event", "invite", "Tết", "Lan")
    assert "invited you to Tết" in run("notifications", "--as", "Lan").out
    assert run("event", "answer", uri, "maybe", "--as", "Lan").out == "You said maybe to Tết.\n"
    assert [row["name"] for row in run("event", "replies", uri, "maybe", "--json").lines] == ["Lan"]
    assert [row["mine"] for row in run("event", "ls", "--mine", "--as", "Lan", "--json").lines] == ["maybe"]
    run("event", "answer", uri, "--undo", "--as", "Lan")
    run("event", "set", "Tết", "--begins", "2099-02-17 18:00", "--title", "Tết Kỷ Mùi")
    assert "18:00 +07" in run("event", "ls").out
    assert banyan("--home", home, "event", "delete", uri).code == errors.USAGE
    run("event", "delete", uri, "--yes")
    assert run("event", "ls").err.startswith("No events to come")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--begins", "mai", "--zone", "UTC"), "--begins is 'mai'; write, for example, '2026-12-24 19:00'"),
        (("--begins", "2026-W01", "--zone", "UTC"), "--begins is '2026-W01'"),
        (("--begins", "2026-12-24 19:00+07:00", "--zone", "UTC"), "--begins is '2026-12-24 19:00+07:00'"),
        (("--begins", "2026-12-24", "--zone", "Hanoi"), "'Hanoi' is no time zone"),
        (("--begins", "2026-03-29 02:30", "--zone", "Europe/Berlin"), "there is no '2026-03-29 02:30', because the"),
        (("--begins", "2026-12-24", "--zone", "UTC", "--at", "91,0"), "--at is '91,0'"),
        (("--begins", "2026-12-24", "--zone", "UTC", "--at", "x"), "--at is 'x'"),
    ],
)
def test_times_and_places_that_are_none_are_refused(home: Path, words: tuple[str, ...], says: str) -> None:
    ran = banyan("--home", home, "event", "create", "x", *words)
    assert ran.code in (errors.USAGE, errors.FAILED)
    assert says in ran.err
