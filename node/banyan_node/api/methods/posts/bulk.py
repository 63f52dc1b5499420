"""Many operations in one call, by many accounts: they share a commit, and each succeeds or fails alone.

Each has an id, and is done once in a day however often it comes: what was done is noted in the transaction of the
operation (idempotency.py). The invariants: operations are done in their order; an operation sees what those before it
wrote; a refused one leaves nothing behind.

Most operations read little: of the account that acts, and of the account that they are about. Where none of both has
writes that wait, these need not be written first, so most of a call is signed and written together.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId
from banyan_node import idempotency
from banyan_node.api import decode
from banyan_node.api.declare import CommitView, Method, MethodTable, NoResult, Request, Response
from banyan_node.api.errors import refusal
from banyan_node.api.json_types import ThingRef, target_of
from banyan_node.api.methods.accounts import accounts
from banyan_node.api.methods.people import profiles, relations
from banyan_node.api.methods.posts import polls, post_writes
from banyan_node.api.methods.posts.post_rows import now_ms
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.idempotency import RecordKey
from banyan_node.operator_errors import CallError, bad_request, forbidden
from banyan_storage.local_tables import IdempotencyRecord

METHODS = MethodTable()
MOST = 1_000
"""The most operations of one call: all other writers wait for them."""
PUSHED = 64
"""Of a call of more operations peers hear when they next compare: that many at once is a flood for gossip."""
MAX_ID = 256
"""Bytes."""
LATER = frozenset({"post", "reply", "quote", "edit", "delete", "react", "repost", "follow", "unfollow", "block"})
"""Operations that may wait to be written. They read of the store before they write, of these accounts alone: who acts,
and `uri` or `account`."""
DOES: dict[str, Method] = {
    method.name: method
    for module in (accounts, polls, profiles, relations, post_writes)
    for method in module.METHODS
    if method.name in LATER | {"pin", "mute", "vote", "profile.set", "account.create"}
}
"""What an operation may do."""


class BulkRequest(Request):
    """operations: each an object with `id`, a text of its own (the same id is done once in a day), `do`, a method
    (post, reply, quote, edit, delete, react, repost, pin, follow, unfollow, block, mute, vote, profile.set,
    account.create), and the parameters of that method; `as` is the account that acts, also for `edit` and `delete`.
    whose: who gives the ids; others may give the same ones."""

    operations: Annotated[list[Any], Meta(max_length=MOST)]
    whose: str = ""


class BulkRow(Response):
    """state: done (now), before (it came before under this id: `answer` is that of then), or refused, with `code`,
    `message` and `status` of the refusal. answer: of its method."""

    id: str
    state: Literal["done", "before", "refused"]
    answer: dict[str, Any] | None = None
    code: str | None = None
    message: str | None = None
    status: int = 200


class BulkDone(Response):
    """rows: one for each operation, in order."""

    rows: list[BulkRow]


@METHODS.write("bulk.write", "half_done")
def bulk(ctx: Context, ask: BulkRequest, now: float) -> BulkDone:
    """Does many operations, by many accounts, in order. Each succeeds or is refused alone; all that succeed are durable
    together."""
    now_ms = ctx.replica.wall_ms(now)
    call = _Call(ctx, ask.whose, now, now_ms)
    ctx.pushes = len(ask.operations) <= PUSHED
    try:
        return BulkDone([call.row(operation) for operation in ask.operations])
    finally:
        ctx.pushes = True


class _Call:
    def __init__(self, ctx: Context, whose: str, now: float, now_ms: int) -> None:
        self.ctx, self.whose, self.now, self.now_ms = ctx, whose, now, now_ms
        self._waiting: set[AccountId] = set()
        """Accounts with writes that wait to be written."""
        for account in [account for account, at_ms in ctx.ahead.items() if at_ms < now_ms]:
            del ctx.ahead[account]

    def row(self, operation: Any) -> BulkRow:
        """Raises CallError("half_done") if the operation was refused after it had written something."""
        id = ""
        try:
            id, method, params = _parts(operation)
            key = idempotency.key_of(self.whose, id, operation)
            before = idempotency.find(self.ctx.store, key.name, self.now_ms)
            if before is not None:
                if before.said != key.said:
                    raise CallError(
                        "refused", f"Another operation was done under the id '{id[:60]}': use a new id.", 422
                    )
                return BulkRow(id, "before", msgspec.json.decode(before.answer))
            ask = decode.request(method, params)
            by = self._get_ready(method, operation)
        except (CallError, BanyanError, ValueError) as error:
            return _refused(id, error)
        changes = self.ctx.replica.writes.changes
        try:
            answer = msgspec.to_builtins(method.do(self.ctx, ask, self._time_of(by)))
        except (CallError, BanyanError, ValueError) as error:
            if self.ctx.replica.writes.changes != changes:
                why = f"Operation '{id[:60]}' was refused half done, so nothing of the call was: send them one by one."
                raise CallError("half_done", why, 409) from error
            return _refused(id, error)
        idempotency.put(self.ctx.store, key, answer, self.now_ms)
        return BulkRow(id, "done", answer)

    def _time_of(self, by: AccountId | None) -> float:
        """When an operation of the account is done: not in the same millisecond as the one before it."""
        if by is None:
            return self.now
        at_ms = max(self.now_ms, self.ctx.ahead.get(by, 0) + 1)
        self.ctx.ahead[by] = at_ms
        return self.now + (at_ms - self.now_ms) / 1000

    def _get_ready(self, method: Method, operation: dict[str, Any]) -> AccountId | None:
        """Writes what waits, if the operation has to see it. Returns who acts. Raises CallError."""
        by = hosted.account_of(self.ctx, operation.get("as")) if method.name != "account.create" else None
        about = None
        if "uri" in operation:
            about = target_of(operation["uri"]).account
            if "as" not in method.asks.__struct_encode_fields__ and about != by:
                raise forbidden(f"{method.name} is for posts of the account that acts, `as`.")
        elif "account" in operation:
            about = hosted.account_of(self.ctx, operation["account"])
        later = method.name in LATER and operation.get("group") is None and by is not None
        if not later or (method.name != "post" and self._waiting.intersection((by, about))):
            self.ctx.replica.writes.settle()
            self._waiting.clear()
        if later and by is not None:
            self.ctx.replica.writes.hold()
            self._waiting.add(by)
        return by


def _parts(operation: Any) -> tuple[str, Method, dict[str, Any]]:
    """(its id, its method, the parameters). Raises CallError."""
    if not isinstance(operation, dict):
        raise bad_request("An operation is an object with 'id', 'do' and 'as'.")
    id, do = operation.get("id"), operation.get("do")
    if not isinstance(id, str) or not 0 < len(id.encode("utf-8", "replace")) <= MAX_ID:
        raise bad_request(f"An operation needs an 'id' of its own, a text of at most {MAX_ID} bytes.")
    if not isinstance(operation.get("as"), str | None):
        raise bad_request("'as' is an account: a DID, or a name hosted here.")
    method = DOES.get(do) if isinstance(do, str) else None
    if method is None:
        raise bad_request(f"'do' is one of {', '.join(sorted(DOES))}; it is {do!r:.60}.")
    params = {name: value for name, value in operation.items() if name not in ("id", "do")}
    if "as" not in method.asks.__struct_encode_fields__:
        params.pop("as", None)
    return id, method, params


def _refused(id: str, error: Exception) -> BulkRow:
    why = refusal(error)
    return BulkRow(id, "refused", None, why.code, why.message, why.status)


# What the door for HTTP answered under which key, of what it does itself: its records lie beside the node's own.


class IdempotencyKey(Request):
    """name: of the record, a digest of who gave the key and of the key."""

    name: ThingRef


class NewRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """said: the digest of the request. answer: any JSON value. about: DIDs and names of accounts with whose erasing it
    goes, beside the DIDs in the answer; null: it outlives them."""

    name: ThingRef
    said: ThingRef
    answer: Any
    about: list[str] | None = None


class NewRecords(Request):
    records: Annotated[list[NewRecord], Meta(max_length=MOST)]


class KnownRecord(Response):
    """said: the digest of the request."""

    said: ThingRef
    answer: Any


class FoundRecord(Response):
    record: KnownRecord | None


class KeptRecords(Response):
    """In the order of the request."""

    records: list[KnownRecord]


@METHODS.read("idempotency.find")
def find(at: CommitView, ask: IdempotencyKey) -> FoundRecord:
    """What was answered under a key in the last day."""
    found = idempotency.find(at.store, bytes.fromhex(ask.name), now_ms())
    return FoundRecord(None if found is None else _known(found))


@METHODS.write("idempotency.keep")
def keep(ctx: Context, ask: NewRecords, now: float) -> KeptRecords:
    """Keeps answers under keys for a day, where nothing is kept yet, and answers what is kept."""
    wall_ms, kept = ctx.replica.wall_ms(now), list[KnownRecord]()
    for one in ask.records:
        key = RecordKey(bytes.fromhex(one.name), bytes.fromhex(one.said), one.about is None)
        found = idempotency.find(ctx.store, key.name, wall_ms)
        kept.append(_known(found or idempotency.put(ctx.store, key, one.answer, wall_ms, one.about or ())))
    return KeptRecords(kept)


@METHODS.write("idempotency.drop")
def drop(ctx: Context, ask: IdempotencyKey, now: float) -> NoResult:
    """Forgets what was kept under a key: what it stood for was refused."""
    idempotency.drop(ctx.store, bytes.fromhex(ask.name), ctx.replica.wall_ms(now))
    return NoResult()


def _known(record: IdempotencyRecord) -> KnownRecord:
    return KnownRecord(record.said.hex(), msgspec.json.decode(record.answer))
