"""The parameters of a request (query, form, JSON, files) as one dictionary, by the rules of Rails, which clients of
Mastodon write:

    a[]=1&a[]=2          {"a": ["1", "2"]}
    a[b]=1&a[c][]=2      {"a": {"b": "1", "c": ["2"]}}
    a[][b]=1&a[][b]=2    {"a": [{"b": "1"}, {"b": "2"}]}

JSON keeps its types; all else is text, or a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import msgspec
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from banyan_web.rate_limits import BODY_BYTES, BODY_S, FILE_BYTES, FILE_S
from banyan_web.refusals import HttpRefusal

_PART = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")
LARGEST = 10**20
DEEP = 5
"""Levels of brackets."""


def nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The dictionary of flat names. Raises HttpRefusal if two names contradict each other."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if not _NAME.fullmatch(name):
            raise HttpRefusal(400, f"{name[:40]!r} is no name of a parameter.")
        head, _, _ = name.partition("[")
        parts = _PART.findall(name[len(head) :])
        if len(parts) > DEEP:
            raise HttpRefusal(400, f"{name[:40]!r} has more than {DEEP} levels of brackets.")
        try:
            _put(found, [head, *parts], value)
        except (TypeError, AttributeError):
            raise HttpRefusal(400, f"{name[:40]!r} contradicts another parameter of the request.") from None
    return found


def _put(into: dict[str, Any], path: list[str], value: Any) -> None:
    key, rest = path[0], path[1:]
    if not rest:
        into[key] = value
    elif rest[0] != "":
        held = into.setdefault(key, {})
        if not isinstance(held, dict):
            raise TypeError
        _put(held, rest, value)
    else:
        held = into.setdefault(key, [])
        if not isinstance(held, list):
            raise TypeError
        if len(rest) == 1:
            held.append(value)
        else:  # a[][b]: the next item begins where a name comes again
            if not held or rest[1] in held[-1]:
                held.append({})
            _put(held[-1], rest[1:], value)


TRUE, FALSE = (
    frozenset({True, "true", "True", "1", "on", "t", "yes"}),
    frozenset({False, "false", "False", "FALSE", "0", "off", "OFF", "f", "F", "no", ""}),
)


def boolean(params: dict[str, Any], name: str, default: bool = False) -> bool:
    """Raises HttpRefusal."""
    value = params.get(name)
    if value is None:
        return default
    if isinstance(value, str | int) and value in TRUE:
        return True
    if isinstance(value, str | int) and value in FALSE:
        return False
    raise HttpRefusal(422, f"{name} is true or false.")


def truthy(params: dict[str, Any], name: str, default: bool = False) -> bool:
    """As Mastodon reads it, on which apps rely: whatever does not say no is yes. Raises HttpRefusal for a list."""
    value = params.get(name)
    return True if isinstance(value, str | int) and value not in FALSE else boolean(params, name, default)


def number(params: dict[str, Any], name: str, default: int, most: int, least: int = 1) -> int:
    """A whole number; one that is too large is the largest, as with Mastodon. Raises HttpRefusal."""
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        found = int(value) if isinstance(value, str | int) and len(str(value)) < 20 else None
    except ValueError:
        found = None
    if found is None:
        raise HttpRefusal(422, f"{name} is a whole number.")
    return max(least, min(most, found))


def whole(params: dict[str, Any], name: str, default: int, most: int, least: int = 1, status: int = 422) -> int:
    """As `number`, but one that is too large or too small is refused, as the OpenAPI document says. Raises
    HttpRefusal."""
    found = number(params, name, default, LARGEST, -LARGEST)
    if not least <= found <= most:
        raise HttpRefusal(status, f"{name} is a whole number from {least:,} to {most:,}.", code="bad_request")
    return found


def text(params: dict[str, Any], name: str, default: str | None = None) -> str:
    """`default` if it is missing or null, as many apps send it. Raises HttpRefusal if there is none, or it is no
    text."""
    value = params.get(name)
    if value is None:
        value = default
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str):
        raise HttpRefusal(422, f"{name} is missing." if value is None else f"{name} is a text.")
    if "\0" in value:
        raise HttpRefusal(422, f"{name} has a null character.")
    return value


def numbered(said: str) -> int:
    """The number that a path names. Raises HttpRefusal."""
    if not said.isascii() or not said.isdigit() or not 0 < len(said) < 16 or not int(said):
        raise HttpRefusal(404, "There is nothing of that number.")
    return int(said)


def texts(params: dict[str, Any], name: str) -> list[str]:
    """A list of texts; none if it is missing; one text alone is a list of one. Raises HttpRefusal."""
    value = params.get(name)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int) for item in items):
        raise HttpRefusal(422, f"{name} is a list of texts.")
    return [str(item) for item in items]


# The invariants: no body is read beyond its limit or longer than its time; what is kept in memory of a form with files
# is bounded too; the texts of a form are UTF-8, whatever it says.

FIELDS, FILES = 1_000, 8
FIELDS_BESIDE_FILES, FIELD_BYTES = 100, 64 << 10
"""Texts of a form that may have files, which may be large; and the longest text of a form with parts."""


def asked_of(request: Request) -> dict[str, Any]:
    """The parameters in the query. Raises HttpRefusal."""
    return nested(request.query_params.multi_items())


async def params_of(request: Request, files: bool) -> dict[str, Any]:
    """Raises HttpRefusal."""
    found, kind = asked_of(request), media_type(request)
    if request.method in ("GET", "HEAD") and kind != "application/json":
        return found  # some clients send lists of ids as JSON with GET
    most, seconds = (FILE_BYTES, FILE_S) if files and kind == "multipart/form-data" else (BODY_BYTES, BODY_S)
    with bounded(request, most, seconds):
        return found | await _body(request, kind, files)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@contextmanager
def bounded(request: Request, most: int, seconds: float) -> Iterator[None]:
    """While its body is read: at most so many bytes, within so many seconds. Raises HttpRefusal."""
    _bound(request, most)
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise HttpRefusal(408, f"The body did not come within {seconds:.0f} s.", {"connection": "close"}) from None


def json_object(raw: bytes) -> dict[str, Any]:
    """Raises HttpRefusal."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpRefusal(400, "The body is no JSON.") from None
    if not isinstance(value, dict):
        raise HttpRefusal(400, "The body is a JSON object.")
    return value


