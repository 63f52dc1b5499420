"""Posts from a table, and notes of any ActivityPub server."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from banyan_cli.importing import activitystreams
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.model import Found, Item, Omission
from tests.cli.moving import made
from tests.cli.shell import Ran, banyan


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def bring(home: Path, text: str, *words: object, name: str = "t.csv") -> Ran:
    Path(name).write_text(text, "utf-8", newline="")
    return banyan("import", "csv", name, "--home", home, "--json", *words)


def test_threads_of_any_depth_come_with_a_file_of_their_addresses(home: Path) -> None:
    rows = "".join(f"{n},{n - 1 if n else ''},Tầng {n},{1_600_000_000 + n}\n" for n in range(300))
    rows = "mã,cha,lời,lúc\n" + "".join(reversed(rows.splitlines(keepends=True)))  # answers before what they answer
    words = ("--text", "lời", "--id", "mã", "--parent", "cha", "--time", "lúc", "--uris", "uris.csv")
    told = bring(home, rows, *words)
    assert told.json["table"]["posts"]["came"] == 300, told.err
    with Path("uris.csv").open(encoding="utf-8", newline="") as file:
        uris = {row["id"]: row["uri"] for row in csv.DictReader(file)}
    assert len(uris) == 300
    thread = banyan("thread", uris["0"], "--home", home, "--json").json["posts"]
    assert [p["text"] for p in thread[:50]] == [f"Tầng {n}" for n in range(50)]
    deep = banyan("feed", "--home", home, "--json", "--limit", 1).lines[0]
    assert (deep["uri"], deep["reply_to"], deep["root"]) == (uris["299"], uris["298"], uris["0"])
    again = bring(home, rows + "300,299,Tầng 300,\n", *words).json
    assert (again["table"]["posts"]["came"], again["table"]["posts"]["here"]) == (1, 300)


def test_rows_without_ids_are_known_by_what_they_say(home: Path) -> None:
    assert bring(home, "t\nmột\nhai\n", "--text", "t").json["table"]["posts"]["came"] == 2
    later = bring(home, "t\nmới\nmột\nhai\nhai\n", "--text", "t").json
    assert (later["table"]["posts"]["came"], later["table"]["posts"]["here"]) == (1, 2)
    assert later["left_out"] == {"items that come twice": 1}


def test_two_tables_with_the_same_ids_stay_apart_and_one_under_two_names_can_be_one(home: Path) -> None:
    words = ("--text", "t", "--id", "i")
    assert bring(home, "i,t\n1,a\n", *words, name="a.csv").json["table"]["posts"]["came"] == 1
    assert bring(home, "i,t\n1,b\n", *words, name="b.csv").json["table"]["posts"]["came"] == 1
    assert bring(home, "i\tt\n1\tc\n", *words, "--service", "blog", name="c.tsv").json["table"]["posts"]["came"] == 1
    assert bring(home, "i,t\n1,d\n", *words, "--service", "blog", name="d.csv").json["table"]["posts"]["here"] == 1


def test_bad_rows_are_named_by_their_line_and_the_others_come(home: Path) -> None:
    told = bring(
        home, 'i,t,w\n1,"hai\ndòng",2020-01-01\n,x,\n3,,\n4,y,hôm qua\n5\n', "--text", "t", "--id", "i", "--time", "w"
    )
    assert told.json["table"]["posts"] == {"came": 2, "here": 0, "gone": 0, "left_out": 3}
    with Path(told.json["report"]).open(encoding="utf-8", newline="") as file:
        assert [row["where"] for row in csv.DictReader(file)] == ["t.csv, line 4", "t.csv, line 5", "t.csv, line 7"]
    assert any("today's" in note for note in told.json["notes"])


def test_columns_that_are_not_there_and_parents_without_ids_are_refused(home: Path) -> None:
    ran = bring(home, "a,b\n", "--text", "c")
    assert (ran.code, "has no column 'c'; it has 'a', 'b'" in ran.err + ran.out) == (2, True)
    ran = bring(home, "a,b\n", "--text", "a", "--parent", "b")
    assert (ran.code, "--id must say" in ran.err + ran.out) == (2, True)


# --- ActivityStreams --------------------------------------------------------------------------------------------------


def notes(tmp_path: Path, value: object) -> list[Found]:
    path = tmp_path / "notes.json"
    path.write_bytes(made.dumped(value))
    with open_archive(path, activitystreams.wants) as archive:
        return list(activitystreams.reading(archive).read())


def test_a_collection_of_notes_a_page_of_it_and_one_note_alone_are_read(tmp_path: Path) -> None:
    note = made.create(1, "<p>a</p>")["object"]
    page = {"type": "OrderedCollectionPage", "orderedItems": [note]}
    for value in ([note], {"type": "Collection", "items": [note]}, {"type": "OrderedCollection", "first": page}):
        (one,) = notes(tmp_path, value)
        assert isinstance(one, Item)
        assert (one.id, one.text) == (made.note_uri(1), "a")


def test_an_update_gives_the_last_text_and_a_delete_takes_a_note_away(tmp_path: Path) -> None:
    def update(text: str, hour: int) -> dict[str, object]:
        changed = {"id": made.note_uri(1), "type": "Note", "content": text}
        return {"type": "Update", "published": f"2021-01-01T{hour:02d}:00:00Z", "object": changed}

    gone = {"type": "Delete", "object": {"id": made.note_uri(2), "type": "Tombstone"}}
    first, left = notes(
        tmp_path,
        {"orderedItems": [update("ba", 9), update("hai", 8), made.create(1, "một"), made.create(2, "x"), gone]},
    )
    assert isinstance(first, Item)
    assert (first.text, first.audience) == ("ba", "public")
    assert isinstance(left, Omission)


def test_a_note_that_came_with_mastodon_is_here_already(home: Path, tmp_path: Path) -> None:
    files = made.mastodon(3)
    made.folder(tmp_path / "m", files)
    assert banyan("import", "mastodon", "m", "--home", home).code == 0
    told = banyan("import", "activitystreams", "m/outbox.json", "--home", home, "--json").json
    assert told["table"]["posts"] == {"came": 0, "here": 3, "gone": 0, "left_out": 0}
