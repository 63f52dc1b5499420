"""Edge lists of other systems are read whole or not at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from banyan_cli.errors import BadInput
from banyan_cli.importing.edges import FOLLOWS_PER_BATCH, UNPACKED, graph_plan, parse_edges, read_edges
from banyan_cli.importing.plan import weight


def _parse(text: str, undirected: bool = False, limit: int | None = None) -> dict[int, list[int]]:
    return parse_edges(text.encode().splitlines(True), "g.txt", undirected, limit).follows


def test_each_line_is_a_follow_and_comments_and_blank_lines_are_not() -> None:
    assert _parse("# Nodes: 3\n\n0 1\n0\t2\r\n# the end\n") == {0: [1, 2], 1: [], 2: []}


def test_undirected_edges_are_follows_both_ways() -> None:
    assert _parse("0 1\n2 0\n", undirected=True) == {0: [1, 2], 1: [0], 2: [0]}


def test_a_third_column_of_times_is_accepted_as_snap_writes_it() -> None:
    assert _parse("1 2 1082040961\n") == {1: [2], 2: []}


def test_limit_counts_edges_not_lines() -> None:
    assert _parse("# c\n0 1\n# c\n1 2\n2 3\n", limit=2) == {0: [1], 1: [2], 2: []}


def test_repeats_and_loops_are_counted_and_left_out() -> None:
    graph = parse_edges([b"0 1\n", b"0 1\n", b"1 1\n", b"1 0\n"], "g", False, None)
    assert (graph.follows, graph.edges, graph.repeated, graph.loops) == ({0: [1], 1: [0]}, 4, 1, 1)


@pytest.mark.parametrize("line", ["0 x", "0", "a b", "0 1 2 3", "-1 2", "1.5 2", "\x00", "0 1 word", "9" * 40 + " 1"])
def test_a_line_that_is_no_edge_is_named_by_its_number(line: str) -> None:
    with pytest.raises(BadInput, match=r"g\.txt, line 3: expected two whole numbers"):
        _parse(f"# c\n0 1\n{line}\n")


def test_bytes_that_are_not_text_are_shown_escaped() -> None:
    with pytest.raises(BadInput, match=r"line 1.*\\xff\\x1b\[2J"):
        parse_edges([b"\xff\x1b[2J\x00 1\n"], "g.txt", False, None)


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end_is_refused_after_its_first_bytes(tmp_path: Path, packed: bool) -> None:
    raw = b"0 1\n" + b"#" * (1 << 24)
    path = tmp_path / "g.txt"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    with pytest.raises(BadInput, match="line 2: more than 4,096 bytes"):
        read_edges(path)


def test_a_gzip_file_that_unpacks_to_very_much_is_refused_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "g.txt.gz"
    line = b"# nothing at all" + b" " * 1000 + b"\n"
    path.write_bytes(gzip.compress(b"0 1\n" + line * (UNPACKED // len(line) - 1)))
    assert read_edges(path).edges == 1
    path.write_bytes(gzip.compress(b"0 1\n" + line * (20 * UNPACKED // len(line)), 1))
    seen: list[int] = []
    with pytest.raises(BadInput, match=r"unpack to 1[67],[0-9,]*, which no list of edges does"):
        read_edges(path, advance=seen.append)
    assert 0 < sum(seen) <= path.stat().st_size


def test_a_gzip_file_is_read_and_a_broken_one_is_said_to_be_broken(tmp_path: Path) -> None:
    whole = gzip.compress(b"0 1\n" * 1000)
    path = tmp_path / "g.txt.gz"
    path.write_bytes(whole)
    assert read_edges(path).edges == 1000
    path.write_bytes(whole[:-12])
    with pytest.raises(BadInput, match="damaged gzip"):
        read_edges(path)


def test_a_plan_names_every_account_before_anybody_follows_it_and_groups_by_account(tmp_path: Path) -> None:
    path = tmp_path / "g.txt"
    path.write_text("".join(f"{a} {b}\n" for a in range(150) for b in range(a + 1, 150)))
    graph = read_edges(path, undirected=True)
    plan = graph_plan(path, graph, True, None, "n")
    batches = list(plan.make())
    assert len(batches) == plan.batches
    assert sum(map(weight, batches)) == plan.rows == 150 + 150 * 149
    named: set[str] = set()
    seen: list[str] = []
    for row in (row for batch in batches for row in batch):
        if isinstance(row, dict):
            named.update(row["accounts"])
        else:
            name, targets = row
            seen.append(name)
            assert {name, *targets} <= named
    assert len(seen) == len(set(seen)) == 150
    assert all(weight(batch) <= FOLLOWS_PER_BATCH for batch in batches)


def test_a_plan_is_the_same_every_time_and_another_for_other_options(tmp_path: Path) -> None:
    path = tmp_path / "g.txt"
    path.write_text("0 1\n1 2\n")
    graph = read_edges(path)
    plan = graph_plan(path, graph, False, None, "")
    assert list(plan.make()) == list(plan.make())
    assert plan.source == graph_plan(path, graph, False, None, "").source
    assert plan.source != graph_plan(path, graph, False, 2, "").source
    path.write_text("0 1\n1 3\n")
    assert plan.source != graph_plan(path, read_edges(path), False, None, "").source
