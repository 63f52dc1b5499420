"""The command line as a whole: options anywhere, one sentence and one exit code for each error, quick help."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from banyan_cli import errors, main, refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.main import command_of, hoist
from banyan_cli.out import Out
from banyan_crdt.errors import Malformed
from banyan_node.home.folder import Home
from banyan_node.operator_errors import CallError, ConfigError, HomeError, NoNode, PortBusy, WrongPassphrase
from banyan_storage.errors import DiskFull
from tests.cli.shell import banyan, clean_environment, node_up, process


def test_json_and_home_are_options_anywhere_before_two_dashes() -> None:
    assert hoist(["post", "hi", "--json", "--home", "/x"]) == (["--json", "--home", "/x"], ["post", "hi"])
    assert hoist(["--home=/x", "id"]) == (["--home=/x"], ["id"])
    assert hoist(["post", "--", "--json"]) == ([], ["post", "--", "--json"])


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (BadInput("x"), 2, "bad_input"),
        (ConfigError("x"), 2, "config_error"),
        (CallError("ambiguous", "x"), 2, "ambiguous"),
        (CallError("refused", "x"), 1, "refused"),
        (CallError("no_peer", "x"), 3, "no_peer"),
        (CallError("storage", "x"), 4, "storage"),
        (NoNode("x"), 3, "no_node"),
        (PortBusy("x"), 3, "port_busy"),
        (HomeError("x"), 4, "home_error"),
        (DiskFull("x"), 4, "disk_full"),
        (WrongPassphrase("x"), 5, "wrong_passphrase"),
        (Malformed("x"), 1, "malformed"),
        (KeyError("x"), None, "key_error"),
    ],
)
def test_each_kind_of_error_has_one_exit_code_and_one_word(error: Exception, code: int | None, word: str) -> None:
    assert errors.exit_code(error) == code
    assert errors.error_word(error) == word


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the log is full", "The log is full."),
        ("small.txt, line 1: no", "The file small.txt, line 1: no."),
        ("dir/small, line 1: no", "The file dir/small, line 1: no."),
        ("archive breaks off", "The file archive breaks off."),
        ("account.create needs 'name'", "account.create needs 'name'."),
        ("did:banyan:zA is not held", "The account did:banyan:zA is not held."),
        ("did:banyan:zA/00 is not held", "The post did:banyan:zA/00 is not held."),
        ("e7378f54ed4009dd was cut off", "The key e7378f54ed4009dd was cut off."),
        ("'small' is no number", "'small' is no number."),
        ("/small is a folder", "/small is a folder."),
        ("--own is given twice!", "--own is given twice!"),
        ("'a\nb\x1b[2J' is no post", "'a b\N{REPLACEMENT CHARACTER}[2J' is no post."),
        ("", "Exception."),
    ],
)
def test_a_sentence_begins_with_a_capital_and_names_files_and_ids_as_they_are(said: str, shown: str) -> None:
    assert errors.sentence(Exception(said), ["import", "archive", "./small.txt"]) == shown


@pytest.mark.parametrize("name", ["a\nb", "", " "])
def test_a_name_of_two_lines_or_none_is_bad_input(tmp_path: Path, name: str) -> None:
    ran = banyan("--home", tmp_path / "a", "init", "--name", name)
    assert ran.code == errors.USAGE
    assert "one line of at most 64 characters" in ran.err
    assert not (tmp_path / "a").exists()


def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback(tmp_path: Path) -> None:
    interrupts = """
import os, runpy, signal, sys
class Interrupts:
    def find_spec(self, name, *where):
        if name == "banyan_cli.out":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
