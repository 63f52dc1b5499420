"""What holds for all tests: a busy machine is no failure, in CI the same examples are drawn every time, and no setting
comes from outside."""

import gc
import logging
import os
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.needs import NIGHT

gc.disable()  # while tests are collected nothing is garbage, and looking for it took as long as all the rest
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, max_examples=100 if NIGHT else 25)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests come first: theirs are the long ones, and at the end all wait for the last one."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: tests[item.path])


def pytest_collection_finish() -> None:
    """What was collected stays to the end: looking for garbage in it was a tenth of all work."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    for variable in [name for name in os.environ if name.startswith("BANYAN_")]:
        del os.environ[variable]


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """For tests that set up the log of a node."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
