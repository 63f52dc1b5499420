"""Requests to addresses that strangers named: only to what the whole internet can reach, never into the own network.

A name is resolved here, all its addresses are checked, and the connection goes to one that was checked, so that a name
that answers otherwise the next time gains nothing. Redirects are not followed. TLS checks the certificate against the
name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import anyio
import httpx

MAX_URL = 2_048
SECONDS = 10.0
ANSWER_BYTES = 64 << 10
"""The most that is read of an answer."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All IPv6 addresses that were ever given to anybody for the public internet."""
_SPECIAL = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20
"""
SPECIAL = tuple(map(ipaddress.ip_network, _SPECIAL.split()))
"""What the registries of special-purpose addresses of IANA (RFC 6890) name, also where a row says "globally reachable":
those are services of the network around who asks (PCP, TURN, AS112), or carry another address (6to4, Teredo). And
multicast. IPv6 outside of _UNICAST needs no row."""
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class Unreachable(Exception):
    """The address must not, or cannot, be asked. A sentence without a full stop."""


class UnknownHost(Unreachable):
    """The name has no address."""


class OutboundAnswer(NamedTuple):
    """headers: their names are small letters. body: its beginning, as it was sent: not decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OutboundHttp(NamedTuple):
    """local: whether this machine and private networks may be asked too, over http: for tests, and for a backend beside
    the node. plain: whether pages of the public internet may be asked for over http too, at its usual port."""

    local: bool = False
    plain: bool = False

    async def check(self, url: str) -> None:
        """Before a URL is kept: what is said when it is asked, but for a name that has no address now. Raises
        Unreachable."""
        host, port, _ = _parts(url, self)
        if self.local:
            return
        with anyio.move_on_after(SECONDS), suppress(UnknownHost):
            await self._address(host, port)

    async def ask(
        self,
        verb: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most: int = ANSWER_BYTES,
        seconds: float = SECONDS,
    ) -> OutboundAnswer:
        """most: bytes of the answer that are read. seconds: for all of it. Raises Unreachable."""
        host, port, secure = _parts(url, self)
        parts = urlsplit(url)
        try:
            with anyio.fail_after(seconds):
                address = await self._address(host, port)
                at = f"[{address}]" if address.version == 6 else str(address)
                there = parts._replace(netloc=f"{at}:{port}", fragment="").geturl()
                named = {"host": parts.netloc.rpartition("@")[2], "user-agent": "banyan", **headers}
                async with (
                    httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=seconds) as client,
                    client.stream(
                        verb, there, content=body, headers=named, extensions={"sni_hostname": host} if secure else {}
                    ) as answer,
                ):
                    said = b""
                    with anyio.CancelScope() as enough:  # a generator that is left early would not be closed
                        async for piece in answer.aiter_raw(16 << 10):
                            said = (said + piece)[: most + 1]
                            if len(said) > most:
                                enough.cancel()
                    return OutboundAnswer(answer.status_code, answer.headers, said[:most])
        except TimeoutError:
            raise Unreachable(f"{host} did not answer within {seconds:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise Unreachable(f"{host} could not be asked ({type(error).__name__}: {str(error)[:120]})") from None

    async def _address(self, host: str, port: int) -> Address:
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise UnknownHost(f"{host} has no address") from None
        addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        if not self.local and (bad := [one for one in addresses if not is_public(one)]):
            raise Unreachable(f"{host} has the address {bad[0]}, which is not of the public internet")
        return addresses[0]


def is_public(address: Address) -> bool:
    """Whether everybody may be sent there. An address that carries one of IPv4 is what that one is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _UNICAST:
            return False
    return not any(address in net for net in SPECIAL)


def _parts(url: str, outside: OutboundHttp) -> tuple[str, int, bool]:
    """(host, port, whether it is https). Raises Unreachable."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Unreachable("this is no URL") from None
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise Unreachable(f"a URL has at most {MAX_URL} printable ASCII characters")
    local, plain = outside
    if parts.scheme not in (("https", "http") if local or plain else ("https",)) or not host:
        raise Unreachable("the URL must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise Unreachable("a URL with a user name or a password is not taken")
    secure = parts.scheme == "https"
    if plain and not local and port not in (None, 80, 443):
        raise Unreachable("pages are asked for at the ports of http and https alone")
    return host, port or (443 if secure else 80), secure
