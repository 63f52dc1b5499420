"""`banyan handle`, and a handle in the place of an account."""

from __future__ import annotations

from pathlib import Path

from banyan_cli import errors
from tests.cli.shell import Ran, banyan


def test_a_confirmed_handle_names_its_account(home: Path) -> None:
    def run(*words: str) -> Ran:
        ran = banyan("--home", home, *words)
        assert ran.code == 0, ran.err + ran.out
        return ran

    lan = run("account", "create", "Lan", "--json").json["account"]
    assert run("handle", "claim", "lan@vn.example", "--as", "Lan").out == "Claimed: lan@vn.example, claimed only.\n"
    assert "Nobody who is held here claims it" in run("handle", "find", "minh@vn.example").err
    ran = banyan("--home", home, "follow", "lan@vn.example")
    assert ran.code == errors.USAGE
    assert "No platform that is held here confirms 'lan@vn.example': Lan (did:banyan:z" in ran.err
    assert '_banyan.vn.example TXT "account=did:banyan:z' in run("handle", "domain", "vn.example").out
    assert run("handle", "confirm", "lan@vn.example", "Lan").out == "Confirmed: lan@vn.example.\n"
    assert lan in run("follow", "@lan@vn.example").out
    assert "lan@vn.example, confirmed by Minh" in run("profile", "show", "Lan").out
    (row,) = run("handle", "find", "lan@vn.example", "--json").lines
    assert (row["account"], row["platforms"][0]["name"]) == (lan, "Minh")
    assert "Minh" in run("handle", "find", "lan@vn.example").out
    assert run("handle", "confirm", "lan@vn.example", "Lan", "--undo").out == "Taken back.\n"
    assert run("handle", "claim", "--undo", "--as", "Lan").out == "You claim no handle now.\n"
    assert run("handle", "domain", "--undo").out == "The platform of none now.\n"
    assert banyan("--home", home, "handle", "claim").code == errors.USAGE
