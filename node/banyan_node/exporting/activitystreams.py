"""An account as ActivityStreams 2.0, in the shape of a Mastodon archive, for programs that read those.

| file | has |
|---|---|
| actor.json | a Person: name, summary, icon, image, the other fields of the profile |
| outbox.json | an OrderedCollection, newest first: Create of a Note, Announce of a repost |
| likes.json | an OrderedCollection of Likes; `content` is the emoji |
| following.json | an OrderedCollection of the accounts that it follows |
| featured.json | an OrderedCollection of the posts that it pins to its profile |
| media_attachments/... | the files of icon, image and the posts, if they are here |

Ids are those of Banyan: a DID, and behind it the 32 digits of a post. Text becomes HTML in `content`, as Notes have it;
`source` has it as it was written. Media are Documents with their description and the hash of the blob; `url` says where
the file is in the archive, or would be if it were here. What ActivityStreams has no word for is under `banyan:` in the
context.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from banyan_crdt.ids import AccountId, Ref, account_to_text
from banyan_node.api.json_types import uri
from banyan_node.exporting.sinks import Sink, file_of, write_medium
from banyan_node.exporting.site import element
from banyan_reading.answers import PostView
from banyan_reading.interaction_rules import InteractionRules
from banyan_reading.profiles import pinned
from banyan_reading.queries import Queries
from banyan_schema.dates import iso
from banyan_schema.media import Media
from banyan_schema.social import Target
from banyan_schema.social.response import REACTION_COLLECTION as REACTIONS
from banyan_storage.blobs import BlobStore

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
CONTEXT: list[Any] = [
    "https://www.w3.org/ns/activitystreams",
    {
        "sensitive": "as:sensitive",
        "Hashtag": "as:Hashtag",
        "quoteUrl": {"@id": "as:quoteUrl", "@type": "@id"},
        "toot": "http://joinmastodon.org/ns#",
        "featured": {"@id": "toot:featured", "@type": "@id"},
        "blurhash": "toot:blurhash",
        "schema": "http://schema.org#",
        "PropertyValue": "schema:PropertyValue",
        "value": "schema:value",
        "banyan": "urn:banyan:ns:",
        "blob": "banyan:blob",
        "size": "banyan:size",
    },
]
FOLLOWS = 1_000
"""Follows that are read at once."""
_OF_A_PERSON = {"name": "name", "bio": "summary"}
"""Fields of a profile that a Person has too."""
_IMAGES = {"avatar": "icon", "banner": "image"}
"""The same of its pictures."""
MEDIA_FOLDER = "media_attachments"


def write_streams(q: Queries, blobs: BlobStore, account: AccountId, sink: Sink) -> int:
    """Writes the files. Returns how many posts and reposts the outbox has."""
    names = set[str]()
    for medium in _media(q, account):
        if (name := file_of(medium)) not in names:
            names.add(name)
            write_medium(blobs, medium, sink, MEDIA_FOLDER)
    with sink.file("actor.json") as file:
        file.write(_json({"@context": CONTEXT, **_actor(q, account)}) + b"\n")
    written = 0
    for name, items in (
        ("following.json", _following(q, account)),
        ("featured.json", (uri(view.target) for view in pinned(q, account))),
        ("likes.json", _likes(q, account)),
        ("outbox.json", _activities(q, account)),
    ):
        written = 0
        with sink.file(name) as file:
            file.write(_json({"@context": CONTEXT, "id": name, "type": "OrderedCollection"})[:-1])
            file.write(b', "orderedItems": [')
            for item in items:
                file.write((b",\n" if written else b"\n") + _json(item))
                written += 1
            file.write(b'\n], "totalItems": %d}\n' % written)
    return written


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _actor(q: Queries, account: AccountId) -> dict[str, Any]:
    found = q.profile(account)
    fields = found.texts
    person = {_OF_A_PERSON[name]: value for name, value in fields.items() if name in _OF_A_PERSON}
    others = [{"type": "PropertyValue", "name": n, "value": v} for n, v in fields.items() if n not in _OF_A_PERSON]
    if "summary" in person:
        person["summary"] = _html(person["summary"])
    return {
        "id": account_to_text(account),
        "type": "Person",
        "preferredUsername": fields.get("name", ""),
        **person,
        **{
            word: {**_document(picture), "type": "Image"}
            for name, word in _IMAGES.items()
            if (picture := found.pictures.get(name)) is not None
        },
        "outbox": "outbox.json",
        "likes": "likes.json",
        "following": "following.json",
        "featured": "featured.json",
        **({"attachment": others} if others else {}),
    }


def _media(q: Queries, account: AccountId) -> Iterator[Media]:
    """Those of the profile and of the account's own posts."""
    yield from q.profile(account).pictures.values()
    for _, view in q.timeline([account], None):
        if view is not None:
            yield from view.post.media


