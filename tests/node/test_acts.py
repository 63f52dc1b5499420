"""What a node does and no entry tells is in the firehose too: in order, once, with a number of its own in cursors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from banyan_node.context import Context
from banyan_node.operator_errors import CallError
from banyan_schema.social import post_from_text
from banyan_storage import acts
from tests.node.test_api import local
from tests.node.test_firehose import again, whole

PAGE = {"collections": ["post"]}


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
        assert kinds(page["events"]) == ["labelled", "returned", "hidden", "withheld", "returned", "create"]
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
