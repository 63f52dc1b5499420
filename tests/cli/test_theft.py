"""A theft is not final: what the recovery words can do after a home was stolen, and what a home does not contain."""

from __future__ import annotations

import hashlib
import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from banyan_cli import errors
from banyan_node.home.keystore import Keys, keys_from_words
from banyan_node.home.mnemonic import Paper, read
from banyan_node.home.recovery import commitment
from tests.cli.shell import COMMAND, Ran, banyan, clean_environment, node_up, process

BAD_WORD = "liquide"


def _ok(ran: Ran) -> Any:
    assert ran.code == 0, ran.err + ran.out
    return ran.json


def _run(home: Path, *words: object) -> Any:
    return _ok(banyan("--home", home, *words, "--json"))


def _made(home: Path, name: str, *options: str) -> dict[str, Any]:
    made = _run(home, "init", "--name", name, "--realm", "test", *options)
    assert isinstance(made, dict)
    return made


def _carry(origin: Path, target: Path) -> None:
    """Copies all that one node holds to another."""
    archive = origin.parent / f"{os.urandom(4).hex()}.banyan"
    _run(origin, "export", archive)
    _run(target, "import", "archive", archive)


def _paper(tmp_path: Path, words: list[str]) -> Path:
    path = tmp_path / f"paper-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"
    path.write_text("\n".join(words), "utf-8")
    return path


def _refused(ran: Ran, code: int, *said: str) -> None:
    assert ran.code == code, ran.out + ran.err
    assert len(ran.err.splitlines()) == 1
    assert "Traceback" not in ran.err
    for text in said:
        assert text in ran.err


def _words_of(home: Path) -> list[str]:
    found = _run(home, "keys", "backup")["words"]
    assert isinstance(found, list)
    return found


def test_who_copies_a_home_and_rotates_its_root_loses_the_account_to_the_owners_words(tmp_path: Path) -> None:
    home, thief = tmp_path / "home", tmp_path / "thief"
    made = _made(home, "Minh")
    paper = _paper(tmp_path, made["recovery_words"])
    _run(home, "post", "của tôi")
    shutil.copytree(home, thief)
    for _ in range(2):
        _run(thief, "account", "rotate")
    _run(thief, "account", "grant", "ab" * 32)
    _run(thief, "post", "buy my coin")
    _carry(thief, home)
    before = _run(home, "digest")

    recover = ("account", "recover", "--yes", "--words-file", paper)
    asked = tuple(word for word in recover if word != "--yes")
    _refused(banyan("--home", home, *asked), errors.USAGE, "Give this machine other keys first", "Say --yes.")
    assert _run(home, "digest") == before
    stolen = _run(thief, "id")["writer"]
    assert set(_run(home, *recover)["cut"]) == {stolen, "ab" * 32}
    mine = _run(home, "id")["writer"]
    assert mine != stolen
    _run(home, "post", "lại của tôi")

    _run(thief, "post", "one more")  # before the thief hears of it
    _run(thief, "account", "rotate")
    _carry(thief, home)
    _carry(home, thief)
    for path in (home, thief):
        shown = _run(path, "account", "show", made["account"])
        assert not shown["frozen"]
        assert [step["op"] for step in shown["path"]][-4:] == ["recover", "cut", "cut", "grant"]
        texts = {post["text"] for post in banyan("--home", path, "feed", "--all", "--json").lines}
        assert texts == {"của tôi", "buy my coin", "lại của tôi"}
    for words in (
        ("post", "again"),
        ("account", "rotate"),
        ("account", "grant", "cd" * 32),
        ("account", "cut", mine, "--yes"),
        ("account", "close", "--yes"),
    ):
        _refused(banyan("--home", thief, *words), errors.FAILED)
    stolen_words = _paper(tmp_path, _words_of(thief))
    for words in (("account", "rotate", "--slot", "1"), ("account", "recover", "--yes")):
        _refused(banyan("--home", thief, *words, "--words-file", stolen_words), errors.KEYS)
    _run(home, "account", "rotate")
    _run(home, "post", "còn đây")


