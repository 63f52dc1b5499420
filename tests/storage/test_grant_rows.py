"""The grants of a row equal those of the control log, for all kinds of logs, and after rollbacks and power loss."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from banyan_crdt.control import resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, Coll, EntryId, LogId, WriterKey
from banyan_crdt.logs import Grants, PathGrant
from banyan_crdt.ops import Grant, KeptTip
from banyan_storage import tables as t
from banyan_storage.check import verify
from banyan_storage.entry_records import decode_grants, encode_grants
from banyan_storage.errors import CorruptStore
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.views import VIEW_TABLES, SocialViews
from tests.model.concrete import REALM, concrete
from tests.model.scenarios import scenario

LOGS = range(4)


def control_logs(seed: str, scenarios: int) -> Iterator[tuple[AccountId, list[Entry]]]:
    """Of accounts with thieves, forks, cuts, drops and recoveries: any part of a control log, in any order."""
    rng = random.Random(seed)
    for _ in range(scenarios):
        entries = [e for e in concrete(scenario(rng, 24)).real if not e.header.log]
        for account in sorted({e.account for e in entries}):
            whole = [e for e in entries if e.account == account]
            for _ in range(4):
                yield account, rng.sample(whole, rng.randint(1, len(whole)))
            yield account, whole


def drawn(rng: random.Random) -> Grants:
    """Grants with every field random, also in combinations that no path has."""
    writers = [WriterKey(rng.randbytes(32)) for _ in range(rng.randint(0, 4))]
    grants: dict[WriterKey, list[PathGrant]] = {}
    for order in range(rng.randint(0, 6) if writers else 0):
        colls = rng.choice([None, (), tuple(Coll(rng.randbytes(8)) for _ in range(rng.randint(1, 5)))])
        until, x25519 = rng.choice([None, 0, 2**64 - 1]), rng.choice([None, rng.randbytes(32)])
        first, logs = (rng.choice([1, rng.getrandbits(32) | 1]) for _ in range(2))
        grant = Grant(rng.choice(writers), first, logs, rng.getrandbits(8), colls, until, x25519)
        grants.setdefault(grant.writer, []).append(PathGrant(grant, rng.getrandbits(64), order))
    cuts = {
        writer: {n: KeptTip(n, rng.getrandbits(48), EntryId(rng.randbytes(32))) for n in range(rng.randint(0, 3))}
        for writer in writers
        if rng.random() < 0.4
    }
    dropped = frozenset((writer, rng.getrandbits(32)) for writer in writers if rng.random() < 0.4)
    return Grants({writer: tuple(of) for writer, of in grants.items()}, cuts, dropped, rng.random() < 0.2)


def opened(engine: MemoryEngine) -> Store:
    return Store(engine, REALM, new_store_id=bytes(16), views=SocialViews())


def engine() -> MemoryEngine:
    return MemoryEngine((*t.STORE_TABLES, *VIEW_TABLES))


def test_what_is_read_back_answers_as_the_whole_control_log() -> None:
    kinds = set()
    for account, entries in control_logs("rows", 400):
        control = resolve_control(entries)
        raw = encode_grants(control)
        grants = decode_grants(raw)
        assert grants == control.alone()
        assert encode_grants(grants) == raw
        kinds |= {(bool(control.cuts), bool(control.dropped), control.closed, control.frozen)}
        for writer in {*control.grants, *control.cuts, *(writer for writer, _ in control.dropped)}:
            for n in LOGS:
                log = LogId(account, writer, n)
                assert grants.grant_of(writer, n) == control.grant_of(writer, n)
                assert grants.order_of(log) == control.order_of(log)
                assert grants.cut_of(log) == control.cut_of(log)
    for at in range(4):
        assert {kind[at] for kind in kinds} == {False, True}


def test_every_field_of_a_grant_survives() -> None:
    for seed in range(400):
        grants = drawn(random.Random(f"grants/{seed}"))
        assert decode_grants(encode_grants(grants)) == grants


def test_a_row_that_was_damaged_is_a_sentence_and_never_another_error() -> None:
    for seed in range(60):
        rng = random.Random(f"damage/{seed}")
        raw = encode_grants(drawn(rng))
        for _ in range(20):
            bad = bytearray(raw[: rng.randint(1, len(raw))])
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
            with suppress(CorruptStore):
                decode_grants(bytes(bad))
    with pytest.raises(CorruptStore, match="run a check"):
        decode_grants(b"\0\7" + bytes(9))


@pytest.mark.parametrize("seed", range(6))
def test_the_row_and_the_control_log_go_together_through_rollbacks_and_power_loss(seed: int) -> None:
    rng = random.Random(f"power/{seed}")
    disk = engine()
    store = opened(disk)
    for account, entries in control_logs(f"power/{seed}", 8):
        control = resolve_control([*store.control(account), *entries])
        if control.path:
            store.put_control(account, control, (), 0)
            assert store.grants(account) == control.alone()
        match rng.randrange(4):
            case 0:
                store.commit()
            case 1:
                store.rollback()
            case 2:
                disk = disk.crash()
                store = opened(disk)
        for held in store.accounts():
            assert store.grants(held) == resolve_control(store.control(held)).alone()
    store.commit()
    assert [p for p in verify(store, lambda account, n: None) if "grants" in p.sentence] == []


def test_nothing_is_said_of_an_account_whose_control_log_is_not_held() -> None:
    assert opened(engine()).grants(AccountId(bytes(32))) is None
