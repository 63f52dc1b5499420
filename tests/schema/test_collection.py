"""Reading cells as values: the same as the views show, also for collections without a view."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.cells import fold
from banyan_crdt.ids import CellKey, Coll, Ref
from banyan_crdt.ops import Add, Count, Del, Op, Position, Put, Text, TextDel, Tomb, decode_body
from banyan_crdt.parts import content_of
from banyan_schema.collection import UNREADABLE, Collection, OpDraft, counters, elements, registers, texts
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, encode_post, write_post
from banyan_schema.social.post import COLLECTION as POSTS
from banyan_storage.slots import NUMBERS, REGISTER, SHOWN
from banyan_storage.tables import PARTS
from tests.crdt.make import START, key
from tests.needs import numbers
from tests.schema.laws import Said
from tests.storage.social_accounts import social_store
from tests.storage.test_views import deliver, random_people

LIKES: Collection[None] = Collection("vn.example.reads", "counter")
NOTES: Collection[None] = Collection("vn.example.notes", "text")


@pytest.mark.parametrize("number", numbers(40))
def test_what_is_read_from_the_cells_is_what_the_views_show(number: int) -> None:
    rng = random.Random(number)
    people = random_people(rng)
    store, engine = social_store()
    deliver(rng, store, people, erase=bool(number & 1))
    txn = engine.write()

    def held(ref: Ref) -> bytes | None:
        raw = store.part(ref.entry, ref.op)
        return None if raw is None else content_of(raw)

    read = viewed = 0
    for person in people:
        counted = [(e, decode_body(e.ops)) for log in person.logs for e in store.walk(log)]
        cells = fold(counted)
        shows: dict[Coll, dict[tuple[bytes, bytes], object]] = {of.id: {} for of in SOCIAL}
        for value in txn.dups(SHOWN, txn.get(NUMBERS, person.id) or b""):
            coll, kind, size = Coll(value[:8]), value[8:9], 25 if value[8:9] == REGISTER else 41
            part = txn.get(PARTS, value[size : size + 8])
            assert part is not None
            assert (kind == REGISTER) == (SOCIAL.by_id[coll].op is Put)
            shows[coll][value[9:25], value[25:size]] = SOCIAL.by_id[coll].decode(content_of(part))
            viewed += 1
        for of in SOCIAL:
            if of.merge == "register":
                found = {(cell, b""): said for cell, said in registers(of, cells, held).items()}
            else:
                found = {(c, e): said for c, some in elements(of, cells, held).items() for e, said in some.items()}
            assert found == shows[of.id]
            read += len(found)
    assert read == viewed


def test_a_register_whose_last_write_is_not_held_shows_nothing_rather_than_the_write_before() -> None:
    said = Said.nothing()
    said.say(write_post(key("p"), Post("old")), time=START)
    (new,) = said.say(write_post(key("p"), Post("new")), time=START + 1)
    assert registers(POSTS, said.cells(), said.parts.get) == {key("p"): Post("new")}
    del said.parts[new]
    assert registers(POSTS, said.cells(), said.parts.get) == {}


def test_an_element_shows_its_last_add_whose_content_is_held() -> None:
    of = SOCIAL.by_name["reaction"]
    heart = OpDraft(Add(of.id, key("c"), key("e"), None), b"\x83\x58\x20" + b"a" * 32 + b"\x50" + b"k" * 16 + b"\x41x")
    tree = heart._replace(content=(heart.content or b"")[:-1] + b"y")
    said = Said.nothing()
    said.say(heart, time=START)
    (last,) = said.say(tree, time=START + 1)
    assert elements(of, said.cells(), said.parts.get)[key("c")][key("e")].emoji == "y"
    del said.parts[last]
    assert elements(of, said.cells(), said.parts.get)[key("c")][key("e")].emoji == "x"


def test_a_counter_is_read_as_its_sum_and_that_of_another_collection_is_not() -> None:
    said = Said.nothing()
    for delta in (5, -7):
        said.say(OpDraft(Count(LIKES.id, key("n"), delta), None), OpDraft(Count(NOTES.id, key("n"), 100), None))
    said.say(OpDraft(Count(LIKES.id, key("gone"), 3), None), OpDraft(Tomb(LIKES.id, key("gone")), None))
    assert counters(LIKES, said.cells()) == {key("n"): -2}
    assert counters(LIKES, said.cells(said.entries[::-1])) == {key("n"): -2}


class Board:
    """One text, written by many."""

    def __init__(self) -> None:
        self.said, self.cell = Said.nothing(), key("t")

    def type(self, text: str, left: Position | None, right: Position | None, n: int | None = None) -> list[Position]:
        draft = OpDraft(Text(NOTES.id, self.cell, left, right, n or len(text), None), text.encode())
        (ref,) = self.said.say(draft)
        return [Position(ref.entry, ref.op, i) for i in range(len(text))]

    def do(self, op: Op) -> None:
        self.said.say(OpDraft(op, None))

    def read(self) -> str | None:
        turned = texts(NOTES, self.said.cells(self.said.entries[::-1]), self.said.parts.get)
        assert texts(NOTES, self.said.cells(), self.said.parts.get) == turned
        return turned.get(self.cell)


def test_a_text_is_read_as_it_was_typed() -> None:
    b = Board()
    word = b.type("Xin chào", None, None)
    b.type(" 🌳Việt Nam", word[-1], None)
    b.do(TextDel(NOTES.id, Ref(word[0].entry, word[0].op), 3, 5))
    assert b.read() == "Xin 🌳Việt Nam"
    b.do(Del(NOTES.id, (Ref(word[0].entry, word[0].op),)))
    assert b.read() == " 🌳Việt Nam"
    b.do(Tomb(NOTES.id, b.cell))
    assert b.read() is None


def test_a_text_keeps_its_length_where_content_is_erased_too_short_or_no_utf8() -> None:
    b = Board()
    word = b.type("abc", None, None)
    short = b.type("de", word[-1], None, n=4)
    assert b.read() == "abcde" + 2 * UNREADABLE
    del b.said.parts[Ref(word[0].entry, word[0].op)]
    assert b.read() == 3 * UNREADABLE + "de" + 2 * UNREADABLE
    b.said.parts[Ref(short[0].entry, short[0].op)] = b"\xff"
    assert b.read() == 7 * UNREADABLE
    b.said.parts[Ref(short[0].entry, short[0].op)] = b"defgh and more"
    assert b.read() == 3 * UNREADABLE + "defg"


def test_what_is_not_content_of_the_collection_is_not_read() -> None:
    said = Said.nothing()
    said.say(OpDraft(Put(SOCIAL.by_name["profile"].id, CellKey(bytes(16)), (), None), encode_post(Post("hi"))))
    said.say(OpDraft(Put(POSTS.id, CellKey(bytes(16)), (), None), b"\xff"))
    for of in (POSTS, SOCIAL.by_name["profile"]):
        assert registers(of, said.cells(), said.parts.get) == {}
