"""The firehose tells what every operation says, once, in order; and what proves it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from banyan_crdt.codec import decode
from banyan_crdt.ops import decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_node.api import LocalBackend
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import load_settings
from tests.node.test_api import local


def whole(node: LocalBackend, limit: int = 500, **params: Any) -> list[dict[str, Any]]:
    """All events from the beginning, in pages of `limit`."""
    events, since, more = list[dict[str, Any]](), "begin", True
    while more:
        page = node.call("firehose", since=since, limit=limit, **params)
        assert len(page["events"]) <= limit
        events += page["events"]
        since, more = page["cursor"], page["more"]
    return events


def said(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["kind"], event["collection"]) for event in events if event["kind"] != "account"]


def test_every_operation_is_told_once_with_its_content(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        binh = node.call("account.create", name="bình", hosted=True)["account"]
        now = node.call("firehose")["cursor"]
        assert node.call("firehose", since=now) == {"events": [], "cursor": now, "more": False}
        uri = node.call("post", text="một")["uri"]
        node.call("edit", uri=uri, text="hai")
        node.call("react", uri=uri, emoji="🌸", by="bình")
        node.call("follow", account=an, by="bình")
        node.call("unfollow", account=an, by="bình")
        node.call("delete", uri=uri)
        page = node.call("firehose", since=now)
        first, edit, reaction, follow, unfollow, delete = events = page["events"]
        assert said(events) == [
            ("create", "post"),
            ("update", "post"),
            ("create", "reaction"),
            ("create", "follow"),
            ("delete", "follow"),
            ("delete", "post"),
        ]
        assert (first["content"]["text"], edit["content"]["text"]) == ("một", "hai")
        assert {first["uri"], edit["uri"], delete["uri"]} == {uri}
        assert (reaction["account"], reaction["uri"], reaction["content"]["emoji"]) == (binh, None, "🌸")
        assert follow["content"] == unfollow["content"] == {"account": an}
        assert unfollow["removes"] == {"entry": follow["entry"], "op": follow["op"]}
        assert delete["removes"] is None
        assert all(event["held"] and event["counts"] for event in events)
        assert page["cursor"] == delete["cursor"] == node.call("firehose")["cursor"]
        for number, event in enumerate(events):
            assert node.call("firehose", since=event["cursor"])["events"] == events[number + 1 :]


def test_pages_of_any_size_tell_the_same(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        for n in range(5):
            node.call("post", text=str(n))
        node.call("profile.set", fields={"name": "An", "bio": "một", "language": "vi"})  # several operations
        every = whole(node)
        assert len({event["id"] for event in every}) == len(every)
        assert len({event["entry"] for event in every}) < len(every)
        for limit in (1, 2, 3, 7):
            assert whole(node, limit) == every
        for number, event in enumerate(every):
            assert node.call("firehose", since=event["cursor"])["events"] == every[number + 1 :]


def test_filters_take_what_they_name_and_the_cursor_passes_the_rest(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        binh = node.call("account.create", name="bình", hosted=True)["account"]
        uri = node.call("post", text="một")["uri"]
        node.call("react", uri=uri, emoji="🌸", by="bình")
        last = node.call("firehose")["cursor"]
        every = whole(node)
        for given, wanted in (
            ({"collections": ["post"]}, [e for e in every if e["collection"] == "post"]),
            ({"collections": ["account"]}, [e for e in every if e["kind"] == "account"]),
            ({"accounts": ["bình"]}, [e for e in every if e["account"] == binh]),
            ({"accounts": [an], "collections": ["reaction"]}, []),
            ({"platforms": [an]}, []),
        ):
            page = node.call("firehose", since="begin", **given)
            assert (page["events"], page["cursor"], page["more"]) == (wanted, last, False)
        by_shard = [whole(node, shards=[f"{digit:x}"]) for digit in range(16)]
        assert sum(map(len, by_shard)) == len(every)
        for params, code in (
            ({"since": "nowhere"}, "bad_request"),
            ({"since": "0" * 16 + "-1"}, "cursor_gone"),
            ({"since": last.partition("-")[0] + "-99999"}, "cursor_gone"),
            ({"collections": ["potato"]}, "bad_request"),
        ):
            with pytest.raises(CallError) as caught:
                node.call("firehose", **params)
            assert caught.value.code == code


def test_a_third_party_can_verify_each_event(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        posts = [node.call("post", text=f"bài {n}") for n in range(3)]
        realm, proved = node.context.realm, 0
        for event in whole(node, proof=True):
            proof = event["proof"]
            if event["kind"] == "account" and proof["control"]:
                entry = decode_control(realm, decode(b64decode(proof["control"]), 3))
            else:
                run = decode_run(realm, b64decode(proof["run"]))
                verify_run(realm, run)
                entry = run.entries[0]
            assert entry.id.hex() == event["entry"]
            assert entry.header.writer.hex() == event["writer"]
            if proof["part"] is not None:
                part = part_of(decode_body(entry.ops).ops[event["op"]])
                assert part is not None
                raw = open_part(part, b64decode(proof["part"]))
                if event["collection"] == "post":
                    assert event["content"]["text"].encode() in raw
                    proved += 1
        assert proved == len(posts)
        assert whole(node)[0]["proof"] is None


def test_what_does_not_count_is_told_only_to_who_asks(tmp_path: Path) -> None:
    """A copy of the home wrote in a log of its own, which the account drops."""
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        node.call("post", text="chung")
    copytree(tmp_path / "home", tmp_path / "twin")
    with again(tmp_path / "twin") as twin:
        for text in ("một", "hai"):
            twin.call("post", text=text)
        twin.call("archive.export", path=str(tmp_path / "archive"))
    with again(tmp_path / "home") as node:
        node.call("post", text="ba")
        node.call("archive.import", path=str(tmp_path / "archive"))
        before = whole(node, collections=["post"])
        (stolen,) = [event for event in before if event["content"]["text"] == "hai"]
        node.call("account.drop", writer=stolen["writer"], log=stolen["log"])
        every = whole(node, uncounted=True, collections=["post"])
        assert {event["content"]["text"] for event in every} == {"chung", "một", "hai", "ba"}
        counted = [event for event in every if event["counts"]]
        assert {event["content"]["text"] for event in counted} == {"chung", "ba"}
        assert whole(node, collections=["post"]) == counted


@contextmanager
def again(path: Path) -> Iterator[LocalBackend]:
    """A home that is there."""
    home = Home(path)
    with open_local(home, load_settings(home)) as backend:
        yield backend
