"""Platforms with nodes found an alliance, admit and vote by one command each; and a command that is killed goes on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from banyan_node.alliance.papers import ledger_of
from banyan_node.alliance.seat_file import read_seat
from banyan_node.home.folder import Home
from banyan_node.server.control_client import ControlClient
from banyan_node.server.servers import find_running
from tests.cli.shell import banyan, clean_environment, node_up
from tests.forking import Code, run, started

WITHIN_S = 60.0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Running:
    """A command of a home, beside others."""

    def __init__(self, home: Path, *words: object) -> None:
        self.out, self.err = (home.with_name(f"{home.name}.{words[0]}.{end}") for end in ("out", "err"))
        self.out.unlink(missing_ok=True)
        every = ["--home", home, "alliance", *words, "--json"]
        self.process = started(run, self.out, self.err, clean_environment(), list(map(str, every)))

    def lines(self) -> list[Any]:
        """JSON values that it said by now."""
        whole = self.out.read_text().splitlines(keepends=True) if self.out.exists() else []
        return [json.loads(line) for line in whole if line.endswith("\n")]

    def said(self, text: str) -> bool:
        return text in self.err.read_text() if self.err.exists() else False

    def kill(self) -> None:
        self.process.kill()
        self.process.join(WITHIN_S)
        assert self.process.exitcode == -signal.SIGKILL

    def end(self) -> Any:
        """Its last value."""
        self.process.join(WITHIN_S)
        assert self.process.exitcode == 0, self.err.read_text()
        return self.lines()[-1]


class Platforms:
    """Nodes of homes a, b, c ... that run."""

    def __init__(self, path: Path) -> None:
        self.path, self._up = path, ExitStack()
        self.nodes = dict[str, ControlClient]()

    def start(self, names: str) -> None:
        for who in names:
            home = self.path / who
            assert banyan("--home", home, "init", "--name", who, "--realm", "test", "--role", "platform").code == 0
            self.nodes[who] = self._up.enter_context(node_up(home, "--listen", "/ip4/127.0.0.1/tcp/0"))

    def run(self, who: str, *words: object) -> Running:
        return Running(self.path / who, *words)

    def found(self, names: str, *more: object) -> tuple[Running, list[str]]:
        """The first one's command, which waits, and the invitations of who is not there."""
        first = self.run(
            names[0], "found", "Viet", "--domain", f"{names[0]}.vn", "--founders", len(names), *more, "--yes"
        )
        until(first.lines)
        return first, list(first.lines()[0]["invitations"])

    def join(self, who: str, invitation: str) -> Running:
        return self.run(who, "join", invitation, "--domain", f"{who}.vn", "--yes")

    def status(self, who: str) -> Any:
        return self.nodes[who].call("alliance.status")

    def memory(self, who: str) -> str:
        """Of its node's process: what it has for itself, and its share of what it has together with others."""
        pid = find_running(Home(self.path / who))[0].pid
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return f"{who}: {sum(int(row.split()[1]) for row in rows if row.startswith('Pss:')) // 1024} MB"

    def close(self) -> None:
        self._up.close()


