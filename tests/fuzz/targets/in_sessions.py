"""Sequences of messages: their steps are mutated, and what is said in them."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed
from tests.fuzz import session
from tests.fuzz.mutate import cbor, raw_bytes
from tests.fuzz.target import Bound, Target
from tests.fuzz.targets.in_replica import frames, message


@cache
def _frames() -> list[bytes]:
    return frames()


def steps(rng: Random, raw: bytes, other: bytes) -> bytes:
    """One to four changes of the steps of an input, or of a message in one."""
    try:
        (how, mine), (_, theirs) = decode(raw, 4), decode(other, 4)
    except (Malformed, ValueError, TypeError):
        return cbor(rng, raw, other)
    for _ in range(rng.choice((1, 1, 2, 4))):
        mine = _changed(rng, list(mine), list(theirs))
    if rng.random() < 0.05:
        how = rng.randrange(4)
    return encode([how, mine[: session.MOST_STEPS]])


def _changed(rng: Random, mine: list[Any], theirs: list[Any]) -> list[Any]:
    at = rng.randrange(len(mine) + 1)
    match rng.randrange(9):
        case 0:
            return mine[:at] + mine[at + rng.choice((1, 1, 4, 16)) :]
        case 1:
            return mine[:at] + mine[max(0, at - rng.choice((1, 1, 4))) :]
        case 2:
            return mine[:at] + [[rng.randrange(3), _wait(rng), message(rng)]] + mine[at:]
        case 3 if theirs:
            start = rng.randrange(len(theirs))
            return mine[:at] + theirs[start : start + rng.choice((1, 2, 8))] + mine[at:]
        case 4:
            return mine[:at] + [[rng.randrange(3, 7), _wait(rng), rng.choice((0, 1, 2, 4, 30))]] + mine[at:]
        case 5 if mine:
            who, _, what = mine[at % len(mine)]
            return [*mine[: at % len(mine)], [who, _wait(rng), what], *mine[at % len(mine) + 1 :]]
        case 6 if mine:
            other = rng.randrange(len(mine))
            mine[at % len(mine)], mine[other] = mine[other], mine[at % len(mine)]
            return mine
        case _ if mine:
            who, wait, what = mine[at % len(mine)]
            if isinstance(what, int):
                changed: list[Any] = [rng.randrange(7), wait, rng.choice((0, 1, 2, what, rng.choice(_frames())))]
            else:
                speaker = rng.randrange(3) if rng.random() < 0.2 else who
                changed = [speaker, wait, _said(rng, what)]
            return [*mine[: at % len(mine)], changed, *mine[at % len(mine) + 1 :]]
    return mine


def _said(rng: Random, frame: Any) -> bytes:
    """A frame with its values changed, mostly in their form."""
    if not isinstance(frame, bytes) or rng.random() < 0.05:
        return raw_bytes(rng, frame if isinstance(frame, bytes) else b"", b"")
    return cbor(rng, frame, rng.choice(_frames()))


def _wait(rng: Random) -> int:
    return rng.choice((0, 0, 1, 20, 20, 100, 500, 2_000, 6_000, 11_000))


TARGETS = (
    Target(
        "replica.session",
        session.play,
        (Malformed,),
        session.stories,
        ("banyan_replica",),
        steps,
        share=1,
        largest=256 << 10,
        work=Bound(2_000_000, 200),
        memory=None,
    ),
)
