"""Nodes that know an account's control log, and helpers for tests of judging."""

from __future__ import annotations

import pytest

from banyan_crdt.entry import Entry
from banyan_crdt.errors import NotYet
from banyan_crdt.ids import EntryId, LogId
from banyan_crdt.realm import TEST
from banyan_crdt.run import Run, decode_run
from banyan_crdt.state import account_state
from banyan_replica.intake.ingest import Ingest
from banyan_storage.check import verify
from tests.crdt.make import Person, follow, run_bytes
from tests.replica.helpers import NOW_MS, new_ingest


def known(person: Person) -> Ingest:
    made = new_ingest()
    made.control(person.id, person.control, NOW_MS)
    return made


def run_of(log: list[Entry], first: int = 0, stop: int | None = None) -> Run:
    return decode_run(TEST, run_bytes(log, first, len(log) if stop is None else stop))


def reason(ingest: Ingest, log: list[Entry], first: int = 0) -> str:
    """The reason of the "not yet" that a run gets."""
    with pytest.raises(NotYet) as why:
        ingest.run(run_of(log, first), NOW_MS)
    return why.value.reason


def held(ingest: Ingest, log: LogId) -> tuple[list[EntryId], set[EntryId]]:
    """The ids of counted entries, and of those held beside."""
    chain, loose = ingest.store.held(log)
    return [e.id for e in chain], {e.id for e in loose}


def ids(log: list[Entry], first: int = 0) -> list[EntryId]:
    return [e.id for e in log[first:]]


def sound(ingest: Ingest) -> None:
    """Checks that the store is sound, has the state of all that it holds, and that caches agree."""
    ingest.store.commit()
    assert verify(ingest.store, lambda account, n: None) == []
    for account in ingest.store.accounts():
        logs = {
            log: [*chain, *loose] for log in ingest.store.logs(account) for chain, loose in [ingest.store.held(log)]
        }
        state = account_state(
            *(ingest.realm, account, ingest.store.control(account), {k: v for k, v in logs.items() if k.log}),
            ingest.store.checkpoints(account),
        )
        assert ingest.store.heads(account) == state.heads
        some = next(iter(logs))
        assert ingest.usual(some) == (not ingest.store.loose_logs(account))


def notes(person: Person, device: str, *pinned: Entry, below: list[Entry] | None = None) -> list[Entry]:
    """The log of a notary, with one pin in each entry."""
    log = list(below or ())
    for entry in pinned:
        log.append(follow(person.full(device), person.log(device), log, person.pin(entry)))
    return log
