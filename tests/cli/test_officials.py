"""`banyan verify` and `banyan post --urgent`."""

from __future__ import annotations

from pathlib import Path

from banyan_cli import errors
from tests.cli.shell import Ran, banyan


def test_an_urgent_post_of_a_verified_account_is_told(home: Path) -> None:
    def run(*words: str) -> Ran:
        ran = banyan("--home", home, *words)
        assert ran.code == 0, ran.err + ran.out
        return ran

    for name in ("Y-te", "Lan"):
        run("account", "create", name)
    run("follow", "Y-te", "--as", "Lan")
    run("handle", "domain", "vn.example")
    assert run("verify", "Y-te", "Sở Y tế").out == "Verified: Sở Y tế.\n"
    run("post", "Bão vào chiều nay", "--urgent", "--as", "Y-te")
    told = run("notifications", "--as", "Lan").out
    assert "Y-te says, urgently" in told
    assert "Bão vào chiều nay" in told
    assert "Sở Y tế, verified by Minh" in run("profile", "show", "Y-te").out
    assert banyan("--home", home, "verify", "Y-te").code == errors.USAGE
    assert run("verify", "Y-te", "--undo").out == "Taken back.\n"
    assert run("notifications", "--as", "Lan").err == "Nothing yet.\n"
