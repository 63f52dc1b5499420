"""The thefts of rows.py on real homes: the owner has a home, friends have homes, and she answers by commands.

`Homes` looks to the thieves of rows.py like a `Scene`: they sign with the keys that they have, here those of the
owner's home and paper, and what they send is judged by a friend's store as from any peer. All that the owner does, and
how one looks at her posts, are command lines. Archives stand for the network.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from banyan_crdt.checkpoint import ControlRef, make_checkpoint
from banyan_crdt.entry import Entry
from banyan_crdt.errors import NotYet
from banyan_crdt.ids import LogId, account_from_text
from banyan_crdt.ops import Op, Pin, Put, Tomb, decode_body
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_crdt.signing import Signer
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.home.keystore import RECOVERY_SLOT, ROOT_SLOT, Keys, Keystore
from banyan_node.home.mnemonic import Paper, read
from banyan_node.home.settings import load
from banyan_node.local import open_local
from banyan_schema.social import POST
from tests.cli.shell import banyan
from tests.crdt import make
from tests.crdt.make import Person, run_bytes, signer
from tests.thefts.rows import Row, fork, speak
from tests.thefts.scene import Scene
from tests.thefts.thieves import CURRENT, DEVICE, HOME, NEXT, NOTARY, PLATFORM

TEXTS = ("một", "hai", "ba")
GENERATIONS = 6


class Owner(Person):
    """The owner's account, whose keys are those of her home and of her paper, under the names that thieves use."""

    def __init__(self, name: str, log: LogId, control: Sequence[Entry]) -> None:
        self.name, self.id, self.control, self._log = name, log.account, list(control), log

    def log(self, device: str = "phone", number: int = 0) -> LogId:
        return self._log if device == "phone" and not number else super().log(device, number or 1)


class Homes(Scene):
    """folder: empty. apart: the stolen device is a second machine of hers, not the home with the root."""

    def __init__(
        self, bases: Path, folder: Path, rotations: Sequence[int] = (), *, notary: bool = False, apart: bool = False
    ) -> None:
        """bases: homes of each setup are made there once, and copied."""
        base = bases / f"{''.join(map(str, rotations))}{'notary' * notary}{'apart' * apart}-"
        if not base.exists():
            self._at(base, rotations)
            self._begin(rotations, notary, apart)
        shutil.copytree(base, folder, dirs_exist_ok=True)
        self._at(folder, rotations)
        self.did, *self.uris = self._noted.read_text("utf-8").split()
        writes = self.phone if apart else self.mine
        with self.store_of(writes) as c:
            (log,) = [
                log for log in c.store.heads(account_from_text(self.did)) if log.log and log.writer == c.device.key
            ]
            self.log = c.store.chain(log, 0, c.store.head(log).length)
            self.person = Owner(f"an of {folder}", log, c.store.control(log.account))
            self._name_keys(c.device)
        self.base = list(self.person.control)

    def _at(self, folder: Path, rotations: Sequence[int]) -> None:
        self.folder, self.names, self._made = folder, ["root", "rec"], 0
        self.mine, self.friend, self.phone = folder / "mine", folder / "friend", folder / "phone"
        self.words, self._noted = folder / "words", folder / "noted"
        self.turns = [list(rotations).count(slot) for slot in (ROOT_SLOT, RECOVERY_SLOT)]

    def _begin(self, rotations: Sequence[int], notary: bool, apart: bool) -> None:
        self.folder.mkdir()
        made = self.run(self.mine, "init", "--name", "An", "--realm", "test")
        self.words.write_text("\n".join(made["recovery_words"]), "utf-8")
        self.run(self.friend, "init", "--name", "friend", "--realm", "test", "--role", "platform")
        for slot in rotations:
            paper = ("--words-file", self.words) if slot == RECOVERY_SLOT else ()
            self.run(self.mine, "account", "rotate", "--slot", slot, *paper)
        if notary:
            self.run(self.mine, "account", "grant", self.run(self.friend, "id")["writer"], "--stratum", 1)
        writes = self.mine
        if apart:
            writes = self.phone
            self.run(self.phone, "init", "--name", "phone", "--realm", "test")
            self.run(self.mine, "account", "grant", self.run(self.phone, "id")["writer"])
            self.carry(self.mine, self.phone)
        uris = [self.run(writes, "post", text, "--as", made["account"])["uri"] for text in TEXTS]
        self.carry(writes, *({self.mine, self.friend} - {writes}))
        self._noted.write_text("\n".join([made["account"], *uris]), "utf-8")

    def _name_keys(self, device: Signer) -> None:
        """The names by which the thieves of rows.py call keys."""
        keys = Keystore.open(Home(self.mine).keys).unlock(None)
        full = self.person.full
        for n in range(GENERATIONS):
            make.REAL[full(f"root{n}")] = Signer(TEST, keys.slot_seed(0, ROOT_SLOT, n))
            make.REAL[full(f"rec{n}")] = Signer(TEST, _recovery(self.words.read_text("utf-8"), n))
        make.REAL[full("phone")] = device
        with self.store_of(self.friend) as c:
            make.REAL[full("notary")] = c.device

    # -- commands

    def run(self, home: Path, *words: object) -> Any:
        """The JSON of a command that has to succeed."""
        ran = banyan("--home", home, *words, "--json")
        assert ran.code == 0, f"{words}: {ran.err}{ran.out}"
        return ran.json

    def carry(self, origin: Path, *targets: Path) -> None:
        """All that one home holds comes to others."""
        self._made += 1
        archive = self.folder / f"{self._made}.banyan"
        self.run(origin, "export", archive)
        for target in targets:
            self.run(target, "import", "archive", archive)
        archive.unlink()

    def joins(self, name: str) -> Path:
        """A home that hears of all this now."""
        home = self.folder / name
        self.run(home, "init", "--name", name, "--realm", "test", "--role", "platform")
        self.carry(self.friend, home)
        return home

    def shown(self, home: Path) -> list[str]:
        """The owner's posts that the home shows, the oldest first, and a mark if the account is closed or frozen."""
        account = self.run(home, "account", "show", self.did)
        flags = [flag for flag in ("closed", "frozen") if account[flag]]
        ran = banyan("--home", home, "feed", self.did, "--json")
        assert ran.code == 0, ran.err
        return sorted((text for row in ran.lines if (text := row["text"]) in TEXTS), key=TEXTS.index) + flags

    # -- what the thieves of rows.py do

    @contextmanager
    def store_of(self, home: Path) -> Iterator[Context]:
        with open_local(Home(home), load(Home(home), env={})) as opened:
            yield opened.context
            while (effect := opened.context.replica.next_effect()) is not None:
                if type(effect).__name__ == "Commit":
                    opened.context.store.commit()

    def spread(self, seconds: float = 8) -> None:
        """Nothing waits: what is sent is judged at once."""

    def says(self, below: Sequence[Entry], by: str, *ops: Op) -> Entry:
        now = max(int(time.time() * 1000) << 16, below[-1].header.time + 1)
        return self.person.say(*ops, by=by, below=below, time=now)

    def send_control(self, *entries: Entry) -> None:
        with self.store_of(self.friend) as c:
            c.replica.ingest.control(self.person.id, list(entries), c.replica.wall_ms(time.time()))

    def send_log(self, log: Sequence[Entry], first: int, to: str = "", by: str = "") -> None:
        with self.store_of(self.friend) as c, suppress(NotYet):  # without a grant it is dropped, as from a peer
            run = decode_run(c.realm, run_bytes(log, first, len(log)))
            c.replica.ingest.run(run, c.replica.wall_ms(time.time()))

    def send_checkpoint(self, by: str, names: Entry, *pins: Pin, n: int = 9) -> None:
        place = ControlRef(names.header.seq, names.id)
        made = make_checkpoint(TEST, self.person.id, signer(self.person.full(by)), n, place, list(pins))
        with self.store_of(self.friend) as c, suppress(NotYet):
            c.replica.ingest.checkpoint(made, c.replica.wall_ms(time.time()))

    def tombs(self) -> list[Tomb]:
        puts = [op for e in self.log for op in decode_body(e.ops).ops if isinstance(op, Put) and op.coll == POST]
        return [Tomb(POST, op.key) for op in puts]


