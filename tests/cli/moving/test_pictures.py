"""Pictures and films of an archive come with their posts, once, and what cannot come is named."""

from __future__ import annotations

import csv
import io
import os
import signal
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from banyan_cli.errors import Failed
from banyan_cli.importing.archives import Archive, open_archive
from banyan_cli.importing.pictures import (
    AHEAD,
    MANY,
    MISSING,
    MOST_OF_A_POST,
    PREFIX,
    REFUSED,
    AttachmentFiles,
    UploadQueue,
    copies,
)
from banyan_node.operator_errors import CallError
from tests.cli.moving import made
from tests.cli.shell import Ran, banyan, node_up
from tests.forking import CLI, Code, forked
from tests.node.pictures import PLACE, bomb, film, photo

MEDIA = "media_attachments/files"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, and a folder where the commands run."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    forkserver.ensure_running()  # it has a folder of its own
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)
    return folder


def attachment(name: str, told: str | None = None) -> dict[str, Any]:
    return {"type": "Document", "mediaType": "image/jpeg", "url": f"/{MEDIA}/{name}", "name": told}


def jpeg(tmp_path: Path, width: int = 300, height: int = 200) -> bytes:
    return photo(tmp_path / "one.jpg", width, height).read_bytes()


def album(tmp_path: Path, posts: int) -> made.Files:
    """So many posts of Mastodon, each with a picture of its own."""
    files = {f"{MEDIA}/{n}/p.jpg": jpeg(tmp_path, 120 + n, 80) for n in range(posts)}
    said = [made.create(n, f"<p>Ảnh {n}</p>", attachment=[attachment(f"{n}/p.jpg", f"số {n}")]) for n in range(posts)]
    return {**made.mastodon(0, said), **files}


def bring(home: Path, *words: object, service: str = "mastodon") -> dict[str, Any]:
    ran = banyan("import", service, *words, "--home", home, "--json")
    assert ran.code == 0, ran.err
    told: dict[str, Any] = ran.json
    return told