@pytest.fixture
def platforms(tmp_path: Path) -> Iterator[Platforms]:
    made = Platforms(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_platforms_found_and_admit_by_one_command_each(platforms: Platforms) -> None:
    platforms.start("abcd")
    first, invitations = platforms.found("abc")
    others = [platforms.join(*one) for one in zip("bc", invitations, strict=True)]
    for ended in (first, *others):
        assert (ended.end()["epoch"], ended.end()["members"]) == (0, 3)
    until(lambda: len({platforms.status(who)["digest"] for who in "abc"}) == 1)

    inviting = platforms.run("b", "invite", "--wait", "--yes")
    until(inviting.lines)
    (invitation,) = inviting.lines()[0]["invitations"]
    began = time.monotonic()
    joining = platforms.join("d", invitation)
    until(lambda: platforms.status("c")["contents"])
    voting = [platforms.run(who, "vote", "--wait", "--yes") for who in "ac"]
    assert joining.end()["members"] == 4
    until(lambda: len({platforms.status(who)["digest"] for who in "abcd"}) == 1)
    print(f"admitted after {time.monotonic() - began:.1f} s")
    for ended in (inviting, *voting):
        assert ended.end()["epoch"] == 1
    rows = platforms.nodes["a"].call("alliance.members")["members"]
    assert {row["domain"] for row in rows} == {"a.vn", "b.vn", "c.vn", "d.vn"}


def test_a_command_whose_node_stops_while_it_waits_is_not_done_and_says_what_to_run(platforms: Platforms) -> None:
    platforms.start("ab")
    founding, invitations = platforms.found("abc")
    joining = platforms.join("b", invitations[0])
    until(lambda: joining.said("2 of 3 founders"))
    platforms.close()
    for one in (founding, joining):
        one.process.join(WITHIN_S)
        assert one.process.exitcode == 3, one.err.read_text()
        assert "run the same again" in one.err.read_text()


def test_a_command_that_is_killed_anywhere_goes_on_when_it_is_run_again(platforms: Platforms) -> None:
    platforms.start("abc")
    first, invitations = platforms.found("abc")
    first.kill()  # between its invitations and the last card
    joining = platforms.join("b", invitations[0])
    until(lambda: joining.said("2 of 3 founders"))
    joining.kill()
    first, again = platforms.found("abc")
    assert again == invitations[1:], "b's card is there"
    others = [platforms.join("c", invitations[1])]
    others[0].kill()  # while it makes its seat, or anywhere behind that
    others = [platforms.join(*one) for one in zip("bc", invitations, strict=True)]
    for ended in (first, *others):
        assert (ended.end()["epoch"], ended.end()["members"]) == (0, 3)

    code, words = _KILLED, ["--home", platforms.path / "a", "alliance", "propose", "--note", "Once.", "--yes"]
    with Code(code, *map(str, words)) as killed:
        assert killed.end()[0] == -signal.SIGKILL  # its vote was promised, and nobody has it
    assert platforms.status("a")["acts"] == 3
    (promised,) = read_seat(platforms.path / "a" / "alliance" / "seat").acts()
    every = [platforms.run("a", "propose", "--note", "Once.", "--wait", "--yes")]
    until(lambda: platforms.status("b")["contents"])
    every += [platforms.run(who, "vote", "--wait", "--yes") for who in "bc"]
    assert [ended.end()["epoch"] for ended in every] == [1, 1, 1]
    held = platforms.path / "held"
    assert banyan("--home", platforms.path / "b", "alliance", "acts", "--out", held).code == 0
    assert promised in list(ledger_of([held]).acts(1))


_KILLED = """
import os, signal, sys
from banyan_cli.main import main
from banyan_node.alliance.seat_file import SeatFile
keep = SeatFile.keep
def keep_and_die(*given):
    keep(*given)
    os.kill(os.getpid(), signal.SIGKILL)
SeatFile.keep = keep_and_die
main(sys.argv[1:])
"""


def test_ten_platforms_found_admit_order_restore_expel_and_users_move(platforms: Platforms) -> None:
    """Real nodes, each a process with libp2p and a store of its own; each operator runs one command a step."""
    began = time.monotonic()
    platforms.start("abcdefghij")
    nodes, took = platforms.nodes, {"start": time.monotonic() - began}
    own = {who: node.call("id")["account"] for who, node in nodes.items()}
    a, scope = nodes["a"], sorted(own[who] for who in "bcdefghi")
    ministry, judge = (a.call("account.create", name=name, hosted=True)["account"] for name in ("ministry", "judge"))
    role, listed = f'{{ account = "{ministry}", scopes = ["vn"], cap = 9 }}', json.dumps(scope)
    rules = platforms.path / "rules.toml"
    rules.write_text(
        f'authorities = [{role}]\nscopes = [{{ name = "vn", members = {listed}, judges = ["{judge}"] }}]\n'
    )

    def step(name: str, true: Callable[[], object]) -> None:
        until(true)
        took[name] = time.monotonic() - began - sum(took.values())

    def adopted(author: str, voters: str, members: int, *words: str) -> None:
        every = [platforms.run(author, *words, "--wait", "--yes")]
        until(lambda: all(platforms.status(who)["contents"] for who in voters))
        every += [platforms.run(who, "vote", "--wait", "--yes") for who in voters]
        assert {one.end()["members"] for one in every} == {members}

    first, invitations = platforms.found("abcdefghi", "--parameters", rules)
    joining = [platforms.join(*one) for one in zip("bcdefghi", invitations, strict=True)]
    assert {one.end()["members"] for one in (first, *joining)} == {9}
    step("found", lambda: len({platforms.status(who)["digest"] for who in "abcdefghi"}) == 1)

    inviting = platforms.run("b", "invite", "--wait", "--yes")
    until(inviting.lines)
    newcomer = platforms.join("j", inviting.lines()[0]["invitations"][0])
    until(lambda: all(platforms.status(who)["contents"] for who in "acdefg"))
    voting = [platforms.run(who, "vote", "--wait", "--yes") for who in "acdefg"]
    assert {one.end()["members"] for one in (inviting, newcomer, *voting)} == {10}
    step("admit", lambda: len({platforms.status(who)["digest"] for who in nodes}) == 1)

    an = nodes["b"].call("account.create", name="an", hosted=True)["account"]
    chi = nodes["c"].call("account.create", name="chi", hosted=True)["account"]
    uri = nodes["b"].call("post", text="tin", **{"as": an})["uri"]

    def seen() -> set[str]:
        return {
            who
            for who, node in nodes.items()
            if "tin" in [post["text"] for post in node.call("feed", all=True, limit=9)["posts"]]
        }

    step("post", lambda: seen() == nodes.keys())
    order = a.call("order.issue", scope="vn", posts=[uri], **{"as": ministry})["order"]

    def receipts() -> list[str]:
        return [one["word"] for row in a.call("order.list")["orders"] for one in row["answers"]]

    step("order", lambda: receipts() == ["done"] * 8 and seen() == {"a", "j"})
    nodes["b"].call("order.appeal", post=uri, why="châm biếm", **{"as": an})
    until(lambda: a.call("order.list")["orders"][0]["appeals"])
    a.call("order.rule", order=order, outcome="suspends", post=uri, **{"as": judge})
    step("appeal and restore", lambda: seen() == nodes.keys())

    adopted("a", "bdefghij", 9, "propose", "--expel", "c.vn")
    step("expel", lambda: len({platforms.status(who)["digest"] for who in nodes}) == 1)
    assert "c.vn" not in {row["domain"] for row in nodes["j"].call("alliance.members")["members"]}
    assert all(row["confirmed"] for row in nodes["j"].call("alliance.members")["members"])
    new = nodes["d"].call("account.create", name="chi", hosted=True)["account"]
    until(lambda: nodes["d"].call("profile.get", account=chi)["name"] == "chi")
    nodes["d"].call("follow", account=chi, **{"as": new})
    nodes["d"].call("move.from", account=chi, **{"as": new})
    until(lambda: nodes["c"].call("profile.get", account=new)["name"] == "chi")
    nodes["c"].call("move.to", account=new, **{"as": chi})
    step("move", lambda: (nodes["d"].call("profile.get", account=chi)["moved_to"] or {}).get("account") == new)
    print({name: round(seconds, 1) for name, seconds in took.items()}, *map(platforms.memory, "aj"))
