"""Groups: what owners, members and moderators say keeps the laws; an act that names the wrong thing says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.collection import Collection, seal
from banyan_schema.social.group import (
    COLLECTIONS,
    KINDS,
    WHATS,
    Group,
    GroupAct,
    GroupJoin,
    What,
    act,
    group_digest,
    join,
    write_group,
)
from banyan_schema.social.post import COLLECTION as POSTS
from banyan_schema.social.post import Post
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws, keys, targets, texts

SALT = b"s" * 32
HERE = Target(AccountId(b"o" * 32), CellKey(b"g" * 16))
AN = AccountId(b"a" * 32)
GROUPS, JOINS, ACTS = COLLECTIONS


def test_a_group_keeps_the_laws() -> None:
    groups = st.builds(Group, texts, texts, texts, st.sampled_from(KINDS))
    keeps_the_laws(GROUPS, groups, lambda said: write_group(HERE.key, said))


def test_a_join_keeps_the_laws() -> None:
    tell = st.lists(accounts, max_size=10).map(tuple)
    keeps_the_laws(JOINS, st.builds(GroupJoin, targets, tell), lambda said: join(SALT, said))


def test_an_act_keeps_the_laws() -> None:
    acts = st.builds(GroupAct, st.just(HERE), st.sampled_from(WHATS), accounts, st.none() | keys)
    keeps_the_laws(ACTS, acts, lambda said: act(SALT, said))


def facts(of: Collection[Any], content: object) -> set[str]:
    seed = of.seed_of(bytes(8), of.encode(content))
    assert seed is not None
    return {fact.kind for fact in of.facts(seed)}


@pytest.mark.parametrize("what", WHATS)
def test_an_act_that_names_a_post_where_accounts_are_meant_or_an_account_where_posts_are_says_nothing(
    what: What,
) -> None:
    of_a_post = what in ("remove", "pin")
    right, wrong = (CellKey(b"k" * 16), None) if of_a_post else (None, CellKey(b"k" * 16))
    assert "group_acts" in facts(ACTS, GroupAct(HERE, what, AN, right))
    assert facts(ACTS, GroupAct(HERE, what, AN, wrong)) == set()


def test_a_join_is_one_element_whomever_it_tells_and_does_not_show_which_group_is_meant() -> None:
    quiet, loud = join(SALT, GroupJoin(HERE)).op, join(SALT, GroupJoin(HERE, (AN,))).op
    assert (cell_of(quiet), element_of(quiet)) == (cell_of(loud), element_of(loud))
    other = join(SALT, GroupJoin(Target(AN, HERE.key))).op
    assert cell_of(other) == cell_of(quiet)
    assert element_of(other) != element_of(quiet)


def test_each_act_has_an_element_of_its_own_in_the_cell_of_its_group() -> None:
    made = [act(SALT, GroupAct(HERE, what, AN)).op for what in WHATS]
    made.append(act(SALT, GroupAct(HERE, "remove", AN, CellKey(b"k" * 16))).op)
    assert len({cell_of(op) for op in made}) == 1
    assert len({element_of(op) for op in made}) == len(made)


def test_a_post_in_a_group_is_found_by_the_digest_of_the_group_however_much_else_it_names() -> None:
    mentions = tuple(AccountId(bytes((n,)) * 32) for n in range(10))
    post = Post("x", quote=HERE, mentions=mentions, group=HERE)
    seed = POSTS.seed_of(b"\xff" * 8, POSTS.encode(post))
    assert seed is not None
    (found,) = [fact for fact in POSTS.facts(seed) if fact.kind == "group_posts"]
    assert found.key == group_digest(HERE.raw) + b"\xff" * 8
    _, raw = seal(write_group(HERE.key, Group("a", "", "", "open")), b"s" * 16)
    assert raw is not None
    assert GROUPS.seed_in(bytes(8), raw) == b"", "a group itself is in no row"
