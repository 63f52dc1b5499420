"""The secrets of a node: one 32-byte master secret in one file, and the keys derived from it.

Only the master is stored, so 24 written words (mnemonic.py) restore all keys of a node. Recovery keys are not derived
from it (recovery.py) unless the owner asked for that: otherwise a copy of the file would give its thief the account for
ever. The invariants:

- The file has mode 0600 from the start, is replaced in one step, and is refused if others can read or change it.
- With a passphrase the master is sealed by secretbox under an argon2id key; the costs are stored beside it.
- A derived key is a function of (master, purpose, fields), each field length-prefixed, so no two purposes share one.
- All data folders of a master have one device key. Each folder writes logs with a number of its own (context.py).
"""

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import nacl.exceptions
import nacl.pwhash.argon2id as argon2id
import nacl.secret

from banyan_node.home.folder import write_private
from banyan_node.home.mnemonic import Paper, read, spell
from banyan_node.operator_errors import (
    KeysExist,
    KeysExposed,
    KeysLocked,
    KeystoreError,
    KeysUnreadable,
    NoKeys,
    WrongPassphrase,
)
from banyan_storage.lmdb_folder import sync_folder

FORMAT = 1
ROOT_SLOT = 0
RECOVERY_SLOT = 1
_MAX_FILE = 4096


class PassphraseCost(NamedTuple):
    """The cost of one guess at the passphrase. ops: passes over the memory. memory: bytes."""

    ops: int
    memory: int


# 64 MiB, so that a small board can open its keys; the fourth pass compensates for some of the smaller memory.
DEFAULT_COST = PassphraseCost(ops=4, memory=64 << 20)
_DEAREST = PassphraseCost(ops=64, memory=argon2id.MEMLIMIT_SENSITIVE)  # a file that asks for more is damaged


class Keys:
    """Every key of the node, derived from the master on request. Nothing here prints a secret."""

    __slots__ = ("_master",)

    def __init__(self, master: bytes) -> None:
        if len(master) != 32:
            raise ValueError(f"A master secret is 32 bytes, not {len(master)}.")
        self._master = master

    def __repr__(self) -> str:
        return "Keys(...)"

    def derive(self, purpose: str, *fields: bytes) -> bytes:
        """32 bytes for one purpose: BLAKE2b keyed with the master over (purpose, fields), each length-prefixed."""
        digest = hashlib.blake2b(key=self._master, person=b"banyan-keys-v1", digest_size=32)
        for field in (purpose.encode(), *fields):
            digest.update(len(field).to_bytes(4, "big") + field)
        return digest.digest()

    def libp2p_seed(self) -> bytes:
        """Ed25519 seed of the node's peer id."""
        return self.derive("libp2p")

    def device_seed(self) -> bytes:
        """Ed25519 seed of the device key, which signs this node's entries and a platform's statements."""
        return self.derive("device")

    def slot_seed(self, account_index: int, slot: int, generation: int) -> bytes:
        """Ed25519 seed of a control key. slot: 0 root, 1 recovery. The next key to commit to is generation + 1."""
        return self.derive("slot", *(n.to_bytes(8, "big") for n in (account_index, slot, generation)))

    def account_salt(self, account_index: int) -> bytes:
        """32 bytes that make the id of hosted account number account_index unique."""
        return self.derive("account salt", account_index.to_bytes(8, "big"))

    def words(self) -> str:
        """The 24-word backup. Anyone who reads it has every key of the node."""
        return spell(self._master, Paper.BACKUP)

    def _check(self) -> bytes:
        return self.derive("check")[:8]


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The master under a passphrase. box: nonce, then secretbox."""

    kdf: Literal["argon2id"]
    ops: int
    memory: int
    salt: bytes
    box: bytes


class _PlainMaster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The master, unsealed. check: detects damage, which would otherwise silently give another identity."""

    master: bytes
    check: bytes


class _File(msgspec.Struct, frozen=True, omit_defaults=True):
    format: int
    sealed: _Sealed | None = None
    plain: _PlainMaster | None = None


