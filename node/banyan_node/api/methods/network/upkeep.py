"""Long work of this node, its views, its policy, and what the operator decides where a clock was wrong."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, Literal

from msgspec import Meta, to_builtins

from banyan_crdt.ids import AccountId, is_checkpoint
from banyan_node.api.declare import (
    CommitView,
    EmptyRequest,
    MethodTable,
    NodeView,
    Request,
    Response,
    Shell,
    WorkContext,
)
from banyan_node.api.json_types import Did, Milliseconds, did
from banyan_node.api.methods.moderation.decisions import Number
from banyan_node.api.methods.posts.post_rows import name_of
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.home.settings import parse, set_in_file
from banyan_node.hosting import hosted
from banyan_node.operator_errors import ConfigError, bad_request, conflict, not_found
from banyan_node.upkeep import trusted_clock
from banyan_node.upkeep.tasks import LongWork
from banyan_storage.lmdb_folder import make_folder
from banyan_storage.local_tables import DROPPED, HOSTED
from banyan_storage.views.builder import begin
from banyan_storage.views.registry import NAMES, ViewProgress, standings

METHODS = MethodTable()
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


class BeginWorkRequest(Request):
    """do: verify, all that is held; rebuild, a view or all; export, all that is held into an archive `name`; import,
    the archive `name`; compact, a copy of the store into the folder `name`. view: to rebuild; default: all."""

    do: Does
    name: FileName | None = None
    view: str | None = None


class CancelRequest(Request):
    id: Number


class WorkRow(Response):
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


class Works(Response):
    """What runs, and the last 50 that ended, the newest first. failing: background tasks that failed lately, each with
    why."""

    works: list[WorkRow]
    failing: dict[str, str]


@METHODS.node("works", "read")
async def listing(shell: Shell, ask: EmptyRequest) -> Works:
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
async def begin_work(shell: Shell, ask: BeginWorkRequest) -> WorkRow:
    """Begins long work in the background. Its files are in the folder `archives` of the home, and nowhere else."""
    method, params = _METHODS[ask.do], dict[str, str]()
    if ask.do in ("export", "import", "compact"):
        if ask.name is None:
            raise bad_request(f"works.begin needs 'name', the name of the file to {ask.do}.")
        make_folder(shell.home.archives)
        params["path"] = str(shell.home.archives / ask.name)
    elif ask.view is not None and ask.do == "rebuild":
        params["view"] = ask.view
    if any(one.do == method and one.ended_ms is None for one in shell.long_works.rows()):
        raise conflict(f"{method} runs already; `works` says how far it is.")
    number = shell.begin(method, params, ask.name or ask.view or "")
    return next(_row(one) for one in shell.long_works.rows() if one.id == number)


@METHODS.node("works.cancel", "write", "not_found", "refused", audited=True)
async def cancel(shell: Shell, ask: CancelRequest) -> WorkRow:
    """Asks that work stops. It does so where it next says how far it is; what an import took in stays."""
    found = shell.long_works.stop(ask.id)
    if found is None:
        raise not_found(f"There is no work {ask.id}; `works` lists it.")
    if found.ended_ms is not None or not found.stoppable:
        why = "has ended" if found.ended_ms is not None else "cannot be stopped half way"
        raise conflict(f"{found.do} {why}.")
    return _row(found)


# Where a clock was wrong: it is right now, and this node begins another log.


class ClockResult(Response):
    """doubted: what was doubted until now; null: nothing was."""

    doubted: str | None


class LogBegun(Response):
    """log: the number of the log that this node writes from now on, in every account. before: of the one so far."""

    log: int
    before: int


@METHODS.write("clock.trust", audited=True)
def trust(ctx: Context, ask: EmptyRequest, now: float) -> ClockResult:
    """Says that this machine's clock is right although it jumped: what has lasted for its 30 days may be forgotten."""
    before = trusted_clock.doubted(ctx.store)
    trusted_clock.trust(ctx, trusted_clock.moment(ctx.replica.wall_ms(now)))
    return ClockResult(before)


@METHODS.write("log.begin", alone=True, audited=True)
def begin_log(ctx: Context, ask: EmptyRequest, now: float) -> LogBegun:
    """Begins another log for all that this node writes, because the present one ends in the future: the clock was ahead
    when it was written."""
    before = ctx.logs.number
    ctx.logs.begin()
    return LogBegun(ctx.logs.number, before)


# Views: their progress, and rebuilding them.


class RebuildRequest(Request):
    view: Annotated[str | None, Meta(title="a view", description="Its name; left out: all.")] = None


class ViewRow(Response):
    view: str
    version: int
    built: bool
    percent: int


class ViewRows(Response):
    views: list[ViewRow]


class RebuildResult(Response):
    """rebuilding: the views that are being rebuilt; these may be more than were asked for."""

    rebuilding: list[str]
    views: list[ViewRow]