def test_no_file_of_a_home_holds_the_words_or_a_key_of_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = " ".join(_made(home, "Minh")["recovery_words"])
    _run(home, "post", "xin chào")
    _run(home, "keys", "renew")
    with node_up(home):
        _run(home, "account", "create", "Lan")
        paper = _paper(tmp_path, words.split())
        _run(home, "account", "recover", "--yes", "--words-file", paper)
    keys = Keys(read(words, Paper.RECOVERY))
    secrets = [keys._master, *(keys.derive("recovery", n.to_bytes(8, "big")) for n in range(4))]
    written = [p for p in (*home.rglob("*"), home.with_suffix(".log")) if p.is_file()]
    assert len(written) > 4
    assert all(p.stat().st_mode & 0o077 == 0 for p in home.rglob("*") if p.is_file())
    for path in written:
        raw = path.read_bytes()
        assert words.encode() not in raw
        for secret in secrets:
            for form in (secret, secret.hex().encode(), secret.hex().upper().encode(), _base64(secret)):
                assert form not in raw, path
        assert keys_from_words(" ".join(_words_of(home)))._master != keys._master


def _base64(secret: bytes) -> bytes:
    import base64

    return base64.b64encode(secret)[:42]  # the last two characters depend on what follows


def test_what_a_thief_did_to_an_account_can_be_undone_from_its_first_entry_on(tmp_path: Path) -> None:
    home, thief = tmp_path / "home", tmp_path / "thief"
    made = _made(home, "Minh")
    paper = _paper(tmp_path, made["recovery_words"])
    _run(home, "post", "còn")
    shutil.copytree(home, thief)
    _run(thief, "account", "rotate")
    _run(thief, "account", "cut", _run(home, "id")["writer"], "--yes")
    _run(thief, "account", "close", "--yes")
    _carry(thief, home)
    assert _run(home, "account", "show")["closed"]
    _run(home, "keys", "renew")
    recover = ("account", "recover", "--yes", "--words-file", paper)
    _refused(banyan("--home", home, *recover), errors.FAILED, "closed")
    _refused(banyan("--home", home, *recover, "--undo", "9"), errors.USAGE, "ends with entry 3")
    stolen = _run(thief, "id")["writer"]
    assert _run(home, *recover, "--undo", "1")["cut"] == [stolen]
    shown = _run(home, "account", "show")
    assert [step["op"] for step in shown["path"]] == ["init", "recover", "cut", "grant"]
    _run(home, "post", "và viết tiếp")
    assert {p["text"] for p in banyan("--home", home, "feed", "--all", "--json").lines} == {"còn", "và viết tiếp"}


def _account_check(home: Path) -> Any:
    ran = banyan("--home", home, "doctor", "--json")
    (found,) = [c for c in ran.json["checks"] if c["check"] == "account"]
    assert found["ok"] is not False or ran.code == errors.FAILED
    return found


@pytest.mark.parametrize("what", ["grant", "cut", "drop"])
def test_status_says_that_a_thief_let_a_writer_in_or_took_one_away_or_a_log(tmp_path: Path, what: str) -> None:
    home, thief, phone = tmp_path / "home", tmp_path / "thief", "ab" * 32
    _made(home, "Minh")
    _run(home, "post", "còn")
    _run(home, "account", "grant", phone)
    (log,) = [log for log in _run(home, "account", "show")["logs"] if log["own"]]
    shutil.copytree(home, thief)
    assert _run(home, "status")["trouble"] is None
    words: tuple[object, ...]
    words, said = {
        "grant": (("grant", "cd" * 32), "another writer was let in by entry 2 of its control log"),
        "cut": (("cut", phone, "--yes"), "a writer of it was cut off by entry 2 of its control log"),
        "drop": (
            ("drop", log["writer"], log["log"], "--yes"),
            "a log of it was dropped, with all that it says, by entry",
        ),
    }[what]
    _run(thief, "account", *words)
    assert _run(thief, "status")["trouble"] is None, "who does it himself knows it"
    _carry(thief, home)
    assert said in (trouble := _run(home, "status")["trouble"])
    assert "`banyan account recover --undo 2`" in trouble
    assert _account_check(home)["ok"] is False


