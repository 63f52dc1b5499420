"""Registers, sets, counters and tombs: any order and any repetition of the entries gives the same cells."""

from collections.abc import Iterable
from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.cells import Cells, fold
from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId, LogId, Ref, coll
from banyan_crdt.ops import Add, Count, Del, Op, Put, Text, TextDel, Tomb
from tests.crdt.make import POSTS, START, Person, add, b32, bodies, follow, key, ref, signer

AN = Person()
CELL = (POSTS, key("k"))
SET = (POSTS, key("set"))


def one(name: str, *ops: Op, time: int = START) -> Entry:
    """An entry of a new device."""
    return follow("device " + name, LogId(AN.id, signer("device " + name).key, 1), [], *ops, time=time)


def put(*refs: Ref, k: str = "k") -> Put:
    return Put(POSTS, key(k), refs, None)


def folded(*entries: Entry) -> Cells:
    """The cells, after checking that every order (of up to four entries) and doubled entries give the same."""
    cells = fold(bodies(entries))
    for turned in permutations(entries) if len(entries) < 5 else (entries[::-1],):
        assert fold(bodies([*turned, *entries])) == cells
    return cells


def shown(cells: Cells) -> list[EntryId]:
    return [stamp[1] for stamp, _ in cells.registers.get(CELL, [])]


def test_two_writes_that_do_not_know_of_one_another_both_live_and_the_later_shows() -> None:
    a, b = one("a", put(), time=START + 2), one("b", put(), time=START + 1)
    assert shown(folded(a, b)) == [a.id, b.id]


def test_equal_times_are_ordered_by_id_and_then_by_operation() -> None:
    entries = [one(n, put(), put()) for n in "abc"]
    got = [(s[1], s[2]) for s, _ in folded(*entries).registers[CELL]]
    assert got == sorted(((e.id, i) for e in entries for i in (0, 1)), reverse=True)


def test_a_put_replaces_what_it_names_even_if_that_is_later() -> None:
    """Otherwise a phone whose clock is ten years ahead would always win."""
    ahead = one("ahead", put(), time=START + (10 * 365 * 86_400_000 << 16))
    assert shown(folded(ahead, after := one("b", put(ref(ahead))))) == [after.id]


def test_a_put_covers_puts_of_its_own_cell_only() -> None:
    a = one(
        "a", put(), put(k="other"), Add(POSTS, key("k"), key("u"), None), Text(POSTS, key("k"), None, None, 2, None)
    )
    b = one("b", put(*(ref(a, i) for i in range(4))))
    cells = folded(a, b)
    assert shown(cells) == [b.id]
    assert (POSTS, key("other")) in cells.registers
    assert key("u") in cells.sets[CELL]
    assert len(cells.texts[CELL]) == 2


def test_a_del_covers_puts_adds_and_texts_of_its_collection() -> None:
    a = one("a", put(), add("u"), Text(POSTS, key("t"), None, None, 2, None), Count(POSTS, key("n"), 4))
    refs = tuple(ref(a, i) for i in range(4))
    cells = folded(a, one("b", Del(POSTS, refs)))
    assert not cells.registers
    assert not cells.sets
    assert cells.texts == {(POSTS, key("t")): []}
    assert cells.counters == {(POSTS, key("n")): 4}
    assert folded(a, one("c", Del(coll("another"), refs))) == folded(a, one("c", Del(coll("another"), ())))


def test_nobody_removes_the_future() -> None:
    a, b = one("a", add("u")), one("b", add("u"), time=START + 9)
    cells = folded(a, one("c", Del(POSTS, (ref(a),)), time=START + 99), b)
    assert [stamp[1] for stamp, _ in cells.sets[SET][key("u")]] == [b.id]


