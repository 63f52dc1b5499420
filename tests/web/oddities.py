"""Requests that servers of HTTP read in different ways, and how the door answers them, in whatever process it is."""

from __future__ import annotations

H = b"Host: x\r\nConnection: close\r\n"
JUNK = b"GET /behind HTTP/1.1\r\n" + H + b"\r\n"
HEAD = b"GET / HTTP/1.1\r\n" + H
POST = b"POST / HTTP/1.1\r\n" + H
CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"
KIB = 1 << 10


def _long(size: int, lines: int = 1) -> bytes:
    """A request whose head has so many bytes."""
    rest = size - len(HEAD) - 2
    sizes = [rest // lines] * (lines - 1) + [rest - rest // lines * (lines - 1)]
    return HEAD + b"".join(b"A: " + b"b" * (one - 5) + b"\r\n" for one in sizes) + b"\r\n"


ODDITIES: tuple[tuple[bytes, int], ...] = (
    (_long(64 * KIB), 200),
    (_long(64 * KIB + 1), 431),
    (_long(64 * KIB, 100), 200),
    (_long(70 * KIB, 100), 431),
    (_long(100 * KIB), 431),
    (_long(140 * KIB), 431),
    (_long(300 * KIB), 431),
    (b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n" + H + b"\r\n", 404),
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + H + b"\r\n", 431),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505),
    (b"GET / HTTP/1.0\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", 200),
    (b"GET / HTTP/1.1\nHost: a\nConnection: close\n\n", 200),
    (HEAD + b"A: b\r\n c\r\n\r\n", 200),
    (HEAD + b"A : b\r\n\r\n", 400),
    (HEAD + b"A: b\0c\r\n\r\n", 400),
    (HEAD + b"A\0: b\r\n\r\n", 400),
    (HEAD + b"Cookie: \xff\r\n\r\n", 200),
    (HEAD + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", 200),
    (b"no HTTP at all\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(50), 400),
    (b"GET /\xff HTTP/1.1\r\n" + H + b"\r\n", 400),
    (b"GET /%ff HTTP/1.1\r\n" + H + b"\r\n", 400),
    (b"GET /%zz HTTP/1.1\r\n" + H + b"\r\n", 400),
    (b"GET /%00%0d%0aX:%20y HTTP/1.1\r\n" + H + b"\r\n", 404),
    (b"GET /?a=%ff HTTP/1.1\r\n" + H + b"\r\n", 200),
    (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + H + b"\r\n", 404),
    (b"GET http://evil.example/ HTTP/1.1\r\n" + H + b"\r\n", 404),
    (b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", 404),
    (b"CONNECT a:1 HTTP/1.1\r\n" + H + b"\r\n", 404),
    (b"TRACE / HTTP/1.1\r\n" + H + b"\r\n", 405),
    (b"HEAD / HTTP/1.1\r\n" + H + b"\r\n", 200),
    (b"get / HTTP/1.1\r\n" + H + b"\r\n", 405),
    (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + JUNK, 400),
    (POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde" + JUNK, 400),
    (POST + b"Content-Length: -1\r\n\r\n" + JUNK, 400),
    (POST + b"Content-Length: +4\r\n\r\nabcd" + JUNK, 400),
    (POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    (POST + b"Content-Length: 4\r\n\r\nabcd" + JUNK, 200),
    (POST + b"Content-Length: 4\r\nExpect: nothing\r\n\r\nabcd", 200),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + JUNK, 501),
    (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + JUNK, 501),
    (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + JUNK, 400),
    (CHUNKS + b"2;a=b\r\n[]\r\n0\r\n\r\n", 200),
    (CHUNKS + b"2\r\n[]\r\n0\r\nA: b\r\n\r\n", 200),
    (CHUNKS + b"zz\r\n[]\r\n0\r\n\r\n", 400),
    (CHUNKS + b"-5\r\nabcde\r\n", 400),
    (CHUNKS + b"5\r\nabcdeXX0\r\n\r\n", 400),
)
"""(what is sent, the status of the answer). What asks for it is at /, by GET and POST."""
