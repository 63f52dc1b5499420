"""Another member's public log, as real files: which times its readers find, and what they don't take."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId
from banyan_node.transparency import member_logs, witnessing
from banyan_node.transparency.lines import line_name
from banyan_node.transparency.member_logs import Wanted, read
from banyan_node.transparency.public_log import PublicLog, witness_key
from banyan_schema.public_line import PUBLIC_LINE, PublicLine
from banyan_storage.alliance_tables import LINE_TIMES
from banyan_translog.merkle import BadProof
from banyan_translog.notes import COSIGNER, NoteSigner
from tests.node.test_moderation import a_node

AT = [AccountId(bytes([n]) * 32) for n in range(3)]
KEYS = [NoteSigner("key", COSIGNER, bytes([n]) * 32).key.key for n in range(3)]
SIGNERS = [NoteSigner(witness_key(key).name, COSIGNER, bytes([n]) * 32) for n, key in enumerate(KEYS)]
LINE = PublicLine("order", 5, AT[0], bytes(32))


def name(by: AccountId, n: int) -> bytes:
    return line_name("order", by, bytes([n]) * 32)


class MemberLog:
    """A log with a line of each of two accounts in each checkpoint; witnesses cosign it in their order."""

    def __init__(self, folder: Path) -> None:
        self.log, self.notes = PublicLog(folder), list[str]()

    def grow(self, *cosigned_s: int, lines: int = 1) -> None:
        first = self.log.size // 2
        said = [replace(LINE, by=by, order=bytes([n]) * 32) for n in range(first, first + lines) for by in AT[:2]]
        note = self.log.append([PUBLIC_LINE.encode(one) for one in said])
        self.log.cosigned(note.text, [one.sign(note.text, at) for one, at in zip(SIGNERS, cosigned_s, strict=False)])
        self.notes.append(self.log.note.raw.decode())

    def get(self, path: str) -> bytes:
        if path.startswith("cosigned"):
            return json.dumps({"notes": self.notes, "last": [self.log.note.raw.decode()]}).encode()
        try:
            return (self.log.folder / path).read_bytes()
        except OSError:
            raise BadProof(f"no {path}") from None

    def wanted(self, after: int = 0) -> Wanted:
        return Wanted("https://b.vn", self.log.signer.key.key, after, (AT[0],), tuple(KEYS), 2)


def test_a_line_has_the_time_of_its_first_cosigned_checkpoint_whenever_it_is_read(tmp_path: Path) -> None:
    one = MemberLog(tmp_path / "log")
    one.grow(10, 20)
    soon = read(one.wanted(), one.get)
    assert (soon.size, soon.last_ms, soon.times) == (2, 10_000, {name(AT[0], 0): 20_000}), "of its own account alone"
    one.grow(30)
    assert read(one.wanted(2), one.get).times == {}, "one of two cosigned"
    one.grow(40, 60, 50)
    later, late = read(one.wanted(2), one.get), read(one.wanted(), one.get)
    assert (
        soon.times | later.times == late.times == {name(AT[0], n): at for n, at in enumerate((20_000, 50_000, 50_000))}
    )
    assert late.last_ms == 50_000


def test_one_witness_of_three_dates_nothing_and_two_that_agree_do(tmp_path: Path) -> None:
    for n, (said, time) in enumerate([((10, 20, 10**9), 20), ((0, 20, 30), 20), ((10, 10**9, 10**9), 10**9)]):
        one = MemberLog(tmp_path / f"log{n}")
        one.grow(*said)
        assert read(one.wanted()._replace(needed=3), one.get).times == {name(AT[0], 0): 1_000 * time}


def test_who_cosigns_later_changes_the_time_of_no_line(tmp_path: Path) -> None:
    """One of the first two dates a day ahead, and the third does not."""
    one = MemberLog(tmp_path / "log")
    one.grow(86_400, 20)
    soon = read(one.wanted(), one.get).times
    text = one.log.note.text
    one.log.cosigned(text, [SIGNERS[2].sign(text, 30)])
    assert read(one.wanted(), one.get).times == soon == {name(AT[0], 0): 86_400_000}


def test_a_long_log_is_read_in_steps_also_where_a_tile_became_full_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, found, after = MemberLog(tmp_path / "log"), dict[bytes, int](), 0
    one.grow(10, 20, lines=100)
    one.grow(30, 40, lines=100)
    one.notes.pop()
    monkeypatch.setattr(member_logs, "LINES", 70)
    for size in (70, 140, 200, 200):
        step = read(one.wanted(after), one.get)
        after, found = step.size, found | step.times
        assert after == size
    assert found == {name(AT[0], n): 20_000 for n in range(100)}


@pytest.mark.parametrize("name", ["entries", "tile/0", "cosigned"])
def test_what_the_cosigned_checkpoint_does_not_have_is_not_taken(tmp_path: Path, name: str) -> None:
    one = MemberLog(tmp_path / "log")
    one.grow(10, 20)

    def altered(path: str) -> bytes:
        raw = bytearray(one.get(path))
        raw[-1 if name != "cosigned" else 40] ^= name in path
        return bytes(raw)

    with pytest.raises(Reject, match=r"not in this log|does not verify"):
        read(one.wanted(), altered)


def test_the_earliest_time_is_kept_and_no_witness_moves_time_past_this_nodes_clock(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, _):
        ctx, key, line = node.context, bytes(32), name(AT[0], 0)

        def took(size: int, last_ms: int, ms: int) -> None:
            member_logs.took(ctx, key, bytes(32), member_logs.Found(size, last_ms, {line: ms}), 1_000.0)

        took(1, 1 << 60, 9)
        took(1, 5, 7)
        took(1, 5, 8)
        assert LINE_TIMES.get(ctx.store, line) == witnessing.logged_at(ctx, line) == 7
        assert witnessing.last_logged(ctx) == ctx.replica.wall_ms(1_000.0)
