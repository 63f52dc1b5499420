"""Two replicas find what differs with one question and one answer, also if one of them is malicious."""

from __future__ import annotations

import itertools
import random
import re
from functools import cache

import numpy as np
import pytest

from banyan_crdt.entry import Entry
from banyan_crdt.ids import Head
from banyan_crdt.realm import TEST
from banyan_crdt.run import Run, decode_run
from banyan_replica.frontier.index import id_words, name_words
from banyan_replica.frontier.sketch import CELL_BYTES, CELLS, P, add_one, key_of, pack, place, walk, weight
from banyan_replica.gossip.frames import Join, encode_frame
from banyan_replica.intake.own_tips import MOST, RecentOwnHeads
from banyan_replica.peers.limits import Limits
from banyan_replica.sync.exchange import PROBE_BYTES
from banyan_replica.wire.message_table import decode_message
from banyan_replica.wire.messages import (
    ABILITIES,
    BUSY,
    HERE,
    TOO_MANY,
    GossipFrame,
    Heads,
    Message,
    Root,
    Sketch,
    SketchCells,
    SketchNames,
    Sums,
)
from tests.crdt.make import Person, add, follow, run_bytes, signer
from tests.replica.helpers import NOW_MS, World, give, plain_hello

QUESTION = Sketch(b"", 0, 0, 0, bytes(PROBE_BYTES))


@cache
def somebody(k: int) -> Person:
    return Person(f"p{k}")


@cache
def written(k: int, number: int, second: bool) -> tuple[Run, ...]:
    """The first entry of a log of theirs, and the second."""
    person = somebody(k)
    log = person.write(1 + second, number=number)
    return tuple(decode_run(TEST, run_bytes(log, seq, seq + 1)) for seq in range(1 + second))


