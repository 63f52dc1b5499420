"""What must hold of a home after a crash, whatever the crash left of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import EntryId
from banyan_node.context import TABLES
from banyan_node.home.audit import OPERATOR, AuditLog
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.local import open_local
from banyan_storage.blobs import BlobStore
from banyan_storage.check import verify
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.memory_engine import MemoryEngine
from banyan_web.door_store import DoorStore
from tests.crash.apart import apart
from tests.crash.disk import Said
from tests.crash.writer import CHEAP, content, file_hash, master, one_place
from tests.node.real import load_settings

NOTHING = content(MemoryEngine(TABLES))


@dataclass(slots=True)
class Promised:
    """What a writer said before its machine crashed at a line of the log, and what it would have said next."""

    rows: set[str] = field(default_factory=set)
    """The store holds one of these: what was committed last, or what was being committed."""
    files: dict[str, set[str]] = field(default_factory=dict)
    """The same for each file."""
    entries: list[EntryId] = field(default_factory=list)
    blobs: list[BlobRoot] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    """Ids of tokens of the door that are valid, and of those that are not any more."""
    act: int = 0
    """The last line of the audit log."""
    master: str = ""
    """The keys, which may be the old ones by now."""


def promised(said: Sequence[Said], line: int) -> Promised:
    found = Promised()
    states: dict[str, list[tuple[int, str]]] = defaultdict(list)
    states["rows"].append((-1, NOTHING))
    for at, (what, *words) in said:
        if what == "commit":
            states["rows"].append((at, words[0]))
        elif what == "file":
            states[words[0]].append((at, words[1]))
        elif at <= line and what == "entry":
            found.entries.append(EntryId(bytes.fromhex(words[0])))
        elif at <= line and what == "blob":
            found.blobs.append(BlobRoot(bytes.fromhex(words[0])))
        elif at <= line and what == "copy":
            found.copies[words[0]] = words[1]
        elif at <= line and what == "master":
            found.master = words[0]
        elif at <= line and what == "act":
            found.act = int(words[0])
        elif at <= line and what == "token":
            found.tokens.add(words[0])
        elif what == "revoked":
            found.tokens.discard(words[0])  # the call may have come through although nobody was told
            found.revoked |= {words[0]} if at <= line else set()
    for name, those in states.items():
        if name != "rows":
            those.insert(0, (-1, "none"))
        last = sum(at <= line for at, _ in those)
        found.files[name] = {state for _, state in those[last - 1 : last + 1]}
    found.rows = found.files.pop("rows")
    return found


def wrong(base: Path, name: str, known: Promised) -> str | None:
    """What is wrong with the home `name` in the folder `base`, or None."""

    def look() -> str:
        one_place()
        return _look(base, Home(base / name), known)

    return apart(look) or None


def _look(base: Path, home: Home, known: Promised) -> str:
    for name, states in known.files.items():
        found = file_hash(home.path / name)
        if found not in states:
            return f"{name} is {found}, it was {sorted(states)}"
    keys = [master(path) for path in (home.keys, home.old_keys) if path.exists()]
    if known.master and known.master not in keys:
        return f"the keys {known.master} are neither the node's nor kept as its old ones"
    with_store = home.store.exists() and any(p.name in ("data.mdb", "STORE") for p in home.store.iterdir())
    if not with_store and NOTHING not in known.rows:
        return "the store is gone"
    if with_store:
        with closing(LmdbEngine(home.store, TABLES)) as engine:
            found = content(engine)
        if found not in known.rows:
            return f"the store holds {found}, it held {sorted(known.rows)}"
    if said := _tokens(home, known) or _acts(home, known):
        return said
    for name, rows in known.copies.items():
        with closing(LmdbEngine(base / name, TABLES)) as engine:
            if content(engine) != rows:
                return f"the copy {name} holds {content(engine)}, not {rows}"
    home.prepare()
    if not home.keys.exists():
        Keystore.create(home.keys, None, CHEAP)
    if not home.config.exists():
        home.config.write_text('[node]\nrealm = "test"\n')
    with open_local(home, load_settings(home)) as local:
        store = local.context.store
        if said := _blobs(local.context.blobs, known.blobs):
            return said
        lost = [entry.hex() for entry in known.entries if not store.is_counted(entry)]
        if lost:
            return f"{len(lost)} acknowledged entries are gone, {lost[0]} first"
        with store.snapshot() as reader:
            found_wrong = verify(reader, lambda account, n: None)
        if found_wrong:
            return f"{found_wrong[0].where}: {found_wrong[0].sentence}"
        if not local.call("account.list")["accounts"]:
            local.call("account.create", name="Binh", hosted=False)
        posted = local.call("post", text="life goes on")
        c = local.context
        if any(store.head(c.own_log(account)).flag for account in store.accounts()):
            return "a log that this store writes is forked"
    with open_local(home, load_settings(home)) as local:
        return "" if local.context.store.is_counted(EntryId(bytes.fromhex(posted["entry"]))) else "the post is gone"


def _acts(home: Home, known: Promised) -> str:
    """What is wrong with the audit log, or an empty text: lines that are gone, and what follows after the crash."""
    if not known.act:
        return ""
    log = AuditLog(home.audit)
    last = log.append(OPERATOR, "after the crash", {})
    chain = log.verify()
    if chain.broken is not None or last <= known.act or chain.last != last:
        return f"the audit log is {chain}, and line {known.act} was written"
    return ""


def _tokens(home: Home, known: Promised) -> str:
    """What is wrong with the tokens of the door, or an empty text."""
    if not known.tokens and not known.revoked:
        return ""
    with closing(DoorStore(home.door)) as door:
        found = {token.id for token in door.tokens()}
    if lost := known.tokens - found:
        return f"{len(lost)} tokens that were shown are gone"
    return f"{len(known.revoked & found)} revoked tokens are valid again" if known.revoked & found else ""


def _blobs(blobs: BlobStore, acknowledged: Sequence[BlobRoot]) -> str:
    """What is wrong with the blobs, after what a start does with them."""
    blobs.tidy()
    for root in acknowledged:
        held = blobs.find(root)
        if held is None or not held.whole:
            return f"the acknowledged blob {root.hex()[:16]} is not here whole"
    for held in blobs.all():
        if held.whole:
            blobs.read(held.root, 0, held.size)  # raises if a byte is wrong
        elif (of := blobs.list_of(held.root)) is None:
            return f"the unfinished blob {held.root.hex()[:16]} has no list"
        else:
            blobs.begin(of).close()
    return ""