def act(row: Row, bases: Path, folder: Path) -> tuple[Homes, list[str]]:
    """The theft on the friend's store; the scene, and what the friend's home shows then."""
    t = row.thief
    s = Homes(
        bases, folder, t.setup.get("rotations", ()), notary=t.setup.get("notary", False), apart=t in (DEVICE, NOTARY)
    )
    if row.action.name == "freeze by tie" and t.at is None:
        s.run(s.mine, "account", *TIED[t.name])  # before she hears of the thief, with the key that he uses
    if row.action.name == "fork high":
        fork(len(s.log) - 1)(s, t)
    elif row.action.name == "freeze by tie":
        speak(s, t, *(() if t.opening(s) else (s.person.pin(s.log[0]),)))
    else:
        row.action.act(s, t)
    return s, s.shown(s.friend)


TIED = {CURRENT.name: ("pin",), NEXT.name: ("rotate",), HOME.name: ("rotate",), PLATFORM.name: ("rotate",)}
"""What the owner says with the thief's key at the vertex where he speaks."""


def answer(s: Homes, row: Row) -> Path:
    """The owner's commands; the home where she is then."""
    t, last, home = row.thief, s.uris[-1], s.mine
    if t.home_gone:
        home = s.joins("new")
    else:
        s.carry(s.friend, home)
    if t in (DEVICE, NOTARY):
        s.run(home, "account", "cut", s.run(s.phone, "id")["writer"], "--after", last, "--yes")
    if t.notary:
        s.run(home, "account", "pin")
        s.run(home, "account", "cut", s.run(s.friend, "id")["writer"], "--yes")
    if t in (DEVICE, NOTARY) or t.notary:
        return home
    held = {row["uri"] for row in banyan("--home", home, "account", "activity", "--account", s.did, "--json").lines}
    words = ["--words-file", s.words, "--yes", *(["--after", last] if t.device and last in held else [])]
    if t.home_gone:
        words += ["--account", s.did, "--own"]
        hers = {e.id.hex() for e in s.base}
        path = s.run(home, "account", "show", s.did)["path"]
        undo = next((str(step["seq"]) for step in path if step["entry"] not in hers), "")
    else:  # as `banyan status` says
        undo = (re.findall(r"--undo ([0-9]+)", s.run(home, "status")["trouble"] or "") or [""])[0]
    done = s.run(home, "account", "recover", *words, *(["--undo", undo] if undo else []))
    if done["uncut"]:  # nothing of it was here, and now it comes
        s.carry(home, s.friend)
        s.carry(s.friend, home)
    for writer in done["uncut"]:
        s.run(home, "account", "cut", writer, "--account", s.did, "--after", last, "--yes")
    return home


def _recovery(words: str, generation: int) -> bytes:
    keys = Keys(read(words, Paper.RECOVERY))
    return keys.derive("recovery", generation.to_bytes(8, "big"))
