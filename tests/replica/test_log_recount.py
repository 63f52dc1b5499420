"""What counts of a log after a fork, a pin, a cut or another control path, what is held beside it, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from banyan_crdt.entry import Entry
from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId, CellKey, EntryId, Head, LogId, control_log
from banyan_crdt.ops import Drop, Host, Pin, Put
from banyan_crdt.realm import TEST
from banyan_crdt.run import run_row_bytes
from banyan_replica.intake import control_logs, log_recount
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.log_recount import KEEP_S
from banyan_replica.intake.own_tips import TIPS, own_tips, wrote_control
from banyan_schema.social import FOLLOW, POST, Post, encode_post
from banyan_storage import tables as t
from banyan_storage.due import Work
from banyan_storage.entry_records import encode_record
from banyan_storage.local_tables import OWN_TIPS
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.slots import TIMELINE
from banyan_storage.store import Store
from banyan_storage.views import SocialViews
from banyan_storage.views.registry import VIEW_TABLES
from tests.crdt.make import Person, follow, make_part
from tests.replica.helpers import NOW_MS, give
from tests.replica.judging import held, ids, known, notes, reason, run_of, sound

LATER_MS = NOW_MS + KEEP_S * 1000


def forked(*tags: str, trunk: int = 2, above: int = 1) -> tuple[Person, list[list[Entry]]]:
    """An account with notaries of strata 1 and 2, and as many branches of one log; the smaller first entry first."""
    an = Person()
    an.grant("second", stratum=2)
    an.grant("first", stratum=1)
    log = an.write(trunk)
    branches = [an.write(above, below=log, tag=tag) for tag in tags]
    return an, sorted(branches, key=lambda b: b[trunk].id)


def of(person: Person, *logs: list[Entry]) -> Ingest:
    node = known(person)
    for log in logs:
        give(node, log)
    return node


# -- pins


def test_a_pin_of_a_notary_chooses_in_a_fork_at_once() -> None:
    an, (a, b) = forked("a", "b")
    for chosen in (a, b):
        node = of(an, a, b)
        assert node.head(an.log()) == Head(2, a[1].id, 1)
        give(node, notes(an, "first", chosen[2]))
        assert node.head(an.log()) == Head(3, chosen[2].id, 0)
        sound(node)


def test_a_pin_that_a_tie_takes_back_chooses_no_longer() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an, a, b)
    below = list(an.control)
    node.control(an.id, [an.say(an.pin(b[2]))], NOW_MS)
    assert node.head(an.log()) == Head(3, b[2].id, 0)
    node.control(an.id, [an.say(an.pin(a[2]), below=below)], NOW_MS)  # two next entries of one key: the log is frozen
    control = node.control_of(an.id)
    assert control is not None
    assert control.frozen
    assert node.head(an.log()) == Head(2, a[1].id, 1)
    sound(node)


def test_a_pin_of_a_notary_chooses_in_an_account_that_was_not_at_hand() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an, a, b)
    node.forget()
    give(node, notes(an, "first", b[2]))
    assert node.head(an.log()) == Head(3, b[2].id, 0)


def test_the_control_log_speaks_before_a_notary_and_a_lower_stratum_before_a_higher() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an, a, b)
    give(node, notes(an, "second", b[2]))
    assert held(node, an.log()) == (ids(b), {a[2].id})
    give(node, notes(an, "first", a[2]))
    assert held(node, an.log()) == (ids(a), {b[2].id}), "both pins are of branches of one length"
    node.control(an.id, [an.say(an.pin(b[2]))], NOW_MS)
    assert held(node, an.log()) == (ids(b), {a[2].id})
    sound(node)


def many_forked(n: int) -> tuple[Ingest, Person, Pin]:
    """An account with n forked logs, and an entry of a notary at the end of those that pin one branch of each."""
    an = Person()
    an.grant("phone", first=9, logs=n)
    an.grant("first", stratum=1)
    branches = [[an.write(1, number=9 + k, tag=tag) for tag in "ab"] for k in range(n)]
    others = [notes(an, "first", *(log[0] for log in side)) for side in zip(*branches, strict=True)]
    node = of(an, *others, *(log for both in branches for log in both))
    return node, an, an.pin(others[0][-1])


def test_a_checkpoint_that_moves_many_logs_reads_and_is_charged_in_proportion_to_them() -> None:
    """It names one log of a notary, and that names all the others."""
    costs, paid = list[int](), list[int]()

    def may(rows: int) -> bool:
        paid.append(rows)
        return True

    for n in (20, 80):
        node, an, end = many_forked(n)
        for k, pins in enumerate(([end], [], [end]), 1):
            before = node.store.decoded
            paid.clear()
            node.checkpoint(an.checkpoint("root0", n=k, pins=pins), NOW_MS, may)
            assert sum(paid) >= n * log_recount.COUNTED_ROWS
        costs.append(node.store.decoded - before)
        sound(node)
    assert costs[1] < 5 * costs[0]


def test_pins_that_were_read_once_are_read_again_when_the_notary_or_a_checkpoint_says_others() -> None:
    node, an, end = many_forked(2)
    log = an.log(number=9)
    node.checkpoint(an.checkpoint("root0", n=1, pins=[end]), NOW_MS)
    first = node.head(log)
    assert node.lacks(log) == []
    for n, pins in enumerate(([], [end], []), 2):
        node.checkpoint(an.checkpoint("root0", n=n, pins=pins), NOW_MS)
        assert (node.head(log) == first) == bool(pins)
    sound(node)


@pytest.mark.parametrize("lower_is_first", [True, False])
def test_strata_decide_and_not_the_names_of_writers(lower_is_first: bool) -> None:
    an = Person()
    log = an.write(2)
    a, b = (an.write(1, below=log, tag=tag) for tag in "ab")
    low, high = sorted(("n1", "n2"), key=an.key, reverse=not lower_is_first)
    an.grant(high, stratum=2)
    an.grant(low, stratum=1)
    node = of(an, notes(an, high, a[2]), notes(an, low, b[2]), a, b)
    assert node.head(an.log()) == Head(3, b[2].id, 0)
    sound(node)


@pytest.mark.parametrize("lower_is_first", [True, False])
def test_of_one_stratum_the_log_that_was_granted_first_speaks_first(lower_is_first: bool) -> None:
    an = Person()
    log = an.write(2)
    a, b = (an.write(1, below=log, tag=tag) for tag in "ab")
    first, second = sorted(("n1", "n2"), key=an.key, reverse=not lower_is_first)
    an.grant(first, stratum=1)
    an.grant(second, stratum=1)
    node = of(an, notes(an, second, a[2]), notes(an, first, b[2]), a, b)
    assert node.head(an.log()) == Head(3, b[2].id, 0)
    sound(node)


def test_a_void_entry_of_a_notary_chooses_nothing() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an, a, b)
    void = follow(an.full("first"), an.log("first"), [], an.pin(b[2]), Drop(an.key("phone"), 1))
    give(node, [void])
    node.control(an.id, [an.say(an.pin(a[1]))], NOW_MS)
    assert node.head(an.log()) == Head(2, a[1].id, 1)
    sound(node)


def test_what_a_forked_notary_pinned_above_its_fork_is_chosen_no_more() -> None:
    an, (a, b) = forked("a", "b")
    first = an.write(1, "first")
    other = an.write(1, "first", below=first, tag="clone")
    node = of(an, a, b)
    give(node, notes(an, "first", b[2], below=first))
    assert node.head(an.log()) == Head(3, b[2].id, 0)
    give(node, other, 1)
    assert node.head(an.log("first")) == Head(1, first[0].id, 1)
    assert held(node, an.log()) == (ids(a[:2]), {a[2].id, b[2].id})
    sound(node)


def test_a_pin_that_makes_a_notary_count_makes_its_own_pins_count() -> None:
    an, (a, b) = forked("a", "b")
    of_a, of_b = notes(an, "second", a[2]), notes(an, "second", b[2])
    node = of(an, a, b, of_a, of_b)
    assert node.head(an.log("second")) == Head(0, None, 1)
    give(node, notes(an, "first", of_b[0]))
    assert node.head(an.log()) == Head(3, b[2].id, 0)
    sound(node)


def test_a_pin_inside_a_run_bites() -> None:
    an = Person()
    honest, stolen = an.write(10), an.write(2, tag="thief")
    an.say(an.pin(honest[4]))
    node = of(an, stolen)
    assert len(node.run(run_of(honest), NOW_MS)) == 10
    assert held(node, an.log()) == (ids(honest), set(ids(stolen)))
    sound(node)


def test_a_log_forks_right_above_its_last_pin_and_nowhere_below() -> None:
    an = Person()
    log = an.write(10)
    an.say(an.pin(log[5]))
    below, above = an.write(1, below=log[:5], tag="x"), an.write(1, below=log[:6], tag="x")
    node = of(an, log)
    give(node, below, 5)
    assert held(node, an.log()) == (ids(log), {below[5].id})
    give(node, above, 6)
    assert node.head(an.log()) == Head(6, log[5].id, 1)
    sound(node)


def test_what_comes_under_a_pin_that_another_pin_overrules_is_held_beside() -> None:
    an, (a, b) = forked("a", "b")
    an.say(an.pin(a[2]))
    an.say(an.pin(b[2]))
    node = of(an, a)
    give(node, b, 2)
    assert held(node, an.log()) == (ids(a), {b[2].id})
    sound(node)


def test_a_pin_that_is_judged_anew_is_metered_too() -> None:
    an = Person()
    honest, stolen = an.write(10), an.write(2, tag="thief")
    an.say(an.pin(honest[4]))
    node = of(an, stolen)
    with pytest.raises(NotYet) as why:
        node.run(run_of(honest), NOW_MS, lambda entries: False)
    assert why.value.reason == "busy"
    assert held(node, an.log()) == (ids(stolen), set())


def test_every_head_that_moves_is_told() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an)
    heads = {log: node.head(log) for log in (control_log(an.id), an.log(), an.log("first"))}
    told = Ingest(node.store, TEST, lambda log, was, now: heads.update({log: now}) if heads[log] == was else None)
    for log in (a, b):
        give(told, log)
    give(told, notes(an, "first", b[2]))
    told.control(an.id, [an.say(an.pin(a[2]))], NOW_MS)
    told.control(an.id, [an.say(an.cut("phone"))], NOW_MS)
    assert heads == {log: node.store.head(log) for log in heads}


# -- views


def test_views_show_what_counts_after_a_fork_and_after_a_pin() -> None:
    an = Person()
    log, contents = list[Entry](), list[bytes | None]()

    def post(below: list[Entry], k: int) -> list[Entry]:
        part, raw = make_part(f"post {k}", encode_post(Post(f"post {k}")))
        contents.append(raw)
        op = Put(POST, CellKey(k.to_bytes(16, "big")), (), part)
        return [*below, follow(an.full("phone"), an.log(), below, op, parts=part.size)]

    for k in range(4):
        log = post(log, k)
    other = post(log[:2], 9)
    engine = MemoryEngine((*t.STORE_TABLES, *VIEW_TABLES))
    node = Ingest(Store(engine, TEST, new_store_id=bytes(16), views=SocialViews()), TEST)
    node.control(an.id, an.control, NOW_MS)
    node.run(run_of(log), NOW_MS, contents=contents[:4])
    assert engine.write().count(TIMELINE) == 4
    node.run(run_of(other, 2), NOW_MS, contents=contents[4:])
    assert engine.write().count(TIMELINE) == 2
    node.control(an.id, [an.say(an.pin(log[3]))], NOW_MS)
    assert engine.write().count(TIMELINE) == 4, "content of what was suspended is kept"


@pytest.mark.parametrize("content", [True, False])
def test_views_show_what_the_grant_allows_that_stands_in_the_end(content: bool) -> None:
    an = Person()
    trunk = list(an.control)
    wide = an.say(an.grant_op("laptop"))
    rotated = an.say(an.rotate(0, "root2"), by="root1", below=trunk)
    narrow = an.say(an.grant_op("laptop")._replace(colls=(FOLLOW,)), by="root1", below=[*trunk, rotated])
    part, raw = make_part("post", encode_post(Post("post")))
    put = Put(POST, CellKey(bytes(16)), (), part)
    log = [follow(an.full("laptop"), an.log("laptop"), [], put, parts=part.size)]
    found = list[tuple[int, bool, Head]]()
    for control in ([trunk, [wide], log, [rotated, narrow]], [trunk, [rotated, narrow], [wide], log]):
        engine = MemoryEngine((*t.STORE_TABLES, *VIEW_TABLES))
        node = Ingest(Store(engine, TEST, new_store_id=bytes(16), views=SocialViews()), TEST)
        for entries in control:
            if entries is log:
                node.run(run_of(log), NOW_MS, contents=[raw] if content else [None])
            else:
                node.control(an.id, entries, NOW_MS)
        shown, lacks = engine.write().count(TIMELINE), node.store.lacks_part(log[0].id, 0)
        found.append((shown, lacks, node.head(an.log("laptop"))))
    assert found == [(0, False, Head(1, log[0].id, 0))] * 2


def test_another_grant_costs_what_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_logs, "SHORT_COUNT", 5)
    an, asked = Person(), list[int]()

    def may(rows: int) -> bool:
        asked.append(rows)
        return False

    trunk = list(an.control)
    wide = an.say(an.grant_op("laptop"))
    node = of(an, an.write(9), [follow(an.full("laptop"), an.log("laptop"), [])])
    rotated = an.say(an.rotate(0, "root2"), by="root1", below=trunk)
    narrow = an.say(an.grant_op("laptop")._replace(colls=(FOLLOW,)), by="root1", below=[*trunk, rotated])
    with pytest.raises(NotYet, match="53 entries must be counted again"):
        node.control(an.id, [rotated, narrow], NOW_MS, may=may)
    assert asked == [10 + 2 * log_recount.COUNTED_ROWS + 3], "ten entries of two logs are counted, of three heads"
    assert held(node, control_log(an.id))[0] == ids([*trunk, wide])


# -- room


def test_of_what_never_counted_so_much_is_held_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 4)
    an = Person()
    log, branches = an.write(9), [an.write(2, tag=tag) for tag in "abc"]
    node = of(an, log, branches[0], branches[1])
    assert held(node, an.log()) == ([], {e.id for part in (log, *branches[:2]) for e in part})
    assert reason(node, branches[2]) == "branch"
    sound(node)


def test_room_is_counted_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    branches = [an.write(1, tag=tag) for tag in "abcd"]
    monkeypatch.setattr(log_recount, "BESIDE_BYTES", 400)
    node = of(an, branches[0], branches[1])
    assert reason(of(an, branches[0], branches[1]), an.write(9, tag="x")) == "branch"
    give(node, branches[2])


def test_content_takes_room_too_also_what_is_held_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    chosen = an.write(1)
    an.say(an.pin(chosen[0]))
    branches, contents = list[list[Entry]](), list[bytes]()
    for k in range(3):
        part, raw = make_part(f"content {k}", bytes(1_000))
        contents.append(raw)
        branches.append(
            [follow(an.full("phone"), an.log(), [], Put(POST, CellKey(bytes(16)), (), part), parts=part.size)]
        )
    one = len(encode_record(0, branches[0][0])) + len(contents[0])
    monkeypatch.setattr(log_recount, "BESIDE_BYTES", 2 * one)
    node = of(an, chosen)
    for branch, content in zip(branches[:2], contents, strict=False):
        node.run(run_of(branch), NOW_MS, contents=[content])
    for _ in range(2):
        with pytest.raises(NotYet, match="beside many"):
            node.run(run_of(branches[2]), NOW_MS, contents=[contents[2]])
        node.forget()
    assert held(node, an.log()) == (ids(chosen), {b[0].id for b in branches[:2]})
    sound(node)


def test_the_used_room_is_noted_while_forks_come_ever_lower_and_is_what_the_store_holds() -> None:
    an = Person()
    chosen = an.write(40)
    node = of(an, chosen)
    slow, log, counted = node.slow, an.log(), 0
    read = node.store.loose_rows

    def reading(*given: Any, **named: Any) -> Any:
        nonlocal counted
        counted += 1
        return read(*given, **named)

    setattr(node.store, "loose_rows", reading)  # noqa: B010
    for k in range(30):
        branch = an.write(2, below=chosen[: 38 - k], tag=f"b{k}")
        node.run(run_of(branch), NOW_MS)
        if k % 3 == 0:
            give(node, an.write(1, below=branch, tag=f"more {k}"))
    assert counted <= 2, "the first time, and never again"
    noted = slow.room(log).entries, slow.room(log).size
    node.forget()
    assert (slow.room(log).entries, slow.room(log).size) == noted
    assert noted[0] == 30 * 2 + 10
    sound(node)


def test_evidence_of_a_fork_displaces_what_nothing_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 10)
    an = Person()
    chosen = an.write(40)
    node = of(an, chosen)
    for k in range(30):
        node.run(run_of(an.write(2, below=chosen[: 38 - k], tag=f"b{k}"), 38 - k), NOW_MS)
        never = [row for row in node.store.loose_rows(an.log()) if row.kind == t.BRANCH]
        assert len(never) <= 10, "two of them are evidence, and the others make room for those that come"
        assert node.head(an.log()) == Head(38 - k, chosen[37 - k].id, 1)
    sound(node)


def test_erased_content_does_not_return_with_a_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    part, raw = make_part("taken down", bytes(100))
    entry = follow(an.full("phone"), an.log(), [], Put(POST, CellKey(bytes(16)), (), part), parts=part.size)
    node = of(an)
    node.run(run_of([entry]), NOW_MS, contents=[raw])
    assert node.store.part(entry.id, 0) == raw
    node.store.erase_part(entry.id, 0, b"order 17")
    chosen = an.write(1)
    node.control(an.id, [an.say(an.pin(chosen[0]))], NOW_MS)
    give(node, chosen)
    for gone in (False, True):  # it is beside the log; it was forgotten, and comes again as a branch
        assert node.expire(an.log(), LATER_MS) == gone if gone else True
        node.run(run_of([entry]), NOW_MS, contents=[raw])
        assert held(node, an.log()) == (ids(chosen), {entry.id})
        assert node.store.part(entry.id, 0) is None
        assert node.store.withheld(entry.id, 0) == b"order 17"
    sound(node)


def test_what_stayed_only_for_what_goes_goes_with_it() -> None:
    an = Person()
    log = an.write(2)
    unsigned = an.write(1, below=log, tag="low", signed=False)
    low, high = an.write(1, below=unsigned, tag="a"), an.write(1, below=unsigned, tag="b")
    others = [an.write(1, below=log, tag=tag) for tag in "xyz"]
    node = of(an, *others)
    for branch in (low, high):
        node.run(run_of(branch, 2), NOW_MS)
    assert node.expire(an.log(), LATER_MS) > 0
    assert node.expire(an.log(), LATER_MS) == 0, "nothing is left for a second look"
    sound(node)


def test_a_pin_gives_back_the_room_of_the_branch_that_it_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 4)
    an = Person()
    first, chosen, beside, late = (an.write(2, tag=tag) for tag in "abcd")
    node = of(an, first, chosen, beside)
    assert reason(node, late) == "branch"
    node.control(an.id, [an.say(an.pin(chosen[1]))], NOW_MS)
    give(node, late)
    assert held(node, an.log()) == (ids(chosen), {e.id for part in (first, beside, late) for e in part})
    sound(node)


def test_room_that_was_used_in_a_transaction_that_was_lost_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 4)
    an = Person()
    first, second, third, late = (an.write(2, tag=tag) for tag in "abcd")
    node = of(an, first, second)
    node.store.commit()
    give(node, third)
    node.store.rollback()
    node.forget()
    give(node, late)
    sound(node)


def test_the_rest_of_the_run_that_ends_at_a_cut_needs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 0)
    an = Person()
    log = an.write(10)
    an.say(an.cut("phone", log[4]))
    node = known(an)
    assert len(node.run(run_of(log), NOW_MS)) == 5
    assert held(node, an.log()) == (ids(log[:5]), set(ids(log, 5)))
    sound(node)


def taken_over(branches: int = 3) -> tuple[Person, list[list[Entry]]]:
    """A control log whose next root rotated, and branches of the old root that do not count: a long entry, a short."""
    an = Person()
    trunk = list(an.control)
    an.say(an.rotate(0, "root2"), by="root1")
    log = an.write(20)
    out = []
    for k in range(branches):
        long = an.say(*map(an.pin, log[k:]), below=trunk)
        out.append([long, an.say(Host(AccountId(an.key(f"host {k}"))), below=[*trunk, long])])
    return an, out


def test_what_is_held_beside_a_control_log_takes_room_however_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 4)
    an, branches = taken_over()
    node = known(an)
    for branch in branches[:2]:
        assert node.control(an.id, branch, NOW_MS)
    for _ in range(2):
        with pytest.raises(NotYet) as why:
            node.control(an.id, branches[2], NOW_MS)
        assert why.value.reason == "branch"
    assert held(node, control_log(an.id)) == (ids(an.control), {e.id for b in branches[:2] for e in b})
    sound(node)


def test_a_branch_of_a_control_log_that_had_no_room_is_not_taken_for_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 2)
    an, (one, two, _) = taken_over()
    node = known(an)
    assert node.control(an.id, [one[0], two[0], one[1], two[1]], NOW_MS)
    assert held(node, control_log(an.id)) == (ids(an.control), {one[0].id, two[0].id})
    for branch in (one, two):
        with pytest.raises(NotYet) as why:
            node.control(an.id, branch, NOW_MS)
        assert why.value.reason == "branch"
    sound(node)


def test_nothing_is_held_beside_a_control_log_that_hangs_on_what_had_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    an, ((long, short), *_) = taken_over()
    monkeypatch.setattr(log_recount, "BESIDE_BYTES", run_row_bytes(short.ops))
    node = known(an)
    with pytest.raises(NotYet):
        node.control(an.id, [long, short], NOW_MS)
    assert held(node, control_log(an.id)) == (ids(an.control), set())
    sound(node)


def test_the_evidence_of_a_tie_needs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 0)
    an = Person()
    trunk = list(an.control)
    mine, thiefs = an.say(an.grant_op("laptop")), an.say(an.grant_op("tablet"), below=trunk)
    node = known(an)
    assert node.control(an.id, [thiefs], NOW_MS)
    assert held(node, control_log(an.id)) == (ids(trunk), {mine.id, thiefs.id})
    sound(node)


def test_a_control_path_that_counted_needs_no_room_beside_the_stronger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 0)
    an = Person()
    trunk = list(an.control)
    until_now = [an.say(an.grant_op(device)) for device in ("laptop", "tablet")]
    node = known(an)
    stronger = an.say(an.rotate(0, "root2"), by="root1", below=trunk)
    assert node.control(an.id, [stronger], NOW_MS)
    assert held(node, control_log(an.id)) == (ids([*trunk, stronger]), set(ids(until_now)))
    sound(node)


def test_control_entries_that_were_written_here_come_back_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 0)
    an, ((long, short), other, third) = taken_over()
    node = known(an)
    for tip in (short, third[1]):
        wrote_control(node.store, control_log(an.id), tip.id, tip.header.prev)
    assert node.control(an.id, [long, short, *other, *third], NOW_MS)
    assert held(node, control_log(an.id)) == (ids(an.control), {long.id, short.id, *ids(third)})
    sound(node)


def test_of_entries_that_were_written_here_the_highest_of_each_branch_is_remembered() -> None:
    an, branches = taken_over()
    node, log = known(an), control_log(an.id)
    for long, short in branches:
        for entry in (long, short):
            wrote_control(node.store, log, entry.id, entry.header.prev)
    assert own_tips(node.store, log) == [short.id for _, short in branches]
    for k in range(TIPS):
        wrote_control(node.store, log, EntryId(bytes([k]) * 32), None)
    assert own_tips(node.store, log) == [bytes([k]) * 32 for k in range(TIPS)]


def test_control_entries_that_hang_on_nothing_held_are_not_yet() -> None:
    an = Person()
    node = known(an)
    an.say(an.grant_op("laptop"))
    with pytest.raises(NotYet) as why:
        node.control(an.id, [an.say(an.grant_op("tablet"))], NOW_MS)
    assert why.value.reason == "control"


# -- for how long


def test_what_does_not_count_is_held_for_thirty_days_and_the_evidence_of_a_fork_for_good() -> None:
    an = Person()
    log = an.write(2)
    a, b, c = sorted((an.write(1, below=log, tag=tag) for tag in "abc"), key=lambda b: b[-1].id)
    node = of(an, a, b, c)
    assert node.expire(an.log(), LATER_MS - 1000) == 0
    assert node.expire(an.log(), LATER_MS) == 1
    assert held(node, an.log()) == (ids(log), {a[2].id, b[2].id})
    assert node.head(an.log()) == Head(2, log[1].id, 1)
    sound(node)


def test_a_log_of_which_all_branches_were_forgotten_is_a_usual_one_again() -> None:
    an, (a, b) = forked("a", "b")
    an.say(an.pin(a[2]))
    node = of(an, a, b)
    assert not node.usual(an.log())
    assert node.expire(an.log(), LATER_MS) == 1
    assert node.usual(an.log())
    assert held(node, an.log()) == (ids(a), set())
    sound(node)


def due(node: Ingest, log: LogId) -> int | None:
    """When entries beside the log are checked."""
    return node.store.due_at(Work.FORGET, t.log_name(log))


def test_what_is_beside_a_log_is_looked_at_when_the_first_of_it_may_go_and_again_for_the_next() -> None:
    an, (a, b, c) = forked("a", "b", "c")
    an.say(an.pin(a[2]))
    node = of(an, a, b)
    node.run(run_of(c, 2), NOW_MS + 1_000_000)
    assert due(node, an.log()) == LATER_MS
    assert node.expire(an.log(), LATER_MS) == 1
    assert due(node, an.log()) == LATER_MS + 1_000_000
    assert node.expire(an.log(), LATER_MS + 1_000_000) == 1
    assert due(node, an.log()) is None


def test_what_is_still_needed_then_is_looked_at_again_after_as_long() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an, a, b)
    assert node.expire(an.log(), LATER_MS) == 0
    assert due(node, an.log()) == LATER_MS + KEEP_S * 1000


def test_where_an_account_is_counted_anew_what_is_deleted_has_its_grace_from_then_on() -> None:
    an, (a, b) = forked("a", "b")
    node = of(an, a, b)
    key = an.id + b"a part of it"
    node.store.set_due(Work.ERASE, key, LATER_MS)
    node.control(an.id, [an.say(an.pin(a[2]))], NOW_MS + 86_400_000)
    assert node.store.due_at(Work.ERASE, key) == LATER_MS + 86_400_000


def test_what_is_beside_a_control_log_is_looked_at_in_its_time() -> None:
    an, (branch, *_) = taken_over()
    node = known(an)
    assert due(node, control_log(an.id)) is None
    node.control(an.id, branch, NOW_MS)
    assert due(node, control_log(an.id)) == LATER_MS


def test_what_a_younger_entry_hangs_on_stays_with_it() -> None:
    an, (a, b) = forked("a", "b")
    an.say(an.pin(a[2]))
    node = of(an, a, b)
    higher = an.write(1, below=b, tag="late")
    node.run(run_of(higher, 3), NOW_MS + 1_000_000)
    assert node.expire(an.log(), LATER_MS) == 0
    assert held(node, an.log()) == (ids(a), {b[2].id, higher[3].id})
    assert node.expire(an.log(), LATER_MS + 1_000_000) == 2
    sound(node)


def test_what_was_written_here_stays_for_good() -> None:
    an, (a, b) = forked("a", "b")
    an.say(an.pin(a[2]))
    node = of(an, a, b)
    OWN_TIPS.put(node.store, an.log(), [b[2].id])
    assert node.expire(an.log(), LATER_MS) == 0
    assert held(node, an.log()) == (ids(a), {b[2].id})


def test_what_was_written_here_stays_with_the_signature_that_vouches_for_it() -> None:
    an = Person()
    log = an.write(1)
    pinned = an.write(1, below=log, tag="a")
    mine = [e._replace(sig=None) if e.header.seq < 3 else e for e in an.write(3, below=log, tag="b")]
    an.say(an.pin(pinned[1]))
    node = of(an, pinned)
    node.run(run_of(mine, 1), NOW_MS)
    OWN_TIPS.put(node.store, an.log(), [mine[1].id])
    assert node.expire(an.log(), LATER_MS) == 0
    assert held(node, an.log()) == (ids(pinned), set(ids(mine, 1)))
    sound(node)


def test_counting_anew_makes_nothing_younger() -> None:
    an, (a, b, c) = forked("a", "b", "c")
    node = of(an, a, b, c)
    node.control(an.id, [an.say(an.pin(a[2]))], LATER_MS - 86_400_000)
    assert node.expire(an.log(), LATER_MS) == 2
    sound(node)


def test_what_was_forgotten_leaves_its_room_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 4)
    an = Person()
    pinned, second, third, late = (an.write(2, tag=tag) for tag in "abcd")
    an.say(an.pin(pinned[1]))
    node = of(an, pinned, second, third)
    assert reason(node, late) == "branch"
    assert node.expire(an.log(), LATER_MS) == 4
    give(node, late)
    sound(node)


def test_what_counted_once_is_charged_to_no_room() -> None:
    an = Person()
    log = an.write(10)
    node = of(an, log)
    node.control(an.id, [an.say(an.cut("phone", log[4]))], NOW_MS)
    assert {row.kind for row in node.store.loose_rows(an.log())} == {t.QUARANTINED}
    assert not node.usual(an.log())
    sound(node)


def test_a_branch_of_a_control_log_that_was_forgotten_may_come_again() -> None:
    an, (branch, *_) = taken_over()
    node = known(an)
    assert node.control(an.id, branch, NOW_MS)
    assert not node.control(an.id, branch, NOW_MS)
    assert node.expire(control_log(an.id), LATER_MS) == 2
    assert node.control(an.id, branch, NOW_MS)
    assert held(node, control_log(an.id)) == (ids(an.control), set(ids(branch)))
    sound(node)


def test_the_evidence_of_a_frozen_control_log_stays_for_good() -> None:
    an = Person()
    trunk = list(an.control)
    mine, thiefs = an.say(an.grant_op("laptop")), an.say(an.grant_op("tablet"), below=trunk)
    node = known(an)
    node.control(an.id, [thiefs], NOW_MS)
    assert node.expire(control_log(an.id), LATER_MS) == 0
    assert held(node, control_log(an.id)) == (ids(trunk), {mine.id, thiefs.id})
    sound(node)


# -- grants that go


def test_a_log_whose_grant_goes_with_its_control_path_counts_nothing() -> None:
    an = Person(device=None)
    born = list(an.control)
    an.grant("phone")
    log = an.write(4)
    node = of(an, log)
    rotated = an.say(an.rotate(0, "root2"), by="root1", below=born)
    assert node.control(an.id, [rotated], NOW_MS)
    assert held(node, an.log()) == ([], set(ids(log)))
    sound(node)
