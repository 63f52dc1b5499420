"""A collection is one file: once it is there, the node and the command line know its items."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from banyan_cli import errors
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.control_client import ControlClient
from tests.cli.shell import COMMAND, Ran, banyan, clean_environment
from tests.node.test_a_new_view import program_with_polls

OPTIONS = '["phở", "bún chả"]'


@pytest.fixture
def with_polls(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that has poll.py among its collections."""
    return {**clean_environment(), "PYTHONPATH": program_with_polls(tmp_path / "more")}


def polling(env: dict[str, str], home: Path, *words: str) -> Ran:
    ran = subprocess.run(
        [*COMMAND, "--home", str(home), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=env,
        timeout=60,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@contextmanager
def node_with_polls(env: dict[str, str], home: Path) -> Iterator[None]:
    with home.with_suffix(".log").open("ab") as log:
        node = subprocess.Popen([*COMMAND, "--home", str(home), "up"], stdout=log, stderr=log, env=env)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    with ControlClient.from_home(Home(home)) as client:
                        client.call("id")
                    break
                except NoNode:
                    time.sleep(0.05)
            else:
                raise AssertionError(home.with_suffix(".log").read_text("utf-8")[-2000:])
            yield
        finally:
            node.terminate()
            node.wait(60)


def test_polls_are_written_and_read_on_the_command_line_with_a_node_and_without(
    with_polls: dict[str, str], home: Path
) -> None:
    made = polling(with_polls, home, "item", "put", "vn.example.poll", "question=12", f"options={OPTIONS}", "--json")
    assert made.code == 0, made.err
    key, account = made.json["key"], made.json["account"]
    with node_with_polls(with_polls, home):
        vote = polling(
            with_polls,
            home,
            "item",
            "put",
            "vn.example.vote",
            f"account={account}",
            f"key={key}",
            "option=1",
            "--key",
            key,
            "--json",
        )
        assert vote.code == 0, vote.err
        assert vote.json["key"] == key
        listed = polling(with_polls, home, "item", "list", "Minh", "vn.example.poll", "--json")
        assert [row["content"] for row in listed.lines] == [{"question": "12", "options": json.loads(OPTIONS)}]
        shown = polling(with_polls, home, "item", "list", "Minh", "vn.example.vote").out
        assert f"{key} {vote.json['element']}" in shown
        assert "option: 1" in shown
    one = polling(with_polls, home, "item", "get", "Minh", "vn.example.vote", key, vote.json["element"], "--json")
    assert one.json["content"] == {"account": account, "key": key, "option": 1}
    gone = polling(with_polls, home, "item", "delete", "vn.example.poll", key)
    assert (gone.code, gone.out) == (0, f"Deleted: vn.example.poll {key}.\n")
    assert polling(with_polls, home, "item", "list", "Minh", "vn.example.poll", "--json").lines == []
    proved = polling(with_polls, home, "store", "verify")
    assert proved.code == 0, proved.out + proved.err


def test_what_cannot_be_written_is_said_in_a_sentence(home: Path) -> None:
    unknown = banyan("--home", home, "item", "put", "vn.example.poll", "question=x")
    assert unknown.code == errors.USAGE
    assert "There is no collection 'vn.example.poll' here; there are block, " in unknown.err
    wrong = banyan("--home", home, "item", "put", "vn.example.poll", "question")
    assert "'question' is not FIELD=VALUE" in wrong.err
    posts = banyan("--home", home, "item", "put", "post", "text=x")
    assert "is written by methods of its own: post, reply" in posts.err


def test_collections_and_pages_are_listed(home: Path) -> None:
    for text in ("một", "hai", "ba"):
        assert banyan("--home", home, "post", text).code == 0
    names = [row["name"] for row in banyan("--home", home, "item", "collections", "--json").lines]
    assert names == sorted(names)
    assert {"block", "follow", "mute", "post", "profile", "reaction", "repost"} <= set(names)
    shown = banyan("--home", home, "item", "collections").out
    assert "created_ms: a whole number or nothing" in " ".join(shown.split())
    page = banyan("--home", home, "item", "list", "Minh", "post", "-n", 2, "--json")
    assert len(page.lines) == 2
    after = page.err.split("--after ")[1].split("`")[0]
    rest = banyan("--home", home, "item", "list", "Minh", "post", "--after", after, "--json")
    assert {row["content"]["text"] for row in page.lines + rest.lines} == {"một", "hai", "ba"}
