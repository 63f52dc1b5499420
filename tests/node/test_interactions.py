"""Who may answer, quote and repost a post, and what its author hides below it: at every way of reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.api.methods.posts import post_writes
from banyan_reading import responses
from banyan_schema.social import ReplyTo, post_from_text
from tests.node.test_moderation import a_node, refused


class Scene:
    """A post of an, and what bình, who follows an, and dung, who does not, do with it; chi follows both of them."""

    def __init__(self, node: LocalBackend, who: dict[str, str]) -> None:
        self.node, self.who = node, who
        node.call("follow", account=who["an"], by="bình")
        for one in ("bình", "dung"):
            node.call("follow", account=who[one], by="chi")
        self.uri: str = node.call("post", text="gốc", by="an")["uri"]
        self.made = {
            (act, by): self._do(act, by) for act in ("reply", "quote", "repost") for by in ("bình", "dung", "an")
        }

    def _do(self, act: str, by: str) -> str:
        said = {} if act == "repost" else {"text": f"{act} {by}"}
        answer = self.node.call(act, uri=self.uri, by=by, **said)
        return str(answer.get("uri", ""))

    def allow(self, **policy: str) -> None:
        self.node.call("edit", uri=self.uri, policy=policy)

    def post(self, uri: str | None = None, by: str = "chi") -> dict[str, Any]:
        found: dict[str, Any] = self.node.call("post.get", uri=uri or self.uri, by=by)
        return found

    def thread(self, uri: str | None = None) -> set[str]:
        return {one["text"] for one in self.node.call("thread", uri=uri or self.uri, by="chi")["posts"][1:]}

    def quotes(self) -> set[str]:
        return {one["text"] for one in self.node.call("feed", quotes=self.uri, by="chi")["posts"]}

    def home(self) -> set[str]:
        found = self.node.call("feed", by="chi")["posts"]
        return {one["text"] for one in found} | {f"by {two['name']}" for one in found for two in one["reposted"]}

    def heard(self) -> set[tuple[str, str]]:
        found = self.node.call("notifications", by="an", each=True)["notices"]
        return {(one["kind"], one["accounts"][0]["account"]) for one in found}

    def counts(self) -> tuple[int, int, int]:
        row = self.post()
        (fed,) = (one for one in self.node.call("feed", account="an", reposts=False)["posts"] if one["uri"] == self.uri)
        for name in ("replies", "quotes", "reposts"):
            assert row[name] == fed[name]
        return row["replies"], row["quotes"], row["reposts"]

    def reposters(self) -> list[str]:
        return [one["account"] for one in self.node.call("reposts", uri=self.uri)["accounts"]]


def test_what_the_policy_does_not_let_stays_on_its_authors_page_alone(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        scene = Scene(node, who)
        everything = scene.counts(), scene.thread(), scene.quotes(), scene.home(), scene.heard()
        assert everything[0] == (3, 3, 3)

        scene.allow(answers="followers", quotes="nobody", reposts="followers")
        row = scene.post()
        assert (row["text"], row["policy"]) == (
            "gốc",
            {"answers": "followers", "quotes": "nobody", "reposts": "followers"},
        )
        assert row["mine"]["may_not"] == ["answers", "quotes", "reposts"]
        assert scene.post(by="bình")["mine"]["may_not"] == ["quotes"]
        assert scene.post(by="an")["mine"]["may_not"] == []
        assert scene.counts() == (2, 1, 2)
        assert scene.thread() == {"reply bình", "reply an"}
        assert scene.quotes() == {"quote an"}
        assert {*scene.reposters()} == {who["an"], who["bình"]}
        assert scene.home() == everything[3] - {"reply dung", "by dung"}
        gone = {("reply", who["dung"]), ("quote", who["dung"]), ("quote", who["bình"]), ("repost", who["dung"])}
        assert scene.heard() == everything[4] - gone
        own = {one["text"]: one for one in node.call("feed", account=who["dung"], by="chi")["posts"]}
        assert own.keys() == {"reply dung", "quote dung"}, "and not what it reposts"
        assert own["reply dung"]["refused"] == "policy"
        quote = own["quote dung"]["quote"]
        assert (quote["text"], quote["refused"]) == (None, "policy")
        (found,) = node.call("thread", uri=scene.uri, by="chi")["gaps"]
        assert "not allowed by the author" in found["gone"]["sentence"]
        assert node.call("search", question="reply", by="chi")["posts"] == [] or "reply dung" not in {
            one["text"] for one in node.call("search", question="reply", by="chi")["posts"]
        }

        refused(
            node, "Only followers of its author, and whom it mentions, may", "reply", uri=scene.uri, text="x", by="chi"
        )
        refused(node, "Only its author may quote", "quote", uri=scene.uri, text="x", by="bình")
        refused(node, "may repost that post", "repost", uri=scene.uri, by="chi")
        below = scene.made["reply", "bình"]
        refused(node, "may answer that post", "reply", uri=below, text="x", by="chi")
        assert scene.post(below)["mine"]["may_not"] == ["answers"], "the first post's rule is that of all answers"
        draft = node.call("draft.set", reply=scene.uri, text="x", by="chi")["id"]
        assert "may answer" in node.call("drafts", by="chi")["drafts"][0]["refused"]
        refused(node, "may answer that post", "draft.publish", id=draft, by="chi")

        node.call("follow", account=who["an"], by="bình", undo=True)
        assert (scene.thread(), scene.counts()) == ({"reply an"}, (1, 1, 1)), "who follows now counts"
        node.call("edit", uri=scene.uri, mentions=[who["dung"]])
        assert scene.thread() == {"reply dung", "reply an"}, "whom it mentions may, too"
        scene.allow(answers="mentioned")
        node.call("follow", account=who["an"], by="bình")
        assert scene.thread() == {"reply dung", "reply an"}
        scene.allow(answers="everybody", quotes="everybody", reposts="everybody")
        assert (scene.counts(), scene.thread(), scene.quotes(), scene.home(), scene.heard()) == everything
        assert node.call("store.verify")["problems"] == []


def test_of_very_many_answers_the_first_say_how_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_node(tmp_path) as (node, who):
        node.call("follow", account=who["an"], by="bình")
        uri = node.call("post", text="gốc", by="an")["uri"]
        for by in ("bình", "bình", "dung", "dung"):
            node.call("reply", uri=uri, text="x", by=by)
        node.call("edit", uri=uri, policy={"answers": "followers"})
        counts = []
        for most in (4, 3, 2):
            monkeypatch.setattr(responses, "REFUSED_LOOKED", most)
            counts.append(node.call("post.get", uri=uri, by="chi")["replies"])
            node.call("post", text="what is kept is read anew", by="an")
        assert counts == [2, 3, 4]


def test_a_locked_account_means_those_whom_it_accepted(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        scene = Scene(node, who)
        scene.allow(answers="followers")
        node.call("lock", by="an")
        assert scene.thread() == {"reply bình", "reply an"}, "who followed before"
        node.call("follow", account=who["an"], by="dung")
        assert scene.thread() == {"reply bình", "reply an"}
        node.call("follow.accept", account=who["dung"], by="an")
        assert scene.thread() == {"reply bình", "reply dung", "reply an"}


def test_the_author_of_a_conversation_hides_answers_and_quotes_and_shows_them_again(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        scene = Scene(node, who)
        below = node.call("reply", uri=scene.made["reply", "bình"], text="sâu", by="dung")["uri"]
        before = scene.counts(), scene.thread(), scene.quotes(), scene.home(), scene.heard()
        assert scene.post(scene.made["reply", "bình"])["replies"] == 1
        node.call("thread.hide", uri=below, by="an")
        node.call("thread.hide", uri=scene.made["quote", "bình"], by="an")
        assert scene.thread() == before[1] - {"sâu"}
        assert scene.post(scene.made["reply", "bình"])["replies"] == 0, "not one's own post, but one's conversation"
        assert scene.post(below)["refused"] == "hidden"
        assert (scene.quotes(), scene.counts()) == (before[2] - {"quote bình"}, (3, 2, 3))
        assert scene.post(scene.made["quote", "bình"])["quote"]["refused"] == "hidden"
        assert ("quote", who["bình"]) not in scene.heard()
        assert scene.home() == before[3] - {"sâu"}
        written = node.call("digest")["digest"]
        node.call("thread.hide", uri=below, by="an")
        assert node.call("digest")["digest"] == written, "it is hidden already"
        for uri in (below, scene.made["quote", "bình"]):
            node.call("thread.hide", uri=uri, by="an", undo=True)
        assert (scene.counts(), scene.thread(), scene.quotes(), scene.home(), scene.heard()) == before

        node.call("thread.hide", uri=below, by="bình")
        assert "sâu" not in scene.thread(), "from what one said in it"
        refused(node, "Only what others answer", "thread.hide", uri=scene.made["reply", "bình"], by="dung")
        refused(node, "Only what others answer", "thread.hide", uri=scene.made["reply", "an"], by="an")
        assert node.call("store.verify")["problems"] == []


def test_a_refused_answer_comes_to_readers_inside_no_other_post(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        scene = Scene(node, who)
        answer, chain = scene.made["reply", "dung"], list[str]()
        for by in ("bình", "dung", "an"):
            chain.append(node.call("quote", uri=answer, text=f"xem {by}", by=by)["uri"])
            node.call("repost", uri=answer, by=by)
        over = node.call("quote", uri=chain[0], text="xem thêm", by="bình")["uri"]
        node.call("pin", uri=chain[0], by="bình")

        def ways(uri: str, words: str) -> dict[str, bool]:
            """Where the words of a post are told, but on the page of its author and for who asks for it."""
            asked: dict[str, tuple[str, dict[str, Any]]] = {
                "home": ("feed", {"by": "chi"}),
                "all": ("feed", {"all": True, "by": "chi"}),
                "quoter": ("feed", {"account": who["bình"], "by": "chi"}),
                "reposter": ("feed", {"account": who["an"], "by": "chi"}),
                "quotes": ("feed", {"quotes": uri, "by": "chi"}),
                "search": ("search", {"question": "xem", "by": "chi"}),
                "thread": ("thread", {"uri": chain[0], "by": "chi"}),
                "conversation": ("thread", {"uri": scene.uri, "by": "chi"}),
                "posts": ("posts.get", {"uris": [*chain, over], "by": "chi"}),
                "pinned": ("profile.get", {"account": who["bình"]}),
                "told": ("notifications", {"by": "an", "each": True}),
                "nobody": ("feed", {"account": who["bình"], "by": ""}),
            }
            return {way: words in repr(node.call(method, **given)) for way, (method, given) in asked.items()}

        def counts() -> tuple[int, int]:
            row = scene.post(answer)
            return row["quotes"], row["reposts"]

        def announced(folder: Path) -> list[str]:
            """The reposts in an export."""
            told = json.loads((folder / "outbox.json").read_text("utf-8"))["orderedItems"]
            return [one["object"] for one in told if one["type"] == "Announce"]

        node.call("account.export", account=who["bình"], path=str(tmp_path / "as"), format="activitystreams")
        assert {*announced(tmp_path / "as")} == {scene.uri, answer}
        before, shown = ways(answer, "reply dung"), counts()
        assert all(before.values()), before
        assert shown == (3, 3)

        def refuses_all(reason: str) -> None:
            assert not any((found := ways(answer, "reply dung")).values()), (reason, found)
            assert counts() == (0, 0)
            for by, uri in zip(("bình", "dung", "an"), chain, strict=True):
                row = scene.post(uri)
                assert row["text"] == f"xem {by}"
                assert (row["quote"]["text"], row["quote"]["name"], row["quote"]["refused"]) == (None, None, "refused")
            assert scene.post(over)["quote"]["text"] == "xem bình", "what quotes it is a post as any other"
            assert scene.post(answer)["text"] == "reply dung"
            assert scene.post(answer)["refused"] == reason
            assert {"quotes", "reposts"} <= {*scene.post(answer)["mine"]["may_not"]}
            for by in ("chi", "dung", "an"):
                refused(node, "nobody may quote it", "quote", uri=answer, text="x", by=by)
                refused(node, "nobody may repost it", "repost", uri=answer, by=by)
            draft = node.call("draft.set", quote=answer, text="x", by="chi")["id"]
            refused(node, "nobody may quote it", "draft.publish", id=draft, by="chi")
            done = node.call("account.export", account=who["bình"], path=str(tmp_path / reason), format="html")
            assert done["posts"]
            pages = [page.read_text("utf-8") for page in (tmp_path / reason).rglob("*.html")]
            assert any("xem bình" in page for page in pages)
            assert not any("reply dung" in page for page in pages)
            node.call(
                "account.export", account=who["bình"], path=str(tmp_path / f"as {reason}"), format="activitystreams"
            )
            assert answer not in announced(tmp_path / f"as {reason}")

        scene.allow(answers="nobody")
        refuses_all("policy")
        scene.allow(answers="everybody")
        assert (ways(answer, "reply dung"), counts()) == (before, shown)
        node.call("thread.hide", uri=answer, by="an")
        refuses_all("hidden")
        node.call("thread.hide", uri=answer, by="an", undo=True)
        assert (ways(answer, "reply dung"), counts()) == (before, shown)


def test_an_answer_that_claims_to_be_of_another_conversation_is_refused_by_the_one_that_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_node(tmp_path) as (node, who):
        scene = Scene(node, who)
        elsewhere = node.call("post", text="cuộc khác", by="dung")["uri"]
        parent = node.call("reply", uri=scene.made["reply", "bình"], text="giữa", by="bình")["uri"]
        with monkeypatch.context() as lie:
            lie.setattr(post_writes, "answered", lambda one: ReplyTo(post_from_text(elsewhere), one.target))
            answer = node.call("reply", uri=parent, text="lời xấu", by="dung")["uri"]
        quoting = node.call("quote", uri=answer, text="xem", by="bình")["uri"]

        def shown() -> list[bool]:
            asked: dict[str, dict[str, Any]] = {
                "thread": {"uri": scene.uri, "by": "chi"},
                "feed": {"by": "chi"},
                "search": {"question": "xấu", "by": "chi"},
                "posts.get": {"uris": [quoting], "by": "chi"},
            }
            return ["lời xấu" in repr(node.call(method, **given)) for method, given in asked.items()]

        assert (shown(), scene.post(parent)["replies"]) == ([True] * 4, 1)
        scene.allow(answers="followers")
        assert (shown(), scene.post(parent)["replies"]) == ([False] * 4, 0)
        assert scene.post(quoting)["quote"]["refused"] == "refused"
        assert scene.post(answer)["refused"] == "policy"
        assert scene.post(answer, by="chi")["mine"]["may_not"] == ["answers", "quotes", "reposts"]
        refused(node, "nobody may quote it", "quote", uri=answer, text="x", by="chi")
        refused(node, "Only followers of its author", "reply", uri=answer, text="x", by="chi")


def test_who_changes_only_who_may_answer_has_edited_nothing(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        scene = Scene(node, who)

        def edited(uri: str = scene.uri) -> int | None:
            row = scene.post(uri)
            (fed,) = (one for one in node.call("feed", account=who["an"], by="chi")["posts"] if one["uri"] == uri)
            assert (row["edited"], fed["edited_ms"]) == (row["edited_ms"] is not None, row["edited_ms"])
            return None if row["edited_ms"] is None else int(row["edited_ms"])

        assert edited() is None
        for answers in ("followers", "nobody", "everybody"):
            scene.allow(answers=answers)
            assert edited() is None
        node.call("edit", uri=scene.uri, text="gốc, sửa")
        at = edited()
        assert at is not None
        scene.allow(quotes="nobody")
        assert edited() == at, "when the text was changed"
        node.call("edit", uri=scene.uri, text="gốc", policy={"quotes": "everybody"})
        assert (edited() or 0) > at
