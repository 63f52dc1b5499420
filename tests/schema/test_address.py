"""Addresses and keys: they can be written as text and read back, and reveal nothing without the salt."""

import pytest
from hypothesis import given

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.collection import cell_key
from banyan_schema.social import Target, post_from_text, post_to_text
from tests.schema.laws import targets

SALT = b"s" * 16
ALICE = AccountId(b"a" * 32)
THERE = Target(ALICE, CellKey(b"k" * 16))


def test_a_key_tells_nothing_without_the_salt_and_no_two_framings_collide() -> None:
    assert cell_key(SALT, b"ab", b"c") != cell_key(SALT, b"a", b"bc")
    assert cell_key(SALT, b"follow", ALICE) != cell_key(b"t" * 16, b"follow", ALICE)
    assert len(cell_key(SALT)) == 16


@given(targets)
def test_a_post_address_reads_back(target: Target) -> None:
    assert post_from_text(post_to_text(target)) == target


@pytest.mark.parametrize("bad", ["", "did:banyan:z1", "did:banyan:z1/" + "0" * 32, post_to_text(THERE).upper()])
def test_a_bad_post_address_is_named(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        post_from_text(bad)
