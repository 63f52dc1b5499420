"""What duty files say of orders that are carried out here: what is never kept, and who is locked for violations.

An order in force that names posts of an account is one violation of it, however many it names. It counts from the
first cosigned checkpoint that has the receipt of a member here; without one it does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_duties.commitment import OrderItem
from banyan_duties.duty_file import DutyFile, read_duties
from banyan_duties.order_rules import DAY_MS, locks
from banyan_node.moderation.known_orders import KnownOrders
from banyan_schema.dates import day
from banyan_schema.social.order import OrderId

FOR_GOOD = 1 << 62


class Locked(NamedTuple):
    """until_ms: FOR_GOOD: it does not end. why: for the account."""

    until_ms: int
    why: str


@cache
def duty_files() -> tuple[DutyFile, ...]:
    """Those that ship, in the order of their names."""
    found = sorted((f for f in files("banyan_duties").iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(read_duties(f.read_text("utf-8"), f.name) for f in found)


def classes() -> list[str]:
    """Those of content that a duty file has, by name."""
    return sorted({one.name for file in duty_files() for one in file.classes})


def erased_for(category: str) -> str | None:
    """The role that content of this class is reported to when it is erased; None: it is kept."""
    never = (one for file in duty_files() for one in file.classes if one.keep == "never")
    return next((one.role for one in never if one.name == category), None)


def _in_force(known: KnownOrders, scope: str) -> list[DutyFile]:
    return [f for f in duty_files() if f.name.encode() in known.parameters.duties and f.scope == scope]


def appeal_days(known: KnownOrders, scope: str) -> int | None:
    """For how many days one can appeal against orders of this scope; None: for good."""
    return max((file.appeal.window_d for file in _in_force(known, scope) if file.appeal), default=None)


def locked(
    known: KnownOrders,
    ours: Mapping[OrderId, Iterable[AccountId]],
    items: Mapping[OrderId, Sequence[OrderItem]],
    carried_out_ms: Callable[[AccountId, OrderId], int | None],
    now_ms: int,
) -> dict[AccountId, Locked]:
    """Who is locked now. ours: the orders in force that members here carry out. carried_out_ms: the time of a member's
    receipt."""
    out = dict[AccountId, Locked]()
    for file in duty_files():
        if file.strikes is None or file.name.encode() not in known.parameters.duties:
            continue
        violations: dict[AccountId, list[int]] = {}
        for id, members in ours.items():
            times = [at for m in members if (at := carried_out_ms(m, id)) is not None]
            if known.orders[id].order.scope == file.scope and times:
                lifted = known.stands[id].lifted
                for author in {item.post.account for item in items[id] if item.leaf not in lifted}:
                    violations.setdefault(author, []).append(min(times))
        for author, at_ms in violations.items():
            for lock in locks(at_ms, file.strikes.many, file.strikes.lock_d)[-1:]:
                until = lock.at_ms + lock.days * DAY_MS if lock.days else FOR_GOOD
                if now_ms < until and until > out.get(author, Locked(0, "")).until_ms:
                    end = f"until {day(until)}" if lock.days else "for good"
                    says = f"{len(at_ms)} orders of authorities name posts of the account; by {file.strikes.source} of"
                    out[author] = Locked(until, f"{says} {file.title} it is locked {end}.")
    return out
