"""A post: a register that is written once, and again by each edit.

| op | cell | content |
|---|---|---|
| put | time and nonce | [text, [root, parent], quote, language, created ms, more]; all but the text may be null |

`more`: warning, audience, tags, mentions, media, poll, group, urgency and policy. A root, a parent, a quote and a
group are targets: [account b32, key b16]. A tomb deletes a post for good: no later write of its key shows.

Most posts that a store receives have one shape: a short text, a time, nothing else. `quick_seeds` recognises these by
the positions of their bytes, which it learns from the layout's own output.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Put, Tomb
from banyan_crdt.parts import make_part
from banyan_crdt.shapes import between
from banyan_schema.address import Target, conversation
from banyan_schema.collection import Blobs, Collection, Fact, Facts, OpDraft, SeedIn, cell_key
from banyan_schema.compound import many, pair, record
from banyan_schema.fields import ACCOUNT, TARGET, choice, number, optional, text
from banyan_schema.layout import Layout
from banyan_schema.media import MEDIA, Media, blobs_of
from banyan_schema.notices import Notice, notice, poll_ends, told_by
from banyan_schema.social.group import group_digest

MAX_TEXT = 32_768
MAX_LANG = 35
"""The most bytes of UTF-8 of a text and of a language tag (the longest common form of BCP 47)."""
MAX_WARNING, MAX_TAG, MAX_OPTION = 1_024, 128, 512
"""The most bytes of UTF-8 of a content warning, a tag, and one answer of a poll."""
MAX_TAGS, MAX_MENTIONS, MAX_MEDIA, MAX_OPTIONS = 32, 10, 64, 20
Audience = Literal["public", "unlisted"]
Urgency = Literal["normal", "urgent"]
Who = Literal["everybody", "followers", "mentioned", "nobody"]
"""followers: and whom the post mentions. The author always may."""
WHO: tuple[Who, ...] = get_args(Who)
"""By number, in content and in seeds."""


class InteractionPolicy(NamedTuple):
    """Who may answer a post, quote it and repost it."""

    answers: Who = "everybody"
    quotes: Who = "everybody"
    reposts: Who = "everybody"


OPEN = InteractionPolicy()


class ReplyTo(NamedTuple):
    """`root`: the post that opened the conversation. `parent`: the post that is answered. In a first answer they are
    the same."""

    root: Target
    parent: Target


class Poll(NamedTuple):
    """`choices`: one or several of the options. `closes_ms`: milliseconds since 1970; later votes do not count."""

    options: tuple[str, ...]
    choices: Literal["one", "several"]
    closes_ms: int


@dataclass(frozen=True, slots=True)
class Post:
    """The content of a post. `text`: at most MAX_TEXT bytes of UTF-8. `lang`: a language tag. `created_ms`:
    milliseconds since 1970, claimed by the author; views place the post there, but never after its entry.

    `warning`: shown instead of the rest until the reader asks for it. `audience`: unlisted posts are in no public
    timeline, under no tag and in no search. `tags`: without `#`. `mentions`: the accounts that are to notice it.
    `group`: the group in which it was said. `urgency`: a broadcast of an official channel. `policy`: that of the first
    post holds for a whole conversation."""

    text: str
    reply: ReplyTo | None = None
    quote: Target | None = None
    lang: str | None = None
    created_ms: int | None = None
    warning: str | None = None
    audience: Audience = "public"
    tags: tuple[str, ...] = ()
    mentions: tuple[AccountId, ...] = ()
    media: tuple[Media, ...] = ()
    poll: Poll | None = None
    group: Target | None = None
    urgency: Urgency = "normal"
    policy: InteractionPolicy = OPEN


def _make(
    text: str,
    reply: Any,
    quote: Target | None,
    lang: str | None,
    created_ms: int | None,
    warning: str | None,
    audience: Audience | None,
    tags: tuple[str, ...] | None,
    mentions: tuple[AccountId, ...] | None,
    media: tuple[Media, ...] | None,
    poll: Poll | None,
    group: Target | None,
    urgency: Urgency | None,
    policy: InteractionPolicy | None,
) -> Post:
    return Post(
        text,
        None if reply is None else ReplyTo(*reply),
        quote,
        lang,
        created_ms,
        warning,
        audience or "public",
        tags or (),
        mentions or (),
        media or (),
        poll,
        group,
        urgency or "normal",
        policy or OPEN,
    )


def _split(post: Post) -> tuple[Any, ...]:
    """A value that says nothing is null, so that a post has one form."""
    return (
        post.text,
        post.reply,
        post.quote,
        post.lang,
        post.created_ms,
        post.warning,
        None if post.audience == "public" else post.audience,
        post.tags or None,
        post.mentions or None,
        post.media or None,
        post.poll,
        post.group,
        None if post.urgency == "normal" else post.urgency,
        None if post.policy == OPEN else post.policy,
    )


POLL_OF_POST = record(
    "a poll",
    Poll,
    many("the options of a poll", text("an option of a poll", MAX_OPTION), MAX_OPTIONS, 2),
    choice("the choices of a poll", "one", "several"),
    number("the time at which a poll closes"),
)
LAYOUT = Layout(
    _make,
    _split,
    (
        text("a post", MAX_TEXT),
        optional(pair(TARGET)),
        optional(TARGET),
        optional(text("a language tag", MAX_LANG)),
        optional(number("created_ms, in milliseconds since 1970,")),
    ),
    (
        text("a content warning", MAX_WARNING),
        choice("the audience of a post", "public", "unlisted"),
        many("the tags of a post", text("a tag", MAX_TAG), MAX_TAGS, 1),
        many("the mentions of a post", ACCOUNT, MAX_MENTIONS, 1),
        many("the media of a post", MEDIA, MAX_MEDIA, 1),
        POLL_OF_POST,
        TARGET,
        choice("the urgency of a post", "normal", "urgent"),
        record(
            "the policy of a post",
            InteractionPolicy,
            choice("who may answer a post", *WHO),
            choice("who may quote a post", *WHO),
            choice("who may repost a post", *WHO),
        ),
    ),
)


def policy_number(policy: InteractionPolicy) -> int:
    """As rows have it: below 64."""
    return sum(WHO.index(who) << 2 * at for at, who in enumerate(policy))


def policy_of(number: int) -> InteractionPolicy:
    """The inverse of `policy_number`."""
    return InteractionPolicy(*(WHO[number >> 2 * at & 3] for at in range(3)))


# --- what views get --------------------------------------------------------------------------------------------------


def post_time(entry_time: bytes, created_ms: int | None) -> bytes:
    """The time of a post in a timeline, 8 bytes. It is the time that the author claims, so that an edit does not move
    the post and an imported post keeps its place, but never later than the entry's. `entry_time`: 8 bytes."""
    if created_ms is None or created_ms >> 48:
        return entry_time
    claimed = (created_ms << 16).to_bytes(8, "big")
    return claimed if claimed < entry_time else entry_time