sys.argv = ["banyan", "feed"]
runpy.run_module("banyan_cli", run_name="__main__")
"""
    ran = subprocess.run([sys.executable, "-c", interrupts], capture_output=True, env=clean_environment(), cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (errors.INTERRUPTED, b"", b"")


def test_an_empty_home_is_bad_input() -> None:
    assert banyan("--home", "", "id").code == errors.USAGE


def test_every_exit_code_is_in_the_help() -> None:
    help_text = " ".join(process("--help").out.split())
    for code, meaning in errors.EXIT_CODES.items():
        assert f"{code} {meaning}" in help_text


@pytest.mark.parametrize(
    ("words", "made", "below"),
    [
        (("account", "show", "x"), {"account"}, {"show"}),
        (("post", "account"), {"post"}, set()),
        (("account", "shwo"), {"account"}, None),
        (("acount", "show"), None, set()),
        ((), None, set()),
    ],
)
def test_only_those_commands_are_made_that_the_line_names(
    words: tuple[str, ...], made: set[str] | None, below: set[str] | None
) -> None:
    command, every = command_of(words), command_of(())
    assert set(command.commands) == (made or set(every.commands))
    named = command.commands[words[0]] if words and made else None
    assert set(getattr(named, "commands", ())) == (set(every.commands["account"].commands) if below is None else below)


def loaded_by(*words: object) -> tuple[str, set[str]]:
    """The output of the command, and the packages that its process has loaded."""
    script = (
        "import sys; from banyan_cli.main import main; code = main(sys.argv[1:]); "
        "print(code, *sorted({name.split('.')[0] for name in sys.modules} | "
        "{name for name in sys.modules if name.startswith('banyan_node.')}), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    code, *names = ran.stderr.splitlines()[-1].split()
    assert code == "0", ran.stderr
    return ran.stdout, set(names)


HEAVY = {
    "libp2p",
    "numpy",
    "trio",
    "anyio",
    "lmdb",
    "httpx",
    "pydantic",
    "rich",
    "banyan_node.edge",
    "banyan_node.node",
}


def test_help_loads_neither_the_network_nor_the_store() -> None:
    said, loaded = loaded_by("--help")
    assert "One social graph" in said
    assert not loaded & (HEAVY | {"nacl"})


def test_a_post_beside_a_running_node_loads_neither_the_network_nor_the_store(home: Path) -> None:
    with node_up(home):
        said, loaded = loaded_by("--home", home, "post", "Xin chào")
        assert said.startswith("Posted: ")
        assert not loaded & HEAVY
        _, loaded = loaded_by("--home", home, "feed", "--limit", "5", "--json")
        assert not loaded & HEAVY


def test_an_error_is_one_sentence_on_standard_error_and_an_object_on_standard_output(tmp_path: Path) -> None:
    ran = banyan("--home", tmp_path / "none", "id", "--json")
    assert ran.code == errors.KEYS
    assert ran.json["error"]["code"] == "no_keys"
    assert ran.json["error"]["exit"] == errors.KEYS
    assert "banyan init" in ran.json["error"]["message"]
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err


def test_a_mistyped_command_or_option_is_bad_input(tmp_path: Path) -> None:
    ran = banyan("--home", tmp_path, "psot", "hi", "--json")
    assert ran.code == errors.USAGE
    assert ran.json["error"]["code"] == "usage"
    ran = banyan("--home", tmp_path, "feed", "--limit", "many")
    assert ran.code == errors.USAGE
    assert "--limit" in ran.err
    assert "Traceback" not in ran.err


def test_a_home_that_cannot_be_made_gives_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = banyan("--home", tmp_path / "file" / "home", "init")
    assert ran.code == errors.STORAGE
    assert "--home" in ran.err


def test_a_setting_that_is_not_one_is_refused_wherever_it_comes_from(home: Path) -> None:
    ran = process("--home", home, "config", "show", BANYAN_LIMITS_PEERZ="3")
    assert ran.code == errors.USAGE
    assert "perhaps BANYAN_LIMITS_PEERS was meant" in ran.err
    assert banyan("--home", home, "config", "set", "limits.peers", "none").code == errors.USAGE
    few = banyan("--home", home, "config", "set", "limits.peers", "5")
    assert few.code == errors.USAGE
    assert few.err.startswith("banyan: The setting limits.peers cannot be 5: ")


def test_what_config_set_takes_a_node_can_start_with(home: Path) -> None:
    before = (home / "config.toml").read_bytes()
    no_bind = "sets http.address to 'localhost', which is no address to listen at: give HOST:PORT or unix:PATH.\n"
    ran = banyan("--home", home, "config", "set", "http.address", "localhost")
    assert (ran.code, ran.err) == (errors.USAGE, f"banyan: The command line {no_bind}")
    ran = banyan("--home", home, "config", "set", "http.terms", home)
    assert (ran.code, ran.out) == (errors.USAGE, "")
    assert ran.err.endswith(f"to '{home}', which is a folder: name a file with plain text.\n")
    assert (home / "config.toml").read_bytes() == before
    ran = process("--home", home, "up", "--http", "localhost")
    assert (ran.code, ran.err) == (errors.USAGE, f"banyan: --http {no_bind}")
    ran = banyan("--home", home, "config", "set", "http.terms", "terms.txt")
    assert (ran.code, f"{home / 'terms.txt'} is not there: write it before the node starts" in ran.err) == (0, True)
    for workers in ("0", "1"):
        ran = process("--home", home, "up", "--http", "127.0.0.1:0", "--http-workers", workers)
        assert ran.code == errors.USAGE, "a service manager does not start it again"
        said = ran.err.splitlines()[-1]
        assert said.startswith(
            f"banyan: The setting http.terms names {home / 'terms.txt'}, which is not there: write it"
        )


@pytest.mark.parametrize("number", ["-1", "-0.5", "-.5"])
def test_a_number_below_zero_is_a_value_and_no_option(home: Path, number: str) -> None:
    ran = banyan("--home", home, "config", "set", "limits.idle_seconds", number)
    allowed = f"sets limits.idle_seconds to '{number}', which is not allowed; allowed: a number from 5 to 86400.\n"
    assert (ran.code, ran.err) == (errors.USAGE, f"banyan: The command line {allowed}")
    ran = banyan("--home", home, "config", "set", "--json", "limits.idle_seconds", number)
    assert ran.json["error"]["code"] == "config_error"
    assert banyan("--home", home, "post", number).code == 0
    ran = banyan("--home", home, "feed", "--limit", "-1")
    assert "out of range" in ran.err
    for words in (["-x"], ["-x1"], ["--1"]):
        assert "No such option" in banyan("--home", home, "config", "set", "limits.peers", *words).err


def test_a_store_keeps_its_realm(home: Path, tmp_path: Path) -> None:
    before = (home / "config.toml").read_bytes()
    ran = banyan("--home", home, "config", "set", "node.realm", "main")
    assert ran.code == errors.STORAGE
    kept = (
        "The store here is of the realm 'test', not of 'main', and entries are valid in one realm only; leave "
        "node.realm at 'test', or give 'main' a home of its own (--home)."
    )
    assert ran.err == f"banyan: {kept}\n"
    assert (home / "config.toml").read_bytes() == before
    ran = process("--home", home, "post", "ai?", BANYAN_NODE_REALM="main")
    assert (ran.code, ran.err) == (errors.STORAGE, f"banyan: {kept}\n")
    assert banyan("--home", home, "config", "set", "node.realm", "test").code == 0
    assert banyan("--home", tmp_path / "none", "config", "set", "node.realm", "test").code == 0


def test_config_show_says_where_each_value_comes_from(home: Path) -> None:
    assert banyan("--home", home, "config", "set", "limits.peers", "7").code == 0
    ran = process("--home", home, "config", "show", "limits", "--json", BANYAN_LIMITS_DIALS="3")
    rows = {row["name"]: row for row in ran.lines}
    assert (rows["limits.peers"]["value"], rows["limits.peers"]["source"]) == (7, "file")
    assert (rows["limits.dials"]["value"], rows["limits.dials"]["where"]) == (3, "BANYAN_LIMITS_DIALS")
    assert rows["limits.frame_bytes"]["source"] == "default"
    assert "limits.peers" in banyan("--home", home, "config", "show").out


def test_a_disk_that_is_full_before_there_is_a_store_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._report(OSError(errno.ENOSPC, "No space left on device"), False, False, ()) == errors.STORAGE
    assert "free some room, then run the command again" in capsys.readouterr().err
    assert main._report(OSError(errno.EIO, "Input/output error"), False, False, ()) == errors.STORAGE
    assert "free some room" not in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(home: Path) -> None:
    import subprocess

    from tests.cli.shell import COMMAND, clean_environment

    command = [*COMMAND, "--home", str(home), "config", "show", "--json"]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
    assert node.stdout is not None
    assert node.stderr is not None
    node.stdout.close()
    assert b"Traceback" not in node.stderr.read()
    node.stderr.close()
    assert node.wait(60) == 0


def test_short_names_are_those_shown_and_two_that_fit_are_refused(home: Path) -> None:
    with closing(Session(Home(home), Out(False))) as s:
        one, two = "did:banyan:za/" + "0" * 24 + "3fa81b02", "did:banyan:zb/" + "0" * 24 + "aaa81b02"
        people = [("did:banyan:za", "Lan"), ("did:banyan:zb", "Lan"), ("did:banyan:zc", "Huy")]
        accounts = [{"account": account, "name": name} for account, name in people]
        refs.note(s.home, posts=[{"uri": one}, {"uri": two}], accounts=accounts)
        assert refs.post(s, "3fa81b02") == one
        assert [refs.post(s, "3fa8"), refs.post(s, "aaa8…")] == [one, two]  # the beginning of what is shown
        with pytest.raises(BadInput, match=r"it fits did:banyan:za.* and did:banyan:zb"):
            refs.post(s, "81b02")
        with pytest.raises(BadInput, match="no post held here has it"):
            refs.post(s, "77777777")
        with pytest.raises(BadInput, match="'hello' is no post"):
            refs.post(s, "hello")
        assert refs.account(s, "@Huy") == "did:banyan:zc"
        with pytest.raises(BadInput, match="'unknown' is no account that is held here"):
            refs.account(s, "unknown")
        with pytest.raises(BadInput, match=r"'Lan' fits Lan \(did:banyan:za\) and Lan \(did:banyan:zb\)"):
            refs.account(s, "Lan")


def test_a_damaged_note_of_what_was_shown_loses_nothing_but_the_short_names(home: Path) -> None:
    with closing(Session(Home(home), Out(False))) as s:
        for damage in ("", "{", "[]", '{"posts": 3}'):
            (home / "shown.json").write_text(damage)
            refs.note(s.home, posts=[{"uri": "did:banyan:za/" + "ab" * 16}])
            assert refs.post(s, "abababab").startswith("did:banyan:za/")


def test_completion_is_offered() -> None:
    ran = process("--show-completion", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "banyan" in (ran.out + ran.err)


def test_arguments_that_are_not_text_are_refused_in_a_sentence(tmp_path: Path) -> None:
    ran = banyan("--home", tmp_path, "--json", "post", "\udcff")
    assert ran.code == errors.USAGE
    assert "not UTF-8" in json.loads(ran.out)["error"]["message"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("did:banyan:zE1U is not held here.", "The account did:banyan:zE1U is not held here."),
        ("account.drop needs 'log'", "account.drop needs 'log'."),
        ("nobody labelled that; `label.list` has labels", "Nobody labelled that; `banyan label ls` has labels."),
        ("label.define needs 'name'", "`banyan label define` needs 'name'."),
        ("begin it (`upload.begin`)", "Begin it (`upload.begin`)."),
        ("damaged: page 3 is not page 3", "Damaged: page 3 is not page 3."),
        ("the node is gone", "The node is gone."),
    ],
)
def test_an_error_is_shown_as_a_sentence_and_a_name_in_it_as_it_is_spelled(said: str, shown: str) -> None:
    assert errors.sentence(CallError("refused", said), (), root.calling) == shown


@pytest.mark.parametrize(
    "before", [("keys", "restore"), ("keys", "restore", "--words-file"), ("account", "recover"), ("init",)]
)
@pytest.mark.parametrize("apart", [True, False])
def test_words_on_the_command_line_are_warned_of_and_not_repeated(before: tuple[str, ...], apart: bool) -> None:
    words = banyan("keys", "words", "--json").json["words"]
    ran = banyan(*before, *(words if apart else [" ".join(words)]))
    assert ran.code == errors.USAGE
    assert "your shell has noted them" in ran.err
    said = ran.err.replace(",", " ").split()
    assert sum(word in said for word in set(words)) < 6  # some words of the list are usual ones
    assert "shell" not in banyan(*before[:2], "one", "two").err
