"""What `status` says of the door for HTTP."""

from __future__ import annotations

from banyan_node.api.declare import Response
from banyan_node.api.texts import Milliseconds


class DoorWorker(Response, frozen=True):
    """A process that serves HTTP. pid: null while it is being started anew. started_ms: when it was started last.
    ended: how often it ended that nobody had asked to. requests: since it was started. connections: open now."""

    pid: int | None
    started_ms: Milliseconds
    ended: int
    requests: int
    connections: int


class DoorState(Response, frozen=True):
    """address: where it listens. workers: processes of its own; none if the node itself serves it. trouble: why one of
    them does not run, or null."""

    address: str
    workers: list[DoorWorker]
    trouble: str | None
