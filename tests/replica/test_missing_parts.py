"""Missing content is requested while a peer may have it, and ever more rarely if none has."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.ids import EntryId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.gossip import frames
from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.peers.statements import Withheld, sign_withheld
from banyan_replica.wire.data_items import encode_item
from banyan_replica.wire.messages import Content, DataItems, GossipFrame, Parts, RunItem, WantParts
from tests.crdt.make import Person, run_bytes
from tests.replica.helpers import NOW_MS, World, control_item, draft, phone_of


def bare(person: Person, entries: int) -> tuple[World, DataItems]:
    """Posts of a person as a relay that withholds passes them on, and the world in which one replica has it all."""
    whole = World("whole")
    whole.replicas["whole"].ingest.control(person.id, person.control, NOW_MS)
    drafts = [draft(f"{k}", k) for k in range(entries)]
    whole.replicas["whole"].writes.publish(person.log(), phone_of(person), drafts, whole.now, False)
    whole.drain("whole")
    chain = list(whole.replicas["whole"].store.chain(person.log()))
    return whole, DataItems([control_item(person), RunItem(run_bytes(chain, 0, entries), [])])


def asked_at(w: World, seconds: float, *peers: str) -> list[float]:
    """When content was asked for, in seconds from now."""
    out, start = [], w.now
    while w.now < start + seconds:
        w.run(0.5)
        for peer in peers:
            out += [w.now - start for m in w.heard[peer] if isinstance(m, WantParts)]
            w.heard[peer].clear()
    return out


def test_content_that_the_only_neighbour_has_not_is_asked_of_it_ever_more_seldom() -> None:
    w, an = World("a"), Person("an")
    _, data = bare(an, 3)
    w.rogue("r", "a")
    w.say("r", "a", data)
    times = asked_at(w, 3_600, "r")
    assert len(times) < 70
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) > 0, "asked twice at once"
    assert gaps[0] <= 3
    assert all(y >= x - 1.5 for x, y in pairwise(gaps))
    assert gaps[-1] == pytest.approx(w.limits.parts_most_s, abs=2)
    assert w.points("a", "r") == 0


def test_a_new_neighbour_and_more_that_is_lacking_are_asked_at_once() -> None:
    w, an, binh = World("a"), Person("an"), Person("binh")
    _, data = bare(an, 3)
    w.rogue("r", "a")
    w.say("r", "a", data)
    w.run(1_000)
    w.heard["r"].clear()
    w.rogue("s", "a")
    assert asked_at(w, 3, "r", "s")
    w.run(1_000)
    w.heard["r"].clear()
    w.heard["s"].clear()
    w.say("s", "a", bare(binh, 3)[1])
    assert asked_at(w, 3, "r", "s")


def test_content_that_comes_is_followed_by_the_next_question_within_a_second() -> None:
    w, an = World("a"), Person("an")
    whole, data = bare(an, 600)
    w.rogue("r", "a")
    w.say("r", "a", data)
    w.run(2_000)
    for _ in range(6):
        questions = [m for m in w.heard["r"] if isinstance(m, WantParts)]
        w.heard["r"].clear()
        for m in questions[-1:]:
            w.say("r", "a", Parts(whole.replicas["whole"].missing.answer(m.parts)))
        w.run(1.5)
    assert w.replicas["a"].store.counts().lacking == 0


def kept_back(answers: bool, junk: int = 0) -> list[float]:
    """How long the content of each of twelve posts is missing, in seconds. Five of six neighbours keep it back: one of
    them passes on the structure at once, and all answer questions with nothing, or not at all. junk: pieces that nobody
    has, missing before."""
    w, rogues = World("a", "honest"), [f"r{k}" for k in range(5)]
    for rogue in rogues:
        w.rogue(rogue, "a")
    w.link("honest", "a")
    an = w.person("honest", "an")
    w.run(10)
    if junk:
        w.say("r0", "a", bare(Person("nobody"), junk)[1])
    w.run(200)
    out = []
    for k in range(12):
        w.post("honest", an, 1)
        chain = list(w.replicas["honest"].store.chain(an.log()))
        w.say(f"r{k % 5}", "a", DataItems([RunItem(run_bytes(chain, k, k + 1), [])]))
        start = w.now
        while w.replicas["a"].store.lacks_part(chain[k].id, 0):
            w.run(0.02)
            for rogue in rogues:
                for _ in range(sum(isinstance(m, WantParts) for m in w.heard[rogue]) if answers else 0):
                    w.say(rogue, "a", Parts([]))
                w.heard[rogue].clear()
        out.append(w.now - start)
        w.run(20)
    assert w.points("a", "honest") == 0
    return out


@pytest.mark.parametrize("junk", [0, 1_000])
def test_neighbours_that_answer_with_nothing_keep_no_content_back(junk: int) -> None:
    assert max(kept_back(answers=True, junk=junk)) < 2


def test_neighbours_that_do_not_answer_keep_content_back_for_a_second_each_and_only_once() -> None:
    waits = kept_back(answers=False)
    assert sum(wait - 1 for wait in waits) < 5 + 1
    assert max(waits[6:]) < 2


def has_text(w: World, at: str, entry: EntryId) -> bool:
    store = w.replicas[at].store
    return store.has(entry) and not store.lacks_part(entry, 0)


def pushed(item: RunItem, last: EntryId) -> GossipFrame:
    return GossipFrame(frames.encode_frame(frames.PushFrame((frames.Push(last[:16], 0, encode(encode_item(item))),))))


@pytest.mark.parametrize("by_data", [False, True])
@pytest.mark.parametrize("contents", [[], [None], [[]]], ids=["no content", "null", "no piece"])
def test_a_post_that_first_came_without_its_content_comes_with_it_from_the_neighbour_that_has_it(
    by_data: bool, contents: list[Content]
) -> None:
    """And is passed on, and nothing of it waits behind what nobody has, however much of that comes after it."""
    w = World("a", "b", "c")
    w.link("a", "b")
    w.link("a", "c")
    an = w.person("b", "an")
    w.run(20)
    w.rogue("r", "a")
    for k in range(8):
        w.post("b", an, 1, push=True)
        chain = list(w.replicas["b"].store.chain(an.log()))
        item, post = RunItem(run_bytes(chain, k, k + 1), contents), chain[k].id
        w.say("r", "a", DataItems([item]) if by_data else pushed(item, post))
        assert w.replicas["a"].store.lacks_part(post, 0)
        w.say("r", "a", bare(Person(f"nobody {k}"), 300)[1])
        w.run(0.1)
        assert has_text(w, "a", post), "the push of b, which came just after"
        w.until(partial(has_text, w, "c", post), 3)
    assert w.points("a", "b") == w.points("a", "c") == w.points("c", "a") == 0


def test_a_post_that_came_without_its_content_is_asked_of_a_neighbour_that_announces_it() -> None:
    w, whole, an = World("a"), World("whole"), Person("an")
    full = whole.replicas["whole"]
    full.ingest.control(an.id, an.control, NOW_MS)
    full.writes.publish(an.log(), phone_of(an), [draft("a text", 1)], whole.now, False)
    whole.drain("whole")
    (post,) = full.store.chain(an.log())
    text = full.store.part(post.id, 0)
    for peer in ("r", "h"):
        w.rogue(peer, "a")
        w.say(peer, "a", GossipFrame(frames.encode_frame(frames.Join((f"/{peer}",)))), DataItems([control_item(an)]))
    w.say("r", "a", pushed(RunItem(run_bytes([post], 0, 1), []), post.id))
    w.say("h", "a", GossipFrame(frames.encode_frame(frames.PushFrame(ihaves=(post.id[:16],)))))

    def asked() -> bool:
        of = [frames.decode_frame(m.frame) for m in w.heard["h"] if isinstance(m, GossipFrame)]
        return any(isinstance(f, frames.PushFrame) and post.id[:16] in f.grafts for f in of)

    assert w.until(asked, 3) <= GossipSettings().graft_s + 0.25
    w.say("h", "a", pushed(RunItem(run_bytes([post], 0, 1), [text]), post.id))
    assert has_text(w, "a", post.id)


def reasons(entry: EntryId) -> list[tuple[bytes, float]]:
    """A reason, and the points that it costs."""
    platform = Signer(TEST, b"p" * 32)
    said = sign_withheld(platform, Withheld(platform.key, NOW_MS, entry, 0, "order 7", "law", "VN", None))
    other = sign_withheld(platform, Withheld(platform.key, NOW_MS, EntryId(bytes(32)), 0, "order 7", "", "", None))
    later = encode([2, b"something else", [1]])
    named = encode([later, platform.sign(EntryId(H("withheld", later)))])
    return [(said, 0), (b"", 0), (named, 0), (other, 10), (said[:-1] + bytes((said[-1] ^ 1,)), 10), (b"erased", 10)]


@pytest.mark.parametrize("which", range(6))
def test_a_reason_is_none_or_a_statement_and_only_a_false_one_costs(which: int) -> None:
    w, an = World("a"), Person("an")
    whole, data = bare(an, 1)
    entry = whole.head("whole", an.log()).id
    assert entry is not None
    reason, points = reasons(entry)[which]
    w.rogue("r", "a")
    w.say("r", "a", data)
    w.until(lambda: any(isinstance(m, WantParts) for m in w.heard["r"]), 3)
    w.say("r", "a", Parts([(entry, 0, None, reason)]))
    assert w.points("a", "r") == points
    assert ((entry, 0) in w.replicas["a"].missing.withheld) == (points == 0)
    w.say("r", "a", Parts([(entry, 0, None, reason)]))  # nobody asked for that
    assert w.points("a", "r") == points
