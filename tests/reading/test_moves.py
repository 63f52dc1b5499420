"""Moves compared with a plain fold, and what is told to all followers, merged with what an account hears itself."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Put
from banyan_crdt.realm import TEST
from banyan_reading.identity import also_was, moved_to
from banyan_reading.polls import all_notices
from banyan_reading.queries import queries
from banyan_schema.collection import undo
from banyan_schema.social.identity import MOVED_FROM, MOVED_TO, move_to, moved_from
from tests.storage.social_accounts import Person, agrees, social_store

NAMES = ("an", "bình", "chi", "dung")


@pytest.mark.parametrize("seed", range(8))
def test_moves_are_as_a_plain_fold_says(seed: int) -> None:
    rng, (store, engine) = random.Random(f"moves {seed}"), social_store()
    people = {Person(name).id: Person(name) for name in NAMES}
    to: dict[tuple[AccountId, CellKey], tuple[AccountId, Ref]] = {}
    was: dict[tuple[AccountId, AccountId], Ref] = {}

    def step() -> None:
        who, other = (people[one] for one in rng.sample(sorted(people), 2))
        does = rng.choice(("to", "to", "from", "from", "from", "stay", "forget"))
        if does == "to":
            draft = move_to(who.salt, other.id)
            assert isinstance(draft.op, Put)
            key = CellKey(b"odd".ljust(16)) if rng.random() < 0.15 else draft.op.key
            before = to.get((who.id, key))
            op = draft.op._replace(key=key, refs=() if before is None else (before[1],))
            to[who.id, key] = other.id, Ref(who.write([draft._replace(op=op)]).id, 0)
        elif does == "from" and (who.id, other.id) not in was:
            was[who.id, other.id] = Ref(who.write([moved_from(who.salt, other.id)]).id, 0)
        elif does == "stay" and to:
            (account, key), (_, ref) = rng.choice(sorted(to.items(), key=lambda item: item[0]))
            people[account].write([undo(MOVED_TO, [ref])])
            del to[account, key]
        elif does == "forget" and (who.id, other.id) in was:
            who.write([undo(MOVED_FROM, [was.pop((who.id, other.id))])])

    for _ in range(5):
        for _ in range(30):
            step()
        order = list(people.values())
        rng.shuffle(order)
        for person in order:
            person.send(store)
        went = {one: {x for (by, _), (x, _) in to.items() if by == one and (x, one) in was} for one in people}
        with queries(engine, TEST) as ask:
            for account in people:
                agreed = went[account]
                assert moved_to(ask, account) == (next(iter(agreed)) if len(agreed) == 1 else None)
                assert also_was(ask, account) == sorted(one for one in people if went[one] == {account})
    agrees(store, engine, people.values())


def test_what_is_told_to_all_followers_is_merged_by_arrival_page_by_page() -> None:
    rng, (store, engine) = random.Random("told"), social_store()
    an, others = Person("an"), [Person(name) for name in NAMES[1:]]
    wanted, refs = list[tuple[str, AccountId]](), dict[AccountId, list[Ref]]()
    for n in range(40):
        who = rng.choice(others)
        if rng.random() < 0.5:
            who.post(f"{n}", mentions=(an.id,))
            wanted.append(("mention", who.id))
        else:
            draft = move_to(who.salt, an.id)
            assert isinstance(draft.op, Put)  # in a cell of its own, so that each is told
            who.write([draft._replace(op=draft.op._replace(key=CellKey(bytes((n,)) * 16)))])
            wanted.append(("move", who.id))
        refs.setdefault(who.id, []).append(who.last())
        who.send(store)
    some = [who.id for who in others[:2]]
    told = [one for one in reversed(wanted) if one[0] == "mention" or one[1] in some]
    with queries(engine, TEST) as ask:
        for size in (1, 3, 100):
            found, place = list[tuple[str, AccountId]](), None
            while True:
                rows = list(islice(all_notices(ask, an.id, place, lambda *_: True, some), size))
                found += [(one.what, one.who) for _, one in rows if one is not None]
                if len(rows) < size:
                    break
                place = rows[-1][0]
            assert found == told
        heard = [one.what for _, one in all_notices(ask, an.id, None, lambda *_: True) if one is not None]
        assert set(heard) == {"mention"}, "who follows nobody hears of what is said to it alone"