def test_status_and_doctor_say_that_a_thief_took_the_account_and_the_remedy_they_name_helps(tmp_path: Path) -> None:
    home, thief = tmp_path / "home", tmp_path / "thief"
    made = _made(home, "Minh")
    paper = _paper(tmp_path, made["recovery_words"])
    _run(home, "post", "còn")
    own = [log["log"] for log in _run(home, "account", "show")["logs"] if log["own"]]
    shutil.copytree(home, thief)
    assert _run(home, "status")["trouble"] is None
    assert _account_check(home)["ok"] is True

    _run(thief, "post", "buy my coin")
    _carry(thief, home)
    said = _run(home, "status")["trouble"]
    assert "somebody else writes with this node's key: log" in said
    assert ", 1 entry, is not of this home; if that was not you, `banyan down`" in said
    assert _run(thief, "status")["trouble"] is None, "of what is older than its own first entry it cannot tell"
    _run(thief, "account", "rotate")
    _carry(thief, home)
    said = _run(home, "status")["trouble"]
    assert "no longer controls its own account: its root key was moved by entry 1 of its control log" in said
    _run(thief, "account", "grant", "ab" * 32)
    _run(thief, "account", "cut", _run(home, "id")["writer"], "--yes")
    _carry(thief, home)
    assert "this node was cut off by entry 3 of its control log" in _run(home, "status")["trouble"]
    (copied,) = {log["log"] for log in _run(thief, "account", "show")["logs"] if log["own"]} - set(own)
    _run(thief, "account", "close", "--yes")
    _carry(thief, home)
    said = _run(home, "status")["trouble"]
    assert "it was closed by entry 4 of its control log, which was not written here" in said
    assert "`banyan keys renew`, `banyan account recover --undo 1`, and `banyan account drop`" in said
    assert said[1:] in banyan("--home", home, "status").out.replace("\n", " ")
    assert (_account_check(home)["ok"], _account_check(home)["sentence"][1:]) == (False, f"{said[1:]}.")
    assert _run(thief, "status")["trouble"] is None, "who closes it himself knows it"

    _run(home, "keys", "renew")
    said = _run(home, "status")["trouble"]
    assert "`banyan account recover --undo 1`" in said
    assert "keys renew" not in said
    _run(home, "account", "recover", "--yes", "--words-file", paper, "--undo", "1")
    assert _run(home, "status")["trouble"] is None
    assert [log["log"] for log in _run(home, "account", "show")["logs"] if log["own"]] == own
    assert "written here" in banyan("--home", home, "account", "show").out
    _run(home, "post", "và viết tiếp")
    marked = {(log["writer"], log["log"]) for log in _run(home, "account", "show")["logs"] if log["own"]}
    assert len(marked) == 2, "what was written under the key before counts as written here too"
    assert copied not in {log for _, log in marked}


def test_status_says_that_a_log_is_forked_and_the_remedy_that_it_names_brings_all_back(tmp_path: Path) -> None:
    """An older copy of the store was put back so that the node cannot notice, and it wrote on."""
    home, saved, archive = tmp_path / "home", tmp_path / "saved", tmp_path / "archive"
    paper = _paper(tmp_path, _made(home, "Minh")["recovery_words"])
    _run(home, "post", "cũ")
    files = [home / "store" / "data.mdb", home / "store.seen"]
    saved.mkdir()
    for file in files:
        shutil.copyfile(file, saved / file.name)
    _run(home, "post", "một")
    _run(home, "export", archive)
    for file in files:
        shutil.copyfile(saved / file.name, file)  # in place, so that it is the same file
    _run(home, "post", "hai")
    assert _run(home, "status")["trouble"] is None
    _run(home, "import", "archive", archive)
    said = _run(home, "status")["trouble"]
    assert "in a copied home or after an older copy of the store was put back" in said
    assert "`banyan down`, `banyan keys renew`, `banyan account recover`" in said
    assert _account_check(home)["ok"] is False
    assert "forked, written here" in banyan("--home", home, "account", "show").out
    assert "1 log pinned; 1 forked, and pinned where that begins." in banyan("--home", home, "account", "pin").out
    _run(home, "keys", "renew")
    _run(home, "account", "recover", "--yes", "--words-file", paper)
    assert _run(home, "status")["trouble"] is None
    assert {"cũ", "hai"} <= {post["text"] for post in banyan("--home", home, "feed", "--all", "--json").lines}


