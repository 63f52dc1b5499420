"""Platforms of an alliance in virtual time: which accounts they keep in a flood, and how soon an order reaches them.

Each member has a machine, which holds what `MemberLists` finds and hosts people that the member lists.

strangers  a machine of nobody, of honest software, opens accounts; each follows somebody whom a member hosts, because
           accounts that name one's own people are held too. What must hold is how much the members' stores grow
member     one member lists bots among its people, in a random order, beyond its quota, and then drops the bots
order      an authority gives an order while there are faults. A platform can carry it out once it has the order, and
           its device opens a letter with the items to which the order commits
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from banyan_charter.acts import Act, CharterId, ContentId, Founding, encode_act, founding_body, id_of
from banyan_charter.hosting import BATCH, Standing
from banyan_charter.values import Parameters
from banyan_crdt.ids import AccountId, CellKey, LogId, Ref, WriterKey, key_digest
from banyan_crdt.ops import Host
from banyan_crdt.realm import TEST
from banyan_crdt.sealing import NONCE_BYTES, Opener, wrap
from banyan_crdt.signing import Signer
from banyan_duties.commitment import OrderItem, committed, encode_items, joined_items
from banyan_node.hosting.member_lists import ListedAccounts, MemberLists
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_schema import social
from banyan_schema.address import Target
from banyan_schema.social.alliance import HostedBatch, list_hosted
from banyan_schema.social.letter import (
    LETTERS,
    READERS,
    Letter,
    LetterReader,
    hand_letter,
    read_letter,
    reader_key,
    write_letter,
)
from banyan_schema.social.order import ORDER_ACTS, OrderNotice, write_act
from banyan_sim.charter_world import MemberNode, follow
from banyan_sim.machine import Machine, SimChoice, queries
from banyan_sim.runner import BOOT_S, no_collection, remembered_signatures
from banyan_sim.world import KINDS, World, draw

SETTLE_S, LATE_S = 30.0, 300.0
"""After so long all have what there was to have; and the most that is waited for what a drop gives back."""
FAULTY_S = 60.0
ANY = 1 << 50
"""Bytes of strangers: no bound, but they are counted as they would take a disk (`storage_cost.py`)."""


class ListedChoice(SimChoice):
    """What members of the charter list, and the people of the machine."""

    def begin(self, r: Replica, now: float) -> None:
        self._lists, self._now = MemberLists(lambda: self._now), now
        self._held: tuple[ListedAccounts | None, int] = None, 0
        r.room.set_room("", ANY)
        self.look(r, now)

    def look(self, r: Replica, now: float) -> None:
        self._now, epoch = now, r.charter.epoch
        if epoch is None:
            return
        found = self._lists.look(queries(r), epoch)
        held = dict.fromkeys([*found.kept, *self.own()])
        if (found, len(held)) != self._held:
            controls = found.placed - held.keys()
            r.set_interest([*held, *sorted(controls)], now, (), controls)
            self._held = found, len(held)


class SimAccount:
    """Somebody at a machine."""

    def __init__(self, machine: Machine, rng: random.Random) -> None:
        self.machine, self.salt = machine, rng.randbytes(32)
        self.root, self.next = (Signer(TEST, rng.randbytes(32)) for _ in range(2))
        seed = rng.randbytes(32)
        self.device, self.opener = Signer(TEST, seed), Opener(seed)
        self.id = AccountId(b"")
        self.written: dict[int, Ref] = {}
        """The batch of each number."""

    def open(self, r: Replica, now: float, host: AccountId | None = None) -> None:
        """host: the member whom its control log names."""
        wall_ms = self.machine.wall_ms()
        slots = [(self.root, key_digest(self.next.key))]
        self.id, _ = r.author.open_account(slots, self.salt, [grant_to(self.device.key, 4)], wall_ms)
        if host is not None:
            r.author.control(self.id, self.root, Host(host), wall_ms)
        r.writes.publish_control(self.id, now)

    def write(self, r: Replica, now: float, draft: social.OpDraft) -> Ref:
        log = LogId(self.id, self.device.key, 1)
        (written,) = r.writes.publish(log, self.device, [EntryDraft((draft.op,), (draft.content,))], now)
        return Ref(written.entries[0].id, 0)

    def can_carry_out(self, authority: AccountId, order: OrderNotice, name: CellKey) -> bool:
        """Whether its machine has the order, and the letter of this name with its items."""
        q = queries(self.machine.replica)
        said, given = next(q.items(authority, LETTERS, name), None), any(q.items(authority, ORDER_ACTS[OrderNotice]))
        box = next(q.items(authority, READERS, reader_key(name, WriterKey(self.device.key))), None)
        secret = None if box is None else self.opener.unwrap(LetterReader(*box.values).box)
        if not given or said is None or secret is None:
            return False
        raw = read_letter(authority, name, secret, Letter(*said.values))
        return raw is not None and bool(joined_items([raw], order))

    def follow(self, whom: AccountId, r: Replica, now: float) -> None:
        self.write(r, now, social.relate(self.salt, "follow", whom))

    def list(self, people: Sequence[AccountId], r: Replica, now: float) -> None:
        """Its list as a member has these people, and nobody else."""
        for number in range(max(len(self.written), -(-len(people) // BATCH))):
            part = people[number * BATCH : (number + 1) * BATCH]
            said = HostedBatch(number, int(Standing.HOSTED), b"".join(part))
            replaced = [self.written[number]] if number in self.written else []
            self.written[number] = self.write(r, now, list_hosted(self.salt, said, replaced))


class PlatformWorld(World):
    """So many members, each with a machine and so many people, and machines of nobody beside them."""

    def __init__(self, members: int, others: int, people: int, quota: int, seed: int) -> None:
        super().__init__(members + others, seed, limits=Limits())
        self.drawn = random.Random(f"{seed}/hosting")
        self.full, self.others = self.honest[:members], self.honest[members:]
        self.members = [SimAccount(machine, self.drawn) for machine in self.full]
        self.people = {m: [SimAccount(m.machine, self.drawn) for _ in range(people)] for m in self.members}
        for member in self.members:
            member.machine.chosen = ListedChoice(partial(self._hosted, member), tuple)
        self.boot(BOOT_S)
        self.run(BOOT_S + 1.0)
        for member in self.members:
            member.machine.feed(member.open)
        self.run(self.now + 1.0)
        followed = self._founded(Parameters(quota=quota))
        for machine in self.full:
            machine.feed(followed)
        for member, some in self.people.items():
            for person in some:
                self.join(member, person)
            self.lists(member, some)
        self.run(self.now + SETTLE_S)

    def _hosted(self, member: SimAccount) -> list[AccountId]:
        return [one.id for one in (member, *self.people[member]) if one.id]

    def _founded(self, parameters: Parameters) -> Callable[[Replica, float], object]:
        """Follows a charter of all members."""
        seats = [MemberNode(n, m.machine, self.seed, lambda content: True) for n, m in enumerate(self.members)]
        for seat, member in zip(seats, self.members, strict=True):
            seat.account = member.id
        seats.sort(key=lambda seat: seat.account)
        body = founding_body(b"Simulated", rows := tuple(seat.seat for seat in seats), parameters)
        founding = Founding(ContentId(id_of(TEST, body)), b"Simulated", rows, parameters)
        acts: list[Act | Founding] = [founding]
        acts += [seat.signs(CharterId(founding.id)).commit(0, 1, founding.id) for seat in seats]
        return partial(follow, [encode_act(act) for act in acts])

    def join(self, member: SimAccount, person: SimAccount) -> None:
        """Opens the account at the member, and follows it."""
        person.machine.feed(partial(person.open, host=member.id))
        person.machine.feed(lambda r, now: person.follow(member.id, r, now))

    def lists(self, member: SimAccount, people: Sequence[SimAccount]) -> None:
        member.machine.feed(lambda r, now: member.list([one.id for one in people], r, now))

    def keeping(self, people: Sequence[SimAccount]) -> int:
        """How many pairs of one of these people and another member's machine there are that has what it wrote."""
        return sum(
            any(log.log for log in machine.replica.store.heads(one.id))
            for one in people
            for machine in self.full
            if machine is not one.machine
        )


