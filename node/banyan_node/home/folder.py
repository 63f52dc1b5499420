"""Where a node keeps what is its own: one folder, and a name for each file in it.

The invariant: the folder and every file written through here belong to one user alone (0700 and 0600), and a file is
either the old one or the new one, whole, whatever moment the power goes.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import platformdirs

from banyan_node.operator_errors import HomeError


class Home(NamedTuple):
    """The layout of one node's folder."""

    path: Path

    @property
    def config(self) -> Path:
        """Settings, written by people and by `banyan config set`."""
        return self.path / "config.toml"

    @property
    def keys(self) -> Path:
        """The master secret (keystore.py)."""
        return self.path / "keys"

    @property
    def old_keys(self) -> Path:
        """The master secret that `banyan keys renew` replaced."""
        return self.path / "keys.old"

    @property
    def restored(self) -> Path:
        """Only there from `banyan keys restore` to the first start: the accounts of these keys are to be looked for."""
        return self.path / "keys.restored"

    @property
    def store(self) -> Path:
        """The LMDB folder. Copying it alone makes a new store with logs of its own."""
        return self.path / "store"

    @property
    def seen(self) -> Path:
        """How far the store had come when it was last opened or closed (context.py)."""
        return self.path / "store.seen"

    @property
    def rows(self) -> Path:
        """The rows of the frontier index, so that a start need not read every head: a cache (rows_file.py)."""
        return self.path / "store.rows"

    @property
    def mended(self) -> Path:
        """What was dropped from the store because it was wrong, for people (mending.py)."""
        return self.path / "store.mended"

    @property
    def token(self) -> Path:
        """The bearer token of the node that is running now."""
        return self.path / "control.token"

    @property
    def running(self) -> Path:
        """Where the node that is running now listens for control, and its process id."""
        return self.path / "control.json"

    @property
    def peers(self) -> Path:
        """Peers worth dialling at the next start."""
        return self.path / "peers.json"

    def prepare(self) -> None:
        """Make the folder, for its owner alone. Raises HomeError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(
                f"The node's folder {self.path} cannot be made ({error.strerror}); choose another with --home."
            ) from error


def find_home(flag: Path | str | None = None, env: Mapping[str, str] | None = None) -> Home:
    """--home, else BANYAN_HOME, else the platform's place for a user's data. Raises HomeError.

    An empty --home is what a script gives whose variable is not set: it is refused, and not taken for this folder.
    """
    if flag is not None and not str(flag):
        raise HomeError("--home is empty; name the node's folder, or leave --home out.")
    chosen = flag or (os.environ if env is None else env).get("BANYAN_HOME")
    if chosen:
        home = Home(Path(chosen).expanduser().absolute())
        if home.path.exists() and not home.path.is_dir():
            raise HomeError(f"{home.path} is a file, and the node's folder is needed; choose another with --home.")
        return home
    return Home(Path(platformdirs.user_data_dir("banyan", appauthor=False)))


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a 0600 file: durable and whole before it has its name. replace=False raises FileExistsError instead."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)  # the one rename that never writes over somebody else's file
    finally:
        draft.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
