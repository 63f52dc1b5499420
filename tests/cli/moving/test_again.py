"""A move that is killed goes on, and what cannot be written is said before anything is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from banyan_crdt.realm import REALMS, TEST
from tests.cli.moving import made
from tests.cli.shell import banyan, forked, node_up
from tests.needs import NIGHT


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("after_s", [0.2, 0.4, 0.8, 1.2] if NIGHT else [0.2, 0.5])
def test_a_move_that_was_killed_goes_on_and_nothing_comes_twice(home: Path, tmp_path: Path, after_s: float) -> None:
    posts = 8_000 if NIGHT else 3_000
    path = made.zipped(tmp_path / "m.zip", made.mastodon(posts))
    child = forked(tmp_path / "log", "import", "mastodon", path, "--home", home)
    time.sleep(after_s)
    child.kill()
    child.join()
    told = banyan("import", "mastodon", path, "--home", home, "--json")
    assert told.code == 0, told.err
    found = told.json["table"]["posts"]
    assert found["came"] + found["here"] == posts
    assert banyan("store", "stats", "--home", home).code == 0
    assert banyan("import", "mastodon", path, "--home", home, "--json").json["table"]["posts"]["here"] == posts
    assert banyan("store", "verify", "--home", home, "--json").json["problems"] == []


def test_a_running_node_takes_a_move_too(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "m.zip", made.mastodon(1_500))
    with node_up(home) as client:
        told = banyan("import", "mastodon", path, "--home", home, "--json")
        assert told.json["table"]["posts"]["came"] == 1_500, told.err
        assert client.call("graph.stats")["posts"] == 1_500


def test_everything_goes_into_the_account_that_is_named(home: Path, tmp_path: Path) -> None:
    banyan("account", "create", "Lan", "--home", home)
    path = made.zipped(tmp_path / "m.zip", made.mastodon(3))
    assert banyan("import", "mastodon", path, "--as", "Lan", "--home", home).code == 0
    assert {p["name"] for p in banyan("feed", "--as", "Lan", "--home", home, "--json").lines} == {"Lan"}
    assert banyan("feed", "--home", home, "--json").lines == []
    assert banyan("import", "mastodon", path, "--as", "nobody", "--home", home).code == 2


def test_links_and_names_that_lead_out_are_named_in_the_report(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "m.zip", {**made.mastodon(1), "../../outbox.json": b"[]"})
    told = banyan("import", "mastodon", path, "--home", home, "--json", "--report", "r.csv").json
    assert "1 files of the archive were not read: links, or names that lead out of it." in told["notes"]
    assert "../../outbox.json" in Path("r.csv").read_text("utf-8")


def test_a_report_that_cannot_be_written_is_said_before_anything_is_written(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "m.zip", made.mastodon(1))
    ran = banyan("import", "mastodon", path, "--home", home, "--report", "no/such/folder.csv")
    assert (ran.code, "cannot be written" in ran.err) == (2, True)
    assert banyan("feed", "--home", home, "--json").lines == []


@pytest.mark.parametrize(
    ("service", "files", "says"),
    [
        ("youtube", {"outbox.json": b"[]", "x.csv": b"a,b\n"}, "use `banyan import mastodon`"),
        ("twitter", {"Takeout/YouTube and YouTube Music/a.csv": b"a\n"}, "use `banyan import youtube`"),
        ("mastodon", {"your_facebook_activity/posts/your_posts_1.json": b"[]"}, "use `banyan import facebook`"),
        ("activitystreams", {"posts/your_posts_1.json": b'[{"timestamp": 1}]'}, "use `banyan import facebook`"),
        ("twitter", {"a.txt": b"x"}, "is no archive of Twitter: expected data/tweets.js; it has a.txt"),
        ("youtube", {"a.csv": b"a,b\n1,2\n"}, "is no archive of Youtube"),
        ("mastodon", {"old/a.zip": b"PK", "b.tar.gz": b"x"}, "holds another archive, b.tar.gz and 1 more: unpack it"),
        ("activitystreams", {"a.zip": b"PK"}, "holds another archive, a.zip: unpack it"),
    ],
)
def test_the_wrong_archive_is_told_the_right_command(
    home: Path, tmp_path: Path, service: str, files: made.Files, says: str
) -> None:
    ran = banyan("import", service, made.zipped(tmp_path / "x.zip", files), "--home", home)
    assert (ran.code, says in ran.err) == (2, True), ran.err


def test_a_table_for_people_says_what_came_and_what_did_not(home: Path, tmp_path: Path) -> None:
    private = made.create(9, "<p>kín</p>", to=[f"{made.ME}/followers"], cc=[])
    path = made.zipped(tmp_path / "m.zip", made.mastodon(3, [private]))
    out = banyan("import", "mastodon", path, "--home", home).out
    assert "Left out: 1 posts that only followers or the people named could see." in out
    assert "mastodon-left-out.csv names what was left out" in out
    assert "Nothing was written." in banyan("import", "mastodon", path, "--dry-run", "--home", home).out


def test_a_log_that_is_full_stops_the_move_with_the_time_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REALMS, "test", replace(TEST, byte_burst=4 << 20))
    home = tmp_path / "home"
    assert banyan("init", "--home", home, "--realm", "test").code == 0
    with Path("much.csv").open("w", encoding="utf-8") as file:
        file.write("id,text\n")
        file.writelines(f"{n},{n} {'x' * 250_000}\n" for n in range(20))
    words = ("import", "csv", "much.csv", "--id", "id", "--text", "text", "--home", home)
    ran = banyan(*words)
    assert (ran.code, "there is room for them from 20" in ran.err) == (1, True)
    came = int(ran.err.partition("Stopped after ")[2].partition(" new posts")[0])
    assert 10 <= came < 17  # 4 MiB
    again = banyan(*words)
    assert (again.code, "Stopped after" in again.err) == (1, False)
    told = banyan(*words, "--dry-run", "--json").json["table"]["posts"]
    assert (told["here"], told["came"]) == (came, 20 - came)


@pytest.mark.parametrize("text", ["only one column\n", "a,\n", ",b\n", "a;b\n"])
def test_a_file_of_people_that_is_none_is_refused_with_its_line(home: Path, tmp_path: Path, text: str) -> None:
    path = made.zipped(tmp_path / "m.zip", made.mastodon(1))
    Path("who.csv").write_text(f"there,here\nx@y.example,Minh\n{text}", "utf-8")
    ran = banyan("import", "mastodon", path, "--accounts", "who.csv", "--home", home)
    assert (ran.code, "who.csv, line 3: expected the name there" in ran.err) == (2, True)
    assert banyan("feed", "--home", home, "--json").lines == []
