"""The store as a whole: exporting and importing archives, totals, checks, and a compacted copy.

Entries of an archive are judged like those from a peer: signatures, links and grants are checked, and wrong frames are
counted and left out. An import is made durable every few megabytes. So what came before a damaged byte or a power loss
is kept, and importing the archive again costs little for it.
"""

from itertools import count
from pathlib import Path
from typing import Annotated, BinaryIO

from msgspec import Meta

from banyan_crdt import signing
from banyan_crdt.checkpoint import decode_checkpoint
from banyan_crdt.errors import NotYet, Reject
from banyan_crdt.ids import AccountId
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_node.api.declare import CommitView, EmptyRequest, MethodTable, Request, Response
from banyan_node.api.json_types import Did, DigestHex, did, digest_hex
from banyan_node.context import Context
from banyan_node.exporting.sinks import draft_of, new_folder, remove_draft, resumed_file
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_node.upkeep.tasks import Step
from banyan_replica.host import PartItem
from banyan_storage import archive as frames
from banyan_storage import check, tables
from banyan_storage.lmdb_folder import make_folder
from banyan_storage.local_state import held
from banyan_storage.local_tables import LOCAL
from banyan_storage.reader import StoreReader
from banyan_storage.views.large_accounts import waiting

METHODS = MethodTable()
COMMIT_BYTES = 4 << 20
"""Bytes of an archive that are imported between two commits."""


WholePath = Annotated[str, Meta(title="a whole path, from /", description="A path on the node's machine, from /.")]


class ExportRequest(Request):
    """resume: continue a file that was interrupted; else it starts again."""

    path: WholePath
    resume: bool = False


class PathRequest(Request):
    path: WholePath


class ExportResult(Response):
    path: str
    bytes: int
    accounts: int
    digest: DigestHex


class ArchiveImport(Response):
    """accounts, entries, parts: how many are new. rejected, not_yet: frames left out. same: whether this store now
    holds exactly what the archive's store held; false if it holds more. account: the only one of the archive, if it has
    one; then the digests and `same` are of that account, whatever else is held."""

    accounts: int
    entries: int
    parts: int
    rejected: int
    not_yet: int
    digest: DigestHex
    expected: DigestHex | None
    same: bool
    account: Did | None


class LocalRow(Response):
    """Local state of one kind: rows that this node keeps for itself. owner: the module that decides what they mean."""

    name: str
    owner: str
    version: int
    rows: int
    bytes: int


class StoreStats(Response):
    """lacking: missing pieces of content. longest: entries of the longest log. bytes: of the store on disk. media,
    media_bytes: how many blobs are here, and what they take beside the store. local: of each kind that has rows.
    damaged: a sentence for each of those rows that cannot be read."""

    accounts: int
    logs: int
    entries: int
    parts: int
    lacking: int
    forked: int
    longest: int
    last_arrival: int
    bytes: int
    media: int
    media_bytes: int
    schema: int
    local: list[LocalRow]
    damaged: list[str]


class ProblemRow(Response):
    where: str
    sentence: str


class VerifyResult(Response):
    """checked: entries. unchecked: views that are being built, and accounts of which something is left to be folded."""

    checked: int
    unchecked: list[str]
    problems: list[ProblemRow]


class CompactResult(Response):
    """before, after: bytes on disk."""

    before: int
    after: int
    path: str


@METHODS.read("archive.export", "refused", slow=True, audited=True)
def export(at: CommitView, ask: ExportRequest) -> ExportResult:
    """Writes all held data to one file, which has its name once it is whole. Of one that is cancelled nothing is
    left."""
    path, store = whole_path("archive.export", ask.path), at.store
    _refuse_odd(path)
    with at.works.running("archive.export", path.name, store.counts().accounts) as step:
        written = _exported(store, path, _each(step), ask.resume)
    return ExportResult(str(path), written, store.counts().accounts, digest_hex(store.digest()))


