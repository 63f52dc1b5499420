"""Reading field by field gives the same as reading entry by entry, for every width of every field."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.columns import Bodies
from banyan_crdt.entry import Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.errors import Malformed, Reject
from banyan_crdt.ids import AccountId, CellKey, EntryId, H, LogId, PartHash, Ref, WriterKey, coll
from banyan_crdt.ops import Del, Op, Part, Put, decode_any_body, decode_body, encode_ops
from banyan_crdt.parts import are_parts, make_part, open_part
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_any_run, encode_steps, skips_below
from banyan_crdt.shapes import puts_in
from tests.needs import NIGHT, few, numbers

LOG = LogId(AccountId(b"a" * 32), WriterKey(b"w" * 32), 1)
WIDTHS = (0, 1, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32)


def put(rng: random.Random, size: int = 230) -> Put:
    return Put(coll("post"), CellKey(rng.randbytes(16)), (), Part(PartHash(rng.randbytes(32)), size))


@pytest.mark.parametrize("first", [n for n in WIDTHS for n in (n, max(0, n - 20))])
@pytest.mark.parametrize("base", [n for n in WIDTHS for n in (n, max(0, n - 5_000))])
def test_the_entries_of_a_run_are_hashed_as_their_headers_are_encoded(first: int, base: int) -> None:
    rng = random.Random(first * 31 + base)
    base = base if first else 0  # nothing comes before the first entry of a log
    times = (1, (1 << 32) - 20, 1_700_000_000_000 << 16)
    for since in times if NIGHT else (rng.choice(times),):
        steps, time, total = [], since, base
        for _ in range(40):
            ops, size = encode_ops((put(rng),)), rng.choice((0, 3, 230, 60_000))
            time, total = time + rng.randrange(1, 4), total + len(ops) + size
            steps.append((time, total, ops))
        ids = {seq: EntryId(rng.randbytes(32)) for seq in skips_below(first, len(steps))}
        prev = EntryId(b"p" * 32) if first else None
        run = decode_any_run(TEST, encode_steps(LOG, first, prev, base, sorted(ids.items()), steps, bytes(64)))
        expected: list[Entry] = []
        for seq, (at, now, ops) in enumerate(steps, first):
            target = skip_seq(seq)
            skip = None if target is None else ids[target]
            header = Header(*LOG[:2], LOG.log, seq, prev, skip, at, now, H("ops", ops))
            prev = ids[seq] = entry_id(TEST, encode_header(header))
            expected.append(Entry(prev, header, ops, bytes(64) if len(expected) == len(steps) - 1 else None))
        assert run.entries == expected
        assert tuple(run.bodies) == tuple(decode_any_body(e.ops) for e in expected)


def test_members_are_had_as_those_of_a_tuple_are() -> None:
    rng = random.Random(1)
    ops = [encode_ops((put(rng),)) for _ in range(5)]
    whole = tuple(map(decode_body, ops))
    lazy, looked = Bodies(ops), Bodies(ops)
    assert (len(looked), list(looked), list(reversed(looked))) == (5, list(whole), list(whole[::-1]))
    for some in (lazy, looked):
        assert [some[k] for k in range(-5, 5)] == [whole[k] for k in range(-5, 5)]
        for part in (slice(0, 0), slice(2, None), slice(-2, None), slice(None, None, 2)):
            assert some[part] == whole[part]
        for k in (5, -6):
            with pytest.raises(IndexError):
                some[k]
    assert lazy == whole
    assert lazy != whole[:4]
    assert lazy != 1


def mangled(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw))
    return rng.choice(
        (
            raw[:at],
            raw[:at] + rng.randbytes(1) + raw[at + 1 :],
            raw[:at] + raw[at + 1 :],
            raw + b"\0",
            raw[: at + 1] + raw[at:],
        )
    )


def slowly(ops: list[bytes], sizes: list[int]) -> list[Put] | None:
    """`puts_in`, body by body."""
    found = []
    for raw, size in zip(ops, sizes, strict=True):
        try:
            body = decode_any_body(raw)
        except Reject:
            return None
        op = body.ops[0] if len(body.ops) == 1 and not body.deps else None
        if not isinstance(op, Put) or op.refs or op.part is None or op.part.size != size:
            return None
        found.append(op)
    return found


def test_puts_are_told_as_by_reading_each_body() -> None:
    rng = random.Random(2)
    plain = 0
    for _ in numbers(20_000):
        sizes = [rng.choice((0, 23, 24, 230, 255, 256, 65_535, 65_536)) for _ in range(rng.choice((1, 1, 2, 3)))]
        written: list[Op] = [put(rng, size) for size in sizes]
        ops = [encode_ops((op,)) for op in written]
        odd: tuple[Op, ...] = (Del(coll("post"), (Ref(EntryId(bytes(32)), 0),)), put(rng)._replace(part=None))
        k = rng.randrange(len(ops))
        match rng.randrange(8):
            case 0:
                ops[k] = encode_ops((rng.choice(odd),))
            case 1:
                sizes[k] += rng.choice((-1, 1)) if sizes[k] else 1
            case 2 | 3 | 4 | 5:
                ops[k] = mangled(rng, ops[k])
        found, expected = puts_in(ops, sizes), slowly(ops, sizes)
        assert (found is None) == (expected is None), [raw.hex() for raw in ops]
        if found is not None and expected is not None:
            plain += 1
            parts = [op.part for op in expected if op.part]
            assert [*zip(*found, strict=True)] == [
                (op.coll, op.key, part.hash, part.size) for op, part in zip(expected, parts, strict=True)
            ]
    assert few(1_000) < plain < few(19_000)


def one_by_one(parts: list[Part], raws: list[bytes | None]) -> bool:
    try:
        for part, raw in zip(parts, raws, strict=True):
            assert raw is not None
            open_part(part, raw)
    except Malformed:
        return False
    return True


def test_parts_that_pass_together_pass_one_by_one() -> None:
    rng = random.Random(3)
    passed = long = refused = 0
    for _ in range(5_000):
        made = [make_part(rng.randbytes(16), encode(bytes(rng.choice((0, 30, 200, 300))))) for _ in range(3)]
        raws: list[bytes | None] = [raw for _, raw in made]
        parts = [part for part, _ in made]
        k = rng.randrange(3)
        match rng.randrange(4):
            case 0:
                raw = mangled(rng, made[k][1])
                raws[k] = raw
                if rng.random() < 0.7:  # the author named just this
                    parts[k] = Part(PartHash(H("part", raw)), len(raw) - rng.choice((0, 0, 1)))
            case 1:
                raws = rng.choice(([*raws, raws[0]], raws[:2], [*raws[:2], None]))
        puts = puts_in([encode_ops((put(rng)._replace(part=part),)) for part in parts], [part.size for part in parts])
        try:
            together = puts is not None and are_parts(puts, raws)
        except Malformed:
            refused += 1
            assert not one_by_one(parts, raws)
            continue
        if together:
            passed += 1
            long += any(part.size > 275 for part in parts)
            assert one_by_one(parts, raws)
    assert 1_000 < passed < 4_500
    assert long > 100
    assert refused > 10
