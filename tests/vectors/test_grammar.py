"""The grammar on the page is what the codec accepts: no value more, none less."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_replica.gossip import frames as g
from banyan_replica.gossip.frames import decode_frame
from banyan_replica.gossip.settings import (
    MAX_ADDR,
    MAX_ADDRS,
    MAX_GRAFTS,
    MAX_HOP,
    MAX_IHAVES,
    MAX_ITEMS,
    MAX_PEER_ID,
    MAX_SAMPLE,
    MAX_TTL,
)
from banyan_replica.wire.message_table import TABLE, decode_message, encode_message
from banyan_replica.wire.messages import (
    MAX_LOCATOR,
    MAX_PINS,
    MAX_PROOF,
    MAX_REASON,
    VERSION,
    Bye,
    DataItems,
    GossipFrame,
    Heads,
    Hello,
    Message,
    RunItem,
    Want,
    Wants,
)
from tests.vectors.cddl import Grammar

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "protocol.md").read_text()
STRICT = Grammar(PAGE)
GRAMMAR = Grammar(PAGE, loose=("control",))
"""Control entries are read where they are judged, not with the message."""
NAMES = [line.shape.name for line in TABLE]


def is_read(v: Any) -> bool:
    try:
        m = decode_message(encode(v))
        if isinstance(m, GossipFrame):
            decode_frame(m.frame)
    except Malformed:
        return False
    assert decode_message(encode_message(m)) == m
    return True


def mangled(rng: random.Random, v: Any) -> Any:
    """The value with one thing in it changed."""
    if isinstance(v, list) and v and rng.random() < 0.8:
        at = rng.randrange(len(v))
        match rng.randrange(6):
            case 0:
                return [*v[:at], *v[at + 1 :]]
            case 1:
                return [*v[:at], v[at], *v[at:]]
            case _:
                return [*v[:at], mangled(rng, v[at]), *v[at + 1 :]]
    if isinstance(v, bytes) and rng.random() < 0.7:
        return rng.choice([v[:-1], v + b"\x10", b"", v + bytes(40)])
    if isinstance(v, int) and rng.random() < 0.7:
        return rng.choice([0, 1, 2, 3, 16, 17, 256, v + 1, 1 << 16, 1 << 32, 1 << 48, 1 << 63, (1 << 64) - 1])
    return rng.choice([None, 0, b"", [], [[]], [[0, b""]]])


@pytest.mark.parametrize("name", NAMES)
def test_what_the_grammar_allows_is_read_and_nothing_else(name: str) -> None:
    rng = random.Random(name)
    read = refused = 0
    for _ in range(300):
        v = STRICT.random(rng, name)
        assert GRAMMAR.matches(v, "message")
        if v[0] == 1:
            v[1] = VERSION
        if len(encode(v)) < 1 << 20:
            assert is_read(v), v
        other = v
        for _ in range(rng.choice([1, 1, 2])):
            other = mangled(rng, other)
        if isinstance(other, list) and other[:1] == [1] and other[1:2] != [VERSION]:
            continue  # a hello of another version may have any shape
        if any(isinstance(x, int) and x >> 64 for x in (other if isinstance(other, list) else ())):
            continue
        found = is_read(other)
        assert found == GRAMMAR.matches(other, "message"), other
        read, refused = read + found, refused + (not found)
    assert refused > 50


def test_every_vector_of_a_message_matches_and_every_refused_one_does_not() -> None:
    for v in json.loads((HERE / "messages.json").read_text()):
        assert STRICT.matches(decode(bytes.fromhex(v["frame"])), "message"), v["name"]
    for v in json.loads((HERE / "refused.json").read_text()):
        found = STRICT.matches(decode(bytes.fromhex(v["frame"])), "message")
        assert found == ("arrays in" in v["name"]), v["name"]  # a grammar cannot count them


def test_a_frame_has_one_array_for_eight_bytes_and_64_more() -> None:
    def holding(arrays: int) -> list[Any]:
        return [7, [[1, b"run", [[]] * (arrays - 4)]]]

    for arrays in range(64, 512):
        assert is_read(holding(arrays)) == (arrays <= 64 + len(encode(holding(arrays))) // 8)


def full() -> list[Message]:
    """Messages in which every array that is bounded is full."""
    i, address = b"i" * 32, "a" * MAX_ADDR
    peer = g.PeerInfo("p" * MAX_PEER_ID, (address,) * MAX_ADDRS)
    log, place = LogId(AccountId(i), WriterKey(i), (1 << 32) - 1), ((1 << 48) - 1, EntryId(i))
    mids = tuple(n.to_bytes(16, "big") for n in range(MAX_IHAVES))
    pushes = (g.Push(i[:16], MAX_HOP, b""),) * MAX_ITEMS
    return [
        Wants([Want(log, [place] * MAX_LOCATOR, [place] * MAX_PINS)]),
        DataItems([RunItem(b"run", [], [b"header"] * MAX_PROOF)]),
        Bye(b"x" * MAX_REASON),
        Heads(bytes(64), 1, [(log, Head((1 << 48) - 1, None, 1))]),
        GossipFrame(g.encode_frame(g.PushFrame(pushes, mids, mids[:MAX_GRAFTS], True))),
        GossipFrame(g.encode_frame(g.Shuffle(peer, MAX_TTL, (peer,) * MAX_SAMPLE))),
    ]


@pytest.mark.parametrize("m", full(), ids=lambda m: type(m).__name__)
def test_what_is_as_full_as_it_may_be_matches_and_one_more_does_not(m: Message) -> None:
    v = decode(encode_message(m))
    assert STRICT.matches(v, "message")
    assert is_read(v)

    def fuller(x: Any) -> list[Any]:
        """The value with one element more in one of the arrays, for each of them."""
        if not isinstance(x, list):
            return []
        inner = [[*x[:k], y, *x[k + 1 :]] for k, child in enumerate(x[:5]) for y in fuller(child)]
        return [[*x, x[-1]], *inner] if x else inner

    for more in fuller(v):
        assert is_read(more) == STRICT.matches(more, "message")


def test_the_table_on_the_page_has_a_line_for_every_rule_of_message() -> None:
    kind, choices = STRICT.rules["message"]
    assert kind == "or"
    assert [name for _, name in choices] == NAMES
    for line in TABLE:
        assert f"| {line.shape.code} | {line.shape.name} |" in PAGE


def test_a_hello_of_another_version_is_read_by_its_number_alone() -> None:
    for v in ([1, 3], [1, VERSION + 5, b"x", [b"y"]], [1, 0]):
        m = decode_message(encode(v))
        assert isinstance(m, Hello)
        assert m.version == v[1]
    assert not is_read([1, VERSION])
    assert not is_read([1, b"2"])
