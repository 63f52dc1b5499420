"""The node's log: one format for all libraries, quiet libraries, no secrets."""

import io
import json
import logging

import pytest
import structlog

from banyan_node.home.sections import LogSettings
from banyan_node.logging import MOST_LINES, say_left_out, set_up_logging

pytestmark = pytest.mark.usefixtures("_logging_as_before")


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


def test_a_flood_of_one_kind_is_counted_and_other_lines_are_written() -> None:
    out, now = io.StringIO(), [0.0]
    set_up_logging(LogSettings(), out, lambda: now[0])
    log = structlog.get_logger("banyan")
    for n in range(4_321 + MOST_LINES):
        log.info("disconnect", peer=str(n), reason=f"reason {n}")
        logging.getLogger("somebody").warning("peer %s is odd", n)
    log.info("ready")
    lines = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert lines.count("disconnect") == MOST_LINES
    assert sum(line.endswith("is odd") for line in lines) == MOST_LINES
    assert lines[-1] == "ready"
    say_left_out()  # the minute has not passed
    assert json.loads(out.getvalue().splitlines()[-1])["event"] == "ready"
    now[0] = 60.0
    say_left_out()
    said = [json.loads(line) for line in out.getvalue().splitlines()[-2:]]
    assert said[0]["event"] == "disconnect: and 4,321 more of these in the last minute"
    assert (said[0]["level"], said[0]["logger"]) == ("info", "banyan")
    assert said[1]["event"] == "peer %s is odd: and 4,321 more of these in the last minute"
    log.info("disconnect")
    assert json.loads(out.getvalue().splitlines()[-1])["event"] == "disconnect"


def test_what_was_left_out_is_said_when_the_log_is_closed_and_debug_is_whole() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(level="debug"), out)
    for n in range(MOST_LINES * 2):
        structlog.get_logger("banyan").debug("detail", n=n)
        structlog.get_logger("banyan").error("storage", n=n)
    logging.getLogger().handlers[0].close()
    lines = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert (lines.count("detail"), lines.count("storage")) == (2 * MOST_LINES, MOST_LINES)
    assert lines[-1] == f"storage: and {MOST_LINES} more of these in the last minute"