def pictures(told: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """came, added, here, gone, left out."""
    row = told["table"]["pictures"]
    return row["came"], told["table"]["pictures added"]["came"], row["here"], row["gone"], row["left_out"]


def feed(home: Path) -> list[dict[str, Any]]:
    posts: list[dict[str, Any]] = banyan("feed", "--home", home, "--json", "--limit", 500).lines
    return posts


def left_out() -> list[tuple[str, str, str]]:
    with Path("mastodon-left-out.csv").open(encoding="utf-8", newline="") as file:
        return [(why, what, where) for why, what, where in list(csv.reader(file))[1:]]


@pytest.mark.parametrize("make", [made.zipped, made.tarred, made.folder])
def test_pictures_come_in_their_order_with_descriptions_and_without_what_the_camera_noted(
    home: Path, tmp_path: Path, temporary: Path, make: Any
) -> None:
    cat, sea = photo(tmp_path / "cat.jpg").read_bytes(), film(tmp_path / "sea.mp4", 300_000).read_bytes()
    assert PLACE in cat
    said = [
        made.create(
            1, "<p>Nghỉ hè #biển</p>", attachment=[attachment("1/cat.jpg", "Một con mèo"), attachment("2/s.mp4")]
        ),
        made.create(2, "", attachment=[attachment("1/cat.jpg")]),
    ]
    files = {**made.mastodon(0, said), f"{MEDIA}/1/cat.jpg": cat, f"{MEDIA}/2/s.mp4": sea}
    told = bring(home, make(tmp_path / "m", files))
    assert (pictures(told), told["report"]) == ((3, 0, 0, 0, 0), None)
    assert "Films and sounds (1) came as they are, with all that was written into them." in told["notes"]
    alone, both = feed(home)
    assert (alone["text"], len(alone["media"]), both["text"]) == ("", 1, "Nghỉ hè #biển")
    first, second = both["media"]
    assert (first["description"], second["description"]) == ("Một con mèo", None)
    assert (first["type"], first["width"], first["height"], second["type"]) == ("image/jpeg", 960, 1280, "video/mp4")
    assert first["blurhash"]
    assert first["preview"]
    assert alone["media"][0]["blob"] == first["blob"]
    with node_up(home) as client:
        raw = b64decode(client.call("media.read", blob=first["blob"], length=1 << 20)["data"])
    assert PLACE not in raw
    assert not Image.open(io.BytesIO(raw)).getexif()
    assert list(temporary.iterdir()) == []


def test_again_nothing_comes_twice_and_no_picture_is_put_again(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "m.zip", album(tmp_path, 3))
    dry = bring(home, path, "--dry-run")
    assert (pictures(dry), dry["entries"], feed(home)) == ((3, 0, 0, 0, 0), 0, [])
    assert banyan("media", "list", "--home", home, "--json").lines == []
    bring(home, path)
    posts, blobs = feed(home), banyan("media", "list", "--home", home, "--json").lines
    banyan("delete", posts[0]["uri"], "--home", home)
    again = bring(home, path)
    assert (pictures(again), again["entries"]) == ((0, 0, 2, 1, 0), 0)
    assert banyan("media", "list", "--home", home, "--json").lines == blobs  # when they were last wanted too
    assert feed(home) == posts[1:]


@pytest.mark.parametrize("make", [made.zipped, made.tarred, made.folder])
def test_a_dry_run_counts_what_cannot_be_posted_as_the_import_does(home: Path, tmp_path: Path, make: Any) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"x" * 99
    shown = [attachment("1/good.jpg"), attachment("1/new.HEIC"), attachment("1/none.jpg")]
    files = {
        **made.mastodon(0, [made.create(1, "<p>ba ảnh</p>", attachment=shown)]),
        f"{MEDIA}/1/good.jpg": photo(tmp_path / "g.jpg").read_bytes(),
        f"{MEDIA}/1/new.HEIC": heic,
        f"{MEDIA}/1/none.jpg": b"",
    }
    path = make(tmp_path / "m", files)
    dry = bring(home, path, "--dry-run", "--report", tmp_path / "dry.csv")
    assert "HEIC cannot be posted" in (tmp_path / "dry.csv").read_text()
    assert "it is empty" in (tmp_path / "dry.csv").read_text()
    told = bring(home, path)
    assert pictures(dry) == pictures(told) == (1, 0, 0, 0, 2)
    assert dry["left_out"] == told["left_out"]


def test_pictures_are_added_later_to_posts_that_came_without_them_and_were_not_edited_here(
    home: Path, tmp_path: Path
) -> None:
    path = made.zipped(tmp_path / "m.zip", album(tmp_path, 4))
    first = bring(home, path, "--no-media")
    assert pictures(first) == (0, 0, 0, 0, 4)
    assert "Pictures and films were left out (--no-media); the same command without it adds them." in first["notes"]
    mine, gone, *_ = before = feed(home)
    assert banyan("edit", mine["uri"], "của tôi", "--home", home).code == 0
    assert banyan("delete", gone["uri"], "--home", home).code == 0
    assert pictures(bring(home, path, "--dry-run")) == (0, 2, 1, 1, 0)
    told = bring(home, path)
    assert (pictures(told), told["table"]["posts"]) == (
        (0, 2, 1, 1, 0),
        {"came": 0, "here": 3, "gone": 1, "left_out": 0},
    )
    edited, *after = feed(home)
    assert (edited["text"], edited["media"]) == ("của tôi", [])
    for old, new in zip(before[2:], after, strict=True):
        assert {key for key in new if new[key] != old[key]} <= {"media", "edited", "edited_ms", "edits"}
        assert len(new["media"]) == 1
    again = bring(home, path)
    assert (pictures(again), again["entries"]) == ((0, 0, 3, 1, 0), 0)


def test_what_cannot_come_is_named_with_its_place_and_the_post_comes(home: Path, tmp_path: Path) -> None:
    good = jpeg(tmp_path)
    files = {
        f"{MEDIA}/1/cut.jpg": good[: len(good) // 2],
        f"{MEDIA}/2/bomb.png": bomb(tmp_path / "b.png").read_bytes(),
        f"{MEDIA}/3/text.jpg": b"no picture at all",
        f"{MEDIA}/4/good.jpg": good,
    }
    names = ["1/cut.jpg", "2/bomb.png", "3/text.jpg", "9/lost.jpg", "4/good.jpg"]
    said = [
        made.create(1, "<p>Năm ảnh</p>", attachment=[attachment(name) for name in names]),
        made.create(2, "", attachment=[attachment("3/text.jpg", "có lời"), attachment("9/lost.jpg")]),
        made.create(3, "", attachment=[attachment("4/good.jpg")] * (MOST_OF_A_POST + 1)),
    ]
    path = made.zipped(tmp_path / "m.zip", {**made.mastodon(0, said), **files})
    told = bring(home, path)
    assert pictures(told) == (1 + MOST_OF_A_POST, 0, 0, 0, 7)
    assert told["left_out"] == {REFUSED: 4, MISSING: 2, MANY: 1}
    assert told["table"]["posts"] == {"came": 3, "here": 0, "gone": 0, "left_out": 0}
    many, words, five = feed(home)
    assert (len(many["media"]), len(five["media"]), words["media"]) == (MOST_OF_A_POST, 1, [])
    assert words["text"] == "có lời"
    rows = left_out()
    assert rows[1][:2] == (REFUSED, f"{MEDIA}/2/bomb.png")
    assert rows[1][2] == (
        "outbox.json, item 1: The file 'bomb.png' has 50,000 x 50,000 pixels; at most 100 million are decoded."
    )
    assert (MISSING, f"{MEDIA}/9/lost.jpg", "outbox.json, item 1") in rows


def test_a_damaged_file_of_the_archive_and_one_that_is_a_bomb_cost_their_pictures_alone(
    home: Path, tmp_path: Path
) -> None:
    path = made.zipped(tmp_path / "m.zip", {**album(tmp_path, 2), f"{MEDIA}/0/p.jpg": b"\0" * (80 << 20)})
    told = bring(home, path)
    assert (pictures(told), len(feed(home))) == ((1, 0, 0, 0, 1), 2)
    assert "bytes unpack to" in left_out()[0][2]
    damaged = bytearray(made.zipped(tmp_path / "d.zip", album(tmp_path, 1)).read_bytes())
    at = damaged.index(b"p.jpg")
    damaged[at + 60 : at + 64] = b"\0\1\2\3"
    (tmp_path / "d.zip").write_bytes(damaged)
    banyan("account", "create", "Lan", "--home", home)
    told = bring(home, tmp_path / "d.zip", "--as", "Lan")
    assert (pictures(told), told["table"]["posts"]["came"]) == ((0, 0, 0, 0, 1), 1)
    assert "is damaged" in left_out()[0][2]


def test_without_room_what_came_stays_and_the_next_run_goes_on(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "m.zip", album(tmp_path, 6))
    config = home / "config.toml"
    before = config.read_text("utf-8") if config.exists() else ""
    config.write_text(f'{before}\n[media]\nmax_bytes = "4 kB"\n', "utf-8")
    ran = banyan("import", "mastodon", path, "--home", home)
    assert ran.code == 1
    assert "media.max_bytes allows" in ran.err
    assert "Raise it, or drop some (`banyan media list`)." in ran.err
    came = len(feed(home))
    assert 0 < came < 6
    assert f"Stopped after {came} new posts; the same command goes on from there." in ran.err
    assert all(len(post["media"]) == 1 for post in feed(home))
    config.write_text(before, "utf-8")
    assert pictures(bring(home, path)) == (6 - came, 0, came, 0, 0)


@pytest.mark.parametrize("make", [made.zipped, made.tarred])
def test_a_disk_that_takes_no_copy_stops_the_import_with_a_sentence(
    home: Path, tmp_path: Path, temporary: Path, make: Any
) -> None:
    large = film(tmp_path / "f.mp4", 8 << 20).read_bytes()
    said = [made.create(1, "<p>Một</p>"), made.create(2, "<p>Phim</p>", attachment=[attachment("1/f.mp4")])]
    path = make(tmp_path / "m.x", {**made.mastodon(0, said), f"{MEDIA}/1/f.mp4": large})
    most = 6 << 20
    small = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most})); sys.stderr = sys.stdout"
    )
    code, said_there = Code(f"{small}; {CLI}", "import", "mastodon", path, "--home", home).end()
    assert (code, "cannot take a temporary file (File too large); free some room" in said_there) == (1, True)
    assert [post["text"] for post in feed(home)] == ["Một"]
    assert list(temporary.iterdir()) == []
    assert pictures(bring(home, path)) == (1, 0, 0, 0, 0)


