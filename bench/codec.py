"""Why the wire has a decoder of its own: strict reading in one pass against a general decoder made strict.

The general way (decode with cbor2, check every type, encode again, compare) is what the rules of the wire would need
otherwise. Both are timed in turn on the bodies and runs that peers send, and on a hostile frame.

python -m bench codec --json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import cbor2

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import CellKey, PartHash, coll
from banyan_crdt.ops import Part, Put, encode_ops
from bench.harness import arguments, finish, median


def general(raw: bytes) -> Any:
    """Decodes, checks types, encodes again, compares. Raises Malformed."""
    try:
        value = cbor2.loads(raw)
        if _plain(value) and cbor2.dumps(value) == raw:
            return value
    except Exception as error:
        raise Malformed(str(error)) from None
    raise Malformed("not in deterministic form")


def _plain(value: Any) -> bool:
    if type(value) is list:
        return all(map(_plain, value))
    return value is None or type(value) is bytes or (type(value) is int and 0 <= value < 1 << 64)


def samples() -> dict[str, bytes]:
    """A post's body, a run of 1,000 of them, and a hostile map of bignum keys (all of it is refused)."""
    body = encode_ops((Put(coll("post"), CellKey(bytes(16)), (), Part(PartHash(bytes(32)), 220)),))
    rows = [[1 << 16, 220, body] for _ in range(1_000)]
    hostile = cbor2.dumps({(1 << 64) + n * ((1 << 61) - 1): 0 for n in range(4_000)})
    return {"body": body, "run": encode([bytes(32), bytes(32), 1, 0, None, 0, [], rows, bytes(64)]), "hostile": hostile}


def seconds(read: Callable[[bytes], Any], raw: bytes, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        try:
            read(raw)
        except Malformed:
            pass
    return (time.perf_counter() - began) / times


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Medians of interleaved rounds, microseconds."""
    out = {}
    for name, raw in samples().items():
        times = max(1, 20_000 // len(raw)) if name != "hostile" else 1
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(seconds(decode, raw, times))
            theirs.append(seconds(general, raw, times))
        a, b = median(ours), median(theirs)
        out[name] = {"bytes": len(raw), "strict_us": a * 1e6, "general_us": b * 1e6, "ratio": b / a}
    return out


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("codec", __doc__, argv, rounds=15)
    args.rounds = max(3, args.rounds)
    figures = measure(args.rounds)
    finish(args, "codec", cases={name: {k: round(v, 2) for k, v in row.items()} for name, row in figures.items()})


if __name__ == "__main__":
    main()
