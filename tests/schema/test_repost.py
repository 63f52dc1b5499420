"""A repost: a post in the account's set of reposts."""

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.social import Repost, Target, repost
from banyan_schema.social.response import REPOST_COLLECTION
from tests.schema.laws import cell_of, element_of, keeps_the_laws, targets

SALT = b"s" * 16


def test_a_repost_keeps_the_laws() -> None:
    keeps_the_laws(REPOST_COLLECTION, st.builds(Repost, targets), lambda said: repost(SALT, said.target))


def test_all_reposts_of_an_account_are_one_set() -> None:
    one, two = (repost(SALT, Target(AccountId(who * 32), CellKey(bytes(16)))).op for who in (b"a", b"b"))
    assert cell_of(one) == cell_of(two)
    assert element_of(one) != element_of(two)
