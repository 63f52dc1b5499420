"""The pages of a node without a browser: what is on them, in which language, and for whom forms act."""

from __future__ import annotations

import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from PIL import Image

from banyan_web.oauth.sessions import local
from banyan_web.page import formats
from banyan_web.page.rendering import tree
from banyan_web.page.translations import WORDS, language_of
from tests.web.browser import logged_in
from tests.web.door import Client, Door, open_node


def poll() -> dict[str, Any]:
    return {"options": ["a", "b"], "closes_ms": int(time.time() * 1000) + 3_600_000}


async def call(door: Door, method: str, **params: Any) -> Any:
    by = params.pop("by", None)
    return await door.node.backend.call(method, params | ({} if by is None else {"as": by}))


async def html(client: Client, path: str, status: int = 200, accept: str = "en") -> str:
    answer = await client.http.get(path, headers={"accept-language": accept})
    assert answer.status_code == status, (path, answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


async def test_pages_are_read_without_scripts(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        await call(door, "profile.set", fields={"bio": "phở & <b>bún</b>", "Quê": "Huế"}, by=an)
        first = (await call(door, "post", text="Chào cả nhà #cây https://example.org/a?b=1.", by=an))["uri"]
        await call(door, "reply", uri=first, text="và tôi", by=binh)
        await call(door, "post", text="sự thật", warning="cẩn thận", by=an)
        await call(door, "react", uri=first, emoji="🌳", by=binh)
        await call(door, "pin", uri=first, by=an)
        group = (await call(door, "group.create", name="Vườn <i>", by=an))["uri"]
        await call(door, "post", text="trong vườn", group=group, by=an)
        anybody = door.client()
        public = await html(anybody, "/")
        assert "và tôi" in public
        assert 'href="/tags/c%C3%A2y"' in public
        assert 'href="https://example.org/a?b=1" rel="nofollow' in public
        assert re.search(r"<summary[^>]*>.*cẩn thận", public)
        page = await html(anybody, formats.account_path(an))
        assert "phở &amp; &lt;b&gt;bún&lt;/b&gt;" in page
        assert ("Huế" in page, page.count("Pinned"), "3 posts" in page) == (True, 1, True)
        assert await html(anybody, f"/@{an}") != ""
        assert await html(anybody, "/@Bình") != ""
        thread = await html(anybody, formats.post_path(first))
        assert ("answers An" in thread, "🌳" in thread) == (True, True)
        with trio.fail_after(60):
            while (await call(door, "search", question="thật"))["behind"]:
                await trio.sleep(0.02)  # the index follows the store
        assert "Chào cả nhà" in await html(anybody, "/tags/cây")
        await call(door, "filter.set", words="tôi", action="warn")  # of the node's own account
        await call(door, "vote", uri=(await call(door, "post", text="?", poll=poll(), by=binh))["uri"], options=[1])
        page = await html(anybody, "/")
        assert (page.count("Content warning:"), " checked" in page) == (1, False)
        assert "sự thật" in await html(anybody, "/search?q=thật")
        assert "What the node says" not in await html(anybody, "/search?q=thật")
        assert "&lt;i&gt;" in await html(anybody, "/groups" + formats.post_path(group).replace("@", ""))
        for path in ("/about", "/network", "/live", "/login", "/search"):
            assert len(await html(anybody, path)) < 20_000
        for path in ("/@nobody", f"/@{an}/{'0' * 32}", "/groups/x/y", f"/p/{an}/{'1' * 32}x"):
            await html(anybody, path, 404)
        answer = await anybody.http.get("/home")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/home")


async def test_a_page_is_in_one_language_and_is_not_sent_twice(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        await call(door, "post", text="xin chào", by=an)
        client = door.client()
        english = await html(client, "/", accept="fr, en;q=0.5")
        vietnamese = await html(client, "/", accept="en;q=0.3, vi-VN")
        assert '<html lang="vi"' in vietnamese
        for key in ("public", "about", "footer", "check_off", "public_title"):
            assert WORDS["en"][key] in english
            assert WORDS["vi"][key] in vietnamese
            assert WORDS["en"][key] not in vietnamese
        answer = await client.http.get("/")
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        again = await client.http.get("/", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", answer.text)
        for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
            file = await client.http.get(path)
            assert file.status_code == 200
            assert "immutable" in file.headers["cache-control"]
            plain = await client.http.get(path, headers={"accept-encoding": "identity"})
            assert (plain.content, file.headers["content-encoding"]) == (file.content, "gzip")
        assert (await client.http.get(f"/static/{tree().digest}/../words.py")).status_code == 404
        assert (await client.http.get("/static/0/page.css")).status_code == 404
        for name in ("avatar", "banner"):  # of the Account entity
            assert (await client.http.get(f"/static/{name}.png")).headers["content-type"] == "image/png"
        chosen = await client.http.get("/language/vi?to=/about")
        assert chosen.headers["location"] == "/about"
        assert '<html lang="vi"' in (await client.http.get("/about")).text
        assert (await client.http.get("/language/vi?to=//evil.example")).headers["location"] == "/"


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


async def test_a_person_writes_with_forms_and_nobody_else_does_in_their_name(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        theirs = (await call(door, "post", text="của Bình", by=binh))["uri"]
        async with httpx.AsyncClient(base_url=door.url, timeout=60) as http:
            http.cookies.set("banyan", logged_in(door, an, "An")["value"])
            csrf = csrf_of((await http.get("/home")).text)

            async def send(path: str, status: int = 303, more: Any = None, files: Any = None, **data: str) -> None:
                given: dict[str, Any] = {"csrf": csrf, "to": "/home", **data, **(more or {})}
                answer = await http.post(path, data=given, files=files)
                assert answer.status_code == status, answer.text[:500]

            picture = tmp_path / "a.png"
            Image.new("RGB", (60, 40), (200, 30, 30)).save(picture)
            files = {"media[]": ("a.png", picture.read_bytes(), "image/png")}
            await send("/post", text="một bức ảnh", files=files, more={"alt[]": "màu đỏ"})
            await send("/post", text="và tôi", reply=theirs)
            await send("/post", text="ăn gì?", more={"options[]": ["phở", "bún", "", ""]})
            await send("/follow", account=binh)
            for path in ("/favourite", "/boost"):
                await send(path, uri=theirs)
            row = (await call(door, "feed", account=binh))["posts"][0]
            assert (row["replies"], row["reposts"], sum(row["reactions"].values())) == (1, 1, 1)
            home = (await http.get("/home")).text
            assert ("màu đỏ" in home, "của Bình" in home, "phở" in home) == (True, True, True)
            blob = re.search(r'src="(/media/[0-9a-f]{64})"', home)
            assert blob
            part = await http.get(blob[1], headers={"range": "bytes=0-9"})
            assert (part.status_code, len(part.content)) == (206, 10)
            assert part.headers["content-range"].startswith("bytes 0-9/")
            for path in ("/favourite", "/boost", "/boost"):  # what is taken back already stays so
                await send(path, uri=theirs, undo="1")
            await send("/unfollow", account=binh)
            row = (await call(door, "feed", account=binh))["posts"][0]
            assert (row["reposts"], row["reactions"]) == (0, {})
            await send("/delete", 403, uri=theirs)
            await send("/post", 422, text="  ")
            await send("/post", 403, text="x", csrf="0" * 64)
            answer = await http.post(
                "/post", data={"csrf": csrf, "text": "x"}, headers={"origin": "https://evil.example"}
            )
            assert answer.status_code == 403
            answer = await http.post(
                "/post", data={"csrf": csrf, "text": "x"}, headers={"sec-fetch-site": "cross-site"}
            )
            assert answer.status_code == 403
            assert (await http.get("/api/v1/preferences")).status_code == 401
            await call(
                door, "reply", uri=(await call(door, "feed", account=an))["posts"][0]["uri"], text="hay!", by=binh
            )
            assert "answered you" in (await http.get("/notifications")).text
            await send("/logout", next="/")
            assert (await http.get("/home")).status_code == 303
        assert (await call(door, "feed", account=an, reposts=False))["posts"][-1]["text"] == "một bức ảnh"


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/a?b=1", "/a?b=1"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/.//evil.example", "/"),
        ("/a/..//evil.example", "/"),
        ("/%2e//evil.example", "/"),
        ("/search?q=https://a.example//b", "/search?q=https://a.example//b"),
        ("/\t/evil.example", "/"),
        (None, "/"),
        ("", "/"),
    ],
)
def test_a_form_leads_back_to_this_site_alone(path: str | None, leads: str) -> None:
    assert local(path) == leads


def test_both_languages_say_everything() -> None:
    assert WORDS["en"].keys() == WORDS["vi"].keys()
    for key, english in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", WORDS["vi"][key])), key
    assert [language_of(said) for said in ("", "vi", "en, vi", "vi;q=0.9, en;q=0.8", "de", "vi;q=x")] == [
        "en",
        "vi",
        "en",
        "vi",
        "en",
        "en",
    ]


def test_a_text_is_shown_letter_by_letter() -> None:
    said = 'a <b> & "c" https://x.example/?q=<y>. #thẻ #12 &#x27; ﷐ \x00 e\u0301 javascript:alert(1)'
    shown = str(formats.linked(said))
    plain = re.sub(r"<[^>]*>", "", shown)

    assert unescape(plain) == formats.readable(said)
    assert re.findall(r'href="([^"]*)"', shown) == ["https://x.example/?q=", "/tags/th%E1%BA%BB"]
    assert formats.colour_of("LEHV6nWB2yk8pyo0adR*.7kCMdnj") != "#808080"
    assert [formats.colour_of(bad) for bad in (None, "", "short", "L ~~~ ~~")] == ["#808080"] * 4
    assert formats.safe_site("javascript:alert(1)") is None
