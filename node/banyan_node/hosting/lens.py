"""How one account sees the others: without those that it blocks or mutes, and through its filters."""

from __future__ import annotations

import re
import unicodedata

from banyan_crdt.ids import AccountId
from banyan_node.hosting.vault import Private
from banyan_schema.privately import Filter, Mute
from banyan_schema.social import Post
from banyan_storage.queries import Queries


class Lens:
    """reader: None sees everything."""

    def __init__(self, q: Queries, private: Private, reader: AccountId | None, now_ms: int) -> None:
        self.reader = reader
        self.hidden: set[AccountId] = set()
        """The accounts of which nothing is seen."""
        self._hiding: list[re.Pattern[str]] = []
        self._warning: list[tuple[str, re.Pattern[str]]] = []
        if reader is None:
            return
        muted = (AccountId(m.account) for m in private.all(Mute) if _lasts(m.until_ms, now_ms))
        self.hidden.update(q.blocks(reader), q.mutes(reader), muted)
        for one in private.all(Filter):
            if _lasts(one.until_ms, now_ms) and one.words.split():
                pattern = _pattern(one.words)
                if one.action == "hide":
                    self._hiding.append(pattern)
                else:
                    self._warning.append((one.words, pattern))

    def sees(self, author: AccountId) -> bool:
        return author not in self.hidden

    def shows(self, author: AccountId, post: Post) -> bool:
        """Whether a post is seen. One's own always is."""
        if author == self.reader:
            return True
        if author in self.hidden:
            return False
        return not self._hiding or not any(p.search(_folded(_text(post))) for p in self._hiding)

    def warns(self, author: AccountId, post: Post) -> str | None:
        """The words of the filter that wants a warning before the post."""
        if not self._warning or author == self.reader:
            return None
        text = _folded(_text(post))
        return next((words for words, pattern in self._warning if pattern.search(text)), None)


def _lasts(until_ms: int | None, now_ms: int) -> bool:
    return until_ms is None or until_ms > now_ms


def _text(post: Post) -> str:
    return " ".join([post.warning or "", post.text, *post.tags])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _pattern(words: str) -> re.Pattern[str]:
    """The words one after another, as whole words; an emoji also in the middle of one."""
    said = _folded(words).split()
    before, after = r"(?<!\w)" if said[0][0].isalnum() else "", r"(?!\w)" if said[-1][-1].isalnum() else ""
    return re.compile(before + r"\s+".join(map(re.escape, said)) + after)
