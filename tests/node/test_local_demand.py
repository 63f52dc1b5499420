"""Whether somebody here hosts or follows an account is known, however many followers strangers made for it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Add, encode_ops
from banyan_crdt.parts import make_part
from banyan_crdt.realm import TEST
from banyan_node.context import Context
from banyan_node.hosting.interest import NUMBERS_S, LocalDemand
from banyan_reading.relations import is_followed, numbers_of
from banyan_replica.intake.prepare import CheckedControl, CheckedRun, check_items
from banyan_replica.wire.messages import Item
from banyan_schema.social import relate
from banyan_sim.forge import Forge
from tests.node.real import make_home, make_node, running
from tests.node.test_node import account

HERE = {"node__realm": "test", "interest__mode": "all"}


def follow(c: Context, forge: Forge, targets: list[AccountId], times: int = 1) -> AccountId:
    """A new account that follows each of these, so many times over."""
    made = forge.account()
    items, log = list[Item]([made.item()]), made.log(1)
    for at in range(0, times * len(targets), 100):
        ops, contents = [], []
        for k in range(at, min(at + 100, times * len(targets))):
            draft = relate(forge.random(32), "follow", targets[k % len(targets)])
            part, raw = make_part(forge.random(16), draft.content or b"")
            assert isinstance(draft.op, Add)
            ops.append(draft.op._replace(part=part))
            contents.append((k - at, raw))
        log.write(encode_ops(tuple(ops)), sum(len(raw) for _, raw in contents))
        items.append(log.run(len(log.ids) - 1, len(log.ids), [contents]))
    for item in check_items(TEST, items):
        if isinstance(item, CheckedControl):
            c.replica.ingest.control(made.id, item.entries, forge.now_ms(), item.contents)
        elif isinstance(item, CheckedRun):
            c.replica.ingest.run(item.run, forge.now_ms(), contents=item.contents)
    return made.id


@pytest.mark.parametrize(("accounts", "times"), [(1, 1_200), (1_200, 1)])
async def test_who_is_followed_here_is_wanted_though_strangers_follow_it_a_thousand_times(
    tmp_path: Path, accounts: int, times: int
) -> None:
    target, other = (AccountId(os.urandom(32)) for _ in range(2))
    node = make_node(make_home(tmp_path / "a"), **HERE)
    async with running(node):
        now_ms = await node.worker.call(lambda c, now: int(now * 1000))
        forge = Forge(os.urandom, lambda: now_ms)

        def spam(c: Context, now: float) -> None:
            for _ in range(accounts):
                follow(c, forge, [target, other], times)

        await node.worker.call(spam)
        await account(node, "An")
        await node.backend.call("follow", {"account": account_to_text(target)})
        mine = AccountId(await node.worker.call(lambda c, now: c.store.note(b"self")))

        def seen(c: Context, now: float) -> list[bool]:
            return [c.around.is_wanted(who) for who in (target, other, mine)]

        assert await node.worker.call(seen) == [True, False, True]


async def test_one_who_says_the_first_words_here_is_among_the_followers_soon(tmp_path: Path) -> None:
    target, clock = AccountId(os.urandom(32)), [0.0]
    node = make_node(make_home(tmp_path / "a"), **HERE)
    async with running(node):
        wanted = await node.worker.call(lambda c, now: LocalDemand(c, lambda: clock[0]))
        assert not await node.worker.call(lambda c, now: wanted(target))
        await account(node, "An")
        await node.backend.call("follow", {"account": account_to_text(target)})
        clock[0] += NUMBERS_S
        assert await node.worker.call(lambda c, now: wanted(target))


async def test_an_account_is_followed_by_one_of_many_if_one_of_them_has_it_among_those_it_follows(
    tmp_path: Path,
) -> None:
    node = make_node(make_home(tmp_path / "a"), **HERE)
    async with running(node):

        def compare(c: Context, now: float) -> int:
            rng = random.Random(1)
            forge = Forge(rng.randbytes, lambda: int(now * 1000))
            targets = [AccountId(rng.randbytes(32)) for _ in range(30)]
            for _ in range(40):
                follow(c, forge, rng.sample(targets, rng.randrange(1, 6)))
            txn, q, found = c.engine.write(), c.queries(), 0
            known = [a for t in targets for a in q.following(t)]
            for _ in range(200):
                some, target = rng.sample(known, rng.randrange(0, 12)), rng.choice(targets)
                is_true = any(target in q.follows(one) for one in some)
                assert is_followed(txn, target, numbers_of(txn, set(some))) == is_true
                found += is_true
            return found

        assert 20 < await node.worker.call(compare) < 180
