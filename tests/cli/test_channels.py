"""`banyan channel` without a running node: a channel from its opening to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_cli import errors
from tests.cli.shell import Ran, banyan
from tests.node.test_channels import sound


def _ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_a_channel_from_its_opening_to_its_end(home: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Ran:
        return _ok(banyan("--home", home, *words))

    run("account", "create", "Lan")
    uri = run("channel", "create", "Chuyện kể", "--audio", "--lang", "vi", "--json").json["uri"]
    post = run("post", "Tấm Cám", "--media", sound(tmp_path, "một"), "--json").json["uri"]
    told = ("--number", "1", "--published", "2020-01-31 19:00", "--chapter", "0:00 Đầu", "--chapter", "1:02:03 Cuối")
    assert run("channel", "add", "Chuyện kể", post, *told).out.startswith("Added: Tấm Cám")
    (row,) = run("channel", "show", uri, "--json").json["episodes"]
    assert (row["published"], [one["at_ms"] for one in row["chapters"]]) == (1_580_497_200_000, [0, 3_723_000])
    shown = run("channel", "show", "Chuyện kể").out
    for word in ("audio", "1 episode ", "2020-01-31", "Tấm Cám", "1:02:03 Cuối"):
        assert word in shown
    assert run("channel", "subscribe", "Chuyện kể", "--as", "Lan").out == "Subscribed to Chuyện kể.\n"
    assert [row["title"] for row in run("channel", "new", "--as", "Lan", "--json").lines] == ["Tấm Cám"]
    assert [row["subscribers"] for row in run("channel", "ls", "--subscribed", "--as", "Lan", "--json").lines] == [1]
    run("channel", "edit", "Tấm Cám", "--title", "Cám", "--season", "2")
    assert "2x1" in run("channel", "new", "--as", "Lan").out
    run("channel", "set", "Chuyện kể", "--text", "kể chuyện")
    run("channel", "subscribe", uri, "--undo", "--as", "Lan")
    run("channel", "remove", row["uri"])
    assert run("channel", "show", uri, "--json").json["channel"]["episodes"] == 0
    assert banyan("--home", home, "channel", "drop", uri).code == errors.USAGE
    run("channel", "drop", uri, "--yes")
    assert run("channel", "ls").err.startswith("No channels")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--published", "mai"), "--published is 'mai'; write, for example, '2026-01-31 19:00'"),
        (("--chapter", "đầu"), "--chapter is 'đầu'; write, for example, '1:02:03 The title'"),
    ],
)
def test_times_that_are_none_are_refused(home: Path, words: tuple[str, ...], says: str) -> None:
    ran = banyan("--home", home, "channel", "edit", "x", *words)
    assert ran.code in (errors.USAGE, errors.FAILED)
    assert says in ran.err
