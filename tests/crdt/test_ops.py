"""Operations: what every node refuses, what voids an entry, and unknown operations that are kept."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import MAX_OPS_BYTES
from banyan_crdt.errors import BanyanError, Malformed, Oversized, Reject
from banyan_crdt.ids import CellKey, Coll, EntryId, H, PartHash, Ref, coll
from banyan_crdt.logs import VOID, PathGrant, counted_body
from banyan_crdt.ops import Add, Close, Count, Grant, Part, Put, Unknown, decode_any_body, decode_body, encode_ops
from banyan_crdt.parts import open_part
from tests.crdt.make import POSTS, START, Person, add, b32, key, make_part
from tests.vectors.generate import every_op

values = st.recursive(
    st.none() | st.integers(0, 2**64 - 1) | st.binary(max_size=40), lambda v: st.lists(v, max_size=4), max_leaves=8
)
AN = Person()
GRANTED = PathGrant(AN.grant_op("phone"), START, 0)


@pytest.mark.parametrize("name", every_op())
def test_every_operation_reads_back(name: str) -> None:
    op = every_op()[name]
    body = decode_body(encode_ops((op,), (EntryId(b32("dep")),)))
    assert body.ops == (op if not isinstance(op, Unknown) else Unknown(42, (1, b"x", [])),)
    assert body.deps == (b32("dep"),)
    assert not body.void


@pytest.mark.parametrize("name", [n for n, op in every_op().items() if not isinstance(op, Unknown)])
def test_a_known_code_with_wrong_arguments_voids_the_entry_and_never_rejects(name: str) -> None:
    plain = decode(encode_ops((every_op()[name],)))[1][0]
    wrong: list[Any] = [[*plain, 0]]
    wrong += [plain[:-1]] if len(plain) > 1 else []
    wrong += [[*plain[:i], bad, *plain[i + 1 :]] for i in range(1, len(plain)) for bad in (b"odd", [[[0]]])]
    for op in wrong:
        body = decode_body(encode([[], [[7, bytes(8), bytes(16)], op]]))
        assert body.void, op
        assert body.ops == ()


@given(st.integers(24, 2**64 - 1) | st.sampled_from([0, 9, 10, 11, 12, 13, 14, 15]), st.lists(values, max_size=4))
def test_an_unknown_code_is_carried_and_the_operations_beside_it_count(code: int, fields: list[Any]) -> None:
    body = decode_body(encode([[], [[7, bytes(8), bytes(16)], [code, *fields]]]))
    assert not body.void
    assert len(body.ops) == 2
    assert isinstance(body.ops[1], Unknown)
    assert encode_ops(body.ops) == encode([[], [[7, bytes(8), bytes(16)], [code, *fields]]])
    assert counted_body(body, GRANTED, 0) == body


@pytest.mark.parametrize("size", [1, 23, 24, 255, 256, 65_535, 65_536])
def test_the_usual_bodies_are_joined_as_they_would_be_encoded(size: int) -> None:
    part = Part(PartHash(b32("part")), size)
    for op, code in ((Put(POSTS, key("k"), (), part), 1), (Add(POSTS, key("k"), key("e"), part), 2)):
        fields = [list(f) if isinstance(f, tuple) else f for f in op]
        assert encode_ops((op,)) == encode([[], [[code, *fields]]])
        assert decode_body(encode_ops((op,))).ops == (op,)


@given(st.binary(max_size=60) | values.map(encode))
def test_hostile_bytes_are_refused_in_one_way(raw: bytes) -> None:
    try:
        body = decode_body(raw)
    except Reject:
        return
    assert body.void or encode_ops(body.ops, body.deps) == raw


@given(st.lists(values, max_size=4))
def test_hostile_arguments_void_or_parse(fields: list[Any]) -> None:
    for code in range(24):
        body = decode_body(encode([[], [[code, *fields]]]))
        assert body.void or encode_ops(body.ops) == encode([[], [[code, *fields]]])


def test_limits_are_those_that_every_receiver_applies() -> None:
    op = add("x")
    many = tuple(Unknown(42, ()) for _ in range(512))
    assert len(decode_body(encode_ops(many)).ops) == 512
    for make in (
        lambda: encode_ops((*many, op)),
        lambda: encode_ops((op,) * 500),
        lambda: encode_ops((), (EntryId(b32("d")),) * 17),
        lambda: decode_body(bytes(MAX_OPS_BYTES + 1)),
        lambda: decode_body(encode([[], [[42]] * 513])),
        lambda: decode_body(encode([[b32("d")] * 17, []])),
    ):
        with pytest.raises(Oversized):
            make()


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_count_may_be_negative_without_negative_integers(n: int) -> None:
    op = Count(POSTS, key("n"), n)
    assert decode_body(encode_ops((op,))).ops == (op,)


def test_an_operation_outside_the_grant_voids_its_whole_entry() -> None:
    scoped = GRANTED.grant._replace(colls=(POSTS,))
    other = Put(Coll(b"anothers"), key("k"), (), None)
    granted = PathGrant(scoped, START, 0)
    for ops, counts in (((add("x"),), True), ((add("x"), other), False), ((AN.pin(AN.control[0]),), True)):
        body = decode_body(encode_ops(ops))
        assert (counted_body(body, granted, 0) == body) == counts
        assert counted_body(body, GRANTED, 0) == body
    nothing = PathGrant(scoped._replace(colls=()), START, 0)
    assert counted_body(decode_body(encode_ops((add("x"),))), nothing, 0) == VOID


def test_a_cut_names_a_log_once_and_a_grant_is_of_a_log_at_least() -> None:
    cut, granting = AN.cut("phone", AN.control[0]), AN.grant_op("phone")
    twice = cut._replace(kept=(cut.kept[0], cut.kept[0]._replace(seq=7)))
    none, from_0 = granting._replace(logs=0), granting._replace(first=0)
    for op, void in ((cut, False), (twice, True), (granting, False), (none, True), (from_0, True)):
        assert decode_body(encode_ops((op,))).void == void


def test_a_control_operation_in_a_granted_log_voids_its_entry() -> None:
    for op in (Close(), Grant(AN.key("x"), 1, 1, 0, None, None, None)):
        assert counted_body(decode_body(encode_ops((add("x"), op))), GRANTED, 0) == VOID


def test_an_entry_that_names_more_content_than_it_declares_is_void() -> None:
    body = decode_body(encode_ops((add("a", Part(make_part("a")[0].hash, 30)), add("b", make_part("b")[0]))))
    assert body.part_bytes == 30 + make_part("b")[0].size
    assert counted_body(body, GRANTED, body.part_bytes) == body
    assert counted_body(body, GRANTED, body.part_bytes + 1) == body
    assert counted_body(body, GRANTED, body.part_bytes - 1) == VOID


def test_a_part_opens_to_its_content_and_nothing_else_does() -> None:
    part, raw = make_part("p", b"secret")
    assert open_part(part, raw) == b"secret"
    for other in (raw[:-1], raw + b"\0", raw[:-1] + b"x", b""):
        with pytest.raises(Malformed):
            open_part(part, other)
    for shape in ([b"s" * 15, b"x"], [b"s" * 16], [b"s" * 16, 1], [b"s" * 16, b"x", b"y"], 7):
        bad = encode(shape)
        with pytest.raises(Malformed):
            open_part(Part(PartHash(H("part", bad)), len(bad)), bad)


def test_the_same_content_under_two_salts_has_two_names() -> None:
    assert make_part("a", b"0901234567")[0].hash != make_part("b", b"0901234567")[0].hash


def test_a_reference_names_an_entry_and_an_operation_of_sixteen_bits() -> None:
    for n, void in ((65_535, False), (65_536, True)):
        assert decode_body(encode([[], [[3, bytes(8), [[b32("e"), n]]]]])).void == void
    assert Ref(EntryId(b32("e")), 1) == (b32("e"), 1)


def test_the_short_cut_for_usual_bodies_answers_as_the_long_way_on_every_mangled_byte() -> None:
    def both(raw: bytes) -> tuple[object, object]:
        def answer(read: Callable[[bytes], object]) -> object:
            try:
                return read(raw)
            except BanyanError as error:
                return type(error)

        return answer(decode_body), answer(decode_any_body)

    for size in (0, 23, 24, 255, 256, 300, 65535, 65536):
        part = Part(PartHash(b32("part")), size)
        for op in (
            Put(coll("a"), CellKey(bytes(16)), (), part),
            Add(coll("a"), CellKey(bytes(16)), CellKey(bytes(16)), part),
        ):
            raw = encode_ops((op,))
            for at in range(len(raw)):
                for value in {
                    0,
                    1,
                    2,
                    0x18,
                    0x19,
                    0x1A,
                    0x20,
                    0x41,
                    0x58,
                    0x80,
                    0x82,
                    0xF6,
                    0xFF,
                    raw[at],
                    raw[at] ^ 1,
                }:
                    short, long = both(raw[:at] + bytes((value,)) + raw[at + 1 :])
                    assert short == long
                short, long = both(raw[:at])
                assert short == long
            assert both(raw + b"\0")[0] == Malformed
