"""An account as a static site that a browser opens from the disk: no script, no request to anybody.

| file | has |
|---|---|
| index.html | the profile, the newest posts, the pages of months |
| 2026-11.html, 2026-11-2.html, ... | the posts and reposts of a month, newest first |
| pictures/... | the pictures of the profile, if they are here |
| thread/....html | a conversation in which the account took part: what it answers, and the answers that are held |

Posts are read once, newest first, and a page is written while it is read. So the memory does not grow with the account.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from itertools import islice
from typing import IO, NamedTuple, NewType

from banyan_crdt.ids import AccountId, account_to_text
from banyan_node.exporting.sinks import FolderSink, file_of, write_medium
from banyan_reading.answers import PostView, ProfileView
from banyan_reading.interaction_rules import InteractionRules
from banyan_reading.queries import Queries
from banyan_reading.responses import counts_of
from banyan_reading.threads import below
from banyan_schema import dates
from banyan_schema.media import Media
from banyan_schema.social import Target
from banyan_storage.blobs import BlobStore

# Makes HTML out of elements, so that text cannot become markup: every string is escaped unless an element made it.
#
# The invariant: only `element` and `page` return `Markup`, and what they are given as a string is text.

Markup = NewType("Markup", bytes)
"""Escaped HTML, UTF-8."""
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What a page must not contain: control characters, and halves of characters."""
_VOID = frozenset({"meta", "link", "br", "hr", "img"})

STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--dim:#666b73;--page:#fbfbf9;--line:#dcdcd6;--link:#1a5fb4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e3;--dim:#9aa0a8;--page:#16181b;--line:#33373d;--link:#8ab8ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:42rem;padding:1rem;background:var(--page);color:var(--ink)}
body{font:1rem/1.5 system-ui,sans-serif}
a{color:var(--link)}
h1{font-size:1.4rem;margin:.5rem 0}
header,nav,footer{color:var(--dim);margin:1rem 0}
nav a{margin-right:.75rem}
article{border-top:1px solid var(--line);padding:.75rem 0;overflow-wrap:anywhere}
article article{margin-left:1rem}
.by{color:var(--dim);font-size:.9rem}
.text{white-space:pre-wrap;unicode-bidi:plaintext;margin:.25rem 0}
blockquote{border-left:3px solid var(--line);margin:.5rem 0;padding-left:.75rem}
figure{border:1px dashed var(--line);margin:.5rem 0;padding:.5rem;font-size:.9rem}
.banner{display:block;width:100%;max-height:15rem;object-fit:cover}
.avatar{display:block;width:6rem;height:6rem;object-fit:cover;border-radius:.5rem;margin:.5rem 0}
code{font-size:.75rem;color:var(--dim);overflow-wrap:anywhere}
.d1{margin-left:1rem}.d2{margin-left:2rem}.d3{margin-left:3rem}.d4{margin-left:4rem}.d5{margin-left:5rem}
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src 'self' file:; media-src 'self' file:; "
    "base-uri 'none'; form-action 'none'"
)
"""No script, no request to anybody; pictures only from beside the page. The style is named by its hash, because a page
that is opened as a file has no origin of its own."""


def text(said: str) -> Markup:
    """Text as HTML."""
    return Markup(escape(_UNREADABLE.sub("\ufffd", said), quote=True).encode())


def element(tag: str, /, *inside: str | Markup, **attributes: str | None) -> Markup:
    """An element. `class_` is written as class; an attribute that is None is left out."""
    named = b"".join(
        b" " + key.rstrip("_").replace("_", "-").encode() + b'="' + text(value) + b'"'
        for key, value in attributes.items()
        if value is not None
    )
    opens = b"<" + tag.encode() + named + b">"
    if tag in _VOID:
        return Markup(opens)
    return Markup(opens + joined(*inside) + b"</" + tag.encode() + b">")


def joined(*inside: str | Markup) -> Markup:
    """One after another."""
    return Markup(b"".join(text(part) if isinstance(part, str) else part for part in inside))


def head(title: str, lang: str = "en") -> Markup:
    """The beginning of a page, up to its body."""
    metas = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        Markup(b"<style>" + STYLE.encode() + b"</style>"),
    )
    return Markup(b'<!doctype html>\n<html lang="' + text(lang) + b'">' + element("head", *metas) + b"<body>\n")


