"""The model alone: nodes that forget entries converge, and each rule is needed."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from itertools import combinations, permutations
from typing import Any

import pytest

from tests.model.cells import fold
from tests.model.farcaster import order_dependent
from tests.model.keeping import Held, broken, counting, least, linked_down
from tests.model.nodes import Key, ModelJudge, Node, Outcome, plan, run
from tests.model.scenarios import Scenario, scenario
from tests.model.spec import LIMITS, RULES, Entry, Head, Op, Rules, control, rank, state
from tests.needs import numbers

NAIVE = RULES._replace(rank_at_fork=False)
W = ("w", 1)


def deliveries(
    s: Scenario, rng: random.Random, most: int, rules: Rules = RULES, archive: bool = True, trims: bool = True
) -> list[Outcome]:
    """`most` deliveries, or every order of up to five messages."""
    judge = ModelJudge(s, rules)
    full = Node.archive(s, judge)

    def judged(mask: int) -> dict[Key, Hashable]:
        return {(a, name): head for a in s.accounts for name, head in judge.judge(a, mask).heads.items()}

    messages = s.messages(rng)
    orders: Iterable[Any] = permutations(messages)
    if len(messages) > 5:
        orders = (rng.sample(found, len(found)) for found in (s.messages(rng) for _ in range(most)))
    return [run(plan(rng, order, archive, trims), rng, lambda: Node(s, judge), full, judged) for order in orders]


# ------------------------------------------------------------------------------------------------- convergence


def test_every_order_of_a_small_set_and_many_of_a_large_one_end_in_the_batch_state() -> None:
    rng = random.Random(11)
    for _ in numbers(150):
        out = deliveries(scenario(rng), rng, 30)
        assert all(o.agreed and o.batch for o in out)


def test_if_no_node_holds_everything_nodes_end_in_the_state_of_what_they_took() -> None:
    rng = random.Random(12)
    for _ in numbers(200):
        s = scenario(rng, 16)
        if len(s.entries) > 6:
            assert all(o.agreed and o.batch for o in deliveries(s, rng, 20, archive=False, trims=False))
            assert all(o.agreed for o in deliveries(s, rng, 10, archive=False))


def test_without_evidence_of_forks_nodes_stay_apart() -> None:
    rng = random.Random(13)
    tried, agreed = 0, True
    while agreed:
        assert tried < 6_000
        s = scenario(rng)
        if len(s.entries) > 6:
            out = deliveries(s, rng, 20, RULES._replace(evidence=0))
            tried, agreed = tried + len(out), all(o.agreed for o in out)


def test_what_is_left_after_30_days_says_the_same_and_can_be_served() -> None:
    rng = random.Random(14)
    for _ in numbers(600):
        s = scenario(rng, 18)
        messages = s.messages(rng)
        mask, signed = s.gathered(rng.sample(messages, rng.randrange(1, len(messages) + 1)))
        for a in s.accounts:
            own = frozenset(e for e in s.members(mask) if e.account == a)
            held = Held(own, own & {*s.members(signed)}, limits=s.limits)
            got = state(own, a, s.limits)
            beside = sorted(own - counting(got), key=lambda e: e.id)
            firm = [e for e in beside if rng.random() < 0.2]
            assert broken(held, least(held, a, firm), a, firm) == []
            left = least(held, a)
            assert least(Held(left, held.signed & left, limits=s.limits), a) == left
            some = linked_down(own, [e for e in sorted(own, key=lambda e: e.id) if rng.random() < 0.5])
            assert state({*some, *left}, a, s.limits).path == got.path


def test_accounts_do_not_touch_one_another() -> None:
    rng = random.Random(15)
    for _ in range(400):
        s = scenario(rng)
        for a in s.accounts:
            alone = [e for e in s.entries if e.account == a]
            assert state(s.entries, a).heads == state(alone, a).heads


def test_cells_are_the_same_for_any_order_and_repetition() -> None:
    rng = random.Random(16)
    for _ in range(400):
        s = scenario(rng)
        counted = list(state(s.entries, s.accounts[0]).counted)
        want = fold(counted)
        assert fold(rng.sample(counted, len(counted)) + counted[:2]) == want


def test_the_same_messages_in_another_order_leave_farcaster_hubs_with_different_stores() -> None:
    assert order_dependent("casts", sets=500) > 10


# ------------------------------------------------------------------------------------------------- stolen keys


class Pen:
    """Writes one control log and its logs for examples, entry by entry."""

    def __init__(self, first: int = 1) -> None:
        self.id = first - 1
        self.entries: list[Entry] = []

    def __call__(self, signer: str, parent: Entry | None, *ops: Op, log: int = 0, at: int = 0) -> Entry:
        self.id += 1
        seq, prev, time = (parent.seq + 1, parent.id, parent.time + 1) if parent else (0, None, 48)
        e = Entry(self.id, 1, signer, log, seq, prev, at or time, 0, 0, ops)
        self.entries.append(e)
        return e


INIT: Op = ("init", (("K0", "K1"), ("R0", "R1")))


def granted(writer: str, stratum: int = 2, logs: int = 1, until: int | None = None) -> Op:
    return ("grant", writer, 1, logs, stratum, None, until)


def honest_log(recovered: bool) -> list[Entry]:
    """Two rotations of the root, a grant under each, and perhaps an entry of the recovery key at the end."""
    pen = Pen()
    steps: list[tuple[str, Op]] = [("K0", granted("w")), ("K1", ("rotate", 0, "K2")), ("K1", granted("v"))]
    steps += [("K2", ("rotate", 0, "K3")), ("K2", granted("u"))]
    if recovered:
        steps.append(("R0", ("recover", "K5", "K6")))
    tip = pen("K0", None, INIT)
    for signer, op in steps:
        tip = pen(signer, tip, op)
    return pen.entries


def strategies(honest: list[Entry], stolen: tuple[str, ...]) -> list[list[Entry]]:
    """What a thief can put on top of each honest entry, alone: an order, or a climb of up to four keys of his own."""
    pen = Pen(1_000)
    out = []
    for q in honest:
        for key in stolen:
            out += [[pen(key, q, granted("z"))], [pen(key, q, ("cut", "w", ()))], [pen(key, q, ("close",))]]
            root, box = pen(key, q, ("rotate", 0, "X0")), pen(key, q, ("rotate", 1, "Y0"))
            out += [[root], [box], [pen(key, q, ("recover", "X0", "X1"))]]
            climb = [root]
            for n in range(3):
                climb = [*climb, pen(f"X{n}", climb[-1], ("rotate", 0, f"X{n + 1}"))]
                out.append(climb)
    return out


def safe_entries(honest: list[Entry], stolen: tuple[str, ...], strictly: bool) -> set[int]:
    """The honest entries which, at every fork that could take them away, have on their side an entry signed by a key
    committed at the fork that outranks (or at least equals) every stolen key."""
    keys = control(honest, 1).keys
    out = {honest[0].id}
    for below, (state_there, e) in enumerate(zip(keys, honest[1:], strict=False), start=1):
        ours = max(rank(state_there, d.signer) for d in honest[below:])
        theirs = max(rank(state_there, k) for k in stolen)
        if not (ours > theirs if strictly else ours >= theirs):
            break
        out.add(e.id)
    return out


@pytest.mark.parametrize("recovered", [False, True])
def test_no_honest_entry_is_lost_that_a_key_stronger_than_every_stolen_one_vouches_for(recovered: bool) -> None:
    honest = honest_log(recovered)
    tried = saved = 0
    for r in (1, 2, 3):
        for stolen in combinations(["K0", "K1", "K2", "R0"], r):
            safe, unwritten = (safe_entries(honest, stolen, strictly) for strictly in (True, False))
            plans = strategies(honest, stolen)
            pairs = [[a, b] for a, b in combinations(plans, 2)] if r == 1 else []
            for tried_plan in [[p] for p in plans] + pairs:
                c = control({*honest, *(e for p in tried_plan for e in p)}, 1)
                ids = [e.id for e in c.path]
                assert safe <= set(ids)
                # Equal strength may freeze an account; it never puts a thief's entry in the place of an honest one.
                assert all(i < 1_000 for i in ids[: len(unwritten)])
                tried += 1
                saved += len(safe)
    assert tried > 5_000
    assert saved > 2 * tried


def test_counting_generations_lets_a_rotated_out_key_rewrite_the_account() -> None:
    honest = honest_log(recovered=False)
    pen = Pen(1_000)
    tip = pen("K1", honest[1], ("rotate", 0, "X0"))
    for n in range(2):
        tip = pen(f"X{n}", tip, ("rotate", 0, f"X{n + 1}"))
    both = [*honest, *pen.entries]
    assert [e.id for e in control(both, 1, NAIVE).path] == [1, 2, 1_000, 1_001, 1_002]
    got = control(both, 1)
    assert got.frozen
    assert [e.id for e in got.path] == [1, 2]


def test_a_recovery_key_thaws_an_account_that_a_rotated_out_key_froze() -> None:
    honest = honest_log(recovered=True)
    pen = Pen(1_000)
    pen("X0", pen("K1", honest[1], ("rotate", 0, "X0")), ("rotate", 0, "X1"))
    got = control([*honest, *pen.entries], 1)
    assert not got.frozen
    assert list(got.path) == honest


# ------------------------------------------------------------------------------------------------- logs


def heads(pen: Pen, rules: Rules = RULES) -> dict[tuple[str, int], Head]:
    return state(pen.entries, 1, rules=rules).heads


def posts(pen: Pen, writer: str, n: int, log: int = 1, parent: Entry | None = None) -> list[Entry]:
    out = [parent] if parent else []
    for _ in range(n):
        out.append(pen(writer, out[-1] if out else None, log=log))
    return out[1:] if parent else out


def test_a_notarys_pin_above_a_cut_does_not_undo_the_cut() -> None:
    pen = Pen()
    tip = pen("K0", pen("K0", pen("K0", None, INIT), granted("w")), granted("n", stratum=1))
    w = posts(pen, "w", 3)
    pen("n", None, ("pin", "w", 1, 2, w[2].id), log=1)
    pen("K0", tip, ("cut", "w", ((1, 1, w[1].id),)))
    assert heads(pen, RULES._replace(inert_above_cut=False))[W] == Head(3, w[2].id, 0)
    assert heads(pen)[W] == Head(2, w[1].id, 0)


def test_a_stolen_device_key_costs_what_is_above_the_last_pin() -> None:
    pen = Pen()
    tip = pen("K0", pen("K0", None, INIT), granted("w"))
    w = posts(pen, "w", 3)
    posts(pen, "w", 2)
    posts(pen, "w", 2, parent=w[0])
    assert heads(pen)[W] == Head(0, None, 1)
    pen("K0", tip, ("pin", "w", 1, 1, w[1].id))
    assert heads(pen)[W] == Head(3, w[2].id, 0)


def test_a_cut_ends_the_logs_that_it_does_not_name_and_every_later_grant() -> None:
    pen = Pen()
    tip = pen("K0", pen("K0", None, INIT), granted("w", logs=2))
    w = posts(pen, "w", 2)
    posts(pen, "w", 2, log=2)
    tip = pen("K0", tip, ("cut", "w", ((1, 0, w[0].id),)))
    pen("K0", tip, granted("w", logs=9))
    assert heads(pen).keys() == {("", 0), W}
    assert heads(pen)[W].length == 1


def test_a_pin_or_cut_before_the_grant_is_inert() -> None:
    pen = Pen()
    init = pen("K0", None, INIT)
    w = posts(pen, "w", 2)
    other = posts(pen, "w", 1)
    tip = pen("K0", pen("K0", init, ("pin", "w", 1, 0, other[0].id)), ("cut", "w", ()))
    pen("K0", tip, granted("w"))
    assert heads(pen)[W] == Head(0, None, 1)
    assert w[0].id < other[0].id


def test_an_entry_outside_its_grant_is_no_evidence_of_a_fork() -> None:
    pen = Pen()
    pen("K0", pen("K0", None, INIT), granted("w", until=60))
    w = posts(pen, "w", 2)
    pen("w", w[0], log=1, at=61)
    assert heads(pen)[W] == Head(2, w[1].id, 0)


def test_a_log_at_its_limit_goes_on_the_next_day() -> None:
    pen = Pen()
    pen("K0", pen("K0", None, INIT), granted("w"))
    w = posts(pen, "w", LIMITS.burst + 1)
    assert heads(pen)[W].length == LIMITS.burst
    pen("w", w[LIMITS.burst - 1], log=1, at=LIMITS.birth + LIMITS.day)
    assert heads(pen)[W].length == LIMITS.burst + 1


@pytest.mark.parametrize(("op", "left"), [(("drop", "w", 1), {("", 0), ("w", 2)}), (("close",), {("", 0)})])
def test_drop_and_close_make_logs_count_nothing(op: Op, left: set[tuple[str, int]]) -> None:
    pen = Pen()
    tip = pen("K0", pen("K0", None, INIT), granted("w", logs=2))
    posts(pen, "w", 2)
    posts(pen, "w", 2, log=2)
    pen("K0", pen("K0", tip, op), granted("w", logs=3))
    assert heads(pen).keys() == left


def forked(pen: Pen) -> tuple[Entry, list[list[Entry]]]:
    """The tip of the control log, and three branches of two entries on the first of a log."""
    tip = pen("K0", pen("K0", None, INIT), granted("w"))
    first = posts(pen, "w", 1)[0]
    return tip, [posts(pen, "w", 2, parent=first) for _ in range(3)]


def test_after_30_days_a_fork_keeps_two_children_and_the_ways_to_their_signatures() -> None:
    pen = Pen()
    _, branches = forked(pen)
    everything = frozenset(pen.entries)
    signed = everything - {branches[0][0]}
    left = least(Held(everything, signed), 1)
    assert everything - left == {branches[1][1], *branches[2]}


def test_of_a_branch_that_is_still_kept_a_pin_makes_all_count() -> None:
    pen = Pen()
    tip, branches = forked(pen)
    everything = frozenset(pen.entries)
    left = least(Held(everything, everything), 1, firm=[branches[2][1]])
    pen.entries = list(left)
    pen("K0", tip, ("pin", "w", 1, 1, branches[2][0].id))
    assert heads(pen)[W] == Head(3, branches[2][1].id, 0)


def test_a_full_control_log_takes_only_what_revokes() -> None:
    limits = LIMITS._replace(control=2)
    pen = Pen()
    tip = pen("K0", pen("K0", None, INIT), granted("w"))
    pen("K0", tip, granted("v"))
    drop = pen("K0", tip, ("drop", "w", 1))
    assert [e.id for e in state(pen.entries, 1, limits).path] == [1, 2, drop.id]


# ------------------------------------------------------------------------------------------------- cells


def view(*entries: tuple[int, tuple[Op, ...]]) -> Any:
    return fold((Entry(i, 1, "w", 1, 0, None, i, 0, 0, ops), ops) for i, ops in entries)


def test_two_writers_typing_at_one_place_do_not_interleave() -> None:
    start: Op = ("text", "p", "k", None, None, 1, None)
    first: Op = ("text", "p", "k", (1, 0, 0), None, 3, None)
    second: Op = ("text", "p", "k", (1, 0, 0), None, 3, None)
    got = view((1, (start,)), (2, (first,)), (3, (second,))).texts["p", "k"]
    assert [i for i, _, _ in got] == [1, 2, 2, 2, 3, 3, 3]


def test_text_whose_left_neighbour_does_not_count_stands_at_the_end() -> None:
    start: Op = ("text", "p", "k", None, None, 2, None)
    lost: Op = ("text", "p", "k", (77, 0, 0), (1, 0, 1), 2, None)
    got = view((1, (start,)), (2, (lost,))).texts["p", "k"]
    assert [i for i, _, _ in got] == [1, 1, 2, 2]


def test_text_is_inserted_between_two_characters_and_deleted_by_range() -> None:
    start: Op = ("text", "p", "k", None, None, 3, None)
    middle: Op = ("text", "p", "k", (1, 0, 0), (1, 0, 1), 2, None)
    got = view((1, (start,)), (2, (middle,)), (3, (("textdel", "p", (1, 0), 1, 5),)))
    assert got.texts["p", "k"] == ((1, 0, 0), (2, 0, 0), (2, 0, 1))


def test_a_put_replaces_only_writes_of_its_own_cell() -> None:
    add: Op = ("add", "p", "k", "u", None)
    put: Op = ("put", "p", "k", ((1, 0), (1, 1)), None)
    other: Op = ("put", "p", "s", (), None)
    got = view((1, (add, other)), (2, (put,)))
    assert got.sets["p", "k"] == {"u"}
    assert got.registers.keys() == {("p", "k"), ("p", "s")}


def test_a_tomb_ends_a_cell_of_every_kind() -> None:
    ops: tuple[Op, ...] = (("add", "p", "k", "u", None), ("put", "p", "k", (), None), ("count", "p", "k", 1))
    got = view((1, (*ops, ("text", "p", "k", None, None, 1, None))), (2, (("tomb", "p", "k"),)))
    assert not got.sets
    assert not got.registers
    assert not got.counters
    assert not got.texts