def test_an_owners_own_word_is_no_thefts_and_a_thiefs_fork_is_one(tmp_path: Path) -> None:
    home, thief, again = (tmp_path / name for name in ("home", "thief", "again"))
    _made(home, "Minh")
    shutil.copytree(home, thief)
    _run(home, "account", "rotate")
    _run(home, "account", "grant", "cd" * 32)
    assert _run(home, "status")["trouble"] is None

    _run(home, "post", "trước")
    _ok(process("--home", again, "keys", "restore", "--realm", "test", "--json", stdin=" ".join(_words_of(home))))
    _carry(home, again)
    assert _run(again, "status")["trouble"] is None, "this store did not write it, and its keys are ours"
    _run(again, "post", "sau")
    assert _run(again, "status")["trouble"] is None, "what it wrote before the restore is older than what it writes now"

    path = _run(home, "account", "show")["path"]
    for _ in range(2):
        _run(thief, "account", "rotate")
    _carry(thief, home)
    said, now = _run(home, "status")["trouble"], _run(home, "account", "show")["path"]
    if now == path:  # both homes made a checkpoint with one key, and of two with one number the greater id stands
        assert said is None
    else:
        assert "it is frozen" in said or "its root key was moved by entry" in said


def test_closing_and_dropping_say_who_can_undo_them_and_it_is_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    paper = _paper(tmp_path, _made(home, "Minh")["recovery_words"])
    _run(home, "post", "còn")
    (log,) = [log for log in _run(home, "account", "show")["logs"] if log["own"]]
    for command in (("drop", log["writer"], str(log["log"])), ("close",)):
        asked = banyan("--home", home, "account", *command)
        _refused(asked, errors.USAGE, "Only the account's recovery words undo it; after 30 days", "Say --yes.")
        done = banyan("--home", home, "account", *command, "--yes")
        assert done.code == errors.OK
        number = _run(home, "account", "show")["path"][-1]["seq"]
        assert f"`banyan account recover --undo {number}` undoes it" in done.err
        assert banyan("--home", home, "feed", "--all", "--json").lines == []
    _refused(banyan("--home", home, "post", "?"), errors.FAILED, "is closed; only its recovery key undoes that")
    _run(home, "keys", "renew")
    _run(home, "account", "recover", "--undo", "1", "--yes", "--words-file", paper)
    assert [post["text"] for post in banyan("--home", home, "feed", "--all", "--json").lines] == ["còn"]

    kept = tmp_path / "kept"
    _made(kept, "Lan", "--keep-recovery")
    asked = banyan("--home", kept, "account", "close")
    _refused(asked, errors.USAGE, "recovery key, which is kept on this node, undoes it")


def test_what_a_thief_wrote_and_deleted_goes_with_the_log_that_the_copy_wrote(tmp_path: Path) -> None:
    home, thief = tmp_path / "home", tmp_path / "thief"
    made = _made(home, "Minh")
    mine = _run(home, "post", "của tôi")["uri"]
    shutil.copytree(home, thief)
    _run(thief, "post", "buy my coin")
    _run(thief, "delete", mine)
    _carry(thief, home)
    _run(home, "keys", "renew")
    (stolen,) = _run(home, "account", "recover", "--yes", "--words-file", _paper(tmp_path, made["recovery_words"]))[
        "cut"
    ]
    mine_here = {log["log"] for log in _run(home, "account", "show")["logs"] if log["own"]}
    theirs = [log["log"] for log in _run(thief, "account", "show")["logs"] if log["log"] not in {0, *mine_here}]
    assert [p["text"] for p in banyan("--home", home, "feed", "--all", "--json").lines] == ["buy my coin"]
    _refused(banyan("--home", home, "account", "drop", stolen, "65535", "--yes"), errors.FAILED, "has no log")
    _run(home, "account", "drop", stolen[:16], *theirs, "--yes")
    assert [p["text"] for p in banyan("--home", home, "feed", "--all", "--json").lines] == ["của tôi"]