@dataclass(frozen=True, slots=True)
class StrangersRun:
    """minted: accounts, in so many virtual seconds. grew: by how many bytes of rows the store of a member grew at most;
    priced: of strangers, as they would take a disk. accounts: of strangers at a member, at most. lost: people of
    members that a member lacks."""

    seed: int
    seconds: float
    minted: int
    grew: int
    priced: int
    accounts: int
    lost: int

    @property
    def holds(self) -> bool:
        return max(self.grew, self.priced) <= 50e6 and not self.lost


def run_strangers(
    seed: int, seconds: float = 3_600.0, rate: float = 10.0, members: int = 5, people: int = 10
) -> StrangersRun:
    """One stranger's machine opens `rate` accounts a second."""
    with remembered_signatures(), no_collection():
        world = PlatformWorld(members, 1, people, 100, seed)
        (stranger,), everybody = world.others, [one for some in world.people.values() for one in some]
        before = list(map(_figures, world.full))
        minted, end = 0, world.now + seconds
        while world.now < end:
            account, whom = SimAccount(stranger, world.drawn), world.drawn.choice(everybody).id
            stranger.feed(account.open)
            stranger.feed(partial(account.follow, whom))
            minted += 1
            world.run(world.now + 1 / rate)
        world.run(world.now + SETTLE_S)
        after = list(map(_figures, world.full))
        grew, priced, accounts = (max(after[n][k] - was[k] for n, was in enumerate(before)) for k in range(3))
        lost = len(everybody) * (members - 1) - world.keeping(everybody)
        return StrangersRun(seed, seconds, minted, grew, priced, accounts, lost)


