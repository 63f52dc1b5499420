"""Which accounts of members are kept, beside the model (tests/model/hosting_spec.py) and on the figures of a flood."""

from __future__ import annotations

from random import Random

from banyan_charter import hosting
from banyan_charter.hosting import Batch, HostingPace, Standing
from banyan_charter.values import Kind, Parameters, Seat
from banyan_crdt.ids import AccountId, WriterKey
from tests.model.hosting_spec import Alliance, List, kept
from tests.needs import numbers


def account(n: int) -> AccountId:
    return AccountId(n.to_bytes(32, "big"))


def seat(n: int) -> Seat:
    return Seat(account(n), b"m%d.example" % n, Kind.HOST, True, bytes(32), 0, WriterKey(bytes(32)))


def test_the_product_keeps_what_the_model_keeps() -> None:
    for n in numbers(2_000):
        rng = Random(f"product/{n}")
        a = Alliance(frozenset(range(3)), rng.randint(1, 5))
        lists: dict[int, List] = {
            m: (1, tuple((rng.randrange(10, 30), rng.randrange(3)) for _ in range(rng.randrange(20)))) for m in range(4)
        }
        hosts = {x: (1, rng.randrange(4)) for x in range(10, 30)}
        batches = {account(m): cut(places, rng) for m, (_, places) in lists.items()}
        parameters = Parameters(quota=a.quota)
        listed = hosting.places_by_member(parameters, map(seat, a.members), batches)
        found = hosting.kept(parameters, listed, {account(x): account(m) for x, (_, m) in hosts.items()}.get)
        assert found.keys() - {account(m) for m in a.members} == {account(x) for x in kept(a, lists, hosts)}, n


def cut(places: tuple[tuple[int, int], ...], rng: Random) -> list[Batch]:
    """The places as batches in any order: one for each stretch of one kind, or several."""
    out: list[Batch] = []
    for x, kind in places:
        if out and out[-1].standing == kind and rng.random() < 0.7:
            out[-1] = out[-1]._replace(accounts=(*out[-1].accounts, account(x)))
        else:
            out.append(Batch(len(out), rng.randbytes(16), Standing(kind), (account(x),)))
    rng.shuffle(out)
    return out


def test_of_757_accounts_those_before_the_flood_are_kept_at_once_and_the_others_when_the_bots_are_dropped() -> None:
    rng, member, parameters = Random(744), account(0), Parameters(quota=100)
    everybody = [account(n) for n in range(1, 758)]
    people = sorted(rng.sample(everybody, 13))

    def who(listed: list[AccountId]) -> set[AccountId]:
        batches = [
            Batch(n, b"", Standing.HOSTED, tuple(listed[n : n + hosting.BATCH]))
            for n in range(0, len(listed), hosting.BATCH)
        ]
        found = hosting.places_by_member(parameters, [seat(0)], {member: batches})
        return hosting.kept(parameters, found, lambda _: member).keys() & {*people}

    assert who(everybody) == {*people} & {*everybody[:100]}
    assert who(people) == {*people}


def test_who_lists_drops_and_lists_others_costs_a_node_no_more_than_the_pace() -> None:
    pace = HostingPace(100, 0.0)
    assert sum(pace.takes(60, 0.0) for _ in range(1_000)) == 100
    assert sum(pace.takes(60, minute * 60.0) for minute in range(1, 61) for _ in range(50)) == 60
    assert sum(pace.takes(60, 1e6) for _ in range(1_000)) == 100


def test_a_member_may_want_less_an_hour_than_the_charter_lets_it_have_and_never_more() -> None:
    for wish, found in ((None, 1_000), (5, 5), (10**6, 1_000)):
        batch = Batch(0, b"", Standing.HOSTED, (), wish)
        assert hosting.places(Parameters(), [batch]).hourly == found


def test_the_domain_of_a_member_says_nothing_of_whom_it_hosts() -> None:
    """So a domain that lapsed, or that somebody else bought, takes nothing away: the seat is the account's."""
    listed = {account(0): [Batch(0, b"", Standing.HOSTED, (account(7),))]}
    for domain in (b"m0.example", b"lapsed.example"):
        found = hosting.places_by_member(Parameters(), [seat(0)._replace(domain=domain)], listed)
        assert hosting.kept(Parameters(), found, lambda _: account(0))[account(7)] == account(0)


def test_an_account_that_two_list_counts_for_the_one_that_it_names() -> None:
    listed = {account(m): [Batch(0, b"", Standing.HOSTED, (account(7),))] for m in (0, 1)}
    found = hosting.places_by_member(Parameters(), map(seat, (0, 1)), listed)
    for host, kept_for in ((account(1), account(1)), (account(2), None)):
        assert hosting.kept(Parameters(), found, {account(7): host}.get).get(account(7)) == kept_for