def test_an_element_is_in_a_set_while_one_add_of_it_is_uncovered() -> None:
    a, b = one("a", add("u")), one("b", add("u"))
    assert key("u") in folded(a, b, one("c", Del(POSTS, (ref(a),)))).sets[SET]
    assert not folded(a, b, one("c", Del(POSTS, (ref(a), ref(b))))).sets


def test_a_name_of_what_does_not_count_is_inert_until_it_counts() -> None:
    a = one("a", put())
    b = one("b", put(ref(a)), Del(POSTS, (Ref(EntryId(b32("nothing")), 0), ref(a, 7))))
    assert shown(folded(b)) == [b.id]
    assert shown(folded(a, b)) == [b.id]


def test_a_cover_that_is_itself_covered_still_covers() -> None:
    a, b = one("a", put()), one("b", put())
    c = one("c", put(ref(a)))
    d = one("d", put(ref(c), ref(b)))
    assert shown(folded(a, b, c, d)) == [d.id]


def test_a_counter_is_the_sum() -> None:
    cells = folded(one("a", Count(POSTS, key("n"), 5), Count(POSTS, key("n"), -7)), one("b", Count(POSTS, key("n"), 1)))
    assert cells.counters == {(POSTS, key("n")): -1}


def test_a_tomb_ends_a_cell_of_every_kind_whatever_comes_later() -> None:
    k = key("k")
    a = one(
        "a", put(), Add(POSTS, k, key("u"), None), Count(POSTS, k, 1), Text(POSTS, k, None, None, 1, None), put(k="x")
    )
    tomb = one("b", Tomb(POSTS, k))
    late = one("c", put(), time=START + 99)
    cells = folded(a, tomb, late)
    assert cells.registers.keys() == {(POSTS, key("x"))}
    assert not cells.sets
    assert not cells.counters
    assert not cells.texts
    assert cells.tombs == {CELL}


def test_a_tomb_of_another_collection_ends_nothing() -> None:
    a = one("a", put())
    assert shown(folded(a, one("b", Tomb(coll("another"), key("k"))))) == [a.id]


NAMES = "abcde"


@st.composite
def sets_of_entries(draw: st.DrawFn) -> list[Entry]:
    made: list[Entry] = []
    for name in NAMES[: draw(st.integers(1, 5))]:
        refs = st.sampled_from([ref(e, i) for e in made for i in range(3)] or [Ref(EntryId(b32("nothing")), 0)])
        some = st.lists(refs, max_size=3).map(tuple)
        k = st.sampled_from([key("k"), key("l")])
        c = st.sampled_from([POSTS, coll("another")])
        op = st.one_of(
            st.builds(Put, c, k, some, st.none()),
            st.builds(Add, c, k, k, st.none()),
            st.builds(Del, c, some),
            st.builds(Count, c, k, st.integers(-3, 3)),
            st.builds(Text, c, k, st.none(), st.none(), st.integers(1, 3), st.none()),
            st.builds(TextDel, c, refs, st.integers(0, 3), st.integers(0, 3)),
            st.builds(Tomb, c, k),
        )
        ops = draw(st.lists(op, min_size=1, max_size=3))
        made.append(one(name, *ops, time=START + draw(st.integers(0, 2))))
    return made


@given(sets_of_entries(), st.randoms(use_true_random=False))
def test_no_order_and_no_repetition_matters(entries: list[Entry], rng: Random) -> None:
    cells = fold(bodies(entries))
    shuffled = [*entries, *entries[:2]]
    rng.shuffle(shuffled)
    assert fold(bodies(shuffled)) == cells


@given(sets_of_entries())
def test_what_is_covered_never_shows(entries: list[Entry]) -> None:
    cells = fold(bodies(entries))
    removed = {(r, op.coll) for e, body in bodies(entries) for op in body.ops if isinstance(op, Del) for r in op.refs}
    live: Iterable[tuple[Ref, bytes]] = [
        (Ref(s[1], s[2]), c[0]) for c, found in cells.registers.items() for s, _ in found
    ]
    assert not removed & set(live)
