"""Handles compared with a plain fold: who claims and who confirms, whatever they say of it later."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add, Put
from banyan_crdt.realm import TEST
from banyan_reading.identity import claimants, handle_of
from banyan_reading.queries import queries
from banyan_schema.collection import undo
from banyan_schema.social import set_profile
from banyan_schema.social.identity import HANDLE, HandleConfirmation, confirm_handle
from tests.storage.social_accounts import Person, agrees, social_store

NAMES = ("an", "bình", "lotus", "lúa")
HANDLES, DOMAINS = ("a@vn.example", "b@vn.example", "a@hue.example", "không"), ("vn.example", "hue.example", "")


@pytest.mark.parametrize("seed", range(8))
def test_handles_are_as_a_plain_fold_says(seed: int) -> None:
    rng, (store, engine) = random.Random(f"handles {seed}"), social_store()
    people = {Person(name).id: Person(name) for name in NAMES}
    fields: dict[tuple[AccountId, str], tuple[str, Ref]] = {}
    said: dict[tuple[AccountId, bytes], tuple[str, AccountId, Ref]] = {}
    """By who says it and the element: handle, whose, and the write."""

    def step() -> None:
        who = people[rng.choice(sorted(people))]
        does = rng.choice(("claim", "domain", "confirm", "confirm", "confirm", "undo"))
        if does in ("claim", "domain"):
            field, value = ("handle", rng.choice(HANDLES)) if does == "claim" else ("domain", rng.choice(DOMAINS))
            was = fields.get((who.id, field))
            draft = set_profile(who.salt, field, value, [] if was is None else [was[1]])
            fields[who.id, field] = value, Ref(who.write([draft]).id, 0)
        elif does == "confirm":
            handle, whom = rng.choice(HANDLES[:3]), rng.choice(sorted(people))
            draft = confirm_handle(who.salt, HandleConfirmation(handle, whom))
            assert isinstance(draft.op, Add)
            if rng.random() < 0.2:  # the same handle in two cells
                draft = draft._replace(op=draft.op._replace(elem=CellKey(b"odd".ljust(16))))
            assert isinstance(draft.op, Add)
            was_said = said.get((who.id, draft.op.elem))
            covers = [] if was_said is None else [undo(HANDLE, [was_said[2]])]
            said[who.id, draft.op.elem] = handle, whom, Ref(who.write([*covers, draft]).id, len(covers))
        elif said:
            (by, elem), (_, _, ref) = rng.choice(sorted(said.items(), key=lambda item: item[0]))
            people[by].write([undo(HANDLE, [ref])])
            del said[by, elem]

    for _ in range(5):
        for _ in range(40):
            step()
        order = list(people.values())
        rng.shuffle(order)
        for person in order:
            person.send(store)
        names = {by: {} for by in people}  # type: dict[AccountId, dict[str, set[AccountId]]]
        for (by, _), (handle, whom, _) in said.items():
            names[by].setdefault(handle, set()).add(whom)
        with queries(engine, TEST) as ask:
            for account in people:
                claimed, found = fields.get((account, "handle"), ("", None))[0], handle_of(ask, account)
                if "@" not in claimed:
                    assert found is None
                    continue
                domain = claimed.partition("@")[2]
                platforms = {p for p in people if fields.get((p, "domain"), ("",))[0] == domain}
                confirmed = sorted(p for p in platforms if names[p].get(claimed) == {account})
                assert found is not None
                assert (found.handle, list(found.platforms)) == (claimed, confirmed)
            for handle in HANDLES:
                wanted = {one for (one, field), (value, _) in fields.items() if (field, value) == ("handle", handle)}
                assert {one for one, _ in claimants(ask, handle)} == (wanted if "@" in handle else set())
    agrees(store, engine, people.values())


def test_of_two_cells_that_claim_a_handle_the_later_one_counts() -> None:
    store, engine = social_store()
    an = Person("an")
    for handle, key in (("a@vn.example", b"one"), ("b@vn.example", b"other")):
        draft = set_profile(an.salt, "handle", handle)
        assert isinstance(draft.op, Put)
        an.write([draft._replace(op=draft.op._replace(key=CellKey(key.ljust(16))))])
    an.send(store)
    with queries(engine, TEST) as ask:
        assert list(claimants(ask, "a@vn.example")) == []
        assert [one for one, _ in claimants(ask, "b@vn.example")] == [an.id]
