"""Which accounts an alliance keeps, as plainly as we can write it, and nodes that hear of lists and accounts in any
order. Imports nothing of the product.

A member's list is a version and places; an account's control log is a version and the member that it names. Nodes hold
the newest version of each that they got. They exchange only what stands in their frontier, and may forget all else.

The rules: a place of a list is an account and what it is (hosted, attested, vouched). The first `quota` places of each
kind are the member's. An account is *placed* with a place, *kept* if it also names that member or is vouched for.
Frontiers have the lists of members, the control logs of placed accounts, and all of kept ones.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

HOSTED, ATTESTED, VOUCHED = range(3)
Place = tuple[int, int]
"""(account, kind)."""
List = tuple[int, tuple[Place, ...]]
"""(version, places)."""
Log = tuple[str, int]
"""("list", member), ("control", account), ("posts", account)."""


class Rules(NamedTuple):
    """The rules, and switches that show what each is for."""

    newest_first: bool = False
    needs_host: bool = True
    needs_list: bool = True
    repeats_take_places: bool = False
    attested_apart: bool = True
    members_apart: bool = True
    controls_of_placed: bool = True
    seats_asked: bool = True


RULES = Rules()


class Alliance(NamedTuple):
    members: frozenset[int]
    quota: int
    vouched: int = 1


def placed(a: Alliance, places: tuple[Place, ...], rules: Rules = RULES) -> dict[int, int]:
    """The accounts with a place, and their kind."""
    room = {HOSTED: a.quota, ATTESTED: a.quota, VOUCHED: a.vouched}
    out: dict[int, int] = {}
    seen: set[int] = set()
    for account, kind in reversed(places) if rules.newest_first else places:
        group = kind if rules.attested_apart or kind == VOUCHED else HOSTED
        if account in seen and not rules.repeats_take_places:
            continue
        seen.add(account)
        if room[group]:
            room[group] -= 1
            out.setdefault(account, kind)
    return out


def all_placed(a: Alliance, lists: dict[int, List], rules: Rules = RULES) -> dict[int, dict[int, int]]:
    """By member."""
    asked = [m for m in sorted(lists) if m in a.members or not rules.seats_asked]
    if rules.members_apart:
        return {m: placed(a, lists[m][1], rules) for m in asked}
    one = placed(a, tuple(place for m in asked for place in lists[m][1]), rules)
    return {m: {x: k for x, k in one.items() if any(x == y for y, _ in lists[m][1])} for m in asked}


def kept(a: Alliance, lists: dict[int, List], hosts: dict[int, tuple[int, int]], rules: Rules = RULES) -> set[int]:
    """hosts: by account the version of its control log and the member that it names."""
    out = {
        x
        for m, here in all_placed(a, lists, rules).items()
        for x, kind in here.items()
        if kind == VOUCHED or not rules.needs_host or hosts.get(x, (0, -1))[1] == m
    }
    if not rules.needs_list:
        for m in a.members:
            mine = [x for x, (_, host) in sorted(hosts.items(), reverse=True) if host == m]
            out |= set(mine[: a.quota])
    return out


class Node:
    """home: accounts that live here, held whatever the alliance keeps."""

    def __init__(self, a: Alliance, home: set[int], rules: Rules = RULES) -> None:
        self.a, self.home, self.rules = a, home, rules
        self.lists: dict[int, List] = {}
        self.hosts: dict[int, tuple[int, int]] = {}
        self.posts: set[int] = set()

    @property
    def kept(self) -> set[int]:
        return kept(self.a, self.lists, self.hosts, self.rules)

    def frontier(self) -> set[Log]:
        """What it tells and takes."""
        keeps = self.kept
        placed = {x for here in all_placed(self.a, self.lists, self.rules).values() for x in here}
        controls = keeps | placed if self.rules.controls_of_placed else keeps
        logs: set[Log] = {("list", m) for m in self.a.members}
        return logs | {("control", x) for x in controls} | {("posts", x) for x in keeps}

    def state(self) -> object:
        """What its frontier comes to."""
        held: dict[Log, object] = {("list", m): one for m, one in self.lists.items()}
        held |= {("control", x): one for x, one in self.hosts.items()} | {("posts", x): 1 for x in self.posts}
        return {log: held[log] for log in self.frontier() if log in held}

    def take(self, log: Log, other: Node) -> None:
        what, x = log
        if what == "list" and x in other.lists:
            self.lists[x] = max(self.lists.get(x, (0, ())), other.lists[x])
        elif what == "control" and x in other.hosts:
            self.hosts[x] = max(self.hosts.get(x, (0, -1)), other.hosts[x])
        elif what == "posts" and x in other.posts and x in self.hosts:
            self.posts.add(x)

    def forget(self, rng: Random) -> None:
        """Some of what no frontier names."""
        stays = self.frontier()
        for x in [x for x in self.hosts if ("control", x) not in stays and x not in self.home]:
            if rng.random() < 0.5:
                del self.hosts[x]
        for x in [x for x in self.posts if ("posts", x) not in stays and x not in self.home]:
            if rng.random() < 0.5:
                self.posts.discard(x)


def exchange(one: Node, other: Node, rng: Random, lost: float = 0.0) -> None:
    """Each takes what the other's frontier names and its own does, too."""
    for a, b in ((one, other), (other, one)):
        for log in sorted(b.frontier()):
            if rng.random() >= lost and log in a.frontier():
                a.take(log, b)


