"""The API accepts, answers and documents what is declared; reads do not wait for writers; cursors stay valid."""

from __future__ import annotations

import ast
import json
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio
from msgspec import inspect
from PIL import Image

from banyan_charter.acts import encode_act
from banyan_charter.values import Parameters
from banyan_crdt.ids import EntryId, Head, LogId, WriterKey, account_from_text
from banyan_crdt.realm import REALMS
from banyan_crdt.sealing import Opener
from banyan_node.api import LocalBackend, reference
from banyan_node.api.decode import no_such_method, request
from banyan_node.api.dispatch import EVERY
from banyan_node.api.event_stream import TOLD, Events
from banyan_node.api.methods.network import network_view
from banyan_node.api.reference import document
from banyan_node.context import Context
from banyan_node.home.folder import find_home
from banyan_node.home.recovery import carrier_key, first_recovery, first_root, new_words, next_root
from banyan_node.hosting import hosted
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.server.servers import find_running
from banyan_node.workers.inbox import Arrivals
from banyan_storage.local_tables import HOSTED_AT, HOSTED_COUNT
from tests.forking import Code
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_policy import Members
from tests.storage.accounts import Account, head_of, open_engine, open_store

ROOT = Path(__file__).parents[2]
SECRET = "5e" * 31 + "zz"


@contextmanager
def local(path: Path) -> Iterator[LocalBackend]:
    home = make_home(path)
    with open_local(home, load_settings(home)) as backend:
        yield backend


def refusal(method: str, **params: Any) -> str:
    with pytest.raises(CallError) as caught:
        request(EVERY[method], params)
    assert (caught.value.code, caught.value.status) == ("bad_request", 400)
    return caught.value.message


# -- what is taken


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("post", {"txet": "a"}, "post has no parameter 'txet'; did you mean 'text'?"),
        ("status", {"verbose": True}, "status has no parameter 'verbose'; it takes none."),
        ("delete", {"uri": "a", "colour": 1}, "delete has no parameter 'colour'; it takes uri."),
        ("post", {}, "post needs 'text', a text; it got nothing."),
        ("post", {"text": None}, "post takes 'text' as a text; it got nothing."),
        ("post", {"text": 7}, "post takes 'text' as a text; it got 7."),
        (
            "label.put",
            {"about": "a", "name": "x" * 65},
            f"label.put takes 'name' as a text of at most 64 characters; it got '{'x' * 59}….",
        ),
        ("feed", {"limit": "20"}, "feed takes 'limit' as a whole number from 0 to 1000; it got '20'."),
        ("feed", {"limit": 1001}, "feed takes 'limit' as a whole number from 0 to 1000; it got 1001."),
        ("feed", {"limit": True}, "feed takes 'limit' as a whole number from 0 to 1000; it got True."),
        ("feed", {"all": 1}, "feed takes 'all' as true or false; it got 1."),
        ("follow", {"account": ["a"]}, "follow takes 'account' as an account; it got ['a']."),
        ("account.cut", {"writer": "12"}, "account.cut takes 'writer' as 64 hexadecimal digits; it got '12'."),
        (
            "account.rotate",
            {"seed": SECRET},
            "account.rotate takes 'seed' as 64 hexadecimal digits; it got something else.",
        ),
        ("import.begin", {"kind": "film", "source": "", "batches": 1}, "graph or posts; it got 'film'."),
        ("profile.set", {"fields": {"bio": 1}}, "profile.set takes 'fields' as an object; expected `str`, got `int`"),
        ("account.recover", {"keep": ["x"]}, "account.recover takes 'keep' as a list, each 64 hexadecimal digits;"),
    ],
)
def test_what_a_method_does_not_take_is_refused_by_name(method: str, params: dict[str, Any], says: str) -> None:
    assert says in refusal(method, **params)


LONG = "a" * 1_000_000
"""Read as a number in base58, it would take an hour."""


