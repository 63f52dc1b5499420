"""What it costs to move in: a Mastodon archive of 100,000 posts, with `banyan import mastodon` as a person types it.

The archive is made as Mastodon makes it: a zip with actor.json and one outbox.json, about 2 kB a post; every third post
answers the one before. `seconds` is the whole process, from exec to exit, on a store that no node has open, or beside a
running node; `cpu_s` is its user and system time, without that of the node. `again` is the same command once more,
which adds nothing. `peak_mb` is the most resident memory of the command, pages of the store's file included.

With --pictures each post has a photograph of its own: a JPEG with EXIF, 2,000 pixels wide (--width) and some 200 kB.
`cpu_s` then includes the processes that decode, where no node runs; `blob_bytes` is what the pictures and previews
take, `seconds_a_picture` what the command takes, divided among them.

python -m bench moving --json
python -m bench moving --posts 1000 --pictures --json
python -m bench moving --posts 200 --pictures --width 4000 --json
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from bench.harness import ROOT, BenchError, arguments, at_least, finish, say, workplace
from bench.rig.people import copied

POSTS, QUICK = 100_000, 2_000
PUBLIC, ME = "https://www.w3.org/ns/activitystreams#Public", "https://mastodon.example/users/an"
SAID = (
    "Chào buổi sáng cả nhà, hôm nay Hà Nội trời nắng đẹp, gió nhẹ, ai rảnh thì ra Hồ Gươm đi dạo.",
    "Mẹ nấu phở bò từ sáng sớm, ăn xong cả nhà đi thăm bà ngoại ở Bắc Ninh rồi ghé chợ mua ít hoa.",
    "Có ai biết quán cà phê trứng nào yên tĩnh ở phố cổ để ngồi làm việc cả buổi chiều không nhỉ?",
    "A small computer on a bookshelf is enough to keep what you said, and what your friends said.",
)
START_S = 60.0


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("moving", __doc__, argv, rounds=1, more=_more)
    posts = args.posts or (QUICK if args.quick else POSTS)
    with workplace(args.folder) as folder:
        archive = folder / f"mastodon-{posts}{f'-pictures-{args.width}' if args.pictures else ''}.zip"
        if not archive.exists():
            say(f"an archive of {posts:,} posts")
            write_archive(archive, posts, args.width if args.pictures else 0)
        shutil.rmtree(folder / "new", ignore_errors=True)
        _run(folder / "new", "init", "--name", "An", "--realm", "test")
        cases = {name: _case(folder, archive, posts, beside) for name, beside in (("alone", False), ("beside", True))}
        size = archive.stat().st_size
    finish(args, "moving", posts=posts, archive_bytes=size, cases=cases)


def _more(p: argparse.ArgumentParser) -> None:
    p.add_argument("--posts", type=at_least(1), default=None)
    p.add_argument("--pictures", action="store_true", help="each post has a picture")
    p.add_argument("--width", type=at_least(400), default=2_000, help="of a picture, pixels")


def write_archive(path: Path, posts: int, width: int = 0) -> None:
    """Streams it, so that its size costs no memory. width: of a picture of each post; 0: they have none."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        actor = {"id": ME, "type": "Person", "preferredUsername": "an", "name": "Nguyễn Thị An", "summary": "<p>An</p>"}
        out.writestr("actor.json", json.dumps(actor))
        with out.open("outbox.json", "w", force_zip64=True) as file:
            file.write(b'{"@context": [], "id": "outbox.json", "type": "OrderedCollection", "orderedItems": [')
            for number in range(posts):
                comma = b"," if number else b""
                file.write(comma + json.dumps(_activity(number, width > 0), ensure_ascii=False).encode())
            file.write(b"]}")
        if width:
            scene = _scene(width)
            for number in range(posts):
                out.writestr(_picture_path(number), _photograph(scene, number), zipfile.ZIP_STORED)


def _picture_path(number: int) -> str:
    return f"media_attachments/files/{number}/original/a.jpg"


