"""One command: its home, its settings, who answers its calls, and the files that it posts.

A running node answers over its control API. Without one the store is opened here, and the same methods give the same
JSON. The invariant: a command never writes while a node runs, because only one process can hold the store.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from banyan_cli import refs
from banyan_cli.errors import BadInput
from banyan_cli.out import Out
from banyan_node.home.folder import Home
from banyan_node.operator_errors import CallError, CopiedHome, NoNode

if TYPE_CHECKING:
    from banyan_node.home.settings import Settings
    from banyan_node.workers.side_threads import Waiting

STARTING_SECONDS = 3.0
"""How long a node that has the store's lock may take to say where it listens."""
PATIENT_SECONDS = 20.0
"""After so long a person is told that the answer is still waited for."""
LONG_SECONDS = 3600.0
"""For calls whose work grows with the store."""


class CallTarget(Protocol):
    """Who answers."""

    def call(self, method: str, **params: Any) -> Any: ...

    def begin(self, method: str, **params: Any) -> Waiting:
        """Begins a call, which may run beside others. Returns what waits for its answer."""


class Session:
    """What every command is given. Use it as a context manager: it closes what it opened."""

    def __init__(self, home: Home, out: Out) -> None:
        self.home = home
        self.out = out
        self._open = ExitStack()
        self._backend: CallTarget | None = None
        self._node: tuple[object, CallTarget] | None = None
        self._passphrase: str | None = None
        self._said_copied = self._said_late = False
        self.sure = False
        """Whether the command was given --yes."""

    @cached_property
    def settings(self) -> Settings:
        """The settings of the home; flags of `banyan up` go through `settings_with`."""
        return self.settings_with({})

    def settings_with(self, flags: Mapping[str, Any]) -> Settings:
        from banyan_node.home.settings import load

        return load(self.home, flags)

    def call(self, method: str, **params: Any) -> Any:
        """The result of a call; parameters that are None are left out. `by` is the parameter `as`, which is a word of
        Python's: the account as a person types it."""
        given = {name: value for name, value in params.items() if value is not None}
        if "by" in given:
            given["as"] = refs.account(self, given.pop("by"))
        backend = self.backend(method)
        late = threading.Timer(PATIENT_SECONDS, self._say_late)
        late.daemon = True
        late.start()
        try:
            return backend.call(method, **given)
        except CallError as error:
            if "sure" not in error.more or not (self.sure or self._asked(error.message)):
                raise
            self.out.note(error.message)
            return backend.call(method, **given, sure=True)
        finally:
            late.cancel()

    def _asked(self, why: str) -> bool:
        """Whether a person at a terminal wants it although it may not be wise."""
        return not self.out.json and sys.stdin.isatty() and typer.confirm(f"{why} Go on?", abort=True, err=True)

    def _say_late(self) -> None:
        """Once, of a call that takes long."""
        if not self._said_late:
            self._said_late = True
            self.out.note(f"No answer after {PATIENT_SECONDS:.0f} s; still waiting. Ctrl-C ends the waiting.")

    def backend(self, method: str | None = None) -> CallTarget:
        """The running node of this home, else the store itself. method: what is called first: one that reads does not
        upgrade a store, and raises StoreVersion."""
        if self._backend is None:
            self._backend = self.node() or self._local(method)
        return self._backend

    def node(self) -> CallTarget | None:
        """The running node, or None; the same client as before if it is the same node, which takes few connections. Of
        a copied home that is said once: the command works on the copy itself."""
        if not self.home.running.exists():
            return None
        from banyan_node.server.control_client import ControlClient
        from banyan_node.server.servers import find_running

        try:
            found = find_running(self.home)
            if self._node is None or self._node[0] != found:
                self._node = found, self._open.enter_context(ControlClient(self.home, *found, LONG_SECONDS))
            return self._node[1]
        except CopiedHome as error:
            if not self._said_copied:
                self._said_copied = True
                self.out.note(str(error))
            return None
        except NoNode:
            return None

    def close(self) -> None:
        """Closes the store or the connection."""
        self._backend = None
        self._open.close()

    def passphrase(self) -> str | None:
        """From BANYAN_PASSPHRASE, BANYAN_PASSPHRASE_FILE or the terminal; None when the keys are not sealed."""
        from banyan_node.home.keystore import Keystore, passphrase_from

        if not self.home.keys.exists() or not Keystore.open(self.home.keys).encrypted:
            return None
        if self._passphrase is None:  # asked for once a command
            self._passphrase = passphrase_from(prompt=ask_passphrase if sys.stdin.isatty() else None)
        return self._passphrase

    def _local(self, method: str | None) -> CallTarget:
        from banyan_node.api.dispatch import method_of
        from banyan_node.local import open_local, open_reading, refuse_older
        from banyan_storage.errors import StoreLocked, StoreReadOnly

        if method is not None and method_of(method).kind == "read":
            refuse_older(self.home)
        passphrase = self.passphrase()
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                opened = open_local(self.home, self.settings, passphrase, self.out.note)
                local: CallTarget = self._open.enter_context(opened)
                return local
            except StoreReadOnly as why:
                reading: CallTarget = self._open.enter_context(open_reading(self.home, self.settings, why))
                return reading
            except StoreLocked:
                node = self.node()
                if node is not None:
                    return node
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def of(ctx: typer.Context) -> Session:
    """The session of the command that runs."""
    session = ctx.find_root().obj
    assert isinstance(session, Session)
    return session


def ask_passphrase() -> str:
    """From the terminal, not shown."""
    return str(typer.prompt("Passphrase of the keys", hide_input=True, err=True))


# Files are put before the post is written, so that nothing is posted if one of them is refused.


def put_all(s: Session, files: list[str] | None, alts: list[str] | None) -> list[dict[str, Any]]:
    """What `post` takes as its media. Each description belongs to the file at its place."""
    files, alts = files or [], alts or []
    if len(alts) > len(files):
        raise BadInput(f"There are {len(alts)} --alt and {len(files)} --media; give each file before its description.")
    items = list[dict[str, Any]]()
    for n, file in enumerate(files):
        item = {"blob": put(s, file)["blob"], "description": alts[n] if n < len(alts) else None}
        items.append({name: value for name, value in item.items() if value is not None})
    return items


def put(s: Session, file: str) -> dict[str, Any]:
    """The answer of `media.put`. The node may run in another folder, so the path is made absolute here."""
    from banyan_cli.progress import waiting

    with waiting(s.out.notes, f"reading {Path(file).name}"):
        found: dict[str, Any] = s.call("media.put", path=str(Path(file).expanduser().absolute()))
    if found["note"]:
        s.out.note(f"{Path(file).name}: {found['note']}")
    return found
