"""What clients show, in one form, so that one story can be told with each of them.

A driver makes these of what its client returns or prints. None stands for what the client does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.web.door import Door


class Refusal(Exception):
    """The client says that the server refused."""


class Person(NamedTuple):
    """acct: as it is written behind an @. id: of the account; toot has only the names."""

    acct: str
    name: str
    id: str | None = None


class Poll(NamedTuple):
    """votes: of each option. mine: numbers of the options that the reader chose."""

    id: str
    options: tuple[str, ...]
    votes: tuple[int, ...]
    mine: tuple[int, ...]


class Post(NamedTuple):
    """by: the `acct` of who wrote it. answers: the id of another post. boosted_by: an `acct`; the rest is then of the
    post that was boosted, but for the id. media: addresses. described: texts of them."""

    id: str
    text: str
    by: str
    answers: str | None = None
    boosted_by: str | None = None
    media: tuple[str, ...] = ()
    described: tuple[str | None, ...] | None = None
    poll: Poll | None = None
    warning: str | None = None
    url: str = ""


class Told(NamedTuple):
    """Of a stream. about: the id of a post, or the type of a notification."""

    event: str
    about: str


class Listening(Protocol):
    async def next(self) -> Told:
        """Waits for it."""


class Client(Protocol):
    """A person with a client. Every method waits for the client's answer, and raises Refusal if it says no."""

    LACKS: frozenset[str]
    """Methods for which the client has no word."""

    async def log_in(self, door: Door, name: str, password: str) -> None:
        """Registers the client as an app, and logs in through the login page."""

    async def me(self) -> Person: ...

    async def post(
        self,
        text: str,
        *,
        picture: tuple[Path, str] | None = None,
        poll: Sequence[str] = (),
        answers: str | None = None,
        warning: str | None = None,
    ) -> Post:
        """picture: a file and what it shows."""

    async def show(self, id_: str) -> Post: ...
    async def edit(self, id_: str, text: str) -> Post: ...
    async def history(self, id_: str) -> list[str]:
        """The texts that it had."""

    async def delete(self, id_: str) -> None: ...
    async def thread(self, id_: str) -> list[str]:
        """Ids: what it answers, itself, what answers it."""

    async def mark(self, what: str, id_: str) -> None:
        """what: favourite, boost, bookmark, pin, and the same with `un` before it."""

    async def favourited_by(self, id_: str) -> list[str]: ...
    async def quote(self, id_: str, text: str) -> Post: ...
    async def quoted_by(self, id_: str) -> list[str]:
        """The ids of the posts that quote it."""

    async def boosted_by(self, id_: str) -> list[str]: ...
    async def vote(self, poll: str, option: int) -> Poll: ...
    async def find(self, name: str) -> Person: ...
    async def tie(self, what: str, who: Person) -> None:
        """what: follow, mute, block, and the same with `un` before it."""

    async def people(self, what: str) -> list[str]:
        """The `acct` of followers, following, muted or blocked ones."""

    async def timeline(self, what: str, of: str = "") -> list[Post]:
        """what: home, public, tag, list, account, favourites, bookmarks. of: a tag, the title of a list, an acct."""

    async def every(self, what: str, of: str = "") -> list[str]:
        """The ids of a timeline, or of notifications, page by page in the client's own way; two a page."""

    async def make_list(self, title: str, who: Person) -> None: ...
    async def lists(self) -> list[str]: ...
    async def drop_list(self, title: str) -> None: ...
    async def filter(self, word: str) -> str:
        """Posts with the word are hidden. Returns the id of the filter."""

    async def filters(self) -> list[str]: ...
    async def unfilter(self, id_: str) -> None: ...
    async def search(self, words: str) -> tuple[list[str], list[str], list[str]]:
        """(acct, tags, ids of posts)."""

    async def notices(self) -> list[tuple[str, str]]:
        """(type, the acct of who did it), the newest first."""

    def listen(self, over: str, stream: str) -> AbstractAsyncContextManager[Listening]:
        """over: sse or websocket. stream: user, public, or #tag."""

    async def schedule(self, text: str, at: datetime) -> None: ...
    async def scheduled(self) -> list[str]: ...
    async def unschedule(self, text: str) -> None: ...
    async def revoke(self) -> None:
        """The client's token ends."""

    async def close(self) -> None: ...


def plain(html: str) -> str:
    """The text of a post's HTML, as a reader sees it."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(html.replace("<br />", "\n").replace("</p><p>", "\n\n"), "html.parser").get_text()


def same(found: Any, wanted: Any) -> None:
    """A refusal of a test that says both."""
    assert found == wanted, f"{found!r} is not {wanted!r}"
