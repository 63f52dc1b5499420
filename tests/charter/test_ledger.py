"""The ledger of a charter comes to what the model comes to, in any order of the acts."""

from __future__ import annotations

import random

import pytest

from banyan_charter.acts import (
    Act,
    Change,
    Content,
    EpochCommit,
    EpochVote,
    Expel,
    admission,
    body_of,
    decode_act,
    encode_act,
    id_of,
)
from banyan_charter.ledger import MOST_DOUBLES, ActLedger, state_of
from banyan_charter.rules import first_epoch
from banyan_charter.skipping import Bundle, bundle, skip, way
from banyan_charter.values import Kind
from banyan_crdt.errors import BadSignature, Malformed
from banyan_crdt.ids import EntryId
from banyan_crdt.realm import TEST
from tests.charter.bridge import Bridge, account, spare, tree
from tests.model import charter_spec as spec
from tests.model.charter_history import History, forked
from tests.needs import numbers


def same(ledger: ActLedger, state: spec.State, bridge: Bridge) -> bool:
    struck = {n: tuple(account(m) for m in range(64) if out >> m & 1) for n, out in state.struck}
    return [e.id for e in ledger.epochs] == [bridge.ids[x] for x in state.chain] and ledger.struck == struck


def acts_of(bridge: Bridge, acts: list[spec.Act]) -> list[Act]:
    contents = [a for a in acts if isinstance(a, spec.Content)]
    others = [a for a in acts if not isinstance(a, spec.Content)]
    return [bridge.act(a) for a in [*sorted(contents, key=lambda x: x.number), *others]]


@pytest.mark.parametrize("n", numbers(60))
def test_a_history_comes_to_what_the_model_says_at_every_step_in_any_order(n: int) -> None:
    rng = random.Random(f"ledger/{n}")
    h = History(rng, rng.randrange(2, 6))
    bridge = Bridge(h.genesis)
    contents = [a for a in h.acts if isinstance(a, spec.Content)]
    made: dict[spec.Act, Act] = {x: bridge.act(x) for x in contents}
    made |= {a: bridge.act(a) for a in h.acts if a not in made}
    ledger, model = ActLedger(TEST, bridge.founding), spec.Ledger(h.genesis)
    for signed in bridge.founded():
        assert not ledger.epochs
        ledger.add(signed)
        ledger.settle()
    order = rng.sample(h.acts, len(h.acts))
    for k, a in enumerate([*order, *rng.choices(order, k=5)]):
        model.add(a)
        assert ledger.add(made[a]) == (k < len(order))
        ledger.settle()
        assert same(ledger, model.state, bridge)
    whole = state_of(TEST, bridge.founding, [*made.values(), *bridge.founded()])
    assert whole.epochs == ledger.epochs
    assert whole.digest == ledger.digest

    at = h.epochs[rng.randrange(len(h.epochs) - 1)].number if len(h.epochs) > 1 else 0
    stolen = h.forged(at, h.stolen(at + 1)) if at + 1 < len(h.epochs) else []
    for forged in acts_of(bridge, stolen):
        ledger.add(forged)
    ledger.settle()
    assert ledger.epochs == whole.epochs, "whoever steals what was kept signs no old number anew"


@pytest.mark.parametrize("n", numbers(100))
def test_two_certificates_strike_whom_the_model_strikes(n: int) -> None:
    rng = random.Random(f"fork/{n}")
    genesis, acts, _ = forked(rng)
    bridge = Bridge(genesis)
    ledger = state_of(TEST, bridge.founding, [*acts_of(bridge, acts), *bridge.founded()])
    assert same(ledger, spec.state_of(acts, genesis), bridge)


@pytest.mark.parametrize("n", numbers(30))
def test_a_verifier_that_skips_gets_to_the_last_epoch_and_nowhere_else(n: int) -> None:
    rng = random.Random(f"skip/{n}")
    h = History(rng, 6)
    bridge = Bridge(h.genesis)
    ledger = state_of(TEST, bridge.founding, [*acts_of(bridge, h.acts), *bridge.founded()])
    known = ledger.epochs[0]
    for number in way(ledger, 0):
        shown = bundle(ledger, number)
        weak = [a for a in shown.acts if not isinstance(a, EpochCommit)]
        assert skip(TEST, known, shown._replace(acts=tuple(weak))) is None
        seats = dict(shown.before.seats)
        member = rng.choice(list(seats))
        seats[member] = seats[member]._replace(root=bytes(32))
        assert skip(TEST, known, Bundle(shown.content, shown.before._replace(seats=seats), shown.acts)) is None
        strange = {m: s._replace(root=bytes(32)) if k % 2 else s for k, (m, s) in enumerate(known.seats.items())}
        assert skip(TEST, known._replace(seats=strange), shown) is None, "half of the known votes are not two thirds"
        known = skip(TEST, known, shown) or known
        assert known.number == number
    assert known == ledger.epochs[-1]


