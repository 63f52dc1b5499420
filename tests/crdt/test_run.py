"""Runs: one signature proves all entries, no changed byte is accepted, and accepted entries can be served again."""

import random
from collections.abc import Callable
from itertools import combinations

import pytest

from banyan_crdt import run as run_module
from banyan_crdt.codec import decode, encode
from banyan_crdt.columns import Lazy
from banyan_crdt.entry import Entry, encode_header, skip_seq
from banyan_crdt.errors import BadSignature, BanyanError, Malformed, NotYet, Oversized, Reject
from banyan_crdt.ids import CellKey, EntryId, PartHash, WriterKey, coll
from banyan_crdt.ops import Part, Put, encode_ops
from banyan_crdt.realm import MAIN, TEST, Realm
from banyan_crdt.run import (
    MAX_RUN_BYTES,
    MAX_RUN_ENTRIES,
    decode_any_run,
    decode_control,
    decode_run,
    encode_control,
    encode_run,
    encode_steps,
    skips_below,
    verify_run,
)
from banyan_crdt.signing import verify
from tests.crdt.make import Person, add, b32, follow, run_bytes, signer, unsigned
from tests.needs import NIGHT

AN = Person()
LOG = AN.write(60)
ACCOUNT, WRITER, NUMBER, FIRST, PREV, BASE, SKIPS, ROWS, SIG = range(9)


def take(raw: bytes) -> list[Entry]:
    run = decode_run(TEST, raw)
    verify_run(TEST, run)
    return list(run.entries)


def changed(start: int, stop: int, /, **fields: object) -> bytes:
    v = decode(run_bytes(LOG, start, stop))
    for name, value in fields.items():
        v[globals()[name.upper()]] = value
    return encode(v)


@pytest.mark.parametrize(("first", "stop"), [(0, 1), (0, 60), (5, 6), (13, 40), (39, 41), (59, 60)])
def test_a_run_brings_the_same_entries(first: int, stop: int) -> None:
    got = take(run_bytes(LOG, first, stop))
    assert [(e.id, e.header, e.ops) for e in got] == [(e.id, e.header, e.ops) for e in LOG[first:stop]]
    assert [e.sig for e in got[:-1]] == [None] * (stop - first - 1)
    assert got[-1].sig == LOG[stop - 1].sig


def spelled(run: object) -> object:
    """The value with the types inside it, because equal tuples may have different types."""
    members = tuple(run) if isinstance(run, Lazy) else run
    return (type(members), *map(spelled, members)) if isinstance(members, tuple) else (type(run), run)


def strictly(realm: Realm, raw: bytes) -> object:
    return decode_any_run(realm, raw, lambda raw: None)


def both(raw: bytes) -> tuple[object, object]:
    """The answers of the short ways, and of the long way."""

    def answer(read: Callable[[Realm, bytes], object]) -> object:
        try:
            return spelled(read(TEST, raw))
        except BanyanError as error:
            return type(error), str(error)

    return answer(decode_run), answer(strictly)


STRANGE = (0, 1, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x41, 0x58, 0x59, 0x80, 0x81, 0x82, 0x83, 0xF6, 0xFF)


SEQS = (0, 1, 4, 12, 13, 24, 39)


@pytest.mark.parametrize("seq", SEQS)
def test_the_short_cut_for_one_entry_answers_as_the_long_way_on_every_mangled_byte(seq: int) -> None:
    raw = run_bytes(LOG, seq, seq + 1)
    assert run_module._single(TEST, raw) is not None
    for at in range(len(raw)) if NIGHT else range(SEQS.index(seq) % 3, len(raw), 3):
        for value in {*STRANGE, raw[at], raw[at] ^ 1}:
            for mangled in (raw[:at] + bytes((value,)) + raw[at + 1 :], raw[:at] + bytes((value,)) + raw[at:]):
                short, long = both(mangled)
                assert short == long, mangled.hex()
        for cut in (raw[:at], raw[:at] + raw[at + 1 :]):
            short, long = both(cut)
            assert short == long, cut.hex()


