from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.errors import Malformed
from banyan_translog.merkle import (
    EMPTY,
    BadProof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from banyan_translog.tiles import (
    HEIGHT,
    WIDTH,
    Tile,
    bundle,
    entries_of,
    in_tile,
    tile_bytes,
    tile_hash,
    tile_of,
    tiles,
)

LEAVES = [leaf_hash(b"%d" % n) for n in range(70)]


def by_the_rfc(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(by_the_rfc(leaves[:k]), by_the_rfc(leaves[k:]))


def hashes(level: int, index: int) -> bytes:
    return by_the_rfc(LEAVES[index << level : (index + 1) << level])


def test_the_root_is_that_of_the_rfc() -> None:
    for size in range(len(LEAVES) + 1):
        assert root_hash(hashes, size) == by_the_rfc(LEAVES[:size])
    assert root_hash(hashes, 0) == EMPTY


def test_every_entry_is_proved_in_every_tree_and_in_no_other() -> None:
    for size in range(1, 40):
        root = by_the_rfc(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(hashes, index, size)
            verify_inclusion(LEAVES[index], index, size, proof, root)
            with pytest.raises(BadProof, match="comes to another root"):
                verify_inclusion(LEAVES[index + 1], index, size, proof, root)
            with pytest.raises(BadProof, match="comes to another root"):
                verify_inclusion(LEAVES[index], index, size, proof, LEAVES[-1])
            with pytest.raises(BadProof, match="hashes"):
                verify_inclusion(LEAVES[index], index, size, [*proof, root], root)


def test_a_tree_begins_with_every_smaller_one_and_with_nothing_else() -> None:
    for size in range(1, 40):
        root = by_the_rfc(LEAVES[:size])
        for old in range(size + 1):
            before, proof = by_the_rfc(LEAVES[:old]), consistency_proof(hashes, old, size)
            verify_consistency(old, before, size, root, proof)
            with pytest.raises(BadProof, match="it was rewritten"):
                verify_consistency(old, LEAVES[-1], size, root, proof)
            if old:
                with pytest.raises(BadProof, match="it was rewritten"):
                    verify_consistency(old, before, size, LEAVES[-1], proof)
            with pytest.raises(BadProof, match=r"a proof of .* are meant"):
                verify_consistency(old, before, size, root, [*proof, root])


def test_a_log_that_shrinks_and_an_entry_beyond_the_end_have_no_proof() -> None:
    with pytest.raises(BadProof, match="a log of 5 entries cannot become one of 4: a log only grows"):
        consistency_proof(hashes, 5, 4)
    for index in (-1, 4):
        with pytest.raises(BadProof, match=f"a log of 4 entries has no entry {index}"):
            inclusion_proof(hashes, index, 4)
    with pytest.raises(BadProof, match="it was rewritten"):
        verify_consistency(0, EMPTY, 0, LEAVES[0], [])


@given(st.integers(0, 1 << 62), st.integers(1, 256), st.one_of(st.none(), st.integers(0, 63)))
def test_the_path_of_a_tile_names_it_and_no_other(index: int, width: int, level: int | None) -> None:
    tile = Tile(level, index, width)
    assert tile_of(tile.path) == tile


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(None, 67, 3).path == "tile/entries/067.p/3"
    wrong = ("tile/0/x000/067", "tile/00/067", "tile/0/67", "tile/0/067.p/0", "tile/0/067.p/256", "tile/0/067.p/01")
    for path in (*wrong, "tile/64/000", "tile/0/x1/067", "tile/entries/../067", "tile/0/" + "x999/" * 40 + "001", ""):
        with pytest.raises(Malformed, match="names no tile"):
            tile_of(path)


def test_a_log_of_70000_has_the_tiles_of_the_specification() -> None:
    found = list(tiles(70_000))
    assert [len([one for one in found if one.level == level]) for level in range(3)] == [274, 2, 1]
    assert [one for one in found if one.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [one.path for one in tiles(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert all(((one.index * WIDTH + one.width) << HEIGHT * (one.level or 0)) <= 70_000 for one in found)
    assert list(tiles(70_000, 70_000 - 112)) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_a_perfect_subtree_is_found_in_its_tile() -> None:
    many = [leaf_hash(b"%d" % n) for n in range(1024)]

    def whole(level: int, index: int) -> bytes:
        return by_the_rfc(many[index << level : (index + 1) << level])

    for level in range(11):
        for index in range(1024 >> level):
            tile_level, at, first, count = in_tile(level, index)
            raw = tile_bytes(whole, Tile(tile_level, at, min(256, (1024 >> 8 * tile_level) - at * 256)))
            assert tile_hash(raw, first, count) == whole(level, index)


def test_a_bundle_has_exactly_its_entries() -> None:
    entries = [b"a", b"b" * 65_535]
    raw = bundle(entries)
    assert entries_of(raw, 2) == entries
    for wrong, count in ((raw[:-1], 2), (raw + b"\0", 2), (raw, 1), (raw, 3), (b"", 1)):
        with pytest.raises(Malformed, match="a bundle of"):
            entries_of(wrong, count)
    with pytest.raises(Malformed, match="1 to 65535 bytes"):
        bundle([b"c" * 65_536])
