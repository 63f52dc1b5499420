"""A post: both readers read what was written, and no bytes of a stranger can break a reader."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, CellKey, EntryId, Ref
from banyan_crdt.ops import Add, Put, Tomb
from banyan_crdt.parts import make_part
from banyan_schema import layout as layout_module
from banyan_schema.collection import Collection, SeedIn
from banyan_schema.fields import text
from banyan_schema.layout import Layout
from banyan_schema.media import Media
from banyan_schema.registry import SOCIAL
from banyan_schema.social import (
    MAX_TEXT,
    POST,
    PROFILE,
    Post,
    ReplyTo,
    Target,
    delete_post,
    encode_post,
    post_key,
    write_post,
)
from banyan_schema.social.post import COLLECTION, LAYOUT, OPEN, WHO, InteractionPolicy, Poll, quick_seeds
from tests.needs import few
from tests.schema.laws import accounts, keeps_the_laws, mangled, read_alike, targets, texts

MANY = range(few(100_000, 10))
THERE = Target(AccountId(b"a" * 32), CellKey(b"k" * 16))
PUT = Put(POST, THERE.key, (), None)
ADD = Add(POST, THERE.key, THERE.key, None)
TIMES = [None, 0, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, 1_700_000_000_000, (1 << 48) - 1, 1 << 48]

long_texts = st.builds(lambda some, times: some * times, texts, st.sampled_from([0, 1, 2, 8, 30, 400]))
numbers = st.sampled_from([0, 23, 24, 255, 256, 1 << 40, (1 << 64) - 1])
media = st.builds(
    Media,
    st.binary(min_size=32, max_size=32),
    numbers,
    st.sampled_from(["image/jpeg", "text/vtt"]),
    st.none() | numbers,
    st.none() | numbers,
    st.none() | numbers,
    st.none() | texts,
    st.none() | texts,
    st.none() | st.binary(min_size=32, max_size=32),
)
polls = st.builds(
    Poll, st.lists(texts, min_size=2, max_size=20).map(tuple), st.sampled_from(["one", "several"]), numbers
)


def some(one: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.just(()) | st.lists(one, max_size=3).map(tuple) | st.lists(one, min_size=20, max_size=most).map(tuple)


posts = st.builds(
    Post,
    texts | long_texts,
    st.none() | st.builds(ReplyTo, targets, targets),
    st.none() | targets,
    st.none() | st.sampled_from(["", "vi", "x" * 23, "x" * 24, "x" * 35]),
    st.sampled_from(TIMES) | st.integers(0, 2**64 - 1) | st.integers(2**32, 2**48),
)
fuller = st.builds(
    replace,
    posts,
    warning=st.none() | texts,
    audience=st.sampled_from(["public", "unlisted"]),
    tags=some(texts, 32),
    mentions=st.lists(accounts, max_size=10).map(tuple)
    | st.lists(accounts, min_size=10, max_size=10, unique=True).map(tuple),
    media=st.lists(media, max_size=2).map(tuple),
    poll=st.none() | polls,
    group=st.none() | targets,
    urgency=st.sampled_from(["normal", "urgent"]),
    policy=st.builds(InteractionPolicy, *[st.sampled_from(WHO)] * 3),
)


def test_a_post_keeps_the_laws() -> None:
    keeps_the_laws(COLLECTION, posts | fuller, lambda post: write_post(THERE.key, post))


def some_post(rng: random.Random) -> Post:
    """Of every width of every field; most of the usual shape, some with fields of later versions."""
    letters = rng.choice(("x", "ơ", "🌳", "e\u0301"))
    size = rng.choice((0, 5, 22, 23, 24, 25, 60, 190, 239, 240, 241, 255, 256, 257, 3_000))
    reply = ReplyTo(THERE, THERE) if rng.random() < 0.2 else None
    quote = THERE if rng.random() < 0.2 else None
    lang = rng.choice((None, None, None, "vi", "x" * 24))
    post = Post((letters * size)[:size], reply, quote, lang, rng.choice(TIMES))
    if rng.random() < 0.8:
        return post
    return replace(
        post,
        warning=rng.choice((None, "spoilers")),
        audience=rng.choice(("public", "unlisted")),
        tags=("hà nội", "x" * 24)[: rng.randrange(3)],
        mentions=(THERE.account,) * rng.randrange(2),
        media=(Media(b"b" * 32, 300, "image/png", 40, 30, None, "a tree"),) * rng.randrange(2),
        poll=rng.choice((None, Poll(("phở", "bún"), "one", 1 << 41))),
        group=rng.choice((None, THERE)),
        urgency=rng.choice(("normal", "urgent")),
        policy=InteractionPolicy(*rng.choices(WHO, k=3)) if rng.random() < 0.3 else OPEN,
    )


def later_fields(values: list[Any]) -> bool:
    return any(value is not None for value in values[5:])


def test_mangled_posts_are_read_alike_by_position_and_strictly() -> None:
    rng, whole = random.Random("posts"), 0
    pool = [encode_post(some_post(rng)) for _ in range(400)]
    for _ in MANY:
        raw = mangled(rng, rng.choice(pool))
        quick, strict = LAYOUT.by_position(raw), LAYOUT.strictly(raw)
        assert quick == strict or quick is None, raw.hex()
        # what the reader by position gives up on is nothing, or has fields that this version does not know
        assert quick is not None or strict is None or later_fields(strict), raw.hex()
        whole += strict is not None
    assert 0.05 < whole / len(MANY) < 0.95


def at_once(layout: Layout[Any]) -> SeedIn:
    """The fast way only; None if it would use the slow one."""
    return quick_seeds(layout, lambda time, part: None)


def slow_seed(time: bytes, content: bytes) -> bytes | None:
    """A second definition of the seed, with the strict reader only."""
    values = LAYOUT.strictly(content)
    if values is None:
        return None
    _, reply, quote, _, created, _, _, _, mentions, _, poll, group, urgency, policy = values[:14]
    at = time if created is None or created >= 1 << 48 else min(time, (created << 16).to_bytes(8, "big"))
    said = b"" if reply is None else b"r" + reply[1][0] + reply[1][1]
    if reply is not None and reply[0] != reply[1]:
        said += b"w" + sha256(reply[0][0] + reply[0][1]).digest()[:8]
    said += b"" if quote is None else b"q" + quote[0] + quote[1]
    said += b"".join(b"m" + account for account in dict.fromkeys(mentions or ()))
    said += b"" if group is None else b"g" + sha256(b"banyan/1/group\0" + group.raw).digest()[:8]
    if policy in (None, OPEN):
        said += b"u" if urgency == "urgent" else b""
    else:
        answers, quotes, reposts = map(WHO.index, policy)
        said += bytes((128 + 64 * (urgency == "urgent") + answers + 4 * quotes + 16 * reposts,))
    return at + said + (b"" if poll is None or poll.closes_ms >> 48 else b"p" + poll.closes_ms.to_bytes(6, "big"))


def test_mangled_posts_are_seeded_as_the_strict_reader_says() -> None:
    rng, seeded, quickly = random.Random("seeds"), 0, 0
    pool = [encode_post(some_post(rng)) for _ in range(200)]
    pool += [encode_post(Post("x" * rng.randrange(20, 245), created_ms=rng.choice(TIMES[-4:]))) for _ in range(200)]
    quick = at_once(LAYOUT)
    times = bytes(8), (1_700_000_000_000 << 16).to_bytes(8, "big"), b"\xff" * 8
    for k in MANY:
        content = mangled(rng, rng.choice(pool)) if k & 1 else rng.choice(pool)
        if not content:
            continue
        _, part = make_part(b"s" * 16, content)
        time = rng.choice(times)
        told = slow_seed(time, content)
        assert COLLECTION.seed_in(time, part) == COLLECTION.seed_of(time, content) == told, content.hex()
        quickest = quick(time, part)
        assert quickest in (None, told), content.hex()
        seeded, quickly = seeded + (told is not None), quickly + (quickest is not None)
    assert 0.3 < seeded / len(MANY) < 0.95
    assert quickly / len(MANY) > 0.1


def test_the_usual_post_is_seeded_at_once() -> None:
    quick = at_once(LAYOUT)
    for size in (24, 190, 240):
        for letters in ("x", "ơ"):
            said = Post(letters * (size // len(letters.encode())), created_ms=1_700_000_000_000)
            _, part = make_part(b"s" * 16, encode_post(said))
            assert quick(b"\xff" * 8, part) == (1_700_000_000_000 << 16).to_bytes(8, "big")


# --- a field more ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Warned:
    """A post of the next version: it may carry another warning."""

    post: Post
    warning: str | None


def _split(said: Warned) -> tuple[Any, ...]:
    return *LAYOUT.split(said.post), said.warning


NEXT = LAYOUT.with_field(lambda *v: Warned(LAYOUT.make(*v[:-1]), v[-1]), _split, text("a warning", 100))
NEXT_COLLECTION = Collection(
    "post", "register", NEXT, seed=COLLECTION.seed, kinds=COLLECTION.kinds, facts=COLLECTION.facts, quick=quick_seeds
)


class Slow(Exception):
    """Raised when the slow way is used."""


@pytest.fixture
def no_slow_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Slow

    monkeypatch.setattr(layout_module, "decode", refuse)


@pytest.mark.usefixtures("no_slow_path")
@pytest.mark.parametrize("warning", [None, "", "spoilers", "x" * 100])
def test_one_more_optional_field_drops_no_post_to_the_slow_path(warning: str | None) -> None:
    rng = random.Random("warned")
    time = b"\xff" * 8
    for post in [some_post(rng) for _ in range(300)]:
        raw = NEXT.encode(Warned(post, warning))
        back = NEXT.decode(raw)
        assert back is not None
        assert NEXT.encode(back) == raw
        assert back.warning == warning
        _, part = make_part(b"s" * 16, raw)
        assert NEXT_COLLECTION.seed_in(time, part) == COLLECTION.seed_of(time, encode_post(post))
    with pytest.raises(Slow):
        NEXT.decode(b"\x81\x00")


def test_a_post_without_the_new_field_keeps_its_bytes_and_its_quickest_path() -> None:
    usual = Post("x" * 190, created_ms=1_700_000_000_000)
    raw = NEXT.encode(Warned(usual, None))
    assert raw == encode_post(usual)
    assert NEXT_COLLECTION.version == COLLECTION.version + 1
    _, part = make_part(b"s" * 16, raw)
    assert at_once(NEXT)(b"\xff" * 8, part) == (1_700_000_000_000 << 16).to_bytes(8, "big")


@given(posts, st.none() | texts)
def test_each_version_reads_what_the_other_wrote(post: Post, warning: str | None) -> None:
    raw = NEXT.encode(Warned(post, warning))
    assert LAYOUT.decode(raw) == LAYOUT.decode(encode_post(post))  # without what it does not know
    back = NEXT.decode(encode_post(post))
    assert back is not None
    assert back.warning is None
    assert back.post == LAYOUT.decode(encode_post(post))


def test_mangled_posts_of_the_next_version_are_read_alike() -> None:
    rng = random.Random("next")
    pool = [NEXT.encode(Warned(some_post(rng), rng.choice((None, "", "spoilers", "x" * 100)))) for _ in range(400)]
    for _ in MANY:
        raw = mangled(rng, rng.choice(pool))
        quick = NEXT.by_position(raw)
        if quick is not None:
            assert quick == NEXT.strictly(raw), raw.hex()


# --- what is a post --------------------------------------------------------------------------------------------------


@given(st.binary(max_size=30).map(lambda tail: b"\x85" + tail))
def test_bytes_that_begin_as_a_post_are_judged_alike(content: bytes) -> None:
    read_alike(COLLECTION, content)


def test_lengths_and_times_that_are_not_in_their_shortest_form_are_no_post() -> None:
    nulls = b"\xf6\xf6\xf6"
    long_texts = [b"\x58%c" % size + b"x" * size for size in range(24)]
    long_texts += [b"\x59\0%c" % size + b"x" * size for size in (0, 24, 255)]
    long_times = [b"\x18\x17", b"\x19\x00\xff", b"\x1a\0\0\xff\xff", b"\x1b\0\0\0\0\xff\xff\xff\xff"]
    for content in [b"\x85" + said + nulls + b"\xf6" for said in long_texts] + [
        b"\x85\x41x" + nulls + time for time in long_times
    ]:
        read_alike(COLLECTION, content)
        assert LAYOUT.decode(content) is None, content.hex()


def test_texts_that_look_the_same_are_written_the_same() -> None:
    composed, decomposed = Post("Vi\u1ec7t Nam"), Post("Vie\u0323\u0302t Nam")
    assert encode_post(composed) == encode_post(decomposed)


@pytest.mark.parametrize("said", ["Vie\u0323\u0302t Nam", "a\U0001e08f\u0323", "\u212b"])
def test_a_reader_takes_strings_as_they_come_normal_or_not(said: str) -> None:
    """The second is in normal form by Unicode 14 and is not by Unicode 15: a reader that looked would hide the post at
    one node and show it at the next."""
    raw = encode([said.encode(), None, None, None, None])
    assert LAYOUT.decode(raw) == Post(said)
    assert LAYOUT.by_position(raw) == LAYOUT.strictly(raw) == [said, *[None] * (len(LAYOUT.fields) - 1)]


def test_an_edit_keeps_the_key_and_names_what_it_replaces() -> None:
    old = Ref(EntryId(b"e" * 32), 0)
    assert write_post(THERE.key, Post("better"), [old]).op == Put(POST, THERE.key, (old,), None)
    assert delete_post(THERE.key).op == Tomb(POST, THERE.key)


@pytest.mark.parametrize(
    "value",
    [
        [b"\xff", None, None, None, None],
        [b"hi", None, None, None, b"yesterday"],
        [b"hi", [[b"a" * 32, b"k" * 16]], None, None, None],
        [b"hi", None, [b"a" * 31, b"k" * 16], None, None],
        [b"hi", None, None, b"\xff", None],
        [b"hi", None, None, b"x" * 36, None],
        [b"hi", None, None, None],
        [None, None, None, None, None],
        [b"x" * (MAX_TEXT + 1), None, None, None, None],
        b"hi",
    ],
)
def test_what_is_not_a_post_is_no_content(value: object) -> None:
    assert LAYOUT.decode(encode(value)) is None
    assert LAYOUT.by_position(encode(value)) is None


def test_the_right_content_under_the_wrong_operation_is_no_content() -> None:
    raw = encode_post(Post("hi"))
    assert SOCIAL.decode(POST, PUT, raw) == Post("hi")
    assert SOCIAL.decode(POST, ADD, raw) is None
    assert SOCIAL.decode(POST, Tomb(POST, THERE.key), raw) is None
    assert SOCIAL.decode(PROFILE, PUT, raw) is None


def test_the_writer_refuses_what_no_reader_would_take() -> None:
    with pytest.raises(ValueError, match="a post has 40000 bytes; 32768 is the most"):
        write_post(THERE.key, Post("x" * 40_000))
    with pytest.raises(ValueError, match="surrogates"):
        write_post(THERE.key, Post("\ud800"))
    with pytest.raises(ValueError, match="created_ms, in milliseconds since 1970, is -1"):
        write_post(THERE.key, Post("x", created_ms=-1))


def test_keys_of_posts_rise_with_time() -> None:
    assert post_key(b"s", b"n" * 16, 1 << 40)[:6] == (1 << 40).to_bytes(6, "big")
    assert post_key(b"s", b"n" * 16, 5) < post_key(b"s", b"m" * 16, 6)
