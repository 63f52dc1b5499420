"""Replicas in virtual time: what they send to each other, and what a malicious peer can achieve."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.entry import MAX_CONTROL_BYTES, encode_header
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey, control_log
from banyan_crdt.ops import Pin
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.run import encode_control
from banyan_crdt.signing import Signer
from banyan_replica.gossip import store_bridge
from banyan_replica.gossip.frames import Join, Push, PushFrame, encode_frame
from banyan_replica.intake.prepare import prepare
from banyan_replica.peers.flow import FIRST_ROOM, OVERSHOOT, WINDOW
from banyan_replica.peers.ledger import Scale
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.statements import STALE_MS, Withheld, _witnessed_hash, sign_withheld
from banyan_replica.replica import Replica
from banyan_replica.wire.data_items import encode_item
from banyan_replica.wire.message_table import decode_message, encode_message
from banyan_replica.wire.messages import (
    LAST,
    MAX_FRAME,
    VERSION,
    Bye,
    CheckpointItem,
    ControlItem,
    Credit,
    DataItems,
    GossipFrame,
    Heads,
    Hello,
    Message,
    Parts,
    Replay,
    Replayed,
    Root,
    RunItem,
    Scan,
    Scanned,
    Sums,
    Want,
    WantParts,
    Wants,
    Witness,
)
from tests.crdt.make import Person, b32, run_bytes
from tests.replica.helpers import NOW_MS, START_S, World, control_item, data, draft, phone_of, plain_hello, run_item

DIFFERENT = [(1, b32("other")[:16])] * 16


def nibbles(account: bytes) -> bytes:
    return bytes(n for byte in account for n in (byte >> 4, byte & 15))


def messages(world: World, name: str, kind: type[Message]) -> list[Message]:
    return [m for m in world.heard[name] if type(m) is kind]


def scan_cursors(frame: bytes) -> list[bytes]:
    m = decode_message(frame)
    return [m.cursor] if isinstance(m, Scan) else []


def pushes(world: World, name: str) -> list[GossipFrame]:
    """The gossip frames in which a replica forwarded messages."""
    frames = [m for sender, m in world.said or () if sender == name and isinstance(m, GossipFrame)]
    return [m for m in frames if m.frame[0] == 0 and m.frame[1]]


def filled(world: World, at: str, people: int, posts: int) -> list[Person]:
    made = [world.person(at, f"person {k}") for k in range(people)]
    for p in made:
        world.post(at, p, posts)
    return made


# -- reconciliation


def test_a_fresh_node_reads_its_neighbour_through_and_ends_with_all_its_content() -> None:
    w = World("a", "b")
    filled(w, "a", 20, 10)
    w.link("a", "b")
    w.until(w.same, 10)
    assert w.replicas["b"].store.counts().entries == 20 * 12
    assert not w.replicas["b"].sync.asking.catchup.active


def test_a_scan_goes_on_where_it_stopped_before_the_restart() -> None:
    w = World("a", "b", limits=Limits(piece=4 << 10))
    filled(w, "a", 60, 10)
    scans: list[bytes] = []
    sent = 0

    def first_three(sender: str, to: str, frame: bytes) -> bool:
        nonlocal sent
        scans.extend(scan_cursors(frame))
        sent += isinstance(decode_message(frame), Scanned)
        return sender == "a" and sent > 3

    w.lost = first_three
    w.link("b", "a")
    w.run(2)
    half = w.replicas["b"].store.counts().accounts
    assert 0 < half < 15  # a quarter: beyond, what is left is compared by sums
    w.stop("b")
    w.start("b")
    sent = -10_000
    w.link("b", "a")
    w.until(w.same, 10)
    assert scans[0] == b""
    assert scans[1] in {bytes(a) for a in w.replicas["a"].store.accounts()}


def test_two_that_each_have_what_the_other_lacks_find_it_by_one_sketch() -> None:
    w = World("a", "b")
    filled(w, "a", 150, 1)
    w.link("a", "b")
    w.until(w.same, 20)
    w.unlink("a", "b")
    w.replicas["b"].store.put_note(b"met:" + w.replicas["a"].store.store_id, None)
    w.replicas["a"].store.put_note(b"met:" + w.replicas["b"].store.store_id, None)
    for name in "ab":
        w.drain(name)
        w.post(name, w.person(name, f"only {name}"), 3)
    before = dict(w.bytes)
    w.link("a", "b")
    w.until(w.same, 5)
    assert sum(w.bytes.values()) - sum(before.values()) < 60_000  # not the frontier of 300 logs twice over


def test_both_branches_of_a_fork_reach_everybody_as_evidence() -> None:
    w = World("a", "b", "c")
    an = w.person("a", "an")
    for name in "bc":
        w.replicas[name].ingest.control(an.id, an.control, NOW_MS)
        w.drain(name)
    log = an.write(4)
    for name, tag in (("a", "one"), ("b", "two")):
        mine = an.write(3, below=log, tag=tag)
        w.link("rogue", name)
        w.say("rogue", name, plain_hello(), data(run_item(mine)))
        w.unlink("rogue", name)
    w.link("a", "b")
    w.link("b", "c")
    w.until(lambda: len(w.digests()) == 1, 20)
    for name in "abc":
        assert w.head(name, an.log()) == Head(4, log[3].id, 1)
        assert len(w.replicas[name].store.loose(an.log())) == 6
    assert not w.rejections("a") + w.rejections("b") + w.rejections("c")


def test_the_control_log_is_asked_for_before_the_logs_that_it_grants() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.post("a", an, 5)
    heads = list(w.replicas["a"].store.heads(an.id).items())
    w.rogue("r", "b")
    w.say("r", "b", Heads(b"", 0, heads))
    w.run(0.1)
    asked = [want.log for m in messages(w, "r", Wants) if isinstance(m, Wants) for want in m.wants]
    assert asked == [control_log(an.id)]
    w.say("r", "b", data(control_item(an)))
    w.run(0.1)
    asked = [want.log for m in messages(w, "r", Wants) if isinstance(m, Wants) for want in m.wants]
    assert asked == [control_log(an.id), an.log()]


def test_content_that_a_relay_kept_back_is_got_from_another() -> None:
    w = World("a", "relay", "c")
    an = w.person("a", "an")
    w.post("a", an, 20)
    w.link("a", "relay")
    w.until(lambda: w.same("a relay"), 10)

    def headers_only(sender: str, to: str, frame: bytes) -> bool:
        m = decode_message(frame)
        if sender != "relay" or to != "c" or not isinstance(m, DataItems | Parts):
            return False
        if isinstance(m, DataItems):
            bare = DataItems([i if isinstance(i, CheckpointItem) else i._replace(contents=[]) for i in m.items])
            w.replicas["c"].receive("relay", encode_message(bare), w.now)
            w.drain("c")
        return True

    w.lost = headers_only
    w.link("relay", "c")
    w.until(lambda: w.head("c", an.log()).length == 20, 10)
    w.run(5)
    assert w.replicas["c"].store.counts().lacking == 21  # the account's salt among it
    w.link("a", "c")
    w.until(w.same, 90)


def test_whoever_erased_content_says_why_and_is_asked_no_more_of_it_at_once() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.post("a", an, 1)
    entry = w.head("a", an.log()).id
    assert entry is not None
    platform = Signer(TEST, b"p" * 32)
    said = sign_withheld(platform, Withheld(platform.key, NOW_MS, entry, 0, "court order 7", "", "", None))
    w.replicas["a"].store.erase_part(entry, 0, said)
    w.drain("a")
    w.link("a", "b")
    w.until(lambda: (entry, 0) in w.replicas["b"].missing.withheld, 10)
    assert w.replicas["b"].missing.withheld[entry, 0] == said
    assert w.head("b", an.log()).length == 1


def test_a_peer_that_falls_silent_is_passed_over_and_another_asked() -> None:
    w = World("a", "mute", "c")
    people = filled(w, "a", 5, 3)
    w.link("a", "mute")
    w.until(lambda: w.same("a mute"), 10)
    w.lost = lambda sender, to, frame: sender == "mute" and isinstance(decode_message(frame), DataItems | Scanned)
    w.link("mute", "c")
    w.run(3)
    assert w.replicas["c"].store.counts().entries == 0
    w.link("a", "c")
    w.until(lambda: w.head("c", people[4].log()) == w.head("a", people[4].log()), 15)
    w.until(lambda: len(w.digests()) == 1, 15)


# -- gossip


def test_a_post_reaches_neighbours_of_neighbours_in_a_few_delays() -> None:
    w = World("a", "b", "c", "d")
    an = w.person("a", "an")
    for x, y in ("ab", "bc", "cd"):
        w.link(x, y)
    w.until(w.same, 30)
    w.post("a", an, 1, push=True)
    assert w.until(lambda: w.head("d", an.log()).length == 1, 2) <= 0.5


def gossip(item: ControlItem | RunItem, mid: bytes) -> GossipFrame:
    return GossipFrame(encode_frame(PushFrame((Push(mid[:16], 0, encode(encode_item(item))),))))


def test_an_old_message_told_again_is_neither_charged_nor_passed_on() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    early = control_item(an)
    mid = an.control[-1].id
    w.replicas["a"].ingest.control(an.id, [an.say(an.pin(an.write(1)[0]))], NOW_MS)
    log = an.write(6)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log)))
    w.link("a", "b")
    w.until(lambda: len(w.digests()) == 1, 10)
    before = w.bytes["a", "b"]
    w.said = []
    w.say("r", "a", gossip(early, mid))  # overtaken by the newer state of that control log
    for k in range(5):
        w.say("r", "a", gossip(run_item(log, 0, k + 1), log[k].id))
    w.run(2)
    assert w.points("a", "r") == 0
    assert w.bytes["a", "b"] - before < 2_000
    assert pushes(w, "a") == []


def test_a_message_under_a_false_name_is_charged_and_passed_on_to_nobody() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.rogue("r", "a")
    w.say("r", "a", gossip(run_item(an.write(1)), b32("another name")))
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)
    assert "not the id of its last entry" in w.rejections("a")[0]


@pytest.mark.parametrize("kind", ["a run", "a control log"])
def test_a_message_of_an_account_that_is_not_held_is_seen_under_its_own_name_only(kind: str) -> None:
    w = World("a", "b")
    an, binh = w.person("b", "an"), Person("binh")
    w.replicas["a"].set_interest([an.id], w.now)
    w.link("a", "b")
    w.until(lambda: w.head("a", control_log(an.id)).length > 0, 10)
    log, other = an.write(1), binh.write(1)
    theirs = run_item(other) if kind == "a run" else control_item(binh)
    w.rogue("r", "a")
    w.say("r", "a", gossip(theirs, other[0].id if kind == "a run" else binh.control[-1].id))
    assert w.points("a", "r") == 0
    w.say("r", "a", gossip(theirs, log[0].id))
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)
    w.rogue("honest", "a")
    w.say("honest", "a", gossip(run_item(log), log[0].id))
    assert w.head("a", an.log()).length == 1


@pytest.mark.parametrize("kind", ["held", "not held", "forged", "forged and not held", "malformed"])
def test_a_large_message_that_was_read_ahead_comes_to_the_same_and_is_not_read_again(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for ahead in (False, True):
        w = World("a", "b")
        an, binh = w.person("b", "an"), Person("binh")
        w.replicas["a"].set_interest([an.id], w.now)
        w.link("a", "b")
        w.run(10)
        log = (binh if "not held" in kind else an).write(600)
        run = run_item(log).run
        forged = run[:-1] + bytes((run[-1] ^ 1,)) if "forged" in kind else run
        frame = encode_message(gossip(RunItem(forged[1:] if kind == "malformed" else forged, []), log[-1].id))
        w.rogue("r", "a")
        prepared = prepare(TEST, frame, pushed=True) if ahead else None
        with monkeypatch.context() as patch:
            if ahead and "forged" not in kind:
                patch.setattr(store_bridge, "opened", lambda delivery: pytest.fail("it is read again"))
            w.replicas["a"].receive("r", frame, w.now, prepared)
        w.run(0.1)
        found.append((w.head("a", an.log()), w.points("a", "r"), len(w.rejections("a"))))
    assert found[0] == found[1]
    assert (found[1][0].length == 600) == (kind == "held")


def test_no_stranger_can_make_a_node_announce_what_it_does_not_send() -> None:
    """Branches that do not count are held and not sent; an honest neighbour that asked for them took that for a lie."""
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.until(w.same, 30)
    branches = [an.write(1, tag=f"branch {k}") for k in range(80)]
    w.rogue("r", "a")
    w.say("r", "a", GossipFrame(encode_frame(Join())))
    w.say("r", "a", data(run_item(branches[0])), data(run_item(branches[1])))
    w.run(3)
    mids = tuple(log[0].id[:16] for log in branches[2:])
    w.say("r", "a", GossipFrame(encode_frame(PushFrame(ihaves=mids))))
    w.say("r", "a", *(gossip(run_item(log), log[0].id) for log in branches[2:]))
    w.run(12)
    assert w.points("a", "r") == w.points("b", "a") == 0
    assert "a" in w.replicas["b"].links


def test_what_is_past_its_limit_is_passed_on_to_nobody() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.until(w.same, 10)
    w.replicas["a"].ingest.control(an.id, [an.say(an.cut("phone"))], NOW_MS)
    w.drain("a")
    w.said = []
    w.rogue("r", "a")
    log = an.write(1)
    w.say("r", "a", gossip(run_item(log), log[0].id))
    w.run(1)
    assert w.points("a", "r") == 0
    assert pushes(w, "a") == []
    assert [n.reason for n in w.replicas["a"].intake.notes.values()] == ["cut"]


# -- durability


def test_a_post_that_could_not_be_made_durable_is_told_to_nobody() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.until(w.same, 10)
    r = w.replicas["a"]
    w.said = []
    r.writes.publish(an.log(), phone_of(an), [draft("lost", 1)], w.now)
    r.handle_timer(w.now + 0.001)
    r.store.rollback()
    r.commit_failed("the disk is full")
    w.drain("a")
    w.run(2)
    assert w.head("a", an.log()).length == w.head("b", an.log()).length == 0
    assert pushes(w, "a") == []
    w.post("a", an, 1, push=True)  # the same place in the log: had the first gone out, this were a fork
    w.until(w.same, 10)
    assert w.head("b", an.log()) == Head(1, w.head("a", an.log()).id, 0)


# -- hello


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"realm": MAIN.id}, "realm .* meets realm .* \\(test\\)"),
        ({"version": 9}, f"protocol version 9 meets {VERSION}: update"),
    ],
)
def test_a_peer_of_another_realm_or_version_is_told_so_in_one_sentence(
    changed: dict[str, object], sentence: str
) -> None:
    w = World("a")
    w.rogue("r", "a", **changed)
    w.say("r", "a", Root(5, bytes(32), 5), Root(6, bytes(32), 6), Root(7, bytes(32), 7), Root(8, bytes(32), 8))
    w.run(0.1)
    (bye,) = messages(w, "r", Bye)
    assert isinstance(bye, Bye)
    assert re.search(sentence, bye.reason.decode())
    assert [(peer, reason == bye.reason.decode()) for _, peer, reason in w.cut] == [("r", True)]
    assert w.points("a", "r") == 0  # what it said before it read that is no fault


def test_a_hello_of_a_later_version_may_have_another_shape() -> None:
    w = World("a")
    w.link("r", "a")
    w.say("r", "a", encode([1, VERSION + 1, b"something", [b"else"]]))
    assert w.cut == [("a", "r", f"protocol version {VERSION + 1} meets {VERSION}: update the older node")]
    assert w.rejections("a") == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (encode([1, VERSION, TEST.id, bytes(16), 0, bytes(32), 0, b""]), "has 8 fields .*, partial.*, this one 7"),
        (encode([1, VERSION, TEST.id[:16], bytes(16), 0, bytes(32), 0, b"", 0]), "hello, field realm: expected 32 b"),
        (encode([1, VERSION, TEST.id, bytes(16), 0, bytes(32), 0, b"x", 0]), "field operator: expected 32 bytes or no"),
        (encode([1, VERSION, TEST.id, bytes(16), 0, bytes(32), 0, b"", 2]), "field partial: expected a number from 0"),
        (encode([1]), "hello has 8 fields"),
        (b"\x81\x01\x00", "not in deterministic form"),
        (b"\x89\x01\x61", "text"),
    ],
)
def test_a_first_hello_that_is_wrong_is_told_which_field_and_costs_nothing(wrong: bytes, sentence: str) -> None:
    w = World("a")
    for _ in range(5):
        w.link("r", "a")
        w.say("r", "a", wrong, wrong, encode([99]))
        w.run(0.1)
        (bye,) = messages(w, "r", Bye)
        assert isinstance(bye, Bye)
        assert re.search(f"no hello of version {VERSION}: .*{sentence}", bye.reason.decode())
        assert w.points("a", "r") == 0
        assert w.replicas["a"].ledger.banned("r", w.now) is None
        w.heard["r"].clear()
        w.unlink("r", "a")
    w.rogue("r", "a")
    assert "r" in w.replicas["a"].peers.greeted()


def test_what_is_no_hello_at_all_is_told_so_and_costs_points() -> None:
    w = World("a")
    w.link("r", "a")
    w.say("r", "a", b"GET / HTTP/1.1")
    w.run(0.1)
    (bye,) = messages(w, "r", Bye)
    assert isinstance(bye, Bye)
    assert b"the first frame is no hello" in bye.reason
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)


def test_nothing_is_taken_before_the_hello_and_one_store_says_it() -> None:
    w = World("a")
    w.link("r", "a")
    w.say("r", "a", Root(1, bytes(32), 1))
    assert w.rejections("a") == []  # an honest frame may have been meant for the connection before
    assert w.replicas["a"].links["r"].told.arrival == 0
    w.unlink("r", "a")
    w.rogue("r", "a")
    w.say("r", "a", Hello(VERSION, TEST.id, b"another store 16", 0, bytes(32), 0, b"", 0))
    assert w.rejections("a")[-1] == "a second hello, of another store"
    points = w.points("a", "r")
    w.unlink("r", "a")
    w.rogue("r", "a")
    w.say("r", "a", plain_hello(version=VERSION + 1))
    assert w.points("a", "r") == points, "nobody can read the rest of it"
    assert "update the older node" in w.cut[-1][2]


# -- standing


def test_three_lies_and_a_peer_is_banned_and_a_pardon_brings_it_back() -> None:
    w = World("a")
    w.rogue("r", "a")
    for _ in range(3):
        w.say("r", "a", encode([99]))
    assert w.cut == [("a", "r", "banned: no message has code 99")]
    w.unlink("r", "a")
    w.link("r", "a")
    assert w.cut[-1] == ("a", "r", "banned: no message has code 99")
    assert "r" not in w.replicas["a"].links
    w.replicas["a"].ledger.pardon("r")
    w.rogue("r", "a")
    assert "r" in w.replicas["a"].links
    w.replicas["a"].peers.ban("r", "by the operator", w.now)
    w.drain("a")
    assert w.cut[-1] == ("a", "r", "banned: by the operator")
    w.unlink("r", "a")
    w.now += 100_000
    w.run(10)
    w.link("r", "a")
    assert "r" not in w.replicas["a"].links


def test_a_ban_by_the_operator_outlives_a_restart_and_a_pardon_too() -> None:
    w = World("a")
    w.replicas["a"].peers.ban("r", "by the operator", w.now)
    w.drain("a")
    w.stop("a")
    again = w.start("a")
    w.link("r", "a")
    assert "r" not in again.links
    assert again.ledger.banned("r", w.now) == "by the operator"
    again.peers.pardon("r")
    w.drain("a")
    w.stop("a")
    w.start("a")
    w.rogue("r", "a")
    assert "r" in w.replicas["a"].peers.greeted()


def test_a_ban_ends_by_itself_and_points_heal() -> None:
    w = World("a")
    w.rogue("r", "a")
    w.say("r", "a", encode([99]))
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)
    w.run(120)
    assert w.points("a", "r") == pytest.approx(8)
    w.say("r", "a", encode([99]), encode([99]), encode([99]))
    w.unlink("r", "a")
    w.run(601)
    w.link("r", "a")
    assert "r" in w.replicas["a"].links


def test_a_forged_signature_under_a_held_entry_is_charged_and_not_kept() -> None:
    w = World("a")
    an = w.person("a", "an")
    log = an.write(6)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log)))
    store = w.replicas["a"].store
    forged = [*log[:2], log[2]._replace(sig=bytes(64))]
    w.say("r", "a", data(RunItem(run_bytes(forged, 0, 3), [])))
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)
    held = store.entry(log[2].id)
    assert held is not None
    assert held.sig is None
    w.rogue("r", "a")  # the first link ended
    w.say("r", "a", data(run_item(log, 0, 3)))
    held = store.entry(log[2].id)
    assert held is not None
    assert held.sig == log[2].sig


# -- witnesses


def test_a_platforms_word_goes_round_and_tells_how_fresh_a_node_is() -> None:
    w = World("b", "c")
    w.start("a", witness=Signer(TEST, b32("platform")))
    filled(w, "a", 2, 2)
    w.replicas["c"].witnesses.named.name("a", Signer(TEST, b32("platform")).key)
    w.link("a", "b")
    w.link("b", "c")
    w.until(w.same, 10)
    w.run(70)
    fresh = w.replicas["c"].witnesses.fresh_as_of()
    assert fresh is not None
    assert w.now * 1000 - fresh[0] < 61_000


def witness(name: str, time_ms: int, root: bytes = bytes(32)) -> Witness:
    signer = Signer(TEST, b32(name))
    return Witness(signer.key, time_ms, root, signer.sign(_witnessed_hash(time_ms, root)))


def test_a_forged_witness_is_charged_one_from_the_future_or_long_ago_is_dropped() -> None:
    w = World("a", "b")
    w.link("a", "b")
    w.rogue("r", "a")
    w.say("r", "a", witness("p", NOW_MS)._replace(root=b32("else")))
    assert "not signed by it" in w.rejections("a")[0]
    w.say("r", "a", witness("p", NOW_MS + 301_000), witness("p", NOW_MS - STALE_MS))
    assert w.replicas["a"].witnesses.latest() == []
    w.say("r", "a", witness("p", NOW_MS))
    w.run(0.1)
    assert len(w.replicas["b"].witnesses.latest()) == 1
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)


def test_a_flood_of_witnesses_of_made_up_platforms_is_neither_kept_nor_spread_whole() -> None:
    w = World("a", "b", limits=Limits(work_burst=6_400, work_per_s=640))
    w.link("a", "b")
    w.rogue("r", "a")
    for k in range(300):
        w.say("r", "a", witness(f"made up {k}", NOW_MS))
    w.run(0.1)
    assert len(w.replicas["b"].witnesses.latest()) <= 101


# -- every bound binds


def bounded(**limits: Any) -> World:
    w = World("a", limits=Limits(**limits))
    w.rogue("r", "a")
    return w


def test_bulk_beyond_the_window_is_charged() -> None:
    w = World("a")
    an = w.person("a", "an")
    w.rogue("r", "a")
    w.replicas["a"].links["r"].flow.window = 0
    item = run_item(an.write(1))
    link = w.replicas["a"].links["r"]
    w.say("r", "a", data(item))
    assert w.rejections("a") == []
    link.flow.window = -OVERSHOOT
    w.say("r", "a", data(item))
    assert "more of bulk than there was credit for" in w.rejections("a")[0]


def test_honest_bulk_never_exceeds_its_window_and_the_sender_stops_at_it() -> None:
    w = World("a", "b", limits=Limits(credit=1 << 20))
    people = [w.person("a", f"p{k}") for k in range(6)]
    for p in people:
        w.post("a", p, 900)
    big = [draft("x" * 60_000 + str(k), 50_000 + k) for k in range(110)]
    w.replicas["a"].writes.publish(people[0].log(), phone_of(people[0]), big, w.now, push=False)
    w.drain("a")
    lowest = WINDOW

    def watch(sender: str, to: str, frame: bytes) -> bool:
        nonlocal lowest
        if "a" in w.replicas["b"].links:
            lowest = min(lowest, w.replicas["b"].links["a"].flow.window)
        return False

    w.lost = watch
    w.link("a", "b")
    w.until(w.same, 60)
    assert -OVERSHOOT < lowest < WINDOW
    assert w.rejections("b") == []


def test_without_credit_nothing_more_is_sent() -> None:
    w = World("a")
    p = w.person("a", "an")
    w.replicas["a"].writes.publish(
        p.log(), phone_of(p), [draft("x" * 60_000 + str(k), k) for k in range(200)], w.now, push=False
    )
    w.drain("a")
    w.rogue("r", "a")
    w.say("r", "a", Wants([Want(p.log(), [])]))
    w.run(5)
    sent = sum(len(encode_message(m)) for m in messages(w, "r", DataItems))
    assert FIRST_ROOM <= sent < 2 * FIRST_ROOM
    w.say("r", "a", Credit(1 << 62))
    w.run(5)
    assert sum(len(encode_message(m)) for m in messages(w, "r", DataItems)) < 8 * FIRST_ROOM


def test_jobs_of_one_peer_are_bounded_and_it_reads_everything_only_once_at_a_time() -> None:
    w = bounded(jobs=10)
    an = w.person("a", "an")
    w.post("a", an, 3)
    link = w.replicas["a"].links["r"]
    link.flow.may_send = 0
    for _ in range(5):
        w.say("r", "a", Wants([Want(an.log(), [])] * 7))
        w.say("r", "a", Scan(1, b"", LAST))
    assert len(link.orders.named) <= 11


def heads_of(n: int, account: bytes | None = None) -> list[tuple[LogId, Head]]:
    rng = random.Random(n)
    rows = []
    for k in range(n):
        owner = AccountId(account or rng.randbytes(32))
        rows.append((LogId(owner, WriterKey(rng.randbytes(32)), k + 1), Head(1, EntryId(rng.randbytes(32)), 0)))
    return rows


def test_what_one_peer_makes_us_ask_for_and_wait_for_is_bounded() -> None:
    w = bounded(asked=100)
    link = w.replicas["a"].links["r"]
    w.say("r", "a", Heads(b"", 0, heads_of(1_000)))
    assert len(link.owed.logs) <= 100
    assert len(link.owed.later) <= 100
    w.say("r", "a", Heads(b"", 0, heads_of(1_000, b32("one account"))))
    assert len(link.owed.later) <= 100
    for k in range(300):
        w.say("r", "a", data(run_item(Person(f"unknown {k}", recovery=False).write(1))))
    assert len(link.owed.later) <= 100
    assert sum(len(one.heads) for one in link.owed.later.accounts.values()) == link.owed.later.heads


def test_claims_of_one_peer_and_reasons_of_not_yet_are_bounded() -> None:
    w = bounded(differences=20, notes=30)
    an = w.person("a", "an")
    link = w.replicas["a"].links["r"]
    w.say("r", "a", Heads(b"", 0, heads_of(100, an.id)))
    assert len(link.told.differences) <= 20
    for k in range(60):
        w.say("r", "a", data(run_item(Person(f"unknown {k}", recovery=False).write(1))))
    assert len(w.replicas["a"].intake.notes) <= 30


def test_an_empty_list_of_heads_is_not_answered_with_the_whole_frontier() -> None:
    w = World("a", limits=Limits(bucket=4))
    filled(w, "a", 40, 1)
    w.rogue("r", "a")
    w.run(0.1)
    before = w.bytes["a", "r"]
    w.say("r", "a", Heads(b"", 1, []))
    w.run(0.1)
    assert w.bytes["a", "r"] - before < 1_000
    assert isinstance(w.heard["r"][-1], Sums)
    account = next(iter(w.replicas["a"].store.accounts()))
    w.say("r", "a", Heads(nibbles(account), 1, []))
    w.run(0.1)
    last = w.heard["r"][-1]
    assert isinstance(last, Heads)
    assert {log.account for log, _ in last.heads} == {account}


def test_heads_are_sent_in_frames_of_bounded_length() -> None:
    w = World("a", limits=Limits(heads_rows=7))
    an = w.person("a", "an")
    for number in range(1, 9):
        w.post("a", an, 1, number=number)
    w.rogue("r", "a")
    w.say("r", "a", Heads(nibbles(an.id), 1, []))
    w.run(0.1)
    rows = [len(m.heads) for m in messages(w, "r", Heads) if isinstance(m, Heads)]
    assert rows == [7, 2]


def questions(w: World, an: Person) -> Iterator[tuple[Message, int]]:
    """Small frames that cost work, and how many answers a burst of 1,000 rows may buy at most."""
    entry = w.head("a", an.log()).id
    assert entry is not None
    yield Replay(0), 40
    yield Sums(b"", b"", DIFFERENT), 60 * 16
    yield Sums(b"", nibbles(an.id)[:14], DIFFERENT), 60 * 16
    yield Heads(nibbles(an.id), 1, []), 1_001
    yield WantParts([(entry, 0)] * 256), 3
    yield Scan(1, b"", LAST), 40


@pytest.mark.parametrize("which", range(6))
def test_what_a_flood_of_one_question_costs_is_bounded(which: int) -> None:
    w = World("a", limits=Limits(work_burst=1_000, work_per_s=100))
    an = w.person("a", "an")
    w.post("a", an, 50)
    question, most = list(questions(w, an))[which]
    w.rogue("r", "a")
    w.run(0.1)
    w.heard["r"].clear()
    for number in range(1, 3_001):
        if isinstance(question, Scan):
            question = question._replace(reading=number)  # one of the same number begins nothing
        w.replicas["a"].receive("r", encode_message(question), w.now)
    w.drain("a")
    w.run(0.1)
    assert 0 < len(w.heard["r"]) <= most
    w.heard["r"].clear()
    w.run(30)
    w.heard["r"].clear()
    if isinstance(question, Scan):
        question = question._replace(reading=3_001)
    w.say("r", "a", question)  # and an honest one is answered again later
    w.run(0.1)
    if isinstance(question, Sums):  # but of these no honest peer asks as many, and as cheaply
        assert w.cut[-1][1] == "r"
        assert re.search("asks for sums more than 256 times a minute", w.cut[-1][2])
        return
    assert w.heard["r"]
    assert w.rejections("a") == []


def test_forks_ever_lower_make_us_judge_an_account_anew_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World("a", limits=Limits(work_burst=4_000, work_per_s=400))
    an = w.person("a", "an")
    log = an.write(100)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log)))
    judged = 0
    slow = w.replicas["a"].ingest.slow
    real = slow.fork

    def counting(*args: Any) -> Any:
        nonlocal judged
        judged += 1
        return real(*args)

    monkeypatch.setattr(slow, "fork", counting)
    for k in range(60):
        branch = an.write(1, below=log[: 90 - k], tag=f"b{k}")
        w.say("r", "a", data(run_item(branch, 90 - k)))
    assert 1 <= judged < 20
    assert "busy" in {n.reason for n in w.replicas["a"].intake.notes.values()}


def test_branch_after_branch_of_one_fork_judges_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World("a")
    an = w.person("a", "an")
    log = an.write(100)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log)), data(run_item(an.write(1, below=log[:50], tag="first"), 50)))
    monkeypatch.delattr(w.replicas["a"].ingest.slow.__class__, "recount")
    for k in range(60):
        branch = an.write(2, below=log[:50], tag=f"b{k}")
        w.say("r", "a", data(run_item(branch, 50, 51)), data(run_item(branch, 51)))
    assert w.head("a", an.log()) == Head(50, log[49].id, 1)
    assert w.rejections("a") == []


def test_notes_on_disk_of_where_we_met_are_bounded_and_cost_few_commits() -> None:
    w = World("a", limits=Limits(met=5))
    root = w.replicas["a"].tree.root
    for k in range(20):
        w.rogue("r", "a", store_id=f"store {k:010}".encode(), root=root, arrival=k)
        w.unlink("r", "a")
    assert len(list(w.replicas["a"].store.notes(b"met:"))) <= 5
    w.rogue("r", "a", root=root, arrival=1)
    commits = w.commits
    for k in range(200):
        w.say("r", "a", Root(0, root, k + 2), Scanned(1, bytes(32), 0))
    assert w.commits - commits <= 2


def test_missing_content_is_asked_for_in_questions_of_bounded_length_at_a_bounded_pace() -> None:
    w = World("a", limits=Limits(parts_asked=10))
    an = w.person("a", "an")
    w.replicas["a"].writes.publish(an.log(), phone_of(an), [], w.now)
    other = World("b")
    other.replicas["b"].ingest.control(an.id, an.control, NOW_MS)
    other.post("b", an, 35)
    bare = [RunItem(run_bytes(list(other.replicas["b"].store.chain(an.log())), 0, 35), [])]
    w.rogue("r", "a")
    w.say("r", "a", DataItems(list(bare)))
    w.run(10)
    asked = [len(m.parts) for m in messages(w, "r", WantParts) if isinstance(m, WantParts)]
    assert max(asked) == 10
    assert len(asked) <= 11


def test_a_comparison_is_not_started_again_while_one_is_under_way() -> None:
    w = World("a", limits=Limits(session_s=4.0))
    filled(w, "a", 2, 2)
    w.rogue("r", "a")
    w.run(0.1)
    w.heard["r"].clear()
    for k in range(100):
        w.say("r", "a", Root(4, b32(f"root {k}"), 4))
    w.run(0.5)
    assert len([m for m in w.heard["r"] if isinstance(m, Sums | Replay | Scan)]) <= 1


def test_no_garbled_frame_gets_more_than_a_charge() -> None:
    w = World("a", limits=Limits(scale=Scale(let_go_at=10**9, ban_at=10**9)))
    an = w.person("a", "an")
    log = an.log(number=2)
    w.post("a", an, 5, number=2)
    w.rogue("r", "a")
    head = w.head("a", log)
    assert head.id is not None
    seeds: list[Message] = [
        Root(1, bytes(32), 1), Sums(b"", nibbles(an.id)[:3], DIFFERENT), Heads(b"", 1, [(log, head)]), Replay(0),
        Replayed(3, 1),
        Scan(1, an.id, LAST), Wants([Want(log, [(4, head.id)])]), WantParts([(head.id, 0)]),
        Parts([(head.id, 0, b"x", b"")]), Scanned(1, an.id, 1), Credit(5),
        data(control_item(an), run_item(an.write(3))), witness("p", NOW_MS),
        Bye(b"so long"),
        gossip(run_item(an.write(2)), an.write(2)[1].id),
    ]  # fmt: skip
    rng = random.Random(7)
    frames = [encode_message(m) for m in seeds]
    numbers = [encode(n) for n in (0, 23, 255, 1 << 16, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)]
    for _ in range(6_000):
        raw = bytearray(rng.choice(frames))
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.randrange(len(raw))
            match rng.randrange(4):
                case 0:
                    raw[at] = rng.randrange(256)
                case 1:
                    raw[at : at + 1] = rng.choice(numbers)
                case 2:
                    del raw[at : at + rng.randrange(1, 4)]
                case _:
                    raw[at:at] = rng.choice(frames)[: rng.randrange(1, 40)]
            if not raw:
                break
        r: Replica = w.replicas["a"]
        if "r" not in r.links or r.links["r"].closing:
            w.unlink("r", "a")
            w.rogue("r", "a")
        r.receive("r", bytes(raw), w.now)
        w.drain("a")
    assert w.head("a", log) == head


def test_a_store_that_drops_out_beside_a_control_entry_of_a_later_version_notes_it() -> None:
    w = World("a")
    an = Person("an")
    raw = bytearray(encode_header(an.control[0].header))
    assert raw[1] == 1
    raw[1] = 2
    later = encode_control(an.control[0], bytes(raw))
    w.rogue("r", "a")
    w.say("r", "a", data(ControlItem(an.id, [later], [])))
    assert [(n.reason, "update" in n.sentence) for n in w.replicas["a"].intake.notes.values()] == [("version", True)]
    assert w.points("a", "r") == 0


@pytest.mark.parametrize("how", ["asked for", "pushed"])
def test_a_run_with_a_proof_of_a_later_version_is_not_yet_and_costs_nobody_anything(how: str) -> None:
    w = World("a")
    an = Person("an")
    log = an.write(6)
    raw = bytearray(encode_header(log[5].header))
    raw[1] = 2
    item = RunItem(run_bytes(log, 0, 3), [], [bytes(raw)])
    w.rogue("r", "a")
    w.say("r", "a", data(control_item(an)))
    w.say("r", "a", data(item) if how == "asked for" else gossip(item, log[2].id))
    assert [n.reason for n in w.replicas["a"].intake.notes.values()] == ["version"]
    assert w.head("a", an.log()).length == 0
    assert w.points("a", "r") == 0
    w.say("r", "a", data(run_item(log)))
    assert w.head("a", an.log()).length == 6


def test_timers_go_on_for_ever_and_say_little_between_equals() -> None:
    w = World("a", "b")
    filled(w, "a", 2, 2)
    w.link("a", "b")
    w.until(w.same, 10)
    w.run(30)
    before = w.bytes["a", "b"]
    commits = w.commits
    w.run(600)
    assert w.bytes["a", "b"] - before < 600 * 60
    assert w.commits - commits < 20
    assert w.now == pytest.approx(START_S + 630, abs=30)


def test_a_long_control_log_told_again_and_again_is_judged_only_so_often() -> None:
    w = World("a", limits=Limits(work_burst=4_000, work_per_s=400))
    an = Person("an")
    for k in range(100):
        an.say(an.grant_op(f"device {k}"))
    w.rogue("r", "a")
    for k in range(30):  # each with a branch that loses: kept by nobody, so each time it seems new
        w.say("r", "a", data(control_item(an, [*an.control, an.say(an.grant_op(f"x{k}"), below=an.control[:50])])))
    assert "busy" in {n.reason for n in w.replicas["a"].intake.notes.values()}
    assert w.points("a", "r") == 0
    w.run(20)
    an.say(an.pin(an.write(1)[0]))
    w.say("r", "a", data(control_item(an)))
    assert not w.replicas["a"].intake.notes


def test_a_control_log_of_the_greatest_size_reaches_others_whole_with_what_freezes_it() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    below = list(an.control)
    for branch in range(2):
        path = list(below)
        while path[-1].header.total + 13_300 < MAX_CONTROL_BYTES:
            pins = [Pin(an.key("phone"), 1, 0, EntryId(b32(f"{branch} {len(path)} {n}"))) for n in range(180)]
            path.append(an.say(*pins, below=path))
        path.append(an.say(an.rotate(0, f"root9{branch}"), by="root1", below=path))
        w.replicas["a"].ingest.control(an.id, path, NOW_MS)
    w.drain("a")
    assert w.head("a", control_log(an.id)).flag
    w.said = []
    w.link("a", "b")
    w.until(w.same, 60)
    sizes = [len(encode_message(m)) for _, m in w.said]
    assert 1_000_000 < max(sizes) < MAX_FRAME
    assert w.rejections("a") == w.rejections("b") == []
    assert w.points("a", "b") == w.points("b", "a") == 0


def test_a_goodbye_takes_down_the_connection_that_it_ended_and_no_later_one() -> None:
    w = World("a")
    w.rogue("r", "a")
    a = w.replicas["a"]
    a.peer_down("r", w.now, parted=True)
    assert "r" in a.links, "nobody said goodbye"
    a.peers.turn_away("r", "no room", w.now)
    a.peer_down("r", w.now, parted=True)
    assert "r" not in a.links
    w.rogue("r", "a")
    a.peer_down("r", w.now, parted=True)
    assert "r" in a.links, "it has come again"
    a.peer_down("r", w.now)
    assert "r" not in a.links
