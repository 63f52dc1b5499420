"""Files that come in pieces: in any order, over breaks and kills, each piece checked, and then they are blobs."""

from __future__ import annotations

import random
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from banyan_crdt.blob import CHUNK, BlobRoot
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY, working
from banyan_node.api.methods.files import media, uploads
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import storage_quota
from tests.node.pictures import film, photo
from tests.node.real import load_settings, make_home
from tests.node.test_kill import Victim
from tests.node.victim import UPLOADED

KILLS = 6


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        yield backend


@pytest.fixture
def victim() -> Iterator[Victim]:
    made = Victim()
    yield made
    made.close()


def listed(raw: bytes) -> dict[str, Any]:
    chunks = [raw[at : at + CHUNK] for at in range(0, len(raw), CHUNK)]
    return {"size": len(raw), "hashes": [sha256(chunk).hexdigest() for chunk in chunks]}


def begun(node: LocalBackend, raw: bytes) -> dict[str, Any]:
    answer = node.call("upload.begin", **listed(raw))
    msgspec.convert(answer, EVERY["upload.begin"].answers)
    return dict(answer)


def send(node: LocalBackend, upload: str, raw: bytes, number: int) -> None:
    data = b64encode(raw[number * CHUNK : (number + 1) * CHUNK]).decode()
    node.call("upload.chunk", upload=upload, number=number, data=data)


def test_a_film_comes_in_any_order_and_whoever_begins_it_again_goes_on(node: LocalBackend, tmp_path: Path) -> None:
    raw = film(tmp_path / "sea.mp4", 9 * CHUNK + 77).read_bytes()
    state = begun(node, raw)
    assert (state["size"], state["held"], state["missing"]) == (len(raw), 0, [*range(10)])
    order = random.Random(3).sample(range(10), 10)
    for number in order[:6]:
        send(node, state["upload"], raw, number)
    send(node, state["upload"], raw, order[0])  # an answer was lost
    state = begun(node, raw)
    assert (state["held"], state["missing"]) == (len(raw) - sum(_size(raw, n) for n in order[6:]), sorted(order[6:]))
    with pytest.raises(CallError, match="4 chunks have not come, such as"):
        node.call("media.put", upload=state["upload"])
    for number in order[6:]:
        send(node, state["upload"], raw, number)
    put = node.call("media.put", upload=state["upload"])
    assert (put["type"], put["size"]) == ("video/mp4", len(raw))
    assert node.context.blobs.read(BlobRoot(bytes.fromhex(put["blob"])), 0, len(raw)) == raw
    assert node.context.uploads.all() == []
    assert begun(node, raw)["held"] == 0


def _size(raw: bytes, number: int) -> int:
    return len(raw[number * CHUNK : (number + 1) * CHUNK])


def test_an_upload_whose_put_was_interrupted_is_still_whole(node: LocalBackend, tmp_path: Path) -> None:
    raw = film(tmp_path / "sea.mp4", 3 * CHUNK).read_bytes()
    upload = begun(node, raw)["upload"]
    for number in range(3):
        send(node, upload, raw, number)
    uploads = node.context.uploads
    of = uploads.list_of(BlobRoot(bytes.fromhex(upload)))
    assert of is not None
    uploads.finished(uploads.begin(of))  # as far as a kill lets it come
    uploads.tidy()
    assert (begun(node, raw)["held"], begun(node, raw)["missing"]) == (len(raw), [])
    assert node.call("media.put", upload=upload)["size"] == len(raw)


def test_a_picture_that_comes_in_pieces_is_written_anew(node: LocalBackend, tmp_path: Path) -> None:
    raw = photo(tmp_path / "cat.jpg").read_bytes()
    upload = begun(node, raw)["upload"]
    for number in range(len(listed(raw)["hashes"])):
        send(node, upload, raw, number)
    put = node.call("media.put", upload=upload)
    assert (put["type"], put["width"], put["height"]) == ("image/jpeg", 960, 1280)
    said = node.call("post", text="", media=[{"blob": put["blob"]}])
    assert node.call("thread", uri=said["uri"])["posts"][0]["media"][0]["preview_here"]


def test_what_is_not_a_piece_is_refused_and_changes_nothing(node: LocalBackend) -> None:
    raw = bytes(range(256)) * 2048
    upload = begun(node, raw)["upload"]
    wrong = b64encode(raw[:CHUNK][::-1]).decode()
    for given, says in (
        ({"number": 0, "data": wrong}, "This is not chunk 0 of the upload"),
        ({"number": 2, "data": wrong}, "This is not chunk 2 of the upload"),
        ({"number": 0, "data": "?"}, "is base64"),
        ({"number": 0, "data": ""}, "This is not chunk 0"),
        ({"upload": "ab" * 32, "number": 0, "data": ""}, "No upload"),
    ):
        with pytest.raises(CallError, match=says):
            node.call("upload.chunk", **{"upload": upload, **given})
    with pytest.raises(CallError, match="not the chunks of one file"):
        node.call("upload.begin", size=CHUNK + 1, hashes=["ab" * 32])
    for both in ({}, {"path": "/x", "upload": upload}):
        with pytest.raises(CallError, match="the path of a file, or an upload"):
            node.call("media.put", **both)
    assert begun(node, raw)["held"] == 0
    node.call("upload.drop", upload=upload)
    with pytest.raises(CallError, match="No upload"):
        node.call("upload.drop", upload=upload)
    assert not [path for path in node.context.home.uploads.rglob("*") if path.is_file()]


