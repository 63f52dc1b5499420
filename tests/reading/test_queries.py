"""Queries give the same answers on every node, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import pytest

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add
from banyan_crdt.realm import TEST
from banyan_reading.answers import Face
from banyan_reading.queries import Queries, ReactionCount, queries
from banyan_reading.threads import above, below
from banyan_schema.media import Media
from banyan_schema.social import (
    FOLLOW,
    Post,
    ProfileField,
    ReplyTo,
    Target,
    delete_post,
    react,
    relate,
    set_profile,
    undo,
    write_post,
)
from tests.storage.accounts import seed
from tests.storage.social_accounts import Person, key, social_store


@contextmanager
def asking(*people: Person) -> Iterator[Queries]:
    store, engine = social_store()
    for person in people:
        person.send(store)
    with queries(engine, TEST) as ask:
        yield ask


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    return Person("an"), Person("binh"), Person("chi")


def test_a_profile_shows_the_last_write_of_each_field(people: tuple[Person, ...]) -> None:
    an = people[0]
    an.write([set_profile(an.salt, "name", "An"), set_profile(an.salt, "bio", "gardener")])
    an.write([set_profile(an.salt, "name", "An Nguyễn", [an.last()])])
    an.write([set_profile(b"another device's salt", "bio", "botanist")])
    with asking(an) as ask:
        assert ask.profile(an.id).fields == (ProfileField("bio", "botanist"), ProfileField("name", "An Nguyễn"))
        assert ask.profile(people[1].id).fields == ()


def test_a_face_is_the_name_and_the_avatar_that_the_profile_shows(people: tuple[Person, ...]) -> None:
    an, binh, *_ = people
    face, wide = (Media(bytes([n]) * 32, 9, "image/png", preview=bytes([n + 1]) * 32) for n in (1, 3))
    an.write([set_profile(an.salt, "name", "An"), set_profile(an.salt, "avatar", "me", media=face)])
    an.write([set_profile(an.salt, "banner", "", media=wide), set_profile(an.salt, "bio", "x")])
    binh.write([set_profile(binh.salt, "avatar", "", media=face._replace(preview=None))])
    with asking(*people) as ask:
        assert ask.face(an.id) == Face("An", face.preview)
        assert ask.face(binh.id) == Face("", face.blob)
        assert ask.face(people[2].id) == Face("", None)
    an.write([set_profile(b"another device's salt", "name", "An Nguyễn")])
    an.write([set_profile(b"another device's salt", "avatar", "", media=wide)])
    with asking(*people) as ask:
        assert ask.face(an.id) == Face("An Nguyễn", wide.preview)
    an.write([set_profile(b"a third one's", "avatar", "")])
    with asking(*people) as ask:
        assert ask.face(an.id) == Face("An Nguyễn", None)
        assert ask.profile(an.id).pictures.keys() == {"banner"}
    an.write([set_profile(an.salt, "avatar", "a film", media=face._replace(type="video/mp4"))])
    with asking(*people) as ask:
        assert ask.face(an.id).avatar is None


def test_a_post_is_found_edited_and_gone_for_good_when_deleted(people: tuple[Person, ...]) -> None:
    an = people[0]
    target = an.post("helo")
    store, engine = social_store()
    an.send(store)
    with queries(engine, TEST) as ask:
        first = ask.post(target)
    an.write([write_post(target.key, Post("hello"), [an.last()])])
    an.send(store)
    with queries(engine, TEST) as ask:
        edited = ask.post(target)
    assert first is not None
    assert edited is not None
    assert (first.post.text, edited.post.text, first.target) == ("helo", "hello", target)
    an.write([delete_post(target.key)])
    an.write([write_post(target.key, Post("back?"))])
    an.send(store)
    with queries(engine, TEST) as ask:
        assert ask.post(target) is None
        assert ask.feed([an.id]) == []


def test_an_edit_is_told_from_a_first_write_in_entries_of_any_size(people: tuple[Person, ...]) -> None:
    an = people[0]
    many = [write_post(key(n), Post(f"post {n}")) for n in range(100)]
    an.write(many)
    covered = an.last()
    again = [write_post(key(n), Post(f"edit {n}"), [covered._replace(op=n)]) for n in range(0, 100, 7)]
    an.write([*again, write_post(key(200), Post("twice")), write_post(key(200), Post("in one entry"))])
    with asking(an) as ask:
        edited = {view.target.key for view in ask.feed([an.id], limit=200) if ask.edits([view])}
    assert edited == {key(n) for n in range(0, 100, 7)}


def test_an_edit_keeps_its_place_and_a_claimed_time_never_passes_the_entry(people: tuple[Person, ...]) -> None:
    an = people[0]
    early = an.post("imported", created_ms=1_000)
    an.post("future", created_ms=1 << 47)
    late = an.post("now")
    an.write([write_post(early.key, Post("imported, edited", created_ms=1_000), [an.last()])])
    with asking(an) as ask:
        feed = ask.feed([an.id])
        assert [v.post.text for v in feed] == ["now", "future", "imported, edited"]
        assert feed[0].target == late
        assert feed[2].time_ms == 1_000


def test_pages_of_a_feed_join_without_gap_or_repetition(people: tuple[Person, ...]) -> None:
    for n in range(17):
        for i, person in enumerate(people):
            person.post(f"{person.name} {n}", created_ms=1_000 * (n + i // 2))  # many posts of one instant
    with asking(*people) as ask:
        ids = [p.id for p in people]
        whole = ask.feed(ids, limit=100)
        assert len(whole) == 51
        assert [v.cursor for v in whole] == sorted((v.cursor for v in whole), reverse=True)
        for size in (1, 2, 7):
            pages, before = [], None
            while page := ask.feed(reversed(ids), before, size):
                pages += page
                before = page[-1].cursor
            assert pages == whole


def test_a_conversation_has_its_ancestors_and_its_answers_in_depth(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    root = an.post("root")
    one = binh.post("one", root)
    two = chi.post("two", root)
    below = an.post("below one", one, root)
    deep = chi.post("deep", below, root)
    branch = [(one, 1), (below, 2), (deep, 3)]
    with asking(*people) as ask:
        assert tree(ask, root) in ([*branch, (two, 1)], [(two, 1), *branch])
        assert [v.target for v in above(ask, ask.post(deep)).posts] == [root, one, below]
        assert tree(ask, deep) == []
    with asking(binh) as ask:
        assert above(ask, ask.post(one)).missing == root
        assert ask.post(root) is None
        assert tree(ask, root) == [(one, 1)]


def tree(ask: Queries, root: Target, after: bytes | None = None) -> list[tuple[Target, int]]:
    return [(answer.view.target, answer.depth) for _, answer in below(ask, root, after) if answer is not None]


def test_a_deleted_answer_does_not_hide_its_answers(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    root = an.post("root")
    one = binh.post("one", root)
    two = chi.post("two", one, root)
    three = an.post("three", two, root)
    binh.write([delete_post(one.key)])
    with asking(*people) as ask:
        (_, first), (_, second) = [found for found in below(ask, root) if found[1] is not None]
        assert first is not None
        assert second is not None
        assert [(first.view.target, first.lacking), (second.view.target, second.lacking)] == [(two, one), (three, None)]
        assert tree(ask, root) == [(two, 2), (three, 3)]
    an.write([delete_post(root.key)])
    with asking(*people) as ask:
        assert tree(ask, root) == [(two, 2), (three, 3)]


def test_a_chain_of_answers_of_any_depth_is_read_in_pages(people: tuple[Person, ...]) -> None:
    root = above = people[0].post("root")
    chain, side = list[Target](), list[Target]()
    for n in range(300):
        above = people[n % 3].post(f"{n}", above, root)
        chain.append(above)
    for n in (299, 150, 0):
        side.append(people[0].post(f"behind {n}", chain[n - 1] if n else root, root))
    with asking(*people) as ask:
        found, after = list[tuple[Target, int]](), None
        while page := list(islice(below(ask, root, after), 7)):
            found += [(answer.view.target, answer.depth) for _, answer in page if answer is not None]
            after = page[-1][0]
    assert found == [(post, n + 1) for n, post in enumerate(chain)] + [
        (side[0], 300),
        (side[1], 151),
        (side[2], 1),
    ]


def test_posts_that_claim_to_answer_each_other_do_not_trap_the_reader(people: tuple[Person, ...]) -> None:
    an = people[0]
    a, b = Target(an.id, key(1)), Target(an.id, key(2))
    an.write([write_post(a.key, Post("a", ReplyTo(b, b))), write_post(b.key, Post("b", ReplyTo(a, a)))])
    with asking(an) as ask:
        assert [v.target for v in above(ask, ask.post(a)).posts] == [b]
        assert tree(ask, a) == [(b, 1)]


def test_follows_and_followers_are_two_sides_of_one_row(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    an.follow(binh)
    undone = an.follow(chi)
    chi.follow(binh)
    an.follow(binh)
    an.write([relate(an.salt, "block", chi.id), relate(an.salt, "mute", binh.id)])
    with asking(*people) as ask:
        assert ask.follows(an.id) == sorted([binh.id, chi.id])
        assert ask.follows(an.id, limit=1) == [min(binh.id, chi.id)]
        assert ask.follows(an.id, after=min(binh.id, chi.id)) == [max(binh.id, chi.id)]
        assert sorted(ask.following(binh.id)) == sorted([an.id, chi.id])
        assert (ask.blocks(an.id), ask.mutes(an.id)) == ([chi.id], [binh.id])
        assert ask.follows(AccountId(seed("nobody"))) == []
    an.write([undo(FOLLOW, [undone])])
    with asking(*people) as ask:
        assert ask.follows(an.id) == [binh.id]
        assert sorted(ask.following(chi.id)) == []


def test_live_operations_are_what_an_undo_must_name(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    refs = (an.follow(binh), an.follow(binh))
    op = relate(an.salt, "follow", binh.id).op
    assert isinstance(op, Add)
    with asking(an) as ask:
        assert ask.live(an.id, op) == refs
        assert ask.live(binh.id, op) == ()
    an.write([undo(FOLLOW, refs)])
    with asking(an) as ask:
        assert ask.live(an.id, op) == ()
        assert ask.follows(an.id) == []


def test_reactions_count_accounts_not_clicks(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    target = an.post("hello")
    for person in people:
        person.react(target, "❤")
    binh.react(target, "❤")
    chi.react(target, "🌳")
    binh.repost(target)
    with asking(*people) as ask:
        assert ask.reactions(target) == (ReactionCount("❤", 3), ReactionCount("🌳", 1))
        assert [who for _, who in ask.reposted(target)] == [binh.id]
        assert ask.reactions(Target(an.id, key(9))) == ()


def test_of_very_many_kinds_of_reactions_some_are_read_and_the_usual_ones(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    target = an.post("hello")
    for n in range(0, 600, 100):
        an.write([react(an.salt, target, f"{k:03}") for k in range(n, n + 100)])
    binh.react(target, "🔥")
    with asking(*people) as ask:
        found = {kind.emoji: kind.accounts for kind in ask.reactions(target)}
    assert (len(found), found["🔥"]) == (201, 1)


def test_graph_stats_count_what_is_shown(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    target = an.post("hello")
    binh.post("hi", target)
    gone = an.post("oops")
    an.write([delete_post(gone.key)])
    binh.follow(an)
    binh.react(target, "❤")
    binh.repost(target)
    with asking(an, binh) as ask:
        stats = ask.graph_stats(digest=True)
        assert (stats.accounts, stats.follows, stats.posts, stats.replies) == (2, 1, 2, 1)
        assert (stats.reactions, stats.reposts, stats.entries) == (1, 1, 7)
        assert stats.stored_bytes > 0
        assert len(stats.digest or b"") == 32


def test_equal_nodes_have_equal_views_digests_and_content_makes_a_difference(
    people: tuple[Person, ...],
) -> None:
    an, binh, _ = people
    target = an.post("hello")
    binh.post("hi", target)
    with asking(an, binh) as one, asking(binh, an) as two, asking(an) as less:
        assert one.views_digest() == two.views_digest()
        assert one.views_digest() != less.views_digest()
    store, engine = social_store()
    an.send(store)
    binh.send(store)
    store.erase_part(*an.last(), None)
    store.commit()
    with queries(engine, TEST) as erased, asking(binh) as alone:
        assert erased.views_digest() == alone.views_digest()
        assert erased.post(target) is None
