"""What others may name of a replica: nobody outside its folder reaches into its parts, or sets anything of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan_replica.peers.peers import Peers
from banyan_replica.replica import Replica
from banyan_replica.status import ReplicaStatus
from banyan_replica.writes import WriteSession

ROOT = Path(__file__).parents[2]
METHODS = {
    "peer_up", "peer_down", "receive", "handle_timer", "get_timer", "next_effect", "commit", "commit_failed", "close",
    "set_clock", "wall_ms", "tell", "set_interest",
}  # fmt: skip
FACETS = {"author", "charter", "charters", "ingest", "peers", "room", "status", "strangers", "writes"}
"""The parts that have a face of their own: what is signed here, the charter that is followed and what peers have of it,
what is judged, one peer, which accounts are held, what may be asked of a replica, what strangers take, and what this
node writes."""
NEIGHBOURS = {
    f"gossip.{name}"
    for name in (
        "set_addrs", "join", "anchors", "callers", "relies_on", "neighbours", "stats", "hold", "lost", "forget_content",
    )
}  # fmt: skip
"""What others may name of the gossip: who the neighbours are, and what is on its way to them."""
VALUES = {"store", "me", "stops"}
ALLOWED = METHODS | FACETS | NEIGHBOURS | VALUES
FACES: dict[type, set[str]] = {
    Replica: METHODS,
    WriteSession: {
        "publish", "publish_control", "publish_checkpoint", "carried", "hold", "settle", "changes",
    },
    ReplicaStatus: {"view", "stands", "reading", "unsent", "ahead_ms"},
    Peers: {
        "name", "dial_failed", "greeted", "points", "told_by_named", "compare", "ask_about", "withheld", "overran",
        "trusts", "set_members", "accuse", "charge", "note_slights", "turn_away", "ban", "pardon",
    },
}  # fmt: skip
_NAME = r"\s*\.\s*(gossip\s*\.\s*\w+|\w+)"
NAMED = re.compile(rf"\breplica{_NAME}")
NAMED_IN_SIM = re.compile(rf"(?:\breplica|(?<![\w.])r){_NAME}")
SET = re.compile(r"\b(?:replica|r)\s*\.[\s\w.]*(?:[-+|&*/]|//|<<|>>)?=(?!=)")
LIAR = ("sim/banyan_sim/byzantine.py", "tree", False)
"""One that asks with the true sums."""


def _chain(node: ast.expr) -> list[str]:
    names = list[str]()
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [*([node.id] if isinstance(node, ast.Name) else [""]), *reversed(names)]


def _reaches(text: str, short: bool) -> Iterator[tuple[str, bool]]:
    """What the code names of a replica, and whether it sets that. short: `r` is one too."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in nodes}
    for node in nodes:
        chain = _chain(node)
        start = next(
            (n for n, name in enumerate(chain) if name == "replica" or (short and (n, name) == (0, "r"))), None
        )
        of = [] if start is None or id(node) in inner else chain[start + 1 :]
        if of:
            yield ".".join(of[:2]) if of[0] == "gossip" else of[0], isinstance(node.ctx, ast.Store)


def _wrong(text: str, short: bool) -> list[tuple[str, bool]]:
    """What it names and may not, or sets. Only text that may hold such a thing is parsed, which takes a millisecond per
    file."""
    names = {re.sub(r"\s", "", name) for name in (NAMED_IN_SIM if short else NAMED).findall(text)}
    if names <= ALLOWED and SET.search(text) is None:
        return []
    return [(name, sets) for name, sets in _reaches(text, short) if sets or name not in ALLOWED]


def test_nobody_outside_names_a_part_of_a_replica_or_sets_anything_of_it() -> None:
    wrong = set[tuple[str, str, bool]]()
    for room in ("node", "web", "cli", "sim", "bench"):
        for path in (ROOT / room).rglob("*.py"):
            found = _wrong(path.read_text(), room == "sim")
            wrong |= {(str(path.relative_to(ROOT)), name, sets) for name, sets in found}
    assert wrong == {LIAR}


@pytest.mark.parametrize(
    "code",
    [
        "ctx.replica.sync",
        "c.replica.peers.gossip = 1",
        "self.replica.links += 1",
        "(ctx.replica\n .tree)",
        "r.sync.out",
        "ctx.replica.gossip.accepted(delivery, now)",
        "gossip = ctx.replica.gossip",
    ],
)
def test_a_reach_into_a_part_is_seen(code: str) -> None:
    assert _wrong(code, short=True)


@pytest.mark.parametrize("kind", FACES)
def test_each_face_is_as_written_here(kind: type) -> None:
    fields = set(getattr(kind, "__dataclass_fields__", ()))
    assert {name for name in vars(kind) if not name.startswith("_")} - fields == FACES[kind]


def test_a_replica_has_at_most_fourteen_names_beside_its_facets() -> None:
    assert len(METHODS) <= 14
