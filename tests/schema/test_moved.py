"""Moves: what both accounts say keeps the laws."""

from __future__ import annotations

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId
from banyan_schema.social.identity import MOVE_COLLECTIONS, MovedFrom, MovedTo, move_to, moved_from
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws

SALT = b"s" * 32
TO, FROM = MOVE_COLLECTIONS


def test_where_an_account_goes_keeps_the_laws() -> None:
    keeps_the_laws(TO, st.builds(MovedTo, accounts), lambda said: move_to(SALT, said.account))


def test_what_an_account_was_keeps_the_laws() -> None:
    keeps_the_laws(FROM, st.builds(MovedFrom, accounts), lambda said: moved_from(SALT, said.account))


def test_an_account_goes_to_one_other_and_can_have_been_many() -> None:
    one, other = (AccountId(x * 32) for x in (b"x", b"y"))
    assert cell_of(move_to(SALT, one).op) == cell_of(move_to(SALT, other).op)
    assert cell_of(moved_from(SALT, one).op) == cell_of(moved_from(SALT, other).op)
    assert element_of(moved_from(SALT, one).op) != element_of(moved_from(SALT, other).op)