def _figures(machine: Machine) -> tuple[int, int, int]:
    r = machine.replica
    return machine.engine.sizes().used, r.strangers.used, sum(1 for _ in r.store.accounts())


@dataclass(frozen=True, slots=True)
class MemberRun:
    """bound: places of the list. placed: people with a place before the drop, `at_once` of them are elsewhere then.
    waiting: people behind them. kept: accounts that are elsewhere, of all. Each sums over the others. seconds:
    from the drop until these have all people."""

    seed: int
    bound: int
    placed: int
    at_once: int
    waiting: int
    kept: int
    seconds: float | None

    @property
    def holds(self) -> bool:
        return self.at_once == self.placed and self.kept == self.bound and self.seconds is not None


def run_member(seed: int, bots: int = 744, people: int = 13, quota: int = 100, members: int = 3) -> MemberRun:
    """One member lists so many, and drops the bots."""
    with remembered_signatures(), no_collection():
        world = PlatformWorld(members, 0, 0, quota, seed)
        member, others = world.members[0], members - 1
        everybody = [SimAccount(member.machine, world.drawn) for _ in range(bots + people)]
        honest = sorted(world.drawn.sample(range(len(everybody)), people))
        for person in everybody:
            world.join(member, person)
        world.people[member] += everybody
        world.lists(member, everybody)
        world.run(world.now + SETTLE_S)
        placed, waiting = ([everybody[n] for n in honest if (n < quota) == first] for first in (True, False))
        at_once, kept = world.keeping(placed), world.keeping(everybody)
        world.lists(member, [everybody[n] for n in honest])
        dropped, took = world.now, None
        while took is None and world.now < dropped + LATE_S:
            world.run(world.now + 0.1)
            if world.keeping([*placed, *waiting]) == people * others:
                took = round(world.now - dropped, 1)
        return MemberRun(seed, quota * others, len(placed) * others, at_once, len(waiting) * others, kept, took)


@dataclass(frozen=True, slots=True)
class OrderRun:
    """seconds: from the order until 99 % of the platforms in scope can carry it out; half_s: until half can. faults:
    that began before."""

    seed: int
    platforms: int
    half_s: float
    seconds: float
    faults: int
    holds: bool


def run_order(seed: int, platforms: int = 100, posts: int = 10) -> OrderRun:
    """The order comes in a minute of faults, to all members but the authority's."""
    with remembered_signatures(), no_collection():
        world = PlatformWorld(platforms + 1, 0, 0, 100, seed)
        (authority, *scope), start = world.members, world.now
        faults = draw(world.drawn, list(world.nodes), start, start + FAULTY_S, KINDS)
        world.plan(faults)
        world.run(start + world.drawn.uniform(0.1, 0.5) * FAULTY_S)
        while not authority.machine.up:
            world.run(world.now + 1.0)
        items = [OrderItem(world.drawn.randbytes(16), Target(m.id, CellKey(m.salt[:16]))) for m in scope[:posts]]
        order = OrderNotice("all", "", "Some law", 86_400, 0, *committed(items))
        name = CellKey(world.drawn.randbytes(16))
        secret, nonce = world.drawn.randbytes(32), world.drawn.randbytes(NONCE_BYTES)
        boxes = [(m.device.key, wrap(secret, WriterKey(m.device.key), world.drawn.randbytes(32))) for m in scope]
        drafts = [write_act(authority.id, order), write_letter(authority.id, name, secret, encode_items(items), nonce)]
        drafts += [hand_letter(name, writer, box) for writer, box in boxes if box is not None]
        given, times, left = world.now, list[float](), scope
        for draft in drafts:
            authority.machine.feed(partial(authority.write, draft=draft))
        while len(times) < 0.99 * platforms and world.now < given + LATE_S:
            world.run(world.now + 0.1)
            now = [m for m in left if m.machine.up and m.can_carry_out(authority.id, order, name)]
            times += [world.now - given] * len(now)
            left = [m for m in left if m not in now]
        done, began = len(times) >= 0.99 * platforms, sum(fault.at < world.now for fault in faults)
        half = times[platforms // 2 - 1] if len(times) >= platforms // 2 else LATE_S
        return OrderRun(seed, platforms, round(half, 1), round(times[-1] if done else LATE_S, 1), began, done)


def main() -> None:
    """The command: a line of JSON for each seed; exit status 1 if one does not hold."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("case", choices=("strangers", "member", "order"))
    args.add_argument("--seconds", type=float, default=3_600.0)
    args.add_argument("--rate", type=float, default=10.0)
    args.add_argument("--seeds", type=int, default=1)
    given = args.parse_args()
    bad = 0
    for seed in range(1, given.seeds + 1):
        match given.case:
            case "strangers":
                found: StrangersRun | MemberRun | OrderRun = run_strangers(seed, given.seconds, given.rate)
            case "member":
                found = run_member(seed)
            case _:
                found = run_order(seed)
        bad += not found.holds
        print(json.dumps(asdict(found) | {"holds": found.holds}), flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
