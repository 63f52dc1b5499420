"""How schemathesis writes a body of lines: each generated value is one line. (SCHEMATHESIS_HOOKS names this module.)"""

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
