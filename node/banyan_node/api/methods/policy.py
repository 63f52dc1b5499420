"""What this node keeps and why: its policy, and what each account takes of the store."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Literal

from msgspec import Meta, to_builtins

from banyan_crdt.ids import AccountId, is_checkpoint
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, NodeView, Request, Response, WorkContext
from banyan_node.api.json_types import Did, did
from banyan_node.api.methods.post_rows import name_of
from banyan_node.home.folder import Home
from banyan_node.home.settings import parse, set_in_file
from banyan_node.hosting import hosted
from banyan_node.operator_errors import ConfigError, bad_request
from banyan_storage.local_tables import DROPPED, HOSTED

METHODS = MethodTable()
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
        0 if own is None else at.queries().follow_count(own),
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