TAIL = Markup(b"</body></html>\n")


NEWEST = 20
"""Posts on the first page."""
A_PAGE = 500
"""Posts on a page of a month; then it goes on on another one."""
ANSWERS = 5_000
"""Answers on the page of a conversation."""
PICTURES = "pictures"
"""The folder of the pictures of the profile."""
DEEPEST = 5
"""Levels of answers that are set in."""


class Page(NamedTuple):
    """A page of a month. number: 1 for the first of that month."""

    month: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.month}.html" if self.number == 1 else f"{self.month}-{self.number}.html"

    @property
    def title(self) -> str:
        return self.month if self.number == 1 else f"{self.month} ({self.number})"


def write_site(q: Queries, blobs: BlobStore, account: AccountId, sink: FolderSink) -> int:
    """Writes the site. Returns how many posts and reposts it has."""
    writer = _Site(q, blobs, account, sink)
    pages, done = list[Page](), 0
    with ExitStack() as last:
        file: IO[bytes] | None = None
        on_page = 0
        for view in writer.rules.page(account):
            month = _month(view)
            if file is None or on_page == A_PAGE or pages[-1].month != month:
                page = Page(month, pages[-1].number + 1 if pages and pages[-1].month == month else 1)
                if file is not None:
                    file.write(_foot(pages, page))
                    last.close()
                pages.append(page)
                file, on_page = last.enter_context(sink.file(page.name)), 0
                file.write(joined(head(f"{writer.name}, {page.title}"), element("h1", f"{writer.name}, {page.title}")))
            file.write(writer.post(view, "") + b"\n")
            writer.conversation(view)
            done, on_page = done + 1, on_page + 1
        if file is not None:
            file.write(_foot(pages, None))
    writer.index(pages, done)
    return done


def _month(view: PostView) -> str:
    ms = view.time_ms if view.reposted is None else view.reposted.time_ms
    return dates.day(ms)[:7]


def _foot(pages: list[Page], older: Page | None) -> Markup:
    """The end of the last page, with links to those beside it."""
    links = [element("a", "All", href="index.html")]
    if len(pages) > 1:
        links.append(element("a", "Newer", href=pages[-2].name))
    if older is not None:
        links.append(element("a", "Older", href=older.name))
    return joined(element("nav", *links), TAIL)


