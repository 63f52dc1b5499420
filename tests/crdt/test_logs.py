"""Which entries of a granted log count: forks, pins, cuts, limits, ends. The same for any order of the entries."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from banyan_crdt.control import resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import Head, LogId
from banyan_crdt.logs import CountedLog, by_parent, count_log, granted_valid, must_hold, to_signature, within_limits
from banyan_crdt.ops import Drop, Pin
from banyan_crdt.realm import DAY_MS, TEST, Realm
from banyan_crdt.run import run_row_bytes
from banyan_crdt.state import AccountState, account_state
from tests.crdt.make import START, TICK, Person, add, follow, unsigned

SMALL = Realm("small", TEST.birth_ms, 3, 2, 10_000, 1_000)


class Kept(NamedTuple):
    """The counted entries of a log, and what must be held besides."""

    chain: tuple[Entry, ...]
    forked: bool
    head: Head
    loose: tuple[Entry, ...]


def state(person: Person, *logs: Sequence[Entry], realm: Realm = TEST) -> AccountState:
    """The state, after checking every order, doubles, and what must be kept of it."""
    by_log: dict[LogId, list[Entry]] = {}
    for e in {e.id: e for log in logs for e in log}.values():
        by_log.setdefault(e.log_id, []).append(e)
    s = account_state(realm, person.id, person.control, by_log)
    rng = random.Random(1)
    for _ in range(5):
        mixed = {log: rng.sample(held, len(held)) + held[:2] for log, held in by_log.items()}
        assert account_state(realm, person.id, person.control, mixed).heads == s.heads
    kept = {log: kept_of(s, log, held, realm) for log, held in by_log.items() if log in s.logs}
    again = account_state(realm, person.id, person.control, {log: [*c.chain, *c.loose] for log, c in kept.items()})
    assert again.heads == s.heads
    for log, c in kept.items():
        assert set(kept_of(again, log, [*c.chain, *c.loose], realm).loose) == set(c.loose)
        assert servable(c)
    return s


def kept_of(s: AccountState, log: LogId, given: Sequence[Entry], realm: Realm = TEST) -> Kept:
    c = s.logs[log]
    keep = must_hold(realm, s.control.grant_of(log.writer, log.log), c, given)
    loose = sorted((e for e in {e.id: e for e in given}.values() if e.id in keep), key=lambda e: (e.header.seq, e.id))
    return Kept(c.chain, c.forked, c.head, tuple(loose))


def servable(c: Kept) -> bool:
    """Every held entry has a signature at or above it along held entries."""
    held = {e.id: e for e in (*c.chain, *c.loose)}
    vouched = set()
    for e in held.values():
        at: Entry | None = e if e.sig is not None else None
        while at is not None and at.id not in vouched:
            vouched.add(at.id)
            at = held.get(at.header.prev) if at.header.prev is not None else None
    return vouched == held.keys()


def counted(person: Person, *logs: Sequence[Entry], device: str = "phone", number: int = 1) -> Kept:
    log = person.log(device, number)
    return kept_of(state(person, *logs), log, [e for some in logs for e in some if e.log_id == log])


def ids(entries: Sequence[Entry]) -> list[bytes]:
    return [e.id for e in entries]


def test_a_log_counts_from_its_beginning_and_no_gap_is_jumped() -> None:
    an = Person()
    log = an.write(5)
    assert ids(counted(an, log).chain) == ids(log)
    assert ids(counted(an, [*log[:2], *log[3:]]).chain) == ids(log[:2])
    assert counted(an, log[1:]).chain == ()


def test_a_log_counts_up_to_its_first_fork_and_rests_on_two_branches_up_to_a_signature() -> None:
    an = Person()
    log = an.write(3)
    branches = [an.write(2, below=log, tag=t)[3:] for t in "abcd"]
    c = counted(an, log, *branches)
    assert c.forked
    assert ids(c.chain) == ids(log)
    two = sorted(branches, key=lambda b: b[0].id)[:2]
    assert set(ids(c.loose)) == {b[0].id for b in two}


def test_two_first_entries_are_a_fork_at_the_start() -> None:
    an = Person()
    c = counted(an, an.write(2, tag="a"), an.write(2, tag="b"))
    assert c.forked
    assert c.head == (0, None, 1)


def test_without_a_pin_a_stolen_key_wipes_the_log_and_with_one_it_takes_what_is_above() -> None:
    an = Person()
    log = an.write(6)
    thiefs = an.write(1, tag="thief")
    assert counted(an, log, thiefs).chain == ()
    an.say(an.pin(log[3]))
    assert ids(counted(an, log, thiefs).chain) == ids(log)
    late = an.write(1, below=log[:5], tag="thief")
    assert ids(counted(an, log, thiefs, late).chain) == ids(log[:5])


def test_the_first_pin_wins_and_a_later_one_must_extend_it() -> None:
    an = Person()
    log = an.write(2)
    a, b = an.write(3, below=log, tag="a"), an.write(3, below=log, tag="b")
    an.say(an.pin(a[2]))
    an.say(an.pin(b[4]))
    assert ids(counted(an, a, b).chain) == ids(a)
    an.say(an.pin(a[3]))
    other = an.write(1, below=a[:4], tag="c")
    c = counted(an, a, b, other)
    assert (ids(c.chain), c.forked) == (ids(a[:4]), True)


def test_a_later_pin_that_lies_lower_takes_nothing_of_what_is_pinned() -> None:
    an = Person()
    log = an.write(5)
    other = an.write(1, below=log[:3], tag="x")
    an.say(an.pin(log[3]))
    an.say(an.pin(log[1]))
    c = counted(an, log, other)
    assert (ids(c.chain), c.forked) == (ids(log), False)


def test_a_pin_whose_chain_is_not_held_waits() -> None:
    an = Person()
    log = an.write(2)
    a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
    an.say(an.pin(a[3]))
    assert ids(counted(an, log, a[2:3], b).chain) == ids(log)
    assert ids(counted(an, a, b).chain) == ids(a)


def test_a_pin_with_a_wrong_number_is_inert() -> None:
    an = Person()
    log = an.write(2)
    a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
    an.say(an.pin(a[3])._replace(seq=2))
    assert ids(counted(an, a, b).chain) == ids(log)


def test_a_log_pins_only_logs_of_a_higher_stratum() -> None:
    for stratum, pins in ((7, True), (8, False), (9, False)):
        an = Person()
        an.grant("notary", stratum=stratum)
        log = an.write(2)
        a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
        note = [follow(an.full("notary"), an.log("notary"), [], an.pin(b[2]))]
        assert ids(counted(an, a, b, note).chain) == ids(b if pins else log)


def test_a_log_of_the_same_stratum_pins_nothing_though_it_is_counted_before() -> None:
    an = Person(device=None)
    an.grant("notary", stratum=8)
    an.grant("phone", stratum=8)
    log = an.write(2)
    a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
    note = [follow(an.full("notary"), an.log("notary"), [], an.pin(b[2]))]
    assert ids(counted(an, a, b, note).chain) == ids(log)


def test_a_cut_ends_a_log_at_its_place_though_what_it_keeps_is_not_held() -> None:
    an = Person()
    log = an.write(2)
    mine, stolen = an.write(3, below=log, tag="mine"), an.write(5, below=log, tag="thief")
    an.say(an.cut("phone", mine[4]))
    assert ids(counted(an, stolen).chain) == ids(stolen[:5])
    assert ids(counted(an, stolen, mine).chain) == ids(mine)


def test_a_void_entry_pins_nothing_and_stays_in_its_log() -> None:
    an = Person()
    an.grant("notary", stratum=1)
    log = an.write(2)
    a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
    close = follow(an.full("notary"), an.log("notary"), [], an.pin(b[2]), *[Drop(an.key("phone"), 1)])
    s = state(an, a, b, [close])
    assert ids(s.logs[an.log()].chain) == ids(log)
    assert s.heads[an.log("notary")].length == 1


def test_a_cut_ends_a_log_at_what_it_names_and_empties_what_it_does_not() -> None:
    an = Person()
    log, other = an.write(5), an.write(2, number=2)
    an.say(an.cut("phone", log[2]))
    s = state(an, log, other)
    assert ids(s.logs[an.log()].chain) == ids(log[:3])
    assert an.log("phone", 2) not in s.heads
    assert not s.logs[an.log()].forked


def test_a_cut_chooses_at_a_fork_below_it() -> None:
    an = Person()
    log = an.write(2)
    a, b = an.write(3, below=log, tag="a"), an.write(3, below=log, tag="b")
    an.say(an.cut("phone", b[3]))
    c = counted(an, a, b)
    assert (ids(c.chain), c.forked) == (ids(b[:4]), False)


def test_what_forks_above_a_cut_is_no_fork() -> None:
    an = Person()
    log = an.write(3)
    a, b = an.write(2, below=log, tag="a"), an.write(2, below=log, tag="b")
    an.say(an.cut("phone", log[2]))
    c = counted(an, a, b)
    assert (ids(c.chain), c.forked) == (ids(log), False)


def test_an_honest_notary_that_pinned_a_thiefs_entry_does_not_undo_the_cut() -> None:
    an = Person()
    an.grant("notary", stratum=1)
    log = an.write(3)
    stolen = an.write(3, below=log, tag="thief")
    note = [follow(an.full("notary"), an.log("notary"), [], an.pin(stolen[5]))]
    an.say(an.cut("phone", log[2]))
    assert ids(counted(an, stolen, note).chain) == ids(log)


def test_a_writer_that_is_cut_keeps_nothing_if_the_cut_names_nothing() -> None:
    an = Person()
    an.say(an.cut("phone"))
    assert state(an, an.write(3)).heads.keys() == state(an).heads.keys()


def test_a_log_counts_up_to_the_end_of_its_grant() -> None:
    an = Person(device=None)
    log = an.write(4)
    an.say(an.grant_op("phone", until=log[2].header.time))
    assert ids(counted(an, log).chain) == ids(log[:3])


def test_an_expired_entry_is_no_evidence_of_a_fork() -> None:
    an = Person(device=None)
    log = an.write(4)
    an.say(an.grant_op("phone", until=log[3].header.time))
    late = follow(an.full("phone"), an.log(), log[:2], add("late"), time=log[3].header.time + 1)
    c = counted(an, log, [late])
    assert (ids(c.chain), c.forked) == (ids(log), False)


def test_a_chain_without_a_signature_at_its_end_keeps_what_lies_up_to_the_next_one() -> None:
    an = Person()
    log = [unsigned(e) if e.header.seq != 4 else e for e in an.write(6)][:5]
    an.say(an.cut("phone", log[1]))
    c = counted(an, log)
    assert ids(c.chain) == ids(log[:2])
    assert ids(c.loose) == ids(log[2:])


def test_a_suspended_branch_that_ends_at_a_limit_keeps_what_lies_up_to_its_signature() -> None:
    an = Person(device=None)
    log = an.write(2)
    branches = [an.write(3, below=log, tag=t) for t in "ab"]
    an.say(an.grant_op("phone", until=branches[0][3].header.time))
    held = [[unsigned(e) if e.header.seq in (2, 3) else e for e in b] for b in branches]
    c = counted(an, *held)
    assert c.forked
    assert len(c.loose) == 6


def test_a_log_goes_on_the_day_after_it_reached_its_limit() -> None:
    an = Person(device=None)
    an.grant("phone")
    since = an.control[-1].header.time
    g = resolve_control(an.control).grant_of(an.key("phone"), 1)
    assert g is not None
    for day, allowed in ((0, 3), (1, 5), (2, 7)):
        time = since + (day * DAY_MS << 16)
        assert within_limits(SMALL, g, allowed - 1, time, 0)
        assert not within_limits(SMALL, g, allowed, time, 0)
    assert not within_limits(SMALL, g, 3, since + ((DAY_MS // 2 - 1) << 16), 0)
    assert within_limits(SMALL, g, 3, since + (DAY_MS // 2 << 16), 0)
    assert within_limits(SMALL, g, 0, since, 10_000)
    assert not within_limits(SMALL, g, 0, since, 10_001)


def test_an_entry_past_its_limit_does_not_count_and_breaks_nothing() -> None:
    an = Person(device=None)
    an.grant("phone")
    c_all = an.write(3)
    hasty = an.write(4)
    later = follow(an.full("phone"), an.log(), c_all, add("later"), time=START + (DAY_MS << 16) + 9 * TICK)
    for logs in ((hasty,), (hasty, [later])):
        chain = (
            account_state(SMALL, an.id, an.control, {an.log(): [e for log in logs for e in log]}).logs[an.log()].chain
        )
        assert ids(chain) == ids(c_all) + ([later.id] if len(logs) == 2 else [])


def test_a_fresh_key_cannot_date_its_grant_back_and_claim_decades() -> None:
    an = Person(device=None)
    old = an.say(an.grant_op("phone"), time=an.control[-1].header.time + 1)
    g = resolve_control(an.control).grant_of(an.key("phone"), 1)
    assert g is not None
    early = type(g)(g.grant, 0, 0)
    birth = TEST.birth_ms << 16
    assert within_limits(TEST, early, TEST.entry_burst - 1, birth, 0)
    assert not within_limits(TEST, early, TEST.entry_burst, birth, 0)
    assert old.header.time > birth


def test_what_is_not_granted_is_left_out() -> None:
    an = Person()
    s = state(an, an.write(2), an.write(2, device="stranger"), an.write(1, number=9))
    assert set(s.logs) == {an.log()}


def test_doubles_with_and_without_a_signature_are_one_entry() -> None:
    an = Person()
    log = an.write(3)
    g = resolve_control(an.control).grant_of(an.key("phone"), 1)
    assert g is not None
    assert granted_valid(TEST, g, log[0])
    for held in ([*log, *map(unsigned, log)], [*map(unsigned, log), *log]):
        c = count_log(TEST, g, held, (), None)
        assert ids(c.chain) == ids(log)
        assert [e.sig for e in c.chain] == [e.sig for e in log]
        assert must_hold(TEST, g, c, held) == set()


def test_a_forked_chain_keeps_the_nearest_signature_only_where_none_of_its_evidence_is_within_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    an = Person()
    trunk = an.write(2)
    branches = sorted((an.write(3, below=trunk, tag=str(n)) for n in range(5)), key=lambda b: b[len(trunk)].id)
    far = [e for b in branches[:-1] for e in (*map(unsigned, b[len(trunk) : -1]), b[-1])]
    near = branches[-1][len(trunk)]
    assert near not in counted(an, [*map(unsigned, trunk), *far, near]).loose
    monkeypatch.setattr("banyan_crdt.logs.MAX_RUN_ENTRIES", 4)
    c = counted(an, [*map(unsigned, trunk), *far, near])
    assert ids(c.chain) == ids(trunk)
    assert c.forked
    assert near in c.loose
    assert near not in counted(an, [trunk[0], trunk[1], *far, near]).loose  # a signed end needs no other


def test_a_signature_vouches_for_what_fits_a_run_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    log = [*map(unsigned, an.write(7)), an.write(8)[7]]
    beside = an.write(1, below=log[:4], tag="x")[4]
    g = resolve_control(an.control).grant_of(an.key("phone"), 1)
    assert must_hold(TEST, g, CountedLog(tuple(log), False, 8), [beside]) == set()
    monkeypatch.setattr("banyan_crdt.logs.RUN_ROWS_BYTES", sum(run_row_bytes(e.ops) for e in log[:6]))
    assert must_hold(TEST, g, CountedLog(tuple(log), False, 8), [beside]) == {beside.id}


def test_what_a_firm_entry_hangs_on_stays_each_with_a_signature_within_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    log = an.write(1)
    firm = an.write(5, below=log, tag="firm")
    low, high = an.write(1, below=firm[:2], tag="low")[2], an.write(1, below=firm[:3], tag="high")[3]
    loose = [*map(unsigned, firm[1:5]), firm[5], low, high]
    g = resolve_control(an.control).grant_of(an.key("phone"), 1)
    c = CountedLog(tuple(log), False, 1)
    monkeypatch.setattr("banyan_crdt.logs.MAX_RUN_ENTRIES", 3)
    assert must_hold(TEST, g, c, loose, [firm[5].id]) == {e.id for e in loose if e is not low}
    assert must_hold(TEST, g, c, [e for e in loose if e is not high], [firm[5].id]) == {
        e.id for e in loose if e is not high
    }


def test_the_way_to_a_signature_is_no_longer_than_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    log = [*map(unsigned, an.write(3)), an.write(4)[3]]
    kids = by_parent(log)
    monkeypatch.setattr("banyan_crdt.logs.MAX_RUN_ENTRIES", 3)
    assert ids(to_signature(kids, log[1])) == ids(log[1:])
    assert ids(to_signature(kids, log[0])) == ids(log[:1])


def random_branches(rng: random.Random, person: Person) -> list[Entry]:
    """Entries of one log, with forks anywhere."""
    ways: list[list[Entry]] = [[]]
    for n in range(rng.randrange(1, 14)):
        way = rng.choice(ways)
        below = way[: rng.randrange(len(way) + 1)] if rng.random() < 0.3 else way
        way = [*below, follow(person.full("phone"), person.log("phone"), below, add(f"{n} {rng.random()}"))]
        ways.append(way)
    return list({e.id: e for way in ways for e in way}.values())


def chosen_by_hand(held: Sequence[Entry], pins: Sequence[Pin]) -> list[Entry]:
    """What pins choose, as docs/protocol.md says it: each whose whole chain is held and continues what was chosen."""
    by_id, chain = {e.id: e for e in held}, list[Entry]()
    for pin in pins:
        way, at = list[Entry](), by_id.get(pin.id)
        while at is not None:
            way.insert(0, at)
            at = by_id.get(at.header.prev) if at.header.prev else None
        whole = way and way[0].header.seq == 0 and len(way) == pin.seq + 1
        if whole and way[: len(chain)] == chain:
            chain = way
    return chain


def test_many_pins_choose_what_one_after_the_other_chooses_and_one_that_counts_already_changes_nothing() -> None:
    person, chose = Person("an"), 0
    granted = resolve_control(person.control).grant_of(person.log("phone").writer, person.log("phone").log)
    assert granted is not None
    for number in range(1_500):
        rng = random.Random(number)
        given = random_branches(rng, person)
        held = [e for e in given if rng.random() < 0.9]

        def pin(of: Sequence[Entry], rng: random.Random = rng) -> Pin:
            e, log = rng.choice(of), person.log("phone")
            return Pin(log.writer, log.log, e.header.seq + (rng.random() < 0.1), e.id)

        pins = [pin(given) for _ in range(rng.randrange(6))]
        found = count_log(TEST, granted, held, pins, None)
        expected = chosen_by_hand(held, pins)
        assert list(found.chain[: found.pinned]) == expected
        chose += bool(expected)
        if found.chain:
            place = rng.randrange(len(pins) + 1)
            again = count_log(TEST, granted, held, [*pins[:place], pin(found.chain), *pins[place:]], None)
            assert (again.chain, again.forked) == (found.chain, found.forked)
    assert chose > 500
