"""Commands without a running node: they work on the store itself, and answer as a node would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from banyan_cli import errors
from banyan_cli.commands.feeds import KINDS
from banyan_cli.show.feed import DID
from banyan_schema.notices import NOTICES
from banyan_storage.tables import SCHEMA
from tests.cli.shell import Ran, banyan, process
from tests.storage.old.load import old_home


def _ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_init_makes_a_private_home_with_an_account_and_refuses_a_second_one(home: Path) -> None:
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "keys").stat().st_mode & 0o777 == 0o600
    who = _ok(banyan("--home", home, "id", "--json")).json
    assert who["name"] == "Minh"
    assert who["realm"] == "test"
    assert who["account"].startswith("did:banyan:z")
    ran = banyan("--home", home, "init")
    assert ran.code == errors.KEYS
    assert _ok(banyan("--home", home, "id", "--json")).json == who


def test_a_post_is_in_the_feed_with_its_answer_reaction_edit_and_not_after_its_deletion(home: Path) -> None:
    uri = _ok(banyan("--home", home, "post", "Xin chào 🌳", "--lang", "vi", "--json")).json["uri"]
    answer = _ok(banyan("--home", home, "reply", uri, "Chào lại", "--json")).json["uri"]
    _ok(banyan("--home", home, "react", uri, "🌳"))
    _ok(banyan("--home", home, "edit", uri, "Xin chào mọi người 🌳"))
    page = _ok(banyan("--home", home, "thread", uri, "--json")).json
    first, second = page["posts"]
    assert (first["text"], first["edited"], first["replies"]) == ("Xin chào mọi người 🌳", True, 1)
    assert first["reactions"] == {"🌳": 1}
    assert (second["uri"], second["depth"], second["reply_to"]) == (answer, 1, uri)
    shown = _ok(banyan("--home", home, "feed")).out
    assert "Xin chào mọi người 🌳" in shown
    short = uri.rpartition("/")[2][-8:]
    assert short in shown
    _ok(banyan("--home", home, "delete", short))
    assert [post["uri"] for post in _ok(banyan("--home", home, "feed", "--json")).lines] == [answer]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("feed",), "No posts here yet. Follow"),
        (("feed", "--all"), "No posts here yet.\n"),
        (("feed", "Minh"), "No posts here yet.\n"),
        (("item", "list", "Minh", "repost"), "Minh shows nothing of repost here.\n"),
        (("account", "list", "--after", "Minh"), "No accounts here yet"),
        (("store", "withheld"), "Nothing is withheld here.\n"),
    ],
)
def test_a_list_of_nothing_is_no_output_and_a_line_beside_it(home: Path, words: tuple[str, ...], says: str) -> None:
    for more in ((), ("--json",)):
        ran = _ok(banyan("--home", home, *words, *more))
        assert ran.out == ""
        assert ran.err.startswith(says)
        assert ran.err.count("\n") == 1


def test_follows_and_blocks_are_by_name_or_id_and_can_be_undone(home: Path) -> None:
    lan = _ok(banyan("--home", home, "account", "create", "Lan", "--json")).json["account"]
    assert _ok(banyan("--home", home, "account", "create", "Lan", "--json")).json["created"] is False
    _ok(banyan("--home", home, "follow", "Lan"))
    _ok(banyan("--home", home, "post", "của Lan", "--as", "Lan"))
    assert [p["name"] for p in _ok(banyan("--home", home, "feed", "--json")).lines] == ["Lan"]
    assert _ok(banyan("--home", home, "status", "--json")).json["following"][0]["account"] == lan
    _ok(banyan("--home", home, "block", lan))
    assert _ok(banyan("--home", home, "feed", "--json")).lines == []
    assert _ok(banyan("--home", home, "status", "--json")).json["following"] == []
    _ok(banyan("--home", home, "block", lan, "--undo"))
    assert "nothing to undo" in banyan("--home", home, "unfollow", lan).err
    _ok(banyan("--home", home, "follow", lan))
    _ok(banyan("--home", home, "unfollow", lan))
    assert _ok(banyan("--home", home, "graph", "stats", "--json")).json["follows"] == 0
    assert banyan("--home", home, "unfollow", lan).code == errors.FAILED


def test_a_profile_shows_the_fields_that_were_set(home: Path) -> None:
    _ok(banyan("--home", home, "profile", "set", "name=Minh Anh", "bio=cây đa = banyan"))
    profile = _ok(banyan("--home", home, "profile", "--json")).json
    assert profile["fields"] == {"name": "Minh Anh", "bio": "cây đa = banyan"}
    assert "bio: cây đa = banyan" in _ok(banyan("--home", home, "profile", "show")).out
    assert banyan("--home", home, "profile", "set", "bio").code == errors.USAGE


def test_an_answer_and_a_quote_say_who_may_answer_quote_and_repost_them(home: Path) -> None:
    uri = _ok(banyan("--home", home, "post", "Xin chào", "--json")).json["uri"]
    for command in ("reply", "quote"):
        rules = ("--answers", "nobody", "--quotes", "followers", "--reposts", "mentioned")
        _ok(banyan("--home", home, command, uri, "Chào lại", *rules))
        row = _ok(banyan("--home", home, "feed", "--json")).lines[0]
        assert row["policy"] == {"answers": "nobody", "quotes": "followers", "reposts": "mentioned"}


def test_bad_input_changes_nothing(home: Path) -> None:
    before = _ok(banyan("--home", home, "digest", "--json")).json
    for words in (
        ("post", "  "),
        ("post", "x" * 40_000),
        ("post", "x", "--answers", "friends"),
        ("reply", "77777777", "x", "--quotes", "friends"),
        ("reply", "77777777", "hi"),
        ("reply", "did:banyan:zabc/xyz", "hi"),
        ("follow", "nobody at all"),
        ("react", "did:banyan:zabc/" + "0" * 32, "👍"),
        ("account", "cut", "1234", "--yes"),
        ("account", "close"),
    ):
        ran = banyan("--home", home, *words)
        assert ran.code in (errors.FAILED, errors.USAGE), words
        assert "Traceback" not in ran.err
        assert ran.err.startswith("banyan: ")
        assert "Asked" not in ran.err, "the name of a class says nothing to people"
    assert _ok(banyan("--home", home, "digest", "--json")).json == before


def test_text_from_standard_input_is_taken_and_what_is_not_text_refused(home: Path) -> None:
    ran = process("--home", home, "post", "-", "--json", stdin="nhiều\ndòng\n")
    assert ran.code == 0, ran.err
    assert _ok(banyan("--home", home, "feed", "--json")).lines[0]["text"] == "nhiều\ndòng"
    assert process("--home", home, "post", "-", stdin="").code == errors.USAGE


def test_the_24_words_bring_the_same_node_back(home: Path, tmp_path: Path) -> None:
    words = _ok(banyan("--home", home, "keys", "backup", "--json")).json["words"]
    assert len(words) == 24
    other = tmp_path / "other"
    _ok(process("--home", other, "keys", "restore", stdin=" ".join(words)))
    mine, theirs = (_ok(banyan("--home", h, "id", "--json")).json for h in (home, other))
    assert mine["peer_id"] == theirs["peer_id"]
    assert mine["store_id"] != theirs["store_id"]
    third = tmp_path / "third"
    ran = process("--home", third, "keys", "restore", "--realm", "test", stdin=" ".join(words[:-1]))
    assert ran.code == errors.KEYS
    assert "23" in ran.err
    assert process("--home", third, "keys", "restore", "--realm", "mine", stdin="").code == errors.USAGE
    for command, text in ((("keys", "restore"), " ".join(words)), (("init",), "")):
        ran = process("--home", third, *command, "--realm", "test", stdin=text, BANYAN_NODE_REALM="main")
        assert (ran.code, "BANYAN_NODE_REALM sets node.realm to 'main'" in ran.err) == (errors.USAGE, True)
    assert not third.exists()
    ran = process("--home", third, "keys", "restore", "--realm", "test", stdin=" ".join(words))
    assert "for the realm 'test'" in _ok(ran).out
    assert _ok(banyan("--home", third, "id", "--json")).json["realm"] == "test"
    assert process("--home", home, "keys", "restore", stdin=" ".join(words)).code == errors.KEYS


def test_sealed_keys_open_with_their_passphrase_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert process("--home", home, "init", "--realm", "test", BANYAN_PASSPHRASE="đúng rồi").code == 0
    assert process("--home", home, "id", BANYAN_PASSPHRASE="đúng rồi").code == 0
    wrong = process("--home", home, "id", "--json", BANYAN_PASSPHRASE="sai")
    assert (wrong.code, wrong.json["error"]["code"]) == (errors.KEYS, "wrong_passphrase")
    missing = process("--home", home, "id", "--json")
    assert (missing.code, missing.json["error"]["code"]) == (errors.KEYS, "keys_locked")
    doctor = process("--home", home, "doctor", "--json", BANYAN_PASSPHRASE="p\udce4ss").json["checks"]
    assert [one["check"] for one in doctor if "UTF-8" in one["sentence"]] == ["clock"], "one sentence, said once"
    (tmp_path / "new").write_text("mới\n", "utf-8")
    changed = ("keys", "passphrase", "--new-file", tmp_path / "new")
    assert process("--home", home, *changed, BANYAN_PASSPHRASE="đúng rồi").code == 0
    assert process("--home", home, "id", BANYAN_PASSPHRASE_FILE=str(tmp_path / "new")).code == 0


def test_keys_that_others_can_read_are_refused(home: Path) -> None:
    os.chmod(home / "keys", 0o644)
    ran = banyan("--home", home, "post", "hi")
    assert ran.code == errors.KEYS
    assert "chmod 600" in ran.err


def test_a_store_is_verified_and_compacted_and_says_the_same_after_it(home: Path) -> None:
    for i in range(20):
        _ok(banyan("--home", home, "post", f"bài {i}"))
    before = _ok(banyan("--home", home, "digest", "--json")).json
    assert _ok(banyan("--home", home, "store", "verify", "--json")).json["problems"] == []
    small = _ok(banyan("--home", home, "store", "compact", "--json")).json
    assert small["after"] <= small["before"]
    assert not (home / "store.compacted").exists()
    assert not (home / "store.before-compact").exists()
    assert _ok(banyan("--home", home, "digest", "--json")).json == before
    _ok(banyan("--home", home, "post", "sau khi nén"))
    assert _ok(banyan("--home", home, "store", "verify", "--json")).json["problems"] == []


def test_an_archive_carries_everything_to_another_home(home: Path, tmp_path: Path) -> None:
    _ok(banyan("--home", home, "post", "đi xa 🧳"))
    _ok(banyan("--home", home, "account", "create", "Bình"))  # of one account more is told
    archive, other = tmp_path / "a.banyan", tmp_path / "other"
    out = _ok(banyan("--home", home, "export", archive, "--json")).json
    assert out["digest"] == _ok(banyan("--home", home, "digest", "--json")).json["digest"]
    assert banyan("--home", home, "export", archive).code == errors.USAGE
    _ok(banyan("--home", other, "init", "--realm", "test"))
    there = _ok(banyan("--home", other, "import", "archive", archive, "--json")).json
    assert there["expected"] == out["digest"]
    texts = [p["text"] for p in _ok(banyan("--home", other, "feed", "--all", "--json")).lines]
    assert texts == ["đi xa 🧳"]
    shown = _ok(banyan("--home", other, "import", "archive", archive)).out  # it held an account before
    assert "store holds  what the archive has, and more" in shown
    shown = _ok(banyan("--home", home, "import", "archive", archive)).out
    assert "store holds  what the archive has, and nothing else" in shown
    for kind in (("graph",), ("posts", "--text", "t")):
        wrong = banyan("--home", other, "import", *kind, archive)
        assert (wrong.code, wrong.out) == (errors.USAGE, "")
        assert "is an archive that `banyan export` wrote; read it with `banyan import archive`" in wrong.err
    (tmp_path / "empty").touch()
    empty = banyan("--home", other, "import", "archive", tmp_path / "empty")
    assert (empty.code, "is empty; `banyan export FILE` writes" in empty.err) == (errors.USAGE, True)
    raw = archive.read_bytes()
    (tmp_path / "cut").write_bytes(raw[:-10])
    damaged = banyan("--home", other, "import", "archive", tmp_path / "cut")
    assert damaged.code == errors.STORAGE
    assert "byte" in damaged.err


def test_a_file_that_is_no_archive_is_said_to_be_none_and_is_not_written_over(home: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("buy bread, and write to Lan\n" * 10, "utf-8")
    ran = banyan("--home", home, "import", "archive", notes)
    assert (ran.code, len(ran.err.splitlines())) == (errors.USAGE, 1)
    assert f"{notes} is no archive of banyan's" in ran.err
    assert "`banyan export FILE` writes an archive" in ran.err
    ran = banyan("--home", home, "export", notes, "--resume")
    assert (ran.code, "was left as it is" in ran.err) == (errors.FAILED, True)
    assert notes.read_text("utf-8").startswith("buy bread")
    archive = tmp_path / "of another store"
    assert banyan("--home", tmp_path / "b", "init", "--realm", "test", "--keep-recovery").code == 0
    _ok(banyan("--home", tmp_path / "b", "export", archive))
    before = archive.read_bytes()
    ran = banyan("--home", home, "export", archive, "--resume")
    assert (ran.code, "another store wrote it. It was left as it is" in ran.err) == (errors.FAILED, True)
    assert archive.read_bytes() == before


def test_a_graph_is_imported_once_however_often_it_is_given(home: Path, tmp_path: Path) -> None:
    edges = tmp_path / "g.txt"
    edges.write_text("# friends\n" + "".join(f"{a} {b}\n" for a in range(12) for b in range(a + 1, 12)))
    first = _ok(banyan("--home", home, "import", "graph", edges, "--undirected", "--json")).json
    assert (first["accounts"], first["follows"]) == (12, 132)
    digest = _ok(banyan("--home", home, "digest", "--json")).json
    again = _ok(banyan("--home", home, "import", "graph", edges, "--undirected", "--json")).json
    assert again["digest"] == first["digest"]
    assert _ok(banyan("--home", home, "digest", "--json")).json == digest
    assert _ok(banyan("--home", home, "graph", "stats", "--json")).json["follows"] == 132


def test_an_edge_list_with_a_word_in_it_imports_nothing(home: Path, tmp_path: Path) -> None:
    before = _ok(banyan("--home", home, "digest", "--json")).json
    edges = tmp_path / "g.txt"
    edges.write_text("0 1\n1 two\n")
    ran = banyan("--home", home, "import", "graph", edges)
    assert ran.code == errors.USAGE
    assert "line 2" in ran.err
    assert _ok(banyan("--home", home, "digest", "--json")).json == before


def test_comments_become_answers_to_articles_and_arrive_composed(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "c.csv"
    rows = "".join(f'"Bình luận {i}, dòng\nhai",Bài {i % 3}\n' for i in range(30))
    table.write_text("\ufeffComment,Title\n" + rows, "utf-8")
    words = ("import", "posts", table, "--text", "Comment", "--thread", "Title", "--authors", 4)
    done = _ok(banyan("--home", home, *words, "--json")).json
    assert (done["posts"], done["replies"], done["accounts"]) == (33, 30, 5)
    page = _ok(banyan("--home", home, "feed", "press", "--json")).lines
    assert {p["text"] for p in page} == {"Bài 0", "Bài 1", "Bài 2"}
    assert all(p["replies"] == 10 for p in page)
    thread = _ok(banyan("--home", home, "thread", page[0]["uri"], "--json")).json["posts"]
    assert len(thread) == 11
    assert "dòng\nhai" in thread[1]["text"]
    missing = banyan("--home", home, "import", "posts", table, "--text", "Body")
    assert missing.code == errors.USAGE
    assert "it has 'Comment', 'Title'" in missing.err


def test_doctor_finds_a_home_that_others_can_look_into(home: Path) -> None:
    report = _ok(banyan("--home", home, "doctor", "--json")).json
    assert report["ok"]
    assert {"python", "home", "keys", "disk", "clock", "store", "ports", "node", "peers"} <= {
        check["check"] for check in report["checks"]
    }
    os.chmod(home, 0o755)
    ran = banyan("--home", home, "doctor")
    assert ran.code == errors.FAILED
    assert "chmod 700" in ran.out


def test_an_account_can_be_granted_cut_rotated_and_closed(tmp_path: Path) -> None:
    home, writer = tmp_path / "home", "ab" * 32
    _ok(banyan("--home", home, "init", "--name", "Minh", "--realm", "test", "--keep-recovery"))
    _ok(banyan("--home", home, "account", "grant", writer, "--until", "2030-01-01"))
    grants = _ok(banyan("--home", home, "account", "show", "--json")).json["grants"]
    assert {g["writer"]: g["until_ms"] for g in grants}[writer] == 1_893_542_399_999  # to the end of its last day
    _ok(banyan("--home", home, "account", "pin"))
    _ok(banyan("--home", home, "account", "cut", writer, "--yes"))
    assert [c["writer"] for c in _ok(banyan("--home", home, "account", "show", "--json")).json["cuts"]] == [writer]
    assert _ok(banyan("--home", home, "account", "rotate", "--json")).json["generation"] == 1
    _ok(banyan("--home", home, "account", "recover", "--yes"))
    assert "open" in _ok(banyan("--home", home, "account", "show")).out
    _ok(banyan("--home", home, "account", "close", "--yes"))
    assert _ok(banyan("--home", home, "account", "show", "--json")).json["closed"]
    late = banyan("--home", home, "post", "too late")
    assert late.code == errors.FAILED
    assert "is closed" in late.err


def test_an_account_needs_a_name(home: Path) -> None:
    ran = banyan("--home", home, "account", "create", " ")
    assert ran.code == errors.USAGE
    assert "empty" in ran.err


def test_two_processes_cannot_have_one_store(home: Path) -> None:
    from banyan_node.home.folder import Home
    from banyan_node.home.settings import load
    from banyan_node.local import open_local

    there = Home(home)
    with open_local(there, load(there), None):
        ran = process("--home", home, "post", "hi", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (errors.STORAGE, "store_locked")
    assert str(os.getpid()) in ran.json["error"]["message"]


READING: tuple[str, ...] = (
    "store verify",
    "store stats",
    "store withheld",
    "store dropped",
    "store erasures",
    "doctor",
    "digest",
)
READING += ("status", "feed", "decisions", "reports", "account list", "tasks", "moderator list")


def test_a_command_that_reads_says_that_a_store_is_older_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    home = old_home(tmp_path / "home").path
    before = (home / "store" / "data.mdb").read_bytes()
    for words in READING:
        ran = banyan("--home", home, *words.split())
        assert ran.code, words
        said = " ".join((ran.out + ran.err).split())
        assert f"schema 4, this program reads {SCHEMA}; nothing was changed. `banyan up`" in said, words
        assert (home / "store" / "data.mdb").read_bytes() == before, words


def test_an_old_store_is_brought_up_by_a_command_that_writes_which_says_so_beside_its_answer(tmp_path: Path) -> None:
    home = old_home(tmp_path / "home").path
    ran = _ok(banyan("--home", home, "store", "trust-clock", "--json"))
    assert "The store is of schema 4; bringing it to 10" in ran.err
    assert "9 entries of 4 logs were wrong" in ran.err
    ran = _ok(banyan("--home", home, "store", "verify", "--json"))
    assert (ran.json["problems"], "schema" in ran.err) == ([], False)
    ran = _ok(banyan("--home", home, "store", "mend", "--json"))
    assert (ran.json["checked"], ran.json["dropped"]) == (59, 0)
    assert "all are sound" in ran.err


def test_what_one_keeps_to_oneself_is_set_shown_and_taken_back(home: Path) -> None:
    for name in ("Lan", "Hoa"):
        _ok(banyan("--home", home, "account", "create", name))
    uri = _ok(banyan("--home", home, "post", "phim hay", "--as", "Lan", "--json")).json["uri"]
    _ok(banyan("--home", home, "post", "ăn phở", "--as", "Hoa", "--lang", "vi"))
    _ok(banyan("--home", home, "bookmark", uri))
    assert "phim hay" in _ok(banyan("--home", home, "bookmarks")).out
    _ok(banyan("--home", home, "bookmark", uri, "--undo"))
    assert "You keep no posts yet" in _ok(banyan("--home", home, "bookmarks")).err

    made = _ok(banyan("--home", home, "list", "create", "bạn", "--json")).json["id"]
    assert "2 accounts are on bạn now" in _ok(banyan("--home", home, "list", "add", "bạn", "Lan", "Hoa")).out
    _ok(banyan("--home", home, "list", "remove", made[:8], "Hoa"))
    assert "Lan" in _ok(banyan("--home", home, "list", "show", "bạn")).out
    assert [p["text"] for p in _ok(banyan("--home", home, "feed", "--list", "bạn", "--json")).lines] == ["phim hay"]
    _ok(banyan("--home", home, "list", "rename", "bạn", "bạn bè"))
    assert "bạn bè" in _ok(banyan("--home", home, "list", "ls")).out
    _ok(banyan("--home", home, "list", "create", "bạn bè"))
    assert "is the title of 2 lists: give one of" in banyan("--home", home, "list", "show", "bạn bè").err
    _ok(banyan("--home", home, "list", "delete", made[:8]))
    _ok(banyan("--home", home, "list", "delete", "bạn bè"))
    assert "is no list here" in banyan("--home", home, "feed", "--list", "bạn").err

    _ok(banyan("--home", home, "filter", "add", "phim", "--warn"))
    assert "⚠ phim" in _ok(banyan("--home", home, "feed", "--all")).out
    (kept,) = _ok(banyan("--home", home, "filter", "ls", "--json")).lines
    assert "is no filter here" in banyan("--home", home, "filter", "remove", "zz").err
    assert kept["words"] == "phim"
    _ok(banyan("--home", home, "filter", "remove", "phim"))
    assert "You have no filters" in _ok(banyan("--home", home, "filter", "ls")).err
    only = _ok(banyan("--home", home, "feed", "--all", "--lang", "vi", "--no-replies", "--json")).lines
    assert [p["lang"] for p in only] == ["vi", None]

    _ok(banyan("--home", home, "mute", "Lan", "--hours", "0"))
    assert "You mute nobody" in _ok(banyan("--home", home, "mutes")).err
    _ok(banyan("--home", home, "mute", "Lan", "--hours", "24"))
    assert "Lan" in _ok(banyan("--home", home, "mutes")).out
    assert "phim" not in _ok(banyan("--home", home, "feed", "--all")).out
    _ok(banyan("--home", home, "mute", "Lan", "--undo"))
    assert "You mute nobody" in _ok(banyan("--home", home, "mutes")).err
    assert "You block nobody" in _ok(banyan("--home", home, "blocks")).err
    assert _ok(banyan("--home", home, "note", "Lan", "bạn học")).out == "Noted.\n"
    assert _ok(banyan("--home", home, "note", "Lan")).out == "bạn học\n"


def test_every_kind_of_notification_can_be_asked_for_and_said() -> None:
    assert set(KINDS) == set(NOTICES) == set(DID)


def test_notifications_are_read_as_any_account(home: Path) -> None:
    _ok(banyan("--home", home, "account", "create", "Lan"))
    uri = _ok(banyan("--home", home, "post", "một", "--json")).json["uri"]
    _ok(banyan("--home", home, "reply", uri, "hai", "--as", "Lan", "--mention", "Lan", "--warning", "số"))
    _ok(banyan("--home", home, "follow", "Lan"))
    assert "Lan answered your post" in _ok(banyan("--home", home, "notifications")).out
    assert "Minh followed you" in _ok(banyan("--home", home, "notifications", "--as", "Lan")).out
    assert _ok(banyan("--home", home, "notifications", "--kind", "follow", "--json")).lines == []
    assert "reply" in banyan("--home", home, "notifications", "--kind", "like").err
    _ok(banyan("--home", home, "notifications", "--each", "-n", "1"))


def test_words_are_not_restored_over_a_store_of_another_realm_or_of_other_keys(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    _ok(banyan("--home", other, "init", "--name", "Lan", "--realm", "test"))
    words = " ".join(_ok(banyan("--home", home, "keys", "backup", "--json")).json["words"])
    (other / "keys").rename(tmp_path / "lost")
    before = (other / "config.toml").read_bytes()
    for realm, says in (("main", "another realm than 'main'"), ("test", "hosts 'Lan', and these words are not")):
        ran = process("--home", other, "keys", "restore", "--realm", realm, stdin=words)
        assert ran.code != 0
        assert says in ran.err
        assert str(other / "store") in ran.err
        assert len(ran.err.splitlines()) == 1
    assert not (other / "keys").exists()
    assert (other / "config.toml").read_bytes() == before
    who = _ok(banyan("--home", home, "id", "--json")).json
    (home / "keys").unlink()
    _ok(process("--home", home, "keys", "restore", "--realm", "test", stdin=words))
    assert _ok(banyan("--home", home, "id", "--json")).json == who
