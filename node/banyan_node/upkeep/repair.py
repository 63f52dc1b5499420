"""Repairs a store whose file was damaged: what it can still prove stays, and the rest is asked of peers.

Four steps, each durable before the next, so that a repair that is broken off can begin again:

1. Pages. If one is damaged, LMDB is not trusted with the file. All rows that can be read are copied to a new file,
   which takes the place of the old one in one step; the old one is kept beside it.
2. Content and entries. What does not match its hash or its signature is dropped (log_check.py).
3. What is made of entries is made again: numbers of logs, indexes, wanted content, due work (salvage.py), views.
4. Rows of local state that cannot be read, and a check of everything, as `banyan store verify` makes it.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.realm import Realm
from banyan_crdt.signing import verify_all
from banyan_node.context import TABLES, finish, open_store
from banyan_node.home.folder import Home
from banyan_node.moderation import reports
from banyan_node.moderation.decisions import HOLDS, Kind, every, next_number, put
from banyan_node.upkeep.log_check import CheckFindings, append_report, mend
from banyan_schema.address import Target, post_to_text
from banyan_storage import local_tables as local
from banyan_storage import salvage
from banyan_storage.check import StoreProblem, bad_parts, verify
from banyan_storage.errors import CorruptStore, begin_again
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA, Folder, put_data
from banyan_storage.lmdb_pages import Pages
from banyan_storage.local_state import DAMAGED, DamagedRow, LocalRows, held, reconcile, take_out
from banyan_storage.local_tables import FRONTIER, LOCAL, TWICE
from banyan_storage.store import Store
from banyan_storage.tables import PARTS, part_key
from banyan_storage.upgrade import Say
from banyan_storage.views.builder import begin
from banyan_storage.views.registry import NAMES

# Takes out the rows of local state that cannot be read, and makes again what other rows tell of them.
#
# Nobody else has these rows, so what cannot be made again is lost, and a sentence says what. Nothing that was kept from
# readers becomes public by it: a post stays hidden, labelled or withheld, an account limited or suspended, a network
# banned, as long as the key of the row can be read; and a decision whose row is lost is made again from what holds
# because of it, so that it can be taken back. A hosted account stays hosted. The bytes of each row are in the report.

LOST = "its words were lost with a damaged row of the store"
_STAYS: Mapping[Kind, str] = {
    "label": "the post {} stays labelled",
    "hide": "the post {} stays hidden",
    "limit": "the account {} stays limited",
    "suspend": "the account {} stays suspended",
}


def repair_rows(store: Store, report: Path) -> list[str]:
    """What came of each row, in a sentence. Commits. Raises StorageError; then all rows are as they were."""
    rows = [row for one in held(store, LOCAL).values() for row in one.damaged]
    if rows:
        lines = [(f"local state: {row.sentence}", f"    {row.name.hex()} {row.raw.hex()}") for row in rows]
        append_report(report, [line for pair in lines for line in pair])
    rows.sort(key=lambda row: LOCAL.get(row.kind) is local.DECISIONS)  # last: made of what holds
    said = [_repaired(store, row, report) for row in rows]
    reports.count_again(store)
    store.commit()
    return said


def _repaired(store: Store, row: DamagedRow, report: Path) -> str:
    first = f"{row.sentence[0].upper()}{row.sentence[1:]}"
    if (found := take_out(store, row, LOCAL)) is not None:
        return f"{first}: it is back as one of {found.kind!r}."
    kind, said = LOCAL.get(row.kind), None
    if isinstance(kind, LocalRows) and (again := _AGAIN.get(kind.prefix)) is not None:
        try:
            key = kind.key.unpack(row.name[len(kind.prefix) :])
        except DAMAGED:
            return f"{first}: it is lost, and so is what it was about."
        said = again(store, key)
    return f"{first}: {said or f'it is lost; {report} has its bytes'}."


def _holds(kind: Kind, store: Store, about: Target | AccountId) -> str:
    """A post or an account of which a decision holds."""
    account, posts = (about.account, [post_to_text(about)]) if isinstance(about, Target) else (about, list[str]())
    made = next((one for one in every(store, None) if one.undone is None and _says(one, kind, account, posts)), None)
    if made is None:
        made = _decision(next_number(store), kind, account, posts)
        put(store, made)
    HOLDS[kind].put(store, about, local.Holds(made.id, made.text))
    return f"{_STAYS[kind].format(*posts or [account_to_text(account)])}, by decision {made.id}"


def _says(one: local.DecisionNote, kind: Kind, account: AccountId, posts: list[str]) -> bool:
    return one.verdict == kind and one.account == account_to_text(account) and {*posts} <= {*one.posts}


def _decided(store: Store, number: int) -> str:
    """A decision."""
    for kind, rows in HOLDS.items():
        about = [key for key, holds in rows.rows(store) if holds.decision == number]
        if about:
            account = about[0].account if isinstance(about[0], Target) else about[0]
            posts = [post_to_text(one) for one in about if isinstance(one, Target)]
            put(store, _decision(number, kind, account, posts))
            return f"decision {number} stands ({kind} {', '.join(posts) or account_to_text(account)}); {LOST}"
    return f"decision {number} is lost; it hid, labelled, limited and suspended nothing, and what is withheld stays so"


def _decision(number: int, kind: Kind, account: AccountId, posts: list[str]) -> local.DecisionNote:
    who, none = account_to_text(account), ""
    return local.DecisionNote(number, 0, None, kind, who, posts, None, LOST, none, none, none, none, 0, none, None)


def _withheld(store: Store, post: Target) -> str:
    local.WITHHELD.put(store, post, local.Order(LOST, "", "", 0, 0))
    return f"the post {post_to_text(post)} stays withheld; the words of its order are lost"


def _hosted(store: Store, account: AccountId) -> str | None:
    number = next((number for number, one in local.HOSTED_AT.keys(store) if one == account), None)
    if number is None:
        return None
    name = next((name for name, one in local.HOSTED_NAMES.rows(store) if one == account), b"")
    local.HOSTED.put(store, account, local.HostedNumber(number, name.decode(errors="replace")))
    return f"the account {account_to_text(account)} stays hosted, as {name.decode(errors='replace')!r}"


def _banned(store: Store, network: str) -> str:
    local.BANNED_NETWORKS.put(store, network, local.NetworkBanRow(LOST, 0, None))
    return f"{network} stays banned, without a term"


_AGAIN: Mapping[bytes, Callable[[Store, Any], str | None]] = {
    **{rows.prefix: partial(_holds, kind) for kind, rows in HOLDS.items()},
    local.DECISIONS.prefix: _decided,
    local.WITHHELD.prefix: _withheld,
    local.HOSTED.prefix: _hosted,
    local.BANNED_NETWORKS.prefix: _banned,
}
"""Makes a row again under its key, and says what came of it; None: it is lost."""


DAMAGED_FILE = "data.damaged"
"""The old file of a store whose pages were damaged."""


class RepairResult(NamedTuple):
    """pages: faults of pages that were found. rows: those that were copied to a new file, if there were any.
    local: what came of each row of local state that could not be read, in a sentence. left: what is still wrong."""

    pages: list[str]
    rows: int
    found: CheckFindings
    parts: int
    local: list[str]
    left: list[StoreProblem]


def page_faults(home: Home) -> list[str]:
    """What is wrong with the pages of a store that no process has open. Raises StorageError."""
    if not (home.store / DATA).exists():
        return []
    folder = Folder(home.store, read_only=False)
    try:
        with Pages(home.store / DATA) as pages:
            return pages.check()
    finally:
        folder.release()


def repair(home: Home, realm: Realm, say: Say, may_show: bool = False) -> RepairResult:
    """Repairs the store of `home`, which no process has open. Raises StorageError, also if nothing can be read, or,
    unless it `may_show`, what was hidden could show again."""
    faults = page_faults(home)
    rows = 0
    if faults:
        say(f"Faults of pages: {len(faults)}, the first: {faults[0]}. Rows that can be read are copied to a new file.")
        rows = _copy(home.store, may_show)
        say(f"{rows:,} rows were copied; the damaged file stays as {home.store / DAMAGED_FILE}, for you to delete.")
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        salvage.names(engine.write(), realm)
        back = reconcile(engine.write(), TWICE)
        engine.commit()
    engine, store = open_store(home, realm, say)
    with closing(engine):
        wrong = [part_key(bad.n, bad.op) for bad in bad_parts(store)]
        for key in wrong:  # before anything is folded that reads them
            engine.write().delete(PARTS, key)
        FRONTIER.put(store, None)
        store.commit()
        copied = store.counts().entries
        found = mend(store, realm, int(time.time()), home.mended, say, verify=verify_all)
        salvage.indexes(engine.write(), realm)
        begin(engine.write(), NAMES)
        engine.commit()
    engine, store = open_store(home, realm, say)
    with closing(engine):
        finish(engine, store, say)
        local, now = back + repair_rows(store, home.mended), store.counts()
        if faults:
            lost = f"{copied - now.entries:,} of the entries that were copied"
            say(f"Lacking are {now.lacking:,} pieces of content, {lost} and maybe others, until a peer gives them.")
        return RepairResult(faults, rows, found, len(wrong), local, verify(store, lambda account, n: None))


def _copy(store: Path, may_show: bool) -> int:
    """Copies what can be read to a new data file in the place of the old one, which is kept beside it."""
    folder = Folder(store, read_only=False)
    try:
        with TemporaryDirectory(prefix="new-", dir=store) as draft, Pages(store / DATA) as pages:
            with closing(LmdbEngine(Path(draft), TABLES)) as engine:
                rows = salvage.copy_readable(pages, engine, may_show)
            if not rows:
                raise CorruptStore(
                    f"{store}: no row can be read, so nothing is repaired, and it stays as it is; {begin_again(store)}"
                )
            (store / DAMAGED_FILE).unlink(missing_ok=True)
            os.link(store / DATA, store / DAMAGED_FILE)
            put_data(Path(draft) / DATA, store)
        return rows
    finally:
        folder.release()
