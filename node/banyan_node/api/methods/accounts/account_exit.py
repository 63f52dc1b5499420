"""An account leaves: it is closed and erased, dropped from this node, or taken out as an archive or a site."""

import errno
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, structs

from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, EntryId, account_to_text, is_checkpoint
from banyan_crdt.ops import Close
from banyan_crdt.state import erasure_dep, wish_of
from banyan_node.api.declare import AccountRequest, CommitView, EmptyRequest, MethodTable, Request, Response
from banyan_node.api.json_types import AccountRef, Did, DigestHex, Milliseconds, WriterHex, did, digest_hex, writer_hex
from banyan_node.api.methods.accounts import keys
from banyan_node.api.methods.network.store import WholePath, whole_path
from banyan_node.context import Context
from banyan_node.exporting.activitystreams import write_streams
from banyan_node.exporting.sinks import new_file, new_folder, new_zip
from banyan_node.exporting.site import write_site
from banyan_node.home.keystore import ROOT_SLOT
from banyan_node.hosting import erasure, hosted, interest
from banyan_node.operator_errors import CallError, conflict, not_found
from banyan_storage.archive import export_account
from banyan_storage.due import Work
from banyan_storage.local_tables import DROPPED, ERASURES, Erasure, Word
from banyan_storage.reader import StoreReader

METHODS = MethodTable()


class EraseRequest(Request):
    """confirm: the name under which the account is hosted here, or its DID, typed again. reason: why, such as the
    request of its owner. days: within how many days all is gone here; it begins a day before that."""

    account: AccountRef
    confirm: str
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    days: Annotated[int, Meta(ge=0, le=erasure.MOST_DAYS)] = 0


class PeerAnswer(Response):
    """What a peer does about it, by what it said last, at `at_ms`. state: erased; waits, until `until_ms`; shown, to
    its operator; unknown: it said nothing, as one that does not have the account, or runs an older program. by: the key
    that signed the answer."""

    peer: str
    state: Word
    until_ms: Milliseconds | None
    at_ms: Milliseconds
    by: WriterHex | None


class ErasureReceipt(Response):
    """reason: empty, if the account's control log asks for it and nobody here did. at_ms: when it was asked for, or
    seen here. until_ms: by when all is gone here; of what the control log asks for, when it may go. erased_ms: when it
    was gone from every file of this node; null: not yet. state: waits, erased, or shown to the operator, who decides.
    peers: what other nodes answered to this one, where it was asked for."""

    account: Did
    reason: str
    at_ms: Milliseconds
    until_ms: Milliseconds
    erased_ms: Milliseconds | None
    state: Word
    peers: list[PeerAnswer]


class Erasures(Response):
    erasures: list[ErasureReceipt]


@METHODS.write("account.erase", "not_found", "refused", audited=True, final=True)
def erase(ctx: Context, ask: EraseRequest, now: float) -> ErasureReceipt:
    """Closes a hosted account, unless it is closed, and erases all that this node holds of it but its control log.
    Until the erasing begins, the recovery key undoes both (`account.recover`), and a second call replaces the reason
    and the term. Once it has begun, a call changes nothing and answers how far it is."""
    account = hosted.account_of(ctx, ask.account)
    home, known = hosted.hosted(ctx, account), ERASURES.get(ctx.store, account)
    if known is not None and erasure.is_begun(ctx.store, account, hosted.control_of(ctx, account)):
        hosted.end(ctx, account)
        return _receipt(ctx.store, account, known)
    if home is None:
        raise conflict(f"{account_to_text(account)} is not hosted here; `banyan store drop` drops it.")
    if account == hosted.me(ctx):
        raise conflict("This is the node's own account: close it, and delete the home.")
    keys.demand_name(home, ask.confirm)
    control, now_ms = hosted.control_of(ctx, account), ctx.replica.wall_ms(now)
    if control.frozen:
        raise conflict("The account is frozen: a key of a higher slot has to decide first.")
    wish = wish_of(control)
    entry = None if wish is None else wish.entry
    try:
        entry = _close(ctx, account, erasure_dep(erasure.begins(ask.days, now_ms)), now)
    except (CallError, Refused):
        if not control.closed:
            raise
    return _receipt(ctx.store, account, erasure.plan(ctx, account, ask.reason, ask.days, now_ms, entry))


