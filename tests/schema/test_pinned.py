"""A pin: a post in the account's set of pinned ones."""

from hypothesis import strategies as st

from banyan_crdt.ids import CellKey
from banyan_schema.social.profile import PINNED_COLLECTION, PinnedPost, pin
from tests.schema.laws import cell_of, element_of, keeps_the_laws

SALT = b"s" * 16


def test_a_pin_keeps_the_laws() -> None:
    keys = st.binary(min_size=16, max_size=16).map(CellKey)
    keeps_the_laws(PINNED_COLLECTION, st.builds(PinnedPost, keys), lambda said: pin(SALT, said.key))


def test_all_pins_of_an_account_are_one_set() -> None:
    one, two = (pin(SALT, CellKey(key * 16)).op for key in (b"a", b"b"))
    assert cell_of(one) == cell_of(two)
    assert element_of(one) != element_of(two)
