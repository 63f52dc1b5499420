"""The text of a post as HTML: whatever a stranger writes, it is text, or a link that leads to http or https."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_web.mastodon.post_html import MentionTarget, html, mentions_in

HERE = "https://lotus.example"
LAN = {"lan": MentionTarget(f"{HERE}/@lan", "lan")}
ALLOWED = {
    "p": set(),
    "br": set(),
    "span": {"class", "translate"},
    "a": {"href", "class", "rel", "translate", "target"},
}
NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    'https://a.example/"onmouseover=alert(1)',
    "https://a.example/<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "#<b>",
    "@<b>",
    "&lt;script&gt;",
    "https://[::1",
    "http://",
    "]]><!--",
    "@lan@lan@lan",
    "#" * 50 + "a",
    "\u202ehttps://a.example",
]


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.links, self.open = "", list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert {name for name, _ in attrs} <= ALLOWED[tag]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "br":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def read(text: str) -> _Read:
    found = _Read()
    found.feed(html(text, LAN, HERE))
    found.close()
    assert not found.open
    return found


texts = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from([*NASTY, "@lan", "#phở", "https://b.example/x?y=1", "\n"]))
)


@given(texts.map("".join))
def test_it_says_what_the_text_says_and_nothing_else(text: str) -> None:
    found = read(text)
    assert all(re.match(r"https?://", link) for link in found.links)
    squeezed = re.sub(r"\s", "", found.text)
    assert squeezed == re.sub(r"\s", "", unescape("") + text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\n\nb\nc", "<p>a</p><p>b<br />c</p>"),
        ("hỏi @nobody, #1", "<p>hỏi @nobody, #1</p>"),
        ("a@lan.example", "<p>a@lan.example</p>"),
        ("", ""),
    ],
)
def test_what_is_no_link_stays_text(text: str, wanted: str) -> None:
    assert html(text, LAN, HERE) == wanted


def test_links_end_before_the_end_of_the_sentence() -> None:
    found = read("(xem https://a.example/b_(c)). Hỏi @Lan: #Phở!")
    assert found.links == ["https://a.example/b_(c)", f"{HERE}/@lan", f"{HERE}/tags/Ph%E1%BB%9F"]


def test_who_is_mentioned() -> None:
    text = "@an @lan@vn.example, mail@x.example @did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH @an"
    assert mentions_in(text) == ["an", "lan@vn.example", "did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH"]
