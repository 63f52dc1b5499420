"""How posts and tables look: straight edges in every script, no control characters, readable times."""

from __future__ import annotations

import io
import unicodedata
from functools import partial
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from banyan_cli.commands import network
from banyan_cli.show import status
from banyan_cli.show.feed import feed, fit, footer, notices, thread
from banyan_cli.show.tables import ago, count, measured, name_of, size
from banyan_node.terminal_escape import plain

URI = "did:banyan:zabc/" + "3fa81b02" * 4
OTHER = "did:banyan:zabc/" + "77777777" * 4
NOW = 1_800_000_000_000


def test_a_node_that_hosts_many_is_not_said_to_hold_its_own_account_alone() -> None:
    assert "holds your own account alone: `banyan follow" in status.nobody(1)
    assert "holds the accounts hosted here, and what those follow: `banyan follow" in status.nobody(4_241)


def _row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "uri": URI,
        "account": "did:banyan:z6MkhaXgBZD",
        "name": "Minh Anh",
        "text": "Thật tuyệt vời!",
        "time_ms": NOW - 300_000,
        "edited": False,
        "reply_to": None,
        "quote": None,
        "replies": 0,
        "reactions": {},
        "reposts": 0,
        "depth": 0,
    }
    return {**row, **changes}


def _shown(show: Any, value: Any, width: int = 60) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False, color_system=None), value)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["Minh", "Nguyễn Thị Minh Khai", unicodedata.normalize("NFD", "Đặng Quỳnh"), "花子", "🌸🌸", "🇻🇳 Việt", "❤️"]
)
def test_the_right_edge_of_a_heading_is_straight_whatever_the_name(name: str) -> None:
    line = _shown(partial(feed, now=NOW), [_row(name=name)]).splitlines()[0]
    assert cell_len(line) == 60
    assert line.endswith("5 min  3fa81b02")


def test_a_long_text_never_crosses_the_right_edge() -> None:
    text = "Cả trăm người đạp xe thể dục bịt kín đường 🚴🚴 " * 10
    for line in _shown(
        partial(thread, asked=URI, now=NOW), {"posts": [_row(text=text, depth=5)], "gaps": []}
    ).splitlines():
        assert cell_len(line) <= 60


def test_answers_are_indented_under_what_they_answer_with_a_line_down_the_side() -> None:
    posts = [_row(), _row(uri=OTHER, depth=1, text="hai\ndòng"), _row(uri=OTHER, depth=2, text="sâu")]
    lines = _shown(partial(thread, asked=URI, now=NOW), {"posts": posts, "gaps": []}).splitlines()
    assert lines[0].startswith("▸ Minh Anh")
    assert [line.rstrip() for line in lines if "hai" in line or "dòng" in line] == ["│ hai", "│ dòng"]
    assert [line.rstrip() for line in lines if "sâu" in line] == ["│ │ sâu"]


def test_text_of_others_cannot_move_the_cursor_or_turn_the_line_around() -> None:
    hostile = "ok\x1b[2J\x1b]0;title\x07\r\nnext\u202egnp.exe\x9b31m"
    shown = _shown(partial(feed, now=NOW), [_row(text=hostile, name="a\x1b[31mb\nc")])
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in shown)
    assert "\u202e" not in shown
    assert "next" in shown


def test_square_brackets_in_a_text_are_text_and_not_markup() -> None:
    assert "[bold]x[/bold]" in _shown(partial(feed, now=NOW), [_row(text="[bold]x[/bold]")])


def test_an_answer_in_a_feed_says_whom_it_answers() -> None:
    assert "↳ answers Lan" in _shown(partial(feed, now=NOW), [_row(reply_to=OTHER, reply_name="Lan")])
    assert "not held (77777777)" in _shown(partial(feed, now=NOW), [_row(reply_to=OTHER, reply_name=None)])


def test_a_quote_is_shown_inside_the_post_and_one_that_is_not_held_is_said_so() -> None:
    quote = {"uri": OTHER, "name": "Lan", "text": "trích"}
    assert "│ Lan: trích" in _shown(partial(feed, now=NOW), [_row(quote=quote)])
    absent = {"uri": OTHER, "name": None, "text": None}
    assert "not held (77777777)" in _shown(partial(feed, now=NOW), [_row(quote=absent)])


