"""Imports and archives through the methods, on real stores; a killed import continues."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.home.settings import load
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_storage.errors import StoreLocked
from tests.forking import Code

Batches = list[list[Any]]
GRAPH: Batches = [
    [{"accounts": ["a", "b", "c"]}],
    [{"accounts": ["d"]}],
    [["a", ["b", "c"]], ["b", ["a"]]],
    [["d", ["a", "b", "c"]]],
]
DECOMPOSED = unicodedata.normalize("NFD", "Hà Nội")
POSTS: Batches = [
    [{"accounts": ["press", "an", "binh"]}],
    [{"article": DECOMPOSED, "by": "press", "text": DECOMPOSED, "time_ms": 1_700_000_000_000}],
    [
        {"author": "an", "thread": "Hà Nội", "text": "một", "time_ms": 1_700_000_001_000, "row": 1},
        {"author": "binh", "thread": "Hà Nội", "text": "hai", "time_ms": None, "row": 2},
        {"author": "an", "thread": None, "text": "ba", "time_ms": None, "row": 3},
    ],
]


def home_in(path: Path) -> Home:
    home = Home(path)
    home.prepare()
    if not home.keys.exists():
        Keystore.create(home.keys)
    return home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_in(tmp_path / "home")


@pytest.fixture
def backend(home: Home) -> Iterator[LocalBackend]:
    with open_local(home, load(home)) as opened:
        yield opened


def begin(backend: LocalBackend, kind: str, batches: Batches, source: str = "aa") -> dict[str, Any]:
    found: dict[str, Any] = backend.call("import.begin", kind=kind, source=source, label="file", batches=len(batches))
    return found


def whole(backend: LocalBackend, kind: str, batches: Batches, source: str = "aa") -> dict[str, Any]:
    started = begin(backend, kind, batches, source)
    for number in range(started["next"], len(batches)):
        assert backend.call("import.batch", id=started["id"], number=number, rows=batches[number]) == {
            "next": number + 1
        }
    done: dict[str, Any] = backend.call("import.end", id=started["id"])
    return done


def test_a_graph_becomes_accounts_that_follow_one_another(backend: LocalBackend) -> None:
    done = whole(backend, "graph", GRAPH)
    assert (done["accounts"], done["follows"]) == (4, 6)
    stats = backend.call("graph.stats", digest=True)
    assert (stats["accounts"], stats["follows"], stats["posts"]) == (4, 6, 0)
    assert stats["digest"] == done["digest"]
    profile = backend.call("profile.get", account="d")
    assert (profile["name"], profile["follows"], profile["followers"]) == ("d", 3, 0)
    assert backend.call("store.verify")["problems"] == []
    assert backend.call("digest")["lacking_parts"] == 0


def test_a_graph_makes_nobody_follow_through_a_block(backend: LocalBackend) -> None:
    for name in ("an", "bình", "chi"):
        backend.call("account.create", name=name, hosted=True)
    backend.call("block", account="bình", by="an")
    whole(backend, "graph", [[["an", ["bình", "chi"]], ["bình", ["an", "chi"]]]])
    for who, other in (("an", "bình"), ("bình", "an")):
        stands = backend.call("relationships", accounts=[other, "chi"], by=who)["relationships"]
        assert [row["following"] for row in stands] == [False, True]


def test_hundreds_of_follows_of_one_account_fit_in_few_entries(backend: LocalBackend) -> None:
    names = [f"n{k}" for k in range(400)]
    done = whole(backend, "graph", [[{"accounts": names}], [[names[0], names[1:]]]])
    assert done["follows"] == 399
    assert done["entries"] == 400 + 3
    assert backend.call("profile.get", account="n0")["follows"] == 399


def test_rows_become_articles_and_answers_in_nfc(backend: LocalBackend) -> None:
    done = whole(backend, "posts", POSTS)
    assert (done["posts"], done["replies"]) == (4, 2)
    (article,) = backend.call("feed", account="press", limit=10)["posts"]
    assert article["text"] == unicodedata.normalize("NFC", "Hà Nội") != DECOMPOSED
    assert article["time_ms"] == 1_700_000_000_000
    thread = backend.call("thread", uri=article["uri"])["posts"]
    assert [(p["text"], p["name"], p["depth"]) for p in thread] == [
        (article["text"], "press", 0),
        ("một", "an", 1),
        ("hai", "binh", 1),
    ]
    assert {p["text"] for p in backend.call("feed", account="an", limit=10)["posts"]} == {"một", "ba"}


def test_more_posts_of_one_account_than_its_log_takes_entries_come_in_one_day(backend: LocalBackend) -> None:
    rows: Batches = [[{"accounts": ["an"]}]]
    for start in range(0, 10_500, 500):
        rows.append([{"author": "an", "thread": None, "text": f"câu {n}", "row": n} for n in range(start, start + 500)])
    done = whole(backend, "posts", rows)
    assert done["posts"] == 10_500
    assert done["entries"] < 10_500 / 150


def test_a_batch_that_comes_again_or_too_early_changes_nothing(backend: LocalBackend) -> None:
    name = begin(backend, "graph", GRAPH)["id"]
    for number in (0, 1):
        backend.call("import.batch", id=name, number=number, rows=GRAPH[number])
    before = backend.call("digest")
    assert backend.call("import.batch", id=name, number=0, rows=GRAPH[0]) == {"next": 2}
    with pytest.raises(CallError, match="batch 2 is next") as refused:
        backend.call("import.batch", id=name, number=3, rows=GRAPH[3])
    assert refused.value.code == "out_of_order"
    with pytest.raises(CallError, match="Batch 2 of 4 is still to come"):
        backend.call("import.end", id=name)
    assert backend.call("digest") == before
    assert begin(backend, "graph", GRAPH) == {"id": name, "next": 2, "done": False}


def test_a_batch_with_a_bad_row_is_refused_whole(backend: LocalBackend) -> None:
    name = begin(backend, "posts", POSTS)["id"]
    backend.call("import.batch", id=name, number=0, rows=POSTS[0])
    before = backend.call("digest")
    good = {"author": "an", "thread": None, "text": "good", "time_ms": None, "row": 9}
    bad: list[Any] = [
        {**good, "author": "nobody"},
        {**good, "thread": "never opened"},
        {**good, "text": " "},
        {**good, "text": "x" * 40_000},
        {**good, "time_ms": -1},
        {**good, "row": "7"},
        ["an", ["nobody"]],
        ["an"],
        "an",
        {},
    ]
    for row in bad:
        with pytest.raises(CallError) as refused:
            backend.call("import.batch", id=name, number=1, rows=[good, row])
        assert refused.value.code == "bad_request"
        assert backend.call("digest") == before
    assert begin(backend, "posts", POSTS)["next"] == 1


def test_the_same_file_imported_again_brings_nothing_new(backend: LocalBackend) -> None:
    first = whole(backend, "graph", GRAPH)
    again = begin(backend, "graph", GRAPH)
    assert again["done"]
    assert again["next"] == len(GRAPH)
    assert whole(backend, "graph", GRAPH) == first
    # the same rows under other options: accounts and follows that stand are left alone
    other = whole(backend, "graph", GRAPH, source="bb")
    assert (other["entries"], other["digest"]) == (0, first["digest"])


def test_an_unknown_import_is_named(backend: LocalBackend) -> None:
    with pytest.raises(CallError, match=r"No import 'abcd' was begun here"):
        backend.call("import.batch", id="abcd", number=0, rows=[])
    with pytest.raises(CallError, match="graph or posts"):
        begin(backend, "photos", GRAPH)


CHILD = """
import sys
from pathlib import Path
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.home.settings import load