def test_the_short_cut_for_one_entry_answers_as_the_long_way_at_every_limit() -> None:
    edges = (
        0,
        1,
        23,
        24,
        255,
        256,
        65_535,
        65_536,
        65_537,
        (1 << 32) - 1,
        1 << 32,
        (1 << 48) - 1,
        1 << 48,
        (1 << 53) - 1,
    )
    usual = decode(run_bytes(LOG, 1, 2))
    bodies = [row[2] for row in usual[ROWS]] + [
        b"",
        bytes(80),
        b"\x82\x80\x80",
        encode([[], [[1, bytes(8), bytes(16)]]]),
    ]
    for field in (NUMBER, FIRST, BASE):
        for n in (*edges, 1 << 53, (1 << 64) - 1):
            for ops in bodies:
                for dt, size in ((0, 30), (1, 0), ((1 << 64) - 1, 65_536), (1 << 32, 65_537)):
                    v = list(usual)
                    v[field], v[ROWS] = n, [[dt, size, ops]]
                    target = skip_seq(v[FIRST]) if v[FIRST] >> 48 == 0 else None
                    v[SKIPS] = [] if target is None else [[target, bytes(32)]]
                    short, long = both(encode(v))
                    assert short == long
                    v[PREV] = None
                    short, long = both(encode(v))
                    assert short == long


@pytest.mark.parametrize(("first", "sizes"), [(0, (24, 300)), (12, (230, 23, 70_000)), (3, (255, 256))])
def test_the_short_cut_for_rows_of_puts_answers_as_the_long_way_on_every_mangled_byte(
    first: int, sizes: tuple[int, ...]
) -> None:
    log = LOG[:first]
    for n, size in enumerate(sizes):
        op = Put(coll("post"), CellKey(b32(str(n))[:16]), (), Part(PartHash(b32("part")), size))
        log = [*log, follow(AN.full("phone"), AN.log("phone"), log, op, parts=size)]
    raw = run_bytes(log, first, len(log))
    assert run_module._put_rows(raw) is not None
    for at in range(len(raw)) if NIGHT else range(first % 5, len(raw), 5):
        for value in {*STRANGE, raw[at], raw[at] ^ 1}:
            for mangled in (raw[:at] + bytes((value,)) + raw[at + 1 :], raw[:at] + bytes((value,)) + raw[at:]):
                short, long = both(mangled)
                assert short == long, mangled.hex()
        for cut in (raw[:at], raw[:at] + raw[at + 1 :]):
            short, long = both(cut)
            assert short == long, cut.hex()


def test_no_flipped_bit_of_a_run_passes_with_other_content() -> None:
    raw = run_bytes(LOG, 40, 44)
    for at in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[at >> 3] ^= 1 << (at & 7)
        with pytest.raises(Reject):
            take(bytes(flipped))


def test_no_random_change_of_a_long_run_passes() -> None:
    rng, raw = random.Random(1), run_bytes(LOG, 13, 60)
    for _ in range(1_500):
        other = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            other[rng.randrange(len(other))] = rng.randrange(256)
        if bytes(other) != raw:
            with pytest.raises(Reject):
                take(bytes(other))


def test_n_entries_cost_one_check_of_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[EntryId] = []

    def counting(realm: Realm, writer: WriterKey, entry: EntryId, sig: bytes) -> None:
        checked.append(entry)
        verify(realm, writer, entry, sig)

    monkeypatch.setattr(run_module, "verify", counting)
    take(run_bytes(LOG, 0, 60))
    assert checked == [LOG[59].id]


def test_a_garbage_signature_in_the_middle_has_no_place_to_stand() -> None:
    poisoned = [*LOG[:5], LOG[5]._replace(sig=b"\xee" * 64), *LOG[6:10]]
    assert run_bytes(poisoned, 0, 10) == run_bytes(LOG, 0, 10)
    with pytest.raises(BadSignature):
        take(run_bytes(poisoned, 0, 6))
    assert take(run_bytes(LOG, 5, 6))[0].id == take(run_bytes(poisoned, 0, 10))[5].id


def test_a_signature_by_another_writer_or_for_another_realm_is_refused() -> None:
    last = LOG[9]
    for sig in (signer("stranger").sign(last.id), signer(AN.full("phone"), MAIN).sign(last.id), bytes(64)):
        with pytest.raises(BadSignature):
            take(run_bytes([*LOG[:9], last._replace(sig=sig)], 0, 10))


def test_a_run_of_another_realm_is_refused() -> None:
    run = decode_run(MAIN, run_bytes(LOG, 0, 5))
    assert run.entries[0].id != LOG[0].id
    with pytest.raises(BadSignature):
        verify_run(MAIN, run)


