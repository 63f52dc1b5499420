"""The laws of a collection, which every one keeps: a test module of a collection hands its own to `keeps_the_laws`.

- **Round trip**: what is written reads back, by both readers, and content in normal form keeps its bytes.
- **Limits**: what is as long as its limit is written and read, what is one byte longer is neither.
- **Hostile bytes**: nothing raises; what the reader by position takes, the strict one reads alike.
- **Every order**: whatever order the entries come in, and however often, the same is read.
- **Concurrent edits**: two that do not know of one another both live; of a register the later shows, a set has both;
  what covers both leaves nothing of them; a tomb ends the cell for what comes later too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from banyan_crdt.cells import Cells, fold
from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import Entry
from banyan_crdt.ids import CellKey, EntryId, LogId, Ref
from banyan_crdt.ops import Add, Del, Op, Put, Text, Tomb
from banyan_crdt.parts import open_part
from banyan_schema.address import Target
from banyan_schema.collection import MAX_SEED, Collection, OpDraft, elements, registers, seal
from tests.crdt.make import START, Person, bodies, follow, signer
from tests.needs import few

AN = Person()
SOME = few(25, 2)
"""Examples of a law that makes much of each."""
MANGLED = few(400)
"""Of each content that a law looks at."""

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=30)
accounts, keys = st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16)
targets = st.builds(Target, accounts, keys)
values = st.recursive(
    st.none() | st.integers(0, 2**64 - 1) | st.binary(max_size=40), lambda inner: st.lists(inner, max_size=5)
)


@dataclass
class Said:
    """What accounts wrote, entry by entry, with content. Each entry is of a new device."""

    parts: dict[Ref, bytes]
    entries: list[Entry]

    @classmethod
    def nothing(cls) -> Said:
        return cls({}, [])

    def say(self, *drafts: OpDraft, time: int = START) -> list[Ref]:
        """One entry; the names of its operations."""
        sealed = [seal(draft, bytes((k,)) * 16) for k, draft in enumerate(drafts)]
        who = f"device {len(self.entries)}"
        log = LogId(AN.id, signer(who).key, 1)
        size = sum(len(raw) for _, raw in sealed if raw is not None)
        entry = follow(who, log, [], *[op for op, _ in sealed], time=time, parts=size)
        self.entries.append(entry)
        for k, (op, raw) in enumerate(sealed):
            if raw is not None and isinstance(op, Put | Add | Text) and op.part is not None:
                self.parts[Ref(entry.id, k)] = open_part(op.part, raw)
        return [Ref(entry.id, k) for k in range(len(drafts))]

    def cells(self, order: Iterable[Entry] | None = None) -> Cells:
        return fold(bodies(self.entries if order is None else order))


def read(of: Collection[Any], said: Said, order: Iterable[Entry] | None = None) -> Any:
    """All that is read of a register or a set collection."""
    cells = said.cells(order)
    if of.merge == "register":
        return registers(of, cells, said.parts.get)
    return elements(of, cells, said.parts.get)


def mangled(rng: random.Random, raw: bytes) -> bytes:
    """A byte changed, lost, doubled or added, or the end cut off. Bytes that look like others are more likely."""
    at = rng.randrange(len(raw))
    other = rng.choice(
        (raw[at] ^ 1, raw[at] ^ 0x80, 0, 0x17, 0x18, 0x19, 0x1B, 0x40, 0x50, 0x58, 0x59, 0x82, 0xF6, 0xFF)
    )
    return rng.choice(
        (
            raw[:at] + bytes((other,)) + raw[at + 1 :],
            raw[:at] + raw[at + 1 :],
            raw[:at] + bytes((other,)) + raw[at:],
            raw[: at + 1] + raw[at:],
            raw[:at],
            raw + bytes((other,)),
        )
    )


def read_alike(of: Collection[Any], raw: bytes) -> None:
    """Both readers agree on any bytes."""
    assert of.layout is not None
    quick, strict = of.layout.by_position(raw), of.layout.strictly(raw)
    assert quick is None or quick == strict, raw.hex()
    assert of.layout.values(raw) == strict
    assert (of.decode(raw) is None) == (strict is None)


def keeps_the_laws(of: Collection[Any], contents: st.SearchStrategy[Any], write: Callable[[Any], OpDraft]) -> None:
    """write: makes a draft in one cell (or one set), whatever the content."""
    round_trip(of, contents, write)
    limits(of, contents)
    hostile_bytes(of, contents)
    every_order(of, contents, write)
    concurrent_edits(of, contents, write)


def round_trip(of: Collection[Any], contents: st.SearchStrategy[Any], write: Callable[[Any], OpDraft]) -> None:
    @given(contents)
    def law(content: Any) -> None:
        draft = write(content)
        assert isinstance(draft.op, of.op)
        assert draft.content is not None
        assert of.layout is not None
        assert draft.content == of.encode(content)
        back = of.decode(draft.content)
        assert back is not None
        assert of.encode(back) == draft.content
        assert of.decode(of.encode(back)) == back
        assert of.layout.by_position(draft.content) == of.layout.strictly(draft.content) != []
        told = zip(of.layout.fields, of.layout.values(draft.content) or [], strict=True)
        written = json.loads(json.dumps([field.json.show(value) for field, value in told]))
        taken = [field.json.take(value) for field, value in zip(of.layout.fields, written, strict=True)]
        assert of.encode(of.layout.make(*taken)) == draft.content
        assert len(set(of.layout.names)) == len(of.layout.fields)
        for time in (bytes(8), b"\xff" * 8):
            op, raw = seal(draft, b"s" * 16)
            assert isinstance(op, Put | Add)
            assert raw is not None
            seed = of.seed_of(time, draft.content)
            assert seed is not None
            assert of.seed_in(time, raw) == seed
            assert len(seed) <= MAX_SEED
            assert {fact.kind for fact in of.facts(seed)} <= of.kinds
            assert all(fact.key for fact in of.facts(seed))

    law()


def limits(of: Collection[Any], contents: st.SearchStrategy[Any]) -> None:
    @given(contents)
    @settings(max_examples=5)
    def law(content: Any) -> None:
        for name, most in of.limits.items():
            longest = "x" * most
            fits = replace(content, **{name: longest})
            raw = of.encode(fits)
            assert of.decode(raw) == of.decode(of.encode(fits)) is not None
            with pytest.raises(ValueError, match=f"has {most + 1} bytes; {most} is the most"):
                of.encode(replace(content, **{name: longest + "x"}))
            plain = decode(raw)
            at = plain.index(longest.encode())
            read_alike(of, raw)
            beyond = encode([*plain[:at], plain[at] + b"x", *plain[at + 1 :]])
            assert of.decode(beyond) is None
            read_alike(of, beyond)

    law()


def hostile_bytes(of: Collection[Any], contents: st.SearchStrategy[Any]) -> None:
    @given(values.map(encode) | st.binary(max_size=200))
    def any_bytes(raw: bytes) -> None:
        read_alike(of, raw)

    @given(contents, st.integers(0, 2**32))
    @settings(max_examples=SOME, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # smaller examples say no more
    def near_content(content: Any, seed: int) -> None:
        raw, rng = of.encode(content), random.Random(seed)
        for _ in range(MANGLED):
            read_alike(of, mangled(rng, mangled(rng, raw) or raw))

    @given(contents, st.lists(st.none() | st.integers(0, 9) | st.binary(max_size=3), min_size=1, max_size=3))
    def of_a_later_version(content: Any, more: list[Any]) -> None:
        """Unknown fields are ignored."""
        assert of.layout is not None
        raw = of.encode(content)
        written = decode(raw)
        unused = [None] * (len(of.layout.fields) - len(written))
        longer = encode([*written, *unused, *more])
        assert of.decode(longer) == of.decode(raw)
        read_alike(of, longer)

    any_bytes()
    near_content()
    of_a_later_version()


def every_order(of: Collection[Any], contents: st.SearchStrategy[Any], write: Callable[[Any], OpDraft]) -> None:
    @given(st.lists(contents, min_size=2, max_size=4), st.data())
    @settings(max_examples=SOME)
    def law(some: list[Any], data: st.DataObject) -> None:
        said, live = Said.nothing(), list[Ref]()
        for content in some:
            draft = write(content)
            refs = tuple(data.draw(st.lists(st.sampled_from(live), max_size=2))) if live else ()
            if isinstance(draft.op, Put):
                draft = draft._replace(op=draft.op._replace(refs=refs))
                live += said.say(draft, time=START + data.draw(st.integers(0, 2)))
            else:
                live += said.say(draft, OpDraft(Del(of.id, refs), None), time=START + data.draw(st.integers(0, 2)))
        found = read(of, said)
        for order in permutations(said.entries):
            assert read(of, said, [*order, *said.entries]) == found

    law()


def concurrent_edits(of: Collection[Any], contents: st.SearchStrategy[Any], write: Callable[[Any], OpDraft]) -> None:
    @given(contents, contents)
    @settings(max_examples=SOME)
    def law(first: Any, second: Any) -> None:
        said = Said.nothing()
        drafts = write(first), write(second)
        refs = [*said.say(drafts[0], time=START + 1), *said.say(drafts[1], time=START + 2)]
        told = [of.decode(draft.content) for draft in drafts if draft.content is not None]
        both = read(of, said)
        key = cell_of(drafts[0].op)
        if of.merge == "register":
            assert both == {key: told[1]}
        else:
            by_element = dict(zip(map(element_of, [d.op for d in drafts]), told, strict=True))
            assert both[key] == {elem: found for elem, found in by_element.items() if cell_of(drafts[0].op) == key}
        covering = Said(dict(said.parts), list(said.entries))
        covering.say(OpDraft(Del(of.id, tuple(refs)), None), time=START)
        assert read(of, covering) == {}
        ended = Said(dict(said.parts), list(said.entries))
        ended.say(*[OpDraft(Tomb(of.id, cell_of(draft.op)), None) for draft in drafts], time=START)
        ended.say(*drafts, time=START + 9)
        assert read(of, ended) == {}

    law()


def cell_of(op: Op) -> CellKey:
    assert isinstance(op, Put | Add)
    return op.key


def element_of(op: Op) -> CellKey:
    assert isinstance(op, Add)
    return op.elem


def refs(n: int) -> Sequence[Ref]:
    """Names of operations that nobody holds."""
    return [Ref(EntryId(bytes((k,)) * 32), 0) for k in range(n)]
