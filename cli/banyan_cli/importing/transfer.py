"""Moves what a reader finds into one account: it surveys all once, then sends posts, and then what refers to them.

The node knows the key of each item, so every batch may be sent again: a move that was interrupted goes on when it is
run again. The survey finds what a post alone cannot tell: which items are in the archive, and which of them opened a
conversation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from banyan_cli.importing import pictures
from banyan_cli.importing.identities import IdentityMap, Report
from banyan_cli.importing.model import ArchiveContents, Item, Omission, ProfileLine, ProfilePicture, Tie
from banyan_cli.importing.pictures import AttachmentFiles, Pictures
from banyan_cli.importing.plan import chunks

if TYPE_CHECKING:
    from banyan_cli.command_session import CallTarget

POSTS_PER_CALL, BYTES_PER_CALL, TIES_PER_CALL = 1_000, 2 << 20, 500
MEDIA_PER_CALL = 32
"""Pictures and films that are put before the posts that show them are written: so many are put again after a crash."""
MOST_BYTES = 2 << 20
"""Bytes of UTF-8 of one text that are sent: the node says which of them are too long. Longer ones are left out here."""
MOST_WORDS, MOST_TAGS, MOST_FIELDS = 4_000, 64, 64
"""Characters of a warning, a tag, a title; tags of a post; fields of a profile: more than the node keeps."""
TWICE, LONG, WORDLESS = (
    "items that come twice",
    "texts that are too long",
    "posts of pictures alone, none of which comes",
)
NOBODY = "people who have no account here that is known"
NOT_HERE = "posts of others that are not here"
APART = "people who block you here, or whom you block"
WORDS = {
    "follow": "follows",
    "block": "blocks",
    "mute": "mutes",
    "member": "people on lists",
    "bookmark": "bookmarks",
    "react": "reactions",
    "repost": "reposts",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """ids: of all items. parents, roots: the item that each answers, and that which opened its conversation, where both
    are in the archive, without circles. items, ties, left, media: how many there are. paths: of all media."""

    ids: frozenset[str]
    parents: Mapping[str, str]
    roots: Mapping[str, str]
    items: int
    ties: int
    left: int
    media: int
    paths: frozenset[str]


@dataclass(slots=True)
class MoveTotals:
    """What became of all. posts: came, here, deleted, refused. ties: by kind, then state. left: why -> how many.
    parts: posts beyond the first of a text. undated: posts whose date could not be kept. pictures: came, added (to
    posts that were here), here, gone, left_out; portraits: the same of the profile; left_pictures: why -> how many of
    both were left out."""

    posts: Counter[str] = field(default_factory=Counter)
    ties: dict[str, Counter[str]] = field(default_factory=dict)
    fields: int = 0
    left: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    undated: int = 0
    pictures: Counter[str] = field(default_factory=Counter)
    portraits: Counter[str] = field(default_factory=Counter)
    left_pictures: Counter[str] = field(default_factory=Counter)
    circles: int = 0
    entries: int = 0


def survey(reading: ArchiveContents) -> Contents:
    """Reads all once."""
    answers, items, ties, left, media, paths = dict[str, str | None](), 0, 0, 0, 0, set[str]()
    for found in reading.read():
        if isinstance(found, Item):
            items += 1
            media += len(found.media)
            paths.update(one.path for one in found.media)
            answers.setdefault(found.id, found.parent)
        if isinstance(found, ProfilePicture):
            media += 1
            paths.add(found.item.path)
        ties += isinstance(found, Tie)
        left += isinstance(found, Omission)
    parents = {one: above for one, above in answers.items() if above is not None and above in answers}
    roots = _rooted(parents)
    return Contents(frozenset(answers), parents, roots, items, ties, left, media, frozenset(paths))


def _rooted(parents: dict[str, str]) -> dict[str, str]:
    """The root of each item that answers. Removes one answer of each circle, so that there is one."""
    roots = dict[str, str]()
    for start in list(parents):
        way, at = dict[str, None](), start
        while at in parents and at not in roots:
            if at in way:
                del parents[at]
                break
            way[at] = None
            at = parents[at]
        top = roots.get(at, at)
        roots.update((one, top) for one in way if one != top)
    return roots


class _Ready(NamedTuple):
    """A post that can be sent: the row of `move.posts`, how many items of media it has, and why these come."""

    row: dict[str, Any]
    media: int
    state: str


class Move:
    """One run. by: the account that everything goes into; None: the node's own. uris: told the id and the address of
    each item that is here now. attached, folder: the archive's pictures, and where their copies go; None: they are left
    out."""

    def __init__(
        self,
        backend: CallTarget,
        reading: ArchiveContents,
        found: Contents,
        people: IdentityMap,
        report: Report,
        by: str | None = None,
        dry: bool = False,
        uris: Callable[[str, str], None] = lambda item, uri: None,
        attached: AttachmentFiles | None = None,
        folder: Path | None = None,
    ) -> None:
        self._backend, self._reading, self._survey, self._people = backend, reading, found, people
        self._report, self._uris, self._dry = report, uris, dry
        self._who = {} if by is None else {"as": by}
        self.totals = MoveTotals()
        self._seen = set[str]()
        self.pictures = self._portraits = None
        if attached is not None and folder is not None:
            self.pictures = Pictures(backend, attached, folder, report, dry)
            self.totals.pictures, self.totals.left_pictures = self.pictures.totals, self.pictures.left
            self._portraits = Pictures(backend, attached, folder, report, dry, self.pictures.left)
            self.totals.portraits = self._portraits.totals

    def run(self, advance: Callable[[int], None]) -> MoveTotals:
        """advance: told how many items and ties are done. Raises what the node refuses; `totals` has what was done."""
        self._check_people()
        ties, fields, some, size = list[Tie](), dict[str, str](), list[tuple[Item, dict[str, Any]]](), 0
        faces = dict[str, ProfilePicture]()
        for found in self._reading.read():
            if isinstance(found, Item):
                row = self._row(found)
                if row is None:
                    advance(1)
                    continue
                more = len(row["text"].encode()) + len(row.get("warning", "")) + 300
                if some and (len(some) == POSTS_PER_CALL or size + more > BYTES_PER_CALL):
                    self._bring(some, advance)
                    some, size = [], 0
                some.append((found, row))
                size += more
            elif isinstance(found, Tie):
                ties.append(found)
            elif isinstance(found, ProfileLine):
                if found.name and found.value and len(fields) < MOST_FIELDS:
                    fields.setdefault(found.name[:MOST_WORDS], found.value[:MOST_WORDS])
            elif isinstance(found, ProfilePicture):
                faces.setdefault(found.name, found)
            else:
                self._leave(found)
        self._bring(some, advance)
        if fields or faces:
            answer = self._backend.call("move.profile", fields=fields, dry=self._dry, **self._who)
            self.totals.fields = len(answer["came"])
            self.totals.entries += answer["entries"]
            self._bring_faces(faces, answer["without"], advance)
        for several in chunks(self._known(ties, advance), TIES_PER_CALL):
            self._send_ties(several, advance)
        return self.totals

    def _check_people(self) -> None:
        """An account that is none is said before anything is written."""
        for some in chunks(self._people.accounts(), TIES_PER_CALL):
            ties = [{"kind": "follow", "account": account} for account in some]
            self._backend.call("move.ties", service=self._reading.service, ties=ties, dry=True, **self._who)

    def _bring_faces(
        self, faces: dict[str, ProfilePicture], without: list[str], advance: Callable[[int], None]
    ) -> None:
        if self._portraits is None:
            self.totals.portraits["left_out"] += len(faces)
            return
        self.totals.entries += pictures.bring_portraits(
            self._backend, self._portraits, faces, without, self._who, self._dry, advance
        )

    def _leave(self, left: Omission) -> None:
        self.totals.left[left.why] += 1
        self._report.add(left.why, left.name, left.place)

    # -- posts

    def _row(self, item: Item) -> dict[str, Any] | None:
        """The row of an item, or None if it does not come."""
        if item.id in self._seen:
            self._leave(Omission(TWICE, item.place, item.id))
            return None
        self._seen.add(item.id)
        text = said(item, item.parent in self._survey.ids)
        if not text and not (item.media and self.pictures):
            self._leave(Omission(WORDLESS if item.media else "posts without words", item.place, item.id))
            return None
        if len(text.encode()) > MOST_BYTES:
            self._leave(Omission(LONG, item.place, item.id))
            return None
        if not self.pictures:
            self.totals.pictures["left_out"] += len(item.media)
        self.totals.circles += item.parent in self._survey.ids and item.id not in self._survey.parents
        row = {
            "id": item.id,
            "text": text,
            "time_ms": item.time_ms,
            "parent": self._survey.parents.get(item.id),
            "root": self._survey.roots.get(item.id),
            "lang": item.lang and item.lang[:MOST_WORDS],
            "warning": item.warning and item.warning[:MOST_WORDS],
            "audience": item.audience,
            "tags": None if item.tags is None else [tag[:MOST_WORDS] for tag in item.tags[:MOST_TAGS]],
        }
        return {name: value for name, value in row.items() if value is not None}

    def _bring(self, some: list[tuple[Item, dict[str, Any]]], advance: Callable[[int], None]) -> None:
        """Puts the pictures of these items, and sends their posts. If something stops it, those that are ready are sent
        first."""
        ready, pictures = list[_Ready](), 0
        try:
            items, states = [item for item, _ in some], dict[str, str]()
            if self.pictures is not None:
                states = self.pictures.states(self._reading.service, items, self._who)
                self.pictures.expect(items, states)
            for item, row in some:
                if pictures >= MEDIA_PER_CALL:
                    sent, ready, pictures = ready, [], 0
                    self._send_posts(sent, advance)
                one = self._ready(item, row, states.get(item.id, ""), advance)
                if one is None:
                    advance(1)
                else:
                    ready.append(one)
                    pictures += one.media
        except Exception:
            self._send_posts(ready, advance)
            raise
        self._send_posts(ready, advance)

    def _ready(self, item: Item, row: dict[str, Any], state: str, advance: Callable[[int], None]) -> _Ready | None:
        media = self.pictures.of(item, state, advance) if self.pictures and item.media else []
        if media:
            text = said(item, item.parent in self._survey.ids, shown=True)
            row = {**row, "text": text, "media": media} if not self._dry else {**row, "text": text or "…"}
        elif not row["text"] and state == "new":
            self._leave(Omission(WORDLESS, item.place, item.id))
            return None
        return _Ready(row, len(media), state)

    def _send_posts(self, some: list[_Ready], advance: Callable[[int], None]) -> None:
        if not some:
            return
        service, rows = self._reading.service, [one.row for one in some]
        answer = self._backend.call("move.posts", service=service, posts=rows, dry=self._dry, **self._who)
        self.totals.entries += answer["entries"]
        for one, done in zip(some, answer["posts"], strict=True):
            state = done["state"]
            self.totals.posts["here" if state == "added" else state] += 1
            if state == "refused":
                self._leave(Omission(f"posts refused: {done['why']}", "", done["id"]))
            elif state == "came":
                self.totals.parts += done["parts"] - 1
                self.totals.undated += not done["dated"]
            if one.media:
                added = state == "added" or (self._dry and one.state == "bare")
                kept = state if state in ("came", "here") else "left_out"
                self.totals.pictures["added" if added else kept] += one.media
            if state in ("came", "here", "added"):
                self._uris(one.row["id"], done["uri"])
        advance(len(some))

    # -- ties

    def _known(self, ties: list[Tie], advance: Callable[[int], None]) -> Iterator[tuple[Tie, dict[str, Any]]]:
        """Those whose other end has an account here, as rows."""
        for tie in ties:
            own = tie.item is not None and tie.item in self._survey.ids
            account = None if own else self._people.here(tie.who)
            if not own and account is None:
                why = NOBODY if tie.item is None else NOT_HERE
                self._tie(tie, "nobody", why)
                advance(1)
                continue
            row = {
                "kind": tie.kind,
                "account": account,
                "item": tie.item,
                "title": tie.title and tie.title[:MOST_WORDS],
                "emoji": tie.emoji,
            }
            yield tie, {name: value for name, value in row.items() if value is not None}

    def _send_ties(self, some: list[tuple[Tie, dict[str, Any]]], advance: Callable[[int], None]) -> None:
        rows, service = [row for _, row in some], self._reading.service
        answer = self._backend.call("move.ties", service=service, ties=rows, dry=self._dry, **self._who)
        self.totals.entries += answer["entries"]
        for (tie, row), state in zip(some, answer["states"], strict=True):
            if state == "missing" and self._dry and "account" not in row:
                state = "came"  # it will be here by then
            self._tie(tie, state, {"missing": NOT_HERE, "blocked": APART}.get(state))
        advance(len(some))

    def _tie(self, tie: Tie, state: str, why: str | None) -> None:
        self.totals.ties.setdefault(tie.kind, Counter())[state] += 1
        if why is not None:
            name = tie.item or " ".join(tie.who)
            self._report.add(f"{WORDS[tie.kind]}: {why}", f"{name} ({tie.title})" if tie.title else name, tie.place)


def said(item: Item, answered_here: bool, shown: bool = False) -> str:
    """The text of a post: what was said, or else of its pictures, or else where it is; and what it answers, if that is
    not in the archive. shown: its pictures come, so they need no words but their caption."""
    text = item.text.strip() or (item.caption if shown else "")
    if not shown and item.media and not text:
        told = "\n\n".join(m.description for m in item.media if m.description.strip()).strip()
        text = told or item.link or ""
    if (text or shown) and item.answers and not answered_here:
        text = f"{text}\n\n↪ {item.answers}".strip()
    return text
