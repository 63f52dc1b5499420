"""A damaged page of `data.mdb`: `doctor` and `verify` name it, no command dies of it without a word, `repair` mends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from banyan_cli.errors import FAILED, OK, STORAGE
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages
from tests.cli.shell import COMMAND, banyan, clean_environment, process
from tests.node.test_local_repair import Judged

PAGE = 4_096


def _lose(data: Path, table: str, which: slice = slice(None)) -> list[int]:
    with Pages(data) as pages:
        pages.check()
        lost = [page for page, of in pages.used.items() if of == f"of table {table}"][which]
    with data.open("r+b") as file:
        for page in lost:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))
    return lost


def test_doctor_and_verify_name_a_page_that_is_lost_and_do_not_read_it(home: Path) -> None:
    assert banyan("--home", home, "account", "create", "an").code == OK
    lost = _lose(home / "store" / DATA, "meta")
    for command, code in ((("doctor",), FAILED), (("store", "verify"), STORAGE)):
        ran = process("--home", home, *command)
        assert ran.code == code, ran
        assert f"page {lost[0]} of table meta" in ran.out + ran.err
    assert banyan("--home", home, "store", "repair").code == OK
    assert banyan("--home", home, "store", "verify").code == OK
    assert "an" in banyan("--home", home, "account", "list").out


@pytest.mark.parametrize("table", ["meta", "copies", "entries"])
def test_whichever_page_is_lost_a_command_ends_with_a_sentence(tmp_path: Path, table: str) -> None:
    """Every start reads all pages of local state. Those of entries are too many: there LMDB aborts."""
    judged = Judged(tmp_path)
    judged.hide_more(30)
    (lost,) = _lose(judged.home.store / DATA, table, slice(-2, -1))
    reads = "post hi", "status", "feed", "store stats", "decisions", f"export {tmp_path}/x"
    for line in (*reads, *(f"{one} --json" for one in reads), "up"):
        command = [*COMMAND, "--home", str(judged.home.path), *line.split()]
        ran = subprocess.run(command, capture_output=True, timeout=60, env=clean_environment())
        assert ran.returncode == STORAGE, (line, ran)
        assert b"`banyan store repair`" in ran.stderr
        assert b"Traceback" not in ran.stderr
        assert table == "entries" or f"page {lost} of table {table}".encode() in ran.stderr
        if "--json" in command:
            assert json.loads(ran.stdout)["error"]["exit"] == STORAGE


def test_where_both_tables_are_damaged_the_operator_decides_whether_what_was_hidden_may_show(home: Path) -> None:
    assert banyan("--home", home, "account", "create", "an").code == OK
    for table in ("meta", "copies"):
        _lose(home / "store" / DATA, table)
    ran = banyan("--home", home, "store", "repair")
    assert (ran.code, "--what-is-left" in ran.err) == (STORAGE, True)
    assert banyan("--home", home, "status").code == STORAGE
    assert banyan("--home", home, "store", "repair", "--what-is-left").code == OK
    assert banyan("--home", home, "store", "verify").code == OK
