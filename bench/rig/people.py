"""The accounts and stores that benches run on: written by the node's own author, the same in every run.

A store is made once and kept under a name with a digest of the code that wrote it, so that a bench never reads a store
of an older schema. An account is computed from its number alone, so two stores can hold the same accounts.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, LogId, WriterKey, key_digest
from banyan_crdt.realm import DAY_MS, TEST
from banyan_crdt.signing import Signer
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_reading.queries import queries
from banyan_reading.search.indexer import SearchIndex
from banyan_replica.host import PartItem
from banyan_replica.intake.author import Author, EntryDraft, grant_to
from banyan_replica.intake.ingest import Ingest
from banyan_replica.sync.replay import note_agreement
from banyan_schema.social import Post, ReplyTo, Target, post_key, relate, set_profile, write_post
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.local_tables import MET
from banyan_storage.store import Store
from banyan_storage.views import SocialViews
from bench.harness import ROOT, say
from bench.rig.processes import new_home

BIRTH_MS = TEST.birth_ms + DAY_MS
TEXT_BYTES = 190
"""With header, links and salt an entry of such a post takes about 300 bytes on the way."""
COMMIT_ENTRIES = 5_000


class Account(NamedTuple):
    """An account that a bench writes for. `salt`: what keys of its cells are drawn from."""

    number: int
    id: AccountId
    salt: bytes
    device: Signer

    @property
    def log(self) -> LogId:
        return LogId(self.id, self.device.key, 1)


class Opening(NamedTuple):
    """How an account becomes known: its control log, and the content of its inception."""

    control: tuple[Entry, ...]
    content: PartItem


def drawn(seed: str) -> Callable[[int], bytes]:
    """Bytes that look random, the same in every run."""
    count = 0

    def draw(n: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.sha256(f"{seed} {count}".encode()).digest()[:n]

    return draw


def opened(engine: Engine) -> Ingest:
    return Ingest(Store(engine, TEST, new_store_id=secrets.token_bytes(16), views=SocialViews()), TEST)


@contextmanager
def filling(home: Path) -> Iterator[Author]:
    """An author on the store of a home, for as long as its node does not run; what it wrote is durable at the end."""
    ingest = opened(LmdbEngine(Home(home).store, TABLES))
    try:
        yield Author(ingest, TEST, drawn("salts"))
        ingest.store.commit()
    finally:
        ingest.store.close()


def open_account(author: Author, number: int) -> tuple[Account, Opening]:
    """Account `number`: an inception, signed by its root key, and a grant for its one device."""
    draw = drawn(f"account {number}")
    root, following, device, salt = (draw(32) for _ in range(4))
    outer, author.random = author.random, draw
    signer = Signer(TEST, device)
    account, control = author.open_account(
        [(Signer(TEST, root), key_digest(WriterKey(following)))], salt, [grant_to(signer.key)], BIRTH_MS
    )
    author.random = outer
    raw = author.store.part(control[0].id, 0)
    assert raw is not None
    return Account(number, account, salt, signer), Opening(control, PartItem(control[0].id, 0, raw))


def root_of(number: int) -> Signer:
    """The root key of account `number`."""
    return Signer(TEST, drawn(f"account {number}")(32))


def known_account(number: int, account: AccountId) -> Account:
    """An account that some store holds already, from its number and id."""
    draw = drawn(f"account {number}")
    _, _, device, salt = (draw(32) for _ in range(4))
    return Account(number, account, salt, Signer(TEST, device))


def admit(ingest: Ingest, account: Account, opening: Opening) -> None:
    """The account's control log in another store, as a peer that knows the account holds it."""
    ingest.control(account.id, opening.control, BIRTH_MS)
    ingest.parts([opening.content])


def social_post(salt: bytes, nonce: bytes, n: int, reply: ReplyTo | None = None) -> EntryDraft:
    """A post of TEXT_BYTES in an account whose cells are keyed under `salt`."""
    text = f"post {n}: ".ljust(TEXT_BYTES, "x")
    made = write_post(post_key(salt, nonce, BIRTH_MS + n), Post(text, reply, created_ms=BIRTH_MS + n))
    return EntryDraft((made.op,), (made.content,))


def post(account: Account, n: int, reply: ReplyTo | None = None) -> EntryDraft:
    """Post n of the account."""
    return social_post(account.salt, n.to_bytes(16, "big"), n, reply)


