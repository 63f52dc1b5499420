"""Views: their progress, and rebuilding them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from banyan_node.api.declare import CommitView, Declared, Nothing, Request, Response
from banyan_node.context import Context
from banyan_node.operator_errors import CallError
from banyan_storage.views.building import begin
from banyan_storage.views.progress import ViewStanding, standings
from banyan_storage.views.registry import NAMES

METHODS = Declared()


class RebuildRequest(Request, frozen=True, forbid_unknown_fields=True):
    view: Annotated[str | None, Meta(title="a view", description="Its name; left out: all.")] = None


class ViewRow(Response, frozen=True):
    view: str
    version: int
    built: bool
    percent: int


class ViewRows(Response, frozen=True):
    views: list[ViewRow]


class Rebuilding(Response, frozen=True):
    """rebuilding: the views that are being rebuilt; these may be more than were asked for."""

    rebuilding: list[str]
    views: list[ViewRow]


@METHODS.write("store.rebuild", audited=True)
def rebuild(ctx: Context, ask: RebuildRequest, now: float) -> Rebuilding:
    """Rebuilds one view, or all, from the log; the node does it in the background."""
    view = ask.view
    if view is not None and view not in NAMES:
        raise CallError("bad_request", f"There is no view '{view[:60]}'; there are {', '.join(NAMES)}.")
    ctx.store.changes += 1
    begun = begin(ctx.engine.write(), NAMES if view is None else [view])
    return Rebuilding(list(begun), _rows(standings(ctx.engine.write())))


@METHODS.read("store.views")
def views(at: CommitView, ask: Nothing) -> ViewRows:
    """Each view, and how much of it is built."""
    return ViewRows(_rows(at.queries().standings()))


def _rows(found: Iterable[ViewStanding]) -> list[ViewRow]:
    return [ViewRow(v.name, v.version, v.done == 1, int(v.done * 100)) for v in found]
