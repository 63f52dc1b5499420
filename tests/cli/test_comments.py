"""CSV files of other systems: every row is checked before any is sent, and text is not changed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from banyan_cli.errors import BadInput
from banyan_cli.importing.csv_posts import Comment, CommentColumns, posts_plan, read_comments, survey
from banyan_cli.importing.plan import weight


def _file(tmp_path: Path, text: str, name: str = "c.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8", newline="")
    return path


def test_text_author_thread_and_time_come_from_the_columns_named(tmp_path: Path) -> None:
    path = _file(tmp_path, "who,what,where,when\nLan,chào,Phở,2020-01-02T03:04:05\n")
    (only,) = read_comments(path, CommentColumns("what", "who", "where", "when"))
    assert only == Comment(1, "Lan", "Phở", "chào", 1577934245000)


def test_text_is_composed_and_keeps_its_line_breaks_commas_and_quotes(tmp_path: Path) -> None:
    text = unicodedata.normalize("NFD", "Thật tuyệt vời")
    path = _file(tmp_path, f't\n"{text},\nhai dòng ""ngoặc"""\n')
    (only,) = read_comments(path, CommentColumns("t"))
    assert only.text == unicodedata.normalize("NFC", text) + ',\nhai dòng "ngoặc"'


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert [c.text for c in read_comments(_file(tmp_path, "\ufefft,u\na,b\n"), CommentColumns("t"))] == ["a"]


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no column 'Body'; it has 'id', 'Comment'\."):
        survey(_file(tmp_path, "id,Comment\n1,x\n"), CommentColumns("Body"))


def test_a_column_is_found_however_its_name_is_composed(tmp_path: Path) -> None:
    path = _file(tmp_path, unicodedata.normalize("NFD", "Bình luận") + "\nx\n")
    assert survey(path, CommentColumns(unicodedata.normalize("NFC", "Bình luận"))).comments == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("t,u\na\n", r"line 2: 1 columns, where at least 2"),
        ('t,u\n"a,b\n', "not CSV"),
        ("t,u\na,yesterday\n", "'yesterday' is no time"),
        ("t,u\na,-5\n", "'-5' is no time"),
        ("t,u\na,1e999\n", "is no time"),
        (f"t,u\n{'ă' * 20000},\n", "40000 bytes and 32768 is the most"),
        ("", "is empty"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        survey(_file(tmp_path, content), CommentColumns("t", time="u"))


def test_a_file_that_is_not_utf_8_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes("t\nThật\n".encode("utf-16"))
    with pytest.raises(BadInput, match=r"not UTF-8 \(line 1, byte ff\)"):
        survey(path, CommentColumns("t"))
    path.write_bytes(b"t\nhello\nTh\xea\n")
    with pytest.raises(BadInput, match=r"not UTF-8 \(line 3, byte ea\)"):
        survey(path, CommentColumns("t"))


def test_seconds_and_milliseconds_are_told_apart(tmp_path: Path) -> None:
    path = _file(tmp_path, "t,w\na,1577934245\nb,1577934245000\nc,\n")
    assert [c.time_ms for c in read_comments(path, CommentColumns("t", time="w"))] == [
        1577934245000,
        1577934245000,
        None,
    ]


def test_rows_without_an_author_go_around_the_accounts_in_turn(tmp_path: Path) -> None:
    path = _file(tmp_path, "t\n" + "x\n" * 5)
    authors = [c.author for c in read_comments(path, CommentColumns("t", authors=2))]
    assert authors == ["reader 001", "reader 002", "reader 001", "reader 002", "reader 001"]


def test_rows_without_text_are_counted_and_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    path = _file(tmp_path, 't,u\na,1\n" ",2\nc,3\n')
    assert survey(path, CommentColumns("t")).empty == 1
    assert [c.row for c in read_comments(path, CommentColumns("t"))] == [1, 3]


def test_articles_come_before_their_answers_and_accounts_before_both(tmp_path: Path) -> None:
    path = _file(tmp_path, "t,a\n" + "".join(f"c{i},A{i % 7}\n" for i in range(1200)))
    columns = CommentColumns("t", thread="a", authors=10)
    plan = posts_plan(path, columns, survey(path, columns))
    batches = list(plan.make())
    assert len(batches) == plan.batches
    assert sum(map(weight, batches)) == plan.rows == 11 + 7 + 1200
    names: set[str] = set()
    articles: set[str] = set()
    for row in (row for batch in batches for row in batch):
        if "accounts" in row:
            names.update(row["accounts"])
        elif "article" in row:
            assert row["by"] in names
            articles.add(row["article"])
        else:
            assert row["author"] in names
            assert row["thread"] in articles
    assert list(plan.make()) == batches
