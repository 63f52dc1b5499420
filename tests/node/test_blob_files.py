"""Pictures and films over HTTP: whole, and any range of them, as players ask for it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio

from banyan_crdt.blob import CHUNK
from banyan_node.server.blob_files import Part, part_of
from tests.node.pictures import film
from tests.node.real import make_home, make_node


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("", Part(0, 100, False)),
        ("bytes=0-", Part(0, 100, True)),
        ("bytes=10-19", Part(10, 10, True)),
        ("bytes=90-1000", Part(90, 10, True)),
        ("bytes=-5", Part(95, 5, True)),
        ("bytes=-1000", Part(0, 100, True)),
        ("bytes=100-", None),
        ("bytes=20-10", None),
        ("bytes=-0", None),
        ("bytes=-", Part(0, 100, False)),
        ("bytes=1-2,5-6", Part(0, 100, False)),
        ("lines=1-2", Part(0, 100, False)),
    ],
)
def test_a_range_is_read_as_the_standard_says(asked: str, part: Part | None) -> None:
    assert part_of(asked, 100) == part


async def test_a_player_reads_a_film_from_any_place(tmp_path: Path) -> None:
    file = film(tmp_path / "sea.mp4", 9 * CHUNK + 77)
    raw, node = file.read_bytes(), make_node(make_home(tmp_path / "home"))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            endpoint = await nursery.start(node.run)
            await node.backend.call("account.create", {"name": "An", "hosted": False})
            blob = (await node.backend.call("media.put", {"path": str(file)}))["blob"]
            token = {"authorization": f"Bearer {node.home.token.read_text()}"}
            async with httpx.AsyncClient(base_url=endpoint.url, headers=token) as http:
                whole = await http.get(f"/v1/media/{blob}")
                assert (whole.status_code, whole.content) == (200, raw)
                assert whole.headers["content-type"] == "video/mp4"
                assert whole.headers["x-content-type-options"] == "nosniff"
                some = await http.get(f"/v1/media/{blob}", headers={"range": f"bytes={5 * CHUNK - 3}-{7 * CHUNK}"})
                assert (some.status_code, some.content) == (206, raw[5 * CHUNK - 3 : 7 * CHUNK + 1])
                assert some.headers["content-range"] == f"bytes {5 * CHUNK - 3}-{7 * CHUNK}/{len(raw)}"
                head = await http.head(f"/v1/media/{blob}")
                assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(raw)))
                beyond = await http.get(f"/v1/media/{blob}", headers={"range": f"bytes={len(raw)}-"})
                assert (beyond.status_code, beyond.json()["error"]["code"]) == (416, "bad_request")
                assert beyond.headers["content-range"] == f"bytes */{len(raw)}"
                assert (await http.get(f"/v1/media/{'ab' * 32}")).status_code == 404
                assert (await http.post(f"/v1/media/{blob}")).status_code == 405
                (data,) = node.home.blobs.rglob(blob)
                data.write_bytes(bytes((raw[0] ^ 1,)) + raw[1:])
                changed = await http.get(f"/v1/media/{blob}")
                assert (changed.status_code, "the disk changed it" in changed.json()["error"]["message"]) == (507, True)
            async with httpx.AsyncClient(base_url=endpoint.url) as http:
                assert (await http.get(f"/v1/media/{blob}")).status_code == 401
            node.shutdown.set()
