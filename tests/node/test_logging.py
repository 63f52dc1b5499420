"""The node's log: one format for all libraries, quiet libraries, no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from banyan_node.home.config import LogSettings
from banyan_node.logging import set_up_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_without_a_terminal_every_line_of_every_library_is_json() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(), out)
    structlog.get_logger("banyan").info("started", peers=3)
    logging.getLogger("somebody").warning("their %s", "words")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("somebody").exception("failed")
    first, second, third = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["peers"], first["level"]) == ("started", 3, "info")
    assert (second["event"], second["logger"]) == ("their words", "somebody")
    assert "ValueError: broken" in third["exception"]


def test_console_lines_are_for_people() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(format="console"), out)
    structlog.get_logger("banyan").info("started", peers=3)
    assert "started" in out.getvalue()
    assert "peers=3" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_libraries_are_quiet_and_the_level_is_kept() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(level="warning"), out)
    logging.getLogger("libp2p.host").warning("peer misbehaved")
    logging.getLogger("anycorn.error").info("Running on")
    structlog.get_logger("banyan").info("detail")
    assert out.getvalue() == ""
    structlog.get_logger("banyan").warning("matters")
    assert "matters" in out.getvalue()


def test_a_secret_is_not_written_under_its_own_name() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(), out)
    structlog.get_logger("banyan").info("opened", passphrase="fig", control_token="abc", path="/x")
    line = json.loads(out.getvalue())
    assert (line["passphrase"], line["control_token"], line["path"]) == ("(hidden)", "(hidden)", "/x")