def test_a_refusal_stays_a_sentence_however_long_what_it_refuses(tmp_path: Path) -> None:
    with local(tmp_path / "home") as node:
        for method, params in (
            ("account.show", {"account": LONG}),
            ("account.show", {"account": f"did:banyan:z{LONG}"}),
            ("thread", {"uri": LONG}),
            ("thread", {"uri": f"did:banyan:z{LONG}/{'0' * 32}"}),
            ("find", {"text": LONG}),
            ("items.list", {"collection": LONG}),
            ("import.end", {"id": LONG}),
            ("store.rebuild", {"view": LONG}),
            ("post", {LONG: 1}),
            (LONG, {}),
        ):
            try:
                said = str(node.call(method, **params))
            except CallError as error:
                said = error.message
            assert len(said) < 600, method  # one lists all collections


def test_a_method_that_is_not_there_is_answered_with_the_nearest() -> None:
    assert "did you mean 'account.show'?" in no_such_method("account.shwo", EVERY).message
    assert "/openapi.json" in no_such_method("zzz", EVERY).message


def test_null_means_an_omitted_optional_parameter() -> None:
    assert request(EVERY["post"], {"text": "a", "lang": None, "as": None}) == request(EVERY["post"], {"text": "a"})


# -- what is answered


def test_every_answer_is_what_is_declared_for_it(tmp_path: Path) -> None:
    """Ids and cursors too: each has a pattern, and decoding checks it."""
    with local(tmp_path / "home") as node:

        def ask(method: str, **params: Any) -> Any:
            answer = node.call(method, **params)
            msgspec.convert(answer, EVERY[method].answers)
            return answer

        mine = ask("account.create", name="an")["account"]
        user = ask("account.create", name="bình", hosted=True)["account"]
        uri = ask("post", text="một", lang="vi")["uri"]
        answer = ask("reply", uri=uri, text="hai", by="bình")["uri"]
        ask("quote", uri=uri, text="ba", by=user)
        ask("edit", uri=uri, text="bốn")
        ask("react", uri=uri, emoji="🌸")
        ask("repost", uri=answer)
        ask("pin", uri=uri)
        ask("follow", account="bình")
        ask("mute", account="bình")
        ask("mute", account="bình", undo=True)
        ask("profile.set", fields={"bio": "x"})
        assert ask("profile.get")["following"] == [{"account": user, "name": "bình"}]
        above = ask("feed", all=True, limit=2)
        assert len(ask("feed", all=True, before=above["before"])["posts"]) == 1
        assert [p["depth"] for p in ask("thread", uri=answer)["posts"]] == [0, 1]
        ask("account.grant", writer="12" * 32, until=2_000_000_000_000, colls=["post"])
        ask("account.pin")
        ask("account.cut", writer="12" * 32)
        ask("account.rotate")
        shown = ask("account.show")
        assert shown["own"]
        assert shown["cuts"]
        assert shown["pins"]
        assert ask("account.list", limit=1)["after"] == mine
        ask("content.withhold", uri=uri, order="QĐ 1")
        ask("content.release", uri=uri)
        ask("delete", uri=answer)
        for method in ("id", "status", "digest", "graph.stats", "store.stats", "store.verify"):
            ask(method)
        ask("account.export", account="an", path=str(tmp_path / "an"))
        ask("archive.export", path=str(tmp_path / "archive"))
        ask("archive.import", path=str(tmp_path / "archive"))
        begun = ask("import.begin", kind="graph", source="x", batches=1)["id"]
        ask("import.batch", id=begun, number=0, rows=[{"accounts": ["lan"]}])
        ask("import.end", id=begun)
        ask("account.await", account="lan")
        assert ask("account.arrival", account="lan")["held"]
        words = new_words()
        root, key = first_root(words), first_recovery(words)
        seeds = {"root": root.seed.hex(), "recovery": key.seed.hex(), "carrier": carrier_key(words).hex()}
        following = {"root_following": root.following.hex(), "recovery_following": key.following.hex()}
        ask("account.handover", account="lan", **seeds, **following)
        ask("account.take", account="lan", root=(next_root(words, root.following) or b"").hex())
        ask("account.close", account="lan")


