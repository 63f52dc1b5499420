"""The light client of js/, in Node.js: its own tests, its types, and that a node and it read what the other writes."""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.home.settings import load
from banyan_node.local import open_local
from tests.js.histories import histories
from tests.needs import NIGHT, ROOT, skipped_without
from tests.node.real import make_home

CLIENT = ROOT / "js"
SETS = 150 if NIGHT else 50
TSC = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
needs_node = skipped_without(None if shutil.which("node") else "no `node` here: install Node.js 20 or newer")
needs_types = skipped_without(None if TSC.exists() else "no TypeScript here: run `npm ci` in js")


def node(*arguments: str | Path) -> str:
    env = {**os.environ, **({"BANYAN_NIGHT": "1"} if NIGHT else {})}
    line = ["node", *map(str, arguments)]
    done = subprocess.run(line, cwd=CLIENT, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    return done.stdout


def interop(*arguments: str | Path) -> Any:
    return json.loads(node(CLIENT / "test" / "interop.js", *arguments))


@needs_node
def test_the_client_passes_the_vectors_and_notices_lies() -> None:
    said = node("--test", *sorted((CLIENT / "test").glob("*.test.js")))
    assert "# fail 0" in said
    assert "# cancelled 0" in said


@needs_node
@needs_types
def test_its_types_hold() -> None:
    node("--no-opt", TSC)  # it ends before what is optimized pays


def said(node: LocalBackend) -> tuple[str, dict[str, Any]]:
    """An account with all that the client shows -> its id, and the same as the node shows it."""
    node.call("account.create", name="Lotus")
    an, binh = (node.call("account.create", name=name, hosted=True)["account"] for name in ("An", "Bình"))
    node.call("profile.set", fields={"bio": "phở", "Quê": "Huế"}, by=an)
    first = node.call("post", text="Chào cả nhà 🌳", lang="vi", tags=["cây"], mentions=[binh], by=an)["uri"]
    node.call("edit", uri=first, text="Chào mọi người 🌳")
    theirs = node.call("post", text="của Bình", by=binh)["uri"]
    node.call("reply", uri=theirs, text="và tôi", by=an)
    node.call("quote", uri=theirs, text="xem này", warning="cẩn thận", by=an)
    closes_ms = int(time.time() * 1000) + 3_600_000
    node.call("post", text="ăn gì?", poll={"options": ["phở", "bún"], "choices": "one", "closes_ms": closes_ms}, by=an)
    node.call("delete", uri=node.call("post", text="xoá rồi", by=an)["uri"])
    node.call("react", uri=theirs, emoji="🌸", by=an)
    node.call("react", uri=theirs, emoji="🌳", by=an)
    node.call("react", uri=theirs, emoji="🌳", undo=True, by=an)
    node.call("repost", uri=theirs, by=an)
    node.call("follow", account=binh, by=an)
    node.call("pin", uri=first, by=an)
    feed = node.call("feed", account=an, reposts=False)["posts"]
    return an, {
        "profile": node.call("profile.get", account=an)["fields"],
        "posts": [[p["uri"], p["text"], p["time_ms"], p["edited"], p["reply_to"], p["warning"]] for p in feed],
        "follows": [binh],
        "reposts": [theirs],
        "pinned": [first],
        "reactions": [[theirs, "🌸"]],
        "digest": node.call("digest", account=an)["digest"],
    }


@needs_node
def test_the_client_shows_what_the_node_shows_of_an_account(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load(home, env={})) as backend:
        an, shown = said(backend)
        backend.call("account.export", account=an, path=str(tmp_path / "an.banyan"))
    read = interop("read", tmp_path / "an.banyan")
    assert read.pop("whole") is True
    assert read.pop("refused") == []
    assert read == shown


@needs_node
def test_a_node_takes_what_the_client_writes(tmp_path: Path) -> None:
    """An account that the client opened, with posts, an edit, a reaction and a follow, in an archive."""
    wrote = interop("write", tmp_path / "lan.banyan")
    home = make_home(tmp_path / "home")
    with open_local(home, load(home, env={})) as backend:
        backend.call("archive.import", path=str(tmp_path / "lan.banyan"))
        lan = wrote["account"]
        assert backend.call("digest", account=lan)["digest"] == wrote["digest"]
        assert backend.call("profile.get", account=lan)["fields"] == wrote["profile"]
        posts = backend.call("feed", account=lan, reposts=False)["posts"]
        assert [[p["uri"], p["text"], p["edited"], p["lang"]] for p in posts] == wrote["posts"]
        assert posts[-1]["reactions"] == {"🌳": 1}
        assert backend.call("store.verify")["problems"] == []


@needs_node
def test_a_key_of_the_client_writes_in_an_account_of_the_node_once_it_is_granted(tmp_path: Path) -> None:
    home, seed = make_home(tmp_path / "home"), "07" * 32
    with open_local(home, load(home, env={})) as backend:
        account = backend.call("account.create", name="An")["account"]
        backend.call("post", text="from the node")
        backend.call("account.grant", writer=interop("key", seed)["key"])
        backend.call("account.export", account=account, path=str(tmp_path / "before.banyan"))
        interop("post", tmp_path / "before.banyan", tmp_path / "after.banyan", seed, "from the browser")
        backend.call("archive.import", path=str(tmp_path / "after.banyan"))
        texts = {post["text"] for post in backend.call("feed", account=account)["posts"]}
    assert texts == {"from the node", "from the browser"}
    assert len(account_from_text(account)) == 32


@needs_node
def test_the_client_signs_nothing_without_a_grant(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load(home, env={})) as backend:
        account = backend.call("account.create", name="An")["account"]
        backend.call("account.export", account=account, path=str(tmp_path / "an.banyan"))
    with pytest.raises(AssertionError, match="may not write here: ask the owner for a grant"):
        interop("post", tmp_path / "an.banyan", tmp_path / "forged.banyan", "08" * 32, "by nobody who may")


@needs_node
def test_the_client_and_the_kernel_agree_about_accounts_that_thieves_write_in(tmp_path: Path) -> None:
    sets = tmp_path / "histories"
    sets.write_text("".join(json.dumps(history) + "\n" for history in histories("client", SETS)))
    found = json.loads(node(CLIENT / "test" / "histories.js", sets))
    assert found["differing"] == []
    assert min(found["frozen"], found["forked"]) > 20 * SETS // 150
    assert found["histories"] - found["empty"] > 200 * SETS // 150


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Results(http.server.SimpleHTTPRequestHandler):
    """Serves the tree, and takes what the page found."""

    found: queue.Queue[dict[str, str]]

    def __init__(self, *arguments: Any, found: queue.Queue[dict[str, str]]) -> None:
        self.found = found
        super().__init__(*arguments, directory=str(ROOT))

    def do_POST(self) -> None:
        self.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@skipped_without(None if CHROMIUM else "there is no Chromium")
def test_the_client_passes_the_vectors_in_a_browser_and_keeps_a_key_there(tmp_path: Path) -> None:
    found: queue.Queue[dict[str, str]] = queue.Queue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Results, found=found))
    with server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever)
        flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
        page = f"http://127.0.0.1:{server.server_port}/js/test/browser.html"
        command = [str(CHROMIUM), *flags.split(), "--remote-debugging-port=0", f"--user-data-dir={tmp_path}", page]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            results = found.get(timeout=180)
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()
    assert {name: result for name, result in results.items() if result != "passed"} == {}
    assert len(results) > 15
