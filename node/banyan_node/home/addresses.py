"""Addresses and networks, as settings name them."""

from typing import Annotated

from msgspec import Meta

from banyan_node.home.checks import Check, why_no_announce, why_no_dial, why_no_listen, why_no_network

_ADDRESS = r"^/(ip4|ip6|dns|dns4|dns6)/[^/\s,]+/(tcp|udp)/[0-9]+(/[^/\s,]+)*"

_SHAPE = Meta(pattern=_ADDRESS + "$", title="multiaddrs such as /ip4/0.0.0.0/tcp/4001")
ListenMultiaddr = Annotated[str, _SHAPE, Check(why_no_listen)]
AnnouncedMultiaddr = Annotated[str, _SHAPE, Check(why_no_announce)]
PeerMultiaddr = Annotated[
    str,
    Meta(
        pattern=_ADDRESS + r"/p2p/[A-Za-z0-9]+$",
        title="multiaddrs that end in the peer's id, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...",
    ),
    Check(why_no_dial),
]
Cidr = Annotated[
    str,
    Meta(pattern=r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$", title="networks like 10.0.0.0/8 or fd00::/8"),
    Check(why_no_network),
]
