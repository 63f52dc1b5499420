"""The few pages of the door that need nothing but HTML, with their texts: for logging in and for what an app is
allowed.

Every text is escaped where it is put in. There is no script, and the style is named by its hash, so the Content
Security Policy allows nothing else.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from banyan_web.page.translations import LANGUAGES, LOGIN, language_of

_STYLE = (
    ":root{color-scheme:light dark;--ink:light-dark(#17201b,#e6ebe8);--page:light-dark(#f4f6f2,#0f1412);"
    "--card:light-dark(#fff,#171d1a);--line:light-dark(#dfe4dc,#2b3530);--fill:light-dark(#17603a,#86d3a5);"
    "--on:light-dark(#fff,#0c2316)}"
    "body{font:16px/1.55 system-ui,sans-serif;max-width:26rem;margin:8vh auto;padding:0 1rem;"
    "background:var(--page);color:var(--ink)}"
    "main{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1.5rem}"
    "h1{font-size:1.45rem;line-height:1.25;margin:0 0 1rem}label{display:block;margin:.8rem 0;font-weight:600}"
    "input:not([type=hidden],[hidden]){display:block;width:100%;margin-top:.25rem;box-sizing:border-box;font:inherit;"
    "padding:.5rem .8rem;border:1px solid #7c8a82;border-radius:10px;background:var(--card);color:inherit}"
    "button{font:inherit;font-weight:600;padding:.5rem 1rem;margin:.4rem .4rem .4rem 0;border-radius:10px;"
    "border:1px solid var(--fill);background:var(--fill);color:var(--on);cursor:pointer}"
    "form+form button,button+button{background:none;color:inherit;border-color:var(--line)}"
    ":focus-visible{outline:3px solid var(--fill);outline-offset:2px}"
    ".wrong{border-left:4px solid #c22;padding:.2rem .8rem}code{word-break:break-all}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.:-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def page(title: str, parts: Iterable[str], lang: str = "en", status: int = 200, sent_to: str | None = None) -> Response:
    """parts: HTML, escaped by who made it. sent_to: an address outside to which a form of the page may lead."""
    form = "'self'" if sent_to is None else f"'self' {_source(sent_to)}"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    html = (
        f'<!doctype html><html lang="{escape(lang)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{''.join(parts)}</main></body></html>"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cache-control": "no-store",
        "x-frame-options": "DENY",
    }
    return Response(html.encode("utf-8", "replace"), status, headers)


def form(action: str, hidden: Mapping[str, str], *parts: str) -> str:
    """A form that posts. action: a path of this server. parts: HTML."""
    kept = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(v)}">' for name, v in hidden.items())
    return f'<form method="post" action="{escape(action)}">{kept}{"".join(parts)}</form>'


def paragraph(text: str, kind: str = "") -> str:
    alert = ' role="alert"' if kind == "wrong" else ""
    return f'<p class="{escape(kind)}"{alert}>{escape(text)}</p>'


def _source(address: str) -> str:
    """How a Content Security Policy names where an address is: its origin, or its scheme if an app has that alone."""
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme in ("http", "https") and "[" not in parts.netloc:  # a policy has no word for an IPv6 address
        return origin if _ORIGIN.fullmatch(origin) else "'none'"
    return f"{parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else "'none'"


def field(label: str, name: str, complete: str, value: str = "", kind: str = "text") -> str:
    """A field with its label. complete: how a browser fills it, as HTML's `autocomplete` names it."""
    given = f'name="{escape(name)}" type="{escape(kind)}" value="{escape(value)}" autocomplete="{escape(complete)}"'
    given += ' autocapitalize="none" spellcheck="false"'
    return f"<label>{escape(label)}<input {given} required></label>"


def username(name: str) -> str:
    """Tells a browser whose password it is to keep."""
    return f'<input type="text" name="username" value="{escape(name)}" autocomplete="username" hidden>'


def button(text: str, name: str = "", value: str = "") -> str:
    named = f' name="{escape(name)}" value="{escape(value)}"' if name else ""
    return f"<button{named}>{escape(text)}</button>"


def bullets(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def code(text: str) -> str:
    """A text to be copied."""
    return f"<p><code>{escape(text)}</code></p>"


def language(request: Request, params: dict[str, Any]) -> str:
    """`lang` of the request, else what the browser likes best."""
    asked = params.get("lang")
    short = asked.strip().lower()[:2] if isinstance(asked, str) else ""
    return short if short in LANGUAGES else language_of(request.headers.get("accept-language", ""))


def scope_words(lang: str, scope: str) -> str:
    """What a scope allows, for the person who is asked."""
    top, _, part = scope.partition(":")
    said = LOGIN[lang]
    return said["some"].format(verb=said[f"verb_{top}"], part=part) if part else said[scope]