home = Home(Path(sys.argv[1]))
with open_local(home, load(home)) as backend:
    found = backend.call("import.begin", kind="posts", source="cc", label="x", batches=51)
    for n in range(found["next"], 51):
        rows = [{"author": f"w{k % 5}", "thread": None, "text": f"{n} {k}", "time_ms": None, "row": n * 100 + k}
                for k in range(40)]
        if n == 0:
            rows = [{"accounts": [f"w{k}" for k in range(5)]}]
        backend.call("import.batch", id=found["id"], number=n, rows=rows)
        print(n, flush=True)
    backend.call("import.end", id=found["id"])
"""


def killed_after(home: Home, number: int) -> int:
    """Runs the import until it has answered batch `number`, then kills it. Returns the last answered batch."""
    with Code(CHILD, home.path) as child:
        last = -1
        for line in child.stdout:
            last = int(line)
            if last >= number:
                break
        child.kill()
        rest = [int(line) for line in child.stdout if line.strip()]
    return max([last, *rest])


def test_a_killed_import_continues_and_ends_with_the_same_result(home: Home) -> None:
    for number in (1, 7, 20, 33):
        answered = killed_after(home, number)
        with open_local(home, load(home)) as backend:
            found = backend.call("import.begin", kind="posts", source="cc", label="x", batches=51)
            assert found["next"] in (answered + 1, answered + 2)
            assert backend.call("graph.stats")["posts"] == 40 * (found["next"] - 1)
    assert Code(CHILD, home.path).end()[0] == 0
    with open_local(home, load(home)) as backend:
        assert backend.call("graph.stats")["posts"] == 2000
        assert begin(backend, "posts", [[]] * 51, source="cc")["done"]
        assert backend.call("store.verify")["problems"] == []


# -- archives


def test_an_archive_carries_everything_to_another_store(backend: LocalBackend, tmp_path: Path) -> None:
    whole(backend, "posts", POSTS)
    path = str(tmp_path / "archive")
    out = backend.call("archive.export", path=path)
    assert out["accounts"] == 3
    assert out["bytes"] == Path(path).stat().st_size
    with pytest.raises(CallError, match="there already"):
        backend.call("archive.export", path=path)
    other = home_in(tmp_path / "other")
    with open_local(other, load(other)) as taker:
        got = taker.call("archive.import", path=path)
        assert (got["accounts"], got["rejected"], got["not_yet"], got["same"]) == (3, 0, 0, True)
        assert got["entries"] == backend.call("store.stats")["entries"]
        assert taker.call("digest") == backend.call("digest")
        again = taker.call("archive.import", path=path)
        assert (again["accounts"], again["entries"], again["parts"], again["same"]) == (0, 0, 0, True)


def test_a_broken_export_is_resumed_to_the_same_bytes(backend: LocalBackend, tmp_path: Path) -> None:
    whole(backend, "graph", GRAPH)
    path = tmp_path / "archive"
    backend.call("archive.export", path=str(path))
    good = path.read_bytes()
    for cut in (0, 10, len(good) // 2, len(good) - 1, len(good)):
        path.write_bytes(good[:cut])
        assert backend.call("archive.export", path=str(path), resume=True)["bytes"] == len(good)
        assert path.read_bytes() == good


def test_of_a_damaged_archive_what_came_before_is_kept(backend: LocalBackend, tmp_path: Path) -> None:
    whole(backend, "graph", GRAPH)
    path = tmp_path / "archive"
    backend.call("archive.export", path=str(path))
    raw = bytearray(path.read_bytes())
    raw[-200] ^= 1
    path.write_bytes(raw)
    other = home_in(tmp_path / "other")
    with open_local(other, load(other)) as taker:
        with pytest.raises(CallError, match=r"at byte [0-9]+ of the archive") as why:
            taker.call("archive.import", path=str(path))
        assert why.value.code == "storage"
    with open_local(other, load(other)) as taker:
        assert 0 < taker.call("store.stats")["accounts"] <= 4
        assert taker.call("store.verify")["problems"] == []


def test_a_compacted_copy_is_the_same_store(backend: LocalBackend, tmp_path: Path, home: Home) -> None:
    whole(backend, "graph", GRAPH)
    digest = backend.call("digest")
    copy = Home(tmp_path / "copy")
    copy.prepare()
    done = backend.call("store.compact", path=str(copy.store))
    assert done["after"] > 0
    with pytest.raises(StoreLocked), open_local(home, load(home)):
        pass
    copy.keys.write_bytes(home.keys.read_bytes())
    copy.keys.chmod(0o600)
    with open_local(copy, load(copy)) as opened:
        assert opened.call("digest") == digest
