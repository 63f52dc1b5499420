"""A new home, made by `banyan init`, for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import banyan


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for variable in list(os.environ):
        if variable.startswith("BANYAN_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node called Minh, in the test realm."""
    path = tmp_path / "home"
    ran = banyan("init", "--home", path, "--name", "Minh", "--realm", "test")
    assert ran.code == 0, ran.err
    return path
