"""The door where the disk is full: it starts, reads go on, and what cannot be stored is refused with 507."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import trio
from PIL import Image

from banyan_storage.errors import DiskFull
from tests.needs import on_own_disk
from tests.node.test_storage_quota import fill, small_disk
from tests.web.door import open_node


def picture(side: int) -> bytes:
    made = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(made, "PNG")
    return made.getvalue()


@on_own_disk
def test_the_door_of_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        trio.run(_story, disk)


async def _story(disk: Path) -> None:
    home = disk / "home"
    async with open_node(home, http__token_rate="0") as door:
        an, client = await door.person("an")
        said = await client.ask("POST", "/api/v1/statuses", json={"status": "trước"})
    filler = fill(disk)
    async with open_node(home, http__token_rate="0") as door:
        reader = door.client()
        reader.http.headers["authorization"] = f"Bearer {client.token}"
        assert (await reader.get(f"/api/v1/statuses/{said['id']}"))["content"] == "<p>trước</p>"
        assert (await door.client().http.get("/")).status_code == 200
        for side in (40, 400):
            for path in ("/api/v1/media", "/api/v2/media"):
                answer = await reader.http.post(path, files={"file": ("a.png", picture(side), "image/png")})
                assert answer.status_code == 507, answer.text
                assert "full" in answer.json()["error"]
        app = {"client_name": "x", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob"}
        for path, body in (("statuses", {"status": "x" * 4_000}), ("apps", app)):
            while (answer := await reader.http.post(f"/api/v1/{path}", json=body)).status_code == 200:
                """The first ones find room in what is there."""
            assert (answer.status_code, answer.json()["code"]) == (507, "storage"), answer.text
        with pytest.raises(DiskFull, match="no room left for the door's file"):
            door.store.mint(None, "x" * 100_000, ("read",))
        filler.unlink()
        with trio.fail_after(60):
            while (await reader.http.post("/api/v1/statuses", json={"status": "sau"})).status_code != 200:
                await trio.sleep(0.2)
        made = await reader.ask("POST", "/api/v1/media", files={"file": ("a.png", picture(40), "image/png")})
        assert made["preview_url"]
    assert an
