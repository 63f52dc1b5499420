"""Views are updated step by step and always equal the pure fold of the counted entries, in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from banyan_crdt.codec import bstr, encode
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, LogId, Ref, coll
from banyan_crdt.ops import Add, Del, Op, Put, Tomb, decode_body, part_of
from banyan_crdt.realm import TEST
from banyan_crdt.shapes import puts_in
from banyan_reading.queries import queries
from banyan_schema.social import FOLLOW, POST, REACTION, OpDraft, Post, ReplyTo, Target, encode_post, write_post
from banyan_storage.engine import after_prefix
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.slots import (
    COVERS,
    NUMBERS,
    REGISTER,
    SHOW,
    SHOWN,
    TIMELINE,
    all_shown,
    seed_of,
    seeds_of,
    shown_at,
    that_show,
)
from banyan_storage.store import Append, Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.viewhook import ArrivedPart
from banyan_storage.views import VIEW_TABLES, SocialViews
from banyan_storage.views.social.relations import FOLLOWS
from tests.needs import few, numbers
from tests.storage.accounts import bodies, head_of
from tests.storage.social_accounts import Person, agrees, key, social_store

COLLS = [POST, FOLLOW, REACTION, coll("vn.example.sticker")]

NOW_S = 1_800_000_000


def posts_and_others(rng: random.Random) -> list[bytes]:
    """Contents: mostly posts at the limits of the fast way, and some that are nearly such posts."""
    texts = [
        "",
        "x" * 23,
        "x" * 24,
        "x" * 190,
        "x" * 239,
        "x" * 240,
        "x" * 241,
        "x" * 255,
        "x" * 256,
        "ơ" * 95,
        "x" * 3_000,
    ]
    times = [None, 0, 5, (1 << 32) - 1, 1 << 32, 1_700_000_000_000, (1 << 48) - 1, 1 << 48, (1 << 64) - 1]
    target = Target(Person("an").id, key(1))
    out = [encode_post(Post(text, created_ms=time)) for text in texts for time in times]
    out += [
        encode_post(Post(text, ReplyTo(target, target), None, lang, 1 << 40)) for text in texts for lang in (None, "vi")
    ]
    for n in (5, 23, 24, 190, 255):  # also lengths and times that are not in their shortest form
        for time in (5, (1 << 32) - 1, 1 << 32, (1 << 48) - 1, 1 << 48):
            out.append(b"\x85\x58%c" % n + b"x" * n + b"\xf6\xf6\xf6\x1b" + time.to_bytes(8, "big"))
    for raw in list(out):
        at = rng.randrange(len(raw))
        out += [
            raw[:at] + bytes((rng.choice([raw[at] ^ 1, 0x18, 0x58, 0xF6, 0xFF]),)) + raw[at + 1 :],
            raw[:at],
            raw + b"\0",
        ]
    return out


def test_the_short_cut_for_most_posts_seeds_what_the_long_way_does() -> None:
    rng, short = random.Random("seeds"), 0
    for content in posts_and_others(rng):
        part = b"\x82" + bstr(bytes(16)) + bstr(content)
        for slot in (bytes(4) + POST + REGISTER + bytes(16), bytes(4) + FOLLOW + REGISTER + bytes(16)):
            for time in (bytes(8), (1_700_000_000_000 << 16).to_bytes(8, "big"), b"\xff" * 8):
                seed = seeds_of(slot[4:13])(time, part)
                assert seed == seed_of(slot, time, content), part.hex()
                short += seed is not None
    assert short


def random_draft(rng: random.Random, person: Person, known: list[tuple[Ref, Coll]]) -> OpDraft:
    refs = tuple(rng.choice(known)[0] for _ in range(rng.choice([0, 0, 1, 1, 2])) if known)
    target = Target(person.id, key(rng.randrange(3)))
    kind = rng.choice(["post", "post", "add", "add", "add", "odd", "del", "del", "tomb"])
    if kind == "post":
        reply = ReplyTo(target, target) if rng.random() < 0.3 else None
        quote = target if rng.random() < 0.2 else None
        mentions = tuple(rng.choice((person.id, AccountId(b"s" * 32))) for _ in range(rng.choice([0, 0, 1, 2])))
        created = rng.choice([None, 5, 1 << 60])
        content = encode_post(Post(f"text {rng.random()}", reply, quote, created_ms=created, mentions=mentions))
        return OpDraft(Put(POST, key(rng.randrange(3)), refs, None), content)
    if kind == "add":
        where = rng.choice(COLLS)
        content = encode([person.id] if where == FOLLOW else [*target, "❤🌳"[rng.randrange(2)].encode()])
        return OpDraft(Add(where, key(rng.randrange(2)), key(rng.randrange(3)), None), content)
    if kind == "odd":  # content that is no schema's, and an add in a collection of registers
        content = rng.choice([b"\xff", encode([b"\xff"]), encode_post(Post("odd"))])
        ops: list[Op] = [
            Put(POST, key(0), refs, None),
            Add(POST, key(0), key(1), None),
            Put(FOLLOW, key(0), refs, None),
        ]
        return OpDraft(rng.choice(ops), content)
    if kind == "del":
        ref, where = rng.choice(known) if known else (Ref(EntryId(person.id), 0), POST)
        return OpDraft(Del(where if rng.random() < 0.8 else rng.choice(COLLS), (ref, *refs)), None)
    return OpDraft(Tomb(rng.choice(COLLS), key(rng.randrange(3))), None)


def random_people(rng: random.Random) -> list[Person]:
    people = [Person("an"), Person("binh")]
    known: list[tuple[Ref, Coll]] = []
    for _ in range(rng.randrange(4, 40)):
        person = rng.choice(people)
        drafts = [random_draft(rng, person, known) for _ in range(rng.choice([1, 1, 1, 2, 4]))]
        tick = rng.choice([1, 1 << 16])
        entry = person.write(drafts, rng.randrange(1, 4), tick)
        for i, draft in enumerate(drafts):
            if isinstance(draft.op, Put | Add):
                known.append((Ref(entry.id, i), draft.op.coll))
    return people


def named(run: Sequence[Entry]) -> list[Ref]:
    """The operations of a run that name a part, in order."""
    return [Ref(e.id, i) for e in run for i, op in enumerate(decode_body(e.ops).ops) if part_of(op) is not None]


def deliver(rng: random.Random, store: Store, people: list[Person], erase: bool) -> list[Ref]:
    """Everything in a random order: runs of each log in sequence, content with its entry or later."""
    waiting: dict[LogId, list[Entry]] = {log: list(chain) for p in people for log, chain in p.logs.items()}
    parts = {ref: raw for p in people for ref, raw in p.parts.items()}
    lengths = {log: store.head(log).length for log in waiting}
    held: list[Ref] = []
    while waiting or held:
        if waiting and (not held or rng.random() < 0.5):
            batch = []
            for _ in range(rng.choice([1, 1, 2, 3])):
                if not waiting:
                    break
                log = rng.choice(sorted(waiting))
                run = [waiting[log].pop(0) for _ in range(rng.randrange(1, len(waiting[log]) + 1))]
                if not waiting[log]:
                    del waiting[log]
                lengths[log] += len(run)
                refs = named(run)
                with_it = rng.choice([0.0, 0.5, 1.0])
                at_hand = [parts[ref] if rng.random() < with_it else None for ref in refs]
                at_hand = at_hand[: rng.randrange(len(refs) + 1)] if rng.random() < 0.2 else at_hand
                head = head_of(run)._replace(length=lengths[log])
                sizes = [sum(p.size for o in body.ops if (p := part_of(o))) for body in bodies(run)]
                puts = (
                    puts_in([e.ops for e in run], sizes) if None not in at_hand and len(at_hand) == len(run) else None
                )
                batch.append(Append(log, run, bodies(run), at_hand, head, puts))
                held += [ref for k, ref in enumerate(refs) if k >= len(at_hand) or at_hand[k] is None]
            store.append(batch)
        else:
            rng.shuffle(held)
            some = [held.pop() for _ in range(rng.randrange(1, len(held) + 1))]
            store.put_parts([(ref.entry, ref.op, parts[ref]) for ref in some])
    assert store.lacking(b"", 1) == []
    gone = [ref for ref in sorted(parts) if erase and rng.random() < 0.2]
    rng.shuffle(gone)
    for ref in gone:
        store.erase_part(ref.entry, ref.op, None)
    return gone


@pytest.mark.parametrize("number", numbers(150, 8))
def test_views_are_the_pure_fold_in_every_order_of_arrival(number: int) -> None:
    people = random_people(random.Random(number))
    digests = set()
    for order in range(4):
        store, engine = social_store()
        deliver(random.Random(order), store, people, erase=False)
        agrees(store, engine, people)
        store.commit()
        with queries(engine, TEST) as ask:
            digests.add(ask.views_digest())
    assert len(digests) == 1


@pytest.mark.parametrize("number", numbers(200, 12))
def test_runs_of_posts_alone_become_the_pure_fold(number: int) -> None:
    rng, an = random.Random(number), Person("an")
    target = Target(an.id, key(1))
    for n in range(rng.randrange(4, 16)):
        kind = rng.choice(("opening",) * 9 + ("answer", "odd", "tomb"))
        content = (
            b"\xff"
            if kind == "odd"
            else encode_post(Post("x" * 30, ReplyTo(target, target) if kind == "answer" else None, created_ms=n))
        )
        draft = (
            OpDraft(Tomb(POST, key(n)), None)
            if kind == "tomb"
            else OpDraft(Put(POST, key(rng.randrange(24)), (), None), content)
        )
        an.write([draft], rng.randrange(1, 4))
    for order in range(4):
        store, engine = social_store()
        deliver(random.Random(order), store, [an], erase=False)
        agrees(store, engine, [an])


@pytest.mark.parametrize("number", numbers(60, 8))
def test_erased_content_takes_its_rows_along_and_lifting_the_erasure_brings_them_back(number: int) -> None:
    rng = random.Random(number)
    people = random_people(rng)
    store, engine = social_store()
    gone = deliver(rng, store, people, erase=True)
    agrees(store, engine, people)
    parts = {ref: raw for p in people for ref, raw in p.parts.items()}
    for ref in gone:
        store.want_part(*ref)
    store.put_parts([(ref.entry, ref.op, parts[ref]) for ref in gone])
    agrees(store, engine, people)


def test_what_stopped_counting_is_taken_out_alone_where_nothing_else_follows_and_may_come_again() -> None:
    alone: list[bool] = []
    for number in numbers(200, 5):
        rng = random.Random(number)
        people = random_people(rng)
        store, engine = social_store()
        deliver(rng, store, people, erase=False)
        for person in people:
            for log, chain in person.logs.items():
                stop = rng.choice([max(0, len(chain) - 1), rng.randrange(len(chain) + 1)])
                gone = chain[stop:]
                store.shorten(log, head_of(chain[:stop]), NOW_S)
                alone.append(store.take_out_of_views(person.id, [(e, decode_body(e.ops)) for e in gone]))
                if not alone[-1]:
                    logs = [chain for log, chain in person.logs.items()]
                    lengths = [store.head(log).length for log in person.logs]
                    kept = [e for chain, length in zip(logs, lengths, strict=True) for e in chain[:length]]
                    store.rebuild_views(person.id, [(e, decode_body(e.ops)) for e in kept])
                if rng.random() < 0.5:  # forgotten, and it comes again as if it were new
                    store.drop_loose(log, [e.id for e in reversed(gone)])
        agrees(store, engine, people)
        for person in people:
            for log, chain in person.logs.items():
                length = store.head(log).length
                if length < len(chain) and not store.loose_rows(log):
                    store.append([Append(log, chain[length:], bodies(chain[length:]), (), head_of(chain))])
            store.put_parts([(ref.entry, ref.op, raw) for ref, raw in person.parts.items()])
        agrees(store, engine, people)
    assert few(50, 5) < sum(alone) < len(alone) - few(50, 5)


@pytest.mark.parametrize("number", numbers(60, 8))
def test_a_rebuild_after_entries_stopped_counting_leaves_nothing_of_them(number: int) -> None:
    rng = random.Random(number)
    people = random_people(rng)
    store, engine = social_store()
    deliver(rng, store, people, erase=False)
    for person in people:
        kept: list[Entry] = []
        for log, chain in person.logs.items():
            stop = rng.randrange(len(chain) + 1)
            loose = chain[stop : rng.randrange(stop, len(chain) + 1)]
            store.rewrite(log, chain[:stop], loose, head_of(chain[:stop]), NOW_S)
            kept += chain[:stop]
        store.rebuild_views(person.id, [(e, decode_body(e.ops)) for e in kept])
    agrees(store, engine, people)
    for person in people:  # what was cut comes back and counts again
        for log, chain in person.logs.items():
            store.rewrite(log, chain, [], head_of(chain), NOW_S)
        everything = [(e, decode_body(e.ops)) for chain in person.logs.values() for e in chain]
        store.rebuild_views(person.id, everything)
        store.put_parts([(ref.entry, ref.op, raw) for ref, raw in person.parts.items()])
    agrees(store, engine, people)


@pytest.mark.parametrize("number", numbers(20))
def test_content_that_arrives_many_at_once_shows_as_one_by_one(number: int) -> None:
    people = random_people(random.Random(number))
    store, engine = social_store()
    for person in people:
        for log, chain in person.logs.items():
            store.append([Append(log, chain, bodies(chain), (), head_of(chain))])
    arrived = []
    for person in people:
        for ref, raw in person.parts.items():
            entry = store.entry(ref.entry)
            assert entry is not None
            n = store.number_of(ref.entry)
            assert n is not None
            salted = raw[19 + {0x58: 1, 0x59: 2}.get(raw[18], 0) :]
            store.put_parts([(ref.entry, ref.op, raw)])
            arrived.append(ArrivedPart(n, entry, ref.op, decode_body(entry.ops).ops[ref.op], salted))
    random.Random(number).shuffle(arrived)
    SocialViews().parts_arrived(engine.write(), store, arrived)
    together, engine_two = social_store()
    deliver(random.Random(number), together, people, erase=False)
    store.commit()
    together.commit()
    with queries(engine, TEST) as one, queries(engine_two, TEST) as two:
        assert one.graph_stats().posts == two.graph_stats().posts
        assert one.graph_stats().follows == two.graph_stats().follows


def test_a_post_whose_key_begins_with_its_time_has_one_row_and_an_edit_to_another_time_gives_it_two() -> None:
    an, (store, engine) = Person("an"), social_store()
    early = 1 << 20
    key = CellKey(early.to_bytes(6, "big") + bytes(10))

    def rows(*created: int) -> tuple[int, int, list[bytes]]:
        for ms in created:
            an.write([write_post(key, Post("phở", created_ms=ms), [an.last()] if an.logs else [])], tick=1 << 40)
        an.send(store)
        agrees(store, engine, [an])
        txn = engine.write()
        number = txn.get(NUMBERS, an.id) or b""
        slots = [number + POST + REGISTER + key]
        times = [SHOW.unpack(shown_at(txn, slot))[1] for slot in slots]
        assert that_show(txn, slots) == set(slots)
        assert [one.seed for one in all_shown(txn, number, POST, after_prefix(POST))] == times
        assert next(all_shown(txn, number, slots[0][4:], after_prefix(slots[0][4:]))).slot == slots[0]
        assert not [*all_shown(txn, number, after_prefix(slots[0][4:]) or b"")]
        assert not [*all_shown(txn, number, b"", slots[0][4:])]
        return txn.count(SHOWN), txn.count(TIMELINE), times

    assert rows(early) == (0, 1, [(early << 16).to_bytes(8, "big")])
    assert rows(early - 1) == (1, 1, [(early - 1 << 16).to_bytes(8, "big")])
    assert rows(early) == (0, 1, [(early << 16).to_bytes(8, "big")])
    number = engine.write().get(NUMBERS, an.id) or b""
    for table in (SHOWN, TIMELINE):  # a row that nothing gives goes where the account is folded again
        engine.write().put(table, number, POST + REGISTER + key + bytes(16))
    store.rebuild_views(an.id, ((entry, decode_body(entry.ops)) for entry in an.logs[an.log(1)]))
    agrees(store, engine, [an])


def test_a_cover_that_comes_first_waits_for_its_target() -> None:
    an = Person("an")
    ref = an.follow(Person("binh"))
    an.write([OpDraft(Del(FOLLOW, (ref,)), None)], log=2)
    store, engine = social_store()
    first, second = an.log(2), an.log(1)
    store.append([Append(first, an.logs[first], bodies(an.logs[first]), (), head_of(an.logs[first]))])
    assert engine.write().count(COVERS) == 1
    store.append([Append(second, an.logs[second], bodies(an.logs[second]), (), head_of(an.logs[second]))])
    store.put_parts([(ref.entry, ref.op, an.parts[ref])])
    assert engine.write().count(FOLLOWS) == 0


def test_an_edit_without_its_content_shows_nothing_rather_than_the_old_text() -> None:
    an = Person("an")
    target = an.post("old")
    an.write([OpDraft(Put(POST, target.key, (an.last(),), None), encode_post(Post("new")))])
    store, engine = social_store()
    chain = an.logs[an.log(1)]
    store.append([Append(an.log(1), chain, bodies(chain), (), head_of(chain))])
    old, new = Ref(chain[0].id, 0), Ref(chain[1].id, 0)
    store.put_parts([(*old, an.parts[old])])
    assert engine.write().count(TIMELINE) == 0
    store.put_parts([(*new, an.parts[new])])
    assert engine.write().count(TIMELINE) == 1


def test_of_two_writes_at_once_the_last_shows_nothing_while_its_content_is_lacking() -> None:
    an = Person("an")
    target = an.post("one")
    an.write([OpDraft(Put(POST, target.key, (), None), encode_post(Post("two")))])
    store, engine = social_store()
    chain = an.logs[an.log(1)]
    store.append([Append(an.log(1), chain, bodies(chain), (), head_of(chain))])
    one, two = Ref(chain[0].id, 0), Ref(chain[1].id, 0)
    store.put_parts([(*one, an.parts[one])])
    assert engine.write().count(TIMELINE) == 0
    store.put_parts([(*two, an.parts[two])])
    assert engine.write().count(TIMELINE) == 1


def test_views_survive_on_disk_and_are_the_same_there(tmp_path: Path) -> None:
    people = random_people(random.Random(7))
    on_disk = LmdbEngine(tmp_path / "store", (*STORE_TABLES, *VIEW_TABLES), map_size=1 << 26)
    store, engine = social_store(on_disk)
    deliver(random.Random(1), store, people, erase=False)
    agrees(store, engine, people)
    store.commit()
    twin, memory = social_store()
    deliver(random.Random(2), twin, people, erase=False)
    twin.commit()
    with queries(on_disk, TEST) as one, queries(memory, TEST) as two:
        assert one.views_digest() == two.views_digest()
    on_disk.close()
