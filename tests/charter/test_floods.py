"""Members that sign everything: the state depends on the set of acts alone, and nobody keeps a node behind."""

from __future__ import annotations

import random

import pytest

from banyan_charter.acts import Act, Content, ContentId, EpochVote
from banyan_charter.ledger import AHEAD, MOST_DOUBLES, ActLedger, state_of
from banyan_crdt.ids import H
from banyan_crdt.realm import TEST
from tests.charter.bridge import Bridge
from tests.charter.test_ledger import acts_of, same
from tests.model import charter_spec as spec
from tests.needs import numbers


def genesis_of(size: int) -> spec.Content:
    return spec.Content(0, 0, -1, tuple(map(spec.Seat, range(size))))


def anybody(rng: random.Random) -> tuple[spec.Content, list[spec.Act]]:
    """One or two numbers. Members, and who is admitted, sign what they like, mostly for one content; any number of
    them signs several."""
    genesis = genesis_of(rng.randrange(3, 8))
    acts, before, ids = list[spec.Act](), [genesis], 0
    for number in (1, 2):
        made = []
        for epoch in before:
            for _ in range(rng.randrange(1, 4)):
                ids += 1
                wishes: list[spec.Proposal] = [("note", ids)]
                wishes += [("expel", s.member) for s in epoch.seats if rng.random() < 0.06]
                if number == 1:
                    wishes += [("admit", 20 + k, ids) for k in range(rng.choice((0, 0, 0, 1, 3)))]
                seats = spec.applied(epoch.seats, number, tuple(wishes), spec.RULES)
                if seats:
                    made.append((epoch, spec.Content(ids, number, epoch.id, seats, tuple(wishes))))
        likely = rng.choice(made)[1] if made else None
        for epoch, x in made:
            acts.append(x)
            eager = rng.choice((0.9, 0.97, 1)) if x is likely else rng.choice((0.2, 0.5, 0.9))
            for key in sorted({s.key(number) for s in (*epoch.seats, *x.seats)}):
                for b in (1, 2):
                    if rng.random() < eager * (0.9 if b == 1 else 0.4):
                        acts.append(spec.Vote(number, b, x.id, rng.choice((0, 0, b - 1)), key))
                    if rng.random() < eager * (0.9 if b == 1 else 0.3):
                        acts.append(spec.Commit(number, b, x.id, key))
        before = [x for _, x in made]
    return genesis, acts


def offered(ledger: ActLedger, acts: list[Act]) -> None:
    """What peers do: bring each act again until the node takes no more."""
    new = True
    while new:
        new = False
        for a in acts:
            if ledger.why_not(a) is None and ledger.add(a):
                new = True
                if isinstance(a, Content):
                    ledger.settle()
        ledger.settle()


def test_whoever_signs_what_the_ledger_comes_to_what_the_model_says_after_each_act() -> None:
    chains, struck = 0, 0
    for n in numbers(150):
        rng = random.Random(f"anybody/{n}")
        genesis, acts = anybody(rng)
        bridge = Bridge(genesis)
        made = dict[spec.Act, Act]()
        for a in sorted(acts, key=lambda a: (a.number, not isinstance(a, spec.Content))):
            made[a] = bridge.act(a)
        ledger, model = state_of(TEST, bridge.founding, bridge.founded()), spec.Ledger(genesis)
        for a in rng.sample(list(made), len(made)):
            model.add(a)
            ledger.add(made[a])
            ledger.settle()
            assert same(ledger, model.state, bridge), f"anybody/{n}"
        for k in range(3):
            some = rng.sample(acts, len(acts))
            assert spec.state_of(some, genesis) == model.state, f"anybody/{n}, order {k}"
        chains += len(model.state.chain) > 1
        struck += bool(model.state.struck)
    assert chains > 30
    assert struck > 5


@pytest.mark.parametrize("n", range(8))
def test_who_signs_much_does_not_keep_a_node_from_what_the_others_adopted(n: int) -> None:
    """Seat 0 proposes and signs much more than a node takes; without its vote there are not enough."""
    rng = random.Random(n)
    genesis = genesis_of(7)
    bridge = Bridge(genesis)
    many = [bridge.act(spec.Content(k, 1, 0, genesis.seats, (("note", k),))) for k in range(1, 3 * MOST_DOUBLES)]
    votes = [bridge.act(spec.Vote(1, 1, k, 0, (0, 0, 1))) for k in range(1, 3 * MOST_DOUBLES)]
    adopted = 3 * MOST_DOUBLES - 2
    ledger = state_of(TEST, bridge.founding, bridge.founded())
    offered(ledger, [*many[:MOST_DOUBLES], *votes[:MOST_DOUBLES]])
    assert ledger.why_not(many[adopted - 1]) is not None
    assert ledger.why_not(votes[adopted - 1]) is not None
    signed = [bridge.act(spec.Vote(1, 1, adopted, 0, (m, 0, 1))) for m in range(1, 5)]
    signed += [bridge.act(spec.Commit(1, 1, adopted, (m, 0, 1))) for m in range(5)]
    everything = [*many, *votes, *signed]
    offered(ledger, rng.sample(everything, len(everything)))
    assert [e.id for e in ledger.epochs[1:]] == [bridge.ids[adopted]]
    assert len(ledger) == 7 + 2 * MOST_DOUBLES + 2 + 9


