"""Text: characters typed together stay together, whoever types at the same place, in any order of entries."""

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan_crdt.cells import fold
from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId, LogId, Ref, coll
from banyan_crdt.ops import Del, Op, Position, Put, Text, TextDel, Tomb
from tests.crdt.make import POSTS, START, Person, b32, bodies, follow, key, ref, signer

AN = Person()
CELL = (POSTS, key("t"))
NOWHERE = Position(EntryId(b32("nothing")), 0, 0)


class Board:
    """A document as (entry, letter) by position; `read` shows the letters."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.letters: dict[tuple[Ref, int], str] = {}

    def say(self, *ops: Op, time: int = START) -> Entry:
        name = f"writer {len(self.entries)}"
        e = follow(name, LogId(AN.id, signer(name).key, 1), [], *ops, time=time)
        self.entries.append(e)
        return e

    def type(self, text: str, left: Position | None, right: Position | None, time: int = START) -> list[Position]:
        e = self.say(Text(POSTS, key("t"), left, right, len(text), None), time=time)
        self.letters.update({(ref(e), i): c for i, c in enumerate(text)})
        return [Position(e.id, 0, i) for i in range(len(text))]

    def read(self, entries: list[Entry] | None = None) -> str:
        held = self.entries if entries is None else entries
        shown = fold(bodies(held)).texts.get(CELL, [])
        text = "".join(self.letters[c] for c in shown)
        orders = permutations(held) if len(held) < 6 else (random.Random(n).sample(held, len(held)) for n in range(30))
        for turned in orders:
            assert fold(bodies(turned)).texts.get(CELL, []) == shown
        return text


def test_what_is_typed_reads_as_it_was_typed() -> None:
    b = Board()
    hello = b.type("hello", None, None)
    b.type(" world", hello[-1], None)
    b.type("H", None, hello[0])
    b.type("e", hello[0], hello[1])
    assert b.read() == "Hheello world"


def test_what_hangs_behind_the_last_character_of_an_insertion_stands_at_the_end() -> None:
    b = Board()
    word = b.type("abc", None, None)
    b.type("z", word[2]._replace(offset=3), None)
    b.type("d", word[2], None)
    assert b.read() == "abcdz"


@pytest.mark.parametrize("times", [(0, 1), (1, 0), (0, 0)])
def test_two_insertions_at_one_place_do_not_interleave(times: tuple[int, int]) -> None:
    b = Board()
    base = b.type("[]", None, None)
    for word, time in zip(("ABC", "xyz"), times, strict=True):
        at = b.type(word[0], base[0], base[1], START + time)
        for c in word[1:]:
            at = b.type(c, at[0], base[1], START + time)
    assert b.read() in ("[ABCxyz]", "[xyzABC]")


@pytest.mark.parametrize("times", [(0, 1), (1, 0), (0, 0)])
def test_nor_do_two_that_were_typed_backwards(times: tuple[int, int]) -> None:
    b = Board()
    base = b.type("[]", None, None)
    for word, time in zip(("ABC", "xyz"), times, strict=True):
        at = b.type(word[-1], base[0], base[1], START + time)
        for c in word[-2::-1]:
            at = b.type(c, base[0], at[0], START + time)
    assert b.read() in ("[ABCxyz]", "[xyzABC]")


def test_concurrent_insertions_in_one_place_of_a_word_stay_whole() -> None:
    b = Board()
    base = b.type("ab", None, None)
    for word in ("123", "456", "789"):
        b.type(word, base[0], base[1])
    text = b.read()
    assert text[0] == "a"
    assert text[-1] == "b"
    assert sorted((text[1:4], text[4:7], text[7:10])) == ["123", "456", "789"]


def test_a_long_insertion_is_split_by_what_was_typed_inside_it() -> None:
    b = Board()
    word = b.type("abcdef", None, None)
    b.type("--", word[2], word[3])
    assert b.read() == "abc--def"


def test_hidden_characters_keep_their_places() -> None:
    b = Board()
    word = b.type("abcd", None, None)
    b.say(TextDel(POSTS, Ref(word[0].entry, 0), 1, 2))
    assert b.read() == "ad"
    b.type("X", word[1], word[2])
    assert b.read() == "aXd"


def test_a_textdel_hides_what_is_there_and_no_more() -> None:
    b = Board()
    word = b.type("abcd", None, None)
    other = b.type("xy", word[3], None)
    at = Ref(word[0].entry, 0)
    b.say(TextDel(POSTS, at, 2, 65_535), TextDel(POSTS, at, 60_000, 9), TextDel(POSTS, at, 0, 0))
    b.say(TextDel(coll("another"), Ref(other[0].entry, 0), 0, 2))
    b.say(TextDel(POSTS, Ref(NOWHERE.entry, 0), 0, 9), Put(POSTS, key("t"), (at,), None))
    assert b.read() == "abxy"
    b.say(Del(POSTS, (at,)))
    assert b.read() == "xy"


def test_text_whose_left_neighbour_does_not_count_hangs_at_the_end_and_goes_home_when_it_does() -> None:
    b = Board()
    first = b.type("first", None, None)
    lost = b.type("lost", NOWHERE, first[0])
    b.type("more", lost[-1], None)
    b.type("early", Position(first[0].entry, 0, 99), None, START - 1)
    assert b.read() == "firstearlylostmore"
    home = [e for e in b.entries if e.id != first[0].entry]
    assert b.read(home) == "earlylostmore"


def test_a_right_neighbour_that_does_not_count_is_none() -> None:
    b = Board()
    ab = b.type("ab", None, None)
    b.type("X", ab[0], NOWHERE)
    assert b.read() in ("aXb", "abX")


def test_a_neighbour_in_another_cell_does_not_count() -> None:
    b = Board()
    other = b.say(Text(POSTS, key("elsewhere"), None, None, 3, None))
    b.type("end", Position(other.id, 0, 0), None)
    b.type("begin", None, None)
    assert b.read() == "beginend"


def test_a_tomb_ends_a_text() -> None:
    b = Board()
    b.type("abc", None, None)
    b.say(Tomb(POSTS, key("t")))
    assert b.read() == ""


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 2**16), st.integers(1, 3), st.integers(0, 2)), max_size=8)
)
def test_any_positions_give_every_order_one_text_with_every_character_once(
    typed: list[tuple[int, int, int, int]],
) -> None:
    b = Board()
    known: list[Position | None] = [None, NOWHERE]
    for left, right, n, time in typed:
        known += b.type("x" * n, known[left % len(known)], known[right % len(known)], START + time)
    assert len(b.read()) == sum(n for _, _, n, _ in typed)


def test_a_text_of_many_insertions_is_read_without_recursion() -> None:
    b = Board()
    at = b.type("x", None, None)
    for _ in range(1_500):
        at = b.type("x", at[0], None)
    assert len(fold(bodies(b.entries)).texts[CELL]) == 1_501
