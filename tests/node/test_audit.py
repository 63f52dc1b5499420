"""The audit log: what was acknowledged is in it, also after a crash and from several processes; nothing leaves it
unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from banyan_node.home.audit import OPERATOR, Actor, AuditLine, AuditLog
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_storage.errors import StorageError
from tests.needs import ROOT
from tests.node.real import load_settings, make_home, make_node, running

BY = Actor("did:banyan:zLan", "page", "vì sao")


def every(log: AuditLog) -> list[AuditLine]:
    return log.page(0, None, 10_000, lambda one: True)[0]


def test_lines_are_numbered_chained_paged_and_filtered(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    assert log.verify() == (0, 0, "0" * 64, None, 0)
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


@pytest.mark.parametrize(
    "rest", [b'{"n":2,"at_' + b"\0" * 100_000, b"\0" * 512 + b'of":null}\n', b'{"n":2,' + b"\0" * 512 + b'"}\n{"n']
)
def test_what_a_crash_left_of_a_line_is_said_then_mended_and_noted(tmp_path: Path, rest: bytes) -> None:
    log = AuditLog(tmp_path / "audit")
    log.append(BY, "one", {})
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(rest)
    assert [row.do for row in every(log)] == ["one"]
    assert (log.verify().broken, log.verify().unfinished) == (None, len(rest))
    assert log.append(BY, "two", {}) == 3
    assert log.verify()[:2] == (1, 3)
    assert log.verify()[3:] == (None, 0)
    _, mended, two = every(log)
    assert (mended.who, mended.do, two.do) == ("node", "audit.mended", "two")
    assert mended.given == {"bytes": len(rest), "sha256": sha256(rest).hexdigest()}
    path.write_bytes(path.read_bytes()[:-10] + b"\n")
    with pytest.raises(StorageError, match="is damaged: move"):
        log.append(BY, "three", {})


def test_a_line_that_was_broken_off_at_the_end_of_a_full_file_is_mended_there(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", file_bytes=1_000)
    while not (paths := sorted((tmp_path / "audit").glob("*"))) or paths[-1].stat().st_size < 1_000:
        log.append(BY, "do", {})
    with paths[-1].open("ab") as file:
        file.write(b'{"n":')
    log.append(BY, "last", {})
    assert [row.do for row in every(log)][-2:] == ["audit.mended", "last"]
    assert len(list((tmp_path / "audit").iterdir())) == 2
    assert log.verify()[3:] == (None, 0)


def test_verify_follows_the_chain_over_files_and_finds_what_is_wrong_between_them(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", file_bytes=1_000, files=4)
    for n in range(40):
        log.append(BY, "do", {"n": n})
    assert log.verify().broken is None
    oldest, second, third, _ = sorted((tmp_path / "audit").iterdir())
    raw = second.read_bytes()
    second.write_bytes(raw + b"potato")
    assert log.verify().broken == int(third.stem), "nothing may stand behind a file that is done"
    second.write_bytes(raw[: raw.rindex(b"\n", 0, -1) + 1])
    assert log.verify().broken == int(third.stem), "its last line is gone"
    second.unlink()
    assert log.verify().broken is not None
    second.write_bytes(raw)
    assert log.verify().broken is None
    oldest.unlink()
    assert log.verify().broken == int(second.stem), "a file is only removed where there are too many"


def test_a_process_that_is_killed_while_it_writes_loses_no_line_that_was_acknowledged(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from banyan_node.home.audit import AuditLog, Actor\n"
        "log = AuditLog(Path(sys.argv[1]), 20_000)\n"
        "while True: print(log.append(Actor('a', 'x'), 'do', {'text': 'a' * 400}), flush=True)"
    )
    log, last = AuditLog(tmp_path / "audit"), 0
    for _ in range(6):
        line = [sys.executable, "-c", program, str(tmp_path / "audit")]
        with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writing:
            assert writing.stdout is not None
            for said in writing.stdout:
                last = int(said)
                if last % 37 == 0:
                    writing.kill()
        assert writing.returncode == -9
        chain = log.verify()
        assert chain.broken is None
        assert chain.last in (last, last + 1), "the act that was being written down was not done"


def test_a_line_for_which_there_is_no_room_is_refused_and_mended_once_there_is(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from banyan_node.home.audit import AuditLog, Actor\n"
        "log = AuditLog(Path(sys.argv[1])); log.append(Actor('a', 'x'), 'one', {})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "log.append(Actor('a', 'x'), 'two', {'text': 'a' * 400})"
    )
    line = [sys.executable, "-c", program, str(tmp_path / "audit")]
    ran = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "cannot be written (no room left), so nothing was done" in ran.stderr
    log = AuditLog(tmp_path / "audit")
    assert log.verify().unfinished > 0
    log.append(BY, "three", {})
    assert [row.do for row in every(log)] == ["one", "audit.mended", "three"]
    assert log.verify()[3:] == (None, 0)


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
            node.call("content.withhold", uri=uri[:-8] + "00000000", order="QĐ 12")
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
