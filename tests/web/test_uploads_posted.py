"""The id of an upload opens its file to who sent it, until it is posted: then what holds of the post decides."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from banyan_web.mastodon.compose_store import posting, upload
from banyan_web.refusals import HttpRefusal
from tests.web.door import Client, Door, open_node
from tests.web.test_page import call
from tests.web.test_statuses import picture


class Uploads:
    """Of one person. Each picture is another one."""

    def __init__(self, door: Door, client: Client) -> None:
        self.door, self.client, self.anybody = door, client, door.client()
        self._colours = iter(("red", "green", "blue", "white", "yellow", "black", "orange", "pink", "brown", "gray"))

    async def send(self) -> Any:
        file = ("a.png", picture(next(self._colours), (900, 600)), "image/png")
        sent = await self.client.ask("POST", "/api/v2/media", 200, files={"file": file})
        assert await self.opened(sent) == {200}
        return sent

    async def opened(self, sent: Any) -> set[int]:
        """The answers to whoever has the addresses of the upload: of the picture, and of its preview."""
        found = set()
        for address in (sent["url"], sent["preview_url"]):
            assert sent["id"] in address
            found.add((await self.anybody.http.get(address.removeprefix(self.door.url))).status_code)
        return found

    async def post(self, status: int = 200, text: str = "x", **said: Any) -> Any:
        return await self.client.ask("POST", "/api/v1/statuses", status, json={"status": text, **said})


@pytest.mark.parametrize("workers", ["0", "1"])
async def test_of_a_file_that_is_posted_the_post_decides(tmp_path: Path, workers: str) -> None:
    async with open_node(tmp_path, http__workers=workers) as door:
        an, client = await door.person("An")
        mine = Uploads(door, client)
        sent, other = await mine.send(), await mine.send()
        await mine.post(422, "x" * 200_000, media_ids=[sent["id"]])
        assert await mine.opened(sent) == {200}, "it was not posted"
        post = await mine.post(media_ids=[sent["id"]])
        assert await mine.opened(sent) == {200}, "everybody sees it now"
        for verdict, more in (("hide", {}), ("withhold", {"order": "Lệnh 1"})):
            made = await call(door, "decision.add", account=an, posts=[post["uri"]], verdict=verdict, **more)
            assert await mine.opened(sent) == {404}, verdict
            await call(door, "decision.undo", id=made["id"])
            assert await mine.opened(sent) == {200}
        assert await mine.opened(other) == {200}
        await client.ask("PUT", f"/api/v1/statuses/{post['id']}", json={"status": "y", "media_ids": [other["id"]]})
        assert await mine.opened(sent) == {404}, "the post shows another one"
        assert await mine.opened(other) == {200}
        await client.ask("DELETE", f"/api/v1/statuses/{post['id']}")
        assert await mine.opened(other) == {404}
        later = await mine.send()
        when = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await mine.post(media_ids=[later["id"]], scheduled_at=when)
        assert await mine.opened(later) == {404}, "what is posted later is shown then"


async def test_a_file_may_be_posted_whatever_became_of_the_process_that_posted_it(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("An")
        binh, _ = await door.person("Bình")
        mine = Uploads(door, client)

        async def after(*ends: BaseException | None, who: str = an) -> bool:
            """Whether an upload counts as posted once posts that have it ended so. None: written."""
            id_ = (await mine.send())["id"]
            for end in ends:
                with nullcontext() if end is None else pytest.raises(type(end)), posting(door.store, who, [id_]):
                    if end is not None:
                        raise end
            found = upload(door.store, id_)
            assert found is not None
            return found.posted

        assert await after(None)
        assert await after(KeyboardInterrupt())
        assert await after(HttpRefusal(503, "the line broke"))
        assert not await after(HttpRefusal(422, "no"))
        assert not await after(HttpRefusal(422, "no"), HttpRefusal(403, "no"))
        assert await after(None, HttpRefusal(422, "no")), "one of two posts was written"
        assert await after(HttpRefusal(422, "no"), None)
        assert not await after(None, who=binh), "nobody else posts it"