def test_a_second_account_of_the_node_itself_is_refused_and_nothing_made(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        mine = node.call("account.create", name="Lotus")["account"]
        with pytest.raises(CallError, match=f"has its own account, {mine}; for a user's account give 'hosted': true"):
            node.call("account.create", name="an")
        assert [a["name"] for a in node.call("account.list")["accounts"]] == ["Lotus"]
        made = node.call("account.create", name="an", hosted=True)
        assert made["created"]
        assert node.call("account.create", name="an", hosted=True) == {**made, "created": False}


def test_accounts_are_counted_and_paged_in_the_order_in_which_they_were_opened(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        node.call("account.create", name="Lotus")
        names = [f"người {k}" for k in range(7)]
        for name in names:
            node.call("account.create", name=name, hosted=True)
        found, after = [], None
        while True:
            listed = node.call("account.list", limit=3, after=after)
            assert listed["count"] == 8
            found += [a["name"] for a in listed["accounts"]]
            after = listed["after"]
            if after is None:
                break
        assert found == ["Lotus", *names]
        with pytest.raises(CallError, match="is not hosted here"):
            node.call("account.list", after="did:banyan:z" + "1" * 32)


def test_accounts_of_a_store_without_the_index_are_listed_and_then_indexed(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        for k in range(4):
            node.call("account.create", name=f"người {k}", hosted=True)
        before = node.call("account.list")
        store = node.context.store
        for key, _ in [*store.notes(HOSTED_AT.prefix), *store.notes(HOSTED_COUNT.prefix)]:
            store.put_note(key, None)
        store.commit()
        assert node.call("account.list") == before
        assert node.call("account.list", after=before["accounts"][1]["account"])["accounts"] == before["accounts"][2:]
        node.call("account.create", name="người 4", hosted=True)
        assert len([*HOSTED_AT.keys(store)]) == node.call("account.list")["count"] == 5


def test_a_recovered_account_whose_keys_have_the_index_of_the_own_one_is_listed_beside_it(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        own = node.call("account.create", name="Lotus", hosted=False)["account"]
        user = node.call("account.create", name="An", hosted=True)["account"]
        hosted.note(node.context, hosted.LocalAccount(account_from_text(user), hosted.OWN_INDEX, "An"), False)
        node.context.store.commit()
        listed = node.call("account.list")
        assert {a["account"] for a in listed["accounts"]} == {own, user}
        assert listed["count"] == 2


# -- what is documented


def test_the_reference_has_a_section_for_every_method_and_no_link_leads_nowhere() -> None:
    text = reference.reference()
    sections = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert {*EVERY} <= {*sections}
    anchors = {section.lower().replace(".", "").replace(" ", "-") for section in sections}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= anchors


def test_the_commands_in_the_page_use_the_default_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert str(find_home(env={}).path) == str(Path.home() / ".local/share/banyan")
    assert "NODE=${BANYAN_HOME:-$HOME/.local/share/banyan}\n" in (ROOT / "docs/api.md").read_text("utf-8")


def test_the_openapi_document_has_every_method_and_no_reference_leads_nowhere() -> None:
    found = document(EVERY)
    schemas = found["components"]["schemas"]

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(ref := value.get("$ref"), str):
                yield ref
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    refs = set(walk(found))
    assert refs
    assert {ref.removeprefix("#/components/schemas/") for ref in refs} <= set(schemas)
    for name, method in EVERY.items():
        operation = found["paths"][f"/v1/{name}"]["post"]
        assert operation["summary"]
        assert operation["x-kind"] == method.kind
        assert not schemas[method.asks.__name__].get("additionalProperties", True)
    for path, (operation,) in ((path, said.values()) for path, said in found["paths"].items()):
        wanted = {"200", "403"} if operation.get("security") == [] else {"200", "401", "403"}
        assert wanted <= set(operation["responses"]), path
    assert {"200", "206", "304", "404", "416"} <= set(found["paths"]["/v1/media/{blob}"]["get"]["responses"])
    assert msgspec.json.decode(msgspec.json.encode(found)).keys() == found.keys()


def test_all_that_the_replica_tells_is_an_event() -> None:
    told = {
        node.args[0].value
        for room in (ROOT / "replica", ROOT / "node" / "banyan_node" / "api")
        for file in room.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.lstrip("_") == "tell"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert told == {*TOLD, "entries", "control", "charter"}


# -- with a running node


@contextmanager
def held(node: Node) -> Iterator[None]:
    """Blocks the replica's thread."""
    busy, go_on = threading.Event(), threading.Event()

    def hold(context: Any, now: float) -> None:
        busy.set()
        go_on.wait(60)

    node.worker.post(hold)
    assert busy.wait(60)
    try:
        yield
    finally:
        go_on.set()


def test_every_method_is_declared_read_or_write_and_no_read_runs_where_is_written() -> None:
    for method in EVERY.values():
        assert method.kind in ("read", "write")
        assert (method.runs == "replica") <= (method.kind == "write"), method.name


BESIDE = """
import json, sys
from pathlib import Path
from msgspec import to_builtins
from banyan_crdt.realm import REALMS
from banyan_node.api.worker_reads import StoreReads
from banyan_node.api.decode import request
from banyan_node.api.dispatch import EVERY
from banyan_node.home.folder import Home
reads = StoreReads(Home(Path(sys.argv[1])), REALMS[sys.argv[2]], bytes.fromhex(sys.argv[3]))
for line in sys.stdin:
    name, params = json.loads(line)
    print(json.dumps(to_builtins(reads.answer(EVERY[name], request(EVERY[name], params)))), flush=True)
reads.close()
"""


@contextmanager
def reading_beside(node: Node) -> Iterator[Callable[[str, dict[str, Any]], Any]]:
    """Asks a process that reads the node's store, and not the node."""
    key = Opener(node.keys.device_seed()).opening_key
    with Code(BESIDE, node.home.path, node.settings.config.node.realm, key.hex()) as process:

        def ask(name: str, params: dict[str, Any]) -> Any:
            print(json.dumps([name, params]), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield ask


async def test_every_read_is_answered_while_the_writer_is_busy_and_sees_what_was_answered_before(
    tmp_path: Path,
) -> None:
    """All except `diff`, which must ask the peer first."""
    async with (
        running(make_node(make_home(tmp_path / "a"))) as other,
        running(make_node(make_home(tmp_path / "b"), [other.edge.addresses[0]])) as node,
    ):
        await node.backend.call("account.create", {"name": "An"})
        await converged([other, node])
        (tmp_path / "vi.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nmột\n")
        blob = (await node.backend.call("media.put", {"path": str(tmp_path / "vi.vtt")}))["blob"]
        Image.new("RGB", (4, 4)).save(tmp_path / "anh.png")
        uri = (await node.backend.call("post", {"text": "một", "media": [{"blob": blob}]}))["uri"]
        friends = (await node.backend.call("list.set", {"title": "bạn"}))["id"]
        group = (await node.backend.call("group.create", {"name": "nhóm"}))["uri"]
        told = {"title": "tết", "begins": 2_000_000_000_000, "zone": "UTC"}
        event = (await node.backend.call("event.create", told))["uri"]
        channel = (await node.backend.call("channel.set", {"title": "kênh"}))["uri"]
        playlist = (await node.backend.call("playlist.set", {"title": "nghe", "posts": [uri]}))["uri"]
        (item,) = (await node.backend.call("items.list", {"collection": "post"}))["items"]
        await node.backend.call("account.create", {"name": "Bình", "hosted": True})
        report = (await node.backend.call("report.add", {"account": "An", "posts": [uri], "as": "Bình"}))["id"]
        await node.backend.call("account.create", {"name": "Chi", "hosted": True})
        await node.backend.call("account.erase", {"account": "Chi", "confirm": "Chi", "reason": "xin", "days": 9})
        mine = account_from_text((await node.backend.call("id", {}))["account"])
        made = Members(REALMS[node.settings.config.node.realm], [mine], Parameters())
        founding, *signed = [b64encode(encode_act(act)).decode() for act in (made.founding, *made.founded)]
        await node.backend.call("alliance.follow", {"founding": founding})
        await node.backend.call("alliance.offer", {"acts": signed})
        before = {name: await node.backend.call(name, {}) for name in ("status", "peers", "id", "account.show")}
        await node.backend.call("account.export", {"account": "An", "path": str(tmp_path / "an.banyan")})
        archive = b64encode((tmp_path / "an.banyan").read_bytes()).decode()
        given: dict[str, dict[str, Any]] = {
            "entries.look": {"archive": archive, "account": before["id"]["account"]},
            "idempotency.find": {"name": "0" * 32},
            "thread": {"uri": uri},
            "post.get": {"uri": uri},
            "post.proof": {"uri": uri},
            "reactions": {"uri": uri},
            "reposts": {"uri": uri},
            "repost.find": {"account": "An", "time_ms": 1, "short": "0" * 32},
            "find": {"text": "An"},
            "report.show": {"id": report},
            "alliance.quota": {"member": made.founding.seats[0].domain.decode()},
            "account.standing": {"account": "An"},
            "account.erasure": {"account": "Chi"},
            "list.show": {"id": friends},
            **{f"group.{what}": {"group": group} for what in ("show", "feed", "members", "requests")},
            **{f"event.{what}": {"event": event} for what in ("show", "replies")},
            "channel.show": {"channel": channel},
            "episode.list": {"channel": channel},
            "playlist.show": {"playlist": playlist},
            "handle.find": {"handle": "an@vn.example"},
            "search": {"question": "một"},
            "tagged": {"tags": ["một"]},
            "linked.page": {"path": str(tmp_path / "vi.vtt")},
            "linked.picture": {"path": str(tmp_path / "anh.png")},
            "note": {"account": "An"},
            "why": {"uri": uri},
            "relationship": {"account": "An"},
            "relationships": {"accounts": ["An"]},
            "profiles": {"accounts": ["An"]},
            "accounts.search": {"text": "an"},
            "accounts.seen": {"accounts": ["An"]},
            "media.show": {"blob": blob},
            "media.read": {"blob": blob},
            "firehose": {"since": "begin", "proof": True},
            "firehose.runs": {"since": "begin"},
            "firehose.control": {"account": "An"},
            "media.shown": {"blob": blob},
            "posts.get": {"uris": [uri]},
            "items.list": {"collection": "post"},
            "items.get": {"collection": "post", "key": item["key"]},
            "archive.export": {"path": str(tmp_path / "archive")},
            "account.export": {"account": "An", "path": str(tmp_path / "an")},
        }
        reads = {m.name for m in EVERY.values() if m.kind == "read"} - {"diff"}
        assert {*before, *given, "feed", "profile.get"} <= reads
        with reading_beside(node) as beside, held(node), trio.fail_after(60):
            for method in sorted(reads):
                answer = await node.backend.call(method, given.get(method, {}))
                if EVERY[method].apart and "export" not in method:  # what a process beside the node reads is the same
                    assert beside(method, given.get(method, {})) == answer, method
                assert node.worker.waiting <= 64, "frames of the peer alone may wait"
                if method == "feed":
                    assert [p["uri"] for p in answer["posts"]] == [uri]
                if method == "status":
                    assert answer["entries"] == before["status"]["entries"]
                    assert answer["peers"] == 1
                if method == "peers":
                    assert [p["peer"] for p in answer] == [p["peer"] for p in before["peers"]]
                if method in ("id", "account.show"):
                    assert answer == before[method]


async def test_what_was_done_to_a_peer_is_seen_by_the_next_read(tmp_path: Path) -> None:
    peer = "12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV"
    async with running(make_node(make_home(tmp_path))) as node:
        for _ in range(20):
            await node.backend.call("peers.ban", {"peer": peer})
            assert [p["peer"] for p in await node.backend.call("peers", {})] == [peer]
            await node.backend.call("peers.pardon", {"peer": peer})
            assert await node.backend.call("peers", {}) == []


async def test_a_comparison_is_worked_out_beside_the_writer(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        made = await a.backend.call("account.create", {"name": "An"})
        await converged([a, b])
        account = account_from_text(made["account"])

        def say(c: Context, now: float) -> network_view.PeerFacts:
            (link,) = c.replica.links.values()
            link.told.differences[LogId(account, WriterKey(bytes(32)), 7)] = Head(3, EntryId(bytes(32)), 0)
            return network_view.facts(c, link.peer, now)

        known = await b.worker.call(say)
        with held(b), trio.fail_after(60):
            (row,) = await b.look(lambda at: network_view.differences(at, known))
        assert (row.log, row.mine, row.theirs, row.reason) == (7, 0, 3, "not yet granted")


async def test_the_document_is_served_and_a_misspelt_parameter_refused_over_http(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path))) as node:
        endpoint, token = find_running(node.home)
        async with httpx.AsyncClient(
            base_url=endpoint.endpoint.url, headers={"authorization": f"Bearer {token}"}, trust_env=False
        ) as http:
            assert (await http.get("/openapi.json")).json()["openapi"] == "3.1.0"
            answer = await http.post("/v1/post", json={"txet": "a"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
            assert "did you mean 'text'?" in answer.json()["error"]["message"]
            assert (await http.get("/v1/events?form=1")).status_code == 400
            assert (await http.get("/v1/events?since=abc")).status_code == 400


# -- events


async def heard(node: Node, until: int, **params: str) -> list[Any]:
    """Events until one says that the log has so many entries."""
    found = []
    with trio.fail_after(60):
        async with aclosing(await node.backend.events(params)) as events:
            async for event in events:
                found.append(event)
                if event.get("length") == until:
                    return found
    raise AssertionError(found)


async def begun(node: Node, **params: str) -> Any:
    async with aclosing(await node.backend.events(params)) as events:
        return await anext(events)


async def test_a_cursor_stays_good_when_the_node_starts_again(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    async with running(make_node(home)) as node:
        await node.backend.call("account.create", {"name": "An"})
        cursor = (await begun(node))["cursor"]
        for k in range(3):
            await node.backend.call("post", {"text": f"tin {k}"})
        told = await heard(node, 4, since=cursor)
        assert [e["event"] for e in told] == ["begin", "entries"]
        assert (told[1]["entries"], told[1]["length"]) == (3, 4)
        last = told[-1]["cursor"]
    async with running(make_node(home)) as node:
        own = (await node.backend.call("account.show", {}))["logs"]
        (log,) = [row for row in own if row["own"]]
        again = await heard(node, 4, since=cursor)
        assert again[1]["log"] == {"account": told[1]["log"]["account"], "writer": log["writer"], "log": log["log"]}
        assert {k: v for k, v in again[1].items() if k != "time_ms"} == {
            k: v for k, v in told[1].items() if k != "time_ms"
        }
        async with aclosing(await node.backend.events({"since": last})) as events:
            assert (await anext(events))["event"] == "begin"
            await node.backend.call("post", {"text": "sau"})
            event = await anext(events)
            assert (event["event"], event["length"], event["entries"]) == ("entries", 5, 1)
            assert event["head"] != event["log"]["account"]
            assert not event["head"].startswith("did:")


async def test_a_cursor_of_another_store_or_of_a_later_state_is_refused(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path))) as node:
        cursor = (await begun(node))["cursor"]
        store, _, number = cursor.partition("-")
        for gone in (f"{store}-{int(number) + 1}", f"{'0' * 16}-{number}"):
            with pytest.raises(CallError, match="then follow the events without `since`") as caught:
                await node.backend.events({"since": gone})
            assert (caught.value.code, caught.value.status) == ("cursor_gone", 410)
        for bad in ("", "1", f"{store}-", f"{store}-x", f"{store}-1\n"):
            with pytest.raises(CallError, match="is no cursor"):
                await node.backend.events({"since": bad})


async def test_a_slow_reader_is_told_what_it_missed_and_no_entry_is_lost(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path), limits__event_queue="16")) as node:
        await node.backend.call("account.create", {"name": "An"})
        async with aclosing(await node.backend.events({})) as events:
            assert (await anext(events))["event"] == "begin"
            for k in range(60):
                await node.backend.call("post", {"text": f"tin {k}"})
            lost, lengths = 0, []
            with trio.fail_after(60):
                async for event in events:
                    lost += event.get("events", 0)
                    if event["event"] == "entries":
                        lengths.append(event["length"] - event["entries"])
                        if event["length"] == 61:
                            break
        assert lost > 16
        assert lengths == sorted(lengths)
        assert lengths[0] == 1


async def test_a_stream_misses_nothing_that_is_told_while_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each post falls into the time between the look at how far the store has come and the reader's first event."""
    async with running(make_node(make_home(tmp_path))) as node:
        await node.backend.call("account.create", {"name": "An"})
        look = Events._last

        def last(events: Events) -> int:
            found = look(events)
            trio.from_thread.run(node.backend.call, "post", {"text": "meanwhile"})
            return found

        monkeypatch.setattr(Events, "_last", last)
        async with aclosing(await node.backend.events({})) as events:
            begin = await anext(events)
            with trio.fail_after(60):
                event = await anext(events)
        assert (begin["event"], event["event"], event["length"]) == ("begin", "entries", 2)


async def test_what_comes_while_a_stream_reads_what_was_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two posts fall between the listening and the reading of the store, which tells of them already."""
    async with running(make_node(make_home(tmp_path))) as node:
        await node.backend.call("account.create", {"name": "An"})
        since = (await begun(node))["cursor"]
        read = Events._arrived

        def arrived(events: Events, after: int) -> Any:
            for _ in range(2):
                trio.from_thread.run(node.backend.call, "post", {"text": "meanwhile"})
            monkeypatch.setattr(Events, "_arrived", read)
            return read(events, after)

        monkeypatch.setattr(Events, "_arrived", arrived)
        async with aclosing(await node.backend.events({"since": since})) as events:
            with trio.fail_after(60):
                begin, both = [await anext(events) for _ in range(2)]
                await node.backend.call("post", {"text": "after"})
                after = await anext(events)
        assert (begin["event"], both["entries"], both["length"]) == ("begin", 2, 3)
        assert (after["entries"], after["length"]) == (1, 4)


async def in_place(do: Callable[..., Any], *args: Any) -> Any:
    return do(*args)


async def test_entries_that_do_not_count_are_no_events() -> None:
    store, account = open_store(open_engine("memory", Path())), Account("an")
    account.open(store)
    account.write(store, 5)
    store.shorten(account.log, head_of(account.chain[:3], flag=1), 0)
    store.commit()
    events = Events(store.snapshot, in_place)
    async with aclosing(await events.follow({"since": f"{store.store_id.hex()[:16]}-0"}, 9)) as told:
        found = [await anext(told) for _ in range(3)]
    assert [event["event"] for event in found] == ["begin", "control", "entries"]
    assert (found[2]["entries"], found[2]["length"]) == (3, 3)


@pytest.mark.parametrize("waiting", [False, True])
async def test_who_follows_as_the_store_becomes_another_is_told_nothing(waiting: bool) -> None:
    """waiting: for how far the store has come; else until the first event is read."""
    store = open_store(open_engine("memory", Path()))
    store.commit()

    async def meanwhile(do: Callable[..., Any], *args: Any) -> Any:
        if waiting:
            events.tell("another", {"store": bytes(16)}, Arrivals(0, 0))
        return do(*args)

    events = Events(store.snapshot, meanwhile)
    told = await events.follow({"since": f"{store.store_id.hex()[:16]}-0"}, 9)
    if not waiting:
        events.tell("another", {"store": bytes(16)}, Arrivals(0, 0))
    with pytest.raises(StopAsyncIteration):
        await anext(told)


async def test_a_stream_that_nobody_began_to_read_keeps_nothing(tmp_path: Path) -> None:
    """Its client left while the answer began."""
    async with running(make_node(make_home(tmp_path))) as node:
        await (await node.backend.events({})).aclose()
        assert node.backend._events._listening == []


async def test_an_event_comes_after_what_it_tells_of_is_in_the_store(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path))) as node:
        await node.backend.call("account.create", {"name": "An"})
        async with aclosing(await node.backend.events({})) as events:
            await anext(events)
            for k in range(5):
                await node.backend.call("post", {"text": f"tin {k} {time.time()}"})
                event = await anext(events)
                later = await begun(node, since=event["cursor"])
                assert later["cursor"] == event["cursor"]
                assert (await heard(node, event["length"], since=event["cursor"]))[-1]["head"] == event["head"]


def _patterns(kind: inspect.Type) -> Iterator[str]:
    """Those of the texts in a type."""
    match kind:
        case inspect.StrType(pattern=str(pattern)):
            yield pattern
        case inspect.Metadata(type=inner) | inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            yield from _patterns(inner)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _patterns(one)
        case inspect.DictType(key_type=key, value_type=value):
            yield from (*_patterns(key), *_patterns(value))


def test_no_refusal_of_a_text_shows_a_pattern() -> None:
    seen = 0
    for name, method in EVERY.items():
        info = inspect.type_info(method.asks)
        assert isinstance(info, inspect.StructType)
        for field in info.fields:
            if patterns := [*_patterns(field.type)]:
                seen += 1
                for odd in ("\0?", ["\0?"], {"\0?": "\0?"}):
                    with pytest.raises(CallError) as refused:
                        request(method, {field.encode_name: odd})
                    said = str(refused.value)
                    assert "regex" not in said, (name, said)
                    assert not any(pattern in said for pattern in patterns), (name, said)
    assert seen > 50