def test_whose_machine_is_gone_takes_the_account_back_on_another_one(tmp_path: Path) -> None:
    gone, fresh, again = (tmp_path / name for name in ("gone", "fresh", "again"))
    made = _made(gone, "Minh")
    paper = _paper(tmp_path, made["recovery_words"])
    _run(gone, "post", "ở nhà cũ")
    _made(fresh, "mới")
    recover = ("account", "recover", "--account", made["account"], "--own", "--yes", "--words-file", paper)
    _refused(banyan("--home", fresh, *recover), errors.FAILED, "not held here")
    _carry(gone, fresh)
    _run(fresh, *recover)
    assert _run(fresh, "id")["account"] == made["account"]
    rows = banyan("--home", fresh, "account", "list", "--json").lines
    assert {(row["account"] == made["account"], row["name"]) for row in rows} == {(False, "mới"), (True, "Minh")}
    assert _run(fresh, "post", "bằng tên", "--as", "Minh")["uri"].startswith(made["account"])
    _run(fresh, "post", "ở nhà mới")
    _carry(fresh, gone)
    _refused(banyan("--home", gone, "post", "còn đây"), errors.FAILED)
    backup = " ".join(_words_of(fresh))
    _ok(process("--home", again, "keys", "restore", "--json", stdin=backup))
    (again / "config.toml").write_text('[node]\nrealm = "test"\n')
    _carry(fresh, again)
    assert {a["account"] for a in banyan("--home", again, "account", "list", "--json").lines} == {
        made["account"],
        *(a["account"] for a in banyan("--home", fresh, "account", "list", "--json").lines),
    }
    _run(again, "account", "rotate", "--account", made["account"])


def test_wrong_words_are_one_sentence_that_shows_none_of_them_and_change_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = _made(home, "Minh")["recovery_words"]
    other = banyan("keys", "words", "--json").json["words"]
    before = _run(home, "digest")
    swapped = [words[1], words[0], *words[2:]]
    unsound = swapped if words[0] != words[1] else [words[2], *words[1:]]
    for given, said in (
        (words[:-1], "23 were given"),
        ([*words[:4], BAD_WORD, *words[5:]], "Word 5"),
        (unsound, "checksum"),
        (other, "not the recovery words of this account"),
        (_words_of(home), "keys backup"),
        ([], "0 were given"),
    ):
        ran = process("--home", home, "account", "recover", "--yes", stdin=" ".join(given))
        if given is unsound and ran.code == errors.KEYS and "checksum" not in ran.err:
            said = "not the recovery words"  # one swap in 128 fits one of the two checksums
        _refused(ran, errors.KEYS, said)
        assert BAD_WORD not in ran.err
        assert _run(home, "digest") == before
    missing = banyan("--home", home, "account", "recover", "--yes", "--words-file", tmp_path / "none")
    _refused(missing, errors.USAGE, "none")


def test_words_that_are_typed_are_not_echoed(tmp_path: Path) -> None:
    words = _made(tmp_path / "home", "Minh")["recovery_words"]
    out, seen = _typed(" ".join(words) + "\n", "keys", "words", "--check")
    assert out.strip() == commitment(" ".join(words))
    assert " ".join(words[:2]) not in seen  # one word may be a part of the question, as "over" is


def test_words_may_be_pasted_one_a_line_with_their_numbers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = _made(home, "Minh")["recovery_words"]
    lines = "".join(f"{n}. {word}\n" for n, word in enumerate(words, 1))
    out, seen = _typed(lines + "\n\n", "keys", "words", "--check")
    assert out.strip() == commitment(" ".join(words))
    assert f"1. {words[0]}" not in seen
    assert "so far" not in seen


def test_half_of_the_words_and_a_pause_are_asked_for_the_rest(tmp_path: Path) -> None:
    words = _made(tmp_path / "home", "Minh")["recovery_words"]
    out, seen = _typed(" ".join(words[:12]) + "\n", "keys", "words", "--check", then=" ".join(words[12:]) + "\n")
    assert out.strip() == commitment(" ".join(words))
    assert "12 of 24 so far" in seen


