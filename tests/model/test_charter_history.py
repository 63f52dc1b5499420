"""What a charter promises over many epochs: each promise with the rule without which it breaks."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.model import charter_spec
from tests.model.charter_history import examine, fork
from tests.model.charter_spec import RULES, Act, Commit, Content, Proposal, Rules, Seat, Vote, applied, state_of
from tests.needs import numbers


def seats(size: int, *asleep: int, missed: int = 0) -> tuple[Seat, ...]:
    return tuple(Seat(m, 0, m not in asleep, missed) for m in range(size))


def adopts(before: tuple[Seat, ...], signers: set[int], *wishes: Proposal, rules: Rules = RULES) -> bool:
    """Whether these signers alone make an epoch stand that has these proposals."""
    genesis = Content(0, 0, -1, before)
    after = applied(before, 1, wishes, rules)
    if after is None:
        return False
    acts: list[Act] = [x := Content(1, 1, 0, after, wishes)]
    for m in signers:
        acts += [Vote(1, 1, x.id, 0, (m, 0, 1)), Commit(1, 1, x.id, (m, 0, 1))]
    return len(state_of(acts, genesis, rules).chain) == 2


def test_histories_keep_their_promises_in_any_order_with_any_part_missing_and_after_every_theft() -> None:
    for n in numbers(1_500):
        assert examine(f"ci/{n}") == "", f"ci/{n}"


def test_two_certificates_strike_their_double_signers_and_at_most_one_content_stands() -> None:
    found = [fork(f"ci/{n}") for n in numbers(6_000)]
    assert [f for f, _ in found if f] == []
    assert sum(one for _, one in found) > len(found) // 20


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        ({"old_keys": True}, "old keys sign nothing"),
        ({"skip_above": (1, 3)}, "a verifier that skips is never elsewhere"),
        ({"strike": "always"}, "what honest members adopted stands"),
    ],
    ids=str,
)
def test_without_one_of_the_rules_a_history_breaks(mutant: dict[str, Any], promise: str) -> None:
    rules = RULES._replace(**mutant)
    assert any(examine(f"mutants/{n}", rules) == promise for n in range(500))


def test_without_the_strike_a_content_stands_that_more_than_two_thirds_of_the_rest_did_not_sign() -> None:
    rules = RULES._replace(strike="none")
    assert any(fork(f"mutants/{n}", rules)[0].startswith("of two certificates") for n in range(500))


def test_at_most_a_third_leaves_at_once_so_their_kept_keys_do_not_undo_the_epoch_by_which_they_left() -> None:
    genesis = Content(0, 0, -1, seats(8))

    def signed(number: int, signers: set[int], leaving: set[int], rules: Rules) -> list[Act]:
        wishes: tuple[Proposal, ...] = (*(("expel", m) for m in leaving), ("note", number))
        after = applied(genesis.seats, 1, wishes, rules)
        assert after
        out: list[Act] = [Content(number, 1, 0, after, wishes)]
        for m in signers:
            out += [Vote(1, 1, number, 0, (m, 0, 1)), Commit(1, 1, number, (m, 0, 1))]
        return out

    assert applied(genesis.seats, 1, (("expel", 5), ("expel", 6), ("expel", 7)), RULES) is None
    mutant = RULES._replace(most_leave=(1, 2))
    first = signed(1, {0, 1, 2, 3, 4, 5}, {4, 5, 6, 7}, mutant)
    second = signed(2, {2, 3, 4, 5, 6, 7}, set(), mutant)  # 2 and 3 did not hear yet that the first stands
    assert state_of(first, genesis, mutant).chain == (0, 1)
    assert state_of([*first, *second], genesis, mutant).chain == (0,)
    assert adopts(seats(9), set(range(7)), ("expel", 7), ("expel", 8))


def test_who_leaves_by_a_content_signs_it_like_everybody() -> None:
    two = [("expel", 6), ("expel", 7)]
    assert adopts(seats(8), {0, 1, 2, 3, 4, 6}, *two)
    assert not adopts(seats(8), {0, 1, 2, 3, 4, 6}, *two, rules=RULES._replace(leavers_sign=False))
    assert not adopts(seats(8), {0, 1, 2, 3, 6, 7}, *two), "more than 2/3 of those that stay consent"
    assert applied(seats(4), 1, (("expel", 3), ("admit", 3, 1)), RULES) is None, "its seat is given to other keys"


def test_a_later_vote_does_not_make_a_lock_of_an_earlier_ballot() -> None:
    genesis = Content(0, 0, -1, seats(4))
    wishes = tuple(("admit", m, 0) for m in range(10, 14))
    after = applied(genesis.seats, 1, wishes, RULES)
    assert after
    acts: list[Act] = [Content(1, 1, 0, after, wishes)]
    for m in range(4):
        acts += [Vote(1, 2, 1, 0, (m, 0, 1)), Commit(1, 2, 1, (m, 0, 1))]

    def consent(ballot: int) -> list[Act]:
        return [Vote(1, ballot, 1, 0, (m, 0, 1)) for m in (10, 11)]

    assert state_of([*acts, *consent(3)], genesis).chain == (0,)
    assert state_of([*acts, *consent(1)], genesis).chain == (0, 1)


def test_votes_of_both_epochs_are_asked() -> None:
    crowd = [("admit", m, 0) for m in range(10, 14)]
    assert not adopts(seats(4), {0, 1, 2, 3}, *crowd)
    assert adopts(seats(4), {0, 1, 2, 3, 10, 11}, *crowd)
    assert adopts(seats(4), {0, 1, 2, 3}, *crowd, rules=RULES._replace(consent="none"))
    assert not adopts(seats(4), {0, 10, 11, 12, 13}, *crowd)
    assert adopts(seats(4), {0, 1, 10, 11, 12, 13}, *crowd, rules=RULES._replace(consent="only"))


def test_sleep_is_adopted_by_the_votes_before_it_and_leaves_half_of_the_seats_awake() -> None:
    late = seats(7, missed=2)
    sleep: list[Proposal] = [("sleep", m) for m in (5, 6)]
    assert not adopts(late, {0, 1, 2, 3}, *sleep)
    assert adopts(late, {0, 1, 2, 3}, *sleep, rules=RULES._replace(sleep="rest"))
    assert adopts(late, {0, 1, 2, 3, 4}, *sleep)
    assert not adopts(seats(7, missed=1), {0, 1, 2, 3, 4}, *sleep)
    assert adopts(seats(7, missed=1), {0, 1, 2, 3, 4}, *sleep, rules=RULES._replace(missed=1))
    assert not adopts(late, set(range(7)), ("sleep", 4), *sleep), "a third of the votes at most"
    half = seats(8, 0, 1, 2, missed=2)
    assert adopts(half, {3, 4, 5, 6}, ("sleep", 7))
    assert not adopts(seats(8, 0, 1, 2, 3, missed=2), {4, 5, 6}, ("sleep", 7))
    assert adopts(seats(8, 0, 1, 2, 3, missed=2), {4, 5, 6}, ("sleep", 7), rules=RULES._replace(half_awake=False))


def test_a_sleeping_seat_is_in_no_total_and_its_signature_wakes_it_from_the_next_epoch_on() -> None:
    asleep = seats(7, 4, 5, 6)
    assert adopts(asleep, {0, 1, 2})
    assert not adopts(asleep, {0, 1, 2}, rules=RULES._replace(sleep="total"))
    assert not adopts(asleep, {0, 1, 4, 5, 6})
    wake: list[Proposal] = [("wake", m, (m, 0, 1)) for m in (4, 5, 6)]
    assert not adopts(asleep, {0, 1, 4, 5, 6}, *wake), "two of four votes and three that they woke themselves"
    for mutant in (RULES._replace(wake_now=True), RULES._replace(sleep="vote")):
        assert adopts(asleep, {0, 1, 4, 5, 6}, *wake, rules=mutant)
    assert adopts(asleep, {0, 1, 2, 4, 5, 6}, *wake)


def test_a_lost_quorum_has_no_back_door() -> None:
    alive = set(range(4))
    genesis = Content(0, 0, -1, seats(6, missed=9))
    acts: list[Act] = []
    for n, wishes in enumerate(((), (("expel", 5),), (("expel", 4), ("expel", 5)), (("sleep", 4), ("sleep", 5))), 1):
        after = applied(genesis.seats, 1, wishes, RULES)
        assert after
        acts.append(Content(n, 1, 0, after, wishes))
        for b in range(1, 50):
            for m in alive:
                acts += [Vote(1, b, n, b - 1, (m, 0, 1)), Vote(1, b, n, 0, (m, 0, 1)), Commit(1, b, n, (m, 0, 1))]
    assert state_of(acts, genesis).chain == (0,)


def test_no_rule_reads_a_clock_and_no_act_has_a_time() -> None:
    tree = ast.parse(Path(charter_spec.__file__).read_text())
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert imported == {"__future__", "collections.abc", "functools", "typing"}
    assert not [f for act in (Content, Vote, Commit) for f in act._fields if "time" in f or "date" in f]
