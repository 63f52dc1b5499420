"""Makes text of others harmless where it is printed: it cannot move the cursor, clear the screen or turn a line around.

Everything that is printed passes here: text through `plain`, JSON through `plain_json`. Both stop the same characters.
"""

import re

_HARMFUL = (
    "\x00-\x1f\x7f-\x9f"  # control characters: ESC begins a command to the terminal, and so does U+009B
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of a line
    "\u2028\u2029"  # separators at which some terminals begin a line
    "\ud800-\udfff"  # halves of characters, which cannot be written
)
_IN_LINE = re.compile(f"[{_HARMFUL}]")
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str, *, lines: bool = False) -> str:
    """The text without control characters and direction marks. lines: whether it may have several lines."""
    if text.isprintable():  # no character of these categories is
        return text
    kept = _IN_LINE.sub(_instead, text.replace("\r\n", "\n"))
    return kept if lines else kept.replace("\n", " ")


def _instead(found: re.Match[str]) -> str:
    c = found[0]
    if c in "\n\r\u2028\u2029":
        return "\n"
    return " " if c == "\t" else "" if c in _TURNS else "\ufffd"


def plain_json(json: str) -> str:
    """The same JSON value, in which these characters are written as escapes. json: without line breaks."""
    return json if json.isprintable() else _IN_LINE.sub(lambda found: f"\\u{ord(found[0]):04x}", json)
