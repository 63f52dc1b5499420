"""The content of every collection of the registry. It is what strangers write, and views are made of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from banyan_crdt.codec import encode
from banyan_crdt.parts import content_of, make_part
from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL
from banyan_schema.social import post_from_text, post_to_text
from tests.fuzz.mutate import text
from tests.fuzz.target import Bound, Target

TIMES = (bytes(8), b"\0\x00\x01\x9b\0\0\0\0", b"\xff" * 8)


def _content(of: Collection[Any], raw: bytes) -> None:
    assert of.layout is not None
    quick, strict = of.layout.by_position(raw), of.layout.strictly(raw)
    assert quick is None or quick == strict
    content = of.decode(raw)
    assert (content is None) == (strict is None)
    part = make_part(b"s" * 16, raw)[1]
    for time in TIMES:
        seed = of.seed_of(time, raw)
        assert (seed is None) == (content is None)
        assert seed == of.seed_in(time, part)
        for fact in of.facts(seed) if seed is not None else ():
            assert fact.kind in of.kinds
    assert content_of(part) == raw
    assert not of.blobs_in(raw) or (SOCIAL.naming((of.id,), (part,)) == [0] and SOCIAL.may_name(part))
    if content is not None:
        again = of.encode(content)  # a reader takes what a writer would normalise, or refuse
        assert of.encode(of.decode(again)) == again


def _samples(of: Collection[Any]) -> list[bytes]:
    """Content with every field, and with as few as may be."""
    target = [b"a" * 32, b"k" * 16]
    pieces: list[Any] = [
        None,
        b"words",
        1_767_225_600_000,
        target,
        [target, target],
        b"a" * 32,
        b"k" * 16,
        "é👍".encode(),
        b"",
        [b"r" * 32, 5, b"image/png", 8, 8, None, None, b"LEHV", b"p" * 32],
    ]
    assert of.layout is not None
    out = []
    for last in pieces:
        row: list[Any] = []
        for at in range(len(of.layout.fields)):
            fits = [p for p in (last, *pieces[1:], None) if _reads(of, at, p)]
            row.append(fits[0] if fits else None)
        out += [encode(row), encode(row[: of.layout.least])]
    return list(dict.fromkeys(out))


def _reads(of: Collection[Any], at: int, value: Any) -> bool:
    assert of.layout is not None
    try:
        of.layout.fields[at].read(value)
    except Exception:
        return False
    return True


def _post_name(raw: bytes) -> None:
    said = raw.decode("utf-8", "surrogateescape")
    assert post_to_text(post_from_text(said)) == said


TARGETS = (
    *(
        Target(
            f"schema.{of.name}",
            partial(_content, of),
            (ValueError,),
            partial(_samples, of),
            ("banyan_schema",),
            work=Bound(5_000, 200),  # it is read a dozen times
            share=10 if of.name == "post" else 5,
        )
        for of in SOCIAL
        if of.layout is not None
    ),
    Target(
        "schema.address",
        _post_name,
        (ValueError,),
        lambda: [post_to_text(post_from_text("did:banyan:z" + "1" * 32 + "/" + "0" * 32)).encode()],
        ("banyan_schema.address",),
        text,
        share=5,
    ),
)
