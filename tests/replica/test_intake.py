"""Judging an item: whether it is news to pass on or known already, and why it was not accepted."""

from __future__ import annotations

from banyan_crdt.entry import Entry
from banyan_crdt.ids import Head
from banyan_replica.intake.intake import JUDGED_ROWS, SHORT_CONTROL, IntakeResult
from banyan_replica.intake.prepare import CheckedControl, CheckedRun
from banyan_replica.peers.limits import Limits
from tests.crdt.make import Person
from tests.replica.helpers import NOW_MS, World, control_item, data, run_item
from tests.replica.judging import run_of


def judge(w: World, item: CheckedRun | CheckedControl) -> IntakeResult:
    a = w.replicas["a"]
    judged = a.intake.item(a.links["r"], item, w.now, NOW_MS)
    a.store.commit()
    return judged


def test_a_branch_is_news_once_and_only_where_it_moves_a_head() -> None:
    w = World("a")
    an = w.person("a", "an")
    w.rogue("r", "a")
    log = an.write(3)
    branches = [an.write(1, below=log, tag=tag) for tag in "abc"]
    first = judge(w, CheckedRun(run_of(log), ()))
    assert (first.news, [e.id for e in first.added]) == (True, [e.id for e in log])
    for branch, news in zip(branches, (True, True, False), strict=True):  # goes on, forks, is one more
        judged = judge(w, CheckedRun(run_of(branch, 3), ()))
        assert judged.news == news
        assert judged.entries == (branch[3].id,)
        assert not judge(w, CheckedRun(run_of(branch, 3), ())).news
    assert w.head("a", an.log()) == Head(3, log[2].id, 1)


def test_control_entries_are_charged_for_what_is_judged_anew_and_what_is_held_costs_itself() -> None:
    w = World("a")
    an = w.person("a", "an")
    for k in range(SHORT_CONTROL):
        an.grant(f"device {k}")
    long = list(an.control)
    last = an.grant("late")
    branch = an.say(an.grant_op("tablet"), below=long[:1])
    w.rogue("r", "a")
    link = w.replicas["a"].links["r"]

    def cost(*entries: Entry) -> float:
        before = link.load.judged
        judge(w, CheckedControl(an.id, entries, ()))
        return (link.load.judged - before) / JUDGED_ROWS

    assert cost(*long) == len(long) + 2, "those that are offered, and two that were held"
    assert cost(*long[:3]) == 0, "nothing is judged anew"
    assert cost(last) == 1 + len(long)
    assert cost(branch) == 1 + len(long) + 1
    watch = an.say(an.grant_op("watch"), below=[*long, last])
    assert cost(watch) == 1 + len(long) + 2, "all but one of them are beside the path now"


def test_the_reason_for_not_yet_is_deleted_when_the_control_log_is_accepted() -> None:
    w = World("a", limits=Limits(work_burst=1, work_per_s=1))
    an = Person()
    for k in range(SHORT_CONTROL):
        an.grant(f"device {k}")
    w.rogue("r", "a")
    a = w.replicas["a"]
    assert a.sync.may_judge(a.links["r"], 10, w.now)
    w.say("r", "a", data(control_item(an)))
    assert [note.reason for note in a.intake.notes.values()] == ["busy"]
    w.run(60)
    w.say("r", "a", data(control_item(an)))
    assert not a.intake.notes
    w.say("r", "a", data(run_item(an.write(2))))
    assert w.head("a", an.log()).length == 2
