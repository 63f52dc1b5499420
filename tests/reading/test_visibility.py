"""Every rule of who sees a post, at every place: by the table of docs, written down once more."""

from __future__ import annotations

from typing import get_args

import pytest

from banyan_crdt.ids import AccountId
from banyan_reading.visibility import (
    CellFacts,
    KeptBack,
    ListRule,
    PlaceKind,
    PostFacts,
    Reason,
    Refusal,
    Verdict,
    Viewer,
    ViewPlace,
    WithheldBy,
    kept_back,
    visible,
    word_filters,
)
from banyan_schema.private_kinds import Filter, FollowWish

ME, AN, BINH, CHI = (AccountId(bytes([n]) * 32) for n in range(4))
NOW, LATER, BEFORE = 1_000, 1_001, 1_000
PLACES = get_args(PlaceKind)
SAID = PostFacts(AN, "một bài về mưa", lang="vi")
REPOSTED = SAID._replace(reposted_by=BINH)


def at(kind: PlaceKind) -> ViewPlace:
    return ViewPlace(kind, "bạn" if kind == "list" else "")


def why(viewer: Viewer | None, post: PostFacts) -> dict[PlaceKind, Reason]:
    """Where a post is not shown, and why."""
    found = {kind: visible(viewer, post, at(kind), NOW).why for kind in PLACES}
    return {kind: reason for kind, reason in found.items() if reason is not None}


def everywhere(reason: Reason, *but: PlaceKind) -> dict[PlaceKind, Reason]:
    return {kind: reason for kind in PLACES if kind not in but}


def rain(action: str, contexts: str | None = None, until_ms: int | None = None) -> Filter:
    return Filter(b"id", "mưa", action, until_ms, contexts=contexts)


def test_everybody_sees_what_is_said_to_everybody() -> None:
    for viewer in (None, Viewer(ME), Viewer(AN)):
        assert why(viewer, SAID) == why(viewer, REPOSTED) == {}


def test_what_is_kept_back_is_shown_nowhere_and_an_order_is_said_in_its_place() -> None:
    order = WithheldBy(None, "Lệnh 1", "", "", 0, 0)
    for reason in get_args(KeptBack):
        cell = CellFacts(**{reason: True})
        assert kept_back(cell) == reason
        for post in (SAID, REPOSTED):
            for viewer in (None, Viewer(ME), Viewer(AN), Viewer(ME, follows={AN}, blocks={AN})):
                assert why(viewer, post._replace(cell=cell)) == everywhere(reason)
                told = visible(viewer, post._replace(cell=cell, order=order), at("home"), NOW)
                assert (told.why, told.order) == (reason, order)
    assert kept_back(CellFacts()) is None
    assert kept_back(CellFacts(deleted=True, withheld=True, moderated=True)) == "deleted"


def test_what_moderators_say_stands_before_a_post_beside_the_words_of_a_filter() -> None:
    viewer, post = Viewer(ME, filters=word_filters([rain("warn")])), SAID._replace(label="Quảng cáo")
    assert visible(viewer, post, at("home"), NOW) == Verdict(None, "mưa", "Quảng cáo")
    assert visible(None, post, at("home"), NOW) == Verdict(None, None, "Quảng cáo")


def test_a_reader_says_until_when_it_holds() -> None:
    assert Viewer(ME).until_ms(NOW) is None
    assert Viewer(ME, mutes={AN: None, BINH: BEFORE, CHI: LATER}).until_ms(NOW) == LATER


def test_what_is_not_for_everybody_stands_in_no_public_timeline() -> None:
    for viewer in (None, Viewer(ME), Viewer(AN)):
        assert why(viewer, SAID._replace(audience="unlisted")) == {"public": "audience"}


@pytest.mark.parametrize("until", [None, LATER])
def test_whom_one_blocks_or_mutes_is_seen_on_its_own_page_alone(until: int | None) -> None:
    for viewer in (Viewer(ME, blocks={AN}), Viewer(ME, mutes={AN: until})):
        assert why(viewer, SAID) == everywhere("unseen", "account")
        assert why(viewer, REPOSTED) == everywhere("unseen")
        assert why(viewer, SAID._replace(author=BINH)) == {}


def test_nor_what_it_reposts_but_on_its_own_page() -> None:
    assert why(Viewer(ME, mutes={BINH: None}), REPOSTED) == everywhere("unseen", "account")


def test_a_mute_ends_when_it_ends() -> None:
    assert why(Viewer(ME, mutes={AN: BEFORE}), SAID) == {}
    assert Viewer(ME, blocks={CHI}, mutes={AN: BEFORE, BINH: LATER}).hidden(NOW) == {CHI, BINH}


def test_whom_moderators_limit_only_followers_see() -> None:
    limited = SAID._replace(limited=(AN,))
    for viewer in (None, Viewer(ME), Viewer(ME, follows={BINH})):
        assert why(viewer, limited) == everywhere("limited", "account")
    assert why(Viewer(ME, follows={AN}), limited) == why(Viewer(AN), limited) == {}
    by_limited = REPOSTED._replace(limited=(BINH,))
    assert why(Viewer(ME), by_limited) == why(None, by_limited) == everywhere("limited", "account")
    assert why(Viewer(ME, follows={BINH}), by_limited) == {}


