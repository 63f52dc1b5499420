"""Takes one account out: as an archive that another node imports, as ActivityStreams, or as a site."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId, account_to_text, is_checkpoint
from banyan_node.api.declare import CommitView, MethodTable, Request, Response
from banyan_node.api.json_types import AccountRef, Did, DigestHex, did, digest_hex
from banyan_node.api.methods.store import WholePath, whole_path
from banyan_node.exporting.activitystreams import write_streams
from banyan_node.exporting.sinks import new_file, new_folder, new_zip
from banyan_node.exporting.site import write_site
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError, conflict, not_found
from banyan_storage.archive import export_account

METHODS = MethodTable()
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
