"""Leaving a platform: the keys reach the user, the user's node takes the account, and followers see no difference."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from banyan_cli import errors
from banyan_node.home.keystore import Keys, Keystore, keys_from_words
from banyan_node.home.mnemonic import Paper, read
from banyan_node.home.recovery import carrier, first_recovery, first_root, next_root
from tests.cli.shell import Ran, banyan, node_up
from tests.forking import Code

WAIT = 40.0


def _run(home: Path, *words: object) -> Any:
    ran = banyan("--home", home, *words, "--json")
    assert ran.code == 0, ran.err + ran.out
    return ran.json


def _made(home: Path, name: str, *options: str) -> dict[str, Any]:
    made: dict[str, Any] = _run(home, "init", "--name", name, "--realm", "test", *options)
    return made


def _refused(ran: Ran, code: int, *said: str) -> None:
    assert ran.code == code, ran.out + ran.err
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "Traceback" not in ran.err
    for text in said:
        assert text in ran.err


def _texts(home: Path, account: str) -> set[str]:
    return {post["text"] for post in banyan("--home", home, "feed", account, "--json").lines}


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _keys(home: Path, account: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _run(home, "account", "show", account)["keys"]
    return found


def _secrets(words: str) -> list[bytes]:
    keys = Keys(read(words, Paper.RECOVERY))
    following = [first_root(words).following, first_recovery(words).following]
    roots = [first_root(words).seed, next_root(words, following[0])]
    return [keys._master, *(seed for seed in roots if seed), first_recovery(words).seed, carrier(words)]


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A platform in the test realm that hosts An."""
    home = tmp_path / "platform"
    made = _made(home, "Lotus", "--role", "platform")
    (tmp_path / "platform.words").write_text(" ".join(made["recovery_words"]), "utf-8")
    _run(home, "account", "create", "An")
    return home


def test_a_user_leaves_a_platform_that_does_not_help_and_the_followers_stay(platform: Path, tmp_path: Path) -> None:
    own, follower, words = tmp_path / "own", tmp_path / "follower", tmp_path / "words"
    for home, name in ((own, "An at home"), (follower, "Bình")):
        _made(home, name)
    _run(platform, "post", "before", "--as", "An")
    an = _account(platform, "An")
    with ExitStack() as platform_up, ExitStack() as others:
        node = platform_up.enter_context(node_up(platform))
        address = node.call("id")["addresses"][0]
        follows = others.enter_context(node_up(follower, "--interest", "follows", "--bootstrap", address))
        _run(follower, "follow", an)
        _until(lambda: "before" in _texts(follower, an), "the follower sees the first post")

        paper = tmp_path / "platform.words"
        given = ("account", "handover", "An", "--out", words, "--plain", "--yes", "--recovery-words-file", paper)
        answer = _run(platform, *given)
        assert (answer["account"], answer["recovery"]) == (an, "words")
        _refused(banyan("--home", platform, *given[:3]), errors.FAILED, "handed over or moved before")
        _run(platform, "post", "between", "--as", "An")  # the platform is a writer still
        _refused(banyan("--home", platform, "account", "rotate", "--account", an), errors.FAILED, "not on this node")
        _until(lambda: "between" in _texts(follower, an), "the follower sees the second post")

        platform_up.close()  # it does not help
        other = follows.call("id")["addresses"][0]
        others.enter_context(node_up(own, "--interest", "follows", "--bootstrap", other))
        taken = _run(own, "account", "take", an, "--words-file", words, "--yes", "--wait", WAIT)
        assert answer["writer"] in taken["cut"]
        assert _run(own, "id")["account"] == an
        assert [key["held"] for key in _keys(own, an)] == [True, False]
        _run(own, "post", "after")
        _run(platform, "post", "too late", "--as", "An")  # it has not heard of the cut
        _until(lambda: "after" in _texts(follower, an), "the follower sees the third post")

        node = platform_up.enter_context(node_up(platform, "--bootstrap", other))
        late = ("--home", platform, "post", "much too late", "--as", "An")
        _until(lambda: banyan(*late).code == errors.FAILED, "the platform hears of the cut")
        _refused(banyan(*late), errors.FAILED, "its owner cut it off")
        _until(lambda: _texts(platform, an) == {"before", "between", "after"}, "the platform shows what counts")
        time.sleep(2)
        assert _texts(follower, an) == {"before", "between", "after"}
        assert an in {row["account"] for row in _run(follower, "status")["following"]}
        assert _run(own, "status")["trouble"] is None