def _following(q: Queries, account: AccountId) -> Iterator[str]:
    after: AccountId | None = None
    while page := q.follows(account, after, FOLLOWS):
        yield from map(account_to_text, page)
        after = page[-1]


def _likes(q: Queries, account: AccountId) -> Iterator[dict[str, Any]]:
    for item in q.items(account, REACTIONS):
        target, emoji = Target(*item.values[:2]), item.values[2]
        yield {
            "type": "Like",
            "actor": account_to_text(account),
            "object": uri(target),
            "content": emoji,
            "published": _when(item.time_ms),
        }


def _activities(q: Queries, account: AccountId) -> Iterator[dict[str, Any]]:
    for view in InteractionRules(q).page(account):
        yield _announce(view, q.ref(view.write)) if view.reposted is not None else _create(view)


def _announce(view: PostView, ref: Ref) -> dict[str, Any]:
    assert view.reposted is not None
    by, post = account_to_text(view.reposted.by), uri(view.target)
    return {
        "id": f"{by}/{ref.entry.hex()}/{ref.op}/announce",
        "type": "Announce",
        "actor": by,
        "published": _when(view.reposted.time_ms),
        "to": [PUBLIC],
        "object": post,
    }


def _create(view: PostView) -> dict[str, Any]:
    note = _note(view)
    return {
        "id": f"{note['id']}/activity",
        "type": "Create",
        "actor": note["attributedTo"],
        "published": note["published"],
        "to": note["to"],
        "cc": note["cc"],
        "object": note,
    }


def _note(view: PostView) -> dict[str, Any]:
    said, author = view.post, account_to_text(view.target.account)
    mentioned = [account_to_text(mention) for mention in said.mentions]
    unlisted = said.audience == "unlisted"
    note: dict[str, Any] = {
        "id": uri(view.target),
        "type": "Note",
        "attributedTo": author,
        "published": _when(view.time_ms),
        "to": [f"{author}/followers"] if unlisted else [PUBLIC],
        "cc": [*([PUBLIC] if unlisted else []), *mentioned],
        "content": _html(said.text),
        "source": {"content": said.text, "mediaType": "text/plain"},
        "summary": said.warning,
        "sensitive": said.warning is not None,
        "inReplyTo": None if said.reply is None else uri(said.reply.parent),
        "tag": [
            *({"type": "Hashtag", "name": f"#{tag}"} for tag in said.tags),
            *({"type": "Mention", "href": mention} for mention in mentioned),
        ],
        "attachment": [_document(item) for item in said.media],
    }
    if said.lang is not None:
        note["contentMap"] = {said.lang: note["content"]}
    if said.reply is not None:
        note["context"] = uri(said.reply.root)
    if said.quote is not None:
        note["quoteUrl"] = uri(said.quote)
    if said.poll is not None:
        kind = "oneOf" if said.poll.choices == "one" else "anyOf"
        options = [{"type": "Note", "name": option} for option in said.poll.options]
        note |= {"type": "Question", kind: options, "endTime": _when(said.poll.closes_ms)}
    return note


def _document(item: Media) -> dict[str, Any]:
    known = {
        "name": item.description,
        "width": item.width,
        "height": item.height,
        "blurhash": item.blurhash,
        "duration": None if item.duration_ms is None else f"PT{item.duration_ms / 1000:.3f}S",
    }
    return {
        "type": "Document",
        "mediaType": item.type,
        "url": f"{MEDIA_FOLDER}/{file_of(item)}",
        "blob": item.blob.hex(),
        "size": item.size,
        **{name: value for name, value in known.items() if value is not None},
    }


def _html(said: str) -> str:
    """Plain text as the HTML of a Note: a paragraph for each, with line breaks."""
    return b"".join(_paragraph(part) for part in said.split("\n\n")).decode()


def _paragraph(said: str) -> bytes:
    lines: Iterable[str] = said.split("\n")
    broken = [part for line in lines for part in (element("br"), line)]
    return element("p", *broken[1:])


def _when(ms: int) -> str:
    return iso(ms)[:19] + "Z"