def _typed(text: str, *command: str, then: str = "") -> tuple[str, str]:
    """Standard output, and what the terminal showed while the text (and perhaps `then`) was typed."""
    mine, screen = pty.openpty()
    run = subprocess.Popen(
        [*COMMAND, *command],
        stdin=screen,
        stdout=subprocess.PIPE,
        stderr=screen,
        env=clean_environment(),
        start_new_session=True,
    )
    os.close(screen)
    seen = b""
    for typed in filter(None, (text, then)):
        asked = seen.count(b": ")
        while seen.count(b": ") == asked:  # the echo is off then
            seen += os.read(mine, 1000)
        os.write(mine, typed.encode())
    out, _ = run.communicate(timeout=60)
    try:
        seen += os.read(mine, 1000)
    except OSError:  # the terminal closed with nothing more on it
        pass
    os.close(mine)
    return out.decode(), seen.decode()


def test_words_are_read_as_init_showed_them_and_with_any_numbering(tmp_path: Path) -> None:
    home, back = tmp_path / "home", tmp_path / "back"
    words = _made(home, "Minh")["recovery_words"]
    backup = banyan("--home", home, "keys", "backup").out  # columns: 1, 7, 13, 19 are on the first line
    assert process("--home", back, "keys", "restore", stdin=backup).code == errors.OK
    assert _words_of(back) == _words_of(home)
    for form in ("{n}.{word}", "{n}) {word},", "({n})\t{word}", "#{n} {word}\n", "- {word}"):
        text = " ".join(form.format(n=n, word=word.upper()) for n, word in enumerate(words, 1))
        assert process("keys", "words", "--check", stdin=text).out.strip() == commitment(" ".join(words))
    twice = " ".join(f"{1 if n == 2 else n} {word}" for n, word in enumerate(words, 1))
    _refused(process("keys", "words", "--check", stdin=twice), errors.KEYS, "No word has the number 2")
    some = f"1. {words[0]} {' '.join(words[1:])}"
    _refused(process("keys", "words", "--check", stdin=some), errors.KEYS, "1 of the 24 words have a number")


