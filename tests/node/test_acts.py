"""What a node does and no entry tells is in the firehose too: in order, once, with a number of its own in cursors."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest

from banyan_crdt.firehose import RunsVerifier, VerifiedBatch
from banyan_crdt.ids import account_to_text
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY
from banyan_node.api.firehose import Kind
from banyan_node.api.methods.moderation import content
from banyan_node.api.methods.network import firehose
from banyan_node.context import Context
from banyan_node.hosting import erasure
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.social import post_from_text
from banyan_storage import acts
from banyan_storage.acts import ActKind
from banyan_storage.local_tables import Verdict
from tests.node.real import load_settings, make_home
from tests.node.test_api import local
from tests.node.test_dropped_accounts import CHOSEN
from tests.node.test_firehose import again, runs_of, whole, whole_from
from tests.node.test_withholding import DAY_S, at

PAGE = {"collections": ["post"]}
VERDICTS: dict[Verdict, tuple[list[ActKind], list[ActKind]]] = {
    "nothing": ([], []),
    "label": (["labelled"], ["returned"]),
    "hide": (["hidden"], ["returned"]),
    "withhold": (["withheld"], ["late", "returned"]),
    "limit": (["limited"], ["lifted"]),
    "suspend": (["suspended"], ["lifted"]),
    "pass_on": ([], []),
}
"""What each verdict tells, and its undoing."""
TELLS: dict[str, set[str]] = {
    "account.close": set(),
    "account.create": set(),
    "account.cut": {"recounted"},
    "account.drop": {"recounted"},
    "account.erase": {"recounted", "dropped", "erasure"},
    "account.grant": set(),
    "account.handover": set(),
    "account.recover": {"recounted"},
    "account.rotate": set(),
    "account.take": set(),
    "account.unerase": {"erasure"},
    "archive.export": set(),
    "archive.import": {"late"},
    "clock.trust": set(),
    "alliance.follow": set(),
    "alliance.leave": set(),
    "alliance.hosted": set(),
    "alliance.offer": set(),
    "labeller.accept": set(),
    "labeller.set": set(),
    **{f"order.{what}": set[str]() for what in ("accept", "appeal", "confirm", "issue", "refuse", "rule")},
    "content.release": {"returned", "late"},
    "content.withhold": {"withheld"},
    "decision.add": {kind for did, _ in VERDICTS.values() for kind in did},
    "decision.undo": {kind for _, undid in VERDICTS.values() for kind in undid},
    "log.begin": set(),
    "media.drop": set(),
    "media.pin": set(),
    "moderator.add": set(),
    "moderator.drop": set(),
    "networks.ban": set(),
    "networks.pardon": set(),
    "official.verify": set(),
    "peers.add": set(),
    "peers.ban": set(),
    "peers.drop": set(),
    "peers.pardon": set(),
    "policy.set": set(),
    "store.compact": set(),
    "store.drop": {"recounted", "dropped"},
    "store.erase": {"erasure", "dropped"},
    "store.rebuild": set(),
    "store.undrop": set(),
    "works.begin": set(),
    "works.cancel": set(),
}
"""All that moderators and operators can do, and which acts it tells. Of what stands in signed entries the entries tell;
pictures, peers, keys and work of the node are nothing that an index has. What labels and orders come to are decisions,
which are told as those."""


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


def test_decisions_are_told_after_what_they_are_about_with_both_numbers_in_the_cursor(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        uri = node.call("post", text="một")["uri"]
        before = node.call("firehose")["cursor"]
        given = {"account": an, "posts": [uri]}
        label = node.call("decision.add", verdict="label", text="ý", **given)["id"]
        node.call("decision.undo", id=label)
        node.call("decision.add", verdict="hide", **given)
        node.call("content.withhold", uri=uri, order="Lệnh 1", basis="b", scope="VN")
        node.call("content.release", uri=uri)
        node.call("post", text="hai")
        page = node.call("firehose", since=before)
        assert kinds(page["events"]) == ["labelled", "hidden", "withheld", "create"]
        acts_told = page["events"][:-1]
        assert {event["uri"] for event in acts_told} == {uri}
        assert [event["content"] for event in acts_told] == [None] * len(acts_told), "it is hidden now"
        assert [event["said"] for event in acts_told if "said" in event] == [["ý"], ["Lệnh 1", "b", "VN", "0"]]
        every = whole(node)
        assert len({event["id"] for event in every}) == len(every)
        for limit in (1, 2, 3):
            assert whole(node, limit) == every
        for number, event in enumerate(every):
            assert node.call("firehose", since=event["cursor"])["events"] == every[number + 1 :]
        assert page["cursor"].count("-") == 2
        assert before.count("-") == 1, "a cursor of before the first act is as ever"
        first = page["events"][0]["cursor"].split("-")
        assert first[1:] == [before.split("-")[1], "1"]
        with pytest.raises(CallError) as caught:
            node.call("firehose", since=f"{first[0]}-{first[1]}-99")
        assert caught.value.code == "cursor_gone"


def test_acts_are_kept_over_a_restart_and_only_the_newest_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        uri = node.call("post", text="một")["uri"]
        node.call("decision.add", verdict="hide", account=an, posts=[uri])
        told = node.call("firehose", since="begin", **PAGE)["events"]
    with again(tmp_path / "home") as node:
        assert node.call("firehose", since="begin", **PAGE)["events"] == told
        monkeypatch.setattr(acts, "KEPT", 1_024)
        ctx: Context = node.context
        for _ in range(2_048):
            ctx.store.note_act("hidden", post_from_text(uri).account, post_from_text(uri).key)
        ctx.store.commit()
        with pytest.raises(CallError, match="acts of this node are behind it"):
            node.call("firehose", since=told[-1]["cursor"])
        begin = node.call("firehose", since="begin", limit=1_000, **PAGE)["events"]
        assert kinds(begin)[:2] == ["create", "hidden"]


def test_an_account_whose_entries_count_otherwise_is_told(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        node.call("post", text="một")
        (event,) = node.call("firehose", since="begin", **PAGE)["events"]
        since = node.call("firehose")["cursor"]
        node.call("account.drop", writer=event["writer"], log=event["log"])
        told = node.call("firehose", since=since)["events"]
        assert sorted(kinds(told)) == ["account", "recounted"]
        assert kinds(node.call("firehose", since=since, **PAGE)["events"]) == ["recounted"], "whatever is filtered"


def signed(node: LocalBackend, limit: int = 500, **params: Any) -> list[VerifiedBatch]:
    """What the same firehose tells as signed entries, verified."""
    verifier = RunsVerifier(node.context.realm)
    return [told for one in runs_of(node, limit, **params) if (told := verifier.take(one)) is not None]


def did(node: LocalBackend, since: str) -> list[str]:
    """The kinds of the acts behind a cursor, which both forms tell alike."""
    events = [one for one in node.call("firehose", since=since)["events"] if acts.of_kind(one["kind"]) is not None]
    before = int(since.split("-")[2]) if since.count("-") == 2 else 0
    told = [act for one in signed(node) for act in one.acts if act.number > before]
    about = [(one["id"].rpartition(":")[2], one["kind"], one["account"], one.get("said", [])) for one in events]
    assert [(f"{act.number}", act.kind, account_to_text(act.account), act.said) for act in told] == about
    keys = [one["key"] or "" for one in events if one["kind"] != "late"]
    assert [act.about.hex() for act in told if act.kind != "late"] == keys
    return [act.kind for act in told]


def test_each_act_of_the_journal_is_a_kind_of_event_and_something_tells_it() -> None:
    assert set(get_args(ActKind)) == acts.RULES.keys() <= set(get_args(Kind))
    assert {kind for some in TELLS.values() for kind in some} == acts.RULES.keys()


def test_all_that_moderators_and_operators_do_is_in_the_table() -> None:
    assert {name for name, method in EVERY.items() if method.audited} == TELLS.keys()
    assert set(get_args(Verdict)) == VERDICTS.keys()


def test_each_verdict_tells_its_act_and_its_undoing_another_in_both_forms(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        uri, since = node.call("post", text="một")["uri"], node.call("firehose")["cursor"]
        words = {"text": "ý", "order": "Lệnh 1", "to": "sen"}
        for verdict, (told, undone) in VERDICTS.items():
            made = node.call("decision.add", verdict=verdict, account=an, posts=[uri], **words)["id"]
            assert did(node, since) == told, verdict
            since = node.call("firehose")["cursor"]
            node.call("decision.undo", id=made)
            assert did(node, since) == undone, verdict
            since = node.call("firehose")["cursor"]
        lifted = [act for one in signed(node) for act in one.acts if act.kind == "lifted"]
        assert [act.said for act in lifted] == [["limited"], ["suspended"]]


def test_signed_entries_tell_acts_in_order_and_give_again_what_is_shown_again(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        uri = node.call("post", text="một")["uri"]
        node.call("content.withhold", uri=uri, order="Lệnh 1")
        node.call("post", text="hai")
        node.call("content.release", uri=uri)
        every = signed(node)
        for limit in (1, 2, 3):
            assert signed(node, limit) == every
        assert [one.cursor.count("-") for one in every][-1] == 2
        for number, one in enumerate(every):
            rest = [act.number for later in every[number + 1 :] for act in later.acts]
            cut = node.call("firehose.runs", since=one.cursor)
            assert [item["cursor"] for item in cut["items"]] == [later.cursor for later in every[number + 1 :]]
            assert [item["act"] for item in cut["items"] if item["act"]] == [
                act.kind for later in every[number + 1 :] for act in later.acts
            ]
            assert len(rest) == len([item for item in cut["items"] if item["act"]])
        (back,) = [one for one in every if any(act.kind == "returned" for act in one.acts)]
        assert any(b"m\xe1\xbb\x99t" in raw for told in back.entries for raw in told.contents.values())
        assert not [one for one in signed(node, collections=["follow"]) if one.acts]
        since = node.call("firehose.runs")["cursor"]
        assert node.call("firehose.runs", since=since)["items"] == [], "from now on no act of before is told"


def test_an_act_behind_the_last_arrival_is_told_where_a_page_has_looked_at_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firehose, "LOOKED", 1)
    with local(tmp_path / "home") as node:
        an, since = node.call("account.create", name="an")["account"], node.call("firehose")["cursor"]
        node.call("decision.add", verdict="hide", account=an, posts=[node.call("post", text="một")["uri"]])
        assert kinds(whole_from(node, since)) == ["create", "hidden"]
        assert [act.kind for one in signed(node) for act in one.acts] == ["hidden"]


def test_content_that_comes_late_and_accounts_that_are_dropped_are_told(tmp_path: Path) -> None:
    with local(tmp_path / "a") as a:
        an = a.call("account.create", name="an")["account"]
        uri = a.call("post", text="một")["uri"]
        a.call("archive.export", path=str(tmp_path / "whole"))
        a.call("content.withhold", uri=uri, order="Lệnh 1", erase=True)
        a.call("archive.export", path=str(tmp_path / "less"))
        asked = a.call("firehose")["cursor"]
        a.call("content.release", uri=uri)
        a.call("archive.import", path=str(tmp_path / "whole"))
        assert did(a, asked) == ["late", "returned"], "once it is here"
    home = make_home(tmp_path / "b")
    with open_local(home, load_settings(home, **CHOSEN)) as b:
        b.call("account.create", name="bình")
        b.call("follow", account=an)
        b.call("archive.import", path=str(tmp_path / "less"))
        (event,) = b.call("firehose", since="begin", accounts=[an], **PAGE)["events"]
        since = b.call("firehose")["cursor"]
        assert (event["content"], event["held"]) == (None, False)
        b.call("archive.import", path=str(tmp_path / "whole"))
        assert did(b, since) == ["late"]
        (late,) = b.call("firehose", since=since)["events"]
        assert {**event, "content": late["content"], "held": True} == {
            **late, "kind": "create", "id": event["id"], "cursor": event["cursor"]
        }  # fmt: skip
        assert late["content"]["text"] == "một"
        (told,) = [one for one in signed(b) if one.acts]
        (entry,) = [one for one in told.entries if one.contents]
        assert (entry.entry.id.hex(), "một".encode() in entry.contents[0]) == (late["entry"], True)
        assert told.acts[0].about == entry.entry.id + bytes(2)
        b.call("decision.add", verdict="hide", account=an, posts=[uri])
        assert did(b, since) == ["hidden"], "what came late and is hidden now is given out to nobody"
        since = b.call("firehose")["cursor"]
        b.call("store.drop", account=an)
        assert did(b, since) == ["dropped", "recounted"], "it may go in steps; from the first on it is shown to nobody"
        _, dropped = b.call("firehose", since=since, collections=["follow"])["events"]
        assert (dropped["account"], dropped["collection"], dropped["hosted"]) == (an, None, False)
        mine = b.call("account.create", name="chi", hosted=True)["account"]
        since = b.call("firehose")["cursor"]
        b.call("account.erase", account=mine, confirm="chi", reason="yêu cầu")
        while erasure.step(b.context, time.time() + 90 * 86_400):
            pass
        assert did(b, since) == ["recounted", "erasure", "dropped", "erasure"]


class Index:
    """What a program shows that does with each event what docs/firehose.md says, and reads nothing else."""

    def __init__(self) -> None:
        self.since = "begin"
        self.shown: dict[str, dict[str, Any]] = {}
        """By post: its text, None while it is not given out, and its label."""

    def read(self, node: LocalBackend) -> dict[str, tuple[str, str | None]]:
        page = node.call("firehose", since=self.since, **PAGE)
        self.since = page["cursor"]
        for event in page["events"]:
            kind, uri, said = event["kind"], event["uri"], event["content"]
            assert kind != "returned" or said is not None, "it is given out"
            if kind == "delete":
                self.shown.pop(uri, None)
                continue
            post = self.shown.setdefault(uri, {"text": None, "label": None})
            if kind == "labelled":
                post["label"] = event["said"][0]
            else:
                post["text"] = None if said is None else said["text"]
            if kind == "returned":
                post["label"] = None
        return {uri: (one["text"], one["label"]) for uri, one in self.shown.items() if one["text"] is not None}


@pytest.mark.parametrize("seed", range(3))
def test_an_index_that_only_follows_shows_what_the_node_shows(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        uris = [node.call("post", text=f"bài {n}")["uri"] for n in range(2)]
        made, index = list[int](), Index()
        since = node.call("firehose")["cursor"]
        for n in range(60):
            uri, days = rng.choice(uris), rng.choice((0, 1))
            do = rng.choice(("label", "hide", "withhold", "undo", "undo", "release", "term", "edit", "delete", "post"))
            with suppress(CallError):  # it is so already
                if do in ("label", "hide", "withhold"):
                    words = {"text": f"ý {n}", "order": f"Lệnh {n}", "days": days}
                    made.append(node.call("decision.add", verdict=do, account=an, posts=[uri], **words)["id"])
                elif do == "undo" and made:
                    node.call("decision.undo", id=made.pop(rng.randrange(len(made))))
                elif do == "release":
                    node.call("content.release", uri=uri)
                elif do == "term":
                    at(node, 2 * DAY_S, content.end_terms)
                elif do == "edit":
                    node.call("edit", uri=uri, text=f"sửa {n}")
                elif do == "delete" and rng.random() < 0.2:
                    node.call("delete", uri=uri)
                elif do == "post":
                    uris.append(node.call("post", text=f"bài {n}")["uri"])
            if rng.random() < 0.7:  # else it reads of several at once
                posts = node.call("feed", limit=100)["posts"]
                shows = {post["uri"]: (post["text"], post["label"]) for post in posts}
                assert index.read(node) == shows, (n, do)
                assert n % 10 or Index().read(node) == shows, "an index that begins now"
        did(node, since)
