"""Strangers get a share of the disk; what people here want, or a named peer brings, has room beyond it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from struct import iter_unpack

import pytest

from banyan_crdt.errors import NotYet, Reject
from banyan_crdt.ids import AccountId, CellKey, EntryId, Ref, account_to_text, control_log
from banyan_crdt.ops import Add, Del, Drop, Op, Put, Tomb, encode_ops
from banyan_crdt.parts import make_part
from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_reading.queries import queries
from banyan_reading.search.fts_index import Document, FtsIndex, used
from banyan_reading.search.indexer import Indexer
from banyan_reading.search.query import exact, fold, words_of
from banyan_replica.intake.prepare import CheckedRun, check_items
from banyan_replica.intake.storage_cost import cost, cost_of_content
from banyan_replica.intake.untrusted import ACCOUNT_PART
from banyan_replica.outbox import Commit
from banyan_replica.replica import PeerIdentity, Replica
from banyan_replica.wire.messages import Content, Item, Parts, WantParts, Wants
from banyan_schema.social import FOLLOW, POST, OpDraft, Post, ReplyTo, Target, encode_post, react, relate, repost
from banyan_sim.forge import Forge, ForgedLog
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.store import Store
from banyan_storage.views import SocialViews
from tests.needs import NIGHT, numbers
from tests.replica.helpers import NOW_MS, START_S, World, data


def bound(w: World, name: str, most: int, *wanted: AccountId, trusts: str = "") -> None:
    r = w.replicas[name]
    r.room.set_room("", most, f"{most} B are allowed")
    w.around[name].wanted = wanted
    r.witnesses.named.peers.update(trusts.split())


def held(w: World, name: str) -> set[AccountId]:
    return {log.account for log, head in w.replicas[name].store.all_heads() if head.length}


def no_blame(w: World) -> None:
    for name, replica in w.replicas.items():
        assert {peer: replica.ledger.points(peer, w.now) for peer in w.replicas if peer != name} == {
            peer: 0 for peer in w.replicas if peer != name
        }
    assert w.cut == []


def test_strangers_fill_their_share_and_no_more_by_gossip_and_by_comparison() -> None:
    for push in (False, True):
        w = World("a", "b")
        bound(w, "b", 100_000)
        if push:
            w.link("a", "b")
        people = [w.person("a", f"person {k}") for k in range(100)]
        for p in people:
            w.post("a", p, 5, push=push)
        if not push:
            w.link("a", "b")
        w.run(120)
        b = w.replicas["b"]
        assert 100_000 <= b.strangers.used < 110_000
        assert len(held(w, "b")) < 100
        assert b.strangers.full.startswith("accounts of strangers take 0.1 MB")
        no_blame(w)
        entries = b.store.last_arrival
        for p in people:
            w.post("a", p, 1, push=push)
        w.run(120)
        assert b.store.last_arrival == entries
        no_blame(w)
        bound(w, "b", 10_000_000)
        w.until(w.same, 120)


def test_room_that_comes_back_between_two_looks_is_used_at_once() -> None:
    w = World("a", "b")
    bound(w, "b", 100_000)
    for k in range(100):
        w.post("a", w.person("a", f"person {k}"), 5, push=False)
    w.link("a", "b")
    w.run(300)
    b = w.replicas["b"]
    entries = b.store.last_arrival
    for account in list(held(w, "b"))[:20]:
        b.strangers.release(account)
    assert not b.strangers.full
    bound(w, "b", 100_000)
    w.run(4)
    assert b.store.last_arrival > entries


def test_what_people_here_want_and_what_a_named_peer_brings_has_room_beyond_the_share() -> None:
    w = World("a", "b", "c")
    wanted, other, of_c = w.person("a", "wanted"), w.person("a", "other"), w.person("c", "of c")
    bound(w, "b", 1, wanted.id, trusts="c")
    w.post("a", wanted, 3)
    w.post("a", other, 3)
    w.post("c", of_c, 3)
    w.link("a", "b")
    w.link("b", "c")
    w.run(120)
    b = w.replicas["b"]
    assert b.strangers.used == 0 or b.strangers.of(other.id) == b.strangers.used
    assert held(w, "b") >= {wanted.id, of_c.id}
    for push in (True, False):
        w.post("a", wanted, 2, push=push)
        w.post("c", of_c, 2, push=push)
        w.run(120)
        assert {w.head("b", log).length for log in (wanted.log(), of_c.log())} == ({5} if push else {7})
    no_blame(w)
    w.link("a", "c")  # what a named peer holds comes through it
    w.until(w.same, 120)
    no_blame(w)


def test_one_account_gets_a_part_of_the_share() -> None:
    w = World("a", "b")
    greedy, modest = w.person("a", "greedy"), w.person("a", "modest")
    bound(w, "b", 160_000)
    w.link("a", "b")
    for _ in range(100):
        w.post("a", greedy, 1, push=True)
        w.run(0.5)
    w.post("a", modest, 3, push=True)
    w.run(60)
    b = w.replicas["b"]
    assert 160_000 // ACCOUNT_PART <= b.strangers.of(greedy.id) < 160_000 // ACCOUNT_PART + 2_000
    assert w.head("b", greedy.log()).length < 60
    assert b.strangers.part.startswith(f"{account_to_text(greedy.id)} is not taken whole: this account of a stranger")
    assert b.strangers.full == ""
    assert w.head("b", modest.log()).length == 3
    no_blame(w)
    w.run(600)
    assert b.strangers.part, "as long as it is so"
    used = b.strangers.used
    b.strangers.release(greedy.id)  # it is dropped
    assert b.strangers.part == ""
    b.strangers.took(greedy.log(), used)
    w.until(lambda: bool(b.strangers.part), 600)
    bound(w, "b", 1 << 30)
    w.until(w.same, 60)
    w.run(2)
    assert b.strangers.part == ""


def test_content_is_counted_when_it_comes_and_beyond_the_share_it_is_neither_asked_for_nor_taken() -> None:
    w = World("b")
    bound(w, "b", 18_000_000)
    b, forge = w.replicas["b"], Forge(random.Random(1).randbytes, lambda: NOW_MS)
    account, contents = forge.account(), list[bytes]()
    log = account.log(1)
    for _ in range(500):
        ops, size, raw = forge.large_post(60_000)
        log.write(ops, size)
        contents.append(raw)
    w.rogue("r", "b")
    w.say("r", "b", data(account.item()), data(log.run(0, 500)))
    assert w.head("b", log.id).length == 500
    named = b.strangers.of(account.id)
    assert 100_000 < named < 1_200_000  # it declares thirty million
    w.run(3)
    (question, *_) = asked(w)
    assert len(question.parts) > 100
    parts: list[tuple[EntryId, int, bytes | None, bytes]] = [(log.ids[k], 0, contents[k], b"") for k in range(500)]
    w.say("r", "b", Parts(parts[:10]))
    assert b.strangers.of(account.id) == named + sum(map(cost_of_content, contents[:10]))
    assert b.store.counts().lacking == 490
    w.run(3)
    assert asked(w) == []
    b.missing._asked["r"] = 1  # what was asked for before still comes
    w.say("r", "b", Parts(parts[10:20]))
    w.say("r", "b", data(log.run(0, 500, contents[:30])))
    assert b.store.counts().lacking == 490
    assert b.strangers.part.startswith(f"{account_to_text(account.id)} is not taken whole")
    assert w.points("b", "r") == 0
    bound(w, "b", 1 << 30)
    w.run(120)
    assert asked(w)
    w.say("r", "b", Parts(parts[10:20]))
    w.say("r", "b", data(log.run(0, 500, contents[:30])))  # of entries that are held, with content that they lack
    assert b.store.counts().lacking == 470
    came = sum(map(cost_of_content, contents[:30]))
    assert named + came - 30 < b.strangers.of(account.id) <= named + came


def asked(w: World) -> list[WantParts]:
    """What the rogue was asked for since the last look."""
    heard, w.heard["r"] = w.heard["r"], []
    return [m for m in heard if isinstance(m, WantParts)]


def test_what_is_counted_outlives_a_start_and_a_commit_that_fails_and_ends_once_people_here_want_it() -> None:
    w = World("a", "b")
    people = [w.person("a", f"person {k}") for k in range(30)]
    for p in people:
        w.post("a", p, 5)
    bound(w, "b", 30_000)
    w.link("a", "b")
    w.run(60)
    used, counted = w.replicas["b"].strangers.used, dict(w.replicas["b"].strangers.accounts())
    assert used == sum(counted.values()) >= 30_000
    w.stop("b")
    b = w.start("b")
    assert (b.strangers.used, dict(b.strangers.accounts())) == (used, counted)
    bound(w, "b", 1_000_000)
    w.link("a", "b")
    b.strangers.took(people[0].log(), 1_000, False)
    b.store.put_note(b"x", b"y")
    b.store.rollback()
    b.commit_failed("no room left")
    assert b.strangers.used == used
    w.run(60)
    assert b.strangers.used > used
    some = frozenset(list(counted)[:10])
    bound(w, "b", 1_000, *some)
    w.run(3)
    assert not some & dict(b.strangers.accounts()).keys()
    assert b.strangers.used == sum(size for _, size in b.strangers.accounts())


def test_what_is_not_taken_is_asked_for_neither_at_once_nor_often() -> None:
    w = World("a", "b")
    for k in range(200):
        w.post("a", w.person("a", f"person {k}"), 2)
    bound(w, "b", 0)
    w.link("a", "b")
    w.run(60)
    w.said, before = [], w.bytes["a", "b"] + w.bytes["b", "a"]
    w.run(600)
    assert not [m for who, m in w.said if who == "b" and isinstance(m, Wants)]
    assert w.bytes["a", "b"] + w.bytes["b", "a"] - before < 600 * 4_000
    no_blame(w)


def test_control_entries_and_entries_beside_a_log_are_counted() -> None:
    w = World("a", "b")
    p = w.person("a", "forked")
    w.post("a", p, 3)
    bound(w, "b", 1_000_000)
    w.link("a", "b")
    w.until(w.same, 60)
    b = w.replicas["b"]
    one = b.strangers.used
    assert w.head("b", control_log(p.id)).length
    assert one == b.strangers.of(p.id)
    w.post("a", p, 1, push=True)
    w.run(10)
    assert b.strangers.used - one > 220


# -- what it costs


def begun(forge: Forge) -> tuple[Item, ForgedLog]:
    """A new account, and its first log."""
    account = forge.account()
    return account.item(), account.log(1)


def accounts(forge: Forge) -> Iterator[Item]:
    for _ in range(4_000 if NIGHT else 2_500):
        yield forge.account().item()


def short_posts(forge: Forge) -> Iterator[Item]:
    for _ in numbers(3_000):
        opening, log = begun(forge)
        yield opening
        ops, size, raw = forge.large_post(20)
        log.write(ops, size)
        yield log.run(0, 1, [raw])


def long_posts(forge: Forge) -> Iterator[Item]:
    opening, log = begun(forge)
    yield opening
    for k in range(400):
        ops, size, raw = wordless(forge, 8_000)
        log.write(ops, size)
        yield log.run(k, k + 1, [raw])


def tiny_entries(forge: Forge) -> Iterator[Item]:
    account = forge.account()
    yield account.item()
    for n in numbers(9):
        log = account.log(n + 1)
        log.write(count=9_216)
        yield from (log.run(at, at + 1_024) for at in range(0, 9_216, 1_024))


def many_logs(forge: Forge) -> Iterator[Item]:
    account = forge.account()
    yield account.item()
    for n in numbers(4_500):
        log = account.log(n + 1)
        log.write()
        yield log.run(0, 1)


def long_control(forge: Forge) -> Iterator[Item]:
    account = forge.account()
    for n in range(1_500):
        account.control(Drop(account.device.key, n + 1))
    yield account.item()


def branches(forge: Forge) -> Iterator[Item]:
    for _ in numbers(225):
        opening, log = begun(forge)
        yield opening
        log.write(count=20)
        yield log.run(0, 20)
        for _ in range(20):
            twin = log.fork(5)
            twin.write(count=10)
            yield twin.run(5, 15)


def long_salts(forge: Forge) -> Iterator[Item]:
    for _ in range(40):
        yield forge.account(salt=60_000).item()


def a_long_end(forge: Forge) -> Iterator[Item]:
    """Runs of which only the last entry is not held, and it is as large as all others are small."""
    opening, log = begun(forge)
    yield opening
    log.write(count=1_023)
    yield log.run(0, 1_023)
    for k in range(40):
        ops, size, raw = wordless(forge, 60_000)
        log.write(ops, size)
        yield log.run(k, 1_024 + k, [None] * 1_023 + [raw])


def wordless(forge: Forge, size: int) -> tuple[bytes, int, bytes]:
    """As `large_post`, with no word in it."""
    part, raw = make_part(forge.random(16), bytes(size))
    return encode_ops((Put(POST, CellKey(forge.random(16)), (), part),)), part.size, raw


Said = tuple[Op, bytes | None]


def follow(forge: Forge) -> Said:
    return filled(forge, relate(forge.random(32), "follow", AccountId(forge.random(32))))


def block(forge: Forge) -> Said:
    return filled(forge, relate(forge.random(32), "block", AccountId(forge.random(32))))


def reaction(forge: Forge) -> Said:
    return filled(forge, react(forge.random(32), target(forge), "x" * 64))


def a_repost(forge: Forge) -> Said:
    return filled(forge, repost(forge.random(32), target(forge)))


def reply(forge: Forge) -> Said:
    to = target(forge)
    post = encode_post(Post("a", reply=ReplyTo(to, to)))
    return filled(forge, OpDraft(Put(POST, CellKey(forge.random(16)), (), None), post))


def naming(forge: Forge) -> Said:
    post = encode_post(Post("", mentions=tuple(AccountId(forge.random(32)) for _ in range(10))))
    return filled(forge, OpDraft(Put(POST, CellKey(forge.random(16)), (), None), post))


def add(forge: Forge) -> Said:
    return Add(FOLLOW, CellKey(forge.random(16)), CellKey(forge.random(16)), None), None


def put(forge: Forge) -> Said:
    return Put(POST, CellKey(forge.random(16)), (), None), None


def tomb(forge: Forge) -> Said:
    return Tomb(POST, CellKey(forge.random(16))), None


def deletion(forge: Forge) -> Said:
    return Del(POST, tuple(Ref(EntryId(forge.random(32)), 0) for _ in range(4))), None


def replacement(forge: Forge) -> Said:
    return Put(POST, CellKey(forge.random(16)), tuple(Ref(EntryId(forge.random(32)), 0) for _ in range(4)), None), None


def filled(forge: Forge, draft: OpDraft) -> Said:
    assert isinstance(draft.op, Put | Add)
    part, raw = make_part(forge.random(16), draft.content or b"")
    return draft.op._replace(part=part), raw


def target(forge: Forge) -> Target:
    return Target(AccountId(forge.random(32)), CellKey(forge.random(16)))


def saying(say: Callable[[Forge], Said], each: int) -> Shape:
    """each: operations in one entry."""

    def shape(forge: Forge) -> Iterator[Item]:
        account = forge.account()
        yield account.item()
        for n in range(5 if NIGHT else 1):
            log = account.log(n + 1)
            for first in range(0, 2_000 // each, 100):
                stop, contents = min(first + 100, 2_000 // each), list[Content]()
                for _ in range(first, stop):
                    said = [say(forge) for _ in range(each)]
                    raws = [(k, raw) for k, (_, raw) in enumerate(said) if raw is not None]
                    log.write(encode_ops(tuple(op for op, _ in said)), sum(len(raw) for _, raw in raws))
                    contents.append(raws)
                yield log.run(first, stop, contents)

    shape.__name__ = f"{say.__name__}_{each}_in_one"
    return shape


Shape = Callable[[Forge], Iterator[Item]]
SHAPES: list[Shape] = [accounts, short_posts, long_posts, tiny_entries, many_logs, long_control, branches]
SHAPES += [long_salts, a_long_end]
SHAPES += [saying(say, each) for say in (follow, block, reaction, a_repost, reply, naming) for each in (1, 80)]
SHAPES += [saying(say, each) for say in (add, put, tomb, deletion, replacement) for each in (1, 80)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_what_strangers_take_is_counted_at_no_less_than_it_costs_on_the_disk(shape: Shape, tmp_path: Path) -> None:
    with closing(LmdbEngine(tmp_path / "store", TABLES)) as engine:
        store = Store(engine, TEST, new_store_id=bytes(16), views=SocialViews())
        replica = Replica(store, TEST, PeerIdentity("b"), random.Random(1), random.Random(1).randbytes)
        replica.room.set_room("", 1 << 40, "all")
        replica.peer_up("a", group="a", outbound=False, addrs=(), now=START_S)
        link, forge = replica.links["a"], Forge(random.Random(2).randbytes, lambda: NOW_MS)
        commit(replica)
        empty = engine.sizes().used
        for n, item in enumerate(shape(forge)):
            (checked,) = check_items(TEST, [item])
            assert not isinstance(checked, Reject)
            with suppress(NotYet):
                replica.intake.item(link, checked, START_S, NOW_MS)
            if not n % 100:
                commit(replica)
        commit(replica)
        with closing(FtsIndex(tmp_path / "search.db", bytes(16))) as index:
            follower, more = Indexer(index), True
            while more:
                with queries(engine, TEST) as q:
                    more = follower.step(q, 1_000)
        indexed = used(tmp_path / "search.db")
        grown, counted = engine.sizes().used - empty + indexed, replica.strangers.used
        print(f"{shape.__name__}: {grown:,} bytes on the disk, {counted:,} counted")
        assert grown <= counted <= 4 * grown


A_TO_Z = bytes(97 + byte % 26 for byte in range(256))


def letters(forge: Forge, size: int, words: int, between: str = " ") -> str:
    drawn = forge.random(size * words).translate(A_TO_Z).decode()
    return between.join(drawn[at : at + size] for at in range(0, len(drawn), size))


def characters(forge: Forge, number: int) -> str:
    return "".join(chr(0x4E00 + n % 20_000) for (n,) in iter_unpack(">H", forge.random(2 * number)))


TEXTS: dict[str, Callable[[Forge], str]] = {
    "four letters": lambda forge: letters(forge, 4, 6_500),
    "three, no spaces": lambda forge: letters(forge, 3, 8_000, ","),
    "six letters": lambda forge: letters(forge, 6, 4_600),
    "forty letters": lambda forge: letters(forge, 40, 790),
    "one letter": lambda forge: letters(forge, 1, 16_000),
    "characters": lambda forge: characters(forge, 10_000),
    "one word": lambda forge: letters(forge, 32_000, 1),
    "short": lambda forge: letters(forge, 5, 4),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("late", [False, True])
def test_words_are_counted_at_no_less_than_their_index_takes(kind: str, late: bool, tmp_path: Path) -> None:
    """Whatever they say, and whether it comes with its entries or after them."""
    forge, texts = Forge(random.Random(2).randbytes, lambda: NOW_MS), list[Post]()
    for _ in numbers(1_200 if kind == "short" else 50):
        texts.append(Post(TEXTS[kind](forge), created_ms=NOW_MS))
    index, documents, counted = FtsIndex(tmp_path / "search.db", bytes(16)), list[Document](), 0
    account = forge.account()
    for n, post in enumerate(texts):
        key = CellKey(forge.random(16))
        op, raw = filled(forge, OpDraft(Put(POST, key, (), None), encode_post(post)))
        if late:
            counted += cost_of_content(raw or b"")
        else:
            log = account.log(n + 1)
            log.write(encode_ops((op,)), len(raw or b""))
            (checked,) = check_items(TEST, [log.run(0, 1, [raw])])
            assert isinstance(checked, CheckedRun)
            counted += cost(checked, [0], 1)
        said, folded = (" ".join(words_of(form(post.text))) for form in (exact, fold))
        documents.append(Document(Target(account.id, key), NOW_MS + n, said, folded, "x"))
    for at in range(0, len(documents), 8):
        with index.commit(at):
            index.put(documents[at : at + 8])
    index.close()
    taken = used(tmp_path / "search.db") + sum(len(post.text.encode()) for post in texts)
    print(f"{kind}: {taken:,} bytes on the disk, {counted:,} counted")
    assert taken <= counted <= 6 * taken


def commit(replica: Replica) -> None:
    while (effect := replica.next_effect()) is not None:
        if isinstance(effect, Commit):
            replica.store.commit()
