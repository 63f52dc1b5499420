"""The metrics of a node: bytes, events by name, and how much it holds, updated every few seconds."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge

NAMES = 64
"""Event names whose counter is cached, because looking it up takes longer than counting."""


class Metrics:
    """Prometheus names begin with `banyan_`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.received = Counter("banyan_received_bytes", "Bytes of frames that came from peers", registry=registry)
        self.sent = Counter("banyan_sent_bytes", "Bytes of frames that went to peers", registry=registry)
        self._events = Counter("banyan_events", "What happened, by name", ["name"], registry=registry)
        self._requests = Counter("banyan_door_requests", "Requests that they answered", registry=registry)
        self._ended = Counter(
            "banyan_door_worker_ends", "How often one ended that nobody had asked to", registry=registry
        )
        self._named = lru_cache(NAMES)(self._events.labels)
        self._gauges = {
            name: Gauge(f"banyan_{name}", text, registry=registry)
            for name, text in (
                ("peers", "Peers linked now"),
                ("accounts", "Accounts held"),
                ("logs", "Logs held"),
                ("entries", "Entries held"),
                ("lacking_parts", "Pieces of content wanted and not held"),
                ("door_workers", "Processes that serve HTTP beside the node"),
                ("door_connections", "Connections to them"),
            )
        }

    def stands(self, **figures: int) -> None:
        """Sets gauges by their names, without `banyan_`."""
        for name, value in figures.items():
            self._gauges[name].set(value)

    def door_requests(self, count: int) -> None:
        self._requests.inc(count)

    def worker_ended(self) -> None:
        self._ended.inc()

    def event(self, name: str) -> None:
        self._named(name).inc()