def _account(home: Path, name: str) -> str:
    rows = banyan("--home", home, "account", "list", "--json").lines
    return next(str(row["account"]) for row in rows if row["name"] == name)


@pytest.mark.parametrize("words_of", ["the platform's paper", "a key kept there", "the user's own paper"])
def test_after_a_handover_no_byte_of_the_home_is_a_key_of_the_account(tmp_path: Path, words_of: str) -> None:
    home, file = tmp_path / "platform", tmp_path / "words"
    options = ("--keep-recovery",) if words_of == "a key kept there" else ()
    _made(home, "Lotus", "--role", "platform", *options)
    own_paper = ("--recovery", _run(tmp_path, "keys", "words")["commitment"]) if "user" in words_of else ()
    an = _run(home, "account", "create", "An", *own_paper)["account"]
    with node_up(home):
        answer = _run(home, "account", "handover", "An", "--out", file, "--plain", "--yes", "--root-only")
    expected = {"the platform's paper": "platform", "a key kept there": "words", "the user's own paper": "elsewhere"}
    assert answer["recovery"] == expected[words_of]
    assert [key["held"] for key in _keys(home, an)] == [False, False]
    words = file.read_text("utf-8").strip()
    written = [p for p in (*home.rglob("*"), home.with_suffix(".log")) if p.is_file()]
    assert len(written) > 4
    for path in written:
        raw = path.read_bytes()
        assert words.encode() not in raw
        for secret in _secrets(words):
            assert secret not in raw
            assert secret.hex().encode() not in raw.lower()
    master, shown = keys_from_words(" ".join(_run(home, "keys", "backup")["words"])), _keys(home, an)
    assert Keystore.open(home / "keys").keys.words() == master.words()
    held = {_digest(master.slot_seed(n, slot, g)) for n in range(4) for slot in (0, 1) for g in range(8)}
    assert not held & {shown[0]["current"], shown[0]["next"]}
    if answer["recovery"] == "words":
        assert not held & {shown[1]["current"], shown[1]["next"]}


def _digest(seed: bytes) -> str:
    from nacl.bindings import crypto_sign_seed_keypair

    from banyan_crdt.ids import WriterKey, key_digest

    return key_digest(WriterKey(crypto_sign_seed_keypair(seed)[0])).hex()


@pytest.mark.parametrize("place", ["before the file", "after the file", "before the commit", "after the call"])
def test_a_handover_that_is_killed_leaves_the_root_key_with_the_platform_or_on_the_paper(
    platform: Path, tmp_path: Path, place: str
) -> None:
    file, an = tmp_path / "words", _account(platform, "An")
    killed = f"""
import os, signal, sys
from banyan_cli import command_session, paper
from banyan_cli.main import main
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
write, call = paper.write_words, command_session.Session.call
def call_then_die(self, method, **params):
    if method != "account.handover" or "check" in params: return call(self, method, **params)
    if {place == "after the call"}: call(self, method, **params)
    die()
if {place == "before the file"}: paper.write_words = die
if {place == "before the commit"}:
    from banyan_storage.store import Store
    def call_and_die(self, method, **params):
        if method == "account.handover" and "check" not in params: Store.commit = die
        return call(self, method, **params)
    call_then_die = call_and_die
command_session.Session.call = call_then_die
main(sys.argv[1:])
"""
    words = ("--home", platform, "account", "handover", "An", "--out", file, "--plain", "--yes", "--root-only")
    assert Code(killed, *words).wait() == -9
    held = _keys(platform, an)[0]["held"]
    assert held == (place != "after the call")
    assert file.exists() == (place != "before the file")
    if place == "before the file":
        _run(platform, *words[2:])
    else:
        _refused(banyan(*words), errors.FAILED if not held else errors.USAGE, "before" if not held else "--words-file")
        again = _run(platform, "account", "handover", "An", "--words-file", file, "--yes", "--root-only")
        assert again["again"] == (place == "after the call")
    assert first_root(file.read_text("utf-8")).following.hex() == _keys(platform, an)[0]["next"]


