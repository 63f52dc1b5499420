"""The network as this node sees it: peers and how far they are, gaps as they close, how the last messages spread, what
is stored, and whether the node is well. All figures are the node's own; addresses of peers are not shown.

Without JavaScript the page is a picture and tables; with it, a stream says what changed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import msgspec
from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.page.live import EventStream, demand_room, event_text
from banyan_web.page.rendering import page, render
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
PEERS, SPREADS = 40, 12
"""Peers that are drawn, and messages of which it is shown how they spread."""
LOOK_S, FAR_S, ROOM_S = 0.4, 10.0, 15.0
"""How old it may be what is shown: of peers and messages, of distances, of what is stored."""
CENTRE, WIDE, HIGH = (300, 195), 250, 150
"""Of the picture, and the most that a peer is away from there. Its size is in network.html."""
METERS = (("peers_n", "peers_n"), ("behind", "behind_all"), ("entries", "entries"), ("accounts", "accounts"))
"""Figures at the top: key of the state, key of the word."""


class _NetworkCache:
    """What was asked of the node, and when: many watch, and it is asked once. One event loop."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._held: dict[str, tuple[float, Any]] = {}

    async def ask(self, web: DoorContext, method: str, seconds: float) -> Any:
        async with self._lock:
            at, found = self._held.get(method, (-math.inf, None))
            if anyio.current_time() - at > seconds:
                found = await web.call(method)
                self._held[method] = (anyio.current_time(), found)
            return found


_SEEN: WeakKeyDictionary[Any, _NetworkCache] = WeakKeyDictionary()


def _seen(web: DoorContext) -> _NetworkCache:
    return _SEEN.setdefault(web.bounds, _NetworkCache())


@page(ENDPOINTS, "/network")
async def network(web: DoorContext, ask: DoorRequest) -> Response:
    """The picture, and the same as tables."""
    found = await state(web)
    names = {peer["peer"]: peer["name"] for peer in found["peers"] if peer["name"]}
    return await render(web, ask, "network.html", state=found, names=names, node=await web.call("id"), meters=METERS)


@ENDPOINTS.get("/network/events")
async def events(web: DoorContext, ask: DoorRequest) -> Response:
    """The same as it changes, as SSE: `state`."""
    demand_room(web)
    return EventStream(_told(web))


@page(ENDPOINTS, "/transparency")
async def transparency(web: DoorContext, ask: DoorRequest) -> Response:
    """What orders of the alliance withhold, in sums: nothing on it names a post."""
    log = await _seen(web).ask(web, "transparency.show", ROOM_S)
    try:
        orders = (await _seen(web).ask(web, "order.list", ROOM_S))["orders"]
    except HttpRefusal:  # it follows no charter
        orders = []
    groups = defaultdict[tuple[str, ...], list[Any]](list)
    for one in orders:
        groups[one["issuer"], one["scope"], one["basis"]].append(one)
    return await render(web, ask, "transparency.html", log=log, groups=[*map(_summed, groups.values())])


