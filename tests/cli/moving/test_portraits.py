"""The pictures of a profile come with an archive, once, where none was ever set, and go out with an export."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from banyan_cli.importing.pictures import MISSING, REFUSED
from tests.cli.moving import made
from tests.cli.shell import banyan
from tests.node.pictures import film, photo


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commands run, and write their reports."""
    monkeypatch.chdir(tmp_path)


def jpeg(tmp_path: Path, width: int) -> bytes:
    return photo(tmp_path / f"{width}.jpg", width, 200).read_bytes()


def bring(home: Path, path: Path, *words: object, service: str = "mastodon") -> dict[str, Any]:
    ran = banyan("import", service, path, *words, "--home", home, "--json")
    assert ran.code == 0, ran.err
    told: dict[str, Any] = ran.json
    return told


def portraits(told: dict[str, Any]) -> tuple[int, int, int]:
    """came, here, left out."""
    row = told["table"]["profile pictures"]
    return row["came"], row["here"], row["left_out"]


def pictures(home: Path, *words: object) -> dict[str, Any]:
    found: dict[str, Any] = banyan("profile", "show", *words, "--home", home, "--json").json["pictures"]
    return found


def widths(home: Path, *words: object) -> dict[str, int]:
    """Of each picture its height: the photo of a camera is turned."""
    return {name: row["height"] for name, row in pictures(home, *words).items()}


def image(name: str, told: str | None = None) -> dict[str, Any]:
    """As Mastodon's backup writes it."""
    return {"type": "Image", "mediaType": "image/jpeg", "url": name, **({"name": told} if told else {})}


def mastodon(icon: Any, picture: Any, **files: bytes) -> made.Files:
    actor = {**made.actor(), "icon": icon, "image": picture}
    named = {name.replace("_", "."): raw for name, raw in files.items()}
    return {**made.mastodon(0, [made.create(1, "<p>Chào</p>")]), "actor.json": made.dumped(actor), **named}


@pytest.mark.parametrize("make", [made.zipped, made.tarred, made.folder])
def test_avatar_and_header_of_mastodon_come_once(home: Path, tmp_path: Path, make: Any) -> None:
    files = mastodon(
        image("avatar.jpg", "Em và mèo"),
        image("header.jpg"),
        avatar_jpg=jpeg(tmp_path, 300),
        header_jpg=jpeg(tmp_path, 400),
    )
    path = make(tmp_path / "m", files)
    dry = bring(home, path, "--dry-run")
    assert (portraits(dry), dry["entries"], pictures(home)) == ((2, 0, 0), 0, {})
    assert banyan("media", "list", "--home", home, "--json").lines == []
    told = bring(home, path)
    assert (portraits(told), told["report"]) == ((2, 0, 0), None)
    assert widths(home) == {"avatar": 300, "banner": 400}
    assert pictures(home)["avatar"]["description"] == "Em và mèo"
    blobs = banyan("media", "list", "--home", home, "--json").lines
    again = bring(home, path)
    assert (portraits(again), again["entries"]) == ((0, 2, 0), 0)
    assert banyan("media", "list", "--home", home, "--json").lines == blobs  # when they were last wanted too
    shown = banyan("import", "mastodon", path, "--home", home).out
    assert "profile pictures" in shown


def test_what_was_set_or_taken_away_here_stays_and_no_media_leaves_all_out(home: Path, tmp_path: Path) -> None:
    files = mastodon(
        image("avatar.jpg"), image("header.jpg"), avatar_jpg=jpeg(tmp_path, 300), header_jpg=jpeg(tmp_path, 400)
    )
    path = made.zipped(tmp_path / "m.zip", files)
    told = bring(home, path, "--no-media")
    assert (portraits(told), pictures(home)) == ((0, 0, 2), {})
    assert "Pictures and films were left out (--no-media); the same command without it adds them." in told["notes"]
    mine = photo(tmp_path / "mine.jpg", 500, 100)
    assert banyan("profile", "set", "--avatar", mine, "--no-banner", "--home", home).code == 0
    assert portraits(bring(home, path)) == (0, 2, 0)
    assert widths(home) == {"avatar": 500}


def test_what_cannot_come_is_named_and_the_rest_comes(home: Path, tmp_path: Path) -> None:
    files = mastodon(
        image("avatar.jpg"),
        image("https://files.example/header.jpg"),
        avatar_jpg=film(tmp_path / "f.mp4", 5_000).read_bytes(),
    )
    told = bring(home, made.zipped(tmp_path / "m.zip", files))
    assert (portraits(told), pictures(home)) == ((0, 0, 2), {})
    assert told["left_out"] == {REFUSED: 1, MISSING: 1}
    report = Path("mastodon-left-out.csv").read_text("utf-8")
    assert "is no picture but video/mp4; put a picture instead." in report
    assert f"{MISSING},https://files.example/header.jpg,actor.json" in report
    assert told["table"]["posts"]["came"] == 1


