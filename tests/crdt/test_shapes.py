"""The encoder defines the bytes. Code that reads and writes by position takes the positions from it."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

from banyan_crdt import codec, parts, shapes
from banyan_crdt.codec import decode, encode, uint
from banyan_crdt.ids import CellKey, PartHash, coll
from banyan_crdt.ops import Add, Op, Part, Put, decode_any_body, encode_ops
from banyan_crdt.parts import content_of, make_part, open_part
from banyan_crdt.shapes import between

ROOT = Path(__file__).parents[2]
ROOMS = ("crdt", "schema", "storage", "reading", "replica", "node")
A_HEAD = re.compile(r"\\x(?:[4-9][0-9a-f]|f6)", re.IGNORECASE)
"""How the first byte of a byte string, a text, an array or null looks in a literal."""
WIDTHS = (0, 1, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 64) - 1)


def spelled(source: str, kernel: bool) -> list[str]:
    """Literals that write CBOR by hand: bytes, and in crdt and schema also integers in hexadecimal."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string
        if token.type == tokenize.STRING and re.match(r"(?i)r?br?['\"]", text) and A_HEAD.search(text):
            found.append(text)
        if kernel and token.type == tokenize.NUMBER and text.startswith("0x"):
            found.append(text)
    return found


def test_no_module_but_the_codec_spells_a_byte_of_cbor() -> None:
    sources = [path for room in ROOMS for path in (ROOT / room).glob("banyan_*/**/*.py") if path.name != "codec.py"]
    assert len(sources) > 100
    for path in sources:
        kernel = path.relative_to(ROOT).parts[0] in ("crdt", "schema")
        assert spelled(path.read_text(), kernel) == [], path


def test_the_search_finds_what_it_is_for() -> None:
    assert spelled(Path(codec.__file__).read_text(), kernel=True) != []
    for source in ('x = b"\\x82\\x50"', 'x = rb"\\xf6"', "x = raw[0] == 0x58"):
        assert spelled(source, kernel=True) != []


def test_what_stands_around_the_fields_is_what_the_encoder_of_any_operation_writes() -> None:
    key, elem, part = CellKey(b"\1" * 16), CellKey(b"\2" * 16), Part(PartHash(b"\3" * 32), 77)
    samples: tuple[tuple[Op, tuple[bytes, ...], tuple[bytes, ...]], ...] = (
        (Put(coll("post"), key, (), part), (key, part.hash), shapes._PUT),
        (Add(coll("post"), key, elem, part), (key, elem, part.hash), shapes._ADD),
    )
    for op, fields, around in samples:
        many = encode_ops((op, op))  # two, so it is not joined but encoded
        (_, (first, second)) = decode(many)
        assert first == second
        assert between(encode([[], [first]]), coll("post"), *fields) == (*around, uint(77))
        assert decode_any_body(encode_ops((op,))).ops == (op,)


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65_000])
def test_a_part_is_what_the_encoder_writes_and_its_content_stands_where_it_is_looked_for(size: int) -> None:
    content = b"y" * size
    part, raw = make_part(b"t" * 16, content)
    assert raw == encode([b"t" * 16, content])
    assert content_of(raw) == open_part(part, raw) == content
    assert (len(raw) in parts._USUAL) == (24 <= size < 256)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_no_part_is_made_with_a_salt_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"has 16 bytes, and this one {size}"):
        make_part(bytes(size), b"x")


def test_the_pattern_of_an_integer_takes_its_one_encoding_and_no_other() -> None:
    pattern = re.compile(codec.A_UINT, re.DOTALL)
    for n in WIDTHS:
        assert pattern.fullmatch(uint(n))
        assert uint(n) == encode(n)
        for head, width in ((codec.UINT_1, 1), (codec.UINT_2, 2), (codec.UINT_4, 4), (codec.UINT_8, 8)):
            if n < 1 << 8 * width and (longer := bytes((head,)) + n.to_bytes(width, "big")) != uint(n):
                assert not pattern.fullmatch(longer), longer.hex()
    for raw in (encode(b""), encode([]), codec.NULL, b"\x1c", b""):
        assert not pattern.fullmatch(raw)


def test_the_pattern_of_a_size_takes_those_of_one_byte() -> None:
    pattern = re.compile(codec.A_SIZE, re.DOTALL)
    for size in range(300):
        assert bool(pattern.fullmatch(codec.bytes_head(size))) == (24 <= size < 256)
    assert not pattern.fullmatch(b"\x58\x17")
