"""Locked accounts: answers keep the laws, and a profile tells views nothing but that an account is locked."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId
from banyan_schema.social.profile import COLLECTION as PROFILES
from banyan_schema.social.profile import ProfileField
from banyan_schema.social.relation import ANSWERS, FOLLOW_ANSWER_COLLECTION, FollowAnswer, answer_follow
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws

SALT = b"s" * 32


def test_an_answer_to_a_follow_keeps_the_laws() -> None:
    answers = st.builds(FollowAnswer, accounts, st.sampled_from(ANSWERS))
    keeps_the_laws(FOLLOW_ANSWER_COLLECTION, answers, lambda said: answer_follow(SALT, said))


def test_another_answer_is_the_same_element() -> None:
    yes, no = (answer_follow(SALT, FollowAnswer(AccountId(b"a" * 32), answer)).op for answer in ANSWERS)
    assert (cell_of(yes), element_of(yes)) == (cell_of(no), element_of(no))


@pytest.mark.parametrize(
    ("field", "value", "kinds"),
    [("locked", "yes", {"locked"}), ("locked", "no", set()), ("locked", "Yes", set()), ("name", "yes", set())],
)
def test_a_profile_says_that_it_is_locked_in_one_way_only(field: str, value: str, kinds: set[str]) -> None:
    seed = PROFILES.seed_of(bytes(8), PROFILES.encode(ProfileField(field, value)))
    assert seed is not None
    assert {fact.kind for fact in PROFILES.facts(seed)} == kinds
