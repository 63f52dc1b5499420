"""A grant that would have no effect is refused, with a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import load_settings, make_home

WRITER = "ab" * 32


def test_a_grant_that_would_have_no_effect_is_refused_and_leaves_no_entry(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an", hosted=False)
        with pytest.raises(CallError, match="over already"):
            node.call("account.grant", writer=WRITER, until=1_000)
        node.call("account.grant", writer=WRITER, until=4_000_000_000_000)
        before = node.call("account.show")
        with pytest.raises(CallError, match="first one counts"):
            node.call("account.grant", writer=WRITER)
        assert node.call("account.show") == before
