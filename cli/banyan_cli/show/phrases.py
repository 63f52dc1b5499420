"""Texts for times, counts and names. Names are made safe for a terminal."""

from __future__ import annotations

import time

from banyan_node.terminal_escape import plain
from banyan_schema.dates import moment

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def ago(time_ms: int, now: int | None = None) -> str:
    """`now`, `5 min`, `3 h`, `2 d`, then the date. A time to come is said as one: clocks differ. now: milliseconds;
    None: of this machine."""
    now = now_ms() if now is None else now
    passed = now - time_ms
    if passed < 0:
        return "now" if passed > -_MINUTE else f"in {span(-passed)}"
    if passed < _MINUTE:
        return "now" if passed < 10 * _SECOND else f"{passed // _SECOND} s"
    if passed < 7 * _DAY:
        return span(passed)
    then = moment(time_ms)
    return f"{then.day} {then:%b}" if then.year == moment(now).year else f"{then.day} {then:%b %Y}"


def span(ms: int) -> str:
    """A length of time in its largest unit."""
    for unit, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if ms >= unit:
            return f"{ms // unit} {word}"
    return f"{ms} ms"


def clock(ms: int) -> str:
    """`1:02:03`, or `2:03`."""
    hours, rest = divmod(ms // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 reply`, `3,021 replies`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def size(n: int) -> str:
    """Bytes for people."""
    value = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def short_account(account: str) -> str:
    """An account without a name."""
    body = account.removeprefix("did:banyan:")
    return body[:9] + "…" if len(body) > 10 else body


def name_of(account: str, name: str | None) -> str:
    """What an account is called on the screen; the name is its own claim."""
    shown = " ".join(plain(name or "").split())
    return shown or short_account(account)


def sentence(said: str) -> str:
    """What the node says without a capital and a full stop, with both."""
    return f"{said[0].upper()}{said[1:]}."
