"""A damaged page of `data.mdb`: `doctor` and `verify` name it and end by themselves, `repair` mends."""

from __future__ import annotations

from pathlib import Path

from banyan_cli.errors import FAILED, OK, STORAGE
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages
from tests.cli.shell import banyan, process

PAGE = 4_096


def test_doctor_and_verify_name_a_page_that_is_lost_and_do_not_read_it(home: Path) -> None:
    assert banyan("--home", home, "account", "create", "an").code == OK
    data = home / "store" / DATA
    with Pages(data) as pages:
        assert pages.check() == []
        lost = [page for page, of in pages.used.items() if of == "of table meta"]
    with data.open("r+b") as file:
        for page in lost:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))
    for command, code in ((("doctor",), FAILED), (("store", "verify"), STORAGE)):
        ran = process("--home", home, *command)
        assert ran.code == code, ran
        assert f"page {lost[0]} of table meta" in ran.out + ran.err
    assert banyan("--home", home, "store", "repair").code == OK
    assert banyan("--home", home, "store", "verify").code == OK
    assert "an" in banyan("--home", home, "account", "list").out
