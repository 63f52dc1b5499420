"""The audit log: what was acknowledged is in it, also after a crash and from several processes; nothing leaves it
unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from banyan_node.home.audit import OPERATOR, Acted, Actor, AuditLog
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_storage.errors import StorageError
from tests.needs import ROOT
from tests.node.real import load_settings, make_home, make_node, running

BY = Actor("did:banyan:zLan", "page", "vì sao")


def every(log: AuditLog) -> list[Acted]:
    return log.page(0, None, 10_000, lambda one: True)[0]


def test_lines_are_numbered_chained_paged_and_filtered(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    assert log.verify() == (0, 0, "0" * 64, None)
    for n in range(1, 8):
        assert log.append(BY if n % 2 else OPERATOR, f"do.{n}", {"text": "a" * 600, "n": n}) == n
    assert log.append(BY, "do.7", {}, 7, "it may not") == 8
    rows = every(log)
    assert [row.n for row in rows] == [*range(1, 9)]
    assert (rows[0].why, rows[0].before, len(rows[0].given["text"])) == ("vì sao", "0" * 64, 501)
    assert (rows[7].of, rows[7].refused) == (7, "it may not")
    page, more = log.page(None, None, 3, lambda one: one.who == "operator")
    assert ([one.n for one in page], more) == ([6, 4, 2], 2)
    assert log.page(None, more, 3, lambda one: one.who == "operator") == ([], None)
    assert [one.n for one in log.page(6, None, 5, lambda one: True)[0]] == [7, 8]
    chain = log.verify()
    assert (chain.first, chain.last, chain.broken) == (1, 8, None)
    log.append(BY, "x", {})
    assert every(log)[-1].before == chain.head


def test_a_changed_or_removed_line_is_found(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    for n in range(6):
        log.append(BY, "peers.ban", {"peer": str(n)})
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], lines[2].replace(b'"2"', b'"9"'), *lines[3:]]))
    assert log.verify().broken == 4
    path.write_bytes(b"\n".join([*lines[:2], *lines[3:]]))
    assert log.verify().broken == 3
    path.write_bytes(b"\n".join(lines[1:]))
    assert log.verify().broken == 1


def test_files_rotate_the_oldest_go_and_the_chain_goes_on(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", file_bytes=1_000, files=3)
    for n in range(40):
        log.append(BY, "do", {"n": n})
    paths = sorted((tmp_path / "audit").iterdir())
    assert len(paths) == 3
    assert sum(path.stat().st_size for path in paths) < 4_500
    chain = log.verify()
    assert (chain.first, chain.last, chain.broken) == (int(paths[0].stem), 40, None)
    assert chain.first > 1
    assert [row.n for row in every(log)] == [*range(chain.first, 41)]
    assert log.page(None, chain.first + 1, 5, lambda one: True)[0][0].n == chain.first


def test_what_a_crash_left_of_a_line_is_cut_off_and_a_damaged_end_is_said(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    log.append(BY, "one", {})
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"n":2,"at_' + b"\0" * 100_000)
    assert [row.do for row in every(log)] == ["one"]
    assert log.append(BY, "two", {}) == 2
    assert log.verify() == (1, 2, log.verify().head, None)
    path.write_bytes(path.read_bytes()[:-10] + b"\n")
    with pytest.raises(StorageError, match="is damaged: move"):
        log.append(BY, "three", {})


def test_two_processes_take_turns(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from banyan_node.home.audit import AuditLog, Actor\n"
        "for n in range(30): AuditLog(Path(sys.argv[1])).append(Actor(sys.argv[2], 'x'), 'do', {'n': n})"
    )
    line = [sys.executable, "-c", program, str(tmp_path / "audit")]
    both = [subprocess.Popen([*line, who], cwd=ROOT) for who in ("a", "b")]
    assert [one.wait(60) for one in both] == [0, 0]
    rows = every(AuditLog(tmp_path / "audit"))
    assert [row.n for row in rows] == [*range(1, 61)]
    assert AuditLog(tmp_path / "audit").verify().broken is None
    assert sorted(row.given["n"] for row in rows if row.who == "a") == [*range(30)]


def test_an_act_is_in_the_log_before_it_is_done_a_refused_one_twice_and_no_secret_ever(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    log = AuditLog(home.audit)
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an")
        uri = node.call("post", text="một")["uri"]
        node.call("content.withhold", uri=uri, order="QĐ 12")
        with pytest.raises(CallError):
            node.call("content.withhold", uri=uri, order="QĐ 12")
        with pytest.raises(CallError):
            node.call("account.rotate", seed="5e" * 32)
        rows = every(log)
        assert [row.do for row in rows] == ["account.create", *["content.withhold"] * 3, *["account.rotate"] * 2]
        assert {(row.who, row.via) for row in rows} == {("operator", "command")}
        assert (rows[1].given["uri"], rows[1].why, rows[3].of) == (uri, "QĐ 12", rows[2].n)
        assert "No content of" in (rows[3].refused or "")
        assert "5e5e" not in "".join(json.dumps(row.given) for row in rows)
        for path in home.audit.iterdir():
            path.unlink()
        home.audit.rmdir()
        home.audit.write_text("a file in its place")
        with pytest.raises(StorageError, match="cannot be written"):
            node.call("content.release", uri=uri)
        assert node.call("content.withheld")["posts"] != []
        assert node.call("post", text="people go on")["uri"]


async def test_a_running_node_writes_it_down_too(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    async with running(make_node(home)) as node:
        peer = "12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV"
        await node.backend.call("peers.ban", {"peer": peer, "reason": "spam"}, BY)
        found = await node.backend.call("audit.list", {"do": "peers."})
        (row,) = found["acts"]
        assert (row["who"], row["via"], row["given"]["peer"], row["why"]) == ("did:banyan:zLan", "page", peer, "vì sao")
        assert (await node.backend.call("audit.verify", {}))["broken"] is None
        home.audit.chmod(0o500)
        if not _may_write(home.audit):
            with pytest.raises(CallError, match="audit log"):
                await node.backend.call("peers.pardon", {"peer": peer})
            assert (await node.backend.call("bans", {}))["peers"][0]["peer"] == peer
        home.audit.chmod(0o700)


def _may_write(folder: Path) -> bool:
    """As root."""
    try:
        (folder / "x").touch()
        (folder / "x").unlink()
        return True
    except OSError:
        return False