def test_a_commit_is_not_given_to_another_member_and_its_bytes_have_one_form() -> None:
    bridge = Bridge(spec.Content(0, 0, -1, (spec.Seat(0), spec.Seat(1))))
    act = bridge.founded()[0]
    assert isinstance(act, EpochCommit)
    moved = act._replace(member=account(1))
    with pytest.raises(BadSignature):
        decode_act(TEST, encode_act(moved))
    signed = moved._replace(
        id=(made := EntryId(id_of(TEST, body_of(type(moved), moved[1:-1])))), by=tree(0, 0).sign(TEST, 0, made)
    )
    ledger = ActLedger(TEST, bridge.founding)
    assert ledger.why_not(signed) is not None, "the key is another member's"
    ledger.add(signed)
    ledger.add(act)
    ledger.settle()
    assert not ledger.epochs


def test_a_member_cannot_fill_a_node_and_nobody_is_refused_for_what_others_sent() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    bridge = Bridge(genesis)
    ledger = state_of(TEST, bridge.founding, bridge.founded())
    taken = 0
    for k in range(20):
        x = bridge.act(spec.Content(k + 1, 1, 0, genesis.seats, (("note", k),)))
        vote = bridge.act(spec.Vote(1, 1, k + 1, 0, (3, 0, 1)))
        assert isinstance(x, Content)
        assert isinstance(vote, EpochVote)
        if ledger.why_not(x) is None:
            ledger.add(x)
            ledger.settle()
        if ledger.why_not(vote) is None:
            ledger.add(vote)
            taken += 1
    assert taken == MOST_DOUBLES
    assert ledger.why_not(bridge.act(spec.Vote(1, 1, 1, 0, (2, 0, 1)))) is None
    assert ledger.why_not(bridge.act(spec.Vote(1, 2, 1, 0, (3, 0, 1)))) is None
    assert ledger.why_not(bridge.act(spec.Vote(1, 2, 1, 0, (3, 0, 2)))) is not None, "a key of another number"
    assert ledger.why_not(bridge.act(spec.Vote(1, 2, 1, 0, (9, 0, 1)))) is not None, "no member"


def stands(genesis: spec.Content, acts: list[spec.Act]) -> tuple[bool, bool]:
    """Whether an epoch follows in the product, and in the model."""
    bridge = Bridge(genesis)
    ledger = state_of(TEST, bridge.founding, [*acts_of(bridge, acts), *bridge.founded()])
    return len(ledger.epochs) > 1, len(spec.state_of(acts, genesis).chain) > 1


def content(genesis: spec.Content, id: int, *wishes: spec.Proposal) -> spec.Content:
    seats = spec.applied(genesis.seats, 1, wishes, spec.RULES)
    assert seats is not None
    return spec.Content(id, 1, 0, seats, wishes)


def signed(x: spec.Content, members: set[int], ballot: int = 1, unlock: int = 0) -> list[spec.Act]:
    votes: list[spec.Act] = [spec.Vote(1, ballot, x.id, unlock, (m, 0, 1)) for m in members]
    return [*votes, *(spec.Commit(1, ballot, x.id, (m, 0, 1)) for m in members)]


def test_who_leaves_by_an_epoch_counts_for_it_and_a_third_leaves_at_most() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(8))))
    bridge = Bridge(genesis)
    first, signer = first_epoch(bridge.founding), bridge.signer(0, 0)
    two = content(genesis, 1, *(("expel", m) for m in (6, 7)))
    assert stands(genesis, [two, *signed(two, {0, 1, 2, 3, 6})]) == (False, False)
    assert stands(genesis, [two, *signed(two, {0, 1, 2, 3, 6, 7})]) == (False, False), "four of six consent"
    assert stands(genesis, [two, *signed(two, {0, 1, 2, 3, 4, 7})]) == (True, True)
    with pytest.raises(Malformed, match="3 of 8 votes would go; a third is the most"):
        signer.content(
            first, [Expel(account(5)), Expel(account(6)), Change(account(7), b"m7.example", Kind.HOST, False)]
        )
    seat = first.seats[account(7)]
    with pytest.raises(Malformed, match="has a seat already"):
        signer.content(first, [Expel(account(7)), admission(bridge.charter, seat, spare(7, 0))])


