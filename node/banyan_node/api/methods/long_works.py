"""Long work of this node: what runs and how far it is, beginning it in the background, and cancelling it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from banyan_node.api.declare import Declared, Nothing, Request, Response, Shell
from banyan_node.api.methods.decisions import Number
from banyan_node.api.texts import Milliseconds
from banyan_node.operator_errors import CallError
from banyan_node.upkeep.long_works import LongWork
from banyan_storage.lmdb_folder import make_folder

METHODS = Declared()
Does = Literal["verify", "rebuild", "export", "import", "compact"]
FileName = Annotated[
    str,
    Meta(
        title="a file's name",
        description="In the folder `archives` of the home: letters, digits, `.`, `_` and `-`.",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$",
    ),
]
_METHODS = {
    "verify": "store.verify",
    "rebuild": "store.rebuild",
    "export": "archive.export",
    "import": "archive.import",
    "compact": "store.compact",
}


class BeginWorkRequest(Request, frozen=True, forbid_unknown_fields=True):
    """do: verify, all that is held; rebuild, a view or all; export, all that is held into an archive `name`; import,
    the archive `name`; compact, a copy of the store into the folder `name`. view: to rebuild; default: all."""

    do: Does
    name: FileName | None = None
    view: str | None = None


class CancelRequest(Request, frozen=True, forbid_unknown_fields=True):
    id: Number


class WorkRow(Response, frozen=True):
    """do: a method. about: a file or a view. done, of: how far it is, in what it counts: accounts of an export or of
    verifying, bytes of an import, percent of a view; of: null where it is not known. why: of a failure, or that it was
    cancelled. stoppable: whether it can be cancelled. id: null for views, which are built again after a restart too."""

    id: Number | None
    do: str
    about: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    began_ms: Milliseconds | None
    ended_ms: Milliseconds | None
    done: int
    of: int | None
    why: str | None
    stoppable: bool


class Works(Response, frozen=True):
    """What runs, and the last 50 that ended, the newest first. failing: background tasks that failed lately, each with
    why."""

    works: list[WorkRow]
    failing: dict[str, str]


@METHODS.node("works", "read")
async def listing(shell: Shell, ask: Nothing) -> Works:
    """Long work: what runs, how far it is, and what ended lately."""
    views = await shell.look(lambda at: [view for view in at.queries().standings() if view.done < 1])
    building = [
        WorkRow(None, "store.rebuild", view.name, "running", None, None, int(view.done * 100), 100, None, False)
        for view in views
    ]
    return Works([*building, *map(_row, shell.long_works.rows())], shell.tasks.failing())


def _row(one: LongWork) -> WorkRow:
    left = (one.began_ms, one.ended_ms, one.done, one.of, one.why, one.stoppable)
    return WorkRow(one.id, one.do, one.about, one.stage, *left)


@METHODS.node("works.begin", "write", "refused", audited=True)
async def begin(shell: Shell, ask: BeginWorkRequest) -> WorkRow:
    """Begins long work in the background. Its files are in the folder `archives` of the home, and nowhere else."""
    method, params = _METHODS[ask.do], dict[str, str]()
    if ask.do in ("export", "import", "compact"):
        if ask.name is None:
            raise CallError("bad_request", f"works.begin needs 'name', the name of the file to {ask.do}.")
        make_folder(shell.home.archives)
        params["path"] = str(shell.home.archives / ask.name)
    elif ask.view is not None and ask.do == "rebuild":
        params["view"] = ask.view
    if any(one.do == method and one.ended_ms is None for one in shell.long_works.rows()):
        raise CallError("refused", f"{method} runs already; `works` says how far it is.", 409)
    number = shell.begin(method, params, ask.name or ask.view or "")
    return next(_row(one) for one in shell.long_works.rows() if one.id == number)


@METHODS.node("works.cancel", "write", "not_found", "refused", audited=True)
async def cancel(shell: Shell, ask: CancelRequest) -> WorkRow:
    """Asks that work stops. It does so where it next says how far it is; what an import took in stays."""
    found = shell.long_works.stop(ask.id)
    if found is None:
        raise CallError("not_found", f"There is no work {ask.id}; `works` lists it.", 404)
    if found.ended_ms is not None or not found.stoppable:
        why = "has ended" if found.ended_ms is not None else "cannot be stopped half way"
        raise CallError("refused", f"{found.do} {why}.", 409)
    return _row(found)
