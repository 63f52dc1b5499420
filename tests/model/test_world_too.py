"""The other half of the sets of test_world.py, for a second worker."""

from __future__ import annotations

import pytest

from tests.model.world_many import CI_CHUNKS, ci_chunk


@pytest.mark.parametrize("chunk", range(1, CI_CHUNKS, 2))
def test_replicas_that_each_were_given_a_part_end_in_the_state_of_the_union(chunk: int) -> None:
    assert not ci_chunk(chunk)
