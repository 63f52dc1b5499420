"""Official channels: what a platform says keeps the laws, and an urgent post is told to followers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.social.identity import OFFICIAL_COLLECTION, Official, attest
from banyan_schema.social.post import COLLECTION as POSTS
from banyan_schema.social.post import InteractionPolicy, Post, ReplyTo
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws, texts

SALT = b"s" * 32
AN = AccountId(b"a" * 32)
CLOSED = InteractionPolicy("nobody", "nobody", "nobody")


def test_what_a_platform_says_keeps_the_laws() -> None:
    keeps_the_laws(OFFICIAL_COLLECTION, st.builds(Official, accounts, texts), lambda said: attest(SALT, said))


def test_another_title_is_the_same_element() -> None:
    one, other = (attest(SALT, Official(AN, title)).op for title in ("Sở Y tế", "Sở Giao thông"))
    assert (cell_of(one), element_of(one)) == (cell_of(other), element_of(other))


def test_an_urgent_post_is_told_to_followers_whatever_else_it_names() -> None:
    there = Target(AN, CellKey(b"k" * 16))
    mentions = tuple(AccountId(bytes((n,)) * 32) for n in range(10))
    fullest = Post("x", ReplyTo(there, there), there, mentions=mentions, group=there, urgency="urgent")
    for post, told in (
        (Post("x", urgency="urgent"), 1),
        (fullest, 1),
        (replace(fullest, policy=CLOSED), 1),
        (Post("x"), 0),
    ):
        seed = POSTS.seed_of(bytes(8), POSTS.encode(post))
        assert seed is not None
        assert sum(fact.kind == "broadcasts" for fact in POSTS.facts(seed)) == told
