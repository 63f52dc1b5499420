"""kill -9 of a node while operations come in bulk: none that was answered is lost, none is done twice."""

from __future__ import annotations

import json
import random
import socket
import time
from collections import Counter
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import Any

from banyan_node.home.folder import Home
from banyan_node.home.recovery import commitment
from banyan_node.home.settings import load
from banyan_node.local import open_local
from banyan_node.server.control_client import ControlClient
from banyan_web.door_store import DoorStore
from tests.forking import forked
from tests.needs import NIGHT
from tests.node.real import make_home

KILLS, POSTS = (4, 6_000) if NIGHT else (2, 2_000)


class Life:
    """A node, as `banyan up` runs it, until it is killed."""

    def __init__(self, home: Home, *more: str, port: int = 0, loaded_workers: bool = True) -> None:
        """more: arguments of `banyan up`. port: 0: a free one. loaded_workers: of tests.forking."""
        if not port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        self.url, self.port = f"http://127.0.0.1:{port}", port
        log = home.path.with_suffix(".log")
        words = ("--home", home.path, "up", "--http", f"127.0.0.1:{port}", *more)
        self.home, self.process = home, forked(log, *words, loaded_workers=loaded_workers)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.exitcode is None, log.read_text("utf-8")[-2_000:]
            try:
                with closing(HTTPConnection("127.0.0.1", port)) as line:
                    line.request("GET", "/health")
                    line.getresponse()
                return
            except (OSError, HTTPException):
                time.sleep(0.05)
        raise AssertionError("the node did not start")

    def workers(self) -> list[int | None]:
        """Their process ids, by their numbers: the first one sends."""
        with ControlClient.from_home(self.home) as node:
            return [one["pid"] for one in node.call("status")["door"]["workers"]]

    def kill(self) -> None:
        self.process.kill()
        self.process.join(60)

    def kill_after(self, seconds: float) -> None:
        time.sleep(seconds)
        self.kill()


