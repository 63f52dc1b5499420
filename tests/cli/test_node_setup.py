"""The first questions: on a terminal alone, each answer checked at once, and nothing half done."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tomllib
from pathlib import Path

import pytest

from banyan_cli.errors import OK, STORAGE
from banyan_cli.node_setup import BOOTSTRAP, DOOR, FOLLOW, LISTEN, NAME, PAPER
from banyan_node.home.recovery import commitment
from tests.cli.shell import banyan, process
from tests.cli.terminal import Terminal
from tests.needs import on_own_disk

PEER = "12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV"
QUESTIONS = (NAME, LISTEN, DOOR, BOOTSTRAP, FOLLOW, PAPER)


def test_a_person_is_asked_what_matters_and_told_at_once_what_cannot_be(tmp_path: Path) -> None:
    home, friend = tmp_path / "home", tmp_path / "friend"
    other = json.loads(banyan("init", "--home", friend, "--name", "An", "--json").out)["account"]
    with socket.create_server(("127.0.0.1", 0)) as taken, Terminal("--home", home, "init") as person:
        port = taken.getsockname()[1]
        person.sees(f"This makes a node in {home}.")
        person.sees(f"{NAME} [")
        person.types("\udcff\udcfe\udc80")  # bytes that are no UTF-8
        person.sees("That is not UTF-8")
        person.types("x" * 65)
        person.sees(f"'{'x' * 65}' is no name: give one line of at most 64 characters")
        person.types("Trần Thị Lan")
        for wrong, why in (
            ("70000", "70000 is no port: it is from 0 to 65535."),
            ("somewhere", "'somewhere' is no place to connect to: give a port such as 4001, an address such as"),
            (f"/ip4/127.0.0.1/tcp/{port}", f"127.0.0.1 port {port} is taken by another program;"),
        ):
            person.sees(f"{LISTEN} [nobody]: ")
            person.types(wrong)
            person.sees(why)
        person.sees(f"{LISTEN} [nobody]: ")
        person.types("/ip4/127.0.0.1/tcp/0")
        person.sees(f"{DOOR} [nobody]: ")
        person.types("localhost")
        person.sees("'localhost' is no address to listen at: give HOST:PORT or unix:PATH.")
        person.types("127.0.0.1:0")
        person.sees(f"{BOOTSTRAP} [none]: ")
        person.types("/ip4/127.0.0.1/tcp/9")
        person.sees("'/ip4/127.0.0.1/tcp/9' is no node to dial: give its address, as `banyan id` shows it there")
        person.types(f"/ip4/127.0.0.1/tcp/9/p2p/{PEER}")
        person.sees(
            "It is noted, and dialled again and again; at the moment it is not reached: 127.0.0.1 refuses port 9"
        )
        person.sees(f"{FOLLOW} [none]: ")
        person.types("did:banyan:znobody")
        person.sees("'did:banyan:znobody' is no account: give it whole")
        person.types(other)
        person.sees("They are shown once:\n")
        person.sees(f"{PAPER}: ")
        assert not home.exists(), "nothing is written before the last answer"
        person.types("")
        person.sees(f"A node was made in {home}. Its account is did:banyan:z")
        assert person.ends() == 0
    assert " sets " not in person.screen, "who answers knows of no setting"
    words = dict(re.findall(r"\b([0-9]{1,2}) ([a-z]+)", person.screen.partition("shown once:")[2]))
    said = " ".join(words[str(n)] for n in range(1, 25))
    keys = {row["slot"]: row for row in banyan("account", "show", "--home", home, "--json").json["keys"]}
    assert commitment(said) == keys[1]["current"] + keys[1]["next"], "the words on the screen are those of the account"
    assert tomllib.loads((home / "config.toml").read_text("utf-8")) == {
        "node": {
            "name": "Trần Thị Lan",
            "listen": ["/ip4/127.0.0.1/tcp/0"],
            "bootstrap": [f"/ip4/127.0.0.1/tcp/9/p2p/{PEER}"],
        },
        "http": {"address": "127.0.0.1:0"},
    }
    followed = banyan("following", "--home", home, "--json").lines
    assert [row["account"] for row in followed] == [other]


@pytest.mark.parametrize("until", [0, 3, 5])
def test_ctrl_c_or_the_end_of_the_input_at_any_question_leaves_nothing(tmp_path: Path, until: int) -> None:
    home = tmp_path / "home"
    with Terminal("--home", home, "init") as person:
        for question in QUESTIONS[:until]:
            person.sees(question)
            person.types("")
        person.sees(QUESTIONS[until])
        person.presses("c" if until % 2 else "d")
        person.sees("Nothing was made.")
        assert person.ends() == 130
    assert list(tmp_path.iterdir()) == []


def test_up_offers_to_make_a_node_where_there_is_none_and_starts_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Terminal("--home", home, "up") as person:
        person.sees(f"There is no node in {home} yet.")
        person.sees("Make one now [yes]: ")
        person.types("perhaps")
        person.sees("Answer yes or no.")
        person.types("")
        for question in QUESTIONS:
            person.sees(question)
            person.types("")
        person.sees("is up. Ctrl-C stops it.")
        person.presses("c")
        assert person.ends() == 0
    with Terminal("--home", tmp_path / "other", "up") as person:
        person.sees("Make one now [yes]: ")
        person.types("no")
        assert person.ends() == 5
    assert not (tmp_path / "other").exists()


def test_without_a_terminal_or_with_options_nobody_is_asked(tmp_path: Path) -> None:
    for number, words in enumerate((["init"], ["init", "--json"], ["init", "--no-ask"])):
        ran = banyan("--home", tmp_path / str(number), *words)
        assert ran.code == 0
        assert NAME not in ran.out + ran.err
    assert process("--home", tmp_path / "up", "up").code == 5
    ran = banyan("--home", tmp_path / "asked", "init", "--ask")
    assert (ran.code, ran.err) == (
        2,
        "banyan: --ask asks on a terminal, and goes with no other option; leave the others out, or --ask.\n",
    )


@on_own_disk
def test_on_a_disk_with_little_room_no_half_of_a_node_is_left(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    home, full, kib = small / "home", small / "full", os.statvfs(small).f_bavail * os.statvfs(small).f_bsize >> 10
    try:
        for room in (8, 16, 20, 24, 40, 80):
            full.write_bytes(bytes((kib - room) << 10))
            ran = process("--home", home, "init", "--name", "An")
            assert (ran.code, ran.out) == (STORAGE, ""), (room, ran)
            assert ran.err.count("\n") == 1, (room, ran)
            assert "no room left for" in ran.err.lower(), (room, ran)
            assert not home.exists(), room
        full.unlink()
        assert process("--home", home, "init", "--name", "An").code == OK
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_node_that_cannot_be_made_leaves_the_home_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text('[node]\nname = "An"\n')
    (home / "store").write_text("in the way")
    ran = banyan("init", "--home", home, "--name", "Bo")
    assert ran.code == 4
    assert sorted(path.name for path in home.iterdir()) == ["config.toml", "store"]
    assert (home / "config.toml").read_text() == '[node]\nname = "An"\n'
