"""Frames survive encoding, and anything else is refused with a sentence."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import encode
from banyan_crdt.errors import Malformed
from banyan_replica.gossip.address_groups import group_of, group_of_any
from banyan_replica.gossip.frames import (
    AnyFrame,
    ForwardJoin,
    Join,
    Neighbour,
    NeighbourAnswer,
    NoNeighbour,
    PeerInfo,
    Push,
    PushFrame,
    Shuffle,
    Shuffled,
    brings_messages,
    decode_frame,
    encode_frame,
)
from banyan_replica.gossip.settings import MAX_GRAFTS, GossipSettings

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
infos = st.builds(PeerInfo, text, st.lists(text, max_size=4).map(tuple))
peers = st.lists(infos, max_size=6).map(tuple)
mids = st.binary(min_size=16, max_size=16)
frames: st.SearchStrategy[AnyFrame] = st.one_of(
    st.builds(
        PushFrame,
        st.lists(st.builds(Push, mids, st.integers(0, 255), st.binary(max_size=50)), max_size=5).map(tuple),
        st.lists(mids, max_size=5).map(tuple),
        st.lists(mids, max_size=5).map(tuple),
        st.booleans(),
    ),
    st.builds(Join, st.lists(text, max_size=4).map(tuple)),
    st.builds(ForwardJoin, infos, st.integers(0, 16)),
    st.builds(Neighbour, st.booleans(), st.lists(text, max_size=4).map(tuple)),
    st.builds(NeighbourAnswer, st.booleans()),
    st.just(NoNeighbour()),
    st.builds(Shuffle, infos, st.integers(0, 16), peers),
    st.builds(Shuffled, text, peers),
)


@given(frames)
def test_a_frame_comes_back_as_it_went(frame: AnyFrame) -> None:
    back = decode_frame(cbor2.loads(cbor2.dumps(encode_frame(frame))))
    assert (type(back), back) == (type(frame), frame)


@given(frames)
def test_whether_a_frame_brings_messages_is_seen_from_its_first_bytes(frame: AnyFrame) -> None:
    brings = isinstance(frame, PushFrame) and bool(frame.items)
    assert brings_messages(encode(encode_frame(frame))[:3]) == brings


trees = st.recursive(
    st.one_of(st.integers(-5, 300), st.binary(max_size=20), st.none(), st.text(max_size=5), st.booleans()),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


@given(st.one_of(trees, st.tuples(st.integers(0, 8), trees, trees).map(list)))
def test_anything_is_a_frame_or_malformed(tree: object) -> None:
    try:
        frame = decode_frame(tree)
    except Malformed:
        return
    assert decode_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        ([], "starts with its code"),
        ([8], "unknown"),
        ([0, [], [], []], r"4 fields \(items, ihaves, grafts, prune\), this one 3"),
        ([0, [], [], [bytes(16)] * (MAX_GRAFTS + 1), 0], f"grafts: .* not {MAX_GRAFTS + 1}"),
        ([0, [], [bytes(15)], [], 0], "grafts|ihaves: expected 16 bytes"),
        ([0, [[bytes(16), 256, b""]], [], [], 0], "items: expected a number from 0 to 255"),
        ([2, [b"", []], 3], "joiner: expected 1 to 128 bytes"),
        ([2, [b"\xff", []], 3], "must be UTF-8"),
        ([3, 2, []], "urgent: expected a number from 0 to 1"),
        ([6, [b"a", []], 17, []], "ttl: expected a number from 0 to 16"),
    ],
)
def test_a_malformed_frame_is_refused_with_the_reason(wire: object, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        decode_frame(wire)


@pytest.mark.parametrize(
    ("addr", "group"),
    [
        ("/ip4/203.1.113.7/tcp/4001", "203.1.0.0/16"),
        ("203.1.9.9", "203.1.0.0/16"),
        ("/ip6/2a01:4f8:1:2::3/tcp/1", "2a01:4f8::/32"),
        ("/ip6/::ffff:203.1.1.1/tcp/1", "203.1.0.0/16"),
        ("/ip4/127.0.0.1/tcp/1", "local:127.0.0.0/16"),
        ("/ip4/10.3.2.1/tcp/1", "local:10.3.0.0/16"),
        ("/dns4/a.b.example.org/tcp/1", "name:example.org"),
        ("localhost", "local:localhost"),
        ("/unix/tmp/x", ""),
        ("", ""),
    ],
)
def test_an_address_belongs_to_the_block_one_hand_would_rent(addr: str, group: str) -> None:
    assert group_of(addr) == group


def test_a_public_address_decides_over_a_private_one() -> None:
    assert group_of_any(("/ip4/10.0.0.1/tcp/1", "/ip4/203.1.113.7/tcp/1")) == "203.1.0.0/16"


def test_settings_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="leave no slot"):
        GossipSettings(active=4, chosen=2, elders=2)
