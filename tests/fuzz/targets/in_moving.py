"""Archives of other services: zips, JSON as a stream, HTML, and the readers of each service."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

from banyan_cli.errors import BadInput
from banyan_cli.importing import activitystreams, facebook, twitter, youtube
from banyan_cli.importing.archives import Archive, open_archive
from banyan_cli.importing.html_text import text_of
from banyan_cli.importing.model import ArchiveContents, Item
from banyan_cli.importing.streams import REST, Broken, items
from banyan_cli.importing.transfer import survey
from banyan_node.hosting.move_in import MOST_TEXT, split, unfit
from tests.cli.moving import made
from tests.fuzz.mutate import json_value, text
from tests.fuzz.target import Bound, Target
from tests.fuzz.targets.in_node import written

IMPORTING = "banyan_cli.importing."


def _zip(raw: bytes) -> None:
    with open_archive(written("archive.zip", raw), lambda name: True) as archive:
        for name in archive.files:
            assert ".." not in name.split("/")
            with archive.open(name) as stream:
                stream.read(1 << 20)


def _zips() -> list[bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data/outbox.json", b"[]" * 99)
        file.writestr("../x", b"")
    return [out.getvalue()]


def _stream(raw: bytes) -> None:
    """It gives what json gives, where that gives anything."""
    found = list(items(io.BytesIO(raw), "items"))
    ends = [n for n, one in enumerate(found) if isinstance(one, Broken) and one.why.endswith(REST)]
    assert ends in ([], [len(found) - 1])
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return
    if isinstance(value, list) and value == value:  # a NaN equals nothing
        assert found == value


def _html(raw: bytes) -> None:
    shown = text_of(raw.decode("utf-8", "replace"))
    assert "\n\n\n" not in shown
    if unfit(shown) is None:
        assert len(shown.encode()) <= MOST_TEXT
        parts = split(shown, 64)
        assert all(0 < len(part.encode()) <= 64 for part in parts)
        assert "".join("".join(parts).split()) == "".join(shown.split())


def _reader(name: str, reading: Callable[[Archive], ArchiveContents]) -> Callable[[bytes], None]:
    def read(raw: bytes) -> None:
        with open_archive(written(name, raw), lambda found: True) as archive:
            found = reading(archive)
            contents = survey(found)
            assert set(contents.roots) == set(contents.parents) <= contents.ids
            for one in found.read():
                if isinstance(one, Item):
                    one.text.encode()

    return read


def _tweets() -> list[bytes]:
    return [made.ytd("tweets", [made.tweet(1, "a"), made.tweet(2, "b", in_reply_to_status_id_str=made.tweet_id(1))])]


TARGETS = (
    Target(
        "cli.zip",
        _zip,
        (BadInput,),
        _zips,
        (IMPORTING + "archives",),
        text,
        share=3,
        work=Bound(20_000, 100),
        memory=None,
    ),
    Target(
        "cli.json_stream",
        _stream,
        (),
        lambda: [made.dumped({"items": [{"a": "ế"}, 1, "x"]})],
        (IMPORTING + "streams",),
        json_value,
        memory=Bound(4 << 20, 200),
    ),
    Target(
        "cli.html",
        _html,
        (),
        lambda: ['<p>a<br><a href="https://e.org/x">e.org/…</a></p><ul><li>b</ul>&amp;'.encode()],
        (IMPORTING + "html_text", "banyan_node.hosting.move_in"),
        text,
        memory=Bound(1 << 20, 400),
    ),
    Target(
        "cli.activitystreams",
        _reader("outbox.json", activitystreams.reading),
        (BadInput,),
        lambda: [made.dumped([made.create(1, "<p>a</p>"), made.announce(2, "https://e.org/users/b/1")])],
        (IMPORTING + "activitystreams",),
        json_value,
        memory=Bound(4 << 20, 400),
    ),
    Target(
        "cli.twitter",
        _reader("tweets.js", twitter.reading),
        (BadInput,),
        _tweets,
        (IMPORTING + "twitter",),
        json_value,
        memory=Bound(4 << 20, 400),
    ),
    Target(
        "cli.facebook",
        _reader("your_posts_1.json", lambda found: facebook.reading(found, "public")),
        (BadInput,),
        lambda: [made.mojibake([made.status(1, "ế", made.photo("a.jpg", "b"))])],
        (IMPORTING + "facebook",),
        json_value,
        memory=Bound(4 << 20, 400),
    ),
    Target(
        "cli.youtube",
        _reader("comments.csv", youtube.reading),
        (BadInput,),
        lambda: [next(iter(made.youtube().values()))],
        (IMPORTING + "youtube",),
        text,
        memory=Bound(4 << 20, 400),
    ),
)
