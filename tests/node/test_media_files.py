"""Files that are put: what is posted of a picture, and one clear sentence for everything that cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from banyan_crdt.blob import CHUNK
from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.media import intake, media_child
from banyan_node.media.decoders import Decoders, Program
from banyan_node.media.media_child import blurhash
from banyan_node.operator_errors import CallError
from tests.node.pictures import PLACE, bomb, film, gif, photo
from tests.node.real import load_settings, make_home


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    """The methods of a node that does not run."""
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home, media__max_bytes="20 MB")) as local:
        local.call("account.create", name="An", hosted=False)
        yield local


def put(node: LocalBackend, path: Path) -> dict[str, Any]:
    return dict(node.call("media.put", path=str(path)))


def stored(node: LocalBackend, blob: str) -> bytes:
    return b64decode(node.call("media.read", blob=blob, length=4 << 20)["data"])


def refusal(node: LocalBackend, path: Path) -> str:
    """Why a file is not taken; and then nothing of it is kept."""
    with pytest.raises(CallError) as why:
        put(node, path)
    assert node.call("media.list")["blobs"] == []
    folder = node.context.home.blobs
    assert [p.name for p in folder.rglob("*") if p.is_file()] == []
    return why.value.message


def test_a_photograph_is_turned_made_smaller_and_says_nothing_of_where_it_was_taken(
    node: LocalBackend, tmp_path: Path
) -> None:
    file = photo(tmp_path / "cat.jpg")
    assert PLACE in file.read_bytes()
    found = put(node, file)
    assert (found["type"], found["width"], found["height"]) == ("image/jpeg", 960, 1280)
    for blob, size in ((found["blob"], (960, 1280)), (found["preview"], (300, 400))):
        raw = stored(node, blob)
        assert PLACE not in raw
        with Image.open(BytesIO(raw)) as picture:
            assert picture.size == size
            assert not picture.getexif()
            assert "comment" not in picture.info
    with Image.open(BytesIO(stored(node, found["blob"]))) as picture:  # light was below, and the camera stood upright
        dark, light = picture.convert("L").getpixel((900, 640)), picture.convert("L").getpixel((60, 640))
        assert isinstance(dark, int)
        assert isinstance(light, int)
        assert dark < light


def test_a_large_photograph_is_all_of_it_made_smaller(node: LocalBackend, tmp_path: Path) -> None:
    for width, height in ((6_000, 4_500), (4_000, 3_000), (1_300, 900)):
        whole = Image.merge("RGB", [Image.linear_gradient("L").resize((width, height))] * 3)
        whole.paste((255, 0, 0), (width - width // 8, height - height // 8, width, height))
        whole.save(tmp_path / "a.jpg", "JPEG", quality=90)
        found = put(node, tmp_path / "a.jpg")
        with Image.open(BytesIO(stored(node, found["blob"]))) as picture:
            small = whole.resize(picture.size)
            assert found["width"] == 1280
            assert max(ImageStat.Stat(ImageChops.difference(small, picture.convert("RGB"))).mean) < 1


def test_a_transparent_picture_stays_so_and_a_small_one_has_no_preview(node: LocalBackend, tmp_path: Path) -> None:
    Image.new("RGBA", (300, 200), (255, 0, 0, 128)).save(tmp_path / "a.png")
    found = put(node, tmp_path / "a.png")
    assert (found["type"], found["preview"]) == ("image/png", None)
    with Image.open(BytesIO(stored(node, found["blob"]))) as picture:
        assert picture.mode == "RGBA"
        pixel = picture.getpixel((5, 5))
        assert isinstance(pixel, tuple)
        assert pixel[3] == 128


def test_a_moving_picture_moves(node: LocalBackend, tmp_path: Path) -> None:
    found = put(node, gif(tmp_path / "a.gif", 12))
    assert found["type"] == "image/webp"
    with Image.open(BytesIO(stored(node, found["blob"]))) as picture:
        assert getattr(picture, "n_frames", 1) > 1


def test_a_file_is_what_it_is_and_not_what_its_name_says(node: LocalBackend, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (0, 90, 0)).save(tmp_path / "holiday.mp4", "PNG")
    assert put(node, tmp_path / "holiday.mp4")["type"] == "image/png"
    film(tmp_path / "film.jpg", 5 * CHUNK)
    found = put(node, tmp_path / "film.jpg")
    assert (found["type"], found["size"], found["note"][:25]) == ("video/mp4", 5 * CHUNK, "It is posted as it is, wi")


def real_film(path: Path, seconds: int = 4) -> Path:
    """A film that lights up, made by the encoder of the extra."""
    import av
    import numpy

    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for n in range(seconds * 10):
            grey = numpy.full((480, 640, 3), 6 * n, numpy.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
        out.mux(stream.encode())
    return path


def test_a_film_gets_its_length_and_a_poster_and_is_stored_as_it_is(node: LocalBackend, tmp_path: Path) -> None:
    file = real_film(tmp_path / "sea.mp4")
    found = put(node, file)
    assert (found["type"], found["width"], found["height"], found["duration_ms"]) == ("video/mp4", 640, 480, 4000)
    assert found["note"].endswith("Browsers do not play mpeg4, so some people will not see or hear it.")
    assert stored(node, found["blob"]) == file.read_bytes()
    with Image.open(BytesIO(stored(node, found["preview"]))) as poster:
        assert (poster.format, poster.size) == ("JPEG", (400, 300))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.9])
def test_the_note_of_a_damaged_film_is_in_words(node: LocalBackend, tmp_path: Path, kept: float) -> None:
    """Films end in the middle, and one has nothing but noise behind its head."""
    whole = real_film(tmp_path / "whole.mp4").read_bytes()
    file = tmp_path / "sea.mp4"
    file.write_bytes(whole[: int(len(whole) * kept)] or b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\xa5\7" * 9_000)
    note = put(node, file)["note"]
    assert "It may be damaged: no length and no poster could be made of it (its bytes are not those of" in note
    assert not set("[]'<>") & set(note)
    assert "rrno" not in note


def test_without_the_extra_a_film_has_no_poster_and_that_is_said(
    node: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "find_spec", lambda name: None)
    found = put(node, real_film(tmp_path / "sea.mp4"))
    assert (found["preview"], found["duration_ms"]) == (None, None)
    assert found["note"].endswith("It has no poster and no length: `pip install 'banyan-social[video]'` makes them.")


def test_captions_are_taken_if_their_times_can_be_read(node: LocalBackend, tmp_path: Path) -> None:
    good = tmp_path / "vi.vtt"
    good.write_text(
        "WEBVTT\n\n1\n00:01.000 --> 00:02.500 align:start\nXin chào\n\n01:00:03.000 --> 01:00:04.000\nTạm biệt\n"
    )
    assert put(node, good)["type"] == "text/vtt"


CAPTIONS = {
    "WEBVTT\n\n": "has captions without a single cue.",
    "WEBVTT\n\n00:01.000 --> soon\nhello\n": "has captions whose line 3 is no time span such as 00:01.000 -->",
    "WEBVTT\n\n00:02.000 --> 00:01.000\nhello\n": "has captions whose line 3 is no time span such as",
}


@pytest.mark.parametrize("text", CAPTIONS)
def test_captions_that_cannot_be_shown_are_refused(node: LocalBackend, tmp_path: Path, text: str) -> None:
    file = tmp_path / "vi.vtt"
    file.write_text(text)
    assert refusal(node, file).startswith(f"The file 'vi.vtt' {CAPTIONS[text]}")


def test_captions_that_are_not_utf8_are_refused(node: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "vi.vtt").write_bytes(b"WEBVTT\n\n00:01.000 --> 00:02.000\n\xff\n")
    assert "has captions that are not UTF-8" in refusal(node, tmp_path / "vi.vtt")


def make(path: Path, what: str) -> Path:
    """A file that cannot be posted."""
    whole = photo(path.with_name("whole.jpg")).read_bytes()
    match what:
        case "a picture cut in half":
            path.write_bytes(whole[: len(whole) // 2])
        case "the head of a picture":
            path.write_bytes(whole[:100])
        case "a text called picture":
            path.write_text("this is no picture at all\n" * 100)
        case "noise":
            path.write_bytes(bytes(range(1, 256)) * 100)
        case "nothing":
            path.write_bytes(b"")
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a bomb":
            bomb(path)
        case "many frames":
            gif(path, 100_000)
        case "a TIFF":
            Image.new("RGB", (5, 5)).save(path, "TIFF")
        case "too large":
            film(path, 21_000_000)
    return path


REFUSED = {
    "a picture cut in half": "is a damaged or truncated picture (",
    "the head of a picture": "is a damaged or truncated picture (",
    "a text called picture": "is of no known type; pictures, films, sounds and captions (WebVTT) can be posted.",
    "noise": "is of no known type; pictures, films, sounds and captions (WebVTT) can be posted.",
    "nothing": "is empty.",
    "a folder": "is a folder; name one of the files in it.",
    "a pipe": "is no ordinary file: a pipe or a device cannot be posted.",
    "a bomb": "has 50,000 x 50,000 pixels; at most 100 million are decoded.",
    "many frames": "has more than 500 frames; post it as a film.",
    "a TIFF": "is a picture of the type image/tiff; JPEG, PNG, WebP and GIF are taken, so convert it first.",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_posted_is_refused_with_one_sentence(node: LocalBackend, tmp_path: Path, what: str) -> None:
    said = refusal(node, make(tmp_path / "file.jpg", what))
    assert said.startswith(f"The file 'file.jpg' {REFUSED[what]}")
    assert said.count("\n") == 0


def test_a_file_that_is_not_there_or_is_the_nodes_own_is_refused(node: LocalBackend, tmp_path: Path) -> None:
    assert "cannot be opened (No such file or directory)" in refusal(node, tmp_path / "nothing.jpg")
    assert "is in the folder of the node itself" in refusal(node, node.context.home.keys)
    (tmp_path / "link.jpg").symlink_to(node.context.home.keys)
    assert "is in the folder of the node itself" in refusal(node, tmp_path / "link.jpg")
    with pytest.raises(CallError, match="is not an absolute path"):
        node.call("media.put", path="cat.jpg")


def test_beyond_the_quota_nothing_is_taken(node: LocalBackend, tmp_path: Path) -> None:
    said = refusal(node, make(tmp_path / "file.jpg", "too large"))
    assert said.startswith("Pictures and films take 0.0 MB and this takes 21.0 MB; media.max_bytes allows 20.0 MB.")


def test_a_file_that_changes_while_it_is_read_is_refused(
    node: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = film(tmp_path / "a.mp4", 10 * CHUNK)
    reached, go_on = threading.Event(), threading.Event()
    blobs = node.context.blobs
    whole = blobs.put

    def slow(read: Any, about: Any = None) -> Any:
        def pausing(size: int) -> bytes:
            reached.set()
            go_on.wait(60)
            return bytes(read(size))

        return whole(pausing, about)

    monkeypatch.setattr(blobs, "put", slow)

    def change() -> None:
        reached.wait(60)
        with file.open("ab") as out:
            out.write(b"more")
        go_on.set()

    changing = threading.Thread(target=change)
    changing.start()
    assert refusal(node, file) == "The file 'a.mp4' changed while it was read; try again when it is complete."
    changing.join()


def test_a_decoder_that_hangs_or_dies_costs_a_sentence(
    node: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = photo(tmp_path / "a.jpg")
    monkeypatch.setattr(intake, "DEADLINE_S", 0.01)
    assert refusal(node, file) == "The file 'a.jpg' could not be decoded within 0 seconds."
    monkeypatch.setattr(intake, "DEADLINE_S", 30.0)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert refusal(node, file) == "The file 'a.jpg' could not be decoded: the process that tried it ended."


def process_of(decoders: Decoders) -> int:
    """The id of the one process that waits for files."""
    (one,) = decoders._idle
    return int(one._process.pid)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    with closing(Decoders()) as some:
        yield some


def decoded(decoders: Decoders, file: Path, program: Program = "picture", word: str = "1280") -> Any:
    """What the program says of a file; None if it is ended."""
    with file.open("rb") as given, tempfile.TemporaryFile() as made, tempfile.TemporaryFile() as preview:
        said = decoders.run(program, word, [given.fileno(), made.fileno(), preview.fileno()], 30)
    return json.loads(said) if said else None


def test_one_process_serves_many_files_each_with_limits_of_its_own(decoders: Decoders, tmp_path: Path) -> None:
    picture = photo(tmp_path / "a.jpg")
    first = decoded(decoders, picture)
    process = process_of(decoders)
    assert (first["width"], first["height"]) == (960, 1280)
    assert decoded(decoders, real_film(tmp_path / "a.mp4"), "film", "video/mp4")["duration_ms"] == 4000
    assert decoded(decoders, picture) == first
    assert process_of(decoders) == process


def test_a_file_that_ends_its_process_costs_itself(decoders: Decoders, tmp_path: Path) -> None:
    picture = photo(tmp_path / "a.jpg")
    whole = decoded(decoders, picture)
    process = process_of(decoders)
    assert decoded(decoders, picture, word="wide") is None  # which raises where nothing is caught
    assert decoded(decoders, picture) == whole
    assert process_of(decoders) == process


def test_a_process_that_was_ended_while_it_waited_costs_no_file(decoders: Decoders, tmp_path: Path) -> None:
    picture = photo(tmp_path / "a.jpg")
    whole = decoded(decoders, picture)
    os.kill(process_of(decoders), signal.SIGKILL)
    assert decoded(decoders, picture) == whole


def test_a_file_past_its_deadline_is_ended_and_the_next_one_is_read(
    node: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(node, photo(tmp_path / "b.jpg", 300, 200))
    process = process_of(node.context.decoders)
    monkeypatch.setattr(intake, "DEADLINE_S", 0.05)
    with pytest.raises(CallError, match="could not be decoded within 0 seconds"):
        put(node, photo(tmp_path / "a.jpg", 9_000, 9_000))
    assert not is_running(process)
    monkeypatch.setattr(intake, "DEADLINE_S", 30.0)
    assert put(node, photo(tmp_path / "a.jpg"))["width"] == 960


def test_a_process_that_is_not_used_ends(decoders: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_node.media.decoders.IDLE_S", 0.05)
    decoded(decoders, photo(tmp_path / "a.jpg"))
    deadline = time.monotonic() + 60
    while decoders._idle and time.monotonic() < deadline:
        time.sleep(0.01)
    assert decoders._idle == []
    assert decoded(decoders, photo(tmp_path / "a.jpg"))["width"] == 960


def test_what_waits_for_a_decoder_that_is_closed_gets_nothing(tmp_path: Path) -> None:
    decoders, said = Decoders(), list[Any]()
    file = photo(tmp_path / "a.jpg", 9_000, 9_000)
    asking = threading.Thread(target=lambda: said.append(decoded(decoders, file)))
    asking.start()
    deadline = time.monotonic() + 60
    while not decoders._busy and time.monotonic() < deadline:
        time.sleep(0.01)
    (process,) = [one._process.pid for one in decoders._busy]
    decoders.close()
    asking.join(60)
    assert (said, is_running(process)) == ([None], False)
    assert decoded(decoders, file) is None


def test_files_are_put_beside_each_other_and_room_is_made_where_the_store_is(
    node: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, rooms, both = threading.get_ident(), list[int](), threading.Barrier(2, timeout=60)
    make_room, put_blob = node._make_room, node.context.blobs.put

    def noted(size: int) -> None:
        rooms.append(threading.get_ident())
        make_room(size)

    monkeypatch.setattr(node, "_make_room", noted)

    def met(read: Any, about: Any = None) -> Any:
        both.wait()
        return put_blob(read, about)

    monkeypatch.setattr(node.context.blobs, "put", met)
    small = [photo(tmp_path / f"{n}.jpg", 100 + n, 100) for n in range(2)]
    waiting = [node.begin("media.put", path=str(file)) for file in small]
    assert [wait()["height"] for wait in waiting] == [100, 101]  # the camera stood upright
    assert rooms == [owner] * 2
    wrong = node.begin("media.put", path="cat.jpg")
    with pytest.raises(CallError, match="is not an absolute path"):
        wrong()


def test_the_decoder_cannot_take_more_memory_than_it_may() -> None:
    code = (
        "from banyan_node.media import media_child as child\n"
        "child._picture = lambda file, side: bytearray(2 << 30)\n"
        "child.read_picture('1280')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    mib = media_child.PICTURE_MEMORY >> 20
    assert ran.stdout.decode() == f'{{"refused": "needs more memory than the {mib} MiB that decoding may use"}}'


def test_a_post_names_what_was_put_and_nothing_else(node: LocalBackend, tmp_path: Path) -> None:
    found = put(node, photo(tmp_path / "a.jpg"))
    media = [{"blob": found["blob"], "description": " a cat\n"}]
    uri = node.call("post", text="", media=media)["uri"]
    (item,) = node.call("thread", uri=uri)["posts"][0]["media"]
    assert item["description"] == "a cat"
    assert (item["preview"], item["blurhash"]) == (found["preview"], found["blurhash"])
    assert node.call("media.show", blob=found["blob"][:8])["posts"] == [uri]
    assert [row["uri"] for row in node.call("search", question="has:media")["posts"]] == [uri]
    edited = node.call("edit", uri=uri, text="my cat")["uri"]
    assert node.call("thread", uri=edited)["posts"][0]["media"] == [item]
    with pytest.raises(CallError, match="is not here; fetch it first"):
        node.call("post", text="x", media=[{"blob": "ab" * 32}])
    with pytest.raises(CallError, match="64"):
        node.call("post", text="x", media=media * 65)
    with pytest.raises(CallError, match="8192"):
        node.call("post", text="x", media=[{"blob": found["blob"], "description": "é" * 5000}])
    with pytest.raises(CallError, match="empty"):
        node.call("post", text=" ", media=[])


def test_the_blurhash_of_one_colour_and_of_two_is_that_of_the_reference() -> None:
    red = [(255, 0, 0)] * 64
    assert blurhash(red, 8, 8, 1, 1) == "00TI:j"
    left_white = [(255, 255, 255) if x < 4 else (0, 0, 0) for _ in range(8) for x in range(8)]
    assert blurhash(left_white, 8, 8, 2, 1)[2:6] == blurhash([(188, 188, 188)] * 64, 8, 8, 1, 1)[2:6]
