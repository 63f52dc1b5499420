"""Cards under links: fetched once, by few nodes, from the public internet alone, whatever a page is."""

from __future__ import annotations

import gzip
import io
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import trio
from PIL import Image

from banyan_node.home.sections import HttpSettings
from banyan_node.media.page_child import said
from banyan_web.mastodon import link_cards, page_fetch
from banyan_web.mastodon.streaming import endpoints
from banyan_web.outbound_http import OutboundHttp, Unreachable
from tests.web.door import open_node
from tests.web.library import Person, person
from tests.web.test_streaming import Heard, Listening
from tests.web.test_streaming import app as streaming_app

DEFAULT = HttpSettings().cards
HEAD = '<meta property="og:title" content="{}"><meta name="description" content="Một &lt;b&gt;tả&lt;/b&gt;">'


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (1_200, 630), "teal").save(out, "PNG")
    return out.getvalue()


class Site:
    """A site of strangers. asked: how often each path was. pages: path -> (status, headers, body)."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.asked[self.path] += 1
                if self.path == "/slow":
                    time.sleep(2)
                status, headers, body = told.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"content-type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # it has read enough

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def page(self, path: str, body: str | bytes, status: int = 200, **headers: str) -> str:
        raw = body.encode() if isinstance(body, str) else body
        self.pages[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)
        return self.url + path


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("OWN_S", 0.05), ("READ_S", 0.05), ("HOST_S", 0.01)):
        monkeypatch.setattr(link_cards, name, seconds)
    monkeypatch.setattr(page_fetch, "PAGE_S", 1.0)
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)


async def card(who: Person, id_: Any) -> Any:
    """Once it is there."""
    with trio.fail_after(60):
        while (found := (await who.ask("status", id_)).card) is None:
            await trio.sleep(0.05)
    return found


async def asked(site: Site, path: str) -> None:
    with trio.fail_after(60):
        while not site.asked[path]:
            await trio.sleep(0.02)


async def test_a_link_of_ones_own_gets_a_card_and_apps_that_listen_are_told(tmp_path: Path, site: Site) -> None:
    site.page("/anh.png", picture(), content_type="image/png")
    more = '<meta property="og:image" content="/anh.png"><meta property="og:image:alt" content="biển">'
    more += '<meta property="og:site_name" content="Báo"><meta name="author" content="An">'
    more += '<meta property="article:published_time" content="2026-01-31T08:00:00+07:00">'
    site.page("/bai", f'<html lang="vi"><head>{HEAD.format("Tết &amp; hoa‮")}{more}</head></html>')
    link = site.page("/ngan", "", 302, location="/bai")
    async with open_node(tmp_path, http__cards=DEFAULT, http__local_cards="true") as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        listening = Listening(door)
        heard: Heard = await listening.to(streaming_app(door, an.did), "stream_user")
        post = await an.ask("status_post", f"Đọc {link}, hay lắm")
        ((event, _), (changed, after)) = await heard.next(2)
        assert (event, changed) == ("update", "status.update")
        shown = await card(an, post.id)
        assert after.card.title == shown.title == "Tết & hoa"
        assert (shown.url, shown.type, shown.description) == (link, "link", "Một <b>tả</b>")
        assert (shown.provider_name, shown.provider_url) == ("Báo", site.url)
        assert (shown.author_name, shown.language) == ("An", "vi")
        assert (shown.width, shown.height, shown.image_description) == (480, 252, "biển")
        assert shown.published_at.isoformat() == "2026-01-31T01:00:00+00:00"
        assert shown.blurhash
        assert str((await an.ask("status_card", post.id)).url) == link
        answer = await door.client().http.get(httpx.URL(shown.image).path)
        assert (answer.headers["content-type"], Image.open(io.BytesIO(answer.content)).size) == (
            "image/png",
            (480, 252),
        )
        again = await binh.ask("status_post", f"{link} và {site.url}/khac")
        assert (await card(binh, again.id)).title == "Tết & hoa", "who else links it asks nobody"
        boost = await binh.ask("status_reblog", post.id)
        assert (boost.card, boost.reblog.card.title) == (None, "Tết & hoa")
        assert site.asked == {"/ngan": 1, "/bai": 1, "/anh.png": 1}
        await listening.close()
    async with open_node(tmp_path, http__cards=DEFAULT, http__local_cards="true") as door:
        assert (await card(Person(door, an.did), post.id)).title == "Tết & hoa"
        assert site.asked["/bai"] == 1, "it is kept"


async def test_what_is_no_page_has_no_card_and_breaks_nothing(tmp_path: Path, site: Site) -> None:
    fine = HEAD.format("bom")
    links = [
        site.page("/bomb", gzip.compress(b" " * (16 << 20)), content_encoding="gzip"),
        site.page("/broken", b"\x1f\x8b junk", content_encoding="gzip"),
        site.page("/br", fine, content_encoding="br"),
        site.page("/slow", fine),
        site.page("/film", fine, content_type="video/mp4"),
        site.page("/error", fine, 500),
        site.page("/file", "", 302, location="file:///etc/passwd"),
        site.page("/round", "", 302, location="/round"),
        site.page("/untitled", "<html><p>chữ"),
        site.page("/deep", "<div>" * 150_000),
    ]
    bad_picture = site.page("/scheme", fine + '<meta property="og:image" content="javascript:alert(1)">')
    large = site.page("/large", fine + "x" * (3 << 20))
    old = site.page(
        "/old", '<meta charset="windows-1258"><title>Vi\xeat</title>'.encode("latin-1"), content_type="text/html"
    )
    async with open_node(tmp_path, http__cards=DEFAULT, http__local_cards="true") as door:
        an = await person(door, "an")
        without = [await an.ask("status_post", link) for link in links]
        shown = [await an.ask("status_post", link) for link in (bad_picture, large, old)]
        assert [(await card(an, post.id)).title for post in shown] == ["bom", "bom", "Viêt"]
        assert (await card(an, shown[0].id)).image is None
        for link in links:
            await asked(site, link.removeprefix(site.url))
        await trio.sleep(1.2)
        for post in without:
            assert (await an.ask("status", post.id)).card is None, post.content
            assert await door.client(an.did).get(f"/api/v1/statuses/{post.id}/card") == {}
        assert site.asked["/round"] == page_fetch.HOPS
        before = sum(site.asked.values())
        await an.ask("timeline_home")
        await trio.sleep(0.3)
        assert sum(site.asked.values()) == before, "a page that gave nothing is not asked again"


async def test_by_default_a_node_asks_only_for_what_its_own_people_link(tmp_path: Path, site: Site) -> None:
    pages = [site.page(f"/{name}", HEAD.format(name)) for name in ("own", "far", "private")]
    async with (
        open_node(tmp_path / "a", http__cards="read", http__local_cards="true") as here,
        open_node(tmp_path / "b", here.node.edge.addresses, http__cards=DEFAULT) as there,
    ):
        an, binh = await person(here, "an"), await person(there, "binh")
        far = (await binh.node("post", text=f"của Bình: {pages[1]}"))["uri"]
        await binh.ask("status_post", pages[2])
        with trio.fail_after(60):
            while not (found := (await here.client().get("/api/v1/timelines/public"))):
                await trio.sleep(0.05)
        assert found[-1]["uri"] == far
        await trio.sleep(0.4)
        assert not site.asked, "not because a post arrived, nor for a visitor, nor into the own network"
        (id_,) = [row.id for row in await an.ask("timeline_public") if row.uri == far]
        assert (await card(an, id_)).title == "far"
        assert site.asked["/far"] == 1
    async with open_node(tmp_path / "a", http__cards=DEFAULT, http__local_cards="true") as here:
        an = Person(here, an.did)
        with here.store.writing() as db:
            db.execute("delete from cards")
        assert (await an.ask("status", id_)).card is None
        assert (await card(an, (await an.ask("status_post", pages[0])).id)).title == "own"
        assert site.asked["/far"] == 1
    async with open_node(tmp_path / "a", http__cards="off", http__local_cards="true") as here:
        assert [row.card for row in await Person(here, an.did).ask("timeline_home")] == [None]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest", "http://localhost/", "http://a@1.1.1.1/"]
    + ["http://1.1.1.1:22/", "ftp://1.1.1.1/", "file:///etc/passwd", "https://2130706433/", "http://0x7f000001/"],
)
async def test_a_page_of_the_own_network_is_not_asked_for(url: str) -> None:
    with pytest.raises(Unreachable):
        await OutboundHttp(plain=True).ask("GET", url, {})


def test_what_a_page_says_is_read_in_its_own_encoding_and_is_one_plain_line() -> None:
    assert said("<title>Chào\n  bạn‮</title>".encode())["title"] == "Chào bạn"
    assert said("<title>Phở</title>".encode("utf-16"))["title"] == "Phở"
    assert said("<title>日本</title>".encode("shift_jis"), "Shift_JIS")["title"] == "日本"
    gb = '<meta http-equiv="Content-Type" content="text/html; charset=GB2312"><title>中文</title>'
    assert said(gb.encode("gbk"))["title"] == "中文"
    for odd in ("utf-7", "unicode_escape", "idna", "rot13", "zip", "undefined", "\0", "é"):
        assert said("<title>Phở</title>".encode(), odd)["title"] == "Phở"
    long = said(f"<title>{'x' * 5_000}</title>".encode())["title"]
    assert len(long) == 300
    assert long.endswith("…")
    both = '<meta name="twitter:title" content="hai"><meta property="og:title" content="  "><title>ba</title>'
    assert said(both.encode())["title"] == "hai"
    author = '<meta property="article:author" content="https://a.example/an"><title>a</title>'
    assert said(author.encode())["author"] == ""
    assert said(b"\xff\xfe\x00")["title"] == said(b"")["title"] == ""