def _summed(orders: list[Any]) -> dict[str, Any]:
    """Of one authority, scope and basis. delay_s: the median between orders and receipts."""
    answers = [answer for one in orders for answer in one["answers"]]
    delays = sorted(answer["after_ms"] for answer in answers if answer["after_ms"] is not None)
    words = Counter(answer["word"] for answer in answers)
    return {
        **{name: orders[0][name] for name in ("issuer", "scope", "basis")},
        **{name: words[name] for name in ("done", "refused", "waiting", "late")},
        **{name: sum(one[name] for one in orders) for name in ("posts", "withheld", "appeals")},
        "orders": len(orders),
        "in_force": sum(one["standing"] == "in force" for one in orders),
        "delay_s": round(delays[len(delays) // 2] / 1_000) if delays else None,
    }


async def _told(web: DoorContext) -> AsyncGenerator[bytes, None]:
    before = b""
    while True:
        try:
            found = await state(web)
        except HttpRefusal:  # the node is busy, or stops
            await anyio.sleep(LOOK_S)
            continue
        now = msgspec.json.encode(found)
        if now != before:
            before = now
            yield event_text("state", "", found)
        await anyio.sleep(LOOK_S)


async def state(web: DoorContext) -> dict[str, Any]:
    """All that the page shows."""
    seen = _seen(web)
    peers = [peer for peer in await seen.ask(web, "peers", LOOK_S) if peer["connected"] and peer["ban"] is None]
    status = await seen.ask(web, "status", LOOK_S)
    spreads = (await seen.ask(web, "spreads", LOOK_S))["spreads"]
    far = {one["peer"]: one["ms"] for one in (await seen.ask(web, "distances", FAR_S))["distances"]}
    room = await seen.ask(web, "room", ROOM_S)
    return {
        "complete": status["complete"],
        "peers_n": len(peers),
        "behind": status["behind"],
        "entries": status["entries"],
        "accounts": status["accounts"],
        "peers": _drawn(sorted(peers, key=lambda peer: str(peer["peer"]))[:PEERS], far, status["entries"]),
        "spreads": spreads[:SPREADS],
        "room": _shares(room),
        "origins": room["origins"][:8],
        "came": sum(one["entries"] for one in room["origins"]),
        "health": _health(status),
    }


def _drawn(peers: list[dict[str, Any]], far: dict[str, float | None], entries: int) -> list[dict[str, Any]]:
    """The peers with their places in the picture: in a ring, the nearer the shorter the way there and back."""
    drawn = []
    for n, peer in enumerate(peers):
        ms = far.get(peer["peer"])
        angle = 2 * math.pi * (n + 0.5) / len(peers) - math.pi / 2
        away = 0.55 + 0.45 * min(1.0, math.log10(1 + (1_000 if ms is None else ms)) / 3)
        behind = peer["behind"]
        drawn.append(
            {
                name: peer[name]
                for name in ("peer", "name", "role", "inbound", "behind", "lacks", "neighbour", "since_ms")
            }
            | {
                "ms": None if ms is None else round(ms, 1),
                "x": round(CENTRE[0] + WIDE * away * math.cos(angle)),
                "y": round(CENTRE[1] + HIGH * away * math.sin(angle)),
                "open": round(100 * behind / (entries + behind), 1) if behind else 0,
                "figure": _figure(ms, behind),
            }
        )
    return drawn


def _figure(ms: float | None, behind: int | None) -> str:
    """Under the name of a peer: how far it is, and what is to come from it."""
    parts = ["" if ms is None else f"{ms:.0f} ms" if ms >= 1 else "<1 ms", f"−{behind}" if behind else ""]
    return " · ".join(part for part in parts if part)


def _shares(room: dict[str, Any]) -> list[dict[str, Any]]:
    """What takes the room, and where its part of a bar of 1,000 begins."""
    parts = {"own": max(0, room["bytes"] - room["strangers"]), "strangers": room["strangers"], "media": room["media"]}
    whole, at, found = max(1, sum(parts.values())), 0, []
    for what, size in parts.items():
        wide = round(1_000 * size / whole)
        found.append({"what": what, "bytes": size, "at": at, "wide": wide})
        at += wide
    return found


def _health(status: dict[str, Any]) -> list[dict[str, str]]:
    """What is well and what is not; why, only the operator is told (`banyan status`)."""
    full = status["full"] or status["strangers"]["full"]
    return [
        {"what": "ready", "state": "ok" if status["ready"] else "wait"},
        {"what": "peers", "state": "ok" if status["peers"] else "no"},
        {"what": "clock", "state": "no" if status["clock"]["wrong"] else "ok"},
        {"what": "room", "state": "no" if full else "ok"},
        {"what": "content", "state": "wait" if status["lacking_parts"] else "ok"},
        {"what": "tasks", "state": "no" if status["failing"] else "ok"},
    ]
