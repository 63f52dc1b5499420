"""Who names the accounts of a node that holds chosen accounts: it is told, holds them in a room, and nothing more."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial

import pytest

from banyan_crdt.ids import AccountId, CellKey, EntryId, control_log
from banyan_replica.peers.limits import Limits
from banyan_replica.sync.notice_exchange import BEGIN, LOOK_BACK_S, PAUSE_MOST_S, PAUSE_S, PROOF_S
from banyan_replica.wire.messages import (
    ABILITIES,
    BUSY,
    CHARTER,
    NOTICES,
    READS_AS_IF,
    Message,
    Notices,
    SketchCells,
    WantNotices,
)
from banyan_schema.social import OpDraft, Poll, Post, Target, relate, write_post, write_vote
from tests.crdt.make import Person, b32
from tests.replica.helpers import NOW_MS, World, say

ABLE = SketchCells(ABILITIES, NOTICES, BUSY, 0, b"")


def mention(who: Person | AccountId, key: int = 1) -> OpDraft:
    account = who.id if isinstance(who, Person) else who
    return write_post(CellKey(key.to_bytes(16, "big")), Post("này", mentions=(account,)))


def choose(w: World, name: str, mine: Person, *follows: Person) -> None:
    """The node holds this person and whom it follows."""
    r = w.replicas[name]
    w.around[name].ours = [mine.id]
    r.sync.near = lambda peer: True
    r.set_interest(frozenset((mine.id, *(p.id for p in follows))), w.now)
    w.drain(name)


def held(w: World, name: str) -> set[AccountId]:
    store = w.replicas[name].store
    return {a for a in store.accounts() if store.head(control_log(a)).length}


def ids(people: Iterable[Person]) -> set[AccountId]:
    return {p.id for p in people}


def platform_and_hobbyist(limits: Limits | None = None, linked: bool = True) -> tuple[World, Person]:
    """p holds everything, h holds `an`."""
    w = World("p", "h", views=True, limits=limits)
    an = w.person("h", "an")
    choose(w, "h", an)
    if linked:
        w.link("h", "p")
        w.until(lambda: an.id in held(w, "p"), 20)
    return w, an


def named(w: World, peer: str, by: str) -> list[bytes]:
    """The names of the other that the peer keeps, in order."""
    names = w.replicas[peer].sync.interests.shared_with(by).theirs
    assert names is not None
    return [*names.held]


def strangers(w: World, an: Person, n: int, name: str = "stranger", push: bool = False) -> list[Person]:
    """So many at p mention an."""
    people = [w.person("p", f"{name} {k}") for k in range(n)]
    for person in people:
        say(w, "p", person, mention(an), push=push)
    return people


def no_points(w: World) -> None:
    names = sorted(w.replicas)
    assert [w.points(a, b) for a in names for b in names] == [0] * len(names) ** 2
    assert w.cut == []


def test_who_names_an_account_is_held_by_its_node_and_nobody_else_is() -> None:
    w, an = platform_and_hobbyist()
    binh, chi, dung, _ = (w.person("p", name) for name in ("bình", "chi", "dung", "em"))
    say(w, "p", binh, relate(binh.id, "follow", an.id))
    w.until(lambda: held(w, "h") == ids([an, binh]), 5)
    say(w, "p", chi, mention(an))
    w.until(lambda: held(w, "h") == ids([an, binh, chi]), 5)
    vote = write_vote(Target(an.id, CellKey(bytes(16))), Poll(("có", "không"), "one", NOW_MS * 2), [0])
    say(w, "p", dung, vote)
    w.until(lambda: held(w, "h") == ids([an, binh, chi, dung]), 5)
    w.run(PROOF_S + 60)
    assert w.replicas["h"].sync.interest == frozenset(ids([an, binh, chi, dung]))
    say(w, "p", binh, mention(an, 2))
    w.run(1)
    assert w.head("h", binh.log()) == w.head("p", binh.log()), "what it says later comes by gossip"
    no_points(w)


def test_what_came_while_the_node_was_away_is_told_when_it_is_back() -> None:
    w, an = platform_and_hobbyist()
    before = strangers(w, an, 3, "before")
    w.until(lambda: held(w, "h") == ids([an, *before]), 5)
    everybody = ids([an, *before])
    for again in (False, True):
        w.unlink("h", "p")
        if again:
            w.start("h")
            choose(w, "h", an)
        everybody |= ids(strangers(w, an, 70, f"while away {again}"))  # more than a page
        w.link("h", "p")
        w.until(partial(lambda all_of: held(w, "h") == all_of, frozenset(everybody)), 15)
    w.run(2 * LOOK_BACK_S)
    assert held(w, "h") == everybody
    everybody |= ids(strangers(w, an, 1, "later"))
    w.run(5)
    assert held(w, "h") == everybody
    w.unlink("h", "p")
    w.said = []
    w.link("h", "p")
    w.run(5)
    first = next(m for _, m in w.said if isinstance(m, WantNotices))
    assert first.cursor > BEGIN, "it goes on where it was ten minutes before"
    no_points(w)


def test_who_is_not_chosen_any_more_and_names_an_account_of_the_node_stays_in_the_room() -> None:
    w, an = platform_and_hobbyist()
    binh, chi, dung = (w.person("p", name) for name in ("bình", "chi", "dung"))
    choose(w, "h", an, binh, chi, dung)
    say(w, "p", binh, relate(binh.id, "follow", an.id))
    say(w, "p", dung, write_vote(Target(an.id, CellKey(bytes(16))), Poll(("có", "không"), "one", NOW_MS * 2), [0]))
    w.post("p", chi, 1)
    w.until(lambda: held(w, "h") == ids([an, binh, chi, dung]), 20)
    h = w.replicas["h"]
    assert not h.sync.notices.room, "who is chosen needs no room"
    choose(w, "h", an)
    assert h.sync.interest == frozenset(ids([an, binh, dung]))
    say(w, "p", binh, mention(an, 2), push=False)
    w.until(lambda: w.head("h", binh.log()) == w.head("p", binh.log()), 20)
    w.run(PROOF_S + 60)
    w.start("h")
    choose(w, "h", an)
    assert w.replicas["h"].sync.interest == frozenset(ids([an, binh, dung])), "also after a restart"
    no_points(w)


def test_authors_are_named_to_peers_after_whom_people_here_follow_and_before_all_others() -> None:
    w, an = platform_and_hobbyist(linked=False)
    friend, *far = (w.person("p", f"person {k}") for k in range(20))
    (binh,) = strangers(w, an, 1)

    def hold(now: float) -> None:
        w.replicas["h"].set_interest([an.id, friend.id], now, [person.id for person in far])

    choose(w, "h", an)
    hold(w.now)
    w.link("h", "p")
    w.until(lambda: binh.id in held(w, "h"), 5)
    hold(w.now)
    w.unlink("h", "p")
    w.link("h", "p")
    w.run(1)
    assert named(w, "p", "h") == [person.id[:16] for person in (an, friend, binh, *far)]


def test_who_names_an_account_is_heard_though_those_far_away_took_all_that_strangers_may() -> None:
    w, an = platform_and_hobbyist(linked=False)
    far = [w.person("p", f"far {k}") for k in range(60)]
    for person in far:
        w.post("p", person, 5)
    h = w.replicas["h"]
    w.around["h"].ours = [an.id]
    h.sync.near = lambda peer: True
    w.around["h"].wanted = [an.id]
    h.room.set_room("", 60_000, "60 kB are allowed")
    h.set_interest([an.id], w.now, [person.id for person in far])
    w.drain("h")
    w.link("h", "p")
    w.until(lambda: bool(h.strangers.full), 30)
    w.run(120)
    assert h.strangers.used < 65_000
    for k in range(3):
        (who,) = strangers(w, an, 1, f"stranger {k}")
        w.until(partial(lambda log: w.head("h", log) == w.head("p", log), who.log()), 5)
    minted = strangers(w, an, 30, "minted")
    w.run(60)
    assert sum(map(h.strangers.of, ids(minted))) < 60_000 // 4 + 2_000
    assert h.strangers.used < 60_000 + 2 * 60_000 // 4 + 4_000, "those that left the room are erased by the node"
    no_points(w)


def test_who_left_for_want_of_room_is_not_held_again_by_what_was_told_before() -> None:
    w, an = platform_and_hobbyist(linked=False)
    h = w.replicas["h"]
    w.around["h"].wanted = [an.id]
    h.room.set_room("", 60_000, "60 kB are allowed")
    w.link("h", "p")
    people = strangers(w, an, 2)
    for person in people:
        w.until(partial(lambda one: one.id in held(w, "h"), person), 20)
    w.run(2)
    (asked,) = h.sync.notices._asked.values()
    for person in people:
        asked.found[person.id] = an.id, EntryId(b32("a later word"))
    h.room.set_room("", 1_000, "1 kB is allowed")
    assert h.strangers.full
    h.sync.notices.tick(w.now)
    (stays,) = h.sync.notices.room
    assert stays in ids(people), "one leaves a second, the other one stays"
    assert not asked.found, "what was told of the one that stays is taken"


def test_minted_accounts_take_the_room_and_displace_nobody_who_was_chosen() -> None:
    limits = Limits(heard=20, heard_unproved=15)
    w, an = platform_and_hobbyist(limits)
    friends = [w.person("p", f"friend {k}") for k in range(5)]
    choose(w, "h", an, *friends)
    for n in range(6):
        minted = strangers(w, an, 12, f"minted {n}")
        say(w, "p", friends[n % 5], mention(an, n))
        w.run(20)
        assert len(w.replicas["h"].sync.notices.room) <= 20
    w.run(60)
    assert held(w, "h") >= ids([an, *friends, *minted]), "the last ones, and all friends"
    interest = w.replicas["h"].sync.interest or frozenset()
    assert interest >= ids([an, *friends, *minted])
    assert len(interest) == 6 + 20
    no_points(w)


def test_a_peer_that_brings_many_displaces_its_like() -> None:
    w, an = platform_and_hobbyist(Limits(heard=20))
    honest = strangers(w, an, 5, "honest")
    w.until(lambda: held(w, "h") == ids([an, *honest]), 5)
    w.start("q")
    minted = [w.person("q", f"minted {n}") for n in range(40)]
    w.link("h", "q")
    for person in minted:
        say(w, "q", person, mention(an), push=False)
        w.run(0.2)
    w.run(60)
    interest = w.replicas["h"].sync.interest or frozenset()
    assert interest >= ids([an, *honest])
    assert len(interest) == 21


def test_all_who_came_while_the_node_was_away_are_heard_though_they_are_more_than_one_peer_may_tell_at_once() -> None:
    w, an = platform_and_hobbyist(Limits(heard=200, heard_unproved=20), linked=False)
    everybody = ids(strangers(w, an, 150))
    w.link("h", "p")
    w.until(lambda: held(w, "h") >= everybody, 60)
    assert not w.replicas["h"].sync.notices.waiting(w.now)
    no_points(w)


def test_of_those_who_wait_to_be_held_none_is_lost_by_a_restart_or_by_another_question() -> None:
    w, an = platform_and_hobbyist(Limits(heard=200, heard_unproved=20), linked=False)
    everybody = ids(strangers(w, an, 150))
    w.link("h", "p")
    w.until(lambda: len(held(w, "h")) > 20, 20)
    assert w.replicas["h"].sync.notices.waiting(w.now)
    w.unlink("h", "p")
    w.start("h")
    choose(w, "h", an)
    w.link("h", "p")
    w.until(lambda: held(w, "h") >= everybody, 60)


def liar(w: World) -> list[Message]:
    """A rogue that h asks. Returns what it hears."""
    w.rogue("liar", "h")
    w.say("liar", "h", ABLE)
    return w.heard["liar"]


def test_who_invents_authors_is_asked_less_and_they_go() -> None:
    w, an = platform_and_hobbyist()
    heard, invented, asked = liar(w), list[AccountId](), list[float]()
    for _ in range(1_800):
        w.run(1.0)
        questions = [m for m in heard if isinstance(m, WantNotices)]
        if len(questions) > len(asked):
            asked.append(w.now)
            invented.append(AccountId(b32(f"invented {len(asked)}")))
            cursor = len(asked).to_bytes(8, "big")
            w.say("liar", "h", Notices(cursor, 0, [(an.id, invented[-1], EntryId(b32("no entry")))]))
    room = w.replicas["h"].sync.notices.room
    assert len(room) <= 512
    assert invented[0] not in (w.replicas["h"].sync.interest or ())
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert min(pauses[-10:]) >= PAUSE_MOST_S / 2 > 10 * pauses[0], pauses
    chi = w.person("p", "chi")
    say(w, "p", chi, mention(an))
    w.until(lambda: chi.id in held(w, "h"), 5)
    assert w.points("h", "liar") == 0


@pytest.mark.parametrize(("told", "most"), [(False, 12), (True, 70)])
def test_pages_without_end_that_tell_of_nobody_new_are_not_asked_for_at_once(told: bool, most: int) -> None:
    w, an = platform_and_hobbyist()
    heard, cursor = liar(w), 0
    known = [(an.id, AccountId(b32("one")), EntryId(b32("entry")))] if told else []
    for _ in range(60):
        w.run(1)
        while cursor < min(most + 1, sum(isinstance(m, WantNotices) for m in heard)):
            cursor += 1
            w.say("liar", "h", Notices(cursor.to_bytes(8, "big"), 1, known))
    assert 3 <= cursor <= most
    w.say("liar", "h", Notices(bytes([1] * 8), 0, []))
    assert w.points("h", "liar") == 0


def test_a_peer_is_asked_again_from_before_those_who_still_wait() -> None:
    w = World("h", views=True, limits=Limits(heard=40, heard_unproved=20))
    an = w.person("h", "an")
    choose(w, "h", an)
    heard = liar(w)
    w.run(2)
    told = [(an.id, AccountId(b32(f"told {n}")), EntryId(b32("no entry"))) for n in range(30)]
    w.say("liar", "h", Notices(b"\1" * 8, 0, told))
    w.run(2 * LOOK_BACK_S + 10)
    cursors = [m.cursor for m in heard if isinstance(m, WantNotices)]
    assert cursors == [BEGIN, b"\1" * 8, BEGIN, BEGIN]


def test_an_answer_that_does_not_go_on_or_that_nobody_asked_for_changes_nothing() -> None:
    w, an = platform_and_hobbyist()
    heard = liar(w)
    other = AccountId(b32("another"))
    told = [(an.id, other, EntryId(b32("entry")))]
    w.say("liar", "h", Notices(b"\0" * 7 + b"\1", 0, told))
    assert other not in w.replicas["h"].sync.notices.room, "nobody asked yet"
    w.run(2)
    assert [m for m in heard if isinstance(m, WantNotices)] == [WantNotices(BEGIN, an.id)]
    w.say("liar", "h", Notices(BEGIN, 1, told))
    w.say("liar", "h", Notices(b"\1" * 8, 0, told))
    w.run(PAUSE_S - 2)
    assert other not in w.replicas["h"].sync.notices.room
    assert len([m for m in heard if isinstance(m, WantNotices)]) == 1
    w.run(4)
    w.say("liar", "h", Notices(b"\1" * 8, 0, [(other, AccountId(b32("one")), EntryId(b32("entry")))]))
    assert not w.replicas["h"].sync.notices.room, "it names none of ours"


def test_who_took_its_words_back_goes_and_costs_the_peer_no_points() -> None:
    w, an = platform_and_hobbyist()
    liar(w)
    binh = w.person("p", "bình")  # it names nobody
    w.post("p", binh, 1)
    w.run(2)
    entry = w.head("p", binh.log()).id
    assert entry is not None
    w.say("liar", "h", Notices(b"\1" * 8, 0, [(an.id, binh.id, entry)]))
    w.until(lambda: held(w, "h") == ids([an, binh]), 10)
    w.until(lambda: binh.id not in (w.replicas["h"].sync.interest or ()), 700)
    assert w.points("h", "p") == w.points("h", "liar") == 0


def test_a_peer_of_the_first_release_and_one_that_is_no_neighbour_are_not_asked() -> None:
    w, _ = platform_and_hobbyist()
    w.rogue("old", "h")
    w.replicas["h"].sync.near = lambda peer: peer != "far"
    w.rogue("far", "h")
    w.say("far", "h", ABLE)
    w.run(30)
    assert not [m for name in ("old", "far") for m in w.heard[name] if isinstance(m, WantNotices)]
    able = ABLE._replace(start=NOTICES | READS_AS_IF | CHARTER)
    assert [m for m in w.heard["old"] if isinstance(m, SketchCells)] == [able], "and it ignores that"


def test_a_question_costs_in_proportion_to_its_answer_and_not_to_what_is_held() -> None:
    def cost(others: int) -> float:
        w = World("p", views=True)
        an = w.person("p", "an")
        strangers(w, an, 5)
        strangers(w, w.person("p", "somebody"), others, "other")
        w.rogue("r", "p")
        before = w.replicas["p"].links["r"].load.work
        w.say("r", "p", WantNotices(BEGIN, an.id))
        w.run(0.1)
        assert len(next(m for m in w.heard["r"] if isinstance(m, Notices)).notices) == 5
        return w.replicas["p"].links["r"].load.work - before

    assert cost(5) == cost(200) < 40


def test_an_author_is_told_once_a_page_and_pages_end() -> None:
    w = World("p", views=True)
    an, binh = w.person("p", "an"), w.person("p", "bình")
    say(w, "p", binh, *(mention(an, n) for n in range(3_000)))
    say(w, "p", an, mention(an))
    authors = [binh, *strangers(w, an, 100)]
    w.rogue("r", "p")
    cursor, found, pages = BEGIN, list[AccountId](), 0
    while True:
        w.say("r", "p", WantNotices(cursor, an.id))
        w.run(0.1)
        answer = [m for m in w.heard["r"] if isinstance(m, Notices)][-1]
        pages, cursor = pages + 1, answer.cursor
        found += [author for named, author, _ in answer.notices if named == an.id]
        if not answer.more:
            break
    assert pages == 2, "one author that names an account very often takes no page"
    assert set(found) == ids(authors)
    before = len(w.heard["r"])
    w.say("r", "p", WantNotices(cursor, an.id))
    w.run(30)
    assert not [m for m in w.heard["r"][before:] if isinstance(m, Notices)], "it stays open"
    say(w, "p", binh, mention(an, 4_000))
    w.run(3)
    assert [type(m) for m in w.heard["r"][before:] if isinstance(m, Notices)] == [Notices]