def test_what_an_account_said_to_itself_comes_along(platform: Path, tmp_path: Path) -> None:
    own, words, archive = tmp_path / "own", tmp_path / "words", tmp_path / "an.banyan"
    an = _account(platform, "An")
    post = _run(platform, "post", "mark this", "--as", "An")["uri"]
    _run(platform, "bookmark", post, "--as", "An")
    _run(platform, "account", "handover", "An", "--out", words, "--plain", "--yes", "--root-only")
    _run(platform, "export", archive)
    _made(own, "An")
    _run(own, "import", "archive", archive)
    _run(own, "account", "take", an, "--words-file", words, "--yes")
    assert [row["uri"] for row in banyan("--home", own, "bookmarks", "--json").lines] == [post]


def test_bad_input_of_handover_and_take_is_one_sentence_and_changes_nothing(platform: Path, tmp_path: Path) -> None:
    own, words, sealed = tmp_path / "own", tmp_path / "words", tmp_path / "sealed"
    secret = tmp_path / "passphrase"
    secret.write_text("mật khẩu\n", "utf-8")
    an = _account(platform, "An")
    before = _run(platform, "digest")
    here: list[tuple[tuple[object, ...], int, str]] = [
        (("Nobody", "--out", words, "--yes"), errors.USAGE, "is not hosted here"),
        (("Lotus", "--out", words, "--plain", "--yes", "--root-only"), errors.FAILED, "own account"),
        (("An", "--json"), errors.USAGE, "give --out"),
        (("An", "--out", secret, "--plain", "--yes", "--root-only"), errors.USAGE, "exists"),
        (
            ("An", "--out", tmp_path / "no" / "where", "--plain", "--yes", "--root-only"),
            errors.USAGE,
            "cannot be written",
        ),
        (("An", "--out", words, "--yes", "--root-only"), errors.USAGE, "--passphrase-file"),
        (("An", "--out", words, "--plain", "--root-only"), errors.USAGE, "Say --yes"),
        (("An", "--out", words, "--plain", "--yes"), errors.FAILED, "--recovery-words-file"),
    ]
    for given, code, says in here:
        ran = banyan("--home", platform, "account", "handover", *given)
        assert ran.code == code, (given, ran.err)
        assert says in ran.err.splitlines()[0 if "--json" in given else -1], given
        assert _run(platform, "digest") == before
    words.unlink(missing_ok=True)
    handed = ("account", "handover", "An", "--out", sealed, "--passphrase-file", secret, "--yes")
    _run(platform, *handed, "--root-only")
    assert _run(platform, *handed[:3], "--words-file", sealed, *handed[5:])["again"] is True

    _made(own, "An")
    _refused(
        banyan("--home", own, "account", "take", an, "--words-file", sealed, *handed[5:]),
        errors.USAGE,
        "is not held here",
    )
    shutil.rmtree(own)
    archive = tmp_path / "all.banyan"
    _run(platform, "export", archive)
    made = _made(own, "An")
    _run(own, "import", "archive", archive)
    before = _run(own, "digest")
    paper = sealed.read_bytes()
    right = Keystore.open(sealed).unlock("mật khẩu")
    from banyan_node.home.mnemonic import spell

    good = spell(right._master, Paper.RECOVERY).split()
    wrong = "zoo" if good[3] != "zoo" else "zebra"
    for text, says in (
        (" ".join(good[:-1]), "24 words are needed and 23 were given"),
        (" ".join([*good[:3], "xin", *good[4:]]), "Word 4 of the 24 is not on the list"),
        (" ".join([*good[:3], wrong, *good[4:]]), "checksum"),
        (" ".join(made["recovery_words"]), "no key of this account is made from them"),
    ):
        words.write_text(text, "utf-8")
        ran = banyan("--home", own, "account", "take", an, "--words-file", words, "--yes")
        _refused(ran, errors.KEYS, says)
    secret.write_text("falsch", "utf-8")
    ran = banyan("--home", own, "account", "take", an, "--words-file", sealed, *handed[5:])
    _refused(ran, errors.KEYS, "does not open")
    assert _run(own, "digest") == before
    assert sealed.read_bytes() == paper
    words.write_text(" ".join(good), "utf-8")
    _run(own, "account", "take", an, "--words-file", words, "--yes")
    ran = banyan("--home", own, "account", "take", an, "--words-file", words, "--yes")
    assert ran.code == errors.FAILED
    assert "on this node already" in ran.err


