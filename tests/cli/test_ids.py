"""Any unique prefix of an id is accepted; several matches are listed; the shell completes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import banyan, process
from tests.forking import Code


def made(home: Path, *names: str) -> dict[str, str]:
    """name -> account id, hosted in `home`. Shown ids are forgotten, so that the node is asked for them."""
    ids = {n: banyan("--home", home, "--json", "account", "create", n).json["account"] for n in names}
    (home / "shown.json").unlink()
    return ids


def test_an_account_is_meant_by_any_beginning_of_its_id_that_fits_no_other(home: Path) -> None:
    ids = made(home, *(f"u{n}" for n in range(30)))
    own = banyan("--home", home, "--json", "id").json["account"]
    everything = [*ids.values(), own]
    for account in ids.values():
        body = account.removeprefix("did:banyan:z")
        least = next(n for n in range(1, 44) if sum(a.startswith(account[: 12 + n]) for a in everything) == 1)
        for text in (account[: 12 + max(least, 4)], "z" + body[: max(least, 4)], body[:9] + "…", account):
            shown = banyan("--home", home, "--json", "profile", "show", text)
            assert shown.code == 0, shown.err
            assert shown.json["account"] == account


def test_a_beginning_that_fits_two_accounts_lists_them_with_their_names(home: Path) -> None:
    ids = made(home, *(f"u{n}" for n in range(60)))
    often = max("ABCDEFGH", key=lambda c: sum(a.startswith(f"did:banyan:z{c}") for a in ids.values()))
    ran = banyan("--home", home, "follow", f"did:banyan:z{often}")
    assert ran.code == 2
    assert "fits u" in ran.err
    assert "; give the one you mean" in ran.err
    assert ran.err.count(f"did:banyan:z{often}") >= 3  # what was typed, and two that it fits


def test_a_writer_that_was_lost_is_cut_by_what_account_show_prints(home: Path, tmp_path: Path) -> None:
    assert banyan("--home", tmp_path / "phone", "init", "--name", "phone", "--realm", "test").code == 0
    phone = banyan("--home", tmp_path / "phone", "--json", "id").json["writer"]
    here = banyan("--home", home, "--json", "id").json["writer"]
    ran = banyan("--home", home, "account", "cut", "--yes")
    assert (ran.code, "there is none to cut" in ran.err) == (2, True)
    assert banyan("--home", home, "account", "grant", phone[:16]).code == 2  # nothing here knows it yet
    assert banyan("--home", home, "account", "grant", phone).code == 0
    shown = banyan("--home", home, "account", "show")
    assert phone[:16] in shown.out
    assert "this node" in shown.out
    ran = banyan("--home", home, "account", "cut", "zz", "--yes")
    assert ran.code == 2
    assert "is no writer here: there are" in ran.err
    assert phone in ran.err
    ran = banyan("--home", home, "account", "cut")
    assert ran.code == 2
    assert f"Cut writer {phone[:16]} for good" in ran.err
    ran = banyan("--home", home, "account", "cut", here[:5])
    assert "Cut THIS NODE" in ran.err
    cut = banyan("--home", home, "account", "cut", "--yes")
    assert cut.code == 0, cut.err
    assert f"Writer {phone[:16]} is cut" in cut.out
    assert banyan("--home", home, "account", "cut", phone[:8], "--yes").code == 1  # it was cut already


def test_a_post_is_meant_by_its_last_or_first_digits_though_it_was_never_shown(home: Path) -> None:
    uri = banyan("--home", home, "--json", "post", "một").json["uri"]
    (home / "shown.json").unlink()
    account, _, key = uri.rpartition("/")
    for text in (key[-8:], key[-5:], key[:20], f"{account[:20]}/{key[:20]}", uri, key[-8:].upper()):
        thread = banyan("--home", home, "--json", "thread", text)
        assert thread.code == 0, (text, thread.err)
        assert [p["uri"] for p in thread.json["posts"]] == [uri]
    ran = banyan("--home", home, "thread", f"{account[:20]}/zzzz")
    assert (ran.code, "is no post" in ran.err) == (2, True)


@pytest.mark.parametrize("text", ["", " ", "did:banyan:z0OIl", "…", "@", "x" * 5000, "did:banyan:", "a/b/c"])
def test_text_that_is_no_id_gives_one_sentence(home: Path, text: str) -> None:
    for words in (("follow", text), ("thread", text), ("account", "show", text), ("account", "cut", text, "--yes")):
        ran = banyan("--home", home, *words)
        assert ran.code in (1, 2), (words[0], ran)
        assert ran.err.startswith("banyan: ")
        assert "mistake in banyan" not in ran.err


def completed(home: Path, words: str, at: int) -> list[str]:
    """The completions that bash gets for word number `at`."""
    env = {"BANYAN_HOME": str(home), "_BANYAN_COMPLETE": "complete_bash"}
    env |= {"COMP_WORDS": words, "COMP_CWORD": str(at)}
    script = "import sys; sys.argv, sys.stderr = ['banyan'], sys.stdout; from banyan_cli.main import run; run()"
    return Code(script, **env).end()[1].split()


def test_the_shell_offers_accounts_posts_and_settings_that_were_shown(home: Path) -> None:
    assert process("--home", home, "account", "create", "Lan").code == 0
    posted = process("--home", home, "--json", "post", "một").json["uri"]
    assert "Lan" in completed(home, "banyan follow L", 2)
    assert posted[-8:] in completed(home, f"banyan reply {posted[-8:-5]}", 2)
    assert "interest.mode" in completed(home, "banyan config set interest.m", 3)
    assert completed(home, "banyan account cut ", 3) == []  # no node runs: nothing is opened for it