def test_an_import_that_was_killed_goes_on_and_its_copies_are_removed(
    home: Path, tmp_path: Path, temporary: Path
) -> None:
    posts = 50
    path = made.zipped(tmp_path / "m.zip", album(tmp_path, posts))
    child = forked(tmp_path / "log", "import", "mastodon", path, "--home", home)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list((home / "blobs").glob("??/*.list"))) < 44:
        time.sleep(0.02)
    child.kill()
    child.join()
    assert len(list(temporary.glob(PREFIX + "*"))) == 1
    told = bring(home, path)
    came, _, here, *rest = pictures(told)
    assert (came + here, rest) == (posts, [0, 0])
    assert here >= 32
    assert list(temporary.iterdir()) == []
    assert sum(len(post["media"]) for post in feed(home)) == len(feed(home)) == posts
    assert banyan("store", "verify", "--home", home, "--json").json["problems"] == []


def test_an_import_that_a_person_stops_says_what_came_and_goes_on_when_it_is_run_again(
    home: Path, tmp_path: Path, temporary: Path
) -> None:
    posts = 120  # enough that it is not done when it is stopped
    path = made.zipped(tmp_path / "m.zip", album(tmp_path, posts))
    child = forked(tmp_path / "log", "import", "mastodon", path, "--home", home)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list((home / "blobs").glob("??/*.list"))) < 44:
        time.sleep(0.02)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    child.join(60)
    said = (tmp_path / "log").read_text("utf-8")
    assert child.exitcode == 130
    assert "Stopped after 32 new posts; the same command goes on from there." in said
    assert list(temporary.iterdir()) == []
    assert len(feed(home)) == 32
    came, _, here, *rest = pictures(bring(home, path))
    assert (came, here, rest) == (posts - 32, 32, [0, 0])
    assert [post["text"] for post in feed(home)] == [f"Ảnh {n}" for n in reversed(range(posts))]
    assert not [name for name in os.listdir(home / "blobs") if len(name) != 2]


