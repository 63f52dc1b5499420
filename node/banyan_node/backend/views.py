"""Views: how far each is, and building them again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from banyan_node.backend.params import Params
from banyan_node.context import Context
from banyan_node.operator_errors import CallError
from banyan_storage.queries import Queries
from banyan_storage.views.building import begin
from banyan_storage.views.registry import NAMES
from banyan_storage.views.standing import Standing, standings


def rebuild(ctx: Context, p: Params, now: float) -> Any:
    """One view, or all, from nothing; the node builds them in the background."""
    view = p.optional("view")
    if view is not None and view not in NAMES:
        raise CallError("bad_request", f"There is no view '{view}'; there are {', '.join(NAMES)}.")
    ctx.store.changes += 1
    begun = begin(ctx.engine.write(), NAMES if view is None else [view])
    return {"rebuilding": begun, "views": _rows(standings(ctx.engine.write()))}


def views(q: Queries, p: Params) -> Any:
    """Each view, and how much of it is there."""
    return {"views": _rows(q.standings())}


def _rows(found: Iterable[Standing]) -> list[dict[str, Any]]:
    return [{"view": v.name, "version": v.version, "built": v.done == 1, "percent": int(v.done * 100)} for v in found]


METHODS = {"store.rebuild": rebuild}
READS = {"store.views": views}