def _close(ctx: Context, account: AccountId, wish: EntryId | None, now: float) -> EntryId:
    """Closes the account, also once more, with a wish or to take one back."""
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    deps = () if wish is None else (wish,)
    entry = ctx.replica.author.control(account, root, Close(), ctx.replica.wall_ms(now), deps=deps)
    ctx.replica.writes.publish_control(account, now)
    return entry.id


@METHODS.write("account.unerase", "not_found", "refused", audited=True)
def take_back(ctx: Context, ask: AccountRequest, now: float) -> ErasureReceipt:
    """Takes back, here and at peers, that the account is to be erased, if that has not begun here. It stays closed,
    until its recovery key undoes that."""
    account, known = _known(ctx, ask)
    if not known.here:
        raise conflict("It was not asked for here: its root key takes it back.")
    if ctx.store.due_at(Work.ERASE_ACCOUNT, account) is None:
        raise conflict("It is erased here already.")
    if known.entry:
        _close(ctx, account, None, now)
    erasure.take_back(ctx, account)
    return _receipt(ctx.store, account, known)


@METHODS.write("store.erase", "not_found", "refused", audited=True)
def obey(ctx: Context, ask: AccountRequest, now: float) -> ErasureReceipt:
    """Obeys an account that asks by its control log to be erased: it goes from this node's files when 30 days are over
    in which whoever was robbed can undo it."""
    account, known = _known(ctx, ask)
    if hosted.is_hosted(ctx.store, account):
        raise conflict("This account is hosted here: `banyan account erase` erases it.")
    if known.word == "shown":
        now_ms = ctx.replica.wall_ms(now)
        ctx.store.set_due(Work.ERASE_ACCOUNT, account, now_ms)  # it is looked again, and waits
        known = erasure.put(ctx, account, structs.replace(known, obeyed=True), now_ms)
    return _receipt(ctx.store, account, known)


@METHODS.read("store.erasures", slow=True)
def listing(at: CommitView, ask: EmptyRequest) -> Erasures:
    """The accounts that are to be erased or were: asked for here, or by the account itself, wherever it is hosted."""
    return Erasures([_receipt(at.store, account, one) for account, one in ERASURES.rows(at.store)])


@METHODS.read("account.erasure", "not_found", "refused")
def receipt(at: CommitView, ask: AccountRequest) -> ErasureReceipt:
    """How far the erasing of an account is, here and at peers."""
    return _receipt(at.store, *_known(at, ask))


def _known(at: Context | CommitView, ask: AccountRequest) -> tuple[AccountId, Erasure]:
    account = hosted.account_of(at, ask.account)
    found = ERASURES.get(at.store, account)
    if found is None:
        raise not_found(f"No erasing of {account_to_text(account)} was asked for here.")
    return account, found


def _receipt(reader: StoreReader, account: AccountId, made: Erasure) -> ErasureReceipt:
    peers = [
        PeerAnswer(one.peer, one.word, one.until_ms, one.at_ms, None if one.by is None else writer_hex(one.by))
        for one in erasure.answers(reader, account)
    ]
    return ErasureReceipt(did(account), made.reason, made.at_ms, made.until_ms, made.erased_ms, made.word, peers)


# Dropping accounts from this node, and taking them again.


class DroppedAnswer(Response):
    """entries: how many were held and counted."""

    account: Did
    entries: int


class UndroppedAnswer(Response):
    account: Did


class DroppedAccounts(Response):
    accounts: list[Did]


@METHODS.write("store.drop", "refused", "not_found", alone=True, audited=True)
def drop(ctx: Context, ask: AccountRequest, now: float) -> DroppedAnswer:
    """Erases an account from this node, which does not fetch it again. Readers are shown nothing of it any more; a
    large one is erased in steps after the answer. Other nodes decide for themselves."""
    account = hosted.account_of(ctx, ask.account)
    if ctx.settings.config.interest.mode == "all":
        raise conflict(
            "This node holds all accounts (interest.mode) and cannot tell its neighbours that it lacks one, so they "
            "would offer it for ever. Drop it on a node of chosen accounts, or withhold its posts (`store withhold`)."
        )
    if hosted.is_hosted(ctx.store, account):
        raise conflict("This node signs for that account; `banyan account close` ends it for everybody.")
    DROPPED.put(ctx.store, account, True)
    ctx.replica.commit()
    interest.hold(ctx, now)
    entries = interest.begin_drop(ctx, account)
    interest.drop_step(ctx, account, now)
    return DroppedAnswer(did(account), entries)