def test_ones_own_post_does_not_come_back_by_somebody_who_is_not_seen() -> None:
    mine = REPOSTED._replace(author=ME)
    assert why(Viewer(ME), mine) == {}
    for viewer in (Viewer(ME, blocks={BINH}), Viewer(ME, mutes={BINH: None})):
        assert why(viewer, mine) == everywhere("unseen", "account")
    assert why(Viewer(ME), mine._replace(limited=(BINH,))) == everywhere("limited", "account")


def test_whom_the_author_of_a_conversation_blocks_is_not_seen_in_it() -> None:
    for viewer in (None, Viewer(ME), Viewer(AN), Viewer(ME, follows={AN})):
        assert why(viewer, SAID._replace(blocked=True)) == everywhere("blocked")


def test_what_an_author_does_not_want_below_its_post_stays_on_its_own_page() -> None:
    for refused in get_args(Refusal):
        for viewer in (None, Viewer(ME), Viewer(AN), Viewer(ME, follows={AN})):
            assert why(viewer, SAID._replace(refused=refused)) == everywhere(refused, "account")
            assert why(viewer, REPOSTED._replace(refused=refused)) == everywhere(refused)


def test_a_filter_hides_where_it_counts_and_never_ones_own() -> None:
    hiding = Viewer(ME, filters=word_filters([rain("hide")]))
    assert why(hiding, SAID) == everywhere("filtered", "account")
    assert why(hiding, SAID._replace(author=ME)) == why(hiding, SAID._replace(text="nắng")) == {}
    assert (
        why(hiding, SAID._replace(text="x", tags=("mưa",))) == why(hiding, SAID._replace(text="x", warning="mưa")) != {}
    )
    for contexts, places in (
        ("home", {"home", "tag", "list", "elsewhere"}),
        ("public thread", {"public", "thread", "elsewhere"}),
        ("notifications", {"notifications", "elsewhere"}),
    ):
        assert why(Viewer(ME, filters=word_filters([rain("hide", contexts)])), SAID).keys() == places
    assert why(Viewer(ME, filters=word_filters([rain("hide", until_ms=BEFORE)])), SAID) == {}
    assert why(Viewer(ME, filters=word_filters([rain("hide", until_ms=LATER)])), SAID) != {}


def test_a_filter_that_warns_hides_nothing_and_the_one_that_hides_comes_first() -> None:
    warning = word_filters([rain("warn")])
    for kind in PLACES:
        assert visible(Viewer(ME, filters=warning), SAID, at(kind), NOW) == Verdict(None, "mưa")
        assert visible(Viewer(AN, filters=warning), SAID, at(kind), NOW) == Verdict()
        assert visible(None, SAID, at(kind), NOW) == Verdict()
    both = Viewer(ME, filters=word_filters([rain("warn")._replace(words="bài"), rain("hide")]))
    assert visible(both, SAID, at("home"), NOW) == Verdict("filtered", "mưa")
    assert visible(both, SAID, at("account"), NOW) == Verdict(None, "mưa"), "asked for, so it is only said"


def test_home_has_what_one_wants_of_those_whom_one_follows() -> None:
    assert why(Viewer(ME, apart={AN}), SAID) == why(Viewer(ME, apart={BINH}), REPOSTED) == {"home": "apart"}
    assert why(Viewer(ME, apart={AN}), REPOSTED) == why(Viewer(AN, apart={AN}), SAID) == {}
    silent = Viewer(ME, wishes={BINH: FollowWish(BINH, "no"), AN: FollowWish(AN, "no")})
    assert why(silent, SAID) == {}
    assert why(silent, REPOSTED) == {"home": "repost"}
    english = Viewer(ME, wishes={one: FollowWish(one, langs="en fr") for one in (AN, BINH)})
    assert why(english, SAID) == {"home": "language"}
    for said in (REPOSTED, SAID._replace(lang=None), SAID._replace(lang="en-GB"), SAID._replace(author=CHI)):
        assert why(english, said) == {}


@pytest.mark.parametrize(
    ("replies", "shown"),
    [("none", {ME, AN}), ("list", {ME, AN, BINH}), ("followed", {ME, AN, CHI}), (None, {ME, AN, BINH, CHI})],
)
def test_a_list_shows_the_answers_that_it_is_to_show(replies: str | None, shown: set[AccountId]) -> None:
    viewer = Viewer(ME, lists={"bạn": ListRule.of(ME, {AN, BINH}, replies, {CHI})})
    assert why(viewer, SAID) == {}
    for whom in (ME, AN, BINH, CHI):
        answer = SAID._replace(answers=whom)
        assert why(viewer, answer) == ({} if whom in shown else {"list": "answer"})
        assert why(viewer, answer._replace(reposted_by=BINH)) == {}
