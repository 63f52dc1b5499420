"""One account, taken out: as an archive, as ActivityStreams, as a site."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY
from banyan_node.exporting import site
from banyan_node.exporting.activitystreams import CONTEXT
from banyan_node.exporting.sinks import draft_of
from banyan_node.home import settings
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.media import Media
from banyan_schema.social import Post, post_key, write_post
from banyan_schema.social.post import Poll
from banyan_storage import archive
from banyan_storage.archive import export_archive
from tests.forking import Code
from tests.needs import on_own_disk
from tests.node.real import make_home

HOSTILE = "<script>alert(1)</script>\" onload='x' &amp; </div> \x1b[2J\x00 \u202eabc ]]> <!-- 🌳"
BLOB = bytes(range(32))
_TERMS = (
    "@context id type actor object to cc published orderedItems totalItems content contentMap source mediaType summary "
    "inReplyTo tag attachment attributedTo name href context oneOf anyOf endTime url width height duration outbox "
    "following preferredUsername likes"
)
VOCABULARY = frozenset(_TERMS.split())
"""The terms of https://www.w3.org/ns/activitystreams that an archive uses."""


@contextmanager
def local(path: Path) -> Iterator[LocalBackend]:
    home = make_home(path) if not path.exists() else None
    from banyan_node.home.folder import Home

    opened = home or Home(path)
    with open_local(opened, settings.load(opened, env={})) as node:
        yield node


def say(node: LocalBackend, who: str, post: Post) -> None:
    """A post of any content, as a media server or an importer would write it."""
    ctx, account = node.context, account_from_text(who)
    key = post_key(hosted.salt_of(ctx, account), os.urandom(16), int(time.time() * 1000))
    append(ctx, account, [write_post(key, post)], time.time())
    ctx.store.commit()


def filled(node: LocalBackend) -> str:
    """An account with everything that an export shows, beside others."""
    node.call("account.create", name="Lotus")
    an, binh = (node.call("account.create", name=n, hosted=True)["account"] for n in ("An <b>", "Bình"))
    node.call("profile.set", fields={"bio": HOSTILE, "Quê <i>": "Huế"}, by=an)
    first = node.call("post", text=f"gốc {HOSTILE}", lang="vi", by=an, tags=["cây"], mentions=[binh])["uri"]
    answer = node.call("reply", uri=first, text=f"trả lời {HOSTILE}", by=binh)["uri"]
    node.call("reply", uri=answer, text="và tôi", by=an)
    theirs = node.call("post", text="của Bình", by=binh)["uri"]
    node.call("quote", uri=theirs, text="xem này", by=an)
    node.call("repost", uri=theirs, by=an)
    node.call("react", uri=theirs, emoji="🌸", by=an)
    node.call("follow", account=binh, by=an)
    node.call("post", text="bí mật", warning="cẩn thận <x>", audience="unlisted", by=an)
    gone = node.call("post", text="xoá rồi", by=an)["uri"]
    node.call("delete", uri=gone)
    picture = Media(BLOB, 1234, "image/jpeg", 640, 480, None, "một cái cây <em>", "LEHV6nWB2yk8")
    say(node, an, Post("ảnh", media=(picture,), created_ms=1_700_000_000_000))
    say(node, an, Post("chọn", poll=Poll(("có <a>", "không"), "one", 1_900_000_000_000)))
    return str(an)


def export(node: LocalBackend, who: str, path: Path, form: str) -> Any:
    return node.call("account.export", account=who, path=str(path), format=form)


