"""What schemathesis is told beside the document: a body of lines has each generated value as one line, and what is no
answer. (SCHEMATHESIS_HOOKS names this module.)"""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/x-ndjson")
def lines(context: Any, response: Any) -> Any:
    """The first line; the schema describes one."""
    text = response.content.decode().splitlines()
    return json.loads(text[0]) if text else {"status": 200}


@schemathesis.check
def is_no_fault(context: Any, response: Any, case: Any) -> None:
    """Views that a task of the admin builds anew cannot be asked for a moment, and say so."""
    assert response.status_code < 500 or response.json()["code"] == "building", response.content[:500]
