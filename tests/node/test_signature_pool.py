"""Signatures checked in a separate process: the verdicts are the same, whatever happens to the process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import pytest

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.signing import SignatureClaim, Signer, verify_all
from banyan_node.workers import signature_pool
from banyan_node.workers.signature_pool import MANY, PROCESSES, READY, SignaturePool, SignatureProcess


def signatures(count: int, first: int = 0) -> list[SignatureClaim]:
    signers = [Signer(TEST, bytes((n, *bytes(31)))) for n in range(1, 4)]
    entries = [EntryId(n.to_bytes(32, "big")) for n in range(first, first + count)]
    return [SignatureClaim(signers[n % 3].key, entry, signers[n % 3].sign(entry)) for n, entry in enumerate(entries)]


def forged(check: SignatureClaim) -> SignatureClaim:
    return check._replace(sig=bytes((check.sig[0] ^ 1,)) + check.sig[1:])


@pytest.fixture
def process() -> Iterator[SignatureProcess]:
    """A checking process that is ready."""
    made = SignatureProcess(TEST)
    until = time.monotonic() + 60
    while made.pid is None and time.monotonic() < until:
        made(TEST, signatures(MANY))
        time.sleep(0.02)
    assert made.pid is not None
    yield made
    made.close()


def bad(verdicts: Sequence[BadSignature | None]) -> list[int]:
    return [n for n, verdict in enumerate(verdicts) if verdict is not None]


def same_as_here(process: SignatureProcess, checks: Sequence[SignatureClaim]) -> bool:
    there, here = process(TEST, checks), verify_all(TEST, checks)
    assert [str(v) for v in there] == [str(v) for v in here]
    return bool(bad(there))


def test_its_verdicts_are_those_of_this_process_with_the_same_sentences(process: SignatureProcess) -> None:
    pid = process.pid
    checks = signatures(2_000)
    assert not same_as_here(process, checks)
    for n in (0, 7, 1_999):
        checks[n] = forged(checks[n])
    assert same_as_here(process, checks)
    assert bad(process(TEST, checks)) == [0, 7, 1_999]
    assert process.pid == pid


def test_rows_of_other_sizes_cannot_shift_what_is_checked(process: SignatureProcess) -> None:
    """Joined, these rows are those of valid signatures; separately, none is one."""
    sound = signatures(MANY)
    shifted = list(sound)
    a, b = sound[3], sound[4]
    shifted[3] = SignatureClaim(a.writer, a.entry, a.sig + b.writer[:1])
    shifted[4] = SignatureClaim(WriterKey(b.writer[1:]), b.entry, b.sig)
    assert b"".join(p for c in shifted for p in c) == b"".join(p for c in sound for p in c)
    assert bad(process(TEST, shifted)) == [3, 4]


def test_of_another_realm_it_does_not_speak(process: SignatureProcess) -> None:
    assert len(bad(process(MAIN, signatures(MANY)))) == MANY


def test_a_killed_process_is_replaced_and_no_check_is_lost(
    process: SignatureProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature_pool, "AGAIN_S", 0.0)
    process._again = 0.0
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    checks = [*signatures(MANY), forged(signatures(1)[0])]
    assert same_as_here(process, checks)
    assert process.pid is None
    until = time.monotonic() + 60
    while process.pid is None and time.monotonic() < until:
        assert same_as_here(process, checks)
    assert process.pid is not None


def test_one_that_hangs_is_given_up(process: SignatureProcess) -> None:
    assert process.pid is not None
    assert process._talk is not None
    os.kill(process.pid, signal.SIGSTOP)
    process._talk.settimeout(0.2)
    assert same_as_here(process, [*signatures(5_000), forged(signatures(1)[0])])
    assert process.pid is None


def test_it_goes_with_the_node(process: SignatureProcess) -> None:
    pid = process.pid
    assert pid is not None
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert bad(process(TEST, [*signatures(MANY), forged(signatures(1)[0])])) == [MANY]
    assert process.pid is None


def test_a_question_that_would_wait_goes_to_the_next_process() -> None:
    made = SignaturePool(TEST)
    first, second = made._checkers
    checks = [*signatures(MANY), forged(signatures(1)[0])]
    until = time.monotonic() + 60
    while second.pid is None and time.monotonic() < until:
        assert bad(made(TEST, checks)) == [MANY]
        if first.pid is not None:
            with first._lock:  # a question is with it
                second.answers()
    assert first.pid is not None
    assert second.pid not in (None, first.pid)
    with first._lock:
        assert bad(made(TEST, checks)) == [MANY]
    with second._lock:
        assert bad(made(TEST, checks)) == [MANY]
    made.close()
    assert [checker.pid for checker in made._checkers] == [None, None]


def test_a_process_that_is_still_starting_is_not_waited_for() -> None:
    checker = SignatureProcess(TEST)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(0.2)
        checker._talk = ours
        assert bad(checker(TEST, [*signatures(MANY), forged(signatures(1)[0])])) == [MANY]  # checked here
        assert not checker.answers()
        assert checker._talk is ours  # waiting for its word would have ended it
        theirs.sendall(READY)
        assert checker.answers()
    checker.close()


def test_a_process_loads_little_before_it_is_ready() -> None:
    """It starts in the middle of a catch-up, whose signatures wait for it."""
    look = f"import sys, {signature_pool.__name__}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", look], capture_output=True, text=True, check=True).stdout
    assert not {"importlib.metadata", "trio", "lmdb"} & set(loaded.split())


def test_few_signatures_begin_no_process() -> None:
    made = SignaturePool(TEST)
    assert bad(made(TEST, signatures(MANY - 1))) == []
    assert [checker._process for checker in made._checkers] == [None] * PROCESSES
    made.close()