def test_an_archive_of_one_account_gives_another_node_the_same_heads_and_posts_and_nothing_else(tmp_path: Path) -> None:
    archive = tmp_path / "an.banyan"
    with local(tmp_path / "a") as a, local(tmp_path / "b") as b:
        an = filled(a)
        b.call("account.create", name="Khác")
        done = export(a, an, archive, "archive")
        before = b.call("store.stats")["accounts"]
        taken = b.call("archive.import", path=str(archive))
        assert (taken["account"], taken["same"], taken["rejected"], taken["not_yet"]) == (an, True, 0, 0)
        assert taken["digest"] == taken["expected"] == done["digest"]
        assert b.call("store.stats")["accounts"] == before + 1
        assert a.call("digest", account=an) == b.call("digest", account=an)
        assert a.call("digest")["digest"] != b.call("digest")["digest"]
        logs = [n.call("account.show", account=an)["logs"] for n in (a, b)]
        heads = [[(row["writer"], row["log"], row["length"]) for row in rows] for rows in logs]
        assert heads[0] == heads[1]
        told = ("uri", "text", "time_ms", "edited", "lang", "warning", "audience", "tags", "reply_to", "root")
        feeds = [n.call("feed", account=an, limit=100)["posts"] for n in (a, b)]
        shown = [[{k: p[k] for k in told} for p in posts if p["account"] == an] for posts in feeds]
        assert shown[0] == shown[1]
        assert len(shown[0]) >= 6
        a.call("post", text="later", by=an)
        assert a.call("digest", account=an)["digest"] != b.call("digest", account=an)["digest"]


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.tags, self.links, self.words, self.metas = list[str](), list[str](), "", list[dict[str, str | None]]()
        self.style = ""
        self.feed(raw.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name == "href":
                self.links.append(value or "")
        if tag == "meta":
            self.metas.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "style" and not self.style:
            self.style = data
        else:
            self.words += data


_TAGS = (
    "html head meta title style body h1 header p a nav article div time b details summary ul li blockquote figure "
    "figcaption code"
)
ALLOWED = frozenset(_TAGS.split())


def test_a_site_escapes_every_text_runs_nothing_and_has_no_link_that_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "A_PAGE", 2)
    folder = tmp_path / "site"
    with local(tmp_path / "a") as node:
        an = filled(node)
        done = export(node, an, folder, "html")
        shown = node.call("feed", account=an, limit=100)["posts"]
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    pages = {p: Page(p.read_bytes()) for p in files}
    for path, page in pages.items():
        assert set(page.tags) <= ALLOWED, path
        policy = next(m["content"] or "" for m in page.metas if m.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert b64encode(sha256(page.style.encode()).digest()).decode() in policy
        assert "prefers-color-scheme:dark" in page.style
        assert "script-src" not in policy
        for link in page.links:
            assert (path.parent / link).resolve() in pages, (path, link)
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", path.read_bytes())
    months = [page for path, page in pages.items() if re.fullmatch(r"\d{4}-\d\d(-\d+)?\.html", path.name)]
    assert len(months) >= 4  # two posts on each
    told = "".join(page.words for page in months)
    escaped = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd")
    for text in (
        f"gốc {escaped}",
        "và tôi",
        "xem này",
        "bí mật",
        "cẩn thận <x>",
        "một cái cây <em>",
        "có <a>",
        BLOB.hex(),
    ):
        assert told.count(text) == 1, text
    assert told.count("của Bình") == 2  # quoted and reposted
    assert "xoá rồi" not in told
    assert done["posts"] == len(shown)
    index = pages[folder / "index.html"]
    assert f"bio: {escaped}" in index.words
    assert index.words.index("chọn") < index.words.index("gốc") < index.words.index("ảnh")  # newest first
    threads = [page for path, page in pages.items() if path.parent.name == "thread"]
    assert len(threads) == 1
    assert threads[0].words.index(f"gốc {escaped}") < threads[0].words.index(f"trả lời {escaped}")
    assert threads[0].words.index("trả lời") < threads[0].words.index("và tôi")
    assert folder.stat().st_mode & 0o077 == 0
    assert not draft_of(folder).exists()


def test_whom_the_account_blocks_is_not_in_its_site(tmp_path: Path) -> None:
    with local(tmp_path / "a") as node:
        an = filled(node)
        node.call("block", account="Bình", by=an)
        export(node, an, tmp_path / "site", "html")
    told = "".join(Page(p.read_bytes()).words for p in (tmp_path / "site" / "thread").iterdir())
    assert "và tôi" in told
    assert "trả lời" not in told


def test_a_site_counts_the_reposts_that_the_author_lets_count(tmp_path: Path) -> None:
    with local(tmp_path / "a") as node:
        an = filled(node)
        uri = node.call("post", text="cho ai?", by=an)["uri"]
        node.call("repost", uri=uri, by="Bình")
        node.call("repost", uri=uri, by=an)
        export(node, an, tmp_path / "before", "html")
        node.call("edit", uri=uri, policy={"reposts": "nobody"})
        export(node, an, tmp_path / "after", "html")
        assert node.call("post.get", uri=uri)["reposts"] == 1, "the author may"
    told = [Page((tmp_path / when / "index.html").read_bytes()).words for when in ("before", "after")]
    assert ["2 reposts" in one for one in told] == [True, False]
    assert "1 reposts" in told[1]


def terms(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in ("@context", "contentMap"):
                yield from terms(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from terms(inner)


def test_activitystreams_have_the_shape_of_a_mastodon_archive_and_only_terms_of_their_context(tmp_path: Path) -> None:
    folder, archive = tmp_path / "streams", tmp_path / "streams.zip"
    with local(tmp_path / "a") as node:
        an = filled(node)
        done = export(node, an, folder, "activitystreams")
        assert export(node, an, archive, "activitystreams")["posts"] == done["posts"]
        posts = node.call("feed", account=an, limit=100)["posts"]
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        assert {n: packed.read(n) for n in packed.namelist()} == {p.name: p.read_bytes() for p in folder.iterdir()}
    read = {p.stem: json.loads(p.read_bytes()) for p in folder.iterdir()}
    assert set(read) == {"actor", "outbox", "likes", "following", "featured"}
    known = VOCABULARY | set(CONTEXT[1])
    for value in read.values():
        assert value["@context"] == CONTEXT
        assert set(terms(value)) <= known
    assert all(isinstance(v, str | dict) for v in CONTEXT[1].values())
    actor, outbox = read["actor"], read["outbox"]
    assert (actor["id"], actor["type"], actor["name"]) == (an, "Person", "An <b>")
    assert "<script>" not in actor["summary"]
    assert outbox["totalItems"] == len(outbox["orderedItems"]) == done["posts"] == len(posts)
    notes = {a["object"]["id"]: a["object"] for a in outbox["orderedItems"] if a["type"] == "Create"}
    assert [a["object"]["id"] if a["type"] == "Create" else a["object"] for a in outbox["orderedItems"]] == [
        p["uri"] for p in posts
    ]
    for post in posts:
        if post["account"] == an:
            note = notes[post["uri"]]
            assert note["source"]["content"] == post["text"]
            assert note["inReplyTo"] == post["reply_to"]
            assert note["summary"] == post["warning"]
            assert "<script" not in note["content"]
    assert [a["type"] for a in outbox["orderedItems"]].count("Announce") == 1
    (picture,) = [d for note in notes.values() for d in note["attachment"]]
    assert (picture["name"], picture["blob"], picture["mediaType"]) == ("một cái cây <em>", BLOB.hex(), "image/jpeg")
    assert picture["url"] == f"media_attachments/{BLOB.hex()}.jpg"
    (poll,) = [n for n in notes.values() if n["type"] == "Question"]
    assert [o["name"] for o in poll["oneOf"]] == ["có <a>", "không"]
    assert [like["content"] for like in read["likes"]["orderedItems"]] == ["🌸"]
    assert len(read["following"]["orderedItems"]) == 1
    unlisted = next(n for n in notes.values() if n["summary"])
    assert "Public" in unlisted["cc"][0]
    assert unlisted["to"] == [f"{an}/followers"]


@pytest.mark.parametrize("form", ["archive", "activitystreams", "html"])
def test_nothing_is_overwritten_and_what_an_interrupted_export_left_is_replaced(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    with local(tmp_path / "a") as node:
        an = filled(node)
        path.write_text("mine", "utf-8")
        draft_of(path).write_text("another export", "utf-8")
        with pytest.raises(CallError, match="is there already"):
            export(node, an, path, form)
        assert path.read_text("utf-8") == "mine"
        assert draft_of(path).read_text("utf-8") == "another export"  # what is refused touches nothing
        path.unlink()
        draft_of(path).unlink()
        draft_of(path).mkdir()
        (draft_of(path) / "index.html").write_text("half", "utf-8")
        export(node, an, path, form)
        with pytest.raises(CallError, match="is there already"):
            export(node, an, path, form)
        with pytest.raises(CallError, match=r"is no account|not held here"):
            export(node, "did:banyan:z" + "1" * 32, tmp_path / "none", form)
        with pytest.raises(CallError, match="cannot be written"):
            export(node, an, tmp_path / "no" / "folder", form)
        assert not draft_of(path).exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "out"]


KILLED = """
import json, os, signal, sys
from pathlib import Path
from banyan_node.exporting.sinks import draft_of
from banyan_node.home.folder import Home
from banyan_node.home import settings
from banyan_node.local import open_local
home = Home(Path(sys.argv[1]))
with open_local(home, settings.load(home, env={})) as node:
    asked = json.loads(sys.argv[3])
    draft = draft_of(Path(asked["path"]))
    os.sync = os.fsync = lambda *_: draft.exists() and os.kill(os.getpid(), signal.SIGKILL)
    node.call(sys.argv[2], **asked)
"""
KINDS = {
    "archive": ("account.export", {"format": "archive"}),
    "activitystreams": ("account.export", {"format": "activitystreams"}),
    "html": ("account.export", {"format": "html"}),
    "everything": ("archive.export", {}),
    "copy": ("store.compact", {}),
}
"""Each method that writes to a path of the asker's."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_export_has_not_its_name_and_the_next_one_is_whole(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    with local(tmp_path / "a") as node:
        an = filled(node)
    method, params = KINDS[kind]
    asked = {**params, "path": str(path), **({"account": an} if method == "account.export" else {})}
    assert Code(KILLED, tmp_path / "a", method, json.dumps(asked)).wait() == -9
    assert draft_of(path).exists()
    assert not path.exists()
    with local(tmp_path / "a") as node:
        node.call(method, **asked)
    assert path.exists()
    assert not draft_of(path).exists()


def test_every_method_that_writes_to_a_path_is_killed_above() -> None:
    reads = {"archive.import", "linked.page", "linked.picture", "media.put"}
    of_paths = {name for name, method in EVERY.items() if "path" in method.asks.__struct_fields__}
    assert of_paths - reads == {method for method, _ in KINDS.values()}


def test_an_export_of_everything_that_broke_off_goes_on_and_one_that_was_cancelled_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, broken = tmp_path / "out", tmp_path / "broken"
    with local(tmp_path / "a") as node:
        for name in ("An", "Bình", "Chi"):
            node.call("account.create", name=name, hosted=True)
        node.call("archive.export", path=str(path))
        whole = path.read_bytes()

        def no_room(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(archive, "export_archive", no_room)
            with pytest.raises(CallError, match="go on with --resume"):
                node.call("archive.export", path=str(broken))
        assert not broken.exists()
        draft_of(broken).write_bytes(whole[: len(whole) // 2])
        with draft_of(broken).open() as other:
            flock(other, LOCK_EX)
            with pytest.raises(CallError, match="is being written"):
                node.call("archive.export", path=str(broken), resume=True)
        node.call("archive.export", path=str(broken), resume=True)
        assert broken.read_bytes() == whole
        broken.unlink()

        def stopped(*args: Any) -> None:
            node.context.works.stop(node.context.works.rows()[0].id)
            export_archive(*args)

        monkeypatch.setattr(archive, "export_archive", stopped)
        with pytest.raises(CallError, match="cancelled"):
            node.call("archive.export", path=str(broken))
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a", "out"]


@on_own_disk
def test_on_a_full_disk_nothing_is_left_and_the_sentence_says_so(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=True)
    try:
        with local(tmp_path / "a") as node:
            an = filled(node)
            for n in range(60):
                node.call("post", text=f"{n} {'dài ' * 400}", by=an)
            for form in ("archive", "activitystreams", "html"):
                with pytest.raises(CallError, match="the disk is full"):
                    export(node, an, small / form, form)
                assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
