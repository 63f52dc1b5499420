"""Asks the world outside whose a domain is: its DNS, and its web server.

Both say `account=did:banyan:z...`, the account of the domain's platform. Who controls the answers of the resolver, or a
certificate that this machine trusts, can say something else; DNSSEC is not checked.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from banyan_cli.errors import BadInput

SECONDS = 5.0
MOST = 64 << 10
"""Bytes of an answer of the web server that are read."""
_SAID = re.compile(r"^\s*account=(did:banyan:\S+)\s*$", re.MULTILINE)


class DomainAnswer(NamedTuple):
    """where: what was asked. accounts: the DIDs that it names. why: it names none, or could not be asked."""

    where: str
    accounts: frozenset[str]
    why: str = ""


def in_dns(domain: str, server: str | None = None) -> DomainAnswer:
    """server: `ADDRESS` or `ADDRESS:PORT` of a DNS server; None: that of the system. Raises BadInput."""
    import dns.exception
    import dns.resolver

    name = f"_banyan.{domain}"
    where = f"the DNS ({name} TXT)"
    try:
        resolver = dns.resolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        return DomainAnswer(where, frozenset(), f"this machine has no resolver: {error}")
    if server is not None:
        host, port = _server(server)
        resolver.nameservers, resolver.port = [host], port
    try:
        answer = resolver.resolve(name, "TXT", lifetime=SECONDS, search=False)
        texts = [b"".join(row.strings).decode("utf-8", "replace") for row in answer]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return DomainAnswer(where, frozenset(), "it says nothing")
    except (dns.exception.DNSException, OSError) as error:
        return DomainAnswer(where, frozenset(), f"it does not answer: {error}")
    return _of(where, "\n".join(texts))


def on_the_web(url: str) -> DomainAnswer:
    """url: such as https://vn.example/.well-known/banyan. Redirects are not followed."""
    import httpx

    try:
        with httpx.stream("GET", url, timeout=SECONDS) as answer:
            if answer.status_code != 200:
                return DomainAnswer(url, frozenset(), f"it answers with status {answer.status_code}")
            raw = b""
            for piece in answer.iter_bytes():
                raw += piece
                if len(raw) > MOST:
                    return DomainAnswer(url, frozenset(), f"it answers with more than {MOST:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return DomainAnswer(url, frozenset(), f"it does not answer: {error}")
    return _of(url, raw.decode("utf-8", "replace"))


def _of(where: str, text: str) -> DomainAnswer:
    found = frozenset(_SAID.findall(text))
    return DomainAnswer(where, found, "" if found else "it names no account")


def _server(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "53")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65_536:
        raise BadInput(f"'{text[:60]}' is no DNS server; give its address, such as 9.9.9.9 or 127.0.0.1:5353.")
    return host, number