def test_pictures_of_a_twitter_profile_come_by_the_number_of_the_account(home: Path, tmp_path: Path) -> None:
    at = "https://pbs.twimg.com"
    profile = {
        "description": {"bio": "x"},
        "avatarMediaUrl": f"{at}/profile_images/123/hxB9hFTM.jpg",
        "headerMediaUrl": f"{at}/profile_banners/42/1596834705",
    }
    files = {
        **made.twitter([made.tweet(1, "Chào")]),
        "data/profile.js": made.ytd("profile", [{"profile": profile}]),
        "data/profile_media/42-hxB9hFTM.jpg": jpeg(tmp_path, 300),
        "data/profile_media/42-1596834705.jpg": jpeg(tmp_path, 400),
    }
    path = made.zipped(tmp_path / "t.zip", files)
    assert portraits(bring(home, path, service="twitter")) == (2, 0, 0)
    assert widths(home) == {"avatar": 300, "banner": 400}
    assert portraits(bring(home, path, service="twitter")) == (0, 2, 0)
    default = {**profile, "avatarMediaUrl": f"{at}/sticky/default_profile_images/default_profile_normal.png"}
    files["data/profile.js"] = made.ytd("profile", [{"profile": default}])
    banyan("account", "create", "Lan", "--home", home)
    told = bring(home, made.zipped(tmp_path / "u.zip", files), "--as", "Lan", service="twitter")
    assert (portraits(told), told["report"], widths(home, "Lan")) == ((1, 0, 0), None, {"banner": 400})


def test_the_newest_of_facebooks_albums_of_profile_and_cover_pictures_comes(home: Path, tmp_path: Path) -> None:
    def album(name: str, *pictures: tuple[str, int]) -> dict[str, Any]:
        photos = [{"uri": f"your_facebook_activity/posts/media/{n}", "creation_timestamp": at} for n, at in pictures]
        return {"name": name, "photos": photos, "description": ""}

    folder = "your_facebook_activity/posts"
    files = {
        **made.facebook([made.status(1, "Hoa")]),
        f"{folder}/album/0.json": made.mojibake(album("Ảnh đại diện", ("a/old.jpg", 5), ("a/new.jpg", 9))),
        f"{folder}/album/1.json": made.mojibake(album("Cover photos", ("b/wide.jpg", 7))),
        f"{folder}/album/2.json": made.mojibake(album("Đà Lạt", ("c/x.jpg", 8))),
        f"{folder}/media/a/old.jpg": jpeg(tmp_path, 250),
        f"{folder}/media/a/new.jpg": jpeg(tmp_path, 300),
        f"{folder}/media/b/wide.jpg": jpeg(tmp_path, 400),
    }
    path = made.zipped(tmp_path / "f.zip", files)
    told = bring(home, path, "--audience", "public", service="facebook")
    assert (portraits(told), widths(home)) == ((2, 0, 0), {"avatar": 300, "banner": 400})
    assert told["table"]["posts"]["came"] == 2, "one of the old picture, and none of those of the profile"
    assert told["left_out"] == {
        "pictures and films that are not in the archive": 1,
        "posts of pictures alone, none of which comes": 1,
    }


def test_an_export_as_activitystreams_brings_them_back(home: Path, tmp_path: Path) -> None:
    banyan("post", "Chào", "--home", home)
    face = photo(tmp_path / "a.jpg", 300, 200)
    assert banyan("profile", "set", "--avatar", face, "--avatar-alt", "mèo", "--home", home).code == 0
    out = tmp_path / "an.zip"
    who = banyan("profile", "--home", home, "--json").json["account"]
    ran = banyan("export", out, "--account", who, "--format", "activitystreams", "--home", home)
    assert ran.code == 0, ran.err
    banyan("account", "create", "Lan", "--home", home)
    told = bring(home, out, "--as", "Lan")
    assert portraits(told) == (1, 0, 0)
    (row,) = pictures(home, "Lan").values()
    assert (row["description"], row["height"]) == ("mèo", 300)
    assert json.dumps(row)


def test_an_export_as_activitystreams_brings_pictures_of_posts_and_reactions_back(home: Path, tmp_path: Path) -> None:
    cat, sea, out = photo(tmp_path / "c.jpg", 300, 200), film(tmp_path / "s.mp4", 300_000), tmp_path / "an.zip"
    banyan("post", "Biển", "--media", cat, "--alt", "mèo", "--media", sea, "--home", home)
    banyan("post", "Lại biển", "--media", cat, "--home", home)
    (older,) = (post for post in banyan("feed", "--home", home, "--json").lines if post["text"] == "Biển")
    assert banyan("react", older["uri"], "🌸", "--home", home).code == 0
    who = banyan("profile", "--home", home, "--json").json["account"]
    ran = banyan("export", out, "--account", who, "--format", "activitystreams", "--home", home)
    assert ran.code == 0, ran.err
    with zipfile.ZipFile(out) as packed:
        media = [name for name in packed.namelist() if name.startswith("media_attachments/")]
        assert len(media) == len(set(media)) == 2
        (there,) = (name for name in media if name.endswith(".mp4"))
        assert packed.read(there) == sea.read_bytes()
    banyan("account", "create", "Lan", "--home", home)
    told = bring(home, out, "--as", "Lan")
    assert (told["table"]["pictures"]["came"], told["table"]["reactions"]["came"]) == (3, 1)
    brought = {post["text"]: post for post in banyan("feed", "Lan", "--home", home, "--json").lines}  # of one second
    first, again = brought["Biển"], brought["Lại biển"]
    assert [one["description"] for one in first["media"]] == ["mèo", None]
    assert (len(again["media"]), first["reactions"]) == (1, {"🌸": 1})
