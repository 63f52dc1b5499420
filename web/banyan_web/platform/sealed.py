"""What a request was answered, for a day, so that the same request gets the same answer: what was shown once may have
been lost on its way.

It is sealed with the token of the request and the name under which it is kept. This server has only a hash of the
token, so what lies here is of no use to a thief of the file.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from banyan_web.door_store import DoorStore
from banyan_web.endpoint import Ask
from banyan_web.platform.acting import whose
from banyan_web.refusals import Refused

_JSON = msgspec.json.Encoder(order="sorted")


class Answer(NamedTuple):
    """What to keep. said: the digest of the request. about: DIDs of accounts, or the name by which one is opened: once
    one of them is erased here, it goes."""

    said: bytes
    text: str
    about: Collection[str]


class Kept(NamedTuple):
    """said: the digest of the request."""

    said: bytes
    text: str


def digest_of(value: Any) -> bytes:
    return sha256(_JSON.encode(value)).digest()


class Seal:
    """Opens and seals for the token of a request."""

    def __init__(self, door: DoorStore, ask: Ask) -> None:
        self._door, self._whose = door, whose(ask).encode()
        raw = ask.request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        self._secret = sha256(b"banyan door seal\0" + raw.partition(b" ")[2].strip()).digest()

    def name(self, of: str) -> bytes:
        """Under which it is kept. of: what identifies the request, among those of this token's owner."""
        return sha256(b"%b\0%b" % (self._whose, of.encode("utf-8", "surrogateescape"))).digest()

    def keep(self, plans: Mapping[bytes, Answer]) -> dict[bytes, Kept | Refused]:
        """Keeps answers by name, where nothing is kept yet, and returns what is kept. It is durable. Any thread."""
        now = int(time.time())
        rows = [(name, one.said, now, self._box(name).encrypt(one.text.encode())) for name, one in plans.items()]
        abouts = [(about, name, one.said) for name, one in plans.items() for about in one.about]
        with self._door.writing() as db:
            self._door.end_terms("sealed")
            db.executemany("insert or ignore into sealed values (?, ?, ?, ?)", rows)
            db.executemany(_ABOUT, abouts)
            found = {name: next(iter(db.execute(_GET, (name,)))) for name in plans}
        return {name: self._read(name, *row) for name, row in found.items()}

    def find(self, name: bytes) -> Kept | Refused | None:
        with self._door.reading() as db:
            row = next(iter(db.execute(_GET, (name,))), None)
        return None if row is None else self._read(name, *row)

    def drop(self, name: bytes) -> None:
        with self._door.writing() as db:
            db.execute("delete from sealed where name = ?", (name,))

    def _box(self, name: bytes) -> SecretBox:
        return SecretBox(sha256(self._secret + name).digest())

    def _read(self, name: bytes, said: bytes, raw: bytes) -> Kept | Refused:
        try:
            return Kept(said, self._box(name).decrypt(raw).decode())
        except CryptoError:
            says = "This was answered under another token of yours, and only that one opens the answer again."
            return Refused(409, says, code="refused")


_ABOUT = "insert or ignore into sealed_of select ?1, name from sealed where name = ?2 and said = ?3"
_GET = "select said, text from sealed where name = ?"