class Keystore:
    """The keys file of one node, locked or unlocked. Made by create, restore or open."""

    def __init__(self, path: Path, file: _File, keys: Keys | None) -> None:
        self.path = path
        self._file = file
        self._keys = keys

    def __repr__(self) -> str:
        return f"Keystore({str(self.path)!r}, {'locked' if self.locked else 'unlocked'})"

    @classmethod
    def create(cls, path: Path, passphrase: str | None = None, cost: PassphraseCost = DEFAULT_COST) -> "Keystore":
        """A new master, durable before it is returned. Raises KeysExist instead of overwriting another."""
        return cls._write_new(path, Keys(secrets.token_bytes(32)), passphrase, cost)

    @classmethod
    def restore(
        cls, path: Path, words: str, passphrase: str | None = None, cost: PassphraseCost = DEFAULT_COST
    ) -> "Keystore":
        """The master that the 24 words encode. Raises BadBackup, KeysExist."""
        return cls._write_new(path, keys_from_words(words), passphrase, cost)

    @classmethod
    def _write_new(cls, path: Path, keys: Keys, passphrase: str | None, cost: PassphraseCost) -> "Keystore":
        file = _wrap(keys, passphrase, cost)
        try:
            write_private(path, msgspec.json.encode(file) + b"\n", replace=False)
        except FileExistsError as error:
            raise KeysExist(
                f"{path} already holds the keys of a node; move that file away, or choose another --home."
            ) from error
        except OSError as error:
            raise KeystoreError(f"The keys cannot be written to {path} ({error.strerror}).") from error
        return cls(path, file, keys)

    @classmethod
    def open(cls, path: Path) -> "Keystore":
        """Read the file; without a passphrase it is unlocked. Raises NoKeys, KeysExposed, KeysUnreadable."""
        file = _read(path)
        return cls(path, file, None if file.plain is None else _open_plain(path, file.plain))

    @property
    def encrypted(self) -> bool:
        """Whether the file on disk needs a passphrase."""
        return self._file.sealed is not None

    @property
    def locked(self) -> bool:
        """Whether `keys` would raise."""
        return self._keys is None

    @property
    def keys(self) -> Keys:
        """The keys, or KeysLocked."""
        if self._keys is None:
            raise KeysLocked(f"The keys in {self.path} are sealed; give the passphrase in BANYAN_PASSPHRASE or a file.")
        return self._keys

    def unlock(self, passphrase: str | None) -> Keys:
        """Open the seal; takes as long as the file's cost says (0.1 to 1 s). Raises KeysLocked, WrongPassphrase."""
        sealed = self._file.sealed
        if sealed is not None and passphrase is not None:
            self._keys = _unseal(self.path, sealed, passphrase)
        return self.keys

    def renew(self, aside: Path, passphrase: str | None, cost: PassphraseCost = DEFAULT_COST) -> "Keystore":
        """Replace the master by a new one; keep the old file as `aside`. Raises KeysExist if that exists."""
        try:
            os.link(self.path, aside)
        except FileExistsError as error:
            if not aside.samefile(self.path):  # else a renewal was stopped here
                raise KeysExist(f"{aside} exists; move it off this machine first, so that no keys are lost.") from error
        sync_folder(aside.parent)  # the old keys are safe before they are replaced
        keys = Keys(secrets.token_bytes(32))
        file = _wrap(keys, passphrase, cost)
        write_private(self.path, msgspec.json.encode(file) + b"\n")
        return Keystore(self.path, file, keys)

    def change_passphrase(self, new: str | None, cost: PassphraseCost = DEFAULT_COST) -> None:
        """Seal with another passphrase, or none. The new file is opened as a check before it replaces the old one."""
        keys = self.keys
        file = _wrap(keys, new, cost)
        raw = msgspec.json.encode(file) + b"\n"
        again = _decode(self.path, raw)
        opened = _unseal(self.path, again.sealed, new) if again.sealed and new else _open_plain(self.path, again.plain)
        if not hmac.compare_digest(opened._check(), keys._check()):
            raise KeystoreError(
                f"The newly sealed keys did not open to the same master; {self.path} was left as it was."
            )
        write_private(self.path, raw)
        self._file = file


def passphrase_from(
    file: Path | None = None, env: Mapping[str, str] | None = None, prompt: Callable[[], str] | None = None
) -> str | None:
    """The passphrase, from the first of these: the file, BANYAN_PASSPHRASE, BANYAN_PASSPHRASE_FILE, the prompt."""
    variables = os.environ if env is None else env
    if file is None and not variables.get("BANYAN_PASSPHRASE") and variables.get("BANYAN_PASSPHRASE_FILE"):
        file = Path(variables["BANYAN_PASSPHRASE_FILE"])
    if file is not None:
        try:
            return file.read_text("utf-8").rstrip("\r\n") or None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise KeystoreError(f"The passphrase file {file} cannot be read ({why}).") from error
    given = variables.get("BANYAN_PASSPHRASE") or (prompt() if prompt is not None else None) or None
    try:
        (given or "").encode()
    except UnicodeEncodeError as error:  # the system's bytes, as Python escapes them
        raise KeystoreError("The passphrase cannot be read (it is not UTF-8); give it in that encoding.") from error
    return given


