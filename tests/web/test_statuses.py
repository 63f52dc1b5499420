"""Posts, timelines, files and polls as Mastodon.py sees them, with a real node behind a real door."""

from __future__ import annotations

import re
import wave
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
import trio
from mastodon import MastodonAPIError, MastodonNotFoundError, MastodonUnauthorizedError
from PIL import Image

from banyan_web.endpoint import PEOPLE, PEOPLE_S, EntityCaches
from tests.node.real import converged
from tests.web.door import open_node
from tests.web.mastodon_py import app_of, run


def picture(colour: str = "green", size: tuple[int, int] = (64, 32)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


async def test_a_post_is_written_read_edited_marked_and_deleted(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        lan, _ = await door.person("lan")
        app, other = app_of(door, an), app_of(door, lan)
        text = (
            "Chào @lan, xem https://example.org/a?b=1&c=2. #PhởHàNội\n\n<script>alert(1)</script> javascript:alert(1)"
        )
        post = await run(app.status_post, text, language="vi", visibility="unlisted", spoiler_text="tin")
        assert (post.visibility, post.language, post.spoiler_text, post.sensitive) == ("unlisted", "vi", "tin", True)
        assert "<script" not in post.content
        assert "&lt;script&gt;" in post.content
        assert re.findall(r'href="([^"]*)"', post.content) == [
            f"{door.url}/@{post.mentions[0].acct}",
            "https://example.org/a?b=1&amp;c=2",
            f"{door.url}/tags/Ph%E1%BB%9FH%C3%A0N%E1%BB%99i",
        ]
        assert 'rel="nofollow noopener noreferrer"' in post.content
        assert [tag.name for tag in post.tags] == ["PhởHàNội"]
        assert (post.application, post.card, post.poll, post.reblog, post.quote) == (None, None, None, None, None)
        assert (post.account.display_name, post.replies_count, post.edited_at) == ("an", 0, None)
        assert (await run(app.status, post.id)).uri == post.uri
        assert [one.id for one in await run(app.statuses, [post.id])] == [post.id]
        reply = await run(other.status_post, "Ừ", in_reply_to_id=post.id)
        assert (reply.in_reply_to_id, reply.in_reply_to_account_id) == (post.id, post.account.id)
        around = await run(app.status_context, reply.id)
        assert ([one.id for one in around.ancestors], around.descendants) == ([post.id], [])
        below = await run(app.status_context, post.id)
        assert ([one.id for one in below.descendants], below.ancestors) == ([reply.id], [])

        assert (await run(app.status_source, post.id)).text == text
        changed = await run(app.status_update, post.id, "Chào cả nhà", spoiler_text="")
        assert (changed.id, changed.content, changed.spoiler_text) == (post.id, "<p>Chào cả nhà</p>", "")
        assert changed.edited_at >= post.created_at
        before, after = await run(app.status_history, post.id)
        assert ("&lt;script&gt;" in before.content, before.spoiler_text) == (True, "tin")
        assert (after.content, after.sensitive) == ("<p>Chào cả nhà</p>", False)

        for do, undo, field in (
            ("status_favourite", "status_unfavourite", "favourited"),
            ("status_bookmark", "status_unbookmark", "bookmarked"),
        ):
            for _ in range(2):
                assert (await run(getattr(other, do), post.id))[field] is True
            assert (await run(app.status, post.id))[field] is False
            assert (await run(getattr(other, undo), post.id))[field] is False
        await run(other.status_favourite, post.id)
        assert [one.id for one in await run(app.status_favourited_by, post.id)] == [reply.account.id]
        assert [one.id for one in await run(other.favourites)] == [post.id]
        await run(other.status_bookmark, post.id)
        assert [one.id for one in await run(other.bookmarks)] == [post.id]

        boosted = await run(other.status_reblog, post.id)
        assert (boosted.reblog.id, boosted.reblog.reblogged, boosted.reblog.reblogs_count) == (post.id, True, 1)
        assert boosted.account.id == reply.account.id
        assert (await run(app.status, boosted.id)).reblog.id == post.id
        assert [one.id for one in await run(app.status_reblogged_by, post.id)] == [reply.account.id]
        of_lan = await run(app.account_statuses, reply.account.id)
        assert [one.id for one in of_lan] == [boosted.id, reply.id]
        assert [one.id for one in await run(app.account_statuses, reply.account.id, exclude_reblogs=True)] == [reply.id]
        only = await run(app.account_statuses, reply.account.id, exclude_replies=True)
        assert [one.id for one in only] == [boosted.id]
        assert (await run(other.status_unreblog, post.id)).reblogs_count == 0
        with pytest.raises(MastodonNotFoundError):
            await run(app.status, boosted.id)

        assert (await run(app.status_pin, post.id)).pinned is True
        pinned = await run(app.account_statuses, post.account.id, pinned=True)
        assert [(one.id, one.pinned) for one in pinned] == [(post.id, True)]
        assert (await run(app.status_unpin, post.id)).pinned is False
        with pytest.raises(MastodonAPIError):
            await run(other.status_pin, post.id)

        with pytest.raises(MastodonAPIError):
            await run(other.status_delete, post.id)
        gone = await run(app.status_delete, post.id)
        assert gone.text == "Chào cả nhà"
        with pytest.raises(MastodonNotFoundError):
            await run(app.status, post.id)
        assert (await run(other.status, reply.id)).in_reply_to_id is None
        with pytest.raises(MastodonUnauthorizedError):
            await run(app_of(door, None).status_post, "x")


async def test_a_quote_a_filter_and_a_mention_by_handle_are_shown(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        lan, _ = await door.person("lan")
        call = door.node.backend.call
        await call("handle.domain", {"domain": "vn.example", "as": an})
        await call("handle.claim", {"handle": "hoa@vn.example", "as": lan})
        await call("handle.confirm", {"handle": "hoa@vn.example", "account": lan, "as": an})
        app, other = app_of(door, an), app_of(door, lan)
        post = await run(app.status_post, f"@hoa@vn.example và @{lan.removeprefix('did:banyan:')} @nobody @an")
        assert [one.url for one in post.mentions] == [f"{door.url}/@{post.mentions[0].acct}"]
        assert post.content.count('class="u-url mention"') == 2
        assert "@nobody @an" in post.content
        quote = await run(other.status_post, "Xem này", quoted_status_id=post.id)
        assert (quote.quote.state, quote.quote.quoted_status.id) == ("accepted", post.id)
        assert [one.id for one in await run(app.status_quotes, post.id)] == [quote.id]
        assert (await run(app.status, post.id)).quotes_count == 1
        filter_ = (await call("filter.set", {"words": "xem này", "action": "warn", "as": an}))["id"]
        (shown,) = await run(app.account_statuses, quote.account.id)
        (found,) = shown.filtered
        assert (int(found.filter.id), found.keyword_matches) == (int(filter_, 16), ["xem này"])
        assert [one.id for one in await run(app.filters_v2)] == [found.filter.id]
        assert (found.filter.filter_action, (await run(other.status, quote.id)).filtered) == ("warn", [])
        await run(app.status_delete, post.id)
        assert (await run(other.status, quote.id)).quote.state == "deleted"
        with pytest.raises(MastodonNotFoundError):
            await run(app.status_quotes, post.id)


async def test_what_cannot_be_kept_is_refused_and_not_published(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        app = app_of(door, an)
        for visibility in ("private", "direct"):
            with pytest.raises(MastodonAPIError, match="everybody can read"):
                await run(app.status_post, "riêng", visibility=visibility)
        for wrong in (
            {"status": " "},
            {},
            {"status": "a", "media_ids": ["7"]},
            {"status": "a", "poll": {"options": ["1"]}},
            {"status": "a", "local_only": True},
        ):
            await client.ask("POST", "/api/v1/statuses", 422, json=wrong)
        for path in ("1", "x" * 131, "9" * 131):
            await client.get(f"/api/v1/statuses/{path}", 404)
            await client.get(f"/api/v1/statuses/{path}/context", 404)
        post = await run(app.status_post, "một")
        assert (await run(app.status_mute, post.id)).muted is True
        assert (await run(app.status_unmute, post.id)).muted is False
        assert len(await run(app.timeline_home)) == 1


async def test_a_repeated_writing_is_done_once_also_after_a_restart(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        app = app_of(door, an)
        async with trio.open_nursery() as nursery:
            found: list[Any] = []

            async def write() -> None:
                found.append(await run(app.status_post, "một lần", idempotency_key="k1"))

            for _ in range(5):
                nursery.start_soon(write)
        assert len({one.id for one in found}) == 1
    async with open_node(tmp_path) as door:
        app = app_of(door, an)
        assert (await run(app.status_post, "một lần", idempotency_key="k1")).id == found[0].id
        assert (await run(app.status_post, "một lần", idempotency_key="k2")).id != found[0].id
        assert len(await run(app.timeline_home)) == 2


async def test_a_picture_a_poll_and_a_later_post(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        lan, _ = await door.person("lan")
        app, other = app_of(door, an), app_of(door, lan)
        raw = picture()
        sent = await run(app.media_post, raw, mime_type="image/png", description="Xanh", focus=(0.5, -0.5))
        assert (sent.type, sent.description, sent.meta.original.width) == ("image", "Xanh", 64)
        assert (sent.meta.focus.x, sent.meta.focus.y) == (0.5, -0.5)
        assert sent.blurhash
        async with httpx.AsyncClient() as http:
            bare = sent.url.partition("?")[0]
            assert (await http.get(bare)).status_code == 404, "nothing that is shown names it"
            assert (await http.get(sent.url)).status_code == 200
            assert (await http.get(bare + "?upload=1")).status_code == 404
        sent = await run(app.media_update, sent.id, description="Màu xanh")
        with pytest.raises(MastodonAPIError):
            await run(other.status_post, "của tôi", media_ids=[sent.id])
        post = await run(app.status_post, "Ảnh", media_ids=[sent.id], sensitive=True)
        (item,) = post.media_attachments
        assert (item.type, item.description, post.sensitive, post.spoiler_text) == ("image", "Màu xanh", True, "")
        async with httpx.AsyncClient() as http:
            whole = await http.get(item.url)
            assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
            assert whole.headers["x-content-type-options"] == "nosniff"
            assert whole.headers["content-disposition"] == "inline"
            part = await http.get(item.url, headers={"range": "bytes=4-9"})
            assert (part.status_code, part.content) == (206, whole.content[4:10])
            assert part.headers["content-range"] == f"bytes 4-9/{len(whole.content)}"
            assert (await http.get(item.url, headers={"range": "bytes=999999-"})).status_code == 416
            assert (await http.get(item.url, headers={"if-none-match": whole.headers["etag"]})).status_code == 304
            head = await http.head(item.url)
            assert (head.content, int(head.headers["content-length"])) == (b"", len(whole.content))
        again = await run(app.status_update, post.id, "Ảnh đẹp", media_ids=[item.id])
        assert [one.id for one in again.media_attachments] == [item.id]
        assert [one.id for one in await run(app.timeline_public, only_media=True)] == [post.id]
        gone = await run(app.status_delete, post.id)
        anew = await run(app.status_post, gone.text, media_ids=[one.id for one in gone.media_attachments])
        assert anew.media_attachments[0].description == "Màu xanh"

        asked = app.make_poll(["phở", "bún"], 600, multiple=True)
        post = await run(app.status_post, "Ăn gì?", poll=asked)
        assert ([one.title for one in post.poll.options], post.poll.multiple) == (["phở", "bún"], True)
        voted = await run(other.poll_vote, post.poll.id, [0, 1])
        assert (voted.voted, voted.own_votes, voted.votes_count, voted.voters_count) == (True, [0, 1], 2, 1)
        with pytest.raises(MastodonAPIError, match="already voted"):
            await run(other.poll_vote, post.poll.id, [0])
        with pytest.raises(MastodonAPIError, match="your own polls"):
            await run(app.poll_vote, post.poll.id, [0])
        assert [one.votes_count for one in (await run(app.poll, post.poll.id)).options] == [1, 1]

        when = datetime.now(UTC) + timedelta(hours=1)
        later = await run(app.status_post, "Mai", scheduled_at=when, in_reply_to_id=post.id)
        assert (later.params.text, later.params.in_reply_to_id) == ("Mai", post.id)
        assert [one.id for one in await run(app.scheduled_statuses)] == [later.id]
        moved = await run(app.scheduled_status_update, later, when + timedelta(hours=1))
        assert moved.scheduled_at - later.scheduled_at == timedelta(hours=1)
        assert (await run(app.scheduled_status, later.id)).params.text == "Mai"
        await run(app.scheduled_status_delete, later.id)
        assert await run(app.scheduled_statuses) == []
        soon = await run(app.status_post, "Sắp", scheduled_at=datetime.now(UTC) + timedelta(seconds=2))
        assert soon.params.text == "Sắp"
        with trio.fail_after(60):
            while (await run(app.timeline_home))[0].content != "<p>Sắp</p>":
                await trio.sleep(0.3)
        assert await run(app.scheduled_statuses) == []


def sound(seconds: float) -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        file.writeframes(bytes(int(8_000 * seconds)))
    return out.getvalue()


async def test_a_sound_is_answered_before_it_is_read_and_what_cannot_be_posted_is_refused(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        app = app_of(door, an)
        files = {"file": ("a.wav", sound(2), "audio/wav")}
        sent = await client.ask("POST", "/api/v2/media", 202, files=files, data={"description": "Tiếng"})
        assert (sent["url"], sent["type"]) == (None, "audio")
        with trio.fail_after(60):
            while (await client.http.get(f"/api/v1/media/{sent['id']}")).status_code == 206:
                await trio.sleep(0.1)
        post = await run(app.status_post, "", media_ids=[sent["id"]])
        assert (post.media_attachments[0].type, post.media_attachments[0].description) == ("audio", "Tiếng")
        broken = await client.ask("POST", "/api/v2/media", 422, files={"file": ("a.png", b"no picture", "image/png")})
        assert "upload-" not in broken["error"], "the name of a temporary file means nothing to anybody"
        await client.ask("POST", "/api/v2/media", 422, data={"description": "x"})
        await client.ask("POST", "/api/v2/media", 422, files=files, data={"focus": "2,0"})
        later = await client.ask("POST", "/api/v2/media", 202, files={"file": ("a.mp4", b"no film", "video/mp4")})
        with trio.fail_after(60):
            while (await client.http.get(f"/api/v1/media/{later['id']}")).status_code == 206:
                await trio.sleep(0.1)
        await client.get(f"/api/v1/media/{later['id']}", 422)
        with pytest.raises(MastodonAPIError):
            await run(app.status_post, "phim", media_ids=[later["id"]])
        await client.ask("DELETE", f"/api/v1/media/{later['id']}")
        await client.get(f"/api/v1/media/{later['id']}", 404)
        with pytest.raises(MastodonAPIError):
            await run(app.status_post, "phim", media_ids=[later["id"]])
        assert len(await run(app.timeline_home)) == 1


async def test_a_reply_of_another_node_comes_over_the_network(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", [a.node.edge.addresses[0]]) as b:
        an, _ = await a.person("an")
        lan, _ = await b.person("lan")
        app, other = app_of(a, an), app_of(b, lan)
        sent = await run(app.media_post, picture("red", (900, 600)), mime_type="image/png", description="Đỏ")
        post = await run(app.status_post, "Có ai không?", media_ids=[sent.id])
        await converged([a.node, b.node])
        there = await run(other.status, post.id)
        assert (there.uri, there.content) == (post.uri, post.content)
        reply = await run(other.status_post, "Có đây", in_reply_to_id=post.id)
        await run(other.status_favourite, post.id)
        await converged([a.node, b.node])
        below = (await run(app.status_context, post.id)).descendants
        assert [(one.id, one.content, one.account.display_name) for one in below] == [
            (reply.id, "<p>Có đây</p>", "lan")
        ]
        assert (await run(app.status, post.id)).favourites_count == 1
        assert [one.id for one in await run(app.timeline_public, remote=True)] == []
        assert [one.id for one in await run(app.timeline_local)] == [post.id]
        async with httpx.AsyncClient(timeout=60) as http:
            for url in (there.media_attachments[0].url, there.media_attachments[0].preview_url):
                got = await http.get(url)
                assert (got.status_code, got.headers["content-type"].partition("/")[0]) == (200, "image")


def test_accounts_beside_posts_are_kept_in_a_bounded_number_and_for_so_long() -> None:
    caches, entity = EntityCaches(), {"id": "1"}
    caches.put_person("a", entity)
    assert caches.person("a") is entity
    caches.people["a"] = monotonic() - PEOPLE_S, entity
    assert caches.person("a") is None
    caches.put_person("a", entity)
    for n in range(PEOPLE):
        caches.put_person(str(n), {})
    assert caches.person("a") is None
    assert len(caches.people) == PEOPLE
