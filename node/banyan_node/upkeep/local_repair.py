"""Takes out the rows of local state that cannot be read, and makes again what other rows tell of them.

Nobody else has these rows, so what cannot be made again is lost, and a sentence says what. Nothing that was kept from
readers becomes public by it: a post stays hidden, labelled or withheld, an account limited or suspended, a network
banned, as long as the key of the row can be read; and a decision whose row is lost is made again from what holds
because of it, so that it can be taken back. A hosted account stays hosted. The bytes of each row are in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from banyan_crdt.ids import AccountId, account_to_text
from banyan_node.moderation import reports
from banyan_node.moderation.decisions import HOLDS, Kind, every, next_number, put
from banyan_node.upkeep.log_check import append_report
from banyan_schema.address import Target, post_to_text
from banyan_storage import local_tables as local
from banyan_storage.local_state import DAMAGED, DamagedRow, LocalRows, held, take_out
from banyan_storage.local_tables import LOCAL
from banyan_storage.store import Store

LOST = "its words were lost with a damaged row of the store"
_STAYS: Mapping[Kind, str] = {
    "label": "the post {} stays labelled",
    "hide": "the post {} stays hidden",
    "limit": "the account {} stays limited",
    "suspend": "the account {} stays suspended",
}


def repair(store: Store, report: Path) -> list[str]:
    """What came of each row, in a sentence. Commits. Raises StorageError; then all rows are as they were."""
    rows = [row for one in held(store, LOCAL).values() for row in one.damaged]
    if not rows:
        return []
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