class Slow:
    """Answers a put only when it is waited for, and knows how many were begun by then."""

    def __init__(self, refused: str = "") -> None:
        self.refused, self.begun, self.waiting = refused, list[str](), list[int]()

    def call(self, method: str, **params: Any) -> Any:
        raise AssertionError(method)

    def begin(self, method: str, **params: Any) -> Callable[[], Any]:
        copy = Path(params["path"])
        self.begun.append(copy.read_text())

        def wait() -> dict[str, str]:
            self.waiting.append(len(self.begun))
            if copy.read_text() == self.refused:
                raise CallError("bad_request", "It is refused.")
            return {"blob": copy.read_text()}

        return wait


@contextmanager
def ahead(tmp_path: Path, backend: Slow, files: made.Files) -> Iterator[UploadQueue]:
    with open_archive(made.folder(tmp_path / "files", files), lambda name: False) as archive, copies() as folder:
        put = UploadQueue(backend, AttachmentFiles(archive, files), folder)
        put.expect(files)
        yield put
        assert list(folder.iterdir()) == []


def test_pictures_are_put_before_it_is_their_turn_a_few_at_a_time_and_in_order(tmp_path: Path) -> None:
    names = [f"{n}/p.jpg" for n in range(7)]
    slow = Slow()
    with ahead(tmp_path, slow, {name: name.encode() for name in names}) as put:
        assert [put.take(name)["blob"] for name in names] == slow.begun == names
    assert slow.waiting == [AHEAD, 5, 6, 7, 7, 7, 7]


def test_a_picture_that_was_not_expected_is_put_when_it_is_asked_for(tmp_path: Path) -> None:
    with ahead(tmp_path, Slow(), {"a": b"a", "b": b"b", "c": b"c"}) as put:
        put.expect(["b"])
        assert [put.take(name)["blob"] for name in ("c", "b", "a")] == ["c", "b", "a"]


