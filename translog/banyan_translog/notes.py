"""Signed notes (C2SP signed-note): text, a blank line, and lines of signatures by keys that have names.

    -- NAME base64(key id 4 | signature)                   ("--" is one em dash)
    key id = SHA-256(name | "\\n" | kind | public key)[:4]

Two kinds of Ed25519 keys: NOTE signs the text, COSIGNER a time and the text (C2SP tlog-cosignature, version 1). A node
has a key of its own for each, because one could otherwise be asked for what the other one means.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from banyan_crdt.errors import BadSignature, Malformed

NOTE, COSIGNER = 1, 4
MOST_SIGNATURES, MOST_BYTES = 128, 1 << 18
"""Of a note."""
_DASH = "— "


class NoteKey(NamedTuple):
    """A public key of 32 bytes and the name that it signs under. kind: NOTE or COSIGNER."""

    name: str
    kind: int
    key: bytes

    @property
    def id(self) -> bytes:
        """4 bytes; with the name it says which key signed."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    @property
    def text(self) -> str:
        """A verifier key as others read it: NAME+ID+KEY."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes([self.kind]) + self.key)}"


class NoteSignature(NamedTuple):
    """A line below a note. sig: for a COSIGNER its time in seconds, 8 bytes, is before the 64 of the signature."""

    name: str
    key_id: bytes
    sig: bytes

    @property
    def line(self) -> str:
        """With its newline."""
        return f"{_DASH}{self.name} {_base64(self.key_id + self.sig)}\n"


class SignedNote(NamedTuple):
    """text: ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @property
    def raw(self) -> bytes:
        """The whole note."""
        return (self.text + "\n" + "".join(one.line for one in self.signatures)).encode()


class NoteSigner:
    """A secret key with its name. `seed`: 32 bytes."""

    __slots__ = ("_secret", "key")

    def __init__(self, name: str, kind: int, seed: bytes) -> None:
        public, self._secret = crypto_sign_seed_keypair(seed)
        self.key = NoteKey(checked_name(name), kind, public)

    def sign(self, text: str, time: int = 0) -> NoteSignature:
        """time: seconds since 1970, of a COSIGNER."""
        at = time.to_bytes(8, "big") if self.key.kind == COSIGNER else b""
        return NoteSignature(
            self.key.name, self.key.id, at + crypto_sign(_message(self.key.kind, at, text), self._secret)[:64]
        )


class Signed(NamedTuple):
    """Who signed a note, and when if it says so: seconds since 1970."""

    key: NoteKey
    time: int | None


def _message(kind: int, at: bytes, text: str) -> bytes:
    return f"cosignature/v1\ntime {int.from_bytes(at, 'big')}\n{text}".encode() if kind == COSIGNER else text.encode()


def checked_name(name: str) -> str:
    """The name of a key. Raises Malformed."""
    if not name or len(name.encode()) > 255 or "+" in name or any(c.isspace() or ord(c) < 32 for c in name):
        raise Malformed(f"'{name[:60]}' is no name of a key: it has 1 to 255 bytes, without spaces and '+'")
    return name


def key_of(text: str) -> NoteKey:
    """The inverse of `NoteKey.text`. Raises Malformed."""
    name, _, rest = text.partition("+")
    shown, _, raw = rest.partition("+")
    found = bytes_of(raw)
    if len(found) != 33 or found[0] not in (NOTE, COSIGNER):
        raise Malformed("a key is NAME+ID+KEY, with an Ed25519 key of kind 1 or 4")
    key = NoteKey(checked_name(name), found[0], found[1:])
    if shown != key.id.hex():
        raise Malformed(f"the key of {name} has the id {key.id.hex()}, and {shown[:16]} is written")
    return key


def note_of(raw: bytes) -> SignedNote:
    """A note, with signatures that are not checked. Raises Malformed unless these bytes are its one form."""
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise Malformed("a note is UTF-8") from None
    if len(raw) > MOST_BYTES or any(c < " " and c != "\n" for c in whole):
        raise Malformed(f"a note has at most {MOST_BYTES} bytes, and no control characters")
    text, blank, below = whole.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        raise Malformed("a note ends in a blank line and lines of signatures")
    lines = below[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise Malformed(f"a note has at most {MOST_SIGNATURES} signatures, and this one {len(lines)}")
    return SignedNote(text + "\n", tuple(map(signature_of, lines)))


def signature_of(line: str) -> NoteSignature:
    """A line of a signature, without its newline. Raises Malformed."""
    words = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(words) != 2:
        raise Malformed("a signature is an em dash, a name and base64, with one space between them")
    raw = bytes_of(words[1])
    if len(raw) < 5:
        raise Malformed("a signature has the four bytes of its key's id and more behind them")
    return NoteSignature(checked_name(words[0]), raw[:4], raw[4:])


def signers(note: SignedNote, keys: Iterable[NoteKey]) -> list[Signed]:
    """Who of these keys signed, each once. Signatures of others are passed over. Raises BadSignature if a line that is
    said to be by one of them is not."""
    known, found = {(key.name, key.id): key for key in keys}, dict[NoteKey, Signed]()
    for one in note.signatures:
        key = known.get((one.name, one.key_id))
        if key is None:
            continue
        timed = key.kind == COSIGNER
        at, sig = (one.sig[:8], one.sig[8:]) if timed else (b"", one.sig)
        try:
            if len(sig) != 64 or at[:1] >= b"\x80":
                raise ValueError
            crypto_sign_open(sig + _message(key.kind, at, note.text), key.key)
        except (BadSignatureError, ValueError, TypeError):
            raise BadSignature(f"the signature of {key.name} below this note does not verify under its key") from None
        found.setdefault(key, Signed(key, int.from_bytes(at, "big") if timed else None))
    return list(found.values())


def merged(note: SignedNote, more: Sequence[NoteSignature]) -> SignedNote:
    """The note with these signatures, of which each replaces one of the same key."""
    fresh = {(one.name, one.key_id) for one in more}
    return SignedNote(note.text, (*(one for one in note.signatures if (one.name, one.key_id) not in fresh), *more))


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def bytes_of(text: str) -> bytes:
    """What base64 stands for. Raises Malformed unless this is its one form."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if not raw or _base64(raw) != text:
        raise Malformed(f"'{text[:60]}' is not base64 in its one form")
    return raw