class _Site:
    """Makes what stands on the pages, and caches names."""

    def __init__(self, q: Queries, blobs: BlobStore, account: AccountId, sink: FolderSink) -> None:
        self._q, self._blobs, self._account, self._sink = q, blobs, account, sink
        self._names: dict[AccountId, str] = {}
        self._blocked, self.rules = set(q.blocks(account)), InteractionRules(q)
        self.name = self._name(account)

    def _name(self, account: AccountId) -> str:
        if len(self._names) > 10_000:
            self._names.clear()
        if account not in self._names:
            named = self._q.profile(account).texts.get("name")
            self._names[account] = named or f"{account_to_text(account)[:24]}…"
        return self._names[account]

    def index(self, pages: list[Page], posts: int) -> None:
        q, account = self._q, self._account
        with self._sink.file("index.html") as file:
            profile = q.profile(account)
            file.write(joined(head(self.name), *self._pictures(profile), element("h1", self.name)))
            about = [element("p", f"{f}: {value}", class_="text") for f, value in profile.texts.items() if f != "name"]
            file.write(element("header", *about))
            totals = q.account_totals([account])[account]
            counts = f"{posts:,} posts; follows {totals.follows:,}, followed by {totals.followers:,}"
            file.write(joined(element("p", counts), element("p", element("code", account_to_text(account)))))
            for view in islice(self.rules.page(account), NEWEST):
                file.write(self.post(view, "") + b"\n")
            file.write(element("nav", *(element("a", page.title, href=page.name) for page in pages)))
            file.write(TAIL)

    def _pictures(self, profile: ProfileView) -> Iterator[Markup]:
        """The banner above the avatar, with their files beside the page; of one that is not here, what is known."""
        written = set[bytes]()
        for name in ("banner", "avatar"):
            picture = profile.pictures.get(name)
            if picture is None:
                continue
            if picture.blob not in written and not write_medium(self._blobs, picture, self._sink, PICTURES):
                yield _media(picture)
                continue
            written.add(picture.blob)
            yield element("img", class_=name, src=f"{PICTURES}/{file_of(picture)}", alt=picture.description or "")

    def post(self, view: PostView, up: str, depth: int = 0) -> Markup:
        """One post. up: how the page leads to the folder of the index."""
        said, author = view.post, self._name(view.target.account)
        time = element("time", dates.minute(view.time_ms), datetime=dates.iso(view.time_ms))
        line: list[str | Markup] = [element("b", author), " · ", self._linked(view, time, up)]
        if view.reposted is not None:
            line = [f"{self._name(view.reposted.by)} reposted · ", *line]
        if said.reply is not None:
            line.append(f" · answers {self._name(said.reply.parent.account)}")
        counted = counts_of(self._q, [view], self.rules)[view.target]
        if counted.edited_ms is not None:
            line.append(" · edited")
        body = [element("div", said.text, class_="text", lang=said.lang, dir="auto"), *map(_media, said.media)]
        if said.poll is not None:
            body.append(element("ul", *(element("li", option) for option in said.poll.options)))
        if said.quote is not None:
            body.append(self._quoted(said.quote, view.target))
        shown = joined(*body)
        if said.warning is not None:
            shown = element("details", element("summary", said.warning), shown)
        counts = [f"{emoji} {accounts}" for emoji, accounts in counted.reactions.items()]
        counts += [f"{counted.reposts} reposts"] if counted.reposts else []
        below = [element("p", " · ".join(counts), class_="by")] if counts else []
        inset = f"d{min(depth, DEEPEST)}" if depth else None
        return element("article", element("p", *line, class_="by"), shown, *below, class_=inset)

    def _linked(self, view: PostView, time: Markup, up: str) -> Markup:
        """The time, as a link to the conversation if there is one."""
        if view.post.reply is None and not self._answered(view):
            return time
        if view.reposted is not None:
            return time
        return element("a", time, href=up + _thread_file(self._root(view)))

    def _answered(self, view: PostView) -> int:
        return self._q.totals([view.target])[view.target].replies

    def _root(self, view: PostView) -> Target:
        return view.target if view.post.reply is None else view.post.reply.root

    def _quoted(self, target: Target, by: Target) -> Markup:
        quoted = self._q.post(target)
        if self.rules.refuses("quotes", by.account, [target], by) or target.account in self._blocked:
            quoted = None
        if quoted is None:
            return element("blockquote", "A post that is not shown here.")
        author = element("p", self._name(target.account), class_="by")
        return element(
            "blockquote", author, element("div", quoted.post.warning or quoted.post.text, class_="text", dir="auto")
        )

    def conversation(self, view: PostView) -> None:
        """The page of the conversation, if there is one and it is not written yet."""
        if view.reposted is not None or (view.post.reply is None and not self._answered(view)):
            return
        root = self._root(view)
        name = _thread_file(root)
        if self._sink.has(name):
            return
        with self._sink.file(name) as file:
            title = f"A conversation of {self._name(root.account)}"
            file.write(joined(head(title), element("h1", title)))
            for article in self._articles(root):
                file.write(article + b"\n")
            file.write(joined(element("nav", element("a", "All", href="../index.html")), TAIL))

    def _articles(self, root: Target) -> Iterator[Markup]:
        first = self._q.post(root)
        if first is None or root.account in self._blocked:
            yield element("article", element("p", "The first post is not held here.", class_="by"))
        else:
            yield self.post(first, "../")
        for n, (_, answer) in enumerate(below(self._q, root)):
            if n == ANSWERS:
                yield element("p", f"More answers are held than the {ANSWERS:,} looked at for this page.", class_="by")
                return
            if answer is None or answer.view.target.account in self._blocked:
                continue
            if self.rules.of(answer.view, root) is None:
                yield self.post(answer.view, "../", answer.depth)


def _thread_file(root: Target) -> str:
    return f"thread/{root.account.hex()[:16]}-{root.key.hex()}.html"


def _media(item: Media) -> Markup:
    """What is known of a picture or film: its file may be beside the page or not."""
    about = ", ".join(
        [item.type, f"{item.size:,} bytes", *([f"{item.width}×{item.height}"] if item.width and item.height else [])]
    )
    shown = [element("figcaption", item.description, dir="auto")] if item.description else []
    return element("figure", *shown, element("div", about), element("code", item.blob.hex()))