def test_what_is_wrong_with_a_picture_is_said_when_it_is_its_turn(tmp_path: Path) -> None:
    slow = Slow("b")
    with ahead(tmp_path, slow, {"a": b"a", "b": b"b", "c": b"c"}) as put:
        assert put.take("a")["blob"] == "a"
        with pytest.raises(CallError, match="It is refused"):
            put.take("b")
        assert put.take("c")["blob"] == "c"


def test_behind_a_large_film_nothing_is_copied_before_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_cli.importing.pictures.AHEAD_BYTES", 3)
    slow = Slow()
    with ahead(tmp_path, slow, {"a": b"a", "film": b"film", "b": b"b"}) as put:
        for name in ("a", "film", "b"):
            put.take(name)
    assert slow.waiting == [2, 2, 3]


def test_where_the_disk_takes_one_copy_only_the_next_is_made_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, whole = Slow(), AttachmentFiles.copied

    @contextmanager
    def narrow(self: AttachmentFiles, name: str, folder: Path) -> Iterator[Path]:
        if any(folder.iterdir()):
            raise Failed("no room")
        with whole(self, name, folder) as copy:
            yield copy

    monkeypatch.setattr(AttachmentFiles, "copied", narrow)
    with ahead(tmp_path, slow, {"a": b"a", "b": b"b", "c": b"c"}) as put:
        assert [put.take(name)["blob"] for name in ("a", "b", "c")] == ["a", "b", "c"]
    assert slow.waiting == [1, 2, 3]


def test_a_running_node_takes_them_and_a_copy_of_another_import_that_runs_stays(
    home: Path, tmp_path: Path, temporary: Path
) -> None:
    path = made.zipped(tmp_path / "m.zip", album(tmp_path, 3))
    with node_up(home) as client, copies() as other:
        assert pictures(bring(home, path)) == (3, 0, 0, 0, 0)
        assert list(temporary.iterdir()) == [other]
        (row,) = client.call("feed", limit=1)["posts"]
        assert len(row["media"]) == 1


def test_pictures_of_twitter_and_facebook_come_too(home: Path, tmp_path: Path) -> None:
    raw = jpeg(tmp_path)
    media = [{"url": "https://t.co/p", "media_url_https": "https://pbs.twimg.com/media/E1.jpg", "type": "photo"}]
    tweets = [made.tweet(1, "Chào https://t.co/p", extended_entities={"media": media})]
    name = f"{made.tweet_id(1)}-E1.jpg"
    for folder, who in (("tweets_media", "Minh"), ("tweet_media", "Lan")):
        banyan("account", "create", who, "--home", home)
        path = made.zipped(tmp_path / "t.zip", {**made.twitter(tweets), f"data/{folder}/{name}": raw})
        assert pictures(bring(home, path, "--as", who, service="twitter")) == (1, 0, 0, 0, 0)
    posts = [made.status(1, "Hoa", made.photo("hoa.jpg", "Hoa sữa")), made.status(2, None, made.photo("hoa.jpg"))]
    at = "facebook-an/your_facebook_activity/posts/media/Nnhangay_x/hoa.jpg"
    path = made.zipped(tmp_path / "f.zip", {**made.facebook(posts), at: raw})
    assert pictures(bring(home, path, "--audience", "public", service="facebook")) == (2, 0, 0, 0, 0)


def test_a_path_finds_its_file_and_no_other() -> None:
    names = ["x/media/1/a.jpg", "x/media/2/a.jpg", "a.jpg", "x/m/ố.jpg", "b c/d e.png"]
    paths = {
        "x/media/1/a.jpg": "x/media/1/a.jpg",
        "media/2/a.jpg": "x/media/2/a.jpg",
        "https://files.example/x/media/1/a.jpg?v=2": "x/media/1/a.jpg",
        "https://other.example/a.jpg": "a.jpg",
        "https://other.example/y/a.jpg": None,
        "media/a.jpg": None,
        "m/o\u0302\u0301.jpg": "x/m/ố.jpg",
        "b%20c/d%20e.png": "b c/d e.png",
        "": None,
        "/": None,
    }
    attached = AttachmentFiles(Archive("a.zip", {}, frozenset(names)), paths)
    assert {path: attached.find(path) for path in paths} == paths


def test_the_help_names_the_option(home: Path) -> None:
    ran: Ran = banyan("import", "mastodon", "--help")
    assert "--no-media" in ran.out