async def _body(request: Request, kind: str, files: bool) -> dict[str, Any]:
    if kind == "application/json":
        raw = await request.body()
        return json_object(raw) if raw.strip() else {}
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        if kind == "multipart/form-data":
            _check_parts(request)
            given = {"max_fields": FIELDS_BESIDE_FILES if files else FIELDS, "max_part_size": FIELD_BYTES}
        else:
            given = {"max_fields": FIELDS}
        try:
            form = await request.form(max_files=FILES if files else 0, **given)
        except (HTTPException, MultiPartException, UnicodeDecodeError, ValueError) as error:
            if isinstance(error, HTTPException) and error.status_code == 413:
                raise HttpRefusal(413, error.detail) from None
            raise HttpRefusal(400, "The form in the body is broken, or has too many fields.") from None
        if not files and any(isinstance(value, UploadFile) for value in form.values()):
            raise HttpRefusal(400, "Files are not taken here.")
        return nested(form.multi_items())
    if await request.body():
        raise HttpRefusal(415, "Send JSON or a form, and say which in Content-Type.")
    return {}


def _check_parts(request: Request) -> None:
    """Texts are UTF-8. Some other codecs of Python take quadratic time, and a client may name any. Raises
    HttpRefusal."""
    _, said = parse_options_header(request.headers["content-type"])
    if said.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise HttpRefusal(400, "The texts of a form are UTF-8.")


def _bound(request: Request, most: int) -> None:
    """Reading the body raises HTTPException once it is larger than this. Raises HttpRefusal if it says so itself."""
    said = request.headers.get("content-length")
    if said is not None and said.isascii() and said.isdigit() and int(said) > most:
        raise HttpRefusal(413, f"At most {most:,} bytes are taken here.", {"connection": "close"})
    receive, come = request.receive, 0

    async def bounded() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise HttpRefusal(413, f"At most {most:,} bytes are taken here.", {"connection": "close"})
        return message

    request._receive = bounded
