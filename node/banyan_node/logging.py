"""The log of a node: one line per event on standard error, as text or JSON.

The invariants: lines of all libraries pass through the same processors, so a log is all JSON or all text; a value whose
name suggests a secret is never written; and what a peer said does nothing to a terminal (JSON escapes it anyhow).
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from banyan_node.harmless import plain
from banyan_node.home.config import LogSettings

_SECRET_WORDS = ("passphrase", "password", "secret", "seed", "token", "words", "master", "authorization")

# These libraries log at info what only their developers need. libp2p's warnings are about the conduct of peers, which
# the node counts itself.
_QUIET = {
    "libp2p": logging.ERROR,
    "async_service": logging.ERROR,
    "multiaddr": logging.WARNING,
    "anycorn": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
    "zeroconf": logging.ERROR,
}


def set_up_logging(log: LogSettings, stream: TextIO | None = None) -> None:
    """Send everything that is logged, by structlog or the standard library, to `stream` (standard error)."""
    out = sys.stderr if stream is None else stream
    text = log.format == "console" or (log.format == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if text else "iso", utc=not text),
        _hide_secrets,
    ]
    last: list[Processor] = (
        [
            _harmless,
            structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback),
        ]
        if text
        else [structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log.level.upper())
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "(hidden)"
    return event


def _harmless(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):  # any other value is shown by its repr
            event[name] = plain(value, lines=name == "exception")
    return event
