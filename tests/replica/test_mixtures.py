"""Whatever mixture of reasons an attacker makes for which honest nodes do not take what others hold: honest accounts
become equal, each difference has a reason, no pinned chain is hidden, and little is sent again and again.

`python -m tests.replica.mixtures 0 2000`, for a night, looks at more."""

from __future__ import annotations

import pytest

from tests.needs import few
from tests.replica.mixtures import examine

SEEDS = [
    "bait/1",
    "bait/8",
    "bait/18",
    *(f"{kind}/{k}" for kind in ("bait", "mixture") for k in range(100, 100 + few(6))),
]
"""The first ones failed once."""


@pytest.mark.parametrize("seed", SEEDS)
def test_no_mixture_of_reasons_keeps_what_counts_from_a_node_or_is_sent_again_and_again(seed: str) -> None:
    out = examine(seed)
    assert not out.failed, out