@METHODS.write("store.rebuild", audited=True)
def rebuild(ctx: Context, ask: RebuildRequest, now: float) -> RebuildResult:
    """Rebuilds one view, or all, from the log; the node does it in the background."""
    view = ask.view
    if view is not None and view not in NAMES:
        raise bad_request(f"There is no view '{view[:60]}'; there are {', '.join(NAMES)}.")
    ctx.store.changes += 1
    begun = begin(ctx.engine.write(), NAMES if view is None else [view])
    return RebuildResult(list(begun), _rows(standings(ctx.engine.write())))


@METHODS.read("store.views")
def views(at: CommitView, ask: EmptyRequest) -> ViewRows:
    """Each view, and how much of it is built."""
    return ViewRows(_rows(at.queries().standings()))


def _rows(found: Iterable[ViewProgress]) -> list[ViewRow]:
    return [ViewRow(v.name, v.version, v.done == 1, int(v.done * 100)) for v in found]


# What this node keeps and why: its policy, and what each account takes of the store.

PAGE = 200
Origin = Literal["hosted", "followed", "other"]
SECTIONS = ("interest", "storage", "media")
"""The settings that are policy, beside `network.allow` and `network.deny`."""


class HeldRequest(Request):
    """after: `after` of the page before."""

    after: Annotated[str | None, Meta(title="an account", description="A DID.")] = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 50


class SetPolicyRequest(Request):
    """settings: texts by names such as storage.max_bytes, as `banyan config set` takes them."""

    settings: Annotated[dict[str, str], Meta(min_length=1, max_length=20)]


class HeldAccount(Response):
    """origin: hosted here; followed by somebody who is; other. bytes: of entries and their content, as their author
    counts them; what of it was erased here is counted."""

    account: Did
    name: str
    origin: Origin
    logs: int
    entries: int
    bytes: int


class HeldAccounts(Response):
    """By id. after: give it to get the next page; null on the last one."""

    accounts: list[HeldAccount]
    after: Did | None


class NodePolicy(Response):
    """mode, hops: which accounts are held (`interest.mode`, `interest.hops`). own: this node's own account, or null,
    and follows: how many it follows. dropped: accounts that are not taken again. settings: by section and name, as they
    are in force."""

    mode: str
    hops: int
    own: Did | None
    follows: int
    dropped: int
    settings: dict[str, dict[str, Any]]


class PolicySet(Response):
    """restart: whether a running node has to be started again before it holds: always."""

    settings: dict[str, str]
    restart: bool


@METHODS.read("store.accounts", "refused", slow=True)
def accounts(at: CommitView, ask: HeldRequest) -> HeldAccounts:
    """What each account takes of the store, and because of whom it is held."""
    store, q = at.store, at.queries()
    after = None if ask.after is None else hosted.account_of(at, ask.after)
    found = [*islice(store.accounts(after), ask.limit + 2)]
    page = [account for account in found if account != after][: ask.limit]
    more = len(found) - (after in found) > ask.limit
    followed = {one for home in HOSTED.keys(at.store) for one in q.follows(home)}

    def origin(account: AccountId) -> Origin:
        if hosted.is_hosted(store, account):
            return "hosted"
        return "followed" if account in followed else "other"

    rows = []
    for account in page:
        logs, entries, size = _taken(at, account)
        rows.append(HeldAccount(did(account), name_of(q, account), origin(account), logs, entries, size))
    return HeldAccounts(rows, did(page[-1]) if more else None)


def _taken(at: CommitView, account: AccountId) -> tuple[int, int, int]:
    """Logs, entries, bytes."""
    logs = entries = size = 0
    for log, head in at.store.heads(account).items():
        if is_checkpoint(log) or head.id is None:
            continue
        last = at.store.entry(head.id)
        logs, entries = logs + 1, entries + head.length
        size += 0 if last is None else last.header.total
    return logs, entries, size


@METHODS.look("policy")
def policy(at: NodeView, ask: EmptyRequest) -> NodePolicy:
    """What this node holds and refuses."""
    config, own = at.here.settings.config, hosted.me(at)
    settings = {section: to_builtins(getattr(config, section)) for section in SECTIONS}
    settings["network"] = {"allow": list(config.network.allow), "deny": list(config.network.deny)}
    return NodePolicy(
        config.interest.mode,
        config.interest.hops,
        None if own is None else did(own),
        0 if own is None else at.queries().account_totals([own])[own].follows,
        sum(1 for _ in DROPPED.keys(at.store)),
        settings,
    )


@METHODS.work("policy.set", "write", audited=True)
def set_policy(at: WorkContext, ask: SetPolicyRequest) -> PolicySet:
    """Writes settings of the policy to config.toml. A running node reads them at its next start."""
    try:
        parsed = [(name, parse(name, value, "the request")) for name, value in _allowed(ask.settings)]
        for name, value in parsed:
            set_in_file(Home(at.home).config, name, value, "the request")
    except ConfigError as error:
        raise bad_request(str(error)) from error
    return PolicySet(ask.settings, True)


def _allowed(settings: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if name.partition(".")[0] not in SECTIONS and name not in ("network.allow", "network.deny"):
            known = ", ".join(f"{section}.*" for section in SECTIONS)
            raise bad_request(f"{name[:60]} is no policy: {known}, network.allow, network.deny.")
        yield name, value
