"""What a client says at the door: names of parameters, where it wants to be sent, and who it says it is."""

from __future__ import annotations

import unicodedata
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from banyan_node.media.page_child import ADDRESS, JOINERS, said
from banyan_web.mastodon.page_fetch import absolute
from banyan_web.oauth.apps import SHOWN, redirects_in
from banyan_web.oauth.grants import sent_back
from banyan_web.oauth.login import page
from banyan_web.oauth.sessions import own_path
from banyan_web.params import DEEP, nested
from banyan_web.rate_limits import RateLimits
from banyan_web.refusals import HttpRefusal
from tests.fuzz.mutate import text
from tests.fuzz.target import Bound, Target

_PROXIES = ("127.0.0.0/8", "::1/128")


def _parameters(raw: bytes) -> None:
    """A query or a form. What comes out is no deeper than its names."""
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    found = nested(pairs)
    assert _depth(found) <= 2 * DEEP + 1
    assert _texts(found) <= len(pairs)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, dict | list) else 0


def _texts(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(_texts, value.values() if isinstance(value, dict) else value))
    return 1


def _redirect(raw: bytes) -> None:
    """A redirect URI that is taken leads outside, as one header line, and never to a program."""
    for uri in redirects_in({"redirect_uris": raw.decode("utf-8", "replace")}):
        if uri == SHOWN:
            continue
        assert urlsplit(uri).scheme not in ("", "javascript", "data", "vbscript", "file", "blob")
        back = sent_back(uri, {"code": "x"}, "a\r\nb: c")
        assert back.isascii()
        assert back.isprintable()
        assert " " not in back
        policy = page("", [], sent_to=uri).headers["content-security-policy"]
        assert policy.count(";") == 4
        assert "," not in policy
        assert "*" not in policy


def _own(raw: bytes) -> None:
    """The login page leads to this server, as a browser reads the address."""
    path = own_path(raw.decode("utf-8", "surrogateescape"))
    assert path.startswith("/")
    assert path[1:2] not in ("/", "\\")
    assert path.isascii()
    assert path.isprintable()


def _address(raw: bytes) -> None:
    """Who asks is short, whatever a proxy hands on."""
    said = raw.decode("latin-1")
    for peer in (None, "127.0.0.1", "203.0.113.9"):
        assert len(RateLimits(proxies=_PROXIES).address(peer, said)) <= 43
    assert RateLimits(proxies=_PROXIES).address("203.0.113.9", said) == "203.0.113.9"


def _page(raw: bytes) -> None:
    """What a page of strangers says is short, on one line, and without what is not seen."""
    for charset in ("-", "gb18030", "utf-7"):
        for text_ in said(raw, charset).values():
            assert len(text_) <= ADDRESS
            assert text_ == " ".join(text_.split())
            assert not any(unicodedata.category(one)[0] == "C" and one not in JOINERS for one in text_)


def _link(raw: bytes) -> None:
    """Where a page or a redirect leads is an address of http, one word of ASCII."""
    for base in ("", "https://e.example/a/b?c#d"):
        url = absolute(base, raw.decode("utf-8", "surrogateescape"))
        if url:
            assert url.isascii()
            assert url.isprintable()
            assert " " not in url
            assert urlsplit(url).scheme in ("http", "https")
            assert urlsplit(url).hostname


_PAGES = [
    '<meta charset="windows-1258"><meta property="og:title" content="T&amp;"><title>a</title><html lang="vi">'.encode(
        "ascii"
    ),
    "<meta name='description' content='Tết'><meta property='og:image' content='/a.png'>".encode("utf-16"),
]
_LINKS = ["https://bücher.example:8080/ä b?q=ế#x //e.example ../a http://[::1]/ file:///x".encode(), b"/a", b"?x"]
_QUERIES = [
    b"a=1&b[]=2&b[]=3&c[d]=4&c[e][]=5&f[][g]=6&f[][h]=7&f[][g]=8",
    b"poll[options][]=x&poll[options][]=y&poll[expires_in]=300&status=%F0%9F%8C%B3",
]
_URIS = [
    b"https://app.example/back?from=1 tool://back com.example.app:/cb urn:ietf:wg:oauth:2.0:oob",
    b"http://[::1]:8080/ http://127.0.0.1:1/x https://a.example:443",
]
_PATHS = [b"/oauth/authorize?client_id=x&redirect_uri=https%3A%2F%2Fapp.example", b"/login"]
_ADDRESSES = [b"198.51.100.1, 2001:db8::1", b"[2001:db8::9]:443", b"198.51.100.1:80, ::ffff:127.0.0.1, 127.0.0.2"]

TARGETS = (
    Target("web.parameters", _parameters, (HttpRefusal,), lambda: _QUERIES, ("banyan_web.params",), text),
    Target("web.redirects", _redirect, (HttpRefusal,), lambda: _URIS, ("banyan_web.oauth.apps",), text),
    Target("web.paths", _own, (), lambda: _PATHS, ("banyan_web.oauth.sessions",), text),
    Target("web.page", _page, (), lambda: _PAGES, ("banyan_node.media.page_child",), text, memory=Bound(4 << 20, 400)),
    Target("web.link", _link, (), lambda: _LINKS, ("banyan_web.mastodon.page_fetch",), text),
    Target("web.addresses", _address, (), lambda: _ADDRESSES, ("banyan_web.rate_limits",), text),
)
