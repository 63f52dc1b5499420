"""The sentence for a failed dial tells a wrong name from a closed port."""

from __future__ import annotations

import socket

import pytest

from banyan_node.links.peerstore import why_unreachable


def test_an_unknown_name_a_refusing_port_and_an_open_port_are_told_apart() -> None:
    assert "is not known (DNS)" in str(why_unreachable("/dns4/no-such-host.invalid/tcp/4001/p2p/12D3")) or (
        "DNS" in str(why_unreachable("/dns4/no-such-host.invalid/tcp/4001/p2p/12D3"))
    )
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        said = why_unreachable(f"/ip4/127.0.0.1/tcp/{port}/p2p/12D3")
        assert said == f"127.0.0.1 refuses port {port}: no node listens there, or a firewall blocks it"
        door.listen()
        assert why_unreachable(f"/ip4/127.0.0.1/tcp/{port}") is None


@pytest.mark.parametrize("addr", ["", "/", "rubbish", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/tcp/x", "/ip4/1.2.3.4/tcp"])
def test_what_is_no_tcp_address_has_no_reason_here(addr: str) -> None:
    assert why_unreachable(addr) is None
