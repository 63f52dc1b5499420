"""Search finds what was said, and the index is at any moment what one that is made anew would be."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.realm import TEST
from banyan_reading.queries import Queries, queries
from banyan_reading.search import query
from banyan_reading.search.fts_index import Document, FtsIndex
from banyan_reading.search.indexer import Indexer
from banyan_reading.search.query import BadQuestion, exact, fold, mark_of_account, read_question, words_of
from banyan_schema.social import Post, Target, delete_post, write_post
from banyan_storage.engine import Engine, WriteTxn
from banyan_storage.errors import DiskFull, IndexDamaged, StorageError
from banyan_storage.views import journal
from banyan_storage.views.builder import begin, step
from tests.reading.lists import feed
from tests.storage.social_accounts import Person, social_store

STORE = b"s" * 16


# -- words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Đảm Đang", "dam dang"),
        ("đảm đang", "dam dang"),
        ("ĐƯỜNG Nguyễn Huệ", "duong nguyen hue"),
        ("Straße", "strasse"),
        ("ﬁ", "fi"),
        ("İstanbul", "istanbul"),
        ("東京", "東京"),
    ],
)
def test_folding_drops_case_and_marks(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


def test_marks_are_those_of_unicode_and_their_table_has_a_bound() -> None:
    letters = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    apart = unicodedata.normalize("NFD", letters.casefold().replace("đ", "d"))
    assert query.fold(letters) == unicodedata.normalize(
        "NFC", "".join(c for c in apart if not unicodedata.combining(c))
    )
    assert 0 < len(query._UNMARKED) <= query._RARE


def test_exact_words_keep_their_marks_however_they_are_typed() -> None:
    assert exact("ĐẢM") == exact("đa\u0309m") == "đảm"


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("", "nothing to look for"),
        ("- . !", "nothing to look for"),
        ("-phim", "nothing to look for"),
        ("ph*", "'ph\\*' is too short"),
        ("phở since:31.1.2026", "since:31.1.2026 is no day: write it as 2026-01-31"),
        ("phở has:cats", "has:cats is not known: there are has:media"),
        ("phở lang:", "lang: has nothing behind it"),
        ("phở -from:an", "-from: only a word"),
        ("x" * 1_025, "more than 1024 bytes"),
        ("#", "'#' is no tag"),
        ("#mùa-thu", "is no tag"),
        ("phở lang:!!!", "lang:!!! is no language"),
        ("phở since:2026-02-01 until:2026-01-01", "since: is later than until:"),
        ("since:2026-02-01", "also beside since:"),
        ("phở*bò", "has a \\* where it means nothing"),
        ('"phở bò"*', "has a \\* where it means nothing"),
        (" ".join("abcdefghijklmnopqrstuvwxyz0123456"), "more than 32 words"),
    ],
)
def test_a_question_that_means_nothing_is_refused_in_a_sentence(question: str, says: str) -> None:
    with pytest.raises(BadQuestion, match=says):
        read_question(question)


# -- the index


@contextmanager
def indexed(*texts: str, path: Path | None = None) -> Iterator[FtsIndex]:
    with TemporaryDirectory() as folder:
        index = FtsIndex(path or Path(folder) / "search.db", STORE)
        with index.commit():
            index.put(document(text, n) for n, text in enumerate(texts))
        yield index
        index.close()


def document(text: str, n: int, marks: str = "") -> Document:
    post = Target(AccountId(b"a" * 32), CellKey(n.to_bytes(16, "big")))
    said, folded = (" ".join(words_of(form(text))) for form in (exact, fold))
    return Document(post, n * 1_000, said, folded, marks)


def hits(index: FtsIndex, question: str, *marks: str, before: int | None = None) -> list[int]:
    """The numbers of the texts that are found."""
    return [int.from_bytes(post.key, "big") for _, post in index.find(read_question(question), marks, before)]


def test_words_without_marks_find_all_and_words_with_marks_these_only() -> None:
    with indexed("Cô ấy đảm đang", "dam dang", "đám cưới", "đam mê", "phở bò", "pho mát") as index:
        assert hits(index, "dam dang") == [1, 0]
        assert hits(index, "đảm đang") == [0]
        assert hits(index, "đám") == [2]
        assert hits(index, "dam") == [3, 2, 1, 0]
        assert hits(index, "pho") == [5, 4]
        assert hits(index, "phở") == [4]
        assert hits(index, "PHỞ bo") == [4]


def test_phrases_beginnings_and_what_is_left_out() -> None:
    with indexed("ăn phở sáng nay", "sáng ăn phở", "phim Hà Nội", "hanoi film", 'nói "xin chào"') as index:
        assert hits(index, '"ăn phở sáng"') == [0]
        assert hits(index, '"pho sang"') == [0]
        assert hits(index, "phở -nay") == [1]
        assert hits(index, 'phở -"ăn phở sáng"') == [1]
        assert hits(index, "han*") == [3]
        assert hits(index, "phi*") == [2]
        assert hits(index, "AND OR NOT NEAR") == []
        assert hits(index, 'xin chào"') == [4]
        assert hits(index, "folded:phở") == []


def test_spans_of_time_and_pages() -> None:
    day = 86_400_000
    with indexed() as index:
        with index.commit():
            index.put(document("phở", n)._replace(time_ms=n * day) for n in (0, 1, 2, 40))
        assert hits(index, "pho since:1970-01-02 until:1970-01-03") == [2, 1]
        assert hits(index, "pho until:1970-01-01") == [0]
        assert hits(index, "pho since:1970-02-01") == [40]
        pages, before = list[int](), None
        for _ in range(9):
            for row, post in list(index.find(read_question("pho"), (), before))[:1]:
                before = row
                pages.append(int.from_bytes(post.key, "big"))
        assert pages == [40, 2, 1, 0]


def test_posts_of_one_time_are_told_apart_and_replaced_one_by_one() -> None:
    with indexed() as index:
        same = [document("phở", n)._replace(time_ms=5) for n in range(50)]
        with index.commit():
            index.put(same)
        assert sorted(hits(index, "pho")) == list(range(50))
        with index.commit():
            index.put([same[7]._replace(exact="bún", folded="bun")])
            index.remove([same[8].post, same[8].post])
        assert sorted(hits(index, "pho")) == [n for n in range(50) if n not in (7, 8)]
        assert hits(index, "bun") == [7]
        assert index.count() == 49


def test_an_index_of_another_store_is_emptied_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    path = tmp_path / "search.db"
    with indexed("phở", path=path):
        pass
    kept = FtsIndex(path, STORE)
    assert kept.count() == 1
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    kept.close()
    other = FtsIndex(path, b"t" * 16)
    assert (other.count(), other.read) == (0, -1)
    other.close()
    path.write_bytes(b"this is no database, " * 500)
    again = FtsIndex(path, STORE)
    assert (again.count(), again.read) == (0, -1)
    again.close()
    with pytest.raises(StorageError, match="cannot be opened and written"):
        FtsIndex(tmp_path / "nowhere" / "search.db", STORE)


def test_text_without_spaces_between_words_is_found_by_any_part_of_it() -> None:
    with indexed("河内市很美", "สวัสดีชาวโลก", "東京タワー") as index:
        assert [hits(index, q) for q in ("美", "河内", "内河", "河内*", "ชาว", "โลก", "タワー")] == [
            *([0], [0], [], [0]),
            *([1], [1], [2]),
        ]


def test_damage_is_noticed_where_it_is_read_and_nothing_is_missing_without_a_word(tmp_path: Path) -> None:
    path, rng, noticed = tmp_path / "search.db", random.Random(1), 0
    with indexed(*(f"phở {n} bún {n % 7}" for n in range(2_000)), path=path):
        pass
    whole = path.read_bytes()
    for _ in range(60):
        raw = bytearray(whole)
        raw[rng.randrange(200, len(raw))] ^= 1 << rng.randrange(8)
        path.write_bytes(raw)
        index = FtsIndex(path, STORE)
        try:
            assert hits(index, "phở") in ([*range(1_999, -1, -1)], [])
            noticed += index.count() == 0  # it was made again when it was opened
        except IndexDamaged:
            noticed += 1
        index.close()
    assert noticed > 10


def test_a_full_disk_is_said_and_is_no_mistake_of_the_index() -> None:
    rng = random.Random("full")
    with indexed() as index:
        index._db.execute("pragma max_page_count = 300")
        with pytest.raises(DiskFull, match="no room left for the search index"), index.commit(1):
            index.put(document(rng.randbytes(9_000).hex(" ", 3), n) for n in range(300))
        index._db.execute("pragma max_page_count = 100000")
        with index.commit(1):
            index.put([document("room again", 1)])
        assert hits(index, "again") == [1]


def test_what_was_deleted_is_in_no_page_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "search.db"
    with indexed("secretword", "bún", path=path) as index, index.commit():
        index.remove([document("", 0).post])
    index = FtsIndex(path, STORE)
    with index.commit():
        index.put([document("anotherword", 3)])
    with index.commit():
        index.remove([document("", 3).post])
    assert index.untidy
    index.tidy()
    for word in (b"secretword", b"anotherword"):
        assert not any(word in file.read_bytes() for file in tmp_path.iterdir())
    index.close()


# -- following a store


def all_of(q: Queries, index: FtsIndex) -> dict[Target, str]:
    """What a post would have to be found by, of all that are shown."""
    found = {}
    for account in q.reader.accounts():
        for view in feed(q, [account], limit=1 << 20):
            if view.post.audience == "public":
                found[view.target] = exact(view.post.text)
    return found


def agrees(engine: Engine, index: FtsIndex, words: set[str]) -> None:
    with queries(engine, TEST) as q:
        wanted = all_of(q, index)
        assert index.count() == len(wanted)
        for word in words:
            found = {post for _, post in index.find(read_question(word), (), None)}
            assert found == {post for post, text in wanted.items() if exact(word) in text.split()}, word


def follow(engine: Engine, follower: Indexer, size: int = 7) -> None:
    more = True
    while more:
        with queries(engine, TEST) as q:
            more = follower.step(q, size)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_written_the_index_is_what_a_new_one_would_be(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    store, engine = social_store()
    people, words = [Person(name) for name in ("an", "binh", "chi")], ["phở", "bún", "đám", "đam", "cơm"]
    index = FtsIndex(tmp_path / "search.db", STORE)
    follower, known = Indexer(index), list[tuple[Person, Target]]()
    for turn in range(40):
        person = rng.choice(people)
        text = " ".join(rng.sample(words, rng.randrange(1, 4)))
        match rng.randrange(8):
            case 0 if known:
                who, post = rng.choice(known)
                who.write([delete_post(post.key)])
                who.send(store)
            case 1 if known:
                who, post = rng.choice(known)
                who.write([write_post(post.key, Post(text))])
                who.send(store)
            case 2:
                with engine_written(engine) as txn:
                    begin(txn, ["shown"])
            case 3:
                with engine_written(engine) as txn:
                    journal.trim(txn, index.read)
            case 4:
                follower = Indexer(index)  # a restart, perhaps in the middle
            case _:
                post = person.post(text, audience=rng.choice(["public", "public", "unlisted"]))
                known.append((person, post))
                person.send(store)
        while step(engine.write(), store):
            pass
        engine.commit()
        with queries(engine, TEST) as q:
            follower.step(q, rng.choice((1, 3, 50)))
        if turn % 10 == 9:
            follow(engine, follower)
            agrees(engine, index, set(words))
    index.close()


@contextmanager
def engine_written(engine: Engine) -> Iterator[WriteTxn]:
    yield engine.write()
    engine.commit()


def test_a_journal_that_nobody_follows_stays_short_and_the_index_reads_all_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST", 20)
    monkeypatch.setattr(journal, "LOOK", 1)
    an, (store, engine) = Person("an"), social_store()
    an.post("phở đầu")
    an.send(store)
    index = FtsIndex(tmp_path / "search.db", STORE)
    follower = Indexer(index)
    follow(engine, follower)
    for n in range(60):
        an.post(f"phở {n}")
        an.send(store)
        with engine.read() as txn:
            assert txn.count(journal.JOURNAL) <= 22
    follow(engine, follower)
    agrees(engine, index, {"phở", "đầu", "7"})
    index.close()


def test_marks_say_who_wrote_to_whom_in_which_language_and_with_what(tmp_path: Path) -> None:
    an, binh = Person("an"), Person("binh")
    store, engine = social_store()
    first = an.post("Chào #HàNội https://example.vn", lang="vi-VN", tags=("HàNội",))
    an.send(store)
    binh.post("chào lại", first, warning="phim", mentions=(an.id,), quote=first)
    binh.send(store)
    index = FtsIndex(tmp_path / "search.db", STORE)
    follow(engine, Indexer(index))

    def found(question: str, *marks: str) -> list[AccountId]:
        return [post.account for _, post in index.find(read_question(question), marks, None)]

    assert found("#hànội") == found("#HÀNỘI chào") == found("chào lang:vi") == found("chào has:link") == [an.id]
    assert found("#hanoi") == []
    assert found("chào is:reply") == found("chào is:quote") == found("phim has:warning") == [binh.id]
    assert found("chào", mark_of_account("from", an.id)) == [an.id]
    assert found("chào", mark_of_account("to", an.id)) == [binh.id]
    index.close()
