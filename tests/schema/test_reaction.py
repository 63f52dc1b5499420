"""A reaction: an emoji in the set of a post."""

import pytest
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.social import Reaction, Target, react
from banyan_schema.social.response import REACTION_COLLECTION
from tests.schema.laws import cell_of, element_of, keeps_the_laws

SALT = b"s" * 16
THERE = Target(AccountId(b"a" * 32), CellKey(b"k" * 16))


def test_a_reaction_keeps_the_laws() -> None:
    reactions = st.builds(Reaction, st.just(THERE), st.sampled_from(["❤", "👍🏽", "x" * 23, "x" * 24, "x" * 64, ""]))
    keeps_the_laws(REACTION_COLLECTION, reactions, lambda said: react(SALT, said.target, said.emoji))


def test_emojis_that_look_the_same_are_one_element() -> None:
    assert react(SALT, THERE, "\u00e9") == react(SALT, THERE, "e\u0301")


def test_each_post_has_a_set_of_its_own_and_each_emoji_an_element() -> None:
    other = THERE._replace(key=CellKey(b"l" * 16))
    heart, tree, elsewhere = (react(SALT, *at).op for at in ((THERE, "❤"), (THERE, "🌳"), (other, "❤")))
    assert cell_of(heart) == cell_of(tree) != cell_of(elsewhere)
    assert element_of(heart) == element_of(elsewhere) != element_of(tree)


def test_what_is_too_long_is_named() -> None:
    with pytest.raises(ValueError, match="an emoji has 65 bytes; 64 is the most"):
        react(SALT, THERE, "x" * 65)
