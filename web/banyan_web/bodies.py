"""The parameters of a request: of its query, and of its body, a form or JSON.

The invariants: no body is read beyond its limit or longer than its time; what is kept in memory of a form with files is
bounded too; the texts of a form are UTF-8, whatever it says.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from banyan_web.bounds import BODY_BYTES, BODY_S, FILE_BYTES, FILE_S
from banyan_web.params import nested
from banyan_web.refusals import Refused

FIELDS, FILES = 1_000, 8
FIELDS_BESIDE_FILES, FIELD_BYTES = 100, 64 << 10
"""Texts of a form that may have files, which may be large; and the longest text of a form with parts."""


def asked_of(request: Request) -> dict[str, Any]:
    """The parameters in the query. Raises Refused."""
    return nested(request.query_params.multi_items())


async def params_of(request: Request, files: bool) -> dict[str, Any]:
    """Raises Refused."""
    found = asked_of(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in ("GET", "HEAD") and kind != "application/json":
        return found  # some clients send lists of ids as JSON with GET
    most, seconds = (FILE_BYTES, FILE_S) if files and kind == "multipart/form-data" else (BODY_BYTES, BODY_S)
    _bound(request, most)
    try:
        with anyio.fail_after(seconds):
            body = await _body(request, kind, files)
    except TimeoutError:
        raise Refused(408, f"The body did not come within {seconds:.0f} s.", {"connection": "close"}) from None
    return found | body


async def _body(request: Request, kind: str, files: bool) -> dict[str, Any]:
    if kind == "application/json":
        raw = await request.body()
        try:
            value = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(400, "The body is no JSON.") from None
        if not isinstance(value, dict):
            raise Refused(400, "The body is a JSON object.")
        return value
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
                raise Refused(413, error.detail) from None
            raise Refused(400, "The form in the body is broken, or has too many fields.") from None
        if not files and any(isinstance(value, UploadFile) for value in form.values()):
            raise Refused(400, "Files are not taken here.")
        return nested(form.multi_items())
    if await request.body():
        raise Refused(415, "Send JSON or a form, and say which in Content-Type.")
    return {}


def _check_parts(request: Request) -> None:
    """Texts are UTF-8. Some other codecs of Python take quadratic time, and a client may name any. Raises Refused."""
    _, said = parse_options_header(request.headers["content-type"])
    if said.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise Refused(400, "The texts of a form are UTF-8.")


def _bound(request: Request, most: int) -> None:
    """Reading the body raises HTTPException once it is larger than this. Raises Refused if it says so itself."""
    said = request.headers.get("content-length")
    if said is not None and said.isascii() and said.isdigit() and int(said) > most:
        raise Refused(413, f"At most {most:,} bytes are taken here.", {"connection": "close"})
    receive, come = request.receive, 0

    async def bounded() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise Refused(413, f"At most {most:,} bytes are taken here.", {"connection": "close"})
        return message

    request._receive = bounded
