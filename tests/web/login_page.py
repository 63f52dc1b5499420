"""A browser's steps at the login page, by hand: what a person does between an app's link and its code."""

from __future__ import annotations

import re
from html import unescape

import httpx

PASSWORD = "một mật khẩu dài"
FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
FORM = re.compile(r'<form method="post" action="([^"]*)">(.*?)</form>', re.S)


class Browser:
    """Follows no redirect by itself; keeps cookies, and no connection."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))

    def see(self, path: str, status: int = 200) -> httpx.Response:
        answer = self.http.get(path)
        assert answer.status_code == status, answer.text[:300]
        return answer

    def send(self, page: httpx.Response, status: int = 303, form: int = 0, **typed: str) -> httpx.Response:
        """Fills in a form of the page, and sends it."""
        action, inner = FORM.findall(page.text)[form]
        hidden = {unescape(name): unescape(value) for name, value in FIELD.findall(inner)}
        answer = self.http.post(unescape(action), data={**hidden, **typed})
        assert answer.status_code == status, answer.text[:300]
        return answer

    def log_in(self, url: str, name: str, password: str = PASSWORD) -> httpx.Response:
        """From the address that an app opens to the page that asks whether to allow it."""
        page = self.see(self.see(url, 303).headers["location"])
        then = self.send(page, name=name, password=password).headers["location"]
        return self.see(then)


def code_on(answer: httpx.Response) -> str:
    """The code that a page shows, to be copied."""
    found = re.search(r"<code>([^<]*)</code>", answer.text)
    assert found, answer.text
    return found[1]
