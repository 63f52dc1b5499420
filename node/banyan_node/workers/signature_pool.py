"""Checks signatures of bulk in separate processes.

A check takes as long as all other work on a short run. libsodium releases the GIL, but after each check the thread must
reacquire it, so the checking and the judging thread block each other: two threads were no faster than one. A process
has its own GIL. It starts when there is much to check for the first time, and holds no state. Checks that it does not
answer, or that it finds wrong, are made here.
"""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.realm import REALMS, Realm
from banyan_crdt.signing import SignatureClaim, verify_all

PROCESSES = 2
"""As many as frames that are prepared at a time (frame_preparer.py): for runs of one entry the checks are most of the
work."""
MANY = 128
"""The least number of signatures for which a process saves time."""
PATIENCE_S = 20.0
"""How long to wait for an answer; then the process is ended and the checks are made here."""
AGAIN_S = 5.0
"""The least time between two starts of a process, so that a failing one is not started for every frame."""
READY, GOOD, BAD = b"R", 1, 0
_SIZES = (32, 32, 64)
_ROW = sum(_SIZES)


class SignaturePool:
    """A `Verify` (prepare.py) for any thread: it asks a process that is free."""

    def __init__(self, realm: Realm) -> None:
        self._checkers = [SignatureProcess(realm) for _ in range(PROCESSES)]

    def __call__(self, realm: Realm, checks: Sequence[SignatureClaim]) -> list[BadSignature | None]:
        first = self._checkers[0]
        if len(checks) >= MANY:
            for checker in self._checkers:
                if checker.busy:
                    continue  # so the next process starts only when a question would have to wait
                if checker.answers():
                    return checker(realm, checks)
                break
        return first(realm, checks)

    def close(self) -> None:
        for checker in self._checkers:
            checker.close()


class SignatureProcess:
    """One process. Any thread may ask; it answers one question at a time."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._talk: socket.socket | None = None
        self._ready = self._closed = False
        self._again = 0.0

    def __call__(self, realm: Realm, checks: Sequence[SignatureClaim]) -> list[BadSignature | None]:
        if len(checks) < MANY or realm != self._realm or not _sized(checks):
            return verify_all(realm, checks)
        with self._lock:
            verdicts = self._ask(b"".join(chain.from_iterable(checks)), len(checks))
        if verdicts is None:
            return verify_all(realm, checks)
        if verdicts.count(GOOD) == len(checks):
            return [None] * len(checks)
        return [None if v == GOOD else verify_all(realm, (c,))[0] for c, v in zip(checks, verdicts, strict=True)]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._end()

    @property
    def busy(self) -> bool:
        """Whether it is working on a question."""
        return self._lock.locked()

    def answers(self) -> bool:
        """Whether the process is ready. If not, it is started; this does not wait for it."""
        with self._lock:
            try:
                return self._answers()
            except (OSError, EOFError):
                self._end()
                return False

    @property
    def pid(self) -> int | None:
        """The process id, or None if no process is ready."""
        return self._process.pid if self._process is not None and self._ready else None

    def _ask(self, rows: bytes, count: int) -> bytes | None:
        """A verdict for each row, or None if no process answers."""
        try:
            if not self._answers() or self._talk is None:
                return None
            self._talk.sendall(count.to_bytes(4, "big") + rows)
            return _exactly(self._talk, count)
        except (OSError, EOFError):
            self._end()
            return None

    def _answers(self) -> bool:
        if self._talk is None:
            self._begin()
        elif not self._ready:
            self._ready = _heard(self._talk)
        return self._ready

    def _begin(self) -> None:
        now = time.monotonic()
        if self._closed or now < self._again:
            return
        self._again = now + AGAIN_S
        self._talk, theirs = socket.socketpair()
        with theirs:
            self._talk.settimeout(PATIENCE_S)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "banyan_node.workers.signature_pool", self._realm.name],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )

    def _end(self) -> None:
        if self._talk is not None:
            self._talk.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._talk = None
        self._ready = False


def _sized(checks: Sequence[SignatureClaim]) -> bool:
    return all(set(map(len, column)) == {size} for column, size in zip(zip(*checks, strict=True), _SIZES, strict=True))


def _heard(talk: socket.socket) -> bool:
    """Whether the process has said that it is ready. Does not wait."""
    talk.settimeout(0)
    try:
        heard = talk.recv(1)
    except BlockingIOError:
        return False
    finally:
        talk.settimeout(PATIENCE_S)
    if heard != READY:
        raise EOFError
    return True


def _exactly(talk: socket.socket, n: int) -> bytes:
    """Raises EOFError if the other end is gone, OSError after PATIENCE_S."""
    got = bytearray()
    while len(got) < n:
        more = talk.recv(n - len(got))
        if not more:
            raise EOFError
        got += more
    return bytes(got)


def main(realm: Realm, talk: socket.socket) -> None:
    """The process. It reads questions (count 4, then for each: writer 32 | entry 32 | signature 64) and answers with
    one byte for each signature, until the node closes the socket."""
    talk.sendall(READY)
    while True:
        count = int.from_bytes(_exactly(talk, 4), "big")
        rows = _exactly(talk, count * _ROW)
        checks = [
            SignatureClaim(WriterKey(rows[k : k + 32]), EntryId(rows[k + 32 : k + 64]), rows[k + 64 : k + _ROW])
            for k in range(0, len(rows), _ROW)
        ]
        talk.sendall(bytes([GOOD if verdict is None else BAD for verdict in verify_all(realm, checks)]))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches the node, which closes the socket at its end
    with suppress(EOFError, OSError):
        main(REALMS[sys.argv[1]], socket.socket(fileno=0))
