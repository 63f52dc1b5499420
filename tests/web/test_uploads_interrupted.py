"""A file that is read after its answer (202): if whatever reads it dies, who sent it is told so, and soon."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest
import trio

from banyan_web.mastodon import compose_store
from banyan_web.mastodon.compose_store import (
    INTERRUPTED,
    READING_S,
    SAID_S,
    begin_upload,
    new_upload,
    say_reading,
    upload,
)
from tests.web.door import Door, open_node
from tests.web.test_statuses import sound
from tests.web.test_workers import fresh, gone, pids, together


def temporary() -> list[str]:
    """What this program has in the system's temporary folder."""
    return sorted(path.name for path in Path(tempfile.gettempdir()).glob("banyan-*"))


LONG = {"file": ("a.wav", sound(7_000), "audio/wav")}
"""56 MB: it takes a while to be read."""


def later(door: Door, seconds: int) -> None:
    """As if so much time had passed since a process said something."""
    with door.store.writing() as db:
        db.execute("update uploads set read_until = read_until - ?", (seconds,))


async def interrupted(door: Door, token: str) -> tuple[str, dict[str, str]]:
    """The id of an upload whose worker was killed while it read, and the header with its key."""
    tries = count()
    while True:
        async with fresh(door, token) as client:
            key = {"idempotency-key": f"sound {next(tries)}"}
            sent = await client.ask("POST", "/api/v2/media", 202, files=LONG, headers=key)
        for pid in pids(door):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        found = upload(door.store, sent["id"])
        assert found is not None
        if found.made is None:
            return str(sent["id"]), key


async def test_an_upload_whose_worker_was_killed_is_to_be_sent_again(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__workers="2") as door:
        an, _ = await door.person("an")
        token = door.token(an)
        with trio.fail_after(120):
            before = temporary()
            id, key = await interrupted(door, token)
            assert temporary() == before, "nothing of it is in the folder of the system"

            async def asked() -> httpx.Response:
                while True:
                    with suppress(httpx.HTTPError):
                        async with fresh(door, token) as client:
                            return await client.http.get(f"/api/v1/media/{id}")
                    await trio.sleep(0.1)

            assert (await asked()).status_code == 206
            later(door, READING_S + 1)
            answer = await asked()
            assert (answer.status_code, answer.json()) == (422, {"error": INTERRUPTED, "code": "bad_request"})
            async with fresh(door, token) as client:
                await client.ask("POST", "/api/v1/statuses", 422, json={"status": "x", "media_ids": [id]})
                files = {"file": ("a.wav", sound(1), "audio/wav")}
                again = (await client.ask("POST", "/api/v2/media", 202, files=files))["id"]
                while (await client.http.get(f"/api/v1/media/{again}")).status_code == 206:
                    await trio.sleep(0.1)
                await client.ask("POST", "/api/v1/statuses", json={"status": "x", "media_ids": [again]})
                send = partial(client.http.post, "/api/v2/media", files=LONG, headers=key)
                sent = await together(*[send] * 3)
                assert [(answer.status_code, answer.json()["id"]) for answer in sent] == [(202, id)] * 3
                other = {"file": ("a.wav", sound(1), "audio/wav")}
                await client.ask("POST", "/api/v2/media", 422, files=other, headers=key)
                while (await client.http.get(f"/api/v1/media/{id}")).status_code == 206:
                    await trio.sleep(0.1)
                assert (await send()).json()["url"], "it was read, by one of them"
                await client.ask("POST", "/api/v1/statuses", json={"status": "y", "media_ids": [id]})
        folder = door.node.home.door_files
        assert folder.stat().st_mode & 0o777 == 0o700
        with trio.fail_after(60):  # a process that is gone has no files there
            while any(gone(int(path.name)) for path in folder.iterdir()):
                await trio.sleep(0.05)
    assert READING_S + SAID_S <= 60


async def test_a_file_counts_as_being_read_as_long_as_its_process_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        monkeypatch.setattr(compose_store, "READING_S", 3)
        monkeypatch.setattr(compose_store, "SAID_S", 0.2)
        id = new_upload()
        assert begin_upload(door.store, id, an, "video/mp4", None, (0.0, 0.0))
        assert not begin_upload(door.store, id, an, "video/mp4", None, (0.0, 0.0)), "it is being read"

        def failed() -> str | None:
            found = upload(door.store, id)
            assert found is not None
            return found.failed

        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_reading, door.store, id)
            until = time.time() + 8
            while time.time() < until:
                assert failed() is None
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
        with trio.fail_after(60):
            while failed() is None:
                await trio.sleep(0.1)
        assert failed() == INTERRUPTED
