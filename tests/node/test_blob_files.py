"""Pictures and films over HTTP: whole, and any range of them, as players ask for it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio

from banyan_crdt.blob import CHUNK
from banyan_node.server.blob_files import PIECE, ByteRange, part_of
from tests.node.pictures import film
from tests.node.real import make_home, make_node


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("", ByteRange(0, 100, False)),
        ("bytes=0-", ByteRange(0, 100, True)),
        ("bytes=10-19", ByteRange(10, 10, True)),
        ("bytes=90-1000", ByteRange(90, 10, True)),
        ("bytes=-5", ByteRange(95, 5, True)),
        ("bytes=-1000", ByteRange(0, 100, True)),
        ("bytes=100-", None),
        ("bytes=20-10", None),
        ("bytes=-0", None),
        ("bytes=-", ByteRange(0, 100, False)),
        ("bytes=1-2,5-6", ByteRange(0, 100, False)),
        ("lines=1-2", ByteRange(0, 100, False)),
        ("bytes= 10-19 ", ByteRange(10, 10, True)),
        ("bytes=1 0-19", ByteRange(0, 100, False)),
        ("bytes=10-1 9", ByteRange(0, 100, False)),
        ("bytes=1\t0-", ByteRange(0, 100, False)),
    ],
)
def test_a_range_is_read_as_the_standard_says(asked: str, part: ByteRange | None) -> None:
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
                assert head.headers["cache-control"] == "private, immutable, max-age=31536000"
                short = await http.get(f"/v1/media/{blob[:8]}")
                assert (short.content, short.headers["cache-control"]) == (raw, "private, no-cache")
                tag = whole.headers["etag"]
                for known in (tag, f'"other", W/{tag}', "*"):
                    same = await http.get(f"/v1/media/{blob}", headers={"if-none-match": known})
                    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
                new = await http.get(f"/v1/media/{blob}", headers={"if-none-match": '"other"'})
                assert (new.status_code, new.content) == (200, raw)
                for known, status in ((tag, 206), ('"other"', 200)):
                    more = await http.get(f"/v1/media/{blob}", headers={"range": "bytes=5-", "if-range": known})
                    assert (more.status_code, more.content) == (status, raw[5:] if status == 206 else raw)
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


async def test_an_answer_whose_client_is_gone_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, pieces = film(tmp_path / "sea.mp4", 60 * PIECE), list[int]()
    node = make_node(make_home(tmp_path / "home"))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            endpoint = await nursery.start(node.run)
            await node.backend.call("account.create", {"name": "An", "hosted": False})
            blob = (await node.backend.call("media.put", {"path": str(file)}))["blob"]
            read = node.backend.piece

            async def piece(blob: str, offset: int, length: int) -> bytes:
                pieces.append(offset)
                return await read(blob, offset, length)

            monkeypatch.setattr(node.backend, "piece", piece)
            asked = f"GET /v1/media/{blob} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
            async with await trio.open_tcp_stream("127.0.0.1", endpoint.port) as line:
                await line.send_all(f"{asked}{node.home.token.read_text()}\r\n\r\n".encode())
                assert (await line.receive_some(65_536)).startswith(b"HTTP/1.1 200")
            await trio.sleep(2)
            assert 0 < len(pieces) < 20
            node.shutdown.set()