def test_reactions_answers_and_reposts_are_counted_below() -> None:
    row = _row(reactions={"❤️": 3, "👍": 1}, replies=2, reposts=1)
    assert footer(row) == "❤️ 3  👍 1 · 2 replies · 1 repost"
    assert footer(_row()) == ""


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (0, "now"),
        (30_000, "30 s"),
        (120_000, "2 min"),
        (7_200_000, "2 h"),
        (3 * 86_400_000, "3 d"),
        (-7_200_000, "in 2 h"),
    ],
)
def test_times_are_said_as_people_say_them(passed: int, said: str) -> None:
    assert ago(NOW - passed, NOW) == said


def test_old_times_are_dates_and_times_beyond_the_calendar_are_no_crash() -> None:
    assert ago(0, NOW) == "1 Jan 1970"
    assert ago((1 << 64) - 1, NOW).startswith("in ")
    assert ago(-(1 << 62), NOW) == "1 Jan 1"


def test_words() -> None:
    assert count(1, "reply", "replies") == "1 reply"
    assert count(3021, "reply", "replies") == "3,021 replies"
    assert size(1_234_567) == "1.2 MB"
    assert name_of("did:banyan:z6MkhaXgBZD", "  ") == "z6MkhaXgB…"
    assert plain("a\tb\nc") == "a b c"
    assert plain("a\nb", lines=True) == "a\nb"


def test_fit_counts_cells_and_not_characters() -> None:
    for text in ("花子花子花子", "Nguyễn", "🌸🌸🌸🌸"):
        assert cell_len(fit(text, 5)) == 5


def test_status_says_how_far_behind_each_followed_account_is() -> None:
    row = {
        "account": "did:banyan:z1",
        "name": "Lan",
        "held": 237,
        "known": 240,
        "behind": 3,
        "asking": 2,
        "complete": False,
    }
    assert status.following(row) == "Lan: 237 of 240 entries, 3 behind, asking 2 peers"
    done = {**row, "held": 240, "behind": 0, "complete": True}
    assert status.following(done) == "Lan: 240 entries, complete"
    assert status.following({**row, "asking": 0}) == "Lan: 237 of 240 entries, 3 behind, nobody to ask"
    gone = "Lan: dropped here; `banyan store undrop did:banyan:z1` takes it again, or unfollow it"
    assert status.following({**row, "dropped": True}) == gone


def test_differences_are_listed_each_with_its_reason() -> None:
    row = {
        "account": "did:banyan:z1",
        "name": "Lan",
        "writer": "ab" * 32,
        "log": 7,
        "mine": 3,
        "theirs": 5,
        "reason": "behind",
        "sentence": "the peer has 2 entries more",
    }
    shown = _shown(network._show_differences, [row], 100)
    assert "behind" in shown
    assert "the peer has 2 entries more" in shown


def test_a_notification_names_a_few_and_counts_the_others() -> None:
    people = [{"account": f"did:banyan:z{n}", "name": name} for n, name in enumerate(["An", "Bình", "Chi", "Dung"])]
    row: dict[str, Any] = {
        "kind": "reaction",
        "accounts": people,
        "others": 7,
        "time_ms": NOW - 300_000,
        "post": None,
        "about": URI,
        "emojis": ["❤", "🌳"],
        "edited": False,
        "unread": False,
    }
    shown = _shown(partial(notices, now=NOW), [row], 100)
    assert shown.startswith("An, Bình, Chi and 8 others reacted to your post with ❤ 🌳  3fa81b02 ")
    assert shown.rstrip().endswith("5 min")
    reply = {**row, "kind": "reply", "accounts": people[:1], "others": 0, "emojis": [], "post": _row(text="Có!")}
    assert [line.split("  ")[0] for line in _shown(partial(notices, now=NOW), [reply]).splitlines()] == [
        "An answered your post",
        "Có!",
    ]
    warned = {**reply, "post": _row(text="kết thúc buồn", warning="phim")}
    assert "kết thúc" not in _shown(partial(notices, now=NOW), [warned])


def test_what_was_warned_of_is_shown_only_where_it_was_asked_for() -> None:
    row = _row(warning="phim", text="kết thúc buồn")
    assert "kết thúc" not in _shown(partial(feed, now=NOW), [row])
    assert "⚠ phim" in _shown(partial(feed, now=NOW), [row])
    assert "kết thúc buồn" in _shown(partial(thread, asked=URI, now=NOW), {"posts": [row], "gaps": []})


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.007447839001542889, "7 ms"), (0.9994, "999 ms"), (1.98, "2.0 s"), (4_321.0, "4,321.0 s")]
)
def test_a_measured_time_is_said_as_precisely_as_people_read(seconds: float, said: str) -> None:
    assert measured(seconds) == said
