"""The account that the vectors are about, and how entries and logs are shown in JSON."""

from __future__ import annotations

from typing import Any

from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.ids import LogId
from tests.crdt.make import Person, signer

AN = Person()
SIX = AN.write(6, signed=False)
SIX[-1] = SIX[-1]._replace(sig=signer(AN.full("phone")).sign(SIX[-1].id))

EXACT = (1 << 53) - 1
"""The greatest integer that every reader of JSON keeps exactly."""


def plain(v: Any, name: str = "") -> Any:
    """Times, and integers above EXACT, as decimal strings."""
    if isinstance(v, dict):
        return {k: plain(x, k) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return str(v) if type(v) is int and (name == "time" or v > EXACT) else v


def entry(e: Entry) -> dict[str, Any]:
    h = e.header
    return {
        "header": encode_header(h).hex(),
        "ops": e.ops.hex(),
        "sig": e.sig.hex() if e.sig else None,
        "id": e.id.hex(),
        "fields": {
            "account": h.account.hex(),
            "writer": h.writer.hex(),
            "log": h.log,
            "seq": h.seq,
            "prev": h.prev.hex() if h.prev else None,
            "skip": h.skip.hex() if h.skip else None,
            "time": h.time,
            "total": h.total,
            "ops_hash": h.ops_hash.hex(),
        },
    }


def log_name(log: LogId) -> list[Any]:
    return [log.account.hex(), log.writer.hex(), log.log]
