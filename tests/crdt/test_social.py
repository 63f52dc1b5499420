"""The social schema: what is written reads back, and nothing that a stranger writes can break a reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt import social
from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, Ref
from banyan_crdt.ops import Add, Del, Put, Tomb
from banyan_crdt.parts import open_part
from banyan_crdt.social import FOLLOW, POST, PROFILE, REACTION, Post, ReplyTo, Target, decode_content, plain_post

SALT = b"s" * 16
ALICE = AccountId(b"a" * 32)
THERE = Target(ALICE, CellKey(b"k" * 16))

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
targets = st.builds(Target, st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
posts = st.builds(
    Post,
    text,
    st.none() | st.builds(ReplyTo, targets, targets),
    st.none() | targets,
    st.none() | st.just("vi"),
    st.none() | st.integers(0, 2**64 - 1),
)
values = st.recursive(
    st.none() | st.integers(0, 2**64 - 1) | st.binary(max_size=40), lambda inner: st.lists(inner, max_size=5)
)
PUT = Put(POST, THERE.key, (), None)
ADD = Add(REACTION, THERE.key, THERE.key, None)


def reads_back(draft: social.Draft) -> social.Content | None:
    op, raw = social.seal(draft, b"p" * 16)
    assert isinstance(op, Put | Add)
    assert op.part is not None
    assert raw is not None
    return decode_content(op.coll, op, open_part(op.part, raw))


@given(posts)
def test_a_post_reads_back_in_normal_form(post: Post) -> None:
    back = reads_back(social.write_post(THERE.key, post))
    assert isinstance(back, Post)
    assert reads_back(social.write_post(THERE.key, back)) == back
    assert (back.reply, back.quote, back.lang, back.created_ms) == (post.reply, post.quote, post.lang, post.created_ms)


long_posts = st.builds(
    Post,
    st.builds(lambda some, times: some * times, text, st.sampled_from([0, 1, 2, 8, 30, 400])),
    st.none() | st.builds(ReplyTo, targets, targets),
    st.none(),
    st.none() | st.sampled_from(["vi", "x" * 23, "x" * 24]),
    st.none() | st.integers(0, 2**64 - 1) | st.integers(2**32, 2**48),
)


@given(long_posts, st.integers(0, 40), st.integers(-40, 0), st.binary(max_size=2), st.booleans())
def test_a_post_read_by_position_is_what_the_strict_reader_says(
    post: Post, near_start: int, near_end: int, changed: bytes, from_end: bool
) -> None:
    raw = social.encode_post(post)
    at = max(len(raw) + near_end, 0) if from_end else near_start
    for content in (raw, raw[:at] + changed + raw[at + len(changed) :], raw[:at] + changed + raw[at:], raw[:at]):
        created, strict = plain_post(content), decode_content(POST, PUT, content)
        if created is not None:
            assert isinstance(strict, Post)
            assert (strict.reply, strict.quote) == (None, None)
            assert strict.created_ms == (None if created < 0 else created)
    usual = post.reply is None and post.lang in (None, "vi") and (post.created_ms is None or post.created_ms >> 32)
    assert plain_post(raw) is not None or not usual


@given(st.binary(max_size=30).map(lambda tail: b"\x85" + tail))
def test_bytes_that_begin_as_a_post_are_judged_alike_by_position_and_strictly(content: bytes) -> None:
    created, strict = plain_post(content), decode_content(POST, PUT, content)
    assert created is None or (isinstance(strict, Post) and (strict.reply, strict.quote) == (None, None))


def test_what_looks_the_same_is_written_the_same() -> None:
    composed, decomposed = Post("Vi\u1ec7t Nam"), Post("Vie\u0323\u0302t Nam")
    assert social.encode_post(composed) == social.encode_post(decomposed)


def test_every_other_kind_reads_back() -> None:
    assert reads_back(social.set_profile(SALT, "name", "An")) == social.ProfileField("name", "An")
    assert reads_back(social.react(SALT, THERE, "❤")) == social.Reaction(THERE, "❤")
    assert reads_back(social.repost(SALT, THERE)) == social.Repost(THERE)
    for name in social.RELATIONS.values():
        assert reads_back(social.relate(SALT, name, ALICE)) == social.Relate(name, ALICE)


def test_an_edit_keeps_the_key_and_names_what_it_replaces() -> None:
    old = Ref(EntryId(b"e" * 32), 0)
    op = social.write_post(THERE.key, Post("better"), [old]).op
    assert op == Put(POST, THERE.key, (old,), None)
    assert social.delete_post(THERE.key).op == Tomb(POST, THERE.key)
    assert social.undo(FOLLOW, [old]).op == Del(FOLLOW, (old,))


@given(values, st.sampled_from([*social.RELATIONS, POST, PROFILE, REACTION, social.REPOST]))
def test_hostile_values_never_raise(value: object, collection: Coll) -> None:
    for op in (PUT, ADD, Tomb(POST, THERE.key)):
        decode_content(collection, op, encode(value))


@given(st.binary(max_size=200))
def test_hostile_bytes_never_raise(raw: bytes) -> None:
    for collection in (POST, PROFILE, REACTION, FOLLOW):
        for op in (PUT, ADD):
            decode_content(collection, op, raw)


@pytest.mark.parametrize(
    "value",
    [
        [b"\xff", None, None, None, None],
        [b"hi", None, None, None, b"yesterday"],
        [b"hi", [[b"a" * 32, b"k" * 16]], None, None, None],
        [b"hi", None, [b"a" * 31, b"k" * 16], None, None],
        [b"hi", None, None, None],
        [None, None, None, None, None],
        [b"x" * (social.MAX_TEXT + 1), None, None, None, None],
        b"hi",
    ],
)
def test_what_is_not_a_post_is_no_content(value: object) -> None:
    assert decode_content(POST, PUT, encode(value)) is None


def test_the_right_content_under_the_wrong_operation_is_no_content() -> None:
    raw = social.encode_post(Post("hi"))
    assert decode_content(POST, PUT, raw) == Post("hi")
    assert decode_content(POST, ADD, raw) is None
    assert decode_content(PROFILE, PUT, raw) is None


def test_a_key_tells_nothing_without_the_salt_and_no_two_framings_collide() -> None:
    assert social.cell_key(SALT, b"ab", b"c") != social.cell_key(SALT, b"a", b"bc")
    assert social.cell_key(SALT, b"follow", ALICE) != social.cell_key(b"t" * 16, b"follow", ALICE)
    assert len(social.cell_key(SALT)) == 16


def test_the_writer_refuses_what_no_reader_would_take() -> None:
    with pytest.raises(ValueError, match="32768 is the most"):
        social.write_post(THERE.key, Post("x" * 40_000))
    with pytest.raises(ValueError, match="surrogates"):
        social.write_post(THERE.key, Post("\ud800"))


@given(targets)
def test_a_post_address_reads_back(target: Target) -> None:
    assert social.post_from_text(social.post_to_text(target)) == target


@pytest.mark.parametrize("bad", ["", "did:banyan:z1", "did:banyan:z1/" + "0" * 32, social.post_to_text(THERE).upper()])
def test_a_bad_post_address_is_named(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        social.post_from_text(bad)
