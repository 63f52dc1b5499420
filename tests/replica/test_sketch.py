"""The sketch against plain Python with sets and unbounded integers, and against an attacker who grinds items."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan_replica.frontier.sketch import (
    CELLS,
    Numbers,
    P,
    add,
    add_one,
    decode,
    empty,
    fingerprint,
    key_of,
    length_of,
    mulmod,
    pack,
    place,
    places,
    pure,
    submod,
    unpack,
    walk,
    weight,
    weights,
)
from banyan_replica.sync import exchange

numbers = st.integers(0, P - 1) | st.sampled_from([0, 1, 2, P - 1, P - 2, 1 << 60, (1 << 31) - 1, 1 << 31])
items = st.dictionaries(numbers, st.integers(1, P - 1), max_size=60)


def array(values: list[int]) -> Numbers:
    return np.array(values, np.uint64)


def sketch(held: dict[int, int], cells: int = CELLS) -> Numbers:
    table = empty(cells)
    add(table, array(list(held)), array(list(held.values())))
    return table


def drawn(rng: random.Random, n: int) -> dict[int, int]:
    return {rng.randrange(P): rng.randrange(1, P) for _ in range(n)}


def crowding(rng: random.Random, n: int, below: int) -> dict[int, int]:
    """Items that are in no cell between the first and `below`. An attacker who knows the key can grind them."""
    found: dict[int, int] = {}
    while len(found) < n:
        h = rng.randrange(P)
        steps = walk(h, 1 << 40)
        next(steps)
        if next(steps) >= below:
            found[h] = rng.randrange(1, P)
    return found


# -- arithmetic


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=50))
def test_products_and_differences_are_those_of_integers_without_bound(pairs: list[tuple[int, int]]) -> None:
    a, b = array([x for x, _ in pairs]), array([y for _, y in pairs])
    assert mulmod(a, b).tolist() == [x * y % P for x, y in pairs]
    assert mulmod(a, np.uint64(pairs[0][1])).tolist() == [x * pairs[0][1] % P for x, _ in pairs]
    assert submod(a, b).tolist() == [(x - y) % P for x, y in pairs]


@given(st.binary(max_size=32), st.lists(st.tuples(*[numbers] * 4), min_size=1, max_size=50), st.integers(0, 1 << 40))
def test_arrays_and_scalars_give_an_item_the_same_place_and_weight(
    salt: bytes, words: list[tuple[int, int, int, int]], length: int
) -> None:
    key = key_of(salt)
    x0, x1, y0, y1 = (array([w[k] for w in words]) for k in range(4))
    flags = array([k % 2 for k in range(len(words))])
    assert places(key, x0, x1).tolist() == [place(key, w[0], w[1]) for w in words]
    lengths = np.full(len(words), length, np.uint64)
    made = weights(key, y0, y1, lengths, flags).tolist()
    assert made == [weight(key, w[2], w[3], length, k % 2) for k, w in enumerate(words)]
    assert {length_of(t) for t in made} == {length % (1 << 31)}


@settings(deadline=None)
@given(st.lists(numbers, min_size=40, max_size=200), st.sampled_from([1, 2, 100, CELLS]))
def test_walks_in_arrays_visit_the_cells_of_walks_in_scalars(places_: list[int], cells: int) -> None:
    together = empty(cells)
    add(together, array(places_), array([1] * len(places_)))
    counted = [0] * cells
    for h in places_:
        for i in walk(h, cells):
            counted[i] += 1
    assert together[:, 0].tolist() == counted


def test_a_hundred_thousand_walks_agree_to_the_last_cell() -> None:
    rng = np.random.default_rng(7)
    h = rng.integers(0, P, 100_000, dtype=np.uint64)
    table = empty()
    add(table, h, h)
    sums = [0] * CELLS
    for one in h.tolist():
        for i in walk(one, CELLS):
            sums[i] += one
    assert table[:, 0].tolist() == [s % P for s in sums]


def test_a_walk_visits_cell_i_with_chance_1_in_1_plus_half_i() -> None:
    rng = random.Random(3)
    hits = [0] * 400
    for _ in range(20_000):
        for i in walk(rng.randrange(P), 400):
            hits[i] += 1
    assert hits[0] == 20_000
    for i in (1, 5, 20, 100):
        near = hits[i : i + 1 + i // 4]
        expected = sum(20_000 / (1 + k / 2) for k in range(i, i + len(near)))
        assert sum(near) == pytest.approx(expected, rel=0.1)


# -- cells


@settings(deadline=None)
@given(items, items, items)
def test_decoding_gives_the_difference_of_two_sets_whatever_they_share(
    shared: dict[int, int], left: dict[int, int], right: dict[int, int]
) -> None:
    here, there = {**shared, **left}, {**shared, **right}
    expected = {h: w for h in here.keys() | there.keys() if (w := (here.get(h, 0) - there.get(h, 0)) % P)}
    difference = submod(sketch(here), sketch(there))
    assert decode(difference) == (expected, 0)
    assert decode(difference[: 8 + 4 * len(expected)]).items.items() <= expected.items()


@pytest.mark.parametrize("n", [1, 20, 1_000, 2_500])
def test_a_table_gives_up_two_thousand_five_hundred_differences(n: int) -> None:
    held = drawn(random.Random(n), n)
    assert decode(sketch(held)) == (held, 0)
    assert decode(sketch(held)[: 2 * n + 10]) == (held, 0)


@given(numbers, numbers, st.integers(1, P - 1), st.integers(1, P - 1))
def test_two_items_never_look_like_one(h: int, other: int, t: int, u: int) -> None:
    assert pure(sketch({h: t}, 1))[0]
    if h != other:
        assert not pure(sketch({h: t, other: u}, 1))[0]


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers), max_size=80))
def test_a_head_that_moves_is_one_item_however_moves_are_batched(moves: list[tuple[int, int, int]]) -> None:
    at_once, one_by_one = empty(300), empty(300)
    h, old, new = (array([m[k] for m in moves]) for k in range(3))
    add(at_once, h, submod(new, old))
    for place_, before, after in moves:
        add_one(one_by_one, place_, (after - before) % P)
    assert (at_once == one_by_one).all()


@given(st.lists(st.tuples(numbers, numbers, numbers), max_size=30))
def test_cells_survive_the_wire(rows: list[tuple[int, int, int]]) -> None:
    cells = np.array(rows, np.uint64).reshape(-1, 3)
    assert len(pack(cells)) == 23 * len(rows)
    assert (unpack(pack(cells)) == cells).all()


def test_what_is_no_cells_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="25 bytes are not whole cells"):
        unpack(bytes(25))
    for raw in (P.to_bytes(8, "big") + bytes(15), bytes(8) + b"\xff" * 15, bytes(8) + b"\x80" + bytes(14)):
        with pytest.raises(ValueError, match="below"):
            unpack(raw)


# -- peers that mean ill


def test_an_item_in_a_cell_that_its_walk_misses_is_not_taken() -> None:
    h = 12_345
    outside = next(i for i in range(10) if i not in list(walk(h, 10)))
    cells = empty(10)
    cells[outside] = (7, 7 * h, 7 * h * h)
    assert decode(cells) == ({}, 1)


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=24, max_size=24 * 60), st.integers(0, 20))
def test_cells_out_of_thin_air_end_within_two_items_a_cell(raw: bytes, n: int) -> None:
    words = [int.from_bytes(raw[k : k + 8], "big") % P for k in range(0, len(raw) - len(raw) % 24, 8)]
    cells = np.array(words, np.uint64).reshape(-1, 3)
    for h, t in drawn(random.Random(n), n).items():
        add_one(cells, h, t)
    found = decode(cells)
    assert len(found.items) <= 2 * len(cells) + 16


def test_cells_that_contradict_each_other_cost_no_more_than_cells_that_do_not() -> None:
    rng = random.Random(5)
    cells = empty(CELLS)
    for i in range(CELLS):  # each holds one item of its own that its walk visits: every cell is pure, none agrees
        h = rng.randrange(P)
        while i not in walk(h, i + 1) and i < 200:
            h = rng.randrange(P)
        t = rng.randrange(1, P)
        cells[i] = (t, t * h % P, t * h * h % P)
    found = decode(cells)
    assert found.left
    assert len(found.items) <= 2 * CELLS + 16


def test_items_that_crowd_the_low_cells_stall_only_themselves() -> None:
    rng = random.Random(11)
    honest, ground = drawn(rng, 60), crowding(rng, 2, 150)
    table = sketch({**honest, **ground})
    early = decode(table[:150])
    assert early.left == 1  # the first cell, in which the two are together
    assert early.items == honest
    assert decode(table[: 150 * 15]) == ({**honest, **ground}, 0)


def test_two_places_ground_to_be_one_come_out_as_one_item() -> None:
    table = sketch({5: 100})
    add_one(table, 5, 200)
    assert decode(table[:4]) == ({5: 300}, 0)


# -- probes


def test_four_bits_a_cell_tell_how_many_cells_are_needed() -> None:
    rng = random.Random(2)
    here = sketch(drawn(rng, 500))
    assert exchange.estimate(here, exchange.probes(here)) == 0.0
    for d in (1, 10, 100, 1_000):
        guesses = []
        for _ in range(9):
            there = here.copy()
            more = drawn(rng, d)
            add(there, array(list(more)), array(list(more.values())))
            guesses.append(exchange.estimate(here, exchange.probes(there)))
        assert 0.6 * d < sorted(guesses)[4] < 1.6 * d


def test_as_many_cells_as_decode_are_sent_and_none_for_more_than_a_table_holds() -> None:
    assert exchange.cells_for(0) == 1
    assert exchange.cells_for(1) == 3
    assert 137 < exchange.cells_for(100) < 200
    assert exchange.cells_for(4_000) == CELLS
    assert exchange.cells_for(20_000) == 0
    with pytest.raises(ValueError, match="this one 3"):
        exchange.estimate(empty(), b"abc")


def test_a_fingerprint_is_the_first_sixteen_bytes_in_two_words_below_p() -> None:
    assert fingerprint(bytes(range(32))) == (0x0001020304050607 >> 3, 0x08090A0B0C0D0E0F >> 3)
    assert max(fingerprint(b"\xff" * 16)) == P