def test_who_loses_its_vote_by_a_content_counts_for_it() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    bridge = Bridge(genesis)
    first = first_epoch(bridge.founding)
    made, after = bridge.signer(0, 0).content(first, [Change(account(3), b"m3.example", Kind.HOST, False)])
    acts: list[Act] = [made]
    for m in (0, 1, 2, 3):
        acts += [bridge.signer(m, 0).vote(1, 1, made.id)] if m < 3 else []
        acts += [bridge.signer(m, 0).commit(1, 1, made.id)] if m in (0, 1, 3) else []
    ledger = state_of(TEST, bridge.founding, [*bridge.founded(), *acts])
    assert ledger.epochs[1:] == [after]


def test_a_vote_that_names_a_lock_counts_only_with_the_votes_of_that_lock() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    x = content(genesis, 1, ("note", 1))
    later = [x, *signed(x, {0, 1, 2}, ballot=3, unlock=2)]
    assert stands(genesis, later) == (False, False)
    before: list[spec.Act] = [spec.Vote(1, 2, 1, 0, (m, 0, 1)) for m in (0, 1, 2)]
    assert stands(genesis, [*later, *before[:2]]) == (False, False)
    assert stands(genesis, [*later, *before]) == (True, True)


def test_newcomers_consent_by_more_than_two_thirds_of_the_next_votes() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    x = content(genesis, 1, *(("admit", m, 0) for m in (8, 9, 10, 11)))
    mine = signed(x, {0, 1, 2, 3})
    assert stands(genesis, [x, *mine]) == (False, False)
    for ballot, enough in ((2, False), (1, True)):
        consent: list[spec.Act] = [spec.Vote(1, ballot, 1, 0, (m, 0, 1)) for m in (8, 9)]
        assert stands(genesis, [x, *mine, *consent]) == (enough, enough)
    again = signed(x, {0, 1, 2, 3}, ballot=3)
    consent = [spec.Vote(1, 2, 1, 0, (m, 0, 1)) for m in (8, 9)]
    assert stands(genesis, [x, *mine, *consent, *again]) == (True, True)


def test_what_stood_on_an_epoch_that_is_undone_stands_no_more() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    x, y = content(genesis, 1, ("note", 1)), content(genesis, 2, ("note", 2))
    z = spec.Content(3, 2, 1, genesis.seats, (("note", 3),))
    acts: list[spec.Act] = [x, z, *signed(x, {0, 1, 2})]
    acts += [spec.Vote(2, 1, 3, 0, (m, 0, 2)) for m in (0, 1, 2)]
    acts += [spec.Commit(2, 1, 3, (m, 0, 2)) for m in (0, 1, 2)]
    bridge = Bridge(genesis)
    ledger = state_of(TEST, bridge.founding, [*acts_of(bridge, acts), *bridge.founded()])
    assert len(ledger.epochs) == 3
    twice = [y, *signed(y, {0, 1, 2})]
    for act in acts_of(bridge, twice):
        ledger.add(act)
    ledger.settle()
    assert same(ledger, spec.state_of([*acts, *twice], genesis), bridge)
    assert len(ledger.epochs) == 1


def test_an_act_that_a_wrong_key_signed_says_nothing_of_the_same_by_the_right_one() -> None:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    bridge = Bridge(genesis)
    x = content(genesis, 1, ("note", 1))
    good = acts_of(bridge, [x, *signed(x, {0, 1, 2})])
    wrong: list[Act] = []
    for act in good:
        wrong += [act._replace(by=tree(9, 0).sign(TEST, 1, act.id)), act._replace(by=tree(0, 0).sign(TEST, 2, act.id))]
    for order in ([*wrong, *good], [*good, *wrong]):
        ledger = ActLedger(TEST, bridge.founding)
        for act in [*bridge.founded(), *order]:
            assert ledger.add(act)
            ledger.settle()
        assert len(ledger.epochs) == 2