def test_a_handover_is_undone_by_taking_the_account_back_with_the_words(platform: Path, tmp_path: Path) -> None:
    words, an = tmp_path / "words", _account(platform, "An")
    _run(platform, "account", "handover", "An", "--out", words, "--plain", "--yes", "--root-only")
    assert _run(platform, "account", "take", an, "--words-file", words, "--yes")["by"] == "root"
    assert _keys(platform, an)[0]["held"] is True
    assert _run(platform, "id")["account"] != an
    _run(platform, "post", "again", "--as", "An")
    _run(platform, "account", "rotate", "--account", an)
    _run(platform, "account", "handover", "An", "--out", tmp_path / "more", "--plain", "--yes", "--root-only")


def test_a_platform_that_is_kept_may_still_write(platform: Path, tmp_path: Path) -> None:
    own, words, archive = tmp_path / "own", tmp_path / "words", tmp_path / "all.banyan"
    an = _account(platform, "An")
    _run(platform, "account", "handover", "An", "--out", words, "--plain", "--yes", "--root-only")
    _run(platform, "export", archive)
    _made(own, "An")
    _run(own, "import", "archive", archive)
    assert _run(own, "account", "take", an, "--words-file", words, "--yes", "--keep-platform")["cut"] == []
    back = tmp_path / "back.banyan"
    _run(own, "export", back)
    _run(platform, "import", "archive", back)
    _run(platform, "post", "from the platform", "--as", "An")
    writer = _run(platform, "id")["writer"]
    _run(own, "account", "cut", writer, "--account", an, "--yes")


def _carry(origin: Path, target: Path) -> None:
    archive = origin.parent / f"{time.monotonic_ns()}.banyan"
    _run(origin, "export", archive)
    _run(target, "import", "archive", archive)


def test_a_copy_of_the_platform_from_before_the_handover_cannot_take_the_account_back_once_the_paper_moved_too(
    platform: Path, tmp_path: Path
) -> None:
    evil, own, fresh, words = (tmp_path / name for name in ("evil", "own", "fresh", "words"))
    an = _account(platform, "An")
    _run(platform, "post", "before", "--as", "An")
    shutil.copytree(platform, evil)
    paper = ("--recovery-words-file", tmp_path / "platform.words")
    _run(platform, "account", "handover", "An", "--out", words, "--plain", "--yes", *paper)
    _made(own, "An")
    _carry(platform, own)
    assert _run(own, "account", "take", an, "--words-file", words, "--yes")["by"] == "recovery"
    _run(own, "post", "after")
    for _ in range(2):
        _run(evil, "account", "rotate", "--account", an)
    _run(evil, "account", "grant", "ab" * 32, "--account", an)
    _run(evil, "post", "of the copy", "--as", "An")
    _made(fresh, "Fresh")
    _carry(evil, fresh)
    _carry(evil, own)
    _carry(own, fresh)
    _carry(own, evil)
    for home in (own, fresh, evil):
        shown = _run(home, "account", "show", an)
        assert not shown["frozen"]
        assert "ab" * 32 not in {grant["writer"] for grant in shown["grants"]}
        assert _texts(home, an) == {"before", "after"}
    assert banyan("--home", evil, "account", "rotate", "--account", an).code == errors.FAILED