def test_who_is_struck_does_not_depend_on_contents_that_only_their_author_votes_for() -> None:
    """Of two certificates one stands without the double signers. Member 3 signed one of them, and for contents of its
    own, of which each node holds others."""
    genesis = genesis_of(4)
    bridge = Bridge(genesis)
    made = {k: bridge.act(spec.Content(k, 1, 0, genesis.seats, (("note", k),))) for k in (1, 2, 3)}
    acts = [made[1], made[2]]
    for k, members in ((1, (0, 1, 2, 3)), (2, (0, 1, 2))):
        for m in members:
            key = m, 0, 1
            acts += [bridge.act(spec.Vote(1, 1, k, 0, key)), bridge.act(spec.Commit(1, 1, k, key))]
    own = [made[3], bridge.act(spec.Vote(1, 1, 3, 0, (3, 0, 1)))]
    held = [state_of(TEST, bridge.founding, [*bridge.founded(), *acts, *more]) for more in ([], own)]
    assert held[0].epochs == held[1].epochs
    assert held[0].struck == held[1].struck
    assert len(held[0].epochs) == 2


def test_nobody_is_struck_for_keys_that_somebody_else_gave_its_account() -> None:
    genesis = genesis_of(4)
    bridge = Bridge(genesis)
    acts: list[spec.Act] = []
    for k in (1, 2):
        wishes = (("admit", 9, k),)
        seats = spec.applied(genesis.seats, 1, wishes, spec.RULES)
        assert seats
        acts.append(spec.Content(k, 1, 0, seats, wishes))
        for m in range(4):
            acts += [spec.Vote(1, 1, k, 0, (m, 0, 1)), spec.Commit(1, 1, k, (m, 0, 1))]
        acts.append(spec.Vote(1, 1, k, 0, (9, k, 1)))
    ledger = state_of(TEST, bridge.founding, [*acts_of(bridge, acts), *bridge.founded()])
    assert same(ledger, spec.state_of(acts, genesis), bridge)
    assert len(ledger.struck[1]) == 4


def test_ballots_are_taken_a_little_above_those_that_a_third_reached() -> None:
    genesis = genesis_of(7)
    bridge = Bridge(genesis)
    made = bridge.act(spec.Content(1, 1, 0, genesis.seats, ()))
    ledger = state_of(TEST, bridge.founding, [*bridge.founded(), made])

    def vote(member: int, ballot: int) -> EpochVote:
        act = bridge.act(spec.Vote(1, ballot, 1, 0, (member, 0, 1)))
        assert isinstance(act, EpochVote)
        return act

    for ballot in range(100, 100 + MOST_DOUBLES):
        assert ledger.why_not(vote(0, ballot)) is None
        ledger.add(vote(0, ballot))
    assert ledger.why_not(vote(0, AHEAD)) is None
    assert ledger.why_not(vote(0, AHEAD + 1)) is not None
    ledger.add(vote(4, 5))
    assert ledger.why_not(vote(0, AHEAD + 1)) is not None
    ledger.add(vote(6, 2))
    assert ledger.why_not(vote(0, AHEAD + 2)) is None
    assert ledger.why_not(vote(0, AHEAD + 3)) is not None


def test_of_number_0_only_the_signatures_of_the_founders_are_taken() -> None:
    bridge = Bridge(genesis_of(2))
    ledger, signer = ActLedger(TEST, bridge.founding), bridge.signer(0, 0)
    for k in range(MOST_DOUBLES + 2):
        assert ledger.why_not(signer.commit(0, 1, ContentId(H("test", b"%d" % k)))) is not None
        assert ledger.why_not(signer.vote(0, k + 1, ContentId(bridge.charter))) is not None
        assert ledger.why_not(signer.commit(0, k + 2, ContentId(bridge.charter))) is not None
    offered(ledger, bridge.founded())
    assert len(ledger.epochs) == 1


@pytest.mark.parametrize("n", numbers(60))
def test_nodes_that_refused_different_acts_have_one_digest_once_an_epoch_stands(n: int) -> None:
    """Less than a third sign everything; each node was offered another part of it first. Then each is offered what the
    others compare of the number, and no more."""
    rng = random.Random(f"digest/{n}")
    genesis = genesis_of(rng.randrange(4, 8))
    size, bridge = len(genesis.seats), Bridge(genesis)
    cheats = range(size - (size - 1) // 3, size)
    ballot, contents = rng.choice((1, 2, 3 * AHEAD)), 2 * MOST_DOUBLES
    made = [bridge.act(spec.Content(k, 1, 0, genesis.seats, (("note", k),))) for k in range(1, contents + 1)]
    honest: list[spec.Act] = [spec.Vote(1, ballot, 1, 0, (m, 0, 1)) for m in range(cheats[0])]
    honest += [spec.Commit(1, ballot, 1, (m, 0, 1)) for m in range(cheats[0])]
    wild: list[spec.Act] = []
    for m in cheats:
        for k in range(1, contents + 1):
            for b in {1, ballot, *rng.choices(range(1, 60), k=4)}:
                wild += [spec.Vote(1, b, k, 0, (m, 0, 1)), spec.Commit(1, b, k, (m, 0, 1))]
    nodes = [state_of(TEST, bridge.founding, bridge.founded()) for _ in range(3)]
    for node in nodes:
        some = [*made, *(bridge.act(a) for a in rng.sample(wild, len(wild) // 2))]
        offered(node, rng.sample(some, len(some)))
    offered(nodes[0], [made[0], *(bridge.act(a) for a in honest)])
    offered(nodes[1], [bridge.act(a) for a in rng.sample(honest, len(honest) // 2)])
    assert len({node.digest for node in nodes}) > 1
    for _ in range(4):
        for node in nodes:
            for other in nodes:
                offered(node, rng.sample(lasting := list(other.lasting(1)), len(lasting)))
    assert {len(node.epochs) for node in nodes} == {2}
    assert len({node.digest_of(1) for node in nodes}) == 1
    again = state_of(TEST, bridge.founding, [*bridge.founded(), *nodes[0].lasting(1)])
    assert again.epochs == nodes[0].epochs
    assert again.digest_of(1) == nodes[0].digest_of(1)
