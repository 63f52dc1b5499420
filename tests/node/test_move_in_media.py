"""Posts that are moved in with pictures: what is known of them before, how they are added later, and what fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.hosting.move_in import DESCRIPTIONS
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.social import MAX_TEXT
from banyan_schema.social.post import MAX_MEDIA, MAX_TAG, MAX_TAGS, MAX_WARNING
from tests.node.pictures import photo
from tests.node.real import load_settings, make_home


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as opened:
        opened.call("account.create", name="an", hosted=False)
        yield opened


@pytest.fixture
def blob(backend: LocalBackend, tmp_path: Path) -> str:
    return str(backend.call("media.put", path=str(photo(tmp_path / "a.jpg", 300, 200)))["blob"])


def move(backend: LocalBackend, *posts: dict[str, Any], **more: Any) -> list[str]:
    answer = backend.call("move.posts", service="x", posts=list(posts), **more)
    return [row["state"] for row in answer["posts"]]


def known(backend: LocalBackend, *ids: str) -> list[str]:
    found: list[str] = backend.call("move.known", service="x", ids=list(ids))["states"]
    return found


def test_what_is_here_is_known_and_gets_its_pictures_once(backend: LocalBackend, blob: str) -> None:
    row = {"id": "a", "text": "Một #hà", "lang": "vi", "warning": "ồn", "audience": "unlisted", "tags": ["phở"]}
    assert (
        move(backend, row, {"id": "b", "text": "Hai", "parent": "a", "root": "a"}, {"id": "c", "text": "Ba"})
        == ["came"] * 3
    )
    before = backend.call("feed", limit=9)["posts"]
    backend.call("delete", uri=next(p["uri"] for p in before if p["text"] == "Ba"))
    digest = backend.call("digest")
    assert known(backend, "a", "b", "c", "d") == ["bare", "bare", "deleted", "new"]
    assert backend.call("digest") == digest
    media = [{"blob": blob, "description": "  mèo "}]
    with_media = [{"id": i, "text": "another text", "media": media} for i in "aabc"]
    assert move(backend, *with_media, dry=True) == ["added", "here", "added", "deleted"]
    assert backend.call("digest") == digest
    assert move(backend, *with_media) == ["added", "here", "added", "deleted"]
    after = {p["text"]: p for p in backend.call("feed", limit=9)["posts"]}
    for old in (p for p in before if p["text"] != "Ba"):
        new = after[old["text"]]
        assert [item["description"] for item in new["media"]] == ["mèo"]
        kept = ("uri", "time_ms", "lang", "warning", "audience", "tags", "reply")
        assert {key: new[key] for key in kept if key in old} == {key: old[key] for key in kept if key in old}
    assert known(backend, "a", "b") == ["here", "here"]
    assert move(backend, *with_media) == ["here", "here", "here", "deleted"]


def test_a_post_that_was_edited_here_is_left_as_it_is(backend: LocalBackend, blob: str) -> None:
    move(backend, {"id": "a", "text": "Một"})
    (post,) = backend.call("feed")["posts"]
    backend.call("edit", uri=post["uri"], text="của tôi")
    assert known(backend, "a") == ["here"]
    assert move(backend, {"id": "a", "text": "Một", "media": [{"blob": blob}]}) == ["here"]
    assert backend.call("feed")["posts"][0]["media"] == []


def test_a_picture_may_be_all_and_without_one_a_post_needs_words(backend: LocalBackend, blob: str) -> None:
    assert move(
        backend, {"id": "a", "text": " ", "media": [{"blob": blob}]}, {"id": "b", "text": " ", "media": []}
    ) == ["came", "refused"]
    assert [(p["text"], len(p["media"])) for p in backend.call("feed")["posts"]] == [("", 1)]


def test_the_largest_post_fits_and_a_text_that_is_split_shows_its_pictures_once(
    backend: LocalBackend, blob: str
) -> None:
    tags = [f"{n:02d}{'a' * (MAX_TAG - 2)}" for n in range(MAX_TAGS)]
    media = [{"blob": blob, "description": f"{n} {'ă' * 8_000}"} for n in range(MAX_MEDIA)]
    row = {"text": "x" * (2 * MAX_TEXT), "warning": "w" * MAX_WARNING, "tags": tags, "lang": "vi", "media": media}
    assert move(backend, {"id": "a", **row}) == ["came"]
    second, first = sorted(backend.call("feed")["posts"], key=lambda p: -p["time_ms"])
    assert (len(first["media"]), second["media"]) == (MAX_MEDIA, [])
    told = [item["description"] or "" for item in first["media"]]
    assert DESCRIPTIONS - 64 < sum(len(text.encode()) for text in told) <= DESCRIPTIONS
    assert told[0].endswith("…")


def test_a_blob_that_is_not_here_refuses_the_whole_call(backend: LocalBackend) -> None:
    with pytest.raises(CallError, match="is not here"):
        move(backend, {"id": "a", "text": "Một"}, {"id": "b", "text": "Hai", "media": [{"blob": "ab" * 32}]})
    assert known(backend, "a") == ["new"]