def post_target(account: Account, n: int) -> Target:
    return Target(account.id, post_key(account.salt, n.to_bytes(16, "big"), BIRTH_MS + n))


def named(account: Account) -> EntryDraft:
    made = set_profile(account.salt, "name", f"Account {account.number}")
    return EntryDraft((made.op,), (made.content,))


def following(account: Account, others: Sequence[AccountId]) -> EntryDraft:
    """One entry that follows all of them."""
    made = [relate(account.salt, "follow", other) for other in others]
    return EntryDraft(tuple(d.op for d in made), tuple(d.content for d in made))


def write_in_turn(author: Author, work: Iterator[tuple[Account, Sequence[EntryDraft]]], each_signed: bool) -> int:
    """Appends entries and commits. Returns their number. `each_signed`: like posts that were published one by one."""
    entries = waiting = 0
    for account, drafts in work:
        pieces = [[d] for d in drafts] if each_signed else [drafts]
        for piece in pieces:
            author.append(account.log, account.device, piece, BIRTH_MS + entries)  # no post is of a later time
            entries += len(piece)
        waiting += len(drafts)
        if waiting >= COMMIT_ENTRIES:
            author.store.commit()
            waiting = 0
    author.store.commit()
    return entries


def index_posts(home: Path) -> None:
    """Brings the index of posts up to date, as it is at a node that has run for a while."""
    engine = LmdbEngine(Home(home).store, TABLES)
    ingest = opened(engine)
    try:
        with queries(engine, TEST) as q:
            SearchIndex(Home(home).search, ingest.store.store_id).current(q)
    finally:
        ingest.store.close()


def forget_meetings(home: Path) -> None:
    """What the store remembers of peers that it met."""
    with filling(home) as author:
        for other in [*MET.keys(author.store)]:
            MET.put(author.store, other, None)


# -- stores that are kept


def kept(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` as `make` fills it, made once for each state of the code that writes stores."""
    place = folder / f"stores-{_code()}" / name
    if not place.exists():
        say(f"making {name} (kept for the next run if --folder names the folder)")
        draft = place.with_name(f".{name}.{secrets.token_hex(4)}")
        draft.mkdir(parents=True)
        make(draft)
        draft.rename(place)
    return place


def copied(home: Path, to: Path) -> Path:
    """A home that a node may write in."""
    if to.exists():
        shutil.rmtree(to)
    shutil.copytree(home, to)
    return to


def _code() -> str:
    digest = hashlib.sha256()
    author = ROOT / "replica" / "banyan_replica" / "intake" / "author.py"
    for room in [ROOT / "crdt", ROOT / "schema", ROOT / "storage", author, Path(__file__)]:
        for path in sorted(room.rglob("*.py")) if room.is_dir() else [room]:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def runs_home(folder: Path, writers: int, entries: int) -> Path:
    """A home that holds `entries` posts of each of `writers`, every one published and signed alone."""

    def make(place: Path) -> None:
        with filling(new_home(place)) as author:
            people = [open_account(author, n)[0] for n in range(writers)]
            step = 50
            work = (
                (p, [post(p, n) for n in range(first, min(first + step, entries))])
                for first in range(0, entries, step)
                for p in people
            )
            write_in_turn(author, work, each_signed=True)
        index_posts(place)

    return kept(folder, f"runs-{writers}x{entries}", make)


def singles_homes(folder: Path, writers: int) -> tuple[Path, Path]:
    """Two homes: one that holds an account of each writer and a post by each, and one that was away for the posts: it
    holds the accounts, and a note of where the two agreed."""

    def make(place: Path) -> None:
        with filling(new_home(place / "full")) as author, filling(new_home(place / "away")) as away:
            people = []
            for number in range(writers):
                account, opening = open_account(author, number)
                admit(away.ingest, account, opening)
                people.append(account)
                if number % 1_000 == 999:
                    author.store.commit()
                    away.store.commit()
            note_agreement(away.store, author.store.store_id, author.store.last_arrival)
            write_in_turn(author, ((p, [post(p, 0)]) for p in people), each_signed=True)
        index_posts(place / "full")
        index_posts(place / "away")

    place = kept(folder, f"singles-{writers}", make)
    return place / "full", place / "away"
