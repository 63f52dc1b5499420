"""The conformance suite of `Questions`: it knows values alone, and asks the views of a store, and plain lists.

Another implementation is one more in `ANSWERING`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from typing import Any, Protocol

import pytest

from banyan_crdt.ids import AccountId, Coll, Ref
from banyan_crdt.realm import TEST
from banyan_reading import relations
from banyan_reading.answers import PollTally, PostView, ReactionCount, TimelineLine
from banyan_reading.interaction_rules import ACTS, InteractionRules
from banyan_reading.profiles import pinned
from banyan_reading.queries import queries
from banyan_reading.questions import People, PostQuestions, Questions, Responses, ResponseTotals, Rules
from banyan_reading.responses import BEGIN, counts_of
from banyan_reading.threads import above, below
from banyan_reading.timelines import timeline
from banyan_schema.media import Media
from banyan_schema.registry import SOCIAL
from banyan_schema.social import (
    FOLLOW,
    Poll,
    Post,
    ProfileField,
    ReplyTo,
    Target,
    delete_post,
    post_key,
    react,
    relate,
    repost,
    set_profile,
    undo,
    write_post,
    write_vote,
)
from banyan_schema.social.post import WHO, InteractionPolicy
from banyan_schema.social.profile import pin
from banyan_schema.social.relation import ANSWERS, FollowAnswer, answer_follow
from banyan_schema.social.response import Hidden, hide
from banyan_storage.local_tables import HIDDEN, LABELLED, Holds
from tests.needs import NIGHT
from tests.reading.lists import Lists, feed
from tests.storage.accounts import seed
from tests.storage.social_accounts import Person, key, social_store


class Asking(Protocol):
    """Answers of what these people said. hidden, labels: by moderators of the node."""

    def __call__(
        self, *people: Person, hidden: Collection[Target] = (), labels: Mapping[Target, str] | None = None
    ) -> AbstractContextManager[Questions]: ...


@contextmanager
def of_store(
    *people: Person, hidden: Collection[Target] = (), labels: Mapping[Target, str] | None = None
) -> Iterator[Questions]:
    store, engine = social_store()
    for person in people:
        person.send(store)
    for target in hidden:
        HIDDEN.put(store, target, Holds(1, ""))
    for target, text in (labels or {}).items():
        LABELLED.put(store, target, Holds(1, text))
    store.commit()
    with queries(engine, TEST) as ask:
        yield ask


@contextmanager
def of_lists(
    *people: Person, hidden: Collection[Target] = (), labels: Mapping[Target, str] | None = None
) -> Iterator[Questions]:
    yield Lists(people, hidden, labels)


ANSWERING: dict[str, Asking] = {"views of a store": of_store, "lists": of_lists}


@pytest.fixture(params=ANSWERING)
def asking(request: pytest.FixtureRequest) -> Asking:
    return ANSWERING[request.param]


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    return Person("an"), Person("binh"), Person("chi")


def test_a_profile_shows_the_last_write_of_each_field(people: tuple[Person, ...], asking: Asking) -> None:
    an = people[0]
    an.write([set_profile(an.salt, "name", "An"), set_profile(an.salt, "bio", "gardener")])
    an.write([set_profile(an.salt, "name", "An Nguyễn", [an.last()])])
    an.write([set_profile(b"another device's salt", "bio", "botanist")])
    with asking(an) as ask:
        assert ask.profile(an.id).fields == (ProfileField("bio", "botanist"), ProfileField("name", "An Nguyễn"))
        assert ask.profile(people[1].id).fields == ()


def _face(ask: Questions, account: AccountId) -> tuple[str, bytes | None]:
    found = ask.profile(account)
    return found.name, found.avatar


def test_a_face_is_the_name_and_the_avatar_that_the_profile_shows(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, *_ = people
    face, wide = (Media(bytes([n]) * 32, 9, "image/png", preview=bytes([n + 1]) * 32) for n in (1, 3))
    an.write([set_profile(an.salt, "name", "An"), set_profile(an.salt, "avatar", "me", media=face)])
    an.write([set_profile(an.salt, "banner", "", media=wide), set_profile(an.salt, "bio", "x")])
    binh.write([set_profile(binh.salt, "avatar", "", media=face._replace(preview=None))])
    with asking(*people) as ask:
        assert _face(ask, an.id) == ("An", face.preview)
        assert _face(ask, binh.id) == ("", face.blob)
        assert _face(ask, people[2].id) == ("", None)
    an.write([set_profile(b"another device's salt", "name", "An Nguyễn")])
    an.write([set_profile(b"another device's salt", "avatar", "", media=wide)])
    with asking(*people) as ask:
        assert _face(ask, an.id) == ("An Nguyễn", wide.preview)
    an.write([set_profile(b"a third one's", "avatar", "")])
    with asking(*people) as ask:
        assert _face(ask, an.id) == ("An Nguyễn", None)
        assert ask.profile(an.id).pictures.keys() == {"banner"}
    an.write([set_profile(an.salt, "avatar", "a film", media=face._replace(type="video/mp4"))])
    with asking(*people) as ask:
        assert ask.profile(an.id).avatar is None


def test_an_edit_is_told_from_a_first_write_in_entries_of_any_size(people: tuple[Person, ...], asking: Asking) -> None:
    an = people[0]
    many = [write_post(key(n), Post(f"post {n}")) for n in range(100)]
    an.write(many)
    covered = an.last()
    again = [write_post(key(n), Post(f"edit {n}"), [covered._replace(op=n)]) for n in range(0, 100, 7)]
    an.write([*again, write_post(key(200), Post("twice")), write_post(key(200), Post("in one entry"))])
    with asking(an) as ask:
        edited = {view.target.key for view in feed(ask, [an.id], limit=200) if ask.edits([view])}
    assert edited == {key(n) for n in range(0, 100, 7)}


def test_an_edit_keeps_its_place_and_a_claimed_time_never_passes_the_entry(
    people: tuple[Person, ...], asking: Asking
) -> None:
    an = people[0]
    early = an.post("imported", created_ms=1_000)
    an.post("future", created_ms=1 << 47)
    late = an.post("now")
    an.write([write_post(early.key, Post("imported, edited", created_ms=1_000), [an.last()])])
    with asking(an) as ask:
        found = feed(ask, [an.id])
        assert [v.post.text for v in found] == ["now", "future", "imported, edited"]
        assert found[0].target == late
        assert found[2].time_ms == 1_000


def test_pages_of_a_feed_join_without_gap_or_repetition(people: tuple[Person, ...], asking: Asking) -> None:
    for n in range(17):
        for i, person in enumerate(people):
            person.post(f"{person.name} {n}", created_ms=1_000 * (n + i // 2))  # many posts of one instant
    with asking(*people) as ask:
        ids = [p.id for p in people]
        whole = feed(ask, ids, limit=100)
        assert len(whole) == 51
        assert [v.cursor for v in whole] == sorted((v.cursor for v in whole), reverse=True)
        for size in (1, 2, 7):
            pages, before = [], None
            while page := feed(ask, reversed(ids), before, size):
                pages += page
                before = page[-1].cursor
            assert pages == whole


def test_a_conversation_has_its_ancestors_and_its_answers_in_depth(people: tuple[Person, ...], asking: Asking) -> None:
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


def tree(ask: Questions, root: Target, after: bytes | None = None) -> list[tuple[Target, int]]:
    return [(answer.view.target, answer.depth) for _, answer in below(ask, root, after) if answer is not None]


def test_a_deleted_answer_does_not_hide_its_answers(people: tuple[Person, ...], asking: Asking) -> None:
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


def test_a_chain_of_answers_of_any_depth_is_read_in_pages(people: tuple[Person, ...], asking: Asking) -> None:
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
    assert found == [(post, n + 1) for n, post in enumerate(chain)] + [(side[0], 300), (side[1], 151), (side[2], 1)]


def test_posts_that_claim_to_answer_each_other_do_not_trap_the_reader(
    people: tuple[Person, ...], asking: Asking
) -> None:
    an = people[0]
    a, b = Target(an.id, key(1)), Target(an.id, key(2))
    an.write([write_post(a.key, Post("a", ReplyTo(b, b))), write_post(b.key, Post("b", ReplyTo(a, a)))])
    with asking(an) as ask:
        assert [v.target for v in above(ask, ask.post(a)).posts] == [b]
        assert tree(ask, a) == [(b, 1)]


def test_follows_and_followers_are_two_sides_of_one_row(people: tuple[Person, ...], asking: Asking) -> None:
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


def test_reactions_count_accounts_not_clicks(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, chi = people
    target = an.post("hello")
    for person in people:
        person.react(target, "❤")
    binh.react(target, "❤")
    chi.react(target, "🌳")
    binh.repost(target)
    with asking(*people) as ask:
        assert ask.reactions([target])[target] == (ReactionCount("❤", 3), ReactionCount("🌳", 1))
        assert [who for _, who in ask.reposted(target)] == [binh.id]
        assert ask.reactions([Target(an.id, key(9))]) == {Target(an.id, key(9)): ()}


def test_a_locked_account_lets_in_whom_it_accepts(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, chi = people
    binh.follow(an)
    chi.follow(an)
    an.write([set_profile(an.salt, "locked", "yes")])
    an.write([answer_follow(an.salt, FollowAnswer(binh.id, "accept"))])
    an.write([answer_follow(an.salt, FollowAnswer(chi.id, "refuse"))])
    with asking(*people) as ask:
        assert ask.locked([one.id for one in people]) == {an.id}
        assert list(relations.followers(ask, an.id)) == [binh.id]
        assert relations.count(ask, an.id, relations.is_locked(ask, an.id)) == 1
        assert ask.account_totals([an.id])[an.id].followers == 2
        assert (relations.waits(ask, chi.id, an.id), relations.waits(ask, binh.id, an.id)) == (True, False)
        assert relations.followed(ask, chi.id, [an.id, binh.id]) == [binh.id]
        assert dict(relations.requests(ask, an.id)) == {binh.id: False, chi.id: False}
        assert ask.among(an.id, [binh.id, an.id]) == [binh.id]


def test_a_line_is_a_post_or_a_repost_and_pages_go_both_ways(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, chi = people
    first, gone = an.post("one"), chi.post("gone")
    binh.write([set_profile(binh.salt, "name", "Bình")])
    binh.repost(first)
    binh.repost(gone)
    chi.write([delete_post(gone.key)])
    last = binh.post("two", quote=first)
    with asking(*people) as ask:
        ids = [an.id, binh.id]
        found = [*timeline(ask, ids, None, reposts=True)]
        assert [None if view is None else (view.target, view.reposted and view.reposted.by) for _, view in found] == [
            (last, None),
            None,
            (first, binh.id),
            (first, None),
        ]
        cursors = [cursor for cursor, _ in found]
        for n, cursor in enumerate(cursors):
            assert [line.cursor for line in ask.lines(ids, cursor, True)] == cursors[n + 1 :]
            assert [line.cursor for line in ask.lines(ids, None, True, cursor)] == cursors[:n][::-1]
        assert [line.post for line in ask.quoting(first, None)] == [last]
        assert [line.post for line in ask.everybody(True, None)] == [last, first]
        assert ask.totals([first, gone]) == {first: ResponseTotals(0, 1, 1), gone: ResponseTotals(0, 0, 1)}


def test_what_moderators_hide_is_there_for_them_alone(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, _ = people
    root = an.post("root")
    answer = binh.post("answer", root)
    with asking(*people, hidden=[answer], labels={root: "an ad"}) as ask:
        assert (ask.post(answer), ask.is_shown(answer), list(ask.replies(root))) == (None, False, [])
        assert (ask.post(answer, hidden=True) is not None, ask.parent(answer)) == (True, root)
        assert (ask.label(root), ask.label(answer)) == ("an ad", None)


def test_who_may_do_what_follows_from_the_answers(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, chi = people
    root = an.post("root", policy=InteractionPolicy("followers", "nobody", "everybody"))
    chi.follow(an)
    answers = [binh.post("binh", root), chi.post("chi", root), binh.post("below", None)]
    deep = binh.post("a lie", answers[1], answers[2])
    an.write([hide(an.salt, Hidden(root.key, answers[1]))])
    binh.post("quote", quote=root)
    with asking(*people) as ask:
        rules = InteractionRules(ask)
        views = {target: ask.post(target) for target in (*answers, deep)}
        refused = [rules.of(view) for view in views.values() if view is not None]
        assert refused == ["policy", "hidden", None, "policy"]
        view = ask.post(root)
        assert view is not None
        counts = counts_of(ask, [view], rules)[root]
        assert (counts.replies, counts.quotes, counts.edited_ms) == (0, 0, None)
        assert [rules.refuses(act, chi.id, [root]) for act in ACTS] == [None, "policy", None]


def test_a_poll_counts_the_votes_for_what_it_asks_now(people: tuple[Person, ...], asking: Asking) -> None:
    an, binh, chi = people
    poll = Poll(("phở", "bún"), "one", 1 << 41)
    target = an.post("which?", poll=poll)
    for person, option in ((binh, 0), (chi, 1), (an, 1)):
        person.write([write_vote(target, poll, [option])])
    other = poll._replace(options=("phở", "cơm"))
    with asking(*people) as ask:
        assert ask.tally(target, poll) == PollTally((1, 2), 3)
        assert ask.vote_of(binh.id, target, poll) == [0]
        assert (ask.tally(target, other), ask.vote_of(binh.id, target, other)) == (PollTally((0, 0), 0), [])


def test_the_posts_that_an_account_pins_are_shown_the_last_one_first(
    people: tuple[Person, ...], asking: Asking
) -> None:
    an = people[0]
    posts = [an.post(f"{n}") for n in range(3)]
    for one in posts:
        an.write([pin(an.salt, one.key)])
    an.write([delete_post(posts[1].key)])
    with asking(an) as ask:
        assert [view.target for view in pinned(ask, an.id)] == [posts[2], posts[0]]


# All implementations say the same of what people say at random.


class Story:
    """People who say anything, about anything."""

    def __init__(self, seed_: int) -> None:
        self.rng = random.Random(f"questions {seed_}")
        self.people = [Person(name) for name in ("an", "bình", "chi", "dung", "em")]
        self.posts: list[Target] = [Target(AccountId(seed("nobody")), key(1))]
        self.polls: list[tuple[Target, Poll]] = []
        self._undone: list[tuple[Person, Ref, Coll]] = []
        self._live: dict[Target, Ref] = {}

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self._step(self.rng.choice(self.people))

    def _step(self, who: Person) -> None:
        rng, other, target = self.rng, self.rng.choice(self.people), self.rng.choice(self.posts)
        match rng.choice(("post", "post", "answer", "quote", "edit", "delete", "react", "repost", "relate", "undo",
                          "profile", "let", "hide", "pin", "poll", "vote")):  # fmt: skip
            case "post":
                self._post(who, Post(self._text(), policy=self._policy(), tags=("tết",)))
            case "answer":
                root = target if rng.random() < 0.4 else rng.choice(self.posts)
                self._post(who, Post(self._text(), ReplyTo(root, target), policy=self._policy()))
            case "quote":
                self._post(who, Post(self._text(), quote=target, mentions=(other.id,)))
            case "poll":
                poll = Poll(("a", "b", "c"), rng.choice(("one", "several")), rng.choice((0, 1 << 41)))
                self.polls.append((self._post(who, Post("?", poll=poll)), poll))
            case "vote" if self.polls:
                of, poll = rng.choice(self.polls)
                who.write([write_vote(of, poll, rng.sample(range(3), rng.randint(1, 2)))])
            case "edit" if target in self._live:
                author = next(one for one in self.people if one.id == target.account)
                author.write([write_post(target.key, Post(self._text(), policy=self._policy()), [self._live[target]])])
                self._live[target] = author.last()
            case "delete" if target in self._live and rng.random() < 0.4:
                author = next(one for one in self.people if one.id == target.account)
                author.write([delete_post(target.key)])
                del self._live[target]
            case "react":
                self._add(who, react(who.salt, target, rng.choice("❤👍🌳")))
            case "repost":
                self._add(who, repost(who.salt, target))
            case "relate":
                self._add(who, relate(who.salt, rng.choice(("follow", "follow", "block", "mute")), other.id))
            case "let":
                self._add(who, answer_follow(who.salt, FollowAnswer(other.id, rng.choice(ANSWERS))))
            case "hide":
                self._add(who, hide(who.salt, Hidden(target.key, rng.choice(self.posts))))
            case "pin":
                self._add(who, pin(who.salt, target.key))
            case "profile":
                field, value = rng.choice((("name", self._text()), ("locked", "yes"), ("locked", "no")))
                who.write([set_profile(rng.choice((who.salt, b"other device")), field, value)])
            case "undo" if self._undone:
                whose, ref, coll = self._undone.pop(rng.randrange(len(self._undone)))
                whose.write([undo(coll, [ref])])

    def _text(self) -> str:
        return f"{self.rng.choice(['một', 'hai', 'ba', 'bốn'])} {self.rng.random()}"

    def _policy(self) -> InteractionPolicy:
        return InteractionPolicy(*(self.rng.choice((WHO[0], WHO[0], *WHO)) for _ in ACTS))

    def _post(self, who: Person, post: Post) -> Target:
        target = Target(who.id, post_key(who.salt, who.draw()))
        who.write([write_post(target.key, post)])
        self._live[target] = who.last()
        self.posts.append(target)
        return target

    def _add(self, who: Person, draft: Any) -> None:
        who.write([draft])
        self._undone.append((who, who.last(), draft.op.coll))


def _plain(ask: Questions, found: object) -> object:
    """Without what only the implementation can read: cursors of its own, and names of writes."""
    if isinstance(found, PostView):
        return found.target, found.time_ms, found.post, found.cursor, found.reposted
    if isinstance(found, TimelineLine):
        return found.cursor, found.is_post, _plain(ask, ask.posts_at([found]).get(found))
    if isinstance(found, dict):
        return {name: _plain(ask, one) for name, one in found.items() if not isinstance(name, bytes)} | {
            "by writes": sorted(str(one) for name, one in found.items() if isinstance(name, bytes))
        }
    if isinstance(found, Iterable) and not isinstance(found, str | bytes | tuple):
        return [_plain(ask, one) for one in found]
    return tuple(_plain(ask, one) for one in found) if type(found) is tuple else found


def _answers(ask: Questions, story: Story) -> dict[str, object]:
    """Every question with every account and post. Where the order is that of the store, it is sorted away."""
    ids, found = [one.id for one in story.people], dict[str, object]()
    rules, kinds = (
        InteractionRules(ask),
        [k for k in SOCIAL.by_id.values() if k.merge in ("register", "set") and k.layout],
    )
    for n, who in enumerate(ids):
        for name in ("profile", "follows", "blocks", "mutes", "accepted"):
            found[f"{name} {n}"] = getattr(ask, name)(who)
        found[f"following {n}"] = sorted(ask.following(who))
        found[f"count {n}"] = (
            relations.count(ask, who, relations.is_locked(ask, who)),
            ask.post_count(who),
            ask.among(who, ids),
            ask.follows(who, ids[0], 1),
        )
        found[f"items {n}"] = [list(ask.items(who, kind)) for kind in kinds]
        found[f"pinned {n}"] = pinned(ask, who)
        for m, other in enumerate(ids):
            says = [ask.follow_answered(who, answer, other) for answer in ANSWERS]
            does = [ask.relates(who, one, other) for one in ("follow", "block", "mute")]
            found[f"related {n} {m}"] = says, does, relations.waits(ask, who, other)
    found["locked"] = sorted(ask.locked(ids))
    found["of many"] = [of(ids) for of in (ask.profiles, ask.account_totals)], ask.posts(story.posts)
    found["reactions"] = ask.reactions(story.posts)
    for n, who in enumerate(ids):
        found[f"did {n}"] = (ask.reacted_by(who, dict.fromkeys(story.posts, "👍❤")), ask.reposted_by(who, story.posts))
    for reposts in (False, True):
        found[f"timeline {reposts}"] = list(timeline(ask, ids, None, reposts))
        found[f"risen {reposts}"] = list(ask.lines(ids[:3], None, reposts, BEGIN))
    found["everybody"] = [sorted(line.cursor for line in ask.everybody(answers, None)) for answers in (False, True)]
    found["has rules"] = ask.has_rules()
    found["totals"] = ask.totals(story.posts), list(ask.responses(story.posts, ids[:2]))
    for n, post in enumerate(story.posts):
        view = ask.post(post)
        for name in ("post", "is_shown", "written_ms", "parent", "replies", "within", "rule_of"):
            found[f"{name} {n}"] = getattr(ask, name)(post)
        tree, up = (one for _, one in below(ask, post) if one is not None), above(ask, view)
        found[f"tree {n}"] = [(one.view, one.depth, one.lacking) for one in tree]
        found[f"above {n}"] = list(up.posts), up.missing, up.further
        found[f"answering {n}"] = sorted(ask.answering(post))
        found[f"reacted {n}"] = sorted((emoji, who) for _, who, emoji in ask.reacted(post))
        found[f"reposted {n}"] = sorted(who for _, who in ask.reposted(post))
        found[f"quoting {n}"] = sorted(line.cursor for line in ask.quoting(post, None))
        found[f"by {n}"] = [(ask.reacted_by(who, {post: "❤👍"}), ask.reposted_by(who, [post])) for who in ids]
        at = [(who, ms) for who in ids if (ms := ask.reposted_by(who, [post]).get(post)) is not None]
        found[f"at {n}"] = [sorted(ask.reposted_at(who, ms)) for who, ms in at]
        found[f"hides {n}"] = [ask.hides_below(post, other) for other in story.posts]
        if view is not None:
            counts = counts_of(ask, [view], rules)[post]
            found[f"rules {n}"] = rules.of(view), counts.replies, counts.quotes, counts.reposts, counts.edited_ms
            found[f"may {n}"] = [rules.refuses(act, who, [post]) for act in ACTS for who in ids]
    for n, (post, poll) in enumerate(story.polls):
        found[f"poll {n}"] = ask.tally(post, poll), [ask.vote_of(who, post, poll) for who in ids]
    return {name: _plain(ask, one) for name, one in found.items()}


def _pages(ask: Questions, post: Target, accounts: Iterable[AccountId]) -> None:
    """Whatever the order is, pages join."""

    def joins(
        page: Callable[[Any], Iterable[Any]], begin: Any, cursor: Callable[[Any], Any] = lambda row: row[0]
    ) -> None:
        rows = [*page(begin)]
        for n, row in enumerate(rows):
            assert [*page(cursor(row))] == rows[n + 1 :]

    joins(partial(ask.reacted, post, ""), b"")
    joins(partial(ask.reposted, post), b"")
    joins(partial(ask.replies, post), None, lambda view: view.cursor)
    joins(partial(ask.within, post), None)
    joins(partial(below, ask, post), None)
    for who in accounts:
        joins(partial(ask.following, who), None, lambda one: one)
    for lines in (partial(ask.quoting, post), partial(ask.everybody, True)):
        found = [*lines(None)]
        for n, line in enumerate(found):
            assert [*lines(line.cursor)] == found[n + 1 :]
            assert [*lines(None, line.cursor)] == found[:n][::-1]


@pytest.mark.parametrize("seed_", range(40 if NIGHT else 4))
def test_all_say_the_same_of_what_people_say_at_random(seed_: int) -> None:
    story = Story(seed_)
    for _ in range(3):
        story.go(60)
        hidden = story.rng.sample(story.posts, 3)
        told = dict[str, dict[str, object]]()
        for name, asking in ANSWERING.items():
            with asking(*story.people, hidden=hidden) as ask:
                told[name] = _answers(ask, story)
                for post in story.posts[-5:]:
                    _pages(ask, post, [one.id for one in story.people])
        first, *others = told.values()
        for other in others:
            assert {name: (one, other[name]) for name, one in first.items() if one != other[name]} == {}


def test_every_question_is_asked_above() -> None:
    class Asked:
        def __init__(self, ask: Questions) -> None:
            self.names, self._ask = set[str](), ask

        def __getattr__(self, name: str) -> Any:
            self.names.add(name)
            return getattr(self._ask, name)

    story = Story(0)
    story.go(200)
    asked: Any = Asked(Lists(story.people))
    _answers(asked, story)
    named = {
        name for part in (People, PostQuestions, Responses, Rules) for name in vars(part) if not name.startswith("_")
    }
    assert named - asked.names == {"label"}
