"""What others may name of a replica: nobody outside its folder reaches into its parts, or sets anything of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from banyan_replica.peers.peers import Peers
from banyan_replica.replica import Replica

ROOT = Path(__file__).parents[2]
FACETS = {"author", "ingest", "peers", "room", "strangers"}
"""The parts that have a face of their own: what is written here, what is judged, one peer, which accounts are held, and
what strangers take."""
VALUES = {"store", "me"}
NAMED = re.compile(r"(?<!_)\breplica\.")
LIAR = ("sim/banyan_sim/byzantine.py", "tree", False)
"""One that asks with the true sums."""
METHODS = {
    "peer_up", "peer_down", "receive", "handle_timer", "get_timer", "next_effect", "commit", "commit_failed", "close",
    "set_clock", "wall_ms", "ahead_ms", "view", "stands", "unsent", "read_for", "tell", "set_interest",
    "forget_content", "publish", "publish_control", "publish_checkpoint", "carried", "hold", "settle", "changes",
}  # fmt: skip


def _public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def _chain(node: ast.expr) -> list[str]:
    names = list[str]()
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [*(([node.id]) if isinstance(node, ast.Name) else [""]), *reversed(names)]


def _reaches() -> Iterator[tuple[str, str, bool]]:
    """Each file with what it names of a replica, and whether it sets that."""
    for room in ("node", "web", "cli", "sim", "bench"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if NAMED.search(text := path.read_text()) is None and room != "sim":
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Attribute):
                    *before, one, last = _chain(node)
                    if one == "replica" or (room == "sim" and [one] == ["r"] and not before):
                        yield str(path.relative_to(ROOT)), last, isinstance(node.ctx, ast.Store)


def test_nobody_outside_names_a_part_of_a_replica_or_sets_anything_of_it() -> None:
    reaches = set(_reaches()) - {LIAR}
    assert len(reaches) > 50
    assert not [each for each in reaches if each[1] not in METHODS | FACETS | VALUES]
    assert not [each for each in reaches if each[2]]


def test_the_face_of_a_replica_and_of_what_it_does_with_one_peer_is_as_written_here() -> None:
    assert _public(Replica) == METHODS
    fields = set(Peers.__dataclass_fields__)
    assert _public(Peers) - fields == {
        "set_addrs", "name", "join", "dial_failed", "anchors", "callers", "relies_on", "neighbours", "greeted", "stats",
        "points", "told_by_named", "compare", "ask_about", "withheld", "hold", "lost", "overran", "accuse", "charge",
        "note_slights", "turn_away", "ban", "pardon",
    }  # fmt: skip
