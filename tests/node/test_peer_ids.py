"""Ids and addresses of peers as people write them, and what libp2p makes of the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.rsa import create_new_key_pair as create_rsa
from libp2p.crypto.secp256k1 import create_new_key_pair as create_secp256k1
from libp2p.peer.id import ID

from banyan_crdt.ids import base58
from banyan_node.edge.dial import split
from banyan_node.home.values import is_peer_id, why_no_address

PEER = str(ID.from_pubkey(create_new_key_pair(bytes(32)).public_key))


@pytest.mark.parametrize("make", [create_new_key_pair, create_rsa, create_secp256k1])
def test_libp2ps_ids_are_ids(make: object) -> None:
    assert callable(make)
    pair = make(2048) if make is create_rsa else make()
    assert is_peer_id(str(ID.from_pubkey(pair.public_key)))


@pytest.mark.parametrize(
    "text", ["", "12D3Koo", PEER[:-1], PEER[:-2], PEER + "1", 2 * PEER, PEER.replace("K", "0"), "1" * 10_000_000]
)
def test_what_nobody_can_have_is_no_id(text: str) -> None:
    assert not is_peer_id(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_has_its_size(size: int) -> None:
    assert not is_peer_id(base58(bytes.fromhex("002408011220") + bytes(size)))


@given(st.binary(max_size=60))
def test_no_other_bytes_are_an_id(raw: bytes) -> None:
    known = (
        raw[:6] == bytes.fromhex("002408011220") or raw[:6] == bytes.fromhex("002508021221") or raw[:2] == b"\x12\x20"
    )
    assert known or not is_peer_id(str(ID(raw)))


@pytest.mark.parametrize(
    "where", ["/ip4/192.0.2.1/tcp/1", "/ip6/::1/tcp/65535", "/dns4/a.example/tcp/4001", "/dns/x/tcp/9"]
)
def test_addresses_of_peers(where: str) -> None:
    assert why_no_address(f"{where}/p2p/{PEER}") is None
    assert split(f"{where}/p2p/{PEER}")[0] == PEER


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("/ip4/127.0.0.1/tcp/99999/p2p/" + PEER, "'99999' is no port: it is from 1 to 65535"),
        ("/ip4/127.0.0.1/tcp/0/p2p/" + PEER, "'0' is no port: it is from 1 to 65535"),
        ("/ip4/127.0.0.1/tcp/00/p2p/" + PEER, "'00' is no port: it is from 1 to 65535"),
        ("/ip4/127.0.0.1/tcp/-1/p2p/" + PEER, "'-1' is no port: it is from 1 to 65535"),
        ("/ip4/127.0.0.1/tcp/\u0664/p2p/" + PEER, "'\u0664' is no port: it is from 1 to 65535"),
        ("/ip4/999.0.0.1/tcp/1/p2p/" + PEER, "'999.0.0.1' is no address of ip4"),
        ("/ip6/1.2.3.4/tcp/1/p2p/" + PEER, "'1.2.3.4' is no address of ip6"),
        ("/ip4/127.0.0.1/tcp/1/p2p/12D3", "'12D3' is not a peer's id: give it whole"),
        ("/ip4/127.0.0.1/udp/1/p2p/" + PEER, "expected /ip4/HOST/tcp/PORT/p2p/PEER"),
        ("/ip4/127.0.0.1/tcp/1", "expected /ip4/HOST/tcp/PORT/p2p/PEER"),
        ("/dns4//tcp/1/p2p/" + PEER, "expected /ip4/HOST/tcp/PORT/p2p/PEER"),
        (PEER, "expected /ip4/HOST/tcp/PORT/p2p/PEER"),
    ],
)
def test_bad_addresses_are_told_why(address: str, why: str) -> None:
    assert why_no_address(address) == why