REPLY, WITHIN, QUOTE, MENTION, GROUP, URGENT, ASKS = b"rwqmgup"
"""What a seed says of a post beside its time: the post that it answers or quotes, 48 bytes, the conversation in which
it answers another answer, 8, an account, 32, a group's digest, 8, that it is urgent, or when its poll ends, 6."""
POLICY, POLICY_URGENT = 128, 64
"""From this letter on it is the policy, two bits for each of who may answer, quote and repost, and whether it is
urgent, because a seed of that size has no room for two letters."""
_SIZES = {REPLY: 48, WITHIN: 8, QUOTE: 48, MENTION: 32, GROUP: 8, URGENT: 0, ASKS: 6}

OPENING, ANSWER = b"\0", b"\1"
"""Kinds of posts among those of all accounts by time."""


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The post's time, 8 bytes, and the posts, accounts and group that it names, each behind what it is."""
    at, reply, quote = post_time(time, values[4]), values[1], values[2]
    mentions, poll, group, urgent, policy = values[8], values[10], values[11], values[12] == "urgent", values[13]
    if reply is quote is mentions is poll is group is policy is None and not urgent:
        return at
    found = [at]
    if reply is not None:
        found.append(b"r" + reply[1].raw)
        if reply[0] != reply[1]:
            found.append(b"w" + conversation(reply[0]))
    if quote is not None:
        found.append(b"q" + quote.raw)
    found += [b"m" + account for account in dict.fromkeys(mentions or ())]
    if group is not None:
        found.append(b"g" + group_digest(group.raw))
    if policy is not None and policy != OPEN:
        found.append(bytes((POLICY | POLICY_URGENT * urgent | policy_number(policy),)))
    elif urgent:
        found.append(b"u")
    if poll is not None and not poll.closes_ms >> 48:
        found.append(b"p" + poll.closes_ms.to_bytes(6, "big"))
    return b"".join(found)


def time_in(seed: bytes) -> bytes:
    """The post's time in its seed."""
    return seed[:8]


def parent_in(seed: bytes) -> Target | None:
    """What the post answers, in its seed."""
    return Target.of(seed[9:57]) if seed[8:9] == b"r" else None


def _facts(seed: bytes) -> Facts:
    found = list[Fact]()
    at, parent = 8, b""
    while at < len(seed):
        what, at = seed[at], at + 1
        if what >= POLICY:
            found.append(Fact("policies", bytes((what % POLICY_URGENT,))))
            found += [told_by("urgent")] if what & POLICY_URGENT else []
            continue
        named, at = seed[at : at + _SIZES[what]], at + _SIZES[what]
        if what == GROUP:
            found.append(Fact("group_posts", named + seed[:8]))
            continue
        if what == URGENT:
            found.append(told_by("urgent"))
            continue
        if what == ASKS:
            found.append(poll_ends(int.from_bytes(named, "big")))
            continue
        if what == REPLY:
            parent = named
            found.append(Fact("replies", named + seed[:8]))
        if what == WITHIN:
            found.append(Fact("conversations", named + seed[:8] + parent))
        else:
            found.append(notice(_NOTICES[what], named))
        if what == QUOTE:
            found.append(Fact("quotes", named + seed[:8]))
    found.append(Fact("recent", (ANSWER if parent else OPENING) + seed[:8]))
    return tuple(found)