def test_recovery_words_are_no_backup_words(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    words = _made(home, "Minh")["recovery_words"]
    ran = process("--home", other, "keys", "restore", stdin=" ".join(words))
    _refused(ran, errors.KEYS, "recovery words", "`banyan account recover`")
    assert not (other / "keys").exists()
    checked = process("keys", "words", "--check", stdin=" ".join(_words_of(home)))
    assert (checked.code, "backup words" in checked.err) == (errors.OK, True)


def test_recovery_words_without_a_mark_are_found_out_when_their_account_comes_and_still_recover_it(
    tmp_path: Path,
) -> None:
    home, mistaken, right = tmp_path / "home", tmp_path / "mistaken", tmp_path / "right"
    made = _run(tmp_path, "keys", "words")
    old = Keys(read(" ".join(made["words"]), Paper.RECOVERY)).words()  # as programs before the mark spelled them
    account = _made(home, "Minh", "--recovery", commitment(old))["account"]
    assert commitment(old) == made["commitment"]
    assert process("--home", mistaken, "keys", "restore", stdin=old).code == errors.OK
    banyan("--home", mistaken, "config", "set", "node.realm", "test")
    _carry(home, mistaken)
    _refused(banyan("--home", mistaken, "post", "hm"), errors.FAILED, "recovery words of " + account, "backup words")
    _made(right, "Minh")
    _carry(home, right)
    recovered = process("--home", right, "account", "recover", "--account", account, "--own", "--yes", stdin=old)
    assert recovered.code == errors.OK, recovered.err
    _run(right, "post", "tôi đây")


def test_words_and_their_commitment_are_made_without_any_home(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    made = _run(nowhere, "keys", "words")
    assert len(made["words"]) == 24
    checked = process("--home", nowhere, "keys", "words", "--check", "--json", stdin=" ".join(made["words"]))
    assert checked.json == {"commitment": made["commitment"]}
    shown = banyan("--home", nowhere, "keys", "words")
    *pairs, committed = shown.out.split()
    numbered = dict(zip(map(int, pairs[::2]), pairs[1::2], strict=True))
    assert commitment(" ".join(numbered[n] for n in range(1, 25))) == committed
    assert not nowhere.exists()
    assert _run(nowhere, "keys", "words")["words"] != made["words"]


def test_a_hosted_user_who_made_the_words_takes_the_account_from_the_platform(tmp_path: Path) -> None:
    platform, own = tmp_path / "platform", tmp_path / "own"
    theirs = _made(platform, "Lotus", "--role", "platform")["recovery_words"]
    made = _run(tmp_path, "keys", "words")
    lan = _run(platform, "account", "create", "Lan", "--recovery", made["commitment"])["account"]
    slot = _run(platform, "account", "show", "Lan")["keys"][1]
    assert slot["current"] + slot["next"] == made["commitment"]
    assert not slot["held"]
    assert not _run(platform, "account", "create", "Lan", "--recovery", made["commitment"])["created"]
    another = _run(tmp_path, "keys", "words")["commitment"]
    _refused(banyan("--home", platform, "account", "create", "Lan", "--recovery", another), errors.FAILED, "another")
    _run(platform, "post", "trên sàn", "--as", "Lan")
    with_its_words = ("account", "recover", "--account", "Lan", "--yes", "--words-file", _paper(tmp_path, theirs))
    _refused(banyan("--home", platform, *with_its_words), errors.KEYS, "not the recovery words")

    _made(own, "Lan ở nhà")
    _carry(platform, own)
    words = _paper(tmp_path, made["words"])
    with node_up(own):  # over the control API, as a person does
        _run(own, "account", "recover", "--account", lan, "--own", "--yes", "--words-file", words)
        _run(own, "post", "ở nhà")
    log = own.with_suffix(".log").read_text("utf-8")
    assert not any(f" {word} " in log for word in made["words"] if len(word) > 6)
    _carry(own, platform)
    _refused(banyan("--home", platform, "post", "không được", "--as", "Lan"), errors.FAILED)
    _refused(banyan("--home", platform, "account", "rotate", "--account", lan), errors.FAILED)


def test_all_that_a_node_hosts_commits_to_its_own_words_unless_told_otherwise(tmp_path: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "kept"
    words = " ".join(_made(home, "Lotus")["recovery_words"])
    _run(home, "account", "create", "An")
    edges = tmp_path / "edges.txt"
    edges.write_text("0 1\n")
    _run(home, "import", "graph", edges, "--undirected")
    for row in banyan("--home", home, "account", "list", "--json").lines:
        slot = _run(home, "account", "show", row["account"])["keys"][1]
        assert slot["current"] + slot["next"] == commitment(words)
    assert "recovery_words" not in _made(kept, "Sen", "--keep-recovery")
    _run(kept, "account", "create", "An")
    slots = [_run(kept, "account", "show", *who)["keys"][1] for who in ((), ("An",))]
    assert [slot["held"] for slot in slots] == [True, True]
    assert slots[0]["current"] != slots[1]["current"]


def test_a_home_can_be_made_with_words_that_were_made_elsewhere(tmp_path: Path) -> None:
    made = _run(tmp_path, "keys", "words")
    home = tmp_path / "home"
    assert "recovery_words" not in _made(home, "Minh", "--recovery", made["commitment"])
    slot = _run(home, "account", "show")["keys"][1]
    assert slot["current"] + slot["next"] == made["commitment"]


def test_a_malformed_commitment_gives_one_sentence_and_opens_no_account(tmp_path: Path, home: Path) -> None:
    malformed = ("", "12", "ab" * 64, "g" * 128, "0" * 127, "commit")
    for text in malformed:
        _refused(banyan("--home", home, "account", "create", "Lan", "--recovery", text), errors.USAGE, "128")
        _refused(banyan("--home", tmp_path / "new", "init", "--recovery", text), errors.USAGE, "128")
        assert not (tmp_path / "new").exists()
    with node_up(home) as client:
        for text in malformed:
            with pytest.raises(Exception, match="128"):
                client.call("account.create", name="Lan", hosted=True, recovery=text)
    assert len(banyan("--home", home, "account", "list", "--json").lines) == 1


def test_an_account_whose_recovery_key_is_kept_needs_no_words_and_its_keys_are_not_renewed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _made(home, "Minh", "--keep-recovery")
    _refused(banyan("--home", home, "keys", "renew"), errors.USAGE, "recovery key", "rotate --slot 1 --words-file")
    assert not (home / "keys.old").exists()
    for _ in range(2):
        _run(home, "account", "recover", "--yes")
        _run(home, "account", "rotate")
    _run(home, "post", "vẫn viết")


def test_a_recovery_key_that_was_kept_can_move_to_words(tmp_path: Path) -> None:
    home, thief = tmp_path / "home", tmp_path / "thief"
    _made(home, "Minh", "--keep-recovery")
    _run(home, "account", "rotate", "--slot", "1")
    words = _run(tmp_path, "keys", "words")["words"]
    paper = _paper(tmp_path, words)
    rotate = ("account", "rotate", "--slot", "1")
    assert _run(home, *rotate, "--words-file", paper)["generation"] == 3
    slot = _run(home, "account", "show")["keys"][1]
    assert slot["current"] + slot["next"] == commitment(" ".join(words))
    assert not slot["held"]
    lan = _run(home, "account", "create", "Lan")["account"]
    assert _run(home, "account", "show", lan)["keys"][1]["current"] == slot["current"]
    before = _run(home, "digest")
    _refused(process("--home", home, *rotate, stdin=" ".join(_words_of(home))), errors.KEYS, "not the recovery words")
    _refused(banyan("--home", home, "account", "rotate", "--words-file", paper), errors.USAGE, "--slot 1")
    assert _run(home, "digest") == before
    assert _ok(process("--home", home, *rotate, "--json", stdin=" ".join(words)))["generation"] == 4
    shutil.copytree(home, thief)
    _run(thief, "account", "rotate")
    _run(home, "keys", "renew")
    _run(home, "account", "recover", "--yes", "--words-file", paper)
    _carry(thief, home)
    _run(home, "post", "vẫn của tôi")


def test_sealed_keys_stay_sealed_when_they_are_renewed(tmp_path: Path) -> None:
    home, env = tmp_path / "home", {"BANYAN_PASSPHRASE": "đúng rồi"}
    assert process("--home", home, "init", "--realm", "test", **env).code == 0
    before = process("--home", home, "id", "--json", **env).json
    assert process("--home", home, "keys", "renew").code == errors.KEYS
    assert process("--home", home, "keys", "renew", **env).code == 0
    after = process("--home", home, "id", "--json", **env).json
    assert after["account"] == before["account"]
    assert after["writer"] != before["writer"]
    assert b"sealed" in (home / "keys").read_bytes()
    assert (home / "keys.old").stat().st_mode & 0o777 == 0o600
    assert process("--home", home, "keys", "renew", **env).code == errors.KEYS  # the first ones would be lost


@pytest.mark.parametrize(
    "stopped_at",
    [
        "banyan_node.home.keystore.write_private",
        "banyan_node.local.reseal_local",
        "banyan_cli.commands.cuts._points",
        "banyan_cli.commands.cuts._show_changes",
        "os.link",
    ],
)
def test_a_recovery_that_was_killed_goes_on_with_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: str
) -> None:
    home = tmp_path / "home"
    paper = _paper(tmp_path, _made(home, "Minh")["recovery_words"])
    _run(home, "post", "một")
    again = ("--home", home, "account", "recover", "--yes", "--words-file", paper)

    def killed(*given: object, **named: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(stopped_at, killed)
        with pytest.raises(SystemExit):
            banyan(*again)
    _ok(banyan(*again, "--json"))
    assert not (home / "renewing").exists()
    assert _run(home, "account", "show")["keys"][0]["held"]
    _run(home, "post", "hai")
    assert len(banyan("--home", home, "feed", "--json").lines) == 2
    _refused(banyan(*again), errors.KEYS, "keys.old exists")
    (home / "renewing").touch()  # as if it had been stopped before its last step
    assert "did it before" in banyan(*again).out
    assert not (home / "renewing").exists()
