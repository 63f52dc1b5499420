"""The promise: what a member says of its seat keeps the laws of collections."""

from __future__ import annotations

from hypothesis import strategies as st

from banyan_schema.social.alliance import COLLECTION, MAX_NODES, Membership, be_member
from tests.schema.laws import accounts, keeps_the_laws, texts


def test_a_membership_keeps_the_laws() -> None:
    nodes = st.lists(texts, max_size=MAX_NODES).map(tuple)
    said = st.builds(Membership, accounts, st.integers(0, 2**64 - 1), accounts, nodes)
    keeps_the_laws(COLLECTION, said, lambda one: be_member(b"s" * 32, one))
