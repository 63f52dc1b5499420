"""Our formats against aics-tlog and aics-witness, of others. Run by test_independent.py in a Python of its own:
they need 3.12. Standard input: what this house made, as JSON; standard output: what they make of it."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any


def main() -> None:
    from aics_tlog import (  # type: ignore[import-not-found, unused-ignore]
        MerkleTree,
        parse_note,
        parse_vkey,
        verify_checkpoint,
        verify_consistency,
        verify_leaf_inclusion,
    )
    from aics_tlog.tiles import MemoryTileReader, TileWriter  # type: ignore[import-not-found, unused-ignore]
    from aics_tlog.tiles import tree_root_from_tiles as root_of  # type: ignore[import-not-found, unused-ignore]
    from aics_witness.protocol import parse_add_checkpoint_request  # type: ignore[import-not-found, unused-ignore]

    given: dict[str, Any] = json.load(sys.stdin)
    raw = base64.b64decode
    entries = [raw(one) for one in given["entries"]]
    size = len(entries)
    tree = MerkleTree(entries)
    root = tree.root()
    files = {path: raw(one) for path, one in given["tiles"].items()}
    assert files == TileWriter(entries).materialise()
    assert root_of(MemoryTileReader(files), size) == root
    log, witness = parse_vkey(given["log"]), parse_vkey(given["witness"])
    note = parse_note(raw(given["note"]))
    verdict = verify_checkpoint(note, log, [witness], quorum=1)
    assert verdict.ok, verdict
    for index, proof in given["inclusion"]:
        assert verify_leaf_inclusion(entries[index], index, size, list(map(raw, proof)), root)
        assert tree.inclusion_proof(index) == list(map(raw, proof))
    for old, proof in given["consistency"]:
        assert verify_consistency(old, size, tree.root(old), root, list(map(raw, proof)))
    parse_add_checkpoint_request(raw(given["request"]))
    print(json.dumps({"root": base64.b64encode(root).decode(), "size": size}))


if __name__ == "__main__":
    main()
