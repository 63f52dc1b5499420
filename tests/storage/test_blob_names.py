"""Which blobs the held content names: the rows follow the content, in its transaction, whatever happens to it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import Ref
from banyan_crdt.ops import decode_body
from banyan_crdt.parts import content_of, make_part
from banyan_schema.media import Media
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, post_key, set_profile, write_post
from banyan_schema.social.post import POST, Poll, encode_post
from banyan_storage import blob_names, salvage
from banyan_storage import tables as t
from banyan_storage.engine import Engine
from banyan_storage.store import Append, Store
from tests.storage.accounts import bodies, head_of
from tests.storage.social_accounts import Person, social_store

ONE, TWO, SMALL = (BlobRoot(bytes([n]) * 32) for n in (1, 2, 3))
PICTURES = (Media(ONE, 5, "image/png", preview=SMALL), Media(TWO, 9, "video/mp4"), Media(ONE, 5, "image/png"))


def write(person: Person, *media: Media) -> Ref:
    post = Post("look", media=media)
    return Ref(person.write([write_post(post_key(person.salt, person.draw()), post)]).id, 0)


def named(store: Store, root: BlobRoot = ONE) -> int:
    return len(blob_names.places(store.txn, root, 100))


def sound(store: Store) -> None:
    assert list(blob_names.faults(store)) == []


def append(store: Store, person: Person, with_content: bool) -> None:
    """The whole log, with all content or with none."""
    (log, chain), *_ = person.logs.items()
    raws = [person.parts[Ref(e.id, 0)] for e in chain] if with_content else ()
    store.append([Append(log, chain, bodies(chain), raws, head_of(chain))])


@pytest.fixture
def world() -> tuple[Store, Engine, Person]:
    store, engine = social_store()
    return store, engine, Person("An")


World = tuple[Store, Engine, Person]


@pytest.mark.parametrize("with_entry", [True, False])
def test_content_names_its_blobs_from_when_it_comes_until_it_is_erased(world: World, with_entry: bool) -> None:
    store, _, an = world
    first, second = write(an, *PICTURES), write(an, PICTURES[1])
    an.post("nothing to see")
    append(store, an, with_entry)
    if not with_entry:
        assert not blob_names.is_named(store.txn, ONE)
        an.send(store)
    assert (named(store, ONE), named(store, TWO), named(store, SMALL)) == (1, 2, 1)
    sound(store)
    rows = blob_names.unseen(store.txn, b"", 10)
    assert [blob_names.split(store.txn.get(t.MEDIA, key) or b"") for key in rows] == [[SMALL, ONE, TWO], [TWO]]
    assert blob_names.unseen(store.txn, rows[0], 10) == rows[1:]
    blob_names.seen(store._write, rows[:1])
    assert blob_names.unseen(store.txn, b"", 10) == rows[1:]
    assert store.erase_part(first.entry, 0, None)
    assert (named(store, ONE), named(store, TWO)) == (0, 1)
    sound(store)
    assert store.want_part(first.entry, 0)
    store.put_parts([(first.entry, 0, an.parts[first])])
    assert (named(store, ONE), named(store, TWO)) == (1, 2)
    store.drop_part(second.entry, 0)
    assert named(store, TWO) == 1
    sound(store)


def test_a_rollback_takes_the_rows_with_the_content(world: World) -> None:
    store, _, an = world
    write(an, *PICTURES)
    append(store, an, True)
    store.rollback()
    assert not blob_names.is_named(store.txn, ONE)
    assert blob_names.roots_from(store.txn, b"") == []


def test_an_entry_that_is_dropped_names_nothing_and_one_that_does_not_count_does(world: World) -> None:
    store, _, an = world
    write(an, PICTURES[0])
    write(an, PICTURES[1])
    append(store, an, True)
    (log, chain), *_ = an.logs.items()
    store.shorten(log, head_of(chain[:1]), 5)
    assert named(store, TWO) == 1, "its content is held beside the log"
    store.drop_loose(log, [chain[1].id])
    assert (named(store, ONE), named(store, TWO)) == (1, 0)
    store.add_loose(log, [chain[1]], t.BRANCH, 6)
    store.put_loose_parts([(chain[1].id, 0, an.parts[Ref(chain[1].id, 0)])])
    assert named(store, TWO) == 1


def test_rows_that_are_wrong_are_found_and_made_again(world: World) -> None:
    store, engine, an = world
    write(an, *PICTURES)
    append(store, an, True)
    store.commit()
    write_txn = engine.write()
    (key, roots) = next(iter(write_txn.scan(t.MEDIA)))
    faults: list[Callable[[], object]] = [
        lambda: write_txn.put(t.MEDIA, key, roots[:32]),
        lambda: write_txn.delete(t.MEDIA, key),
        lambda: write_txn.delete(t.BLOBS, ONE + key),
        lambda: write_txn.put(t.BLOBS, bytes(32) + key, b""),
    ]
    for fault in faults:
        fault()
        assert list(blob_names.faults(store))
        blob_names.rebuild(write_txn, store)
        sound(store)
        assert write_txn.get(t.MEDIA, key) == roots
    write_txn.delete_range(t.BLOBS, b"", None)
    salvage.indexes(write_txn, store.realm)
    sound(store)
    assert named(store) == 1


def test_the_byte_that_is_looked_at_misses_no_post_with_media() -> None:
    full = Post(
        "x",
        lang="vi",
        created_ms=1,
        warning="w",
        audience="unlisted",
        tags=("a",),
        mentions=(),
        media=PICTURES,
        poll=Poll(("a", "b"), "one", 5),
        urgency="urgent",
    )
    for post in (full, Post("", media=PICTURES[:1]), Post("y" * 30_000, media=PICTURES)):
        raw = make_part(os.urandom(16), encode_post(post))[1]
        assert blob_names.row_of(b"k", POST, raw) == (b"k", b"".join(SOCIAL.blobs_in(POST, content_of(raw))))
    for post in (Post("x"), Post("x" * 5000, lang="vi", created_ms=1), Post("x", tags=("a",), warning="w")):
        raw = make_part(os.urandom(16), encode_post(post))[1]
        assert blob_names.row_of(b"k", POST, raw) is None
        assert SOCIAL.blobs_in(POST, content_of(raw)) == ()


@pytest.mark.parametrize("with_entry", [True, False])
def test_a_picture_of_a_profile_is_named_as_one_of_a_post_is(world: World, with_entry: bool) -> None:
    store, _, an = world
    an.post("nothing to see")
    face = Ref(an.write([set_profile(an.salt, "avatar", "me", media=PICTURES[0])]).id, 0)
    an.write([set_profile(an.salt, "name", "An")])
    second = an.write([set_profile(an.salt, "banner", "", media=PICTURES[2]), set_profile(an.salt, "bio", "x")])
    append(store, an, with_entry)
    if not with_entry:
        an.send(store)
    assert (named(store, ONE), named(store, SMALL)) == (2, 1)
    sound(store)
    blob_names.seen(store._write, blob_names.unseen(store.txn, b"", 10))
    key = t.part_key(store.number_of(second.id) or 0, 0)
    blob_names.look_again(store._write, [key, t.part_key(1, 0)])
    assert blob_names.unseen(store.txn, b"", 10) == [key], "what names no blob is not looked at"
    assert store.erase_part(face.entry, 0, None)
    assert (named(store, ONE), named(store, SMALL)) == (1, 0)
    sound(store)


def test_a_store_of_a_program_that_knew_less_names_its_blobs_when_it_is_opened(world: World) -> None:
    store, engine, an = world
    write(an, PICTURES[1])
    an.write([set_profile(an.salt, "avatar", "me", media=PICTURES[0])])
    append(store, an, True)
    store.commit()
    txn = engine.write()
    for table in (t.MEDIA, t.BLOBS, t.MEDIA_NEW):
        txn.delete_range(table, b"", None)
    engine.commit()
    assert named(social_store(engine)[0]) == 0, "nothing is read anew where the program is the same"
    txn.put(t.META, t.NAMING_KEY, b"less")
    engine.commit()
    again = social_store(engine)[0]
    assert (named(again, ONE), named(again, TWO), named(again, SMALL)) == (1, 1, 1)
    sound(again)
    assert len(blob_names.unseen(again.txn, b"", 10)) == 2


def test_previews_come_first_and_each_blob_once(world: World) -> None:
    _, _, an = world
    first = write(an, *PICTURES)
    op = decode_body(an.logs[an.log(1)][0].ops).ops[0]
    assert blob_names.row_of_op(b"k", op, an.parts[first]) == (b"k", SMALL + ONE + TWO)