def settle(nodes: list[Node], rng: Random) -> bool:
    """Whether all come to one state, by exchanging until nothing moves."""
    for _ in range(60):
        before = [node.state() for node in nodes]
        for one in nodes:
            for other in nodes:
                if one is not other:
                    exchange(one, other, rng)
        if before == [node.state() for node in nodes]:
            return all(state == before[0] for state in before)
    return False


def history(seed: str, rules: Rules = RULES) -> str:
    """What a random history breaks; empty: nothing. Members list, drop, reorder, list twice and list others' accounts;
    accounts move; nodes meet, lose much and forget."""
    rng = Random(seed)
    a = Alliance(frozenset(range(3)), rng.randint(1, 4))
    accounts = range(10, 22)
    homes = {x: rng.randrange(4) for x in accounts}
    nodes = [Node(a, {x for x in accounts if homes[x] == n}, rules) for n in range(4)]
    for x in accounts:
        node = nodes[homes[x]]
        node.hosts[x] = (1, rng.randrange(4))
        node.posts.add(x)
    for step in range(rng.randint(5, 30)):
        what = rng.random()
        m = rng.randrange(4)  # 3 has no seat
        if what < 0.4:
            version, places = nodes[m].lists.get(m, (0, ()))
            now = list(places)
            turn = rng.random()
            if turn < 0.5 or not now:
                now.append((rng.choice(accounts), rng.choice((HOSTED, HOSTED, ATTESTED, VOUCHED))))
            elif turn < 0.75:
                del now[rng.randrange(len(now))]
            elif turn < 0.85:
                rng.shuffle(now)
            else:
                now.append(now[0])
            nodes[m].lists[m] = (version + 1, tuple(now))
        elif what < 0.6:
            x = rng.choice(accounts)
            nodes[homes[x]].hosts[x] = (step + 2, rng.randrange(4))
        elif what < 0.9:
            one, other = rng.sample(nodes, 2)
            exchange(one, other, rng, 0.3)
        else:
            rng.choice(nodes).forget(rng)
    if not settle(nodes, rng):
        return "nodes agree"
    lists = {m: nodes[m].lists[m] for m in a.members if m in nodes[m].lists}
    hosts = {x: nodes[homes[x]].hosts[x] for x in accounts}
    if any(node.kept != kept(a, lists, hosts, rules) for node in nodes):
        return "what is kept follows from the lists and the newest control logs"
    return promises(a, lists, hosts, rng, rules)


def promises(
    a: Alliance, lists: dict[int, List], hosts: dict[int, tuple[int, int]], rng: Random, rules: Rules = RULES
) -> str:
    """The promise that one step from here breaks; empty: none."""
    before = kept(a, lists, hosts, rules)
    places = all_placed(a, lists, RULES)
    for m, (version, listed) in lists.items():
        mine = {x for x in before if x in places[m] and hosts[x][1] == m}
        strangers = dict.fromkeys(range(400, 400 + a.quota), (1, m))
        if kept(a, lists, hosts | strangers, rules) != before:
            return "strangers take no place of a member"
        more = tuple((rng.randrange(100, 140), rng.choice((HOSTED, ATTESTED, VOUCHED))) for _ in range(12))
        minted = {x: (1, m) for x, _ in more}
        after = kept(a, lists | {m: (version + 1, listed + more)}, hosts | minted, rules)
        if not mine <= after:
            return "a flood locks out nobody who was there before it"
        if before - after:
            return "a member's flood takes no place of others"
        if len(after) > len(a.members) * (2 * a.quota + a.vouched):
            return "members bound what is kept"
        bots = tuple((x, HOSTED) for x in range(200, 200 + 3 * a.quota))
        people = tuple((x, ATTESTED) for x in range(300, 300 + a.quota))
        told = hosts | {x: (1, m) for x, _ in (*bots, *people)}
        one = kept(a, {m: (1, bots + people)}, told, rules)
        if not {x for x, _ in people} <= one:
            return "attested people have places of their own"
        dropped = kept(a, {m: (2, bots[2 * a.quota :])}, told, rules)
        if dropped != {x for x, _ in bots[2 * a.quota :]}:
            return "what is dropped gives its room back"
        again = kept(a, {m: (1, (bots[0], *bots))}, told, rules)
        if len(again) < a.quota:
            return "who is listed twice takes one place"
        stolen = next((x for x, (_, host) in hosts.items() if host not in (m, -1)), None)
        if stolen is not None and stolen in kept(a, {m: (1, ((stolen, HOSTED),))}, hosts, rules):
            return "an account counts only for the member that it names"
        gone = a._replace(members=a.members - {m})
        if any(x in kept(gone, lists, hosts, rules) for x in mine if x not in kept(gone, lists | {m: (9, ())}, hosts)):
            return "the accounts of an expelled member count for nobody"
        to = next(iter(gone.members))
        moved = hosts | dict.fromkeys(mine, (99, to))
        there = kept(gone._replace(quota=99), {**lists, to: (9, tuple((x, HOSTED) for x in mine))}, moved, rules)
        if not mine <= there:
            return "who moves to another member counts there"
    return ""