def keys_from_words(words: str) -> Keys:
    """The keys that 24 backup words encode (mnemonic.py). Raises BadBackup."""
    return Keys(read(words, Paper.BACKUP))


def seal_paper(path: Path, words: str, passphrase: str, cost: PassphraseCost = DEFAULT_COST) -> None:
    """Writes the 24 words of an account to a new file, sealed as a keys file is. Raises BadBackup, FileExistsError,
    OSError."""
    file = _wrap(Keys(read(words, Paper.RECOVERY)), passphrase, cost)
    write_private(path, msgspec.json.encode(file) + b"\n", replace=False)


def is_sealed_paper(raw: bytes) -> bool:
    """Whether a file that may hold 24 words is one of `seal_paper`."""
    return raw.lstrip()[:1] == b"{"


def open_paper(path: Path, passphrase: str | None) -> str:
    """The 24 words that `seal_paper` sealed. Raises KeysUnreadable, KeysExposed, KeysLocked, WrongPassphrase."""
    keystore = Keystore.open(path)
    return spell(keystore.unlock(passphrase)._master, Paper.RECOVERY)


def _wrap(keys: Keys, passphrase: str | None, cost: PassphraseCost) -> _File:
    if passphrase is None:
        return _File(FORMAT, plain=_PlainMaster(keys._master, keys._check()))
    if not passphrase:
        raise KeystoreError("The passphrase is empty; give one of at least one character, or choose to have none.")
    salt = secrets.token_bytes(argon2id.SALTBYTES)
    key = argon2id.kdf(32, passphrase.encode(), salt, cost.ops, cost.memory)
    box = bytes(nacl.secret.SecretBox(key).encrypt(keys._master))
    return _File(FORMAT, sealed=_Sealed("argon2id", cost.ops, cost.memory, salt, box))


def _unseal(path: Path, sealed: _Sealed, passphrase: str) -> Keys:
    if sealed.ops > _DEAREST.ops or sealed.memory > _DEAREST.memory:
        raise KeysUnreadable(
            f"{path} asks for {sealed.ops} passes over {sealed.memory} bytes; more than {_DEAREST.ops} over "
            f"{_DEAREST.memory} is taken for damage. Restore it from a copy or from the 24 words."
        )
    try:
        key = argon2id.kdf(32, passphrase.encode(), sealed.salt, sealed.ops, sealed.memory)
        return Keys(nacl.secret.SecretBox(key).decrypt(sealed.box))
    except nacl.exceptions.CryptoError as error:
        raise WrongPassphrase(f"The passphrase does not open {path}.") from error
    except (ValueError, nacl.exceptions.ValueError, nacl.exceptions.TypeError) as error:
        raise _damaged(path, str(error)) from error


def _open_plain(path: Path, plain: _PlainMaster | None) -> Keys:
    if plain is None or len(plain.master) != 32:
        raise _damaged(path, "the master is not 32 bytes")
    keys = Keys(plain.master)
    if not hmac.compare_digest(keys._check(), plain.check):
        raise _damaged(path, "the master and its check disagree")
    return keys


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(_MAX_FILE + 1)
    except FileNotFoundError as error:
        raise NoKeys(f"There are no keys at {path}; make them with `banyan init`, or restore the 24 words.") from error
    except OSError as error:
        raise KeysUnreadable(f"The keys at {path} cannot be read ({error.strerror}).") from error
    if os.name == "posix" and mode & 0o077:
        raise KeysExposed(
            f"{path} has mode {mode:04o}, so others on this machine can read or change it, and 0600 is needed; "
            f"run `chmod 600 {path}`, and rotate the keys if anybody did."
        )
    return _decode(path, raw)


def _decode(path: Path, raw: bytes) -> _File:
    try:
        file = msgspec.json.decode(raw, type=_File)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if file.format != FORMAT:
        raise KeysUnreadable(f"{path} has format {file.format} and this program reads {FORMAT}; use a newer program.")
    if (file.sealed is None) == (file.plain is None):
        raise _damaged(path, "it holds no master, or two")
    return file


def _damaged(path: Path, why: str) -> KeysUnreadable:
    return KeysUnreadable(f"{path} is not a keys file or is damaged ({why}); restore it from a copy or the 24 words.")
