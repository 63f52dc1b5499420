"""The metrics of a node: bytes, events by name, how long calls take, and how much it holds."""

from collections import Counter as Counts
from collections.abc import Callable, Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from banyan_node.context import Context

NAMES = 256
"""Names of events and methods whose metric is cached, because looking it up takes longer than counting."""
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of calls, seconds: a read takes one or two milliseconds, a durable write as long as the
disk, and what takes longer than half a minute is work that shows its own progress."""


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
                ("store_bytes", "Bytes of the store, free pages included"),
                ("door_workers", "Processes that serve HTTP beside the node"),
                ("door_connections", "Connections to them"),
            )
        }
        calls = Histogram(
            "banyan_call_seconds", "How long calls took, by method", ["method"], registry=registry, buckets=BUCKETS_S
        )
        self._calls = lru_cache(NAMES)(calls.labels)
        refused = Counter("banyan_calls_refused", "Calls that were refused, by code", ["code"], registry=registry)
        self._refused = lru_cache(NAMES)(refused.labels)
        ProcessCollector(registry=registry)  # process_resident_memory_bytes, process_cpu_seconds_total, ...

    def about(self, what: Mapping[str, str], watched: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """Once. what: labels of `banyan_info`. watched: name -> (text, what is asked at each scrape)."""
        Info("banyan", "What runs here", registry=self.registry).info(dict(what))
        for name, (text, ask) in watched.items():
            Gauge(f"banyan_{name}", text, registry=self.registry).set_function(ask)

    def took(self, method: str, seconds: float) -> None:
        """A call of this method ended, answered or refused."""
        self._calls(method).observe(seconds)

    def refused(self, code: str) -> None:
        self._refused(code).inc()

    def stands(self, **figures: int) -> None:
        """Sets gauges by their names, without `banyan_`."""
        for name, value in figures.items():
            self._gauges[name].set(value)

    def door_requests(self, count: int) -> None:
        self._requests.inc(count)

    def worker_ended(self) -> None:
        self._ended.inc()

    def event(self, name: str, times: int = 1) -> None:
        self._named(name).inc(times)


def figures(context: Context, now: float) -> tuple[dict[str, int], Counts[tuple[str, str]]]:
    """What `Metrics.stands` takes, and what stopped peers at gates of the replica. On the replica's thread."""
    counts, view, stops = context.store.counts(), context.replica.status.view(now), context.replica.stops
    before = stops.copy()
    stops.clear()
    return {
        "peers": sum(link.greeted for link in view.links),
        "accounts": counts.accounts,
        "logs": view.logs,
        "entries": counts.entries,
        "lacking_parts": counts.lacking,
        "store_bytes": context.engine.sizes().used,
    }, before
