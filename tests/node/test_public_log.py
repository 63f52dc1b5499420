"""The public log of a node: nothing that was acknowledged is lost, and there is one history."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import settle
from banyan_node.home.audit import AuditLog
from banyan_node.transparency import lines
from banyan_node.transparency.lines import Waiting
from banyan_node.transparency.public_log import PublicLog
from banyan_schema.public_line import PUBLIC_LINE, PublicLine, audit_commitment
from banyan_storage.alliance_tables import PUBLIC_LINES, PUBLIC_PLACES
from banyan_storage.errors import StorageError
from banyan_translog.merkle import leaf_hash, node_hash
from tests.node.test_moderation import a_node
from tests.node.test_orders import alliance, issued


def plain_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(plain_root(leaves[:half]), plain_root(leaves[half:]))


def all_lines(log: PublicLog) -> list[bytes]:
    return [line for at in range(-(-log.size // 256)) for line in log.lines(at)]


def published(node: LocalBackend) -> PublicLog:
    """What a running node does every second."""
    ctx = node.context
    log = PublicLog(ctx.home.transparency)
    while (found := lines.waiting(ctx, time.time())).lines:
        first = lines.take(log, found)
        lines.taken(log.signer.key.key, first, found.lines, ctx, time.time())
        settle(ctx)
    return log


@pytest.mark.parametrize("seed", range(3))
def test_a_log_that_grows_by_any_steps_has_the_root_of_its_lines_and_is_read_again(tmp_path: Path, seed: int) -> None:
    rng, wanted, log = random.Random(seed), list[bytes](), PublicLog(tmp_path / "log")
    for _ in range(12):
        some = [b"%d" % (len(wanted) + n) for n in range(rng.choice([1, 2, 255, 256, 257, 700]))]
        wanted += some
        log.append(some)
        log = PublicLog(tmp_path / "log") if rng.random() < 0.3 else log
    assert log.checkpoint.root == plain_root(list(map(leaf_hash, wanted)))
    assert all_lines(PublicLog(tmp_path / "log")) == wanted


def test_acts_about_orders_are_lines_without_a_subject_that_commit_to_the_audit_log(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
        order = issued(node, uri)
        node.call("order.appeal", post=uri, why="châm biếm về Nguyễn", by="an")
        node.call("order.rule", order=order, outcome="ends", by="bình", why="Nguyễn")
        log = published(node)
        found = [PUBLIC_LINE.decode(raw) for raw in all_lines(log)]
        assert [(one.kind, one.count, one.outcome) for one in found if one] == [
            ("order", 1, ""),
            ("receipt", 1, "done"),
            ("appeal", 0, ""),
            ("ruling", 0, "ends"),
        ]
        assert {one.order for one in found if one} == {bytes.fromhex(order)}
        told = b"".join(all_lines(log))
        author = account_from_text(who["an"])
        assert not any(said in told for said in (uri.encode(), "Nguyễn".encode(), bytes.fromhex(uri[-32:]), author))
        last = found[-1]
        assert isinstance(last, PublicLine)
        salt = node.context.keys.derive("transparency/audit")
        assert last.audit == audit_commitment(salt, AuditLog(node.context.home.audit).head())
        assert not PUBLIC_LINES.any(node.context.store)


def test_of_two_lines_of_one_name_the_first_counts_also_if_it_is_the_first_of_the_log(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        alliance(node, who)
        order, lotus = issued(node, node.call("post", text="tin", by="an")["uri"]), account_from_text(who["lotus"])
        ctx, name = node.context, lines.line_name("receipt", lotus, bytes.fromhex(order))
        again = [raw for _, raw in PUBLIC_LINES.rows(ctx.store)][1]
        lines.taken(bytes(32), 0, [(0, again), (1, again)], ctx, time.time())
        assert PUBLIC_PLACES.get(ctx.store, name) == 0


def test_a_folder_that_was_put_back_signs_nothing_and_one_that_was_moved_away_is_another_log(tmp_path: Path) -> None:
    log, key = PublicLog(tmp_path / "log"), PublicLog(tmp_path / "log").signer.key.key
    rows = [(n, b"%d" % n) for n in range(9)]
    assert lines.take(log, Waiting(b"", 0, rows[:4])) == 0
    assert lines.take(log, Waiting(b"", 0, rows[:6])) == 0, "a crash came before the store heard of four"
    assert lines.take(log, Waiting(key, 4, rows[4:7])) == 4
    assert all_lines(log) == [raw for _, raw in rows[:7]]
    assert lines.take(log, Waiting(key, 2, [(2, b"another")])) == 7, "the store was put back"
    assert lines.take(log, Waiting(key, 7, [(7, b"x"), (8, b"y")])) == 8, "another line is at this place"
    with pytest.raises(StorageError, match="has 10 lines, and 11 were written: it was put back to an older state"):
        lines.take(log, Waiting(key, 11, rows))
    assert log.size == 10
    other = PublicLog(tmp_path / "other")
    assert other.checkpoint.origin != log.checkpoint.origin
    assert lines.take(other, Waiting(key, 8, rows)) == 0
    tile = next((tmp_path / "log" / "tile" / "0").glob("000.p/10"))
    tile.write_bytes(bytes(320))
    with pytest.raises(StorageError, match="their root is not that of its checkpoint"):
        PublicLog(tmp_path / "log").append([b"x"])


APPENDING = """
import sys
from pathlib import Path
from banyan_node.home.folder import write_private
from banyan_node.transparency.lines import Waiting, take
from banyan_node.transparency.public_log import PublicLog
folder, noted = Path(sys.argv[1]) / "log", Path(sys.argv[1]) / "noted"
log = PublicLog(folder)
size = int(noted.read_text()) if noted.exists() else 0
while True:
    rows = [(n, b"line %d" % n) for n in range(size, size + 1 + size % 300)]
    assert take(log, Waiting(log.signer.key.key, size, rows)) == size
    size += len(rows)
    write_private(noted, str(size).encode())
    print(size, log.checkpoint.root.hex(), flush=True)
"""


async def test_a_node_that_is_killed_while_it_appends_loses_no_line_and_has_one_history(tmp_path: Path) -> None:
    rng, seen = random.Random(4), dict[int, str]()
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", APPENDING, tmp_path], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        await trio.sleep(rng.random() / 4)
        os.kill(child.pid, signal.SIGKILL)
        for row in child.communicate()[0].splitlines():
            size, root = row.split()
            assert seen.setdefault(int(size), root) == root
    log = PublicLog(tmp_path / "log")
    assert seen
    assert log.size >= max(seen)
    assert all_lines(log) == [b"line %d" % n for n in range(log.size)]
    leaves = [leaf_hash(b"line %d" % n) for n in range(log.size)]
    assert all(plain_root(leaves[:size]).hex() == root for size, root in seen.items())