def test_who_has_recovery_words_takes_the_account_from_a_platform_that_hands_nothing_over(tmp_path: Path) -> None:
    home, own, words = tmp_path / "platform", tmp_path / "own", tmp_path / "words"
    _made(home, "Lotus", "--role", "platform")
    made = _run(tmp_path, "keys", "words")
    words.write_text(" ".join(made["words"]), "utf-8")
    an = _run(home, "account", "create", "An", "--recovery", made["commitment"])["account"]
    _run(home, "post", "before", "--as", "An")
    archive = tmp_path / "an.banyan"
    _run(home, "export", archive, "--account", "An")
    _made(own, "An")
    assert _run(own, "import", "archive", archive)["same"] is True
    taken = _run(own, "account", "take", an, "--words-file", words, "--yes")
    assert (taken["by"], taken["cut"], taken["uncut"]) == ("recovery", [_run(home, "id")["writer"]], [])
    _run(own, "post", "after")
    _carry(own, home)
    _refused(banyan("--home", home, "post", "late", "--as", "An"), errors.FAILED, "its owner cut it off")
    assert _texts(home, an) == {"before", "after"}


def test_a_handover_that_was_answered_outlives_kill_9_of_the_node(platform: Path, tmp_path: Path) -> None:
    words, an = tmp_path / "words", _account(platform, "An")
    with node_up(platform):
        pid = json.loads((platform / "control.json").read_text("utf-8"))["pid"]
        _run(platform, "account", "handover", "An", "--out", words, "--plain", "--yes", "--root-only")
        os.kill(pid, signal.SIGKILL)
    assert [key["held"] for key in _keys(platform, an)] == [False, False]
    assert first_root(words.read_text("utf-8")).following.hex() == _keys(platform, an)[0]["next"]
    _run(platform, "post", "still a writer", "--as", "An")


def test_export_of_one_account_says_how_to_see_that_it_is_the_same(platform: Path, tmp_path: Path) -> None:
    own, archive, site = tmp_path / "own", tmp_path / "an.banyan", tmp_path / "an"
    _run(platform, "post", "xin chào", "--as", "An")
    ran = banyan("--home", platform, "export", archive, "--account", "An")
    assert ran.code == 0
    assert "shows the same digest" in ran.err
    _made(own, "An")
    assert "the account as the archive has it" in banyan("--home", own, "import", "archive", archive).out
    an = _account(platform, "An")
    assert _run(own, "digest", an) == _run(platform, "digest", "An")
    assert _run(platform, "export", site, "--account", "An", "--format", "html")["posts"] == 1
    assert "xin chào" in (site / "index.html").read_text("utf-8")
    for given, says in (
        ((site, "--account", "An", "--format", "html"), "exists; name another"),
        ((tmp_path / "x", "--account", "An", "--resume"), "starts again"),
        ((tmp_path / "x", "--format", "html"), "name it with --account"),
        ((tmp_path / "x", "--account", "Nobody"), "is no account that is held here"),
    ):
        _refused(banyan("--home", platform, "export", *given), errors.USAGE, says)


def test_whose_platform_is_dead_takes_the_account_with_what_is_here_although_no_peer_is_linked(tmp_path: Path) -> None:
    platform, home, paper = tmp_path / "platform", tmp_path / "home", tmp_path / "words"
    made = _run(tmp_path, "keys", "words")
    paper.write_text(" ".join(made["words"]), "utf-8")
    _run(platform, "init", "--name", "Lotus", "--role", "platform", "--realm", "test")
    account = _run(platform, "account", "create", "An", "--recovery", made["commitment"])["account"]
    _run(platform, "post", "còn", "--as", account)
    _run(platform, "export", tmp_path / "an.banyan", "--account", "An")
    _run(home, "init", "--name", "An", "--realm", "test")
    _run(home, "import", "archive", tmp_path / "an.banyan")
    with node_up(home):
        ran = banyan("--home", home, "account", "take", account, "--words-file", paper, "--wait", 1, "--yes", "--json")
        assert ran.code == 0, ran.err
        assert "No peer is linked, so nobody can say" in ran.err
        assert _run(home, "post", "ở đây")["uri"].startswith(account)