def _scene(width: int) -> Image.Image:
    """Soft shapes with the noise of a sensor: it packs as photographs do."""
    size = (width, width * 3 // 4)
    shapes = Image.effect_noise((20, 15), 120).resize(size, Image.Resampling.BICUBIC)
    one = ImageChops.add(shapes, Image.effect_noise(size, 9), 1, -128)
    return Image.merge("RGB", (one, ImageChops.offset(one, 3), shapes))


def _photograph(scene: Image.Image, number: int) -> bytes:
    """The scene, seen from another place for each number."""
    exif = Image.Exif()
    exif[0x010E] = f"photograph {number}"
    raw = io.BytesIO()
    ImageChops.offset(scene, number, 3 * number).save(raw, "JPEG", quality=60, exif=exif)
    return raw.getvalue()


def _uri(number: int) -> str:
    return f"{ME}/statuses/{108_000_000_000_000_000 + number}"


def _activity(number: int, picture: bool = False) -> dict[str, Any]:
    when = datetime.fromtimestamp(1_500_000_000 + number * 600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    uri, content = _uri(number), f"<p>{SAID[number % 4]}</p><p>Số {number}</p>"
    audience = {"to": [PUBLIC], "cc": [f"{ME}/followers"]}
    page = {"type": "CollectionPage", "next": f"{uri}/replies?only_other_accounts=true&page=true", "items": []}
    note = {
        "id": uri,
        "type": "Note",
        "summary": None,
        "inReplyTo": _uri(number - 1) if number % 3 == 2 else None,
        "published": when,
        "url": f"https://mastodon.example/@an/{uri.rpartition('/')[2]}",
        "attributedTo": ME,
        **audience,
        "sensitive": False,
        "atomUri": uri,
        "conversation": f"tag:mastodon.example,2017-07-14:objectId={number}:objectType=Conversation",
        "content": content,
        "contentMap": {"vi": content},
        "attachment": [{"type": "Document", "url": f"/{_picture_path(number)}", "name": "Hồ Gươm"}] if picture else [],
        "tag": [],
        "replies": {"id": f"{uri}/replies", "type": "Collection", "first": page},
    }
    return {"id": f"{uri}/activity", "type": "Create", "actor": ME, "published": when, **audience, "object": note}


def _case(folder: Path, archive: Path, posts: int, beside: bool) -> dict[str, Any]:
    home = copied(folder / "new", folder / ("beside" if beside else "alone"))
    with _node(home) if beside else nullcontext():
        first, seconds, used = _run(home, "import", "mastodon", str(archive))
        again, again_s, _ = _run(home, "import", "mastodon", str(archive))
    came, here = first["table"]["posts"]["came"], again["table"]["posts"]["here"]
    if (came, here, again["entries"]) != (posts, posts, 0):
        raise BenchError(f"{came} posts came and {here} were here again, with {again['entries']} entries more")
    store = sum(file.stat().st_size for file in home.rglob("*.mdb"))
    blobs = [file.stat().st_size for file in (home / "blobs").rglob("*") if len(file.name) == 64]
    say(f"{home.name}: {posts:,} posts in {seconds:.1f} s, {first['entries']} entries; again {again_s:.1f} s")
    return {
        "seconds": round(seconds, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "posts_per_second": round(posts / seconds),
        "again_seconds": round(again_s, 2),
        "log_entries": first["entries"],
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6, 1),
        "store_bytes": store,
        "pictures": first["table"]["pictures"]["came"],
        "blob_bytes": sum(blobs),
        "seconds_a_picture": round(seconds / pictures, 3) if (pictures := first["table"]["pictures"]["came"]) else None,
    }


def _run(home: Path, *words: str) -> tuple[Any, float, resource.struct_rusage]:
    """(its JSON, seconds, what it used)."""
    line = [sys.executable, "-m", "banyan_cli", "--json", "--home", str(home), *words]
    began = time.monotonic()
    with subprocess.Popen(line, cwd=home.parent, env=_environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BenchError(f"`{' '.join(words)}` ended with {child.returncode}")
    return json.loads(out), time.monotonic() - began, used


@contextmanager
def _node(home: Path) -> Iterator[None]:
    line = [sys.executable, "-m", "banyan_cli", "--home", str(home), "up"]
    quiet = subprocess.DEVNULL
    node = subprocess.Popen(line, cwd=ROOT, env=_environment(), stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + START_S
        while not (home / "control.json").exists():
            if node.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the node in {home} did not start")
            time.sleep(0.1)
        yield
    finally:
        node.terminate()
        node.wait(60)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BANYAN_")}


if __name__ == "__main__":
    main()