def test_a_truncated_run_is_refused_at_every_length() -> None:
    raw = run_bytes(LOG, 20, 24)
    for n in range(len(raw)):
        with pytest.raises(Malformed):
            decode_run(TEST, raw[:n])


def test_a_wrong_skip_total_or_parent_fails_at_the_signature() -> None:
    skips = [[q, b32("another")] for q in skips_below(40, 4)]
    assert skips
    for raw in (
        changed(40, 44, skips=skips),
        changed(40, 44, base=LOG[39].header.total + 1),
        changed(40, 44, prev=b32("another")),
        changed(40, 44, account=b32("another")),
        changed(40, 44, number=2),
    ):
        with pytest.raises(BadSignature):
            take(raw)


def row(at: int, value: object) -> bytes:
    rows = decode(run_bytes(LOG, 40, 44))[ROWS]
    rows[2][at] = value
    return changed(40, 44, rows=rows)


@pytest.mark.parametrize(
    "raw",
    [
        changed(40, 44, skips=[]),
        changed(40, 44, skips=[[q, LOG[q].id] for q in (*skips_below(40, 4), 39)]),
        changed(40, 44, skips=[[q, LOG[q].id] for q in reversed(skips_below(40, 4))] * 2),
        changed(40, 44, skips=[[b"q", LOG[0].id]]),
        changed(40, 44, skips=[[None, LOG[0].id]]),
        changed(40, 44, skips=[[[], LOG[0].id]]),
        changed(40, 44, skips=None),
        changed(40, 44, first=0),
        changed(0, 4, first=1),
        changed(40, 44, first=1 << 48),
        changed(40, 44, first=None),
        changed(40, 44, base=1 << 53),
        changed(40, 44, number=0),
        changed(40, 44, number=1 << 32),
        changed(40, 44, number=b"1"),
        changed(40, 44, account=b""),
        changed(40, 44, writer=b"short"),
        changed(40, 44, prev=None),
        changed(40, 44, prev=b"short"),
        changed(40, 44, rows=[]),
        changed(40, 44, rows=None),
        changed(40, 44, sig=bytes(63)),
        changed(40, 44, sig=None),
        encode([]),
        encode([*decode(run_bytes(LOG, 40, 44)), 0]),
        row(0, 0),
        row(0, None),
        row(0, (1 << 64) - 1),
        row(1, None),
        row(1, (64 << 10) + 1),
        row(2, None),
        row(2, bytes((16 << 10) + 1)),
        row(2, b"\x80"),
        row(2, encode([[], [[]]])),
    ],
)
def test_a_run_of_another_shape_is_refused_before_its_signature(raw: bytes) -> None:
    with pytest.raises((Malformed, Oversized)):
        decode_run(TEST, raw)


def test_a_run_past_its_limits_is_refused_before_it_is_hashed() -> None:
    with pytest.raises(Oversized):
        decode_run(TEST, bytes(MAX_RUN_BYTES + 1))
    rows = [[1, 0, b"\x82\x80\x80"]] * (MAX_RUN_ENTRIES + 1)
    with pytest.raises(Malformed):
        decode_run(TEST, changed(0, 1, rows=rows))


def test_a_run_of_1024_entries_passes() -> None:
    log = AN.write(MAX_RUN_ENTRIES, signed=False)
    log[-1] = log[-1]._replace(sig=signer(AN.full("phone")).sign(log[-1].id))
    assert take(run_bytes(log, 0, MAX_RUN_ENTRIES))[-1].id == log[-1].id


def test_time_must_rise_inside_a_run() -> None:
    phone, log = AN.full("phone"), AN.log()
    still = follow(phone, log, LOG[:10], add("x"), time=LOG[9].header.time)
    for first in (8, 9):
        with pytest.raises(Malformed, match="time must rise: entry 10 has that of entry 9"):
            decode_run(TEST, run_bytes([*LOG[:10], still], first, 11))


@pytest.mark.parametrize("n", [1, 2])
def test_a_run_from_the_first_entry_on_has_nothing_before_it(n: int) -> None:
    assert decode_run(TEST, encode_run(LOG[:n], 0, [])).base == 0
    steps = [(e.header.time, 5 + e.header.total, e.ops) for e in LOG[:n]]
    claims = encode_steps(AN.log(), 0, None, 5, [], steps, LOG[n - 1].sig or b"")
    with pytest.raises(Malformed, match="5 bytes came before it"):
        decode_run(TEST, claims)


