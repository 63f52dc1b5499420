"""Messages between peers, what is pushed in them, statements about withheld content, and cells of sketches."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from banyan_crdt.blob import blob_of
from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import encode_header
from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.ids import EntryId, H
from banyan_crdt.realm import TEST
from banyan_replica.frontier import sketch
from banyan_replica.gossip.frames import DeliverMessage, PushFrame, decode_frame, encode_frame
from banyan_replica.gossip.pushes import opened, opens_as_own
from banyan_replica.intake.prepare import check_items, named, prepare
from banyan_replica.peers.statements import Withheld, read_withheld, sign_withheld
from banyan_replica.wire.blob_messages import (
    BlobQuestion,
    NotHere,
    decode_chunk_answer,
    decode_list_answer,
    decode_question,
    encode_chunk_answer,
    encode_list_answer,
    encode_not_here,
    encode_question,
)
from banyan_replica.wire.data_items import decode_item, encode_item
from banyan_replica.wire.message_table import decode_message, encode_message
from banyan_replica.wire.messages import VERSION, ControlItem, DataItems, GossipFrame, Hello, Message, RunItem
from tests.crdt.make import Person, run_bytes, signer
from tests.fuzz.target import Bound, Target
from tests.fuzz.targets.in_crdt import vectors
from tests.replica.helpers import control_item, run_item
from tests.vectors.cddl import Grammar

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"
ENTRY, PLATFORM = EntryId(b"e" * 32), signer("a platform")


@cache
def grammar() -> Grammar:
    """The grammar of messages, which the table of the wire writes into the page."""
    return Grammar(PAGE.read_text("utf-8"))


def message(rng: Random) -> bytes:
    """A random frame with the right form."""
    value = grammar().random(rng, "message")
    if value[0] == 1:
        value[1] = VERSION
    return encode(value)


def _message(raw: bytes) -> None:
    read = decode_message(raw)
    if not _is_loose(read):
        assert encode_message(read) == raw
    if isinstance(read, GossipFrame):
        frame = decode_frame(read.frame)
        assert encode_frame(frame) == read.frame
        if isinstance(frame, PushFrame):
            assert not opens_as_own(raw) or frame.items[0].hop == 0
            _pushed(frame)


def _is_loose(read: Message) -> bool:
    """Whether it was not read to its end: of another version, or with control entries, which are read later."""
    if isinstance(read, Hello):
        return read.version != VERSION
    return isinstance(read, DataItems) and any(isinstance(item, ControlItem) for item in read.items)


def _pushed(frame: PushFrame) -> None:
    items = [opened(DeliverMessage(p.mid, p.payload, p.hop, "peer")) for p in frame.items]
    _checked([item for item in items if not isinstance(item, Reject)])


def _checked(items: list[Any]) -> None:
    for item, found in zip(items, check_items(TEST, items), strict=True):
        if not isinstance(found, Reject):
            assert named(found)[1] >= 0
            assert decode_item(decode(encode(encode_item(item)))) == item


def _prepared(raw: bytes) -> None:
    found = prepare(TEST, raw)
    assert found.size == len(raw)
    if isinstance(found.message, Reject):
        raise found.message
    if isinstance(found.message, DataItems):
        assert len(found.items) == len(found.message.items)


def _withheld(raw: bytes) -> None:
    """The statement is signed, so that changes of it are read to the end."""
    signed = encode([raw, PLATFORM.sign(_name_of(raw))])
    said = read_withheld(TEST, signed, ENTRY, 3)
    assert said.sentence
    if all("\ufffd" not in text for text in (said.order, said.basis, said.scope)):
        assert sign_withheld(PLATFORM, said) == signed


def _name_of(statement: bytes) -> EntryId:
    return EntryId(H("withheld", statement))


def _statements() -> list[bytes]:
    texts = ("an order", "a law", "VN")
    said = [Withheld(PLATFORM.key, 1, ENTRY, 3, *texts, until) for until in (None, 1 << 40)]
    return [decode(sign_withheld(PLATFORM, s))[0] for s in said]


def _cells(raw: bytes) -> None:
    cells = sketch.unpack(raw)
    assert sketch.pack(cells) == raw
    found = sketch.decode(cells)
    assert len(found.items) <= 2 * len(cells) + 16
    for t in found.items.values():
        sketch.length_of(t)


def _tables() -> list[bytes]:
    rng, out = Random(5), []
    for cells, items in ((1, 1), (8, 3), (64, 30), (128, 200)):
        table = sketch.empty(cells)
        for _ in range(items):
            sketch.add_one(table, rng.randrange(sketch.P), rng.randrange(sketch.P))
        out.append(sketch.pack(table))
    return out + vectors("sketch")


def frames() -> list[bytes]:
    """Frames with entries, their content, forks and proofs."""
    an = Person("an")
    log = an.write(30)
    proof = [encode_header(log[k].header) for k in (20, 12)]
    return [
        *vectors("messages"),
        encode_message(DataItems([control_item(an), run_item(log, 0, 12), run_item(log, 12)])),
        encode_message(DataItems([run_item(an.write(2, tag="x"))])),
        encode_message(DataItems([RunItem(run_bytes(log, 0, 12), [], proof)])),
    ]


_WIRE = ("banyan_replica.wire",)


def _blob_messages(raw: bytes) -> None:
    """The same bytes as a question, and as answers to one."""
    try:
        assert encode_question(decode_question(raw)) == raw
    except Malformed:
        pass
    for read in (decode_chunk_answer, lambda raw: decode_list_answer(BLOB.root, raw)):
        try:
            assert read(raw) in (raw[1:], BLOB)
        except (Malformed, NotHere):
            pass


BLOB = blob_of(b"a small one")
_BLOB_CODE = ("banyan_replica.wire.blob_messages", "banyan_crdt.blob")


def _blob_seeds() -> list[bytes]:
    kinds = [(chunk, of_draft) for chunk in (None, 0, 1 << 31) for of_draft in (False, True)]
    asked = [encode_question(BlobQuestion(BLOB.root, *kind)) for kind in kinds]
    return [*asked, encode_list_answer(BLOB), encode_chunk_answer(b"a small one"), encode_not_here("not here")]


TARGETS = (
    Target("replica.blobs", _blob_messages, (), _blob_seeds, _BLOB_CODE, share=5),
    Target(
        "replica.message",
        _message,
        (Malformed,),
        frames,
        (*_WIRE, "banyan_replica.gossip.frames"),
        made=message,
        share=60,
    ),
    Target(
        "replica.prepare",
        _prepared,
        (Reject,),
        frames,
        (*_WIRE, "banyan_replica.intake.prepare", "banyan_crdt.run"),
        share=40,
    ),
    Target(
        "replica.withheld", _withheld, (Reject, NotYet), _statements, ("banyan_replica.peers.statements",), share=10
    ),
    Target(
        "replica.cells",
        _cells,
        (ValueError,),
        _tables,
        ("banyan_replica.frontier.sketch",),
        share=5,
        largest=4_000,
        work=Bound(5_000, 30),
    ),
)
