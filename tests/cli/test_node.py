"""Commands with real nodes: they call the node, peers meet, and imports survive a kill at any moment."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from banyan_cli import errors
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.slots import TIMELINE
from banyan_storage.views.registry import NAMES
from tests.cli.shell import COMMAND, banyan, clean_environment, forked, node_up, process
from tests.needs import NIGHT


def _json(*words: object) -> Any:
    ran = banyan(*words, "--json")
    assert ran.code == 0, ran.err + ran.out
    return ran.json


def _new(path: Path, name: str) -> Path:
    assert banyan("--home", path, "init", "--name", name, "--realm", "test").code == 0
    return path


def test_commands_answer_alike_with_and_without_a_running_node(home: Path) -> None:
    uri = _json("--home", home, "post", "trước")["uri"]
    before = _json("--home", home, "digest")
    with node_up(home):
        assert _json("--home", home, "digest") == before
        _json("--home", home, "reply", uri, "trong lúc chạy")
        status = _json("--home", home, "status")
        assert status["running"]
        assert status["ready"]
        shown = banyan("--home", home, "status")
        assert "up" in shown.out
        who = _json("--home", home, "id")
        assert who["addresses"][0].endswith(who["peer_id"])
        assert _json("--home", home, "store", "verify")["problems"] == []
        assert banyan("--home", home, "store", "compact").code == errors.USAGE
        for words in (("peers",), ("peers", "list"), ("peers", "--json")):
            ran = banyan("--home", home, *words)
            assert (ran.code, ran.out, ran.err.partition(".")[0]) == (0, "", "No peers")
        assert banyan("--home", home, "diff", "12D3KooWnobody").code == errors.UNREACHABLE
        for words, why in (
            (("add", who["addresses"][0]), "this node itself"),
            (("add", "/ip4/127.0.0.1/tcp/99999/p2p/" + who["peer_id"]), "99999"),
            (("add", "/ip4/127.0.0.1/tcp/1/p2p/12D3"), "not a peer's id"),
            (("ban", who["peer_id"]), "this node itself"),
            (("ban", 2 * who["peer_id"]), "not a peer's id"),
        ):
            ran = banyan("--home", home, "peers", *words)
            assert (ran.code, why in ran.err, ran.err.count("\n")) == (errors.USAGE, True, 1), ran.err
        assert _json("--home", home, "down")["stopped"]
    texts = [p["text"] for p in banyan("--home", home, "feed", "--json").lines]
    assert sorted(texts) == ["trong lúc chạy", "trước"]


def test_views_are_built_again_by_a_running_node_and_by_the_command_alone(home: Path) -> None:
    uri = _json("--home", home, "post", "một")["uri"]
    _json("--home", home, "reply", uri, "hai")
    before = _json("--home", home, "thread", uri)
    with node_up(home):
        built = _json("--home", home, "store", "rebuild")
        assert built["built"] == list(NAMES)
        assert _json("--home", home, "thread", uri) == before
        assert _json("--home", home, "store", "rebuild", "thread")["built"] == ["thread"]
        assert banyan("--home", home, "store", "rebuild", "polls").code == errors.USAGE
        assert set(_json("--home", home, "store", "stats")["views"].values()) == {100}
        assert _json("--home", home, "store", "verify") == {"checked": 4, "unchecked": [], "problems": []}
    assert _json("--home", home, "store", "rebuild", "followers")["built"] == ["followers"]
    ran = banyan("--home", home, "store", "rebuild")
    assert "Built in" in ran.out
    assert banyan("--home", home, "store", "rebuild", "polls").code == errors.USAGE
    assert _json("--home", home, "thread", uri) == before


def test_a_check_that_finds_a_wrong_row_says_which_and_how_to_put_it_right(home: Path) -> None:
    _json("--home", home, "post", "một")
    engine = LmdbEngine(Home(home).store, TABLES)
    engine.write().delete_range(TIMELINE, b"", None)
    engine.commit()
    engine.close()
    ran = banyan("--home", home, "store", "verify")
    assert ran.code == errors.STORAGE
    assert "views: shown of account" in ran.out
    assert "`banyan store rebuild`" in ran.out
    assert banyan("--home", home, "store", "rebuild", "shown").code == 0
    assert banyan("--home", home, "store", "verify").code == 0
    assert banyan("--home", home, "feed", "--json").lines[0]["text"] == "một"


def test_a_home_copied_under_a_running_node_says_so_and_leaves_that_node_alone(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with node_up(home) as original:
        shutil.copytree(home, copy)
        ran = process("--home", copy, "post", "của bản sao", "--json")
        assert ran.code == errors.OK, ran.err
        assert ran.err.splitlines() == [
            f"No node is running in {copy}: its control.json was copied from {home}, which has a node of its own; "
            "start one here with `banyan up`."
        ]
        assert original.call("feed", all=True)["posts"] == []
        down = process("--home", copy, "down")
        assert (down.code, "was copied from" in down.err) == (errors.UNREACHABLE, True)
        assert original.call("id")["name"] == "Minh"
        assert [row["text"] for row in banyan("--home", copy, "feed", "--all", "--json").lines] == ["của bản sao"]
        original.call("post", text="của bản gốc")
        with node_up(copy) as other:
            logs = [log for node in (original, other) for log in node.call("account.show")["logs"] if log["own"]]
            assert len({log["log"] for log in logs}) == 2  # each writes a log of its own


def test_a_home_that_is_moved_under_its_running_node_still_finds_it(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    with node_up(home) as node:
        home.rename(moved)
        ran = process("--home", moved, "post", "dọn nhà", "--json")
        assert (ran.code, ran.err) == (errors.OK, "")
        assert [row["text"] for row in node.call("feed", all=True)["posts"]] == ["dọn nhà"]
        moved.rename(home)


def test_ctrl_c_stops_a_node_cleanly_and_another_start_finds_everything(home: Path) -> None:
    node = subprocess.Popen([*COMMAND, "--home", str(home), "up"], stderr=subprocess.DEVNULL, env=clean_environment())
    deadline = time.monotonic() + 60
    while not (home / "control.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    uri = _json("--home", home, "post", "còn đây")["uri"]
    node.send_signal(signal.SIGINT)
    assert node.wait(60) == 0
    assert not (home / "control.json").exists()
    assert _json("--home", home, "thread", uri)["posts"][0]["text"] == "còn đây"


def test_two_nodes_that_meet_hold_the_same_and_diff_says_so(tmp_path: Path) -> None:
    one, two = _new(tmp_path / "one", "một"), _new(tmp_path / "two", "hai")
    _json("--home", one, "post", "từ một")
    _json("--home", two, "post", "từ hai")
    with node_up(one), node_up(two):
        who = _json("--home", one, "id")
        assert _json("--home", two, "peers", "add", who["addresses"][0])["peer"] == who["peer_id"]
        deadline = time.monotonic() + 60
        while _json("--home", one, "digest") != _json("--home", two, "digest") and time.monotonic() < deadline:
            time.sleep(0.2)
        assert _json("--home", one, "digest") == _json("--home", two, "digest")
        assert len(banyan("--home", two, "feed", "--all", "--json").lines) == 2
        assert banyan("--home", two, "diff", who["peer_id"], "--json").lines == []
        (peer,) = banyan("--home", two, "peers", "--json").lines
        assert "1 is connected." in banyan("--home", two, "doctor").out
        assert peer["peer"] == who["peer_id"]
        assert banyan("--home", two, "peers", "ban", "xxx").code == errors.USAGE
        _json("--home", two, "peers", "ban", who["peer_id"])
        while _json("--home", two, "status")["peers"] and time.monotonic() < deadline + 10:
            time.sleep(0.1)
        assert "banned" in banyan("--home", two, "peers").out
        _json("--home", two, "peers", "pardon", who["peer_id"])


def test_a_peer_of_another_realm_is_refused_in_a_sentence(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert banyan("--home", other, "init", "--realm", "main").code == 0
    with node_up(home), node_up(other) as client:
        ran = banyan("--home", home, "peers", "add", client.call("id")["addresses"][0], "--json")
        assert (ran.code, ran.json["error"]["code"]) == (errors.UNREACHABLE, "no_peer")
        assert "(test)" in ran.json["error"]["message"]
        assert _json("--home", home, "status")["accounts"] == 1


def test_a_port_in_use_gives_one_sentence(home: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = process("--home", home, "up", "--control-port", port)
        assert ran.code == errors.UNREACHABLE
        assert str(port) in ran.err.splitlines()[-1]
        assert "Traceback" not in ran.err
    for shared in (False, True):  # libp2p's own listeners share a port with any program that shares it too
        with socket.socket() as taken:
            if shared:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ran = process("--home", home, "up", "--listen", f"/ip4/127.0.0.1/tcp/{port}")
            assert ran.code == errors.UNREACHABLE
            assert f"cannot listen on /ip4/127.0.0.1/tcp/{port}" in ran.err.splitlines()[-1]
            assert "Traceback" not in ran.err


@pytest.mark.parametrize("seed", range(5 if NIGHT else 1))
def test_an_import_killed_at_any_moment_goes_on_and_ends_with_everything(home: Path, tmp_path: Path, seed: int) -> None:
    edges = tmp_path / "g.txt"
    edges.write_text("".join(f"{a} {b}\n" for a in range(500) for b in range(a + 1, min(a + 20, 500))))
    words = ["--home", str(home), "import", "graph", str(edges), "--undirected", "--json"]
    moments = random.Random(seed)
    for _ in range(2):
        run = forked(tmp_path / "log", *words)
        time.sleep(moments.uniform(0.1, 1.5))
        run.kill()
        run.join()
        stats = _json("--home", home, "graph", "stats")
        assert stats["follows"] <= 2 * 9310
    ended = _json(*words[:-1])
    follows = sum(min(19, 499 - a) for a in range(500)) * 2
    assert (ended["accounts"], ended["follows"]) == (500, follows)
    assert _json("--home", home, "graph", "stats")["follows"] == follows
    assert _json("--home", home, "graph", "stats")["accounts"] == 501
    assert _json("--home", home, "store", "verify")["problems"] == []


def test_a_command_that_asks_often_takes_one_connection(home: Path) -> None:
    assert banyan("--home", home, "config", "set", "control.connections", "4").code == 0
    with node_up(home):
        ran = banyan("--home", home, "doctor", "--json")
        assert ran.code == 0, ran.out
        said = {one["check"]: one["sentence"] for one in ran.json["checks"]}
        assert not [one for one in said.values() if "Unknown" in one or "went away" in one]
        assert said["gates"].startswith("In the last minutes ")


def test_status_and_doctor_say_why_none_of_the_peers_that_a_run_dials_is_linked(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "main"
    assert banyan("--home", other, "init", "--realm", "main").code == 0
    nobody = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJT1xxD6Si5hs6jQ9Z9v4ZBaJ4cXLRcp1wEeCog4TbN6c"
    for address, why in ((nobody, "refuses port 1"), (None, "give both nodes the same node.realm")):
        with node_up(other) as node, node_up(home, "--bootstrap", address or node.call("id")["addresses"][0]):
            deadline = time.monotonic() + 60
            while why not in "".join(_json("--home", home, "status")["unreached"].values()):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert why in banyan("--home", home, "status").out.replace("\n", " ")
            ran = banyan("--home", home, "doctor", "--json")
            (check,) = [c for c in ran.json["checks"] if c["check"] == "peers"]
            assert (ran.code, check["ok"]) == (errors.FAILED, False)
            assert check["sentence"].startswith("None of 1 that it dials is connected: ")
            assert why in check["sentence"]


def test_a_node_that_is_banned_says_that_it_may_be_until_it_is_pardoned(home: Path, tmp_path: Path) -> None:
    other = _new(tmp_path / "other", "Lan")
    with node_up(other) as node:
        me, address = _json("--home", home, "id")["peer_id"], node.call("id")["addresses"][0]
        _json("--home", other, "peers", "ban", me)
        with node_up(home, "--bootstrap", address):
            deadline = time.monotonic() + 120
            while not (found := _json("--home", home, "status")["unreached"]):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert list(found) == [address]
            assert "it may have banned this node" in found[address]
            assert "it may have banned this node" in banyan("--home", home, "doctor").out.replace("\n", " ")
            while f"ban refused {me} most (" not in banyan("--home", other, "doctor").out.replace("\n", " "):
                assert time.monotonic() < deadline
                time.sleep(0.5)
            _json("--home", other, "peers", "pardon", me)
            while _json("--home", home, "status")["unreached"] or not _json("--home", home, "status")["peers"]:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert "1 is connected." in banyan("--home", home, "doctor").out


def test_two_nodes_with_one_home_are_told_so_and_not_banned(home: Path, tmp_path: Path) -> None:
    other, copy = _new(tmp_path / "other", "Lan"), tmp_path / "copy"
    shutil.copytree(home, copy)
    with node_up(other) as node:
        address = node.call("id")["addresses"][0]
        with node_up(home, "--bootstrap", address), node_up(copy, "--bootstrap", address):
            deadline = time.monotonic() + 120
            found = ""
            while "a copy of th" not in found:  # the one that has no link now, or whose link was replaced
                assert time.monotonic() < deadline
                time.sleep(1.0)
                shown = [_json("--home", at, "status") for at in (home, copy)]
                found = "".join(
                    [*(s["trouble"] or "" for s in shown), *(w for s in shown for w in s["unreached"].values())]
                )
            assert not any(peer["ban"] for peer in node.call("peers")), "one of them may have no link just now"


def test_a_damaged_store_is_named_repaired_and_made_whole_by_a_peer(home: Path, tmp_path: Path) -> None:
    other = _new(tmp_path / "other", "Lan")
    for k in range(60):
        banyan("--home", home, "post", f"bài {k} " * 20)
    with node_up(home) as node, node_up(other, "--bootstrap", node.call("id")["addresses"][0]):
        _equal(home, other)
    good = _json("--home", other, "digest")
    data = other / "store" / "data.mdb"
    raw = bytearray(data.read_bytes())
    pages = [at for at in range(8_192, len(raw), 4_096) if b"b\xc3\xa0i 7" in raw[at : at + 4_096]]
    for at in pages:
        raw[at + 12] ^= 255  # where the page says that its rows end
        at = raw.index(b"b\xc3\xa0i 7", at)
        raw[at] ^= 1
    data.write_bytes(raw)
    ran = banyan("--home", other, "store", "verify")
    assert ran.code == errors.STORAGE
    assert "pages: page" in ran.out
    assert "`banyan store repair`" in ran.out
    done = _json("--home", other, "store", "repair")
    assert (done["pages"] > 0, done["left"]) == (True, 0)
    assert _json("--home", other, "store", "verify")["problems"] == []
    assert _json("--home", other, "digest") != good
    with node_up(home) as node, node_up(other, "--bootstrap", node.call("id")["addresses"][0]):
        assert banyan("--home", other, "store", "repair").code == errors.USAGE
        _equal(home, other)
        assert _json("--home", other, "store", "verify")["problems"] == []
    assert _json("--home", other, "digest") == good


def _equal(*homes: Path) -> None:
    deadline = time.monotonic() + 120
    while len({str(_json("--home", home, "digest")) for home in homes}) > 1:
        assert time.monotonic() < deadline, "they did not become equal"
        time.sleep(0.2)