_NOTICES: dict[int, Notice] = {REPLY: "reply", QUOTE: "quote", MENTION: "mention"}
SHORTEST, LONGEST = 24, 240
"""The bytes of text in a post of the usual shape."""


def quick_seeds(layout: Layout[Any], slowly: SeedIn) -> SeedIn:
    """The same as `slowly`, in a third of the time for a post of the usual shape. This is the hot path of ingest.

    In such a part the salt is followed by the heads of content and text, the text, the fields without a value, the head
    of the time, and the time. Their bytes and positions are learned from the layout's own output.
    """
    salt, created = b"s" * 16, b"c" * 6  # the time is written in 8 bytes

    def usual(size: int) -> tuple[bytes, ...]:
        """What stands before the salt, the text and the time."""
        values = ["x" * size, None, None, None, int.from_bytes(created, "big")]
        values += [None] * (len(layout.fields) - len(values))
        part = make_part(salt, layout.encode(layout.make(*values)))[1]
        return between(part, salt, b"x" * size, created)

    around = {size: usual(size) for size in range(SHORTEST, LONGEST + 1)}
    opens, _, tail, _ = around[SHORTEST]
    begins, width = len(opens) + len(salt), len(around[SHORTEST][1])
    at_heads, at_time = slice(begins, begins + width), slice(-6, None)
    at_text, at_tail, at_high = slice(begins + width, -6 - len(tail)), slice(-6 - len(tail), -6), slice(-6, -4)
    heads = {begins + width + size + len(tail) + 6: heads for size, (_, heads, _, _) in around.items()}

    def seed_in(time: bytes, part: bytes) -> bytes | None:
        # a time whose two high bytes are zero has a shorter form
        if part[at_heads] == heads.get(len(part)) and part[at_tail] == tail and part[at_high] != b"\0\0":
            try:
                part[at_text].decode()
            except UnicodeDecodeError:
                return None
            claimed = part[at_time] + b"\0\0"
            return claimed if claimed < time else time
        return slowly(time, part)

    return seed_in


COLLECTION = Collection(
    "post",
    "register",
    LAYOUT,
    limits={"text": MAX_TEXT, "lang": MAX_LANG},
    seed=_seed,
    seeds=5,
    kinds=frozenset({"recent", "replies", "conversations", "quotes", "policies"})
    | {"notices", "group_posts", "broadcasts", "own_polls"},
    facts=_facts,
    quick=quick_seeds,
    blobs=Blobs("media", blobs_of),
)
POST = COLLECTION.id
COLLECTIONS = (COLLECTION,)


# --- writing ---------------------------------------------------------------------------------------------------------


def post_key(salt: bytes, nonce: bytes, now_ms: int | None = None) -> CellKey:
    """The key of a new post, 16 bytes. `nonce`: 16 random bytes. `now_ms`: the time of its entry, milliseconds since
    1970, which is public anyway.

    With the time in front the keys of an account rise, so stores write their indexes of posts at the end of the
    account's range. Readers must not depend on this: a key may be any 16 bytes.
    """
    key = cell_key(salt, b"post", nonce)
    return key if now_ms is None else CellKey(now_ms.to_bytes(6, "big") + key[:10])


def write_post(key: CellKey, post: Post, replaces: Iterable[Ref] = ()) -> OpDraft:
    """A new post (with a key from `post_key`), or an edit (with the same key; `replaces`: its live writes). Raises
    ValueError past a limit."""
    return OpDraft(Put(POST, key, tuple(replaces), None), encode_post(post))


def tags_in(text: str) -> tuple[str, ...]:
    """The tags that a text names with `#`, as they are typed, each once; a number alone is none. At most MAX_TAGS."""
    found, text = dict[str, str](), unicodedata.normalize("NFC", text)
    for at in _HASH.finditer(text):
        end = at.end()
        while end < len(text) and (
            text[end].isalnum() or text[end] == "_" or unicodedata.category(text[end])[0] == "M"
        ):
            end += 1
        tag = text[at.end() : end]
        if tag and not tag.isdigit() and len(tag.encode()) <= MAX_TAG:
            found.setdefault(tag_fold(tag), tag)
    return tuple(found.values())[:MAX_TAGS]


_HASH = re.compile(r"(?<![\w#&/])#")


def tag_fold(tag: str) -> str:
    """Tags with the same fold are one tag: case does not matter, and marks do."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", tag).casefold())


def encode_post(post: Post) -> bytes:
    """The bytes of the content. Raises ValueError with a sentence past a limit."""
    return LAYOUT.encode(post)


def delete_post(key: CellKey) -> OpDraft:
    """Deletes the post for good: no later write of the key shows."""
    return OpDraft(Tomb(POST, key), None)
