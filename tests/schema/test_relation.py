"""Relations: follow, block and mute are separate collections."""

import pytest
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, EntryId, Ref
from banyan_crdt.ops import Del
from banyan_schema.collection import Collection
from banyan_schema.social import FOLLOW, RELATIONS, Relate, relate, undo
from banyan_schema.social.relation import RELATION_COLLECTIONS
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws

SALT = b"s" * 16
ALICE = AccountId(b"a" * 32)


@pytest.mark.parametrize("of", RELATION_COLLECTIONS, ids=lambda of: of.name)
def test_a_relation_keeps_the_laws(of: Collection[Relate]) -> None:
    relations = st.builds(Relate, st.just(RELATIONS[of.id]), accounts)
    keeps_the_laws(of, relations, lambda said: relate(SALT, said.relation, said.target))


def test_each_relation_is_a_separate_set_and_does_not_reveal_that_two_name_one_account() -> None:
    made = [relate(SALT, name, ALICE).op for name in RELATIONS.values()]
    assert (
        len({of.id for of in RELATION_COLLECTIONS})
        == len({cell_of(op) for op in made})
        == len({element_of(op) for op in made})
        == 3
    )


def test_an_undo_names_what_it_covers() -> None:
    old = Ref(EntryId(b"e" * 32), 0)
    assert undo(FOLLOW, [old]).op == Del(FOLLOW, (old,))