def _exported(store: StoreReader, path: Path, progress: frames.Progress, resume: bool) -> int:
    """The size of the file. Raises CallError."""
    draft = draft_of(path)
    try:
        if resume and path.exists() and not draft.exists():  # of a version that wrote under the name itself
            with path.open("rb") as old:
                frames.whole_until(old, store)
            path.rename(draft)
        with resumed_file(path) as file:
            return _export(store, file, progress, resume)
    except CallError:  # cancelled
        remove_draft(draft)
        raise
    except FileExistsError as error:
        said = f"{path} is there already, or is being written: choose another name."
        raise conflict(said) from error
    except frames.NotResumable as why:
        said = f"{path} cannot be gone on with: {why}. It was left as it is; choose another name."
        raise conflict(said) from why
    except OSError as error:
        then = "; go on with --resume" if draft.exists() else ""
        raise CallError("storage", f"{path} cannot be written ({error.strerror}){then}.", 507) from error


def _export(reader: StoreReader, file: BinaryIO, progress: frames.Progress, resume: bool) -> int:
    """Continues after the last complete account in the file; returns the size of the file afterwards."""
    keep, after = frames.whole_until(file, reader) if resume else (0, None)
    file.seek(keep)
    file.truncate()
    frames.export_archive(reader, file, progress, after)
    return file.tell()


def _each(step: Step) -> frames.Progress:
    """Counts accounts."""
    counted = count(1)
    return lambda account, done: step(next(counted))


@METHODS.write("archive.import", "not_found", "refused", alone=True, audited=True)
def take(ctx: Context, ask: PathRequest, now: float) -> ArchiveImport:
    """Imports an archive. Its entries are judged like those from a peer."""
    path = whole_path("archive.import", ask.path)
    _refuse_odd(path)
    before = ctx.store.counts()
    taking = _Taking(ctx, ctx.replica.wall_ms(now))
    try:
        with path.open("rb") as file, ctx.works.running("archive.import", path.name, path.stat().st_size) as step:
            for frame in frames.read_archive(file):
                taking.frame(frame)
                step(file.tell())
    except frames.NotAnArchive as error:
        raise bad_request(
            f"{path} is no archive of banyan's: it does not begin as one. `banyan export FILE` writes an archive; for "
            "text there are `banyan import graph` and `banyan import posts`."
        ) from error
    except frames.ArchiveDamaged as error:
        if not path.stat().st_size:
            raise bad_request(f"{path} is empty; `banyan export FILE` writes an archive.") from error
        raise CallError("storage", f"{path}: {error}; import the whole archive again.", 507) from error
    except OSError as error:
        raise not_found(f"{path} cannot be read ({error.strerror}).") from error
    finally:
        ctx.replica.commit()
    if taking.last is not None and ctx.holds(taking.last):
        ctx.replica.writes.publish_control(taking.last, now, push=False)
    after, digest = ctx.store.counts(), ctx.store.digest()
    if digest != taking.expected and taking.only is not None:
        digest = ctx.store.account_digest(taking.only)
    return ArchiveImport(
        accounts=after.accounts - before.accounts,
        entries=after.entries - before.entries,
        parts=after.parts - before.parts,
        rejected=taking.rejected,
        not_yet=taking.not_yet,
        digest=digest_hex(digest),
        expected=digest_hex(taking.expected) if taking.expected else None,
        same=digest == taking.expected,
        account=None if taking.only is None else did(taking.only),
    )