def twins(logs: int, *second: str) -> tuple[World, list[tuple[Person, int]]]:
    """Two replicas that hold one entry each in the same logs of the same people. second: who holds a second entry of
    the first log, the second, and so on."""
    w = World("a", "b")
    names: list[tuple[Person, int]] = []
    for k in range(-(-logs // 8)):
        person = somebody(k)
        for r in w.replicas.values():
            r.ingest.control(person.id, person.control, NOW_MS)
        for number in range(1, 9):
            more = second[len(names)] if len(names) < len(second) else ""
            names.append((person, number))
            for at, run in enumerate(written(k, number, bool(more))):
                for name in more if at else w.replicas:
                    w.replicas[name].ingest.run(run, NOW_MS)
        for name in w.replicas:
            w.drain(name)
    return w, names


def write(w: World, at: str, person: Person, number: int, entries: int = 1, tag: str = "") -> list[Entry]:
    """Lets the log grow by so many entries at these replicas."""
    below = w.replicas[at[0]].store.chain(person.log(number=number), 0, 1_000)
    log = person.write(entries, number=number, below=below, tag=tag)
    for name in at:
        give(w.replicas[name].ingest, log, len(below))
        w.drain(name)
    return log


def said(w: World, kind: type[Message]) -> list[Message]:
    return [m for _, m in w.said or () if type(m) is kind]


def apart(w: World) -> int:
    a, b = (dict(r.store.all_heads()) for r in w.replicas.values())
    return sum(a.get(log) != b.get(log) for log in a.keys() | b.keys())


@pytest.mark.parametrize("differences", [1, 10, 100, 1_000])
def test_replicas_that_differ_become_equal_by_one_question_and_one_answer(differences: int) -> None:
    w, names = twins(1_200)
    for k, (person, number) in enumerate(names[:differences]):
        write(w, "ab"[k % 2], person, number, 1 + k % 3)
    assert apart(w) == differences
    w.said = []
    w.link("a", "b")
    w.until(lambda: not apart(w), 10)
    asked = [m for m in said(w, Sketch) if isinstance(m, Sketch) and not m.salt]
    assert len({m.start for m in asked}) <= 2
    assert not said(w, Sums)
    assert not said(w, SketchNames)
    assert not w.rejections("a") + w.rejections("b")


def test_more_differences_than_a_table_holds_are_found_by_ranges() -> None:
    w, _ = twins(5_000, *"ab" * 2_500)
    assert apart(w) == 5_000
    w.said = []
    w.link("a", "b")
    w.until(lambda: not apart(w), 30)
    assert said(w, Sums)
    assert not w.rejections("a") + w.rejections("b")


def test_a_new_account_and_its_logs_come_although_nobody_knows_their_names() -> None:
    w, _ = twins(80)
    new = Person("new")
    w.replicas["a"].ingest.control(new.id, new.control, NOW_MS)
    for number in range(1, 6):
        write(w, "a", new, number)
    w.said = []
    w.link("b", "a")
    w.until(lambda: not apart(w), 10)
    assert not said(w, Sums)


@pytest.mark.parametrize(("at_a", "at_b"), [(1, 6), (6, 1), (3, 3)])
def test_a_fork_reaches_both_sides_whoever_has_the_longer_branch(at_a: int, at_b: int) -> None:
    w, names = twins(40)
    person, number = names[7]
    write(w, "a", person, number, at_a, "one")
    write(w, "b", person, number, at_b, "two")
    w.said = []
    w.link("a", "b")
    w.until(lambda: not apart(w), 30)
    assert w.head("a", person.log(number=number)).flag == 1
    assert not said(w, Sums)


def test_equal_frontiers_are_proved_equal_under_a_salt_by_one_cell() -> None:
    w, _ = twins(40)
    w.said = []
    w.link("a", "b")
    w.run(15)
    asked = said(w, Sketch)
    answered = [m for m in said(w, SketchCells) if isinstance(m, SketchCells) and m.salt != ABILITIES]
    assert [(name, len(m.salt)) for name, m in w.said if isinstance(m, Sketch)] == [("a", 16)]
    assert len(asked) == len(answered) == 1
    assert len(answered[0].cells) == CELL_BYTES


def test_a_neighbour_drawn_at_random_is_asked_under_a_new_salt_every_ten_minutes() -> None:
    w, _ = twins(40)
    w.link("a", "b")
    w.run(15)
    w.said = []
    w.run(1_300)
    salts = [m.salt for m in said(w, Sketch) if isinstance(m, Sketch)]
    assert 3 <= len(salts) <= 5  # two a side
    assert len(set(salts)) == len(salts)


# -- grinding


def ground_fork(person: Person) -> tuple[list[Entry], list[Entry]]:
    """Two branches of one log whose heads have the same tag under the public key: about 2^15 tries."""
    key, trunk = key_of(TEST.id), person.write(1)
    seen: dict[int, Entry] = {}
    for n in itertools.count():
        entry = follow(person.full("phone"), person.log(), trunk, add(f"try {n}"), signed=False)
        tag = weight(key, *id_words(Head(2, entry.id, 0)), 2, 0)
        other = seen.setdefault(tag, entry)
        if other.id != entry.id:
            break
    signed = [e._replace(sig=signer(person.full("phone")).sign(e.id)) for e in (entry, other)]
    return [*trunk, signed[0]], [*trunk, signed[1]]


def test_a_fork_ground_to_one_tag_is_found_under_the_first_salt() -> None:
    w, _ = twins(40)
    person = Person("grinder")
    one, two = ground_fork(person)
    for name, log in (("a", one), ("b", two)):
        w.replicas[name].ingest.control(person.id, person.control, NOW_MS)
        give(w.replicas[name].ingest, log)
        w.drain(name)
    a, b = (r.tree.table(b"") for r in w.replicas.values())
    assert a is not None
    assert b is not None
    assert (a.cells == b.cells).all()
    w.said = []
    w.link("a", "b")
    w.until(lambda: not apart(w), 20)
    assert w.head("a", person.log()) == w.head("b", person.log()) == Head(1, one[0].id, 1)
    assert not said(w, Sums)


def test_heads_ground_to_crowd_the_cells_do_not_keep_honest_ones_from_being_found() -> None:
    """The rogue's logs are in no cell between the first and the 60th, so only they stay undecoded."""
    w, names = twins(80)
    key, crowd = key_of(TEST.id), list[tuple[Person, int]]()
    for k in itertools.count():
        person = Person(f"crowd {k}")
        for number in range(1, 9):
            steps = walk(place(key, *name_words(person.log(number=number))), 1 << 40)
            next(steps)
            if next(steps) > 60:
                crowd.append((person, number))
        if len(crowd) >= 3:
            break
    for person, number in crowd:
        for r in w.replicas.values():
            r.ingest.control(person.id, person.control, NOW_MS)
        write(w, "a", person, number)
    for person, number in names[:5]:
        write(w, "b", person, number)
    w.link("a", "b")
    w.until(lambda: all(w.head("a", p.log(number=n)) == w.head("b", p.log(number=n)) for p, n in names), 8)
    w.until(lambda: not apart(w), 30)
    assert not w.rejections("a") + w.rejections("b")


# -- peers that mean ill


def rogue_asked(w: World) -> Sketch:
    """A rogue connects with another root and is asked."""
    w.rogue("r", "a", logs=80, root=b"r" * 32, arrival=9)
    w.run(0.1)
    (asked,) = (m for m in w.heard["r"] if isinstance(m, Sketch))
    return asked


def answer_to(asked: Sketch, cells: bytes, start: int = 0) -> SketchCells:
    return SketchCells(asked.salt, start, HERE, 5, cells)


@pytest.mark.parametrize(
    ("cells", "start", "sentence"),
    [
        (bytes(25), 0, "pieces of 23 bytes each"),
        (b"\xff" * CELL_BYTES, 0, "below 2\\^61"),
        (b"", 0, "without cells"),
        (bytes(CELL_BYTES * (CELLS + 1)), 0, f"a table has {CELLS} cells"),
    ],
)
def test_an_answer_that_no_honest_peer_gives_costs_its_sender(cells: bytes, start: int, sentence: str) -> None:
    w, _ = twins(40)
    asked = rogue_asked(w)
    w.say("r", "a", answer_to(asked, cells, start=start))
    (why,) = w.rejections("a")
    assert re.search(sentence, why)


def test_answers_that_nobody_asked_for_are_dropped_at_no_cost() -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    w.say(
        "r",
        "a",
        *[SketchCells(b"", 0, HERE, 1, bytes(CELL_BYTES * 100))] * 50,
        SketchCells(b"s" * 16, 0, TOO_MANY, 1, b""),
    )
    assert w.points("a", "r") == 0
    assert not [m for m in w.heard["r"] if isinstance(m, Sums)]


def test_an_answer_that_comes_after_its_question_lapsed_costs_nobody_points() -> None:
    """Under load, an answer comes when its question was given up and asked again. The answer to the second one comes
    while more cells of the first are asked for."""
    w, _ = twins(40)
    rogue_asked(w)
    w.run(w.replicas["a"].limits.session_s + 1)
    w.say("r", "a", Root(80, b"s" * 32, 9))
    w.run(1)
    fresh = np.array([[k + 1, 2, 3] for k in range(40)], np.uint64)
    asked = [m for m in w.heard["r"] if isinstance(m, Sketch) and not m.salt]
    assert len(asked) > 1
    w.say("r", "a", answer_to(asked[0], pack(fresh[:3])))
    w.run(0.1)
    (more,) = (m for m in w.heard["r"] if isinstance(m, Sketch) and not m.salt and m.start)
    assert more.start + more.wanted < 40
    w.say("r", "a", answer_to(asked[1], pack(fresh)))
    assert w.points("a", "r") == 0


def test_cells_out_of_thin_air_end_in_ranges_and_cost_nobody_points() -> None:
    w, _ = twins(40)
    rng = random.Random(1)
    asked = rogue_asked(w)
    start = 0
    for _ in range(10):  # always a little more, until we have had enough
        fresh = np.array([[rng.randrange(P) for _ in range(3)] for _ in range(CELLS)], np.uint64)
        before = len(w.heard["r"])
        wanted = asked.wanted or CELLS
        w.say("r", "a", answer_to(asked, pack(fresh[:wanted]), start=start))
        w.run(0.1)
        more = [m for m in w.heard["r"][before:] if isinstance(m, Sketch)]
        if not more:
            break
        asked, start = more[0], more[0].start
    assert [m for m in w.heard["r"] if isinstance(m, Sums)]
    assert w.points("a", "r") == 0


def test_places_that_do_not_exist_are_asked_for_by_name_once() -> None:
    w, _ = twins(40)
    asked = rogue_asked(w)
    table = w.replicas["a"].tree.table(b"")
    assert table is not None
    cells = table.cells.copy()
    for k in range(20):
        add_one(cells, 1_000 + k, 7 << 29)
    w.say("r", "a", answer_to(asked, pack(cells[:100])))
    w.run(0.1)
    (names,) = (m for m in w.heard["r"] if isinstance(m, SketchNames))
    assert len(names.places) == 20 * 8
    assert w.points("a", "r") == 0


@pytest.mark.parametrize(
    "question",
    [
        Sketch(b"", 0, 4_000, 0, b""),
        Sketch(b"", 4_000, 200, 0, b""),
        Sketch(b"", 10, 0, 0, b""),
        Sketch(b"", 10, 10, 0, bytes(PROBE_BYTES)),
        Sketch(b"", 0, 0, 0, bytes(PROBE_BYTES - 1)),
        Sketch(b"s" * 16, 0, 0, 0, bytes(PROBE_BYTES + 1)),
    ],
)
def test_a_question_with_absurd_numbers_costs_its_sender(question: Sketch) -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    w.say("r", "a", question)
    assert len(w.rejections("a")) == 1


def test_questions_without_end_are_refused_once_the_work_is_used_up() -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    before = w.bytes["a", "r"]
    for _ in range(3_000):
        w.say("r", "a", Sketch(b"", 1, CELLS - 1, 0, b""))
    assert w.bytes["a", "r"] - before < CELL_BYTES * 120_000
    w.run(0.1)
    answers = [m for m in w.heard["r"] if isinstance(m, SketchCells) and m.salt != ABILITIES]
    assert answers[0].state == HERE
    assert answers[-1].state == BUSY
    assert w.points("a", "r") == 0


def test_a_peer_may_cause_more_work_where_more_is_compared() -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    a, limits = w.replicas["a"], Limits()
    link, more = a.links["r"], limits.work_a_log * a.tree.count
    assert more > 100
    assert a.sync.may(link, 0, w.now)
    link.load.cost(limits.work_burst + more - 1 - link.load.work)
    assert a.sync.may(link, 1, w.now)
    assert not a.sync.may(link, 1, w.now)


def test_what_an_honest_peer_passes_on_does_not_keep_it_from_comparing() -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    a = w.replicas["a"]
    while a.sync.may_judge(a.links["r"], Limits().work_burst // 3, w.now):
        pass
    assert not a.sync.may_judge(a.links["r"], 1, w.now), "and that is bounded too"
    w.say("r", "a", QUESTION)
    w.run(0.1)
    assert [m.state for m in w.heard["r"] if isinstance(m, SketchCells) and m.salt != ABILITIES] == [HERE]


MUCH_DIFFERS = Sketch(b"", 0, 0, 0, b"\x5a\xc3" * (PROBE_BYTES // 2))
ALL_SUMS = Sums(b"", b"", [(9, bytes(16))] * 16)


@pytest.mark.parametrize("question", [MUCH_DIFFERS, ALL_SUMS, None], ids=["sketch", "sums", "own sums"])
def test_where_a_sketch_is_not_enough_a_neighbour_is_first_told_what_moved_last_of_own_accounts(
    question: Message | None,
) -> None:
    w, names = twins(40)
    a, own = w.replicas["a"], names[0][0]
    w.around["a"].ours = [own.id]
    w.rogue("r", "a")
    w.rogue("far", "a")
    w.say("r", "a", GossipFrame(encode_frame(Join())))
    w.run(2)
    for person, n in names:
        write(w, "a", person, n)
    for peer in ("r", "far"):
        if question is None:
            a.sync.by_ranges(a.links[peer], b"")
        w.say(peer, "a", question or Root(0, bytes(32), 0))
    w.run(0.1)
    assert not [m for m in w.heard["far"] if isinstance(m, Heads) and not m.answer], "it is no neighbour"
    told = [m for m in w.heard["r"] if isinstance(m, Heads) and not m.answer and not m.prefix]
    logs = [own.log(number=n) for who, n in names if who is own]
    assert [dict(m.heads) for m in told] == [{log: w.head("a", log) for log in logs}]
    assert told[0].heads[0][0] == logs[-1], "that which moved last comes first"
    assert w.heard["r"].index(told[0]) < max(k for k, m in enumerate(w.heard["r"]) if m != told[0])


def test_what_own_people_wrote_comes_though_comparing_by_ranges_does_not_end() -> None:
    w, names = twins(5_000, "", *"ab" * 2_500)
    w.lost = lambda sender, to, data: isinstance(decode_message(data), Sums)
    w.link("a", "b")
    w.run(5)
    own, number = names[0]
    for name, r in w.replicas.items():
        w.around[name].ours = [own.id]
        r.gossip.join("b" if name == "a" else "a", (), w.now)
    write(w, "a", own, number)
    log = own.log(number=number)
    assert w.head("a", log) != w.head("b", log)
    w.until(lambda: w.head("a", log) == w.head("b", log), 15)
    assert apart(w) > 4_500
    assert not w.rejections("a") + w.rejections("b")


def test_the_logs_that_are_told_first_are_few_the_latest_and_own() -> None:
    person, stranger = Person("own"), Person("stranger")
    lately = RecentOwnHeads(lambda account: account == person.id)
    for number in range(1, MOST + 3):
        lately.moved(person.log(number=number))
        lately.moved(stranger.log(number=number))
    lately.moved(person.log(number=4))
    assert list(lately) == [person.log(number=n) for n in (4, *range(MOST + 2, 4, -1), 3)]


@pytest.mark.parametrize("more", [0, 1])
def test_while_much_of_a_peer_waits_unread_no_sums_are_asked_of_it_or_answered(more: int) -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    a = w.replicas["a"]
    w.around["a"].unread_of = lambda peer: Limits().unread + more
    a.sync.by_ranges(a.links["r"], b"")
    w.say("r", "a", ALL_SUMS)
    w.run(0.1)
    asked, answers = ([m for m in w.heard["r"] if isinstance(m, kind)] for kind in (Sums, Heads))
    assert (bool(asked), bool(answers)) == (not more, not more)
    assert w.points("a", "r") == 0


def test_one_table_at_a_time_is_built_for_others() -> None:
    w, _ = twins(40)
    for name in ("r", "s"):
        w.rogue(name, "a")
    w.say("r", "a", QUESTION._replace(salt=b"1" * 16))
    w.say("s", "a", QUESTION._replace(salt=b"2" * 16))
    w.run(0.1)
    assert [m.state for m in w.heard["s"] if isinstance(m, SketchCells) and m.salt != ABILITIES] == [BUSY]
    assert [m.state for m in w.heard["r"] if isinstance(m, SketchCells) and m.salt != ABILITIES] == [HERE]
    w.run(60)
    w.say("s", "a", QUESTION._replace(salt=b"3" * 16))
    w.run(0.1)
    assert [m.state for m in w.heard["s"] if isinstance(m, SketchCells) and m.salt != ABILITIES] == [BUSY, HERE]


def test_names_of_an_endless_list_of_places_are_worth_a_bounded_look() -> None:
    w, _ = twins(40)
    w.rogue("r", "a")
    for _ in range(200):
        w.say("r", "a", SketchNames(b"", bytes(8 * 10_000)))
    assert w.replicas["a"].links["r"].load.work < 2 * Limits().work_burst
    assert not [m for m in w.heard["r"] if isinstance(m, Heads)]


def test_whoever_is_refused_a_table_asks_again_later_under_another_salt() -> None:
    w, _ = twins(40)
    w.link("a", "r")
    w.say("r", "a", plain_hello())
    salts: list[bytes] = []
    for _ in range(100):
        w.run(1)
        for m in w.heard["r"]:
            if isinstance(m, Sketch) and m.salt:
                salts.append(m.salt)
                w.say("r", "a", SketchCells(m.salt, 0, BUSY, 0, b""))
        w.heard["r"].clear()
    assert 3 <= len(salts) <= 5
    assert len(set(salts)) == len(salts)
    assert w.points("a", "r") == 0


def test_answers_that_decode_into_thousands_of_lies_cost_less_and_less() -> None:
    """The rogue knows our cells and adds items to them. Single answers are handled, but not all of them."""
    w, _ = twins(40)
    rng = random.Random(3)
    w.rogue("r", "a", logs=80)
    table = w.replicas["a"].tree.table(b"")
    assert table is not None
    cells = table.cells.copy()
    for _ in range(2_000):
        add_one(cells, rng.randrange(P), rng.randrange(1, P))
    named = 0
    for n in range(60):
        w.heard["r"].clear()
        w.say("r", "a", Root(80, rng.randbytes(32), n))
        w.run(0.05)
        for m in w.heard["r"]:
            if isinstance(m, Sketch):
                w.say("r", "a", answer_to(m, pack(cells)))
        w.run(0.05)
        named += sum(isinstance(m, SketchNames) for m in w.heard["r"])
        w.replicas["a"].links["r"].course.anew()
    assert 1 <= named < 20
