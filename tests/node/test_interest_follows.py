"""The accounts that a node of chosen accounts holds, kept up to date, compared with a search from the roots."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_node.hosting.interest import FAR_LOOKS, AccountChoice
from banyan_node.hosting.reach import Reach
from banyan_node.local import open_local
from tests.node.real import load_settings, make_home

CHOSEN = {"node__role": "hobbyist", "interest__mode": "follows"}


def name(n: int) -> AccountId:
    return AccountId(n.to_bytes(32, "big"))


class Town:
    """Who follows whom, and how much of that was read."""

    def __init__(self, follows: dict[AccountId, set[AccountId]]) -> None:
        self.follows, self.read = follows, 0

    def of(self, one: AccountId, after: AccountId | None, most: int) -> list[AccountId]:
        found = sorted(a for a in self.follows.get(one, ()) if after is None or a > after)[:most]
        self.read += len(found)
        return found

    def within(self, roots: set[AccountId], hops: int) -> list[set[AccountId]]:
        """Each hop's new ones."""
        found = [set(roots)]
        for _ in range(hops):
            reached = {a for one in found[-1] for a in self.follows.get(one, ())}
            found.append(reached.difference(*found))
        return found


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
@pytest.mark.parametrize("most", [0, 9, 1_000])
@pytest.mark.parametrize("seed", range(4))
def test_who_is_within_some_follows_is_what_a_search_finds(hops: int, most: int, seed: int) -> None:
    rng, reach = random.Random(f"{hops} {most} {seed}"), Reach(hops, most)
    people = [name(n) for n in range(60)]
    town, roots = Town({}), set[AccountId]()
    for _ in range(100):
        again = set[AccountId]()
        for _ in range(rng.randrange(4)):
            one, other = rng.choices(people[:20], k=2)
            if rng.random() < 0.2:
                roots ^= {one}
            else:
                town.follows.setdefault(one, set()).symmetric_difference_update({other, *rng.sample(people, 3)})
                again.add(one)
        found = reach.update(sorted(roots), [one for one in again if one in reach.known], town.of)
        each = town.within(roots, hops)
        near = set[AccountId]().union(*each[:2])
        assert len(set(found)) == len(found)
        assert set(found[: len(each[0])]) == roots
        assert set(found[: len(near)]) == near
        assert reach.near == len(near)
        assert len(found) == max(len(near), min(most, sum(map(len, each))))
        if most == 1_000:
            assert [set(found[sum(map(len, each[:n])) :][: len(each[n])]) for n in range(hops + 1)] == each
        town.read = 0
        assert reach.update(sorted(roots), [], town.of) is found
        assert not town.read, "nothing changed, and nothing is read"


def test_who_follows_very_many_takes_no_room_from_what_others_follow() -> None:
    me, eve, friends = name(0), name(1), [name(n) for n in range(2, 12)]
    town = Town({me: {eve, *friends}, eve: {name(1_000_000 + n) for n in range(50_000)}})
    for n, friend in enumerate(friends):
        town.follows[friend] = {name(1_000 * (n + 1) + k) for k in range(40)}
    reach = Reach(2, 1_000)
    found = reach.update([me], [], town.of)
    assert len(found) == 1_000
    assert set(found) >= set[AccountId]().union(*(town.follows[friend] for friend in friends))
    assert set(found[:12]) == {me, eve, *friends}
    assert sum(account in town.follows[eve] for account in found[12:452]) == 40, "one of each in turn"
    assert town.read < 2_500
    town.read = 0
    town.follows[eve] |= {name(999_999)}
    assert set(reach.update([me], [eve], town.of)) == {*found[:-1], name(999_999)}
    assert town.read < 1_100
    town.follows[me] -= {eve}
    assert not town.follows[eve] & set(reach.update([me], [me], town.of))
    assert eve not in reach.known


def test_whom_own_accounts_follow_is_seen_at_once_and_whom_others_follow_within_a_minute(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in "ab"]
    with (
        open_local(homes[0], load_settings(homes[0], **CHOSEN)) as other,
        open_local(homes[1], load_settings(homes[1], **CHOSEN)) as own,
    ):
        an = account_from_text(other.call("account.create", name="An")["account"])
        me = account_from_text(own.call("account.create", name="Bình")["account"])
        interest = AccountChoice(own.context)

        def look() -> tuple[AccountId, ...]:
            choice = interest.look()
            assert choice is not None
            return choice.found

        assert look() == (me,)

        def follow(n: int) -> None:
            other.call("follow", account=account_to_text(name(n)))
            other.call("archive.export", path=str(tmp_path / f"archive {n}"))
            own.call("archive.import", path=str(tmp_path / f"archive {n}"))

        own.call("follow", account=account_to_text(an))
        assert look() == (me, an)
        follow(7)
        assert look() == (me, an, name(7)), "of An nothing was known"
        follow(8)
        found = look()
        assert found == (me, an, name(7))
        for _ in range(FAR_LOOKS - 5):
            assert look() is found
        own.call("follow", account=account_to_text(name(6)))
        own.call("post", text="nothing new about follows")
        assert look() == (me, name(6), an, name(7))
        assert look() == (me, name(6), an, name(7), name(8)), "the minute is over"
        own.call("unfollow", account=account_to_text(an))
        assert look() == (me, name(6))
