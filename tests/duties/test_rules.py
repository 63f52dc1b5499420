"""What orders come to: the product and the model on the same random worlds, and the readings."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, get_args

import pytest

from banyan_charter.values import Authority, Parameters, Scope
from banyan_crdt.ids import AccountId, CellKey, account_to_text
from banyan_duties.commitment import OrderItem, committed
from banyan_duties.order_rules import (
    DAY_MS,
    CheckpointTimes,
    Issued,
    Lock,
    Said,
    Word,
    answers,
    covered,
    in_window,
    locks,
    receipt_name,
    standing,
)
from banyan_schema.address import Target
from banyan_schema.social.order import MOST_ITEMS, Confirmation, OrderId, OrderNotice, Outcome, Receipt, Ruling
from tests.model import orders_spec as model
from tests.needs import few

SCOPES = ("de", "eu", "vn")


def account(n: int) -> AccountId:
    return AccountId(bytes([n]) * 32)


def item(order: int, n: int) -> OrderItem:
    return OrderItem(bytes([order + 1, n] * 8), Target(account(50), CellKey(bytes([n]) * 16)))


def papers(n: int) -> bytes | None:
    return bytes([n]) * 32 if n else None


class World:
    """A world of the model as values of the product."""

    def __init__(self, f: model.Facts) -> None:
        names = [s.encode() for s in SCOPES]
        self.parameters = Parameters(
            authorities=tuple(
                Authority(account(a), tuple(names[s] for s in sorted(f.scopes[a])), f.cap[a]) for a in sorted(f.scopes)
            ),
            scopes=tuple(Scope(names[s], (), tuple(map(account, sorted(f.judges[s])))) for s in sorted(f.judges)),
        )
        self.items: dict[OrderId, list[OrderItem]] = {}
        self.issued: dict[int, Issued] = {}
        for o in f.orders:
            items = [item(o.id, n) for n in sorted(o.items)]
            notice = OrderNotice(
                SCOPES[o.scope],
                "",
                "",
                60,
                o.term * 86_400,
                *committed(items),
                "paper" if o.paper else "written",
                papers(o.paper),
            )
            self.issued[o.id] = Issued(account(o.issuer), notice, bytes([o.place]))
            self.items[self.issued[o.id].id] = items
        self.said = [
            Said(account(c.by), Confirmation(self.issued[c.order].id, papers(c.paper))) for c in f.confirmations
        ]
        for d in f.decisions:
            leaf = None if d.item < 0 else item(d.order, d.item).leaf
            self.said.append(Said(account(d.by), Ruling(self.issued[d.order].id, leaf, d.says, "")))
        seen = {bytes(self.issued[o].id): day * DAY_MS for o, day in f.seen.items()}
        self.at = CheckpointTimes(seen, f.today * DAY_MS)


def test_the_product_and_the_model_agree_in_whatever_order_acts_come() -> None:
    words = set()
    for n in range(few(10_000, 5)):
        rng = random.Random(f"agree/{n}")
        f = model.world(rng)
        w = World(f)
        orders = list(w.issued.values())
        rng.shuffle(orders)
        rng.shuffle(w.said)
        found = standing(w.parameters, orders, w.said, w.at)
        words |= {s.word for s in found.values()}
        assert {k: found[o.id].word for k, o in w.issued.items()} == model.standing(f), n
        for scope in range(3):
            there = {
                i: items
                for i, items in w.items.items()
                if next(o for o in orders if o.id == i).order.scope == SCOPES[scope]
            }
            posts = {t.key[0] for t in covered(found, there)}
            assert posts == model.withheld(f, frozenset((scope,))), n
    assert words == {"void", "in force", "suspended", "ended"}


VN = Parameters(
    authorities=(Authority(account(1), (b"vn",), 2), Authority(account(2), (b"vn",), 2)),
    scopes=(Scope(b"vn", (account(5), account(6), account(7)), (account(3),)),),
)


def notice(**more: Any) -> OrderNotice:
    return replace(OrderNotice("vn", "", "", 3600, 0, 1, bytes(32)), **more)


@pytest.mark.parametrize(
    ("issuer", "more", "why"),
    [
        (4, {}, "is no authority of the charter"),
        (1, {"scope": "de"}, f"out of scope: {account_to_text(account(1))} may order for vn, and this is for de"),
        (1, {"count": 3}, "orders more than 2 posts in a day, and no second role confirmed it"),
        (1, {"count": 1_000_000}, f"an order names 1 to {MOST_ITEMS} posts, and this one 1000000"),
        (1, {"count": 0}, "names 1 to"),
        (1, {"given": "phone", "paper": bytes(32)}, "it was given by phone, and no second role confirmed it"),
        (1, {"given": "paper"}, "names the hash of its paper"),
        (1, {"paper": bytes(32)}, "and a written one none"),
    ],
)
def test_why_an_order_is_void_is_a_sentence(issuer: int, more: dict[str, object], why: str) -> None:
    one = Issued(account(issuer), notice(**more))
    found = standing(VN, [one], [])[one.id]
    assert found.word == "void"
    assert why in found.why


def test_an_order_on_paper_needs_a_second_role_that_saw_the_same_paper() -> None:
    one = Issued(account(1), notice(given="paper", paper=b"p" * 32, count=100))

    def word(by: int, paper: bytes) -> tuple[str, str]:
        found = standing(VN, [one], [Said(account(by), Confirmation(one.id, paper))])[one.id]
        return found.word, found.why

    assert word(2, b"p" * 32)[0] == "in force"
    assert word(1, b"p" * 32)[1] == "it was given on paper, and no second role confirmed it"
    for by, paper in ((2, b"q" * 32), (5, b"p" * 32)):
        assert (
            word(by, paper)[1] == "it was given on paper, and who confirmed it has no role there, or saw another paper"
        )


def test_the_cap_counts_for_each_day_of_checkpoints_and_what_has_none_for_the_last_day() -> None:
    one, two, three = [Issued(account(1), notice(count=2, root=bytes([n]) * 32), bytes([n])) for n in range(3)]

    def words(seen: dict[bytes, int], last: int) -> list[str]:
        found = standing(VN, [three, two, one], [], CheckpointTimes(seen, last))
        return [found[o.id].word for o in (one, two, three)]

    assert words({}, 0) == ["in force", "void", "void"], "one cap while no checkpoint comes"
    noon = DAY_MS // 2
    assert words({one.id: noon}, noon) == ["in force", "void", "void"]
    assert words({one.id: noon}, DAY_MS) == ["in force", "in force", "void"]
    assert words({one.id: noon, two.id: DAY_MS - 1, three.id: DAY_MS}, DAY_MS) == ["in force", "void", "in force"]
    assert words({one.id: 0, two.id: DAY_MS, three.id: 2 * DAY_MS}, 0) == ["in force"] * 3


def test_a_term_begins_with_the_first_checkpoint_and_ends_by_the_last_one_alone() -> None:
    one = Issued(account(1), notice(term_s=60))

    def word(seen: dict[bytes, int], last: int) -> str:
        return standing(VN, [one], [], CheckpointTimes(seen, last))[one.id].word

    assert word({}, 1 << 50) == "in force"
    assert (word({one.id: 1_000}, 60_999), word({one.id: 1_000}, 61_000)) == ("in force", "ended")


def test_a_platform_that_says_nothing_is_late_after_the_deadline_by_checkpoints_alone() -> None:
    one = Issued(account(1), notice())
    said = [
        Said(account(5), Receipt(one.id, "done", 1, "")),
        Said(account(6), Receipt(one.id, "refused", 0, "a satire")),
        Said(account(9), Receipt(one.id, "done", 1, "is in no scope")),
    ]
    seen = {one.id: 1_000, receipt_name(account(5), one.id): 61_000}

    def read(last: int) -> list[tuple[str, int | None]]:
        return [(a.word, a.after_ms) for a in answers(VN.scopes[0], one, "in force", said, CheckpointTimes(seen, last))]

    assert read(1_000) == read(3_601_000) == [("done", 60_000), ("refused", None), ("waiting", None)]
    assert read(3_601_001) == [("done", 60_000), ("refused", None), ("late", None)]
    unseen = answers(VN.scopes[0], one, "in force", [], CheckpointTimes({}, 1 << 50))
    assert {a.word for a in unseen} == {"waiting"}


def test_nobody_is_waited_for_or_late_while_an_order_is_not_in_force() -> None:
    one = Issued(account(1), notice())
    receipt = Said(account(5), Receipt(one.id, "done", 1, ""))

    def read(word: Word, last: int) -> list[str]:
        return [a.word for a in answers(VN.scopes[0], one, word, [receipt], CheckpointTimes({one.id: 1_000}, last))]

    for word in get_args(Word):
        silent = [["waiting"] * 2, ["late"] * 2] if word == "in force" else [[], []]
        assert [read(word, 1_000), read(word, 3_601_001)] == [["done", *more] for more in silent], word


def test_a_suspended_order_that_is_confirmed_goes_on_waiting() -> None:
    one = Issued(account(1), notice())

    def read(*said: Said) -> list[str]:
        word = standing(VN, [one], said)[one.id].word
        return [a.word for a in answers(VN.scopes[0], one, word, said, CheckpointTimes())]

    outcomes: tuple[Outcome, ...] = ("suspends", "confirms", "ends")
    found = [read(Said(account(3), Ruling(one.id, None, outcome, ""))) for outcome in outcomes]
    assert found == [[], ["waiting"] * 3, []]


def test_an_appeal_after_the_window_is_late_and_one_without_a_checkpoint_is_not() -> None:
    assert in_window(0, 90 * DAY_MS, 90)
    assert not in_window(0, 90 * DAY_MS + 1, 90)
    assert in_window(None, 1 << 50, 90)
    assert in_window(0, None, 90)


MANY, DAYS = ((5, 30), (10, 90)), (7, 14, 30)


def test_five_in_thirty_days_lock_and_after_three_locks_the_next_is_for_good() -> None:
    def days(*at: int) -> list[int]:
        return [n * DAY_MS for n in at]

    assert locks(days(0, 1, 2, 3), MANY, DAYS) == []
    assert locks(days(0, 1, 2, 3, 4), MANY, DAYS) == [Lock(4 * DAY_MS, 7)]
    assert locks(days(0, 10, 20, 29, 30), MANY, DAYS) == []
    assert [lock.days for lock in locks(days(*range(0, 90, 9)), MANY, DAYS)] == [7]
    every_day = locks(days(*range(40)), MANY, DAYS)
    assert [(lock.at_ms // DAY_MS, lock.days) for lock in every_day] == [(4, 7), (9, 14), (14, 30), (19, 0)]
    assert locks(days(0, 1, 2, 3), MANY, DAYS) == [], "a strike that fell with its order is not counted"
