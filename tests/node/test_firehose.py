"""The firehose tells what every operation says, once, in order; and what proves it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import msgspec
import pytest

from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.firehose import (
    CONTROL,
    PARTS,
    PLACE,
    RUN,
    FrameReader,
    RunsVerifier,
    StreamFrame,
    VerifiedEntry,
    frame,
)
from banyan_crdt.frontier import ROW_BYTES, CursorRow, encode_frontier_cursor
from banyan_crdt.ids import AccountId, EntryId, LogId, WriterKey
from banyan_crdt.ops import decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_node.api import LocalBackend
from banyan_node.api.methods.network.firehose import remembering
from banyan_node.client.follower import Follower
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from bench.rig.people import filling, open_account, post, write_in_turn
from bench.rig.processes import new_home
from tests.crdt.make import b32
from tests.node.real import load_settings
from tests.node.test_api import local
from tests.storage.accounts import head_of


def whole(node: LocalBackend, limit: int = 500, **params: Any) -> list[dict[str, Any]]:
    """All events from the beginning, in pages of `limit`."""
    return whole_from(node, "begin", limit=limit, **params)


def whole_from(node: LocalBackend, since: str, **params: Any) -> list[dict[str, Any]]:
    """All events behind a place."""
    events, more = list[dict[str, Any]](), True
    while more:
        page = node.call("firehose", since=since, **params)
        assert len(page["events"]) <= params.get("limit", 500)
        assert page["cursor"] != since or not page["more"], "else a reader never ends"
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
        assert node.call("firehose", since=now) == {"events": [], "cursor": now, "more": False, "end": now}
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
        assert [(event["content"], event["held"]) for event in (first, edit)] == [(None, False)] * 2, "it was deleted"
        assert {first["uri"], edit["uri"], delete["uri"]} == {uri}
        assert (reaction["account"], reaction["uri"], reaction["content"]["emoji"]) == (binh, None, "🌸")
        assert follow["content"] == unfollow["content"] == {"account": an}
        assert unfollow["removes"] == {"entry": follow["entry"], "op": follow["op"]}
        assert delete["removes"] is None
        assert all(event["counts"] for event in events)
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


def proven(realm: Realm, event: dict[str, Any]) -> Entry:
    """The entry of an event, as its signature proves it."""
    proof = event["proof"]
    if event["kind"] == "account" and proof["control"]:
        entry = decode_control(realm, decode(b64decode(proof["control"]), 3))
    else:
        run = decode_run(realm, b64decode(proof["run"]))
        verify_run(realm, run)
        entry = run.entries[0]
    assert entry.id.hex() == event["entry"]
    assert entry.header.writer.hex() == event["writer"]
    return entry


def test_a_third_party_can_verify_each_event(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        posts = [node.call("post", text=f"bài {n}") for n in range(3)]
        realm, proved = node.context.realm, 0
        for event in whole(node, proof=True):
            proof, entry = event["proof"], proven(realm, event)
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
        recounted = {"recounted"}
        every = [e for e in whole(node, uncounted=True, collections=["post"]) if e["kind"] not in recounted]
        counted = [event for event in every if event["counts"]]
        assert [event["content"] for event in every if not event["counts"]] == [None, None]
        assert {event["content"]["text"] for event in counted} == {"chung", "ba"}
        assert [e for e in whole(node, collections=["post"]) if e["kind"] not in recounted] == counted


@contextmanager
def again(path: Path) -> Iterator[LocalBackend]:
    """A home that is there."""
    home = Home(path)
    with open_local(home, load_settings(home)) as backend:
        yield backend


def told_at(node: LocalBackend, **params: Any) -> list[str]:
    return [event["content"]["text"] for event in whole_from(node, **params) if event["collection"] == "post"]


def test_a_frontier_cursor_means_the_same_at_another_node(tmp_path: Path) -> None:
    """The other node has more logs, in another order, and lacks the newest entries of some."""
    early, late = str(tmp_path / "early"), str(tmp_path / "late")
    with local(tmp_path / "lotus") as lotus, local(tmp_path / "bamboo") as bamboo:
        for node, names in ((lotus, ("an", "bình")), (bamboo, ("chi", "dung"))):
            node.call("account.create", name=names[0])
            node.call("account.create", name=names[1], hosted=True)
        bamboo.call("post", text="of bamboo alone")
        for n in range(30):
            lotus.call("post", text=f"early {n}", by=("an", "bình")[n % 2])
        lotus.call("archive.export", path=early)
        for n in range(3):
            lotus.call("post", text=f"more {n}")
        told = lotus.call("firehose")["cursor"]
        for n in range(4):
            lotus.call("post", text=f"later {n}", by="bình")
        found = lotus.call("firehose.frontier", since=told)
        assert found["cursor"] == told
        assert found["rows"] > 4
        frontier = found["frontier"]
        later = [f"later {n}" for n in range(4)]
        assert told_at(lotus, since=frontier) == later, "at the node itself it is as its cursor"
        assert told_at(lotus, since="begin", seen=frontier) == later

        bamboo.call("archive.import", path=early)
        at_bamboo = told_at(bamboo, since=frontier)
        assert at_bamboo[0] == "of bamboo alone"
        assert {text.split()[0] for text in at_bamboo} == {"of", "early"}, "it lacks what the rows name first"
        assert len(at_bamboo) <= 1 + 4 * 3, "so the next rows tell how far it is"
        here = bamboo.call("firehose")["cursor"]
        lotus.call("archive.export", path=late)
        bamboo.call("archive.import", path=late)
        assert sorted(told_at(bamboo, since=here, seen=frontier)) == later, "what was told elsewhere comes late"
        assert sorted(told_at(bamboo, since=here)) == sorted(later + [f"more {n}" for n in range(3)])
        both = told_at(bamboo, since=frontier)
        assert sorted(both) == sorted(["of bamboo alone", *later])
        own = bamboo.call("firehose.frontier", accounts=["chi"])
        assert own["rows"] < bamboo.call("firehose.frontier")["rows"]
        for wrong in ("f1.", "f1.x", frontier[:-9]):
            with pytest.raises(CallError, match="frontier cursor") as caught:
                bamboo.call("firehose", since=wrong)
            assert caught.value.code == "bad_request"


def test_a_follower_leaves_out_what_comes_again_behind_a_frontier_cursor(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        node.call("account.create", name="an")
        node.call("post", text="một")
        events = whole(node)
    lines = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
    follower = Follower(["http://a.example", "http://b.example"])
    follower.request()
    assert [event.id for event in follower.feed(lines)] == [event["id"] for event in events]
    note = {"kind": "frontier", "cursor": events[-1]["cursor"], "frontier": "f1.x", "time_ms": 0}
    assert not [*follower.feed(msgspec.json.encode(note) + b"\n")]
    while follower.node == "http://a.example":
        follower.failed()
    assert "f1.x" in follower.request().target
    assert not [*follower.feed(lines)], "the other node got it later, and tells it"


def test_cursors_that_were_read_are_kept_within_so_many_bytes() -> None:
    def text(n: int) -> str:
        logs = [LogId(AccountId(b32(f"{n} {k}")), WriterKey(b32("device")), 1) for k in range(100)]
        return encode_frontier_cursor(CursorRow(log, 0, EntryId(b32("an entry"))) for log in logs)

    texts = [text(n) for n in range(5)]
    read = remembering(250 * ROW_BYTES)
    first = read(texts[0])
    assert read(texts[0]) is first
    for one in texts:
        assert read(one).count == 100
    assert read(texts[4]) is read(texts[4])
    assert read(texts[3]) is read(texts[3]), "two have room"
    assert read(texts[0]) is not first
    unheld = remembering(99 * ROW_BYTES)
    assert unheld(texts[0]) is not unheld(texts[0]), "what has no room at all is not held"
    with pytest.raises(Malformed):
        read("f1.?")


def test_another_branch_than_the_one_that_was_told_is_told(tmp_path: Path) -> None:
    """One device wrote in two homes, so its log is forked, and each node holds one branch."""
    wrote(tmp_path / "home", [*range(6), 6, 7, 8])
    wrote(tmp_path / "twin", [*range(6), 10, 11, 12, 13])
    with rig(tmp_path / "home") as node:
        frontier = node.call("firehose.frontier")["frontier"]
    with rig(tmp_path / "twin") as twin:
        told = [int(text.split()[1].rstrip(":")) for text in told_at(twin, since=frontier)]
        assert told[-4:] == [10, 11, 12, 13]


def test_a_run_whose_entries_came_apart_is_told_once_in_a_page(tmp_path: Path) -> None:
    """Here in its middle another branch came, which is gone."""
    log, _ = wrote(tmp_path / "home", [0, 1, 2], each_signed=False)
    _, run = wrote(tmp_path / "twin", [0, 1, 3, 4], each_signed=False)
    with filling(tmp_path / "home") as author:
        author.store.rewrite(log, run, [], head_of(run), 0)
    with rig(tmp_path / "home") as node:
        items = node.call("firehose.runs", since="begin", collections=["post"])["items"]
        assert [item["entries"] for item in items if "post" in item["collections"]] == [4]


def wrote(home: Path, numbers: list[int], each_signed: bool = True) -> tuple[LogId, list[Entry]]:
    """A new home in which account 0 wrote these posts. Returns its log."""
    with filling(new_home(home)) as author:
        an, _ = open_account(author, 0)
        write_in_turn(author, iter([(an, [post(an, n) for n in numbers])]), each_signed)
        return an.log, author.store.chain(an.log)


@contextmanager
def rig(path: Path) -> Iterator[LocalBackend]:
    """The node of such a home."""
    home = Home(path)
    with open_local(home, load_settings(home, node__realm="test")) as backend:
        yield backend


def runs_of(node: LocalBackend, limit: int = 500, **params: Any) -> Iterator[StreamFrame]:
    """The frames of all that is held, as the door sends them."""
    reader, since, more = FrameReader(), "begin", True
    while more:
        page = node.call("firehose.runs", since=since, limit=limit, **params)
        assert page["cursor"] != since or not page["more"], "else a reader never ends"
        for item in page["items"]:
            raw = b64decode(item["frames"]) + frame(PLACE, item["cursor"].encode(), 0)
            yield from reader.feed(raw[:7])
            yield from reader.feed(raw[7:])
        since, more = page["cursor"], page["more"]
    assert reader.is_whole


def test_signed_entries_are_told_once_each_with_their_content_and_verified(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        an = node.call("account.create", name="an")["account"]
        node.call("account.create", name="bình", hosted=True)
        operations = [
            {"id": f"{n}", "as": ("an", "bình")[n % 2], "do": "post", "text": f"bài {n} " + "dài" * n}
            for n in range(40)
        ]
        node.call("bulk.write", operations=operations)
        uri = node.call("post", text="cuối")["uri"]
        node.call("react", uri=uri, emoji="🌸", by="bình")
        node.call("profile.set", fields={"bio": "phở"}, by="bình")
        node.call("account.rotate")
        every = {event["entry"]: event for event in whole(node)}
        for limit in (1, 7, 500):
            verifier, told, cursors = RunsVerifier(node.context.realm), list[VerifiedEntry](), list[str]()
            for one in runs_of(node, limit):
                if found := verifier.take(one):
                    told += found.entries
                    cursors.append(found.cursor)
                    assert found.unproved == []
            assert [one.entry.id.hex() for one in told] == list(every), "in the same order, each once"
            assert cursors[-1] == node.call("firehose")["cursor"]
            texts = [raw for one in told for raw in one.contents.values()]
            for event in every.values():
                if event["collection"] == "post":
                    assert any(event["content"]["text"].encode() in raw for raw in texts)
        reactions = node.call("firehose.runs", since="begin", collections=["reaction"])["items"]
        assert {name for item in reactions for name in item["collections"]} == {"account", "reaction"}
        control = FrameReader().feed(b64decode(node.call("firehose.control", account=an)["frames"]))
        assert next(control).kind == CONTROL
        frames = list(runs_of(node))
        altered = [at for at, one in enumerate(frames) if one.kind in (RUN, CONTROL, PARTS)][::5]
        assert len(altered) > 5
        assert all(is_refused(node.context.realm, frames, at) for at in altered)


def test_what_came_in_one_piece_under_one_signature_is_told_so(tmp_path: Path) -> None:
    with filling(new_home(tmp_path / "home")) as author:
        people = [open_account(author, n)[0] for n in range(3)]
        work = [(one, [post(one, n) for n in range(first, first + 9)]) for first in (0, 9, 18) for one in people]
        write_in_turn(author, iter(work), each_signed=False)
    with rig(tmp_path / "home") as node:
        every = whole(node)
        for limit in (1, 500):
            items = []
            verifier, told = RunsVerifier(node.context.realm), list[str]()
            for one in runs_of(node, limit):
                items.append(one.kind)
                if found := verifier.take(one):
                    told += [entry.entry.id.hex() for entry in found.entries]
            assert told == list(dict.fromkeys(event["entry"] for event in every))
            assert items.count(RUN) == len(work)
        middle = next(event["cursor"] for event in every if event["seq"] == 4 and event["log"])
        item = node.call("firehose.runs", since=middle, limit=1)["items"][0]
        assert item["entries"] == 4, "the rest of a run, up to its signature"
        for event in whole(node, proof=True):
            proven(node.context.realm, event)
        place, frontier = middle, node.call("firehose.frontier", since=middle)["frontier"]
        rest = [event["id"] for event in whole_from(node, since=place)]
        assert [event["id"] for event in whole_from(node, since=frontier)] == rest


def is_refused(realm: Realm, frames: list[StreamFrame], wanted: int) -> bool:
    """Whether a node is caught that alters one frame of a stream."""
    verifier = RunsVerifier(realm)
    for at, one in enumerate(frames):
        if at == wanted:
            values = list(one.values)
            raw = bytearray(encode(values[1]))
            raw[len(raw) * 2 // 3] ^= 1
            try:
                one = StreamFrame(one.kind, (values[0], decode(bytes(raw))))
            except Reject:
                return True
        try:
            verifier.take(one)
        except (Reject, NotYet):
            return True
    return False