def test_uploads_share_the_quota_and_end_after_a_day(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home, media__max_bytes="1 MB")) as node:
        begun(node, b"a" * 600_000)
        with pytest.raises(CallError, match=r"media\.max_bytes allows"):
            begun(node, b"b" * 600_000)
        storage_quota.drop_old(node.context.uploads, time.time())
        assert len(node.context.uploads.all()) == 1
        storage_quota.drop_old(node.context.uploads, time.time() + storage_quota.GRACE_S + 5)
        assert node.context.uploads.all() == []
        begun(node, b"b" * 600_000)


def test_a_kill_costs_the_piece_under_way(victim: Victim, tmp_path: Path) -> None:
    rng, home, told = random.Random(6), make_home(tmp_path / "home"), set[int]()
    longest, life = 0.2, 0
    while life < KILLS or not told:
        life += 1
        lines = victim.lives(f"upload {home.path}", rng.random() * longest)
        told |= {int(line.split()[1]) for line in lines}
        longest += 0.0 if told else 0.2
        with open_local(home, load_settings(home)) as node:
            node.context.uploads.tidy()
            if told:
                missing = begun(node, UPLOADED)["missing"]
                assert told.isdisjoint(missing), f"life {life}"


def test_one_thing_is_done_with_an_upload_at_a_time(node: LocalBackend, tmp_path: Path) -> None:
    raw = film(tmp_path / "sea.mp4", 3 * CHUNK).read_bytes()
    upload = begun(node, raw)["upload"]
    for number in range(3):
        send(node, upload, raw, number)
    in_use, root = node.context.in_use, BlobRoot(bytes.fromhex(upload))
    with in_use.alone(root):  # as while `media.put` reads it
        for ask in (
            lambda: send(node, upload, raw, 0),
            lambda: begun(node, raw),
            lambda: node.call("media.put", upload=upload),
            lambda: node.call("upload.drop", upload=upload),
        ):
            with pytest.raises(CallError, match="Something else is being done with the upload"):
                ask()
    with in_use.beside(root), in_use.beside(root):  # as while two chunks come
        send(node, upload, raw, 0)
        with pytest.raises(CallError, match="wait for its answer"):
            node.call("media.put", upload=upload)
    assert node.call("media.put", upload=upload)["size"] == len(raw)
    assert node.context.uploads.all() == []


def test_chunks_and_puts_of_several_clients_make_one_blob_and_leave_nothing(node: LocalBackend, tmp_path: Path) -> None:
    raw = film(tmp_path / "sea.mp4", 6 * CHUNK).read_bytes()
    upload = begun(node, raw)["upload"]
    at, answers, said = working(node.context, lambda size: None), list[str](), set[str]()
    data = [b64encode(raw[n * CHUNK : (n + 1) * CHUNK]).decode() for n in range(6)]

    def client(seed: int) -> None:
        todo = [*random.Random(seed).sample(range(6), 6), 6]
        while todo and not answers:
            try:
                if todo[0] < 6:
                    uploads.chunk(at, uploads.ChunkRequest(upload=upload, number=todo[0], data=data[todo[0]]))
                else:
                    answers.append(media.put(at, media.MediaPutRequest(upload=upload)).blob)
                todo.pop(0)
            except CallError as error:
                said.add(" ".join(str(error).split()[:3]))
                time.sleep(0.01)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 1
    assert node.context.blobs.read(BlobRoot(bytes.fromhex(answers[0])), 0, len(raw)) == raw
    assert said <= {"Something else is", "Of the upload", f"No upload {upload[:16]}..."}
    assert node.call("uploads")["uploads"] == []
    assert [path for path in node.context.uploads.folder.rglob("*") if path.is_file()] == []


def test_uploads_are_listed_and_a_refusal_says_what_they_hold(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home, media__max_bytes=str(20 << 20))) as node:
        raw = random.Random(1).randbytes(3 * CHUNK)
        before = int(time.time() * 1000) - 1000
        upload = begun(node, raw)["upload"]
        send(node, upload, raw, 1)
        (one,) = node.call("uploads")["uploads"]
        assert (one["upload"], one["size"], one["held"]) == (upload, len(raw), CHUNK)
        assert before <= one["touched_ms"] <= time.time() * 1000
        with pytest.raises(CallError, match=r"Of this, 0\.8 MB are for uploads that were begun"):
            node.call("upload.begin", **listed(bytes(20 << 20)))
        node.call("upload.drop", upload=upload)
        assert begun(node, bytes(20 << 20))["held"] == 0


def test_an_upload_to_which_chunks_come_stays(node: LocalBackend) -> None:
    raw = random.Random(2).randbytes(2 * CHUNK)
    upload = begun(node, raw)["upload"]
    uploads_ = node.context.uploads
    long_ago = int(time.time()) - 2 * storage_quota.GRACE_S
    uploads_.want(BlobRoot(bytes.fromhex(upload)), long_ago)
    send(node, upload, raw, 0)
    storage_quota.drop_old(uploads_, time.time())
    assert begun(node, raw)["held"] == CHUNK
    uploads_.want(BlobRoot(bytes.fromhex(upload)), long_ago)
    storage_quota.drop_old(uploads_, time.time())
    assert node.call("uploads")["uploads"] == []