class _Taking:
    """Judges frames one after another. rejected, not_yet: how many were left out."""

    def __init__(self, ctx: Context, now_ms: int) -> None:
        self.ctx, self.now_ms = ctx, now_ms
        self.rejected = self.not_yet = 0
        self.only: AccountId | None = None
        """The archive's account, if it has one only."""
        self.last: AccountId | None = None
        self.expected: bytes | None = None
        self._pending = 0

    def frame(self, frame: frames.Frame) -> None:
        try:
            self._judge(frame)
        except Reject:
            self.rejected += 1
        except NotYet:
            self.not_yet += 1
        if self._pending >= COMMIT_BYTES:
            self._pending = 0
            self.ctx.replica.commit()

    def _judge(self, frame: frames.Frame) -> None:
        ingest, realm = self.ctx.replica.ingest, self.ctx.realm
        match frame:
            case frames.StartFrame(theirs) if theirs != realm.id:
                raise conflict(
                    f"The archive is of realm {theirs.hex()[:16]}, this node of {realm.id.hex()[:16]} ({realm.name})."
                )
            case frames.ControlFrame(account, entries):
                self._pending += sum(len(x) for e in entries for x in e)
                ingest.control(account, [decode_control(realm, e) for e in entries], self.now_ms)
            case frames.CheckpointFrame(_, raw):
                self._pending += len(raw)
                checkpoint = decode_checkpoint(realm, raw)
                signing.verify(realm, *checkpoint.signed)
                ingest.checkpoint(checkpoint, self.now_ms)
            case frames.RunFrame(_, raw):
                self._pending += len(raw)
                run = decode_run(realm, raw)
                if not self.ctx.store.has(run.entries[-1].id):
                    verify_run(realm, run)
                ingest.run(run, self.now_ms)
            case frames.PartsFrame(_, parts):
                self._pending += sum(len(raw) for _, _, raw in parts)
                ingest.parts([PartItem(*part) for part in parts])
            case frames.DoneFrame(account):
                self.only = account if self.last is None else None
                self.last = account
            case frames.EndFrame(digest):
                self.expected = digest


@METHODS.read("store.stats", slow=True, apart=False)
def stats(at: CommitView, ask: EmptyRequest) -> StoreStats:
    """How much is held."""
    found, local = check.stats(at.store), held(at.store, LOCAL)
    return StoreStats(
        accounts=found.counts.accounts,
        logs=found.counts.logs,
        entries=found.counts.entries,
        parts=found.counts.parts,
        lacking=found.counts.lacking,
        forked=found.forked,
        longest=found.longest,
        last_arrival=found.last_arrival,
        bytes=at.queries().used,
        media=len(at.blobs.all()),
        media_bytes=at.blobs.used(),
        schema=tables.SCHEMA,
        local=[
            LocalRow(name, LOCAL[name].owner, LOCAL[name].version, one.rows, one.bytes)
            for name, one in local.items()
            if name and one.rows
        ],
        damaged=[row.sentence for one in local.values() for row in one.damaged],
    )


@METHODS.read("store.verify", slow=True, apart=False)
def verify(at: CommitView, ask: EmptyRequest) -> VerifyResult:
    """Checks all held data. The time grows with the size of the store."""
    with at.works.running("store.verify", "", at.store.counts().accounts) as step:
        problems = check.verify(at.store, _each(step))
    unchecked = [view.name for view in at.queries().standings() if view.done < 1]
    unchecked += map(did, waiting(at.store.txn))
    return VerifyResult(
        at.store.counts().entries, unchecked, [ProblemRow(found.where, found.sentence) for found in problems]
    )


@METHODS.write("store.compact", alone=True, audited=True)
def compact(ctx: Context, ask: PathRequest, now: float) -> CompactResult:
    """Writes a copy of the store without unused space to a folder, new or empty, which has its name once it is
    whole."""
    path = whole_path("store.compact", ask.path)
    ctx.replica.commit()
    with ctx.works.running("store.compact", path.name, stoppable=False):
        try:
            make_folder(path.parent)
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            with new_folder(path) as folder:
                done = check.compact(ctx.engine, folder.path)
        except FileExistsError as error:
            raise bad_request(f"{path} is not empty; give a new folder for the copy.") from error
        except OSError as error:
            raise CallError("storage", f"{path} cannot be written ({error.strerror}).", 507) from error
    return CompactResult(done.before, done.after, str(path))


def _refuse_odd(path: Path) -> None:
    """Raises CallError for a pipe, a device or a folder: to open one may wait for ever, and all writes with it."""
    if path.exists() and not path.is_file():
        raise bad_request(f"{path} is no ordinary file; name one.")


def whole_path(method: str, text: str) -> Path:
    """A path that does not depend on where the node was started. Raises CallError."""
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise bad_request(f"{method} needs a whole path, from /; it got {text[:60]!r}.")
    return path
