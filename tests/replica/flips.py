"""What a link carries while an attacker moves many heads with few bytes, by kind of message and by news."""

from __future__ import annotations

import sys
from collections import Counter

from banyan_crdt.checkpoint import Checkpoint, Place, encode_checkpoint, make_checkpoint
from banyan_crdt.ops import Grant, Pin
from banyan_crdt.run import decode_run
from banyan_replica.gossip import frames as gossip
from banyan_replica.wire import CheckpointItem, ControlItem, DataItems, GossipFrame, RunItem, decode_item, decode_message
from banyan_crdt.codec import decode
from tests.crdt.make import signer
from tests.replica.forging import WIDE, Forger, Pair
from tests.replica.helpers import data
from tests.replica.test_refusals import refuse


class Meter:
    """Counts what the replicas of a world say to each other, by kind; what came before is counted as `again`."""

    def __init__(self, w: Pair) -> None:
        self.w, self.kinds, self.seen = w, Counter[str](), set[object]()
        w.lost = self.sent

    def sent(self, sender: str, to: str, raw: bytes) -> bool:
        if sender not in self.w.replicas or to not in self.w.replicas:
            return False
        m = decode_message(raw)
        kind, news = type(m).__name__, 0
        if isinstance(m, DataItems):
            news = sum(self.fresh(to, sender, i) for i in m.items)
        elif isinstance(m, GossipFrame):
            f = m.frame
            if isinstance(f, gossip.Pushes):
                for p in f.items:
                    news += self.fresh(to, sender, decode_item(decode(p.payload)))
                kind = "Pushes"
            else:
                kind = type(f).__name__
        self.kinds["news"] += news
        self.kinds[kind] += len(raw) - news
        return False

    def fresh(self, to: str, sender: str, item: object) -> int:
        size = 0
        if isinstance(item, RunItem):
            run = decode_run(self.w.realm, item.run)
            keys = [e.id for e in run.entries]
            total = len(item.run)
        elif isinstance(item, ControlItem):
            keys = [bytes(e[0]) for e in item.entries]
            total = sum(len(x) for e in item.entries for x in e)
        else:
            keys, total = [item.checkpoint], len(item.checkpoint)
        new = [k for k in keys if (to, k) not in self.seen]
        self.seen.update((to, k) for k in keys)
        self.seen.update((sender, k) for k in keys)
        return total * len(new) // len(keys)

    def take(self) -> dict[str, int]:
        out, self.kinds = dict(self.kinds.most_common()), Counter()
        return out


def statement(w: Pair, who: Forger, n: int, pins: list[Pin], by: str = "root") -> CheckpointItem:
    end = who.control[-1]
    made = make_checkpoint(w.realm, who.id, signer(by, w.realm), n, Place(end.header.seq, end.id), pins)
    return CheckpointItem(encode_checkpoint(made))


def main() -> None:
    logs, every, minutes, how = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    reason = sys.argv[5] if len(sys.argv) > 5 else ""
    w, who = Pair(WIDE), Forger(WIDE)
    chained = how.startswith("chain")
    who.say(Grant(who.device, 1, 100_000, 8, None, None, None))
    notary = signer("notary", WIDE).key
    who.say(Grant(notary, 1, 9, 4, None, None, None))
    people = {name: w.person(name, f"of {name}") for name in "ab"}
    for name in "ab":
        w.control(name, who)
    w.link("a", "b")
    w.until(w.same, 60)
    meter = Meter(w)
    pins, wrote = [], 0
    for k in range(1, logs + 1):
        x, y = who.write(1, log=k), who.write(1, salt=7, log=k)
        pins.append(Pin(who.device, k, 0, x[0].id))
        for name in "ab":
            if name == "b" and reason:
                continue
            w.give(name, x); w.give(name, y)
    if chained:
        from tests.crdt.make import follow
        from banyan_crdt.ids import LogId
        name, path = LogId(who.id, notary, 1), []
        time = who.at + 99 * (1 << 16)
        for k in range(0, logs, 180):
            time += 1 << 16
            path.append(follow("notary", name, path, *pins[k : k + 180], realm=WIDE, time=time))
        other = who.write(1, by="notary", salt=5)
        for q in "ab":
            if q == "b" and reason:
                continue
            print(w.give(q, path), w.give(q, other))
        pins = [Pin(notary, 1, len(path) - 1, path[-1].id)]
    if reason:
        refuse(w, "b", who.id, reason)
    w.run(30)
    if not reason:
        assert w.same()
    print("setup", meter.take(), flush=True)
    w.rogue("x", "a", realm=WIDE.id)
    if how == "both":
        w.rogue("y", "b", realm=WIDE.id)
    n, end, worst = 0, w.now + 60 * minutes, 0.0
    spent = Counter[str]()
    nextpost, posted = w.now + 30, None
    for minute in range(minutes):
        stop = w.now + 60
        for name, person in people.items():
            w.post(name, person, 1)
        at, late = w.now, None
        while w.now < stop:
            n += 1
            item = statement(w, who, n, pins[:250] if n % 2 else [])
            wrote += len(item.checkpoint)
            if how == "silent":
                from banyan_crdt.checkpoint import decode_checkpoint
                r = w.replicas["a"]
                r.ingest.checkpoint(decode_checkpoint(WIDE, item.checkpoint), r.wall_ms(w.now)); w.drain("a")
            else:
                w.say("x", "a", data(item))
                if how == "both":
                    w.say("y", "b", data(item))
            w.run(every)
            if late is None and all(w.head("a", p.log()) == w.head("b", p.log()) for p in people.values()):
                late = w.now - at
        worst = max(worst, 99 if late is None else late)
        got = meter.take()
        spent.update(got)
        print(minute, n, wrote, got, f"late {late}", w.cut, w.points("a", "b"), w.points("b", "a"), [round(w.replicas[p].links[q].course.stuck._purse.level) for p, q in ("ab", "ba")], flush=True)
    print("ALL flips", n, "attacker", wrote, "beyond", sum(v for k, v in spent.items() if k != "news"), dict(spent), "late", worst)


if __name__ == "__main__":
    main()
