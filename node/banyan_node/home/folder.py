"""The home folder of a node and the name of each file in it.

The invariants: only its user can open the folder and the files written through here (0700 and 0600), and after a power
loss a file is either the old one or the new one, whole.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import platformdirs

from banyan_node.operator_errors import ConfigError, HomeError
from banyan_storage.lmdb_folder import make_folder, sync_folder


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
    def renewing(self) -> Path:
        """Is there from before the keys are replaced until all that follows is done."""
        return self.path / "renewing"

    @property
    def old_keys(self) -> Path:
        """The master secret that `banyan keys renew` replaced."""
        return self.path / "keys.old"

    @property
    def restored(self) -> Path:
        """Exists from `banyan keys restore` until the first start: look for the accounts of these keys. Its content is
        the id of the node's own account, if the owner named it, else nothing."""
        return self.path / "keys.restored"

    @property
    def store(self) -> Path:
        """The LMDB folder. A copy of it alone becomes a new store with logs of its own."""
        return self.path / "store"

    @property
    def seen(self) -> Path:
        """The store's last arrival when it was last opened or closed (context.py)."""
        return self.path / "store.seen"

    @property
    def rows(self) -> Path:
        """A cache of the frontier's rows, so that a start need not read every head (rows_file.py)."""
        return self.path / "store.rows"

    @property
    def search(self) -> Path:
        """The index of what posts say, which is made from the store (upkeep/derived_data.py)."""
        return self.path / "search.db"

    @property
    def blobs(self) -> Path:
        """Pictures and films (banyan_storage.blobs)."""
        return self.path / "blobs"

    @property
    def uploads(self) -> Path:
        """Files that come in pieces, before they are blobs."""
        return self.path / "uploads"

    @property
    def door(self) -> Path:
        """What the HTTP door remembers: tokens, apps, sessions (banyan_web)."""
        return self.path / "door.db"

    @property
    def door_files(self) -> Path:
        """Files on their way through that door; nothing of it outlives a start (banyan_web.door_files)."""
        return self.path / "door.files"

    def is_own(self, path: Path) -> bool:
        """Whether this is a file of the node itself: one in its folder, unless it is on its way through the door."""
        where = path.resolve()
        return where.is_relative_to(self.path.resolve()) and not where.is_relative_to(self.door_files.resolve())

    def has_named(self, path: Path) -> bool:
        """Whether this is, or is in, one of the files and folders named here, or stands beside one (`door.db-wal`)."""
        where, home = (Path(os.path.realpath(one)) for one in (path, self.path))  # `resolve` raises on a loop of links
        if where == home or not where.is_relative_to(home):
            return False
        first = where.relative_to(home).parts[0].lower()
        names = [getattr(self, key).name for key, value in vars(type(self)).items() if isinstance(value, property)]
        return any(first == name or first.startswith(name + "-") for name in names)

    @property
    def audit(self) -> Path:
        """The acts of operators, admins and moderators (audit.py)."""
        return self.path / "audit"

    @property
    def transparency(self) -> Path:
        """The public log of what was withheld (transparency/public_log.py)."""
        return self.path / "transparency"

    @property
    def archives(self) -> Path:
        """Archives that admins have written and read in over the door."""
        return self.path / "archives"

    @property
    def mended(self) -> Path:
        """A report for people: the wrong entries that were dropped from the store (log_check.py)."""
        return self.path / "store.mended"

    @property
    def token(self) -> Path:
        """The bearer token of the running node."""
        return self.path / "control.token"

    @property
    def running(self) -> Path:
        """The control endpoint and process id of the running node."""
        return self.path / "control.json"

    @property
    def peers(self) -> Path:
        """Peers to dial at the next start (peerstore.py)."""
        return self.path / "peers.json"

    def prepare(self) -> None:
        """Make the folder, accessible to its owner only. Raises HomeError."""
        try:
            make_folder(self.path)
        except OSError as error:
            raise HomeError(
                f"The node's folder {self.path} cannot be made ({error.strerror}); choose another with --home."
            ) from error


def find_home(flag: Path | str | None = None, env: Mapping[str, str] | None = None) -> Home:
    """--home, else BANYAN_HOME, else the operating system's folder for user data. Raises ConfigError or HomeError.

    An empty --home is what a script gives whose variable is not set: it is refused, and not taken for this folder.
    """
    if flag is not None and not str(flag):
        raise ConfigError("--home is empty; name the node's folder, or leave --home out.")
    chosen = flag or (os.environ if env is None else env).get("BANYAN_HOME")
    if chosen:
        home = Home(Path(chosen).expanduser().absolute())
        if home.path.exists() and not home.path.is_dir():
            raise HomeError(f"{home.path} is a file, and the node's folder is needed; choose another with --home.")
        return home
    return Home(Path(platformdirs.user_data_dir("banyan", appauthor=False)))


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a 0600 file durably, in one step. With replace=False an existing file raises FileExistsError."""
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
            os.link(draft, path)  # unlike rename, it fails if the file exists
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