def test_only_a_run_whose_last_entry_is_signed_can_be_made() -> None:
    with pytest.raises(ValueError, match="signature"):
        run_bytes([unsigned(LOG[0])], 0, 1)
    with pytest.raises(ValueError, match="signature"):
        encode_control(unsigned(AN.control[0]), encode_header(AN.control[0].header))


def test_accepted_implies_servable_whatever_was_signed_and_however_it_came() -> None:
    """Relays with every subset of signatures: each can serve what it accepted."""
    log = LOG[:6]
    for signed in (s for r in range(1, 7) for s in combinations(range(6), r)):
        a, b, rng = Relay(), Relay(), random.Random(sum(1 << q for q in signed))
        for _ in range(12):
            relay = rng.choice((a, b))
            first = rng.randrange(len(relay.held) + 1)
            ends = [q for q in signed if q >= first]
            if ends:
                relay.take(
                    run_bytes(
                        [unsigned(e) if e.header.seq not in signed else e for e in log], first, rng.choice(ends) + 1
                    )
                )
        for relay in (a, b):
            assert all(relay.serve(k) is not None for k in range(len(relay.held)))
        for _ in range(8):
            for x, y in ((a, b), (b, a)):
                if len(y.held) < len(x.held) and (raw := x.serve(len(y.held))):
                    y.take(raw)
        assert [e.id for e in a.held] == [e.id for e in b.held]


class Relay:
    """The simplest store of runs: appends entries, and keeps verified signatures."""

    def __init__(self) -> None:
        self.held: list[Entry] = []

    def take(self, raw: bytes) -> None:
        got = take(raw)
        first = got[0].header.seq
        for e in got:
            if e.header.seq == len(self.held):
                self.held.append(e)
            elif e.sig is not None:
                assert self.held[e.header.seq].id == e.id
                self.held[e.header.seq] = e
        assert first <= len(self.held)

    def serve(self, first: int) -> bytes | None:
        end = next((q for q in range(first, len(self.held)) if self.held[q].sig is not None), None)
        return None if end is None else run_bytes(self.held, first, end + 1)


def test_every_control_entry_travels_with_its_own_signature() -> None:
    for e in AN.control:
        triple = encode_control(e, encode_header(e.header))
        assert decode_control(TEST, triple) == e
        for i in range(3):
            flipped = [bytearray(x) for x in triple]
            flipped[i][-1] ^= 1
            with pytest.raises((Reject, NotYet)):
                decode_control(TEST, [bytes(x) for x in flipped])


@pytest.mark.parametrize("value", [None, [], [b"", b"", b""], [b"", bytes(64)], 7, [1, 2, 3]])
def test_a_control_entry_of_another_shape_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        decode_control(TEST, value)


def test_an_entry_of_a_granted_log_is_no_control_entry() -> None:
    with pytest.raises(Malformed):
        decode_control(TEST, [encode_header(LOG[0].header), LOG[0].sig, LOG[0].ops])


def test_a_forged_rotate_followed_by_a_signed_entry_takes_nothing_over() -> None:
    """If one signature were enough for a control log, a thief could leave the rotate unsigned."""
    person = Person()
    victim, thief = person.full("root0"), "thief"
    rotate = person.rotate(0, "root2")
    forged = follow(thief, LOG[0].log_id._replace(account=person.id, log=0), person.control, rotate, signed=False)
    forged = forged._replace(header=forged.header._replace(writer=signer(victim).key))
    with pytest.raises(Reject):
        decode_control(TEST, [encode_header(forged.header), bytes(64), encode_ops((rotate,))])


def test_a_run_lists_exactly_the_skip_targets_below_it() -> None:
    for first in range(60):
        for count in (1, 5, 20):
            want = {s for q in range(first, first + count) if (s := skip_seq(q)) is not None} & set(range(first))
            assert skips_below(first, count) == sorted(want)


def test_encoding_is_the_inverse_of_decoding() -> None:
    raw = run_bytes(LOG, 13, 40)
    run = decode_run(TEST, raw)
    assert encode_run(run.entries, run.base, run.skips) == raw