@METHODS.write("store.undrop", "not_found", alone=True, audited=True)
def undrop(ctx: Context, ask: AccountRequest, now: float) -> UndroppedAnswer:
    """Lets a dropped account in again. It is fetched if somebody here follows it closely enough."""
    account = hosted.account_of(ctx, ask.account)
    if not DROPPED.has(ctx.store, account):
        raise not_found("That account is not dropped here; `banyan store dropped` lists those that are.")
    DROPPED.put(ctx.store, account, None)
    ctx.replica.commit()
    interest.hold(ctx, now)
    if account in ctx.store.leaving() and interest.is_wanted(ctx, account):
        interest.stay(ctx, account, now)
    return UndroppedAnswer(did(account))


@METHODS.read("store.dropped", slow=True)
def listed(at: CommitView, ask: EmptyRequest) -> DroppedAccounts:
    """The accounts that were dropped from this node."""
    return DroppedAccounts([did(account) for account in DROPPED.keys(at.store)])


# Takes one account out: as an archive that another node imports, as ActivityStreams, or as a site.

Format = Annotated[
    Literal["archive", "activitystreams", "html"],
    Meta(description="archive: for `import archive` elsewhere; activitystreams: a folder, or a zip; html: a folder."),
]


class AccountExportRequest(Request):
    """path: a file for an archive, a folder for a site, a folder or a name that ends with .zip for ActivityStreams;
    nothing may be there. readers: an archive with the content that readers are given; by default, for another node,
    with all that is held, also what was deleted lately or is hidden here. most: refuses, before anything is written,
    an account that wrote more bytes than that."""

    account: AccountRef
    path: WholePath
    format: Format = "archive"
    readers: bool = False
    most: int | None = None


class AccountExportResult(Response):
    """entries: of its logs. posts: posts and reposts that were written; null for an archive. digest: of the account's
    heads; `digest` of another node that imported the archive gives the same. lacking: missing pieces of content, of all
    accounts."""

    account: Did
    path: str
    format: str
    entries: int
    posts: int | None
    digest: DigestHex
    lacking: int


@METHODS.read("account.export", "not_found", "refused", "too_large", slow=True)
def account_export(at: CommitView, ask: AccountExportRequest) -> AccountExportResult:
    """Writes one account to a file or folder, which has its name once it is whole."""
    account, path = hosted.account_of(at, ask.account), whole_path("account.export", ask.path)
    who = account_to_text(account)
    if at.store.grants(account) is None:
        raise not_found(f"{who} is not held here, so there is nothing to export.")
    if ask.most is not None and (size := _written_bytes(at, account)) > ask.most:
        said = f"{who} wrote {size:,} bytes, more than {ask.most:,}: export it with `banyan export`."
        raise CallError("too_large", said, 413)
    try:
        posts = _written(at, account, path, ask)
    except FileExistsError as error:
        raise conflict(f"{path} is there already: choose another name.") from error
    except OSError as error:
        full = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        said = f"{path} cannot be written ({full}); nothing is left of it: make room or choose another place."
        raise CallError("storage", said, 507) from error
    heads = at.store.heads(account).items()
    return AccountExportResult(
        account=did(account),
        path=str(path),
        format=ask.format,
        entries=sum(head.length for log, head in heads if not is_checkpoint(log)),
        posts=posts,
        digest=digest_hex(at.store.account_digest(account)),
        lacking=at.store.counts().lacking,
    )


def _written_bytes(at: CommitView, account: AccountId) -> int:
    """What the account's logs have, with content that was erased since: one row is read of each."""
    last = [head.id for log, head in at.store.heads(account).items() if head.id and not is_checkpoint(log)]
    return sum(entry.header.total for id_ in last if (entry := at.store.entry(id_)) is not None)


def _written(at: CommitView, account: AccountId, path: Path, ask: AccountExportRequest) -> int | None:
    if ask.format == "archive":
        with new_file(path) as file:
            export_account(at.store, account, file, at.queries().gives if ask.readers else None)
        return None
    if ask.format == "html":
        with new_folder(path) as folder:
            return write_site(at.queries(), at.blobs, account, folder)
    with new_zip(path) if path.suffix == ".zip" else new_folder(path) as sink:
        return write_streams(at.queries(), at.blobs, account, sink)
