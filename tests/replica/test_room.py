"""A replica without room takes only its own accounts; nobody is charged, and once there is room nothing is lacking."""

from banyan_crdt.ids import AccountId
from banyan_replica.wire.messages import Wants
from tests.replica.helpers import World


def room(w: World, name: str, full: str, *ours: bytes) -> None:
    w.around[name].ours = [*map(AccountId, ours)]
    w.replicas[name].room.set_room(full)


def test_own_accounts_are_taken_by_gossip_and_by_comparison_and_others_are_not_asked_for() -> None:
    w = World("a", "b")
    mine, other = w.person("a", "mine"), w.person("a", "other")
    w.link("a", "b")
    w.until(w.same, 10)
    room(w, "b", "the disk is full", mine.id)
    w.post("a", mine, 3, push=True)
    w.post("a", other, 3, push=True)
    w.run(30)
    w.unlink("a", "b")
    w.post("a", mine, 2)
    w.post("a", other, 2)
    w.said = []
    w.link("a", "b")
    w.run(60)
    held = {log.account: head.length for log, head in w.replicas["b"].store.all_heads() if log.log}
    assert held == {mine.id: 5}
    asked = {want.log.account for who, m in w.said if who == "b" and isinstance(m, Wants) for want in m.wants}
    assert asked == {mine.id}
    told = w.replicas["b"].links["a"].told.differences.items()
    behind = {log.account for log, head in told if head != w.head("b", log)}
    assert behind == {other.id}
    for name, peer in (("a", "b"), ("b", "a")):
        assert w.replicas[name].ledger.points(peer, w.now) == 0
    assert w.cut == []
    room(w, "b", "")
    w.until(w.same, 30)
    assert w.replicas["b"].store.counts().entries == w.replicas["a"].store.counts().entries


def test_what_was_on_its_way_when_the_room_ended_is_refused_without_blame_and_fetched_later() -> None:
    w = World("a", "b")
    people = [w.person("a", f"person {k}") for k in range(30)]
    for p in people:
        w.post("a", p, 20)
    w.link("a", "b")
    while not w.replicas["b"].sync.asking.catchup.active:
        w.run(0.01)
    room(w, "b", "the disk is full")  # a reads its accounts to b: b has asked, and nothing has come
    w.run(120)
    assert w.bytes["a", "b"] > 30 * 20 * 100
    assert w.replicas["b"].store.counts().entries == 0
    for name, peer in (("a", "b"), ("b", "a")):
        assert w.replicas[name].ledger.points(peer, w.now) == 0
    assert w.cut == []
    room(w, "b", "")
    w.until(w.same, 60)
