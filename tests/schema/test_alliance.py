"""The promise: what a member says of its seat keeps the laws of collections."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from banyan_schema.social.alliance import (
    COLLECTION,
    HOSTED,
    MAX_BATCH,
    MAX_NODES,
    AllianceMembership,
    HostedBatch,
    be_member,
    list_hosted,
)
from tests.schema.laws import accounts, keeps_the_laws, texts


def test_a_membership_keeps_the_laws() -> None:
    nodes = st.lists(texts, max_size=MAX_NODES).map(tuple)
    said = st.builds(AllianceMembership, accounts, st.integers(0, 2**64 - 1), accounts, nodes, st.none())
    keeps_the_laws(COLLECTION, said, lambda one: be_member(b"s" * 32, one))


def test_a_batch_of_hosted_accounts_keeps_the_laws() -> None:
    numbers = st.integers(0, 2**64 - 1)
    said = st.builds(
        HostedBatch, st.just(7), numbers, st.lists(accounts, max_size=4).map(b"".join), st.none() | numbers
    )
    keeps_the_laws(HOSTED, said, lambda one: list_hosted(b"s" * 32, one))
    full = HostedBatch(0, 0, bytes(32) * MAX_BATCH)
    assert HOSTED.layout is not None
    assert HOSTED.layout.decode(HOSTED.encode(full)) == full
    with pytest.raises(ValueError, match="shorten it"):
        list_hosted(b"s" * 32, HostedBatch(0, 0, bytes(32 * MAX_BATCH + 1)))