def talk(
    life: Life, token: str, path: str, rows: list[dict[str, Any]], kill_at: int | None = None
) -> list[dict[str, Any]]:
    """The answers that came before the connection ended. kill_at: the node is killed once so many came."""
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    names = {"host": "x", "authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in names.items())
    raw = b""
    try:
        with socket.create_connection(("127.0.0.1", life.port)) as line:
            Thread(target=_write, args=(line, f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)).start()
            while not raw.endswith(b"\r\n0\r\n\r\n") and (piece := line.recv(1 << 18)):
                raw += piece
                if kill_at is not None and raw.count(b'"line"') >= kill_at:
                    life.kill()
    except OSError:
        pass
    found = []
    for one in raw.partition(b"\r\n\r\n")[2].splitlines():
        try:
            row = json.loads(one)
        except ValueError:
            continue
        if isinstance(row, dict) and "line" in row:
            found.append(row)
    return found


def _write(line: socket.socket, body: bytes) -> None:
    try:
        line.sendall(body)
    except OSError:
        pass


def test_after_kills_amid_bulk_operations_each_is_there_once(tmp_path: Path) -> None:
    rng, home = random.Random(5), make_home(tmp_path / "home")
    with open_local(home, load(home, env={})) as node:
        node.call("account.create", name="Lotus")
        dids = [node.call("account.create", name=f"p{n}", hosted=True)["account"] for n in range(20)]
    home.door.touch(0o600)
    store = DoorStore(home.door)
    token = store.mint(None, "lotus", ("write", "host"))
    store.close()
    ops = [{"id": f"{n}", "as": dids[n % 20], "do": "post", "text": f"post {n}"} for n in range(POSTS)]
    answered, cut = dict[str, str](), 0
    for kill in range(KILLS + 1):
        life = Life(home)
        try:
            timed = kill < KILLS and kill % 2 == 0  # the others come amid the answers, however slow the machine is
            if timed:
                killer = Thread(target=life.kill_after, args=(0.1 + rng.random() * 0.5,))
                killer.start()
            amid = rng.randrange(1, POSTS // 2) if kill < KILLS and not timed else None
            rows = talk(life, token, "/v1/operations", ops, amid)
            cut += 0 < len(rows) < POSTS
            for row in rows:
                assert row["status"] == 200, row
                assert answered.setdefault(row["id"], row["answer"]["uri"]) == row["answer"]["uri"], "it was done twice"
            if timed:
                killer.join()
        finally:
            life.kill()
    assert len(answered) == POSTS
    assert cut, "no kill came amid the operations"
    with open_local(home, load(home, env={})) as node:
        texts = Counter[str]()
        for did in dids:
            before = None
            while True:
                page = node.call("feed", account=did, limit=1000, before=before)
                texts.update(post["text"] for post in page["posts"])
                before = page["before"]
                if before is None:
                    break
        assert set(texts) == {op["text"] for op in ops}
        assert max(texts.values()) == 1
        assert node.call("store.verify")["problems"] == []


def test_an_account_whose_answer_was_lost_by_a_kill_has_the_recovery_key_that_is_shown(tmp_path: Path) -> None:
    rng, home = random.Random(6), make_home(tmp_path / "home")
    with open_local(home, load(home, env={})) as node:
        node.call("account.create", name="Lotus")
    store = DoorStore(home.door)
    token = store.mint(None, "lotus", ("host",))
    store.close()
    wanted = [{"name": f"user {n}"} for n in range(60)]
    words: dict[str, str] = {}
    for kill in range(3):
        life = Life(home)
        try:
            if kill < 2:
                killer = Thread(target=life.kill_after, args=(0.05 + rng.random() * 0.4,))
                killer.start()
            for row in talk(life, token, "/v1/accounts/bulk", wanted):
                assert row["status"] == 200, row
                assert words.setdefault(row["name"], row["recovery_words"]) == row["recovery_words"]
            if kill < 2:
                killer.join()
        finally:
            life.kill()
    assert len(words) == 60
    with open_local(home, load(home, env={})) as node:
        assert node.call("account.list")["count"] == 61
        for name, said in words.items():
            slot = node.call("account.show", account=name)["keys"][1]
            assert slot["current"] + slot["next"] == commitment(said)


def test_after_kills_amid_posts_of_apps_each_key_stands_for_one_post(tmp_path: Path) -> None:
    rng, home = random.Random(7), make_home(tmp_path / "home")
    with open_local(home, load(home, env={})) as node:
        an = node.call("account.create", name="An")["account"]
    store = DoorStore(home.door)
    token = store.mint(an, "app", ("write",))
    store.close()
    answered, repeated = dict[str, str](), 0

    def post(life: Life, keys: list[str]) -> None:
        nonlocal repeated
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", life.port, timeout=60)) as line, suppress(OSError, HTTPException):
            for key in keys:
                line.request("POST", "/api/v1/statuses", f'{{"status": "{key}"}}', {**headers, "idempotency-key": key})
                answer = line.getresponse()
                said = json.loads(answer.read())
                if answer.status == 503:  # of a worker whose node was killed
                    return
                assert answer.status == 200, said
                repeated += key in answered
                assert answered.setdefault(key, said["id"]) == said["id"], "it was done twice"

    keys = [f"k {n}" for n in range(120)]
    for kill in range(KILLS + 1):
        life = Life(home, "--http-workers", "2")
        try:
            # each key twice at once, over connections that two workers may have
            clients = [Thread(target=post, args=(life, keys[n % 3 :: 3])) for n in range(6)]
            for client in clients:
                client.start()
            if kill < KILLS:
                life.kill_after(0.2 + rng.random() * 0.4)
            for client in clients:
                client.join()
        finally:
            life.kill()
    assert answered.keys() == {*keys}
    assert repeated
    with open_local(home, load(home, env={})) as node:
        texts = Counter(post["text"] for post in node.call("feed", account=an, limit=1000)["posts"])
        assert texts == dict.fromkeys(keys, 1)
        assert node.call("store.verify")["problems"] == []
