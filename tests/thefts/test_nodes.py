"""Two thefts on running nodes: a stolen machine deletes; a platform closes the account, and then deletes the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from banyan_node.server.control_client import ControlClient
from tests.cli.shell import banyan, node_up

TEXTS = ["ba", "hai", "một"]
PATIENCE_S = 120.0


class Village:
    """Nodes that are up, all linked to a friend's, which stays."""

    def __init__(self, folder: Path, nodes: ExitStack) -> None:
        self.folder, self._nodes = folder, nodes
        self.friend = self.init("friend", "--role", "platform")
        self.hub = self.up(self.friend).call("id")["addresses"][0]

    def run(self, home: Path, *words: object) -> Any:
        ran = banyan("--home", home, *words, "--json")
        assert ran.code == 0, f"{words}: {ran.err}{ran.out}"
        return json.loads(ran.out.splitlines()[-1])

    def init(self, name: str, *options: object) -> Path:
        home = self.folder / name
        made = self.run(home, "init", "--name", name, "--realm", "test", *options)
        (self.folder / f"{name}.words").write_text("\n".join(made["recovery_words"] or []), "utf-8")
        return home

    def words(self, home: Path) -> Path:
        return self.folder / f"{home.name}.words"

    def up(self, home: Path) -> ControlClient:
        hub = [] if home == self.friend else ["--bootstrap", self.hub]
        return self._nodes.enter_context(node_up(home, "--listen", "/ip4/127.0.0.1/tcp/0", *hub))

    def shown(self, home: Path, account: str) -> list[str]:
        ran = banyan("--home", home, "feed", account, "--json")
        return sorted(row["text"] for row in ran.lines if row["text"]) if ran.code == 0 else []

    def shows(self, home: Path, account: str) -> bool:
        """Whether the home shows all that the owner wrote."""
        return self.shown(home, account) == TEXTS

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.3)


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    with ExitStack() as nodes:
        yield Village(tmp_path, nodes)


def test_what_a_stolen_machine_deleted_is_back_by_the_words_on_a_new_node(village: Village) -> None:
    stolen = village.init("An")
    village.up(stolen)
    account = village.run(stolen, "id")["account"]
    posts = [village.run(stolen, "post", text)["uri"] for text in reversed(TEXTS)]
    village.until(lambda: village.shown(village.friend, account) == TEXTS)
    for uri in posts:
        village.run(stolen, "delete", uri)
    village.until(lambda: village.shown(village.friend, account) == [])
    fresh = village.init("fresh")
    village.up(fresh)
    village.until(lambda: banyan("--home", fresh, "account", "show", account, "--json").code == 0)
    village.until(lambda: bool(village.run(fresh, "status")["complete"]))
    words = ("--account", account, "--own", "--words-file", village.words(stolen), "--after", posts[-1], "--yes")
    done = village.run(fresh, "account", "recover", *words)
    assert (len(done["cut"]), done["changes"]["back"]) == (1, 3)
    for home in (fresh, village.friend, stolen):
        village.until(partial(village.shows, home, account))


def test_what_a_platform_closed_and_then_deleted_is_back_by_the_words_on_a_new_node(village: Village) -> None:
    platform, fresh = village.init("lotus", "--role", "platform"), village.init("An")
    commitment = banyan("keys", "words", "--check", "--words-file", village.words(fresh)).out.strip()
    village.up(platform)
    account = village.run(platform, "account", "create", "An", "--recovery", commitment)["account"]
    posts = [village.run(platform, "post", text, "--as", account)["uri"] for text in reversed(TEXTS)]
    village.until(lambda: village.shown(village.friend, account) == TEXTS)
    village.run(platform, "account", "close", "--account", account, "--yes")
    village.until(lambda: village.shown(village.friend, account) == [])
    village.up(fresh)
    village.until(lambda: banyan("--home", fresh, "account", "show", account, "--json").code == 0)
    close = village.run(fresh, "account", "show", account)["path"][-1]
    assert close["op"] == "close"
    words = ("--account", account, "--own", "--words-file", village.words(fresh), "--yes")
    done = village.run(fresh, "account", "recover", *words, "--undo", close["seq"])
    assert done["cut"] == [], "it was closed before anything of it came here"
    village.until(lambda: village.shown(platform, account) == TEXTS)
    for uri in posts:
        village.run(platform, "delete", uri)
    village.until(lambda: village.shown(fresh, account) == [] and village.shown(village.friend, account) == [])
    village.until(lambda: len(village.run(fresh, "account", "activity", "--account", account)) > 0)
    (writer,) = done["uncut"]
    assert village.run(fresh, "account", "cut", writer, "--account", account, "--after", posts[-1], "--yes")["keeps"]
    for home in (fresh, village.friend, platform):
        village.until(partial(village.shows, home, account))
