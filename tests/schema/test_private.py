"""What an account says to itself: it reads back under its secret, in its cell, and is nothing elsewhere."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, CellKey, WriterKey
from banyan_schema.address import Target
from banyan_schema.collection import OpDraft
from banyan_schema.private_kinds import (
    KINDS,
    AccountList,
    Bookmark,
    Dismissal,
    Filter,
    FollowedTag,
    FollowWish,
    ListMember,
    Marker,
    Mute,
    Note,
    QuietThread,
    said,
    said_in,
    text_of,
)
from banyan_schema.social.private import (
    KEYS,
    SEALED,
    SealedContent,
    WrappedSecret,
    hand_over,
    private_key,
    read_privately,
    say_privately,
)
from tests.schema.laws import accounts, keeps_the_laws, keys, mangled, targets, texts

SALT, SECRET, AN = b"s" * 32, b"t" * 32, AccountId(b"a" * 32)
NAME, NONCE = CellKey(b"n" * 16), b"o" * 24
numbers = st.none() | st.integers(0, 2**64 - 1)
things = st.one_of(
    st.builds(Mute, accounts, numbers),
    st.builds(Bookmark, targets),
    st.builds(AccountList, keys, texts, st.sampled_from([None, "yes"]), st.sampled_from([None, "list", "none"])),
    st.builds(FollowedTag, texts, texts),
    st.builds(QuietThread, targets),
    st.builds(Dismissal, texts),
    st.builds(FollowWish, accounts, st.sampled_from([None, "no"]), st.none() | texts),
    st.builds(ListMember, keys, accounts),
    st.builds(
        Filter,
        keys,
        texts,
        st.sampled_from(["hide", "warn"]),
        numbers,
        title=st.none() | texts,
        of=st.none() | keys,
        contexts=st.none() | texts,
        matches=st.sampled_from([None, "word", "part"]),
    ),
    st.builds(Marker, st.sampled_from(["home", "notifications"]), texts, accounts),
    st.builds(Note, accounts, texts),
)


def test_a_wrapped_secret_keeps_the_laws() -> None:
    keeps_the_laws(
        KEYS,
        st.builds(WrappedSecret, keys, st.just(WriterKey(b"w" * 32)), st.binary(min_size=80, max_size=80)),
        lambda wrapped: hand_over(SALT, wrapped),
    )


def test_what_is_sealed_keeps_the_laws() -> None:
    def write(sealed: SealedContent) -> OpDraft:
        draft = say_privately(AN, sealed.secret, SECRET, said(Note(AN, "x")), NONCE)
        return draft._replace(content=SEALED.encode(sealed))

    keeps_the_laws(SEALED, st.builds(SealedContent, keys, st.sampled_from([b"", b"x" * 296, b"x" * 61_480])), write)


@given(things)
def test_every_kind_of_thing_is_read_back_in_its_cell_and_in_no_other(content: object) -> None:
    one = said(content)
    assert said_in(text_of(one)) == said(KINDS[one.kind].layout.decode(KINDS[one.kind].layout.encode(content)))
    draft = say_privately(AN, NAME, SECRET, one, NONCE)
    assert draft.content is not None
    sealed, key = SEALED.decode(draft.content), private_key(SECRET, one)
    assert sealed is not None
    assert read_privately(AN, key, SECRET, sealed) == said_in(text_of(one))
    assert read_privately(AN, CellKey(b"k" * 16), SECRET, sealed) is None
    assert read_privately(AccountId(b"b" * 32), key, SECRET, sealed) is None
    assert read_privately(AN, key, b"u" * 32, sealed) is None


def test_which_cell_a_thing_is_in_depends_on_what_it_is_and_not_on_what_is_said_of_it() -> None:
    binh, chi = b"b" * 32, b"c" * 32
    cells = [private_key(SECRET, said(c)) for c in (Mute(binh), Mute(binh, 5), Note(binh, "x"), Mute(chi))]
    assert cells[0] == cells[1]
    assert len(set(cells)) == 3
    assert private_key(b"u" * 32, said(Mute(binh))) != cells[0]


@pytest.mark.parametrize(
    "raw", [b"", b"\x80", encode([b"mute"]), encode([b"mute", 5]), encode([b"later", b"x"]), b"\xff"]
)
def test_what_is_not_known_is_nothing(raw: bytes) -> None:
    assert said_in(raw) is None


def test_bytes_of_a_stranger_raise_nothing() -> None:

    rng = random.Random("private")
    pool = [
        text_of(said(c))
        for c in (
            Mute(b"b" * 32, 5),
            Bookmark(Target(AN, NAME)),
            Filter(b"f" * 16, "a b", "warn"),
            Filter(b"f" * 16, "a", "hide", 5, "c d", b"g" * 16),
        )
    ]

    for _ in range(5_000):
        said_in(mangled(rng, rng.choice(pool)))


def test_a_filter_without_a_title_has_the_bytes_that_it_always_had() -> None:
    old = encode([b"filter", encode([b"f" * 16, b"a b", 1, None])])
    assert text_of(said(Filter(b"f" * 16, "a b", "warn"))) == old
    assert said_in(old) == said(Filter(b"f" * 16, "a b", "warn"))
