"""Parameters of calls, checked: every refusal is a CallError with a sentence that names the parameter."""

from __future__ import annotations

from typing import Any

from banyan_node.operator_errors import CallError
from banyan_schema.social import Target, post_from_text


class Params:
    """One call's parameters. Getters raise CallError."""

    def __init__(self, method: str, values: dict[str, Any]) -> None:
        self.method, self._values = method, values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name)
        if value is None:
            value = default
        if not isinstance(value, str):
            raise CallError("bad_request", f"{self.method} needs '{name}', a text; it got {_shown(value)}.")
        return value

    def optional(self, name: str) -> str | None:
        value = self._values.get(name)
        return None if value is None else self.text(name)

    def number(self, name: str, default: int | None = None, most: int = 1 << 62) -> int:
        value = self._values.get(name)
        if value is None:
            value = default
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise CallError(
                "bad_request", f"{self.method} needs '{name}', a number up to {most}; it got {_shown(value)}."
            )
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise CallError("bad_request", f"{self.method} takes '{name}' as true or false; it got {_shown(value)}.")
        return bool(value)

    def optional_rows(self, name: str) -> list[Any] | None:
        return None if self._values.get(name) is None else self.rows(name)

    def rows(self, name: str) -> list[Any]:
        value = self._values.get(name)
        if not isinstance(value, list):
            raise CallError("bad_request", f"{self.method} needs '{name}', a list; it got {_shown(value)}.")
        return value

    def table(self, name: str) -> dict[str, Any]:
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise CallError("bad_request", f"{self.method} needs '{name}', an object; it got {_shown(value)}.")
        return value

    def post(self, name: str = "uri") -> Target:
        try:
            return post_from_text(self.text(name))
        except ValueError as error:
            raise CallError("bad_request", f"{error}.") from None

    def key(self, name: str = "writer") -> bytes:
        """32 bytes in hexadecimal."""
        try:
            raw = bytes.fromhex(self.text(name))
        except ValueError:
            raw = b""
        if len(raw) != 32:
            raise CallError(
                "bad_request", f"'{name}' is a key of 64 hexadecimal digits; it got {_shown(self.text(name))}."
            )
        return raw

    def secret(self, name: str) -> bytes | None:
        """32 bytes in hexadecimal, or None without the parameter. What was given is in no error."""
        value = self._values.get(name)
        if value is None:
            return None
        digits = value.lower() if isinstance(value, str) else ""
        if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
            raise CallError("bad_request", f"{self.method} takes '{name}' as 64 hexadecimal digits; it got others.")
        return bytes.fromhex(digits)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]
