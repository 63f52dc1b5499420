"""The log of a node: one line per event on standard error or in a file, as text or JSON.

The invariants: lines of all libraries pass through the same processors, so a log is all JSON or all text; a value whose
name suggests a secret is never written; what a peer said does nothing to a terminal (JSON escapes it anyhow); and no
kind of line fills the log, because peers cause many of them: of each only the first ones of a minute are written.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from banyan_node.home.sections import LogSettings
from banyan_node.operator_errors import ConfigError
from banyan_node.terminal_escape import plain

MINUTE_S = 60.0
"""For so many seconds lines of one kind are counted together."""
MOST_LINES = 30
"""Lines of one kind that are written in that time. A kind is an event, not its text: peers choose the texts."""
MOST_KINDS = 256
"""Kinds that are counted apart; more of them (only libraries make up events) are counted as one."""
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
    "uvicorn": logging.ERROR,
    "zeroconf": logging.ERROR,
}


class RateLimitedHandler(logging.StreamHandler[TextIO]):
    """Writes the first MOST_LINES lines of each kind in a minute, then how many more there were. Debug has no limit.

    path: of the file that the stream writes; None: it is no file of ours."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], path: Path | None = None) -> None:
        super().__init__(stream)
        self.path = path
        self._clock, self._until = clock, clock() + MINUTE_S
        self._counts: dict[tuple[str, int, str], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.say_left_out()
        if record.levelno > logging.DEBUG:
            event = record.msg["event"] if isinstance(record.msg, dict) else record.msg
            kind = (record.name, record.levelno, str(event)[:80])
            if kind not in self._counts and len(self._counts) >= MOST_KINDS:
                kind = ("", record.levelno, "other lines")
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if self._counts[kind] > MOST_LINES:
                return
        super().emit(record)

    def say_left_out(self, now: bool = False) -> None:
        """Writes how many lines were left out, once their minute has passed. now: also before."""
        if not now and self._clock() < self._until:
            return
        counts, self._counts, self._until = self._counts, {}, self._clock() + MINUTE_S
        for (name, level, event), count in counts.items():
            if count > MOST_LINES:
                said = f"{event}: and {count - MOST_LINES:,} more of these in the last minute"
                super().emit(logging.LogRecord(name, level, "", 0, said, None, None))

    def close(self) -> None:
        self.say_left_out(now=True)
        super().close()
        if self.path is not None:
            self.stream.close()


def say_left_out() -> None:
    """Called now and then: a flood that ended is told of even if nothing else is logged."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RateLimitedHandler):
            with handler.lock or nullcontext():
                handler.say_left_out()


def reopen_log() -> bool:
    """Goes on in a new file where the old one was moved away. Whether the log is in a file. Any thread.

    A file that cannot be opened is said in the old one, which goes on.
    """
    of_files = [h for h in logging.getLogger().handlers if isinstance(h, RateLimitedHandler) and h.path is not None]
    for handler in of_files:
        assert handler.path is not None
        try:
            old = handler.setStream(_opened(handler.path))  # under the handler's lock: no line is torn
        except ConfigError as why:
            logging.getLogger("banyan").error("the log goes on in the old file", extra={"reason": str(why)})
            continue
        if old is not None:
            old.close()
    return bool(of_files)


def _opened(path: Path) -> TextIO:
    """Raises ConfigError. It is written at its end wherever that is, so a file that is cut short (`copytruncate`) has
    no hole."""
    try:
        return open(path, "a", encoding="utf-8", buffering=1, opener=lambda name, how: os.open(name, how, 0o640))
    except OSError as error:
        raise ConfigError(
            f"log.file cannot be used: {path} cannot be opened ({error.strerror}); make its folder, or name another."
        ) from error


def set_up_logging(
    log: LogSettings,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    folder: Path | None = None,
) -> None:
    """Send all that structlog and the standard library log to `stream`, else to `log.file`, else to standard error.
    clock: in seconds. folder: where a relative `log.file` is. Raises ConfigError."""
    path = (folder or Path()) / log.file if log.file and stream is None else None
    out = stream if stream is not None else sys.stderr if path is None else _opened(path)
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
    handler = RateLimitedHandler(out, clock, path)
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
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
