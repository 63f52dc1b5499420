"""The platform API: accounts of a platform's users, and what they say, with a real node and a real door."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio
from starlette.requests import Request

from banyan_crdt.ids import account_from_text
from banyan_node.context import Context
from banyan_node.home.recovery import commitment
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_schema.social import relate
from banyan_web.mastodon.entity_ids import account_id
from banyan_web.platform import json_lines
from banyan_web.rate_limits import RateLimits
from tests.web.door import Client, Door, open_node

NDJSON = {"content-type": "application/x-ndjson"}


def platform(door: Door, *scopes: str) -> Client:
    """A platform's own backend."""
    made = Client(door.url, door.store.mint(None, "lotus", scopes or ("read", "write", "host")))
    door._clients.append(made)
    return made


def ndjson(rows: Iterable[Any]) -> bytes:
    return b"".join(row + b"\n" if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


async def send(client: Client, path: str, rows: Iterable[Any], **headers: str) -> list[dict[str, Any]]:
    answer = await client.http.post(path, content=ndjson(rows), headers=NDJSON | headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(row) for row in answer.text.splitlines()]


async def open_accounts(client: Client, *names: str) -> list[str]:
    rows = await send(client, "/v1/accounts/bulk", [{"name": name} for name in names])
    assert [row["status"] for row in rows] == [200] * len(names), rows
    return [row["account"] for row in rows]


async def test_a_platform_opens_an_account_and_hands_its_user_a_recovery_key(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        made = await client.post("/v1/accounts", name="an", profile={"bio": "phở"})
        assert made["name"] == "an"
        words = made["recovery_words"]
        assert len(words.split()) == 24
        shown = await door.node.backend.call("account.show", {"account": made["account"]})
        slot = shown["keys"][1]
        assert (slot["current"] + slot["next"], slot["held"]) == (commitment(words), False)
        assert (await door.node.backend.call("profile.get", {"account": "an"}))["fields"] == {
            "name": "an",
            "bio": "phở",
        }
        again = await client.post("/v1/accounts", name="an", profile={"bio": "phở"})
        assert again == {**made, "repeated": True}
        refused = await client.post("/v1/accounts", 409, name="an", profile={"bio": "bún"})
        assert "another profile" in refused["error"]
        other = Client(door.url, door.store.mint(None, "lotus", ("host",)))
        async with other.http:
            assert (
                "under another token"
                in (await other.post("/v1/accounts", 409, name="an", profile={"bio": "phở"}))["error"]
            )
        assert words.encode() not in b"".join(p.read_bytes() for p in tmp_path.glob("door.db*"))
        own = await client.post("/v1/accounts", name="bình", recovery=commitment(words))
        assert own["recovery_words"] is None
        stranger = platform(door, "host")
        stranger.http.headers["authorization"] = f"Bearer {door.store.mint(None, 'other', ('host',))}"
        taken = await stranger.post("/v1/accounts", 409, name="an")
        assert "exists with another recovery key" in taken["error"]


async def test_a_name_is_found_as_it_is_written_first_and_then_in_small_letters(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        small, large = await open_accounts(platform(door), "an", "AN")
        client = door.client()
        for name, account in (("an", small), ("AN", large), ("An", small), ("aN", small)):
            found = await client.get("/api/v1/accounts/lookup", acct=name)
            assert found["uri"] == account, name


async def test_an_idempotency_key_means_one_account(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        key = {"idempotency-key": "k1"}
        made = await client.ask("POST", "/v1/accounts", json={"name": "an"}, headers=key)
        assert await client.ask("POST", "/v1/accounts", json={"name": "an"}, headers=key) == {**made, "repeated": True}
        refused = await client.ask("POST", "/v1/accounts", 422, json={"name": "bình"}, headers=key)
        assert "was used for another account" in refused["error"]


async def test_accounts_in_bulk_tell_which_lines_were_refused_and_why(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        rows = await send(
            client,
            "/v1/accounts/bulk",
            [{"name": "a"}, {"nmae": "b"}, b"{", {"name": "c"}, [], {"name": " "}, {"name": "did:x"}],
        )
        assert [row["line"] for row in rows] == [*range(1, 8)]
        assert [row["status"] for row in rows] == [200, 422, 400, 200, 422, 422, 422]
        assert rows[1]["error"] == "There is no parameter 'nmae'; did you mean 'name'?"
        odd = ["a/b", "x\u202ey", "a\nb", "..", "\u0000", "a b", "Ngọc 🌸", "..."]
        rows = await send(client, "/v1/accounts/bulk", [{"name": name} for name in odd])
        assert [row["status"] for row in rows] == [*[422] * 5, *[200] * 3]
        assert "stands in addresses" in rows[0]["error"]
        for row in rows[5:]:  # by its name too
            found = await client.get(f"/v1/accounts/{quote(row['name'], safe='')}")
            assert found["account"] == row["account"]
        found, after = [], None
        while True:
            page = await client.get("/v1/accounts", limit=2, **({"after": after} if after else {}))
            found += [row["name"] for row in page["accounts"]]
            after = page["after"]
            if after is None:
                break
        assert found == ["Lotus", "a", "c", "a b", "Ngọc 🌸", "..."]
        await client.get("/v1/accounts", 422, befor="x")
        _, person = await door.person("an")
        await person.post("/v1/accounts", 403, name="x")
        await platform(door, "read", "write").post("/v1/accounts", 403, name="x")


async def test_lines_of_one_request_are_answered_as_if_each_had_come_alone(tmp_path: Path) -> None:
    """Of accounts and of operations, also where a name or an id is there twice: the first one has it."""
    draw = random.Random(7)
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)

        async def answers(path: str, rows: list[dict[str, Any]], how: str) -> list[Any]:
            parts = [[row] for row in rows] if how == "-alone" else [rows]
            if how == "-lines":
                found = await send(client, path, rows)
            else:
                found = [one for part in parts for one in (await client.http.post(path, json=part)).json()]
            return [(row["status"], row.get("repeated"), row.get("error")) for row in found]

        profiles: list[dict[str, str]] = [{}, {"bio": "1"}, {"bio": "2"}, {"bio": "x" * 100_000}]
        first = ["a", "a", "b", "a"], [0, 1, 3, 0]
        for turn in range(3):
            names = first[0] if turn == 0 else draw.choices(["a", "b", "", "Lotus"], k=8)
            said = [profiles[n] for n in (first[1] if turn == 0 else draw.choices(range(4), k=8))]
            found = []
            for how in ("-alone", "-array", "-lines"):
                rows = [
                    {"name": f"{name}{turn}{how}" if name in ("a", "b") else name, "profile": profile}
                    for name, profile in zip(names, said, strict=True)
                ]
                found.append(await answers("/v1/accounts/bulk", rows, how))
            assert found[0] == found[1] == found[2], (names, said)
            if turn == 0:
                assert [status for status, _, _ in found[0]] == [200, 409, 422, 200]
        done: list[dict[str, Any]] = [
            {"do": "post", "text": "1"},
            {"do": "post", "text": "2"},
            {"do": "post", "text": ""},
            {"do": "follow", "account": "bình"},
            {"do": "block", "account": "bình"},
            {"do": "pots"},
        ]
        await open_accounts(client, "bình")
        for turn in range(4):
            ids, chosen = draw.choices("abc", k=8), draw.choices(done, k=8)
            found = []
            for how in ("-alone", "-array", "-lines"):
                await open_accounts(client, name := f"o{turn}{how}")
                rows = [{**one, "id": f"{name}{id}", "as": name} for id, one in zip(ids, chosen, strict=True)]
                found.append(await answers("/v1/operations", rows, how))
                found[-1] = [(*row[:2], (row[2] or "").replace(how, "")) for row in found[-1]]
            assert found[0] == found[1] == found[2], (ids, chosen)


async def test_operations_are_done_in_order_and_once(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        an, binh = await open_accounts(client, "an", "bình")
        first = [{"id": f"p{n}", "as": "an", "do": "post", "text": f"post {n}"} for n in range(20)]
        rows = await send(client, "/v1/operations", first)
        assert [row["id"] for row in rows] == [op["id"] for op in first]
        assert {row["status"] for row in rows} == {200}
        uri = rows[0]["answer"]["uri"]
        said = [
            {"id": "r1", "as": binh, "do": "reply", "uri": uri, "text": "yes"},
            {"id": "r2", "as": binh, "do": "react", "uri": uri, "emoji": "🌳"},
            {"id": "r3", "as": "bình", "do": "follow", "account": an},
            {"id": "r4", "as": an, "do": "edit", "uri": uri, "text": "edited"},
            {"id": "r5", "as": an, "do": "delete", "uri": rows[1]["answer"]["uri"]},
            {"id": "r6", "as": binh, "do": "delete", "uri": rows[2]["answer"]["uri"]},
            {"id": "r7", "as": binh, "do": "post", "txet": "x"},
            {"id": "r8", "as": "nobody", "do": "post", "text": "x"},
            {"id": "r9", "as": an, "do": "shutdown"},
            {"as": an, "do": "post", "text": "x"},
            {"id": "r11", "do": "post", "text": "x"},
            b'{"id": "r12", "as": "an"',
            {"id": "r13", "as": 7, "do": "post", "text": "x"},
            {"id": "r14", "as": 7, "do": "edit", "uri": uri, "text": "x"},
            {"id": "p0", "as": "an", "do": "post", "text": "post 0"},
            {"id": "p0", "as": "an", "do": "post", "text": "another"},
            {"id": "x1", "as": an, "do": "post", "text": "later"},
            {"id": "x1", "as": an, "do": "post", "text": "later"},
        ]
        rows = await send(client, "/v1/operations", said)
        assert [row["status"] for row in rows] == [200] * 5 + [
            403,
            422,
            422,
            422,
            422,
            422,
            400,
            422,
            422,
            200,
            422,
            200,
            200,
        ]
        assert rows[14]["repeated"]
        assert rows[14]["answer"]["uri"] == uri
        assert (rows[16]["repeated"], rows[17]["repeated"]) == (False, True)
        assert rows[16]["answer"] == rows[17]["answer"]
        assert rows[6]["error"] == "post has no parameter 'txet'; did you mean 'text'?"
        page = (await door.node.backend.call("feed", {"account": an, "limit": 100}))["posts"]
        assert [p["text"] for p in page] == ["later", *(f"post {n}" for n in range(19, 1, -1)), "edited"]
        assert page[-1]["reactions"] == {"🌳": 1}
        assert page[-1]["replies"] == 1
        assert (await door.node.backend.call("store.verify", {}))["problems"] == []


async def test_a_block_ends_the_follow_whoever_asks_for_it(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        an, binh = await open_accounts(client, "an", "bình")
        call, app = door.node.backend.call, door.client(an)

        async def ties() -> tuple[bool, bool]:
            (row,) = (await call("relationships", {"accounts": [binh], "as": an}))["relationships"]
            shown = (await app.ask("GET", "/api/v1/accounts/relationships", params={"id[]": account_id(binh)}))[0]
            assert (row["following"], row["blocking"]) == (shown["following"], shown["blocking"])
            return row["following"], row["blocking"]

        async def operations(do: str, **more: Any) -> None:
            (row,) = await send(
                client, "/v1/operations", [{"id": f"{do}{more}", "as": an, "do": do, "account": binh, **more}]
            )
            assert row["status"] == 200, row

        await operations("follow")
        assert await ties() == (True, False)
        await operations("block")
        assert await ties() == (False, True)
        await operations("block", undo=True)
        assert await ties() == (False, False)
        await app.post(f"/api/v1/accounts/{account_id(binh)}/follow")
        assert (await app.post(f"/api/v1/accounts/{account_id(binh)}/block"))["following"] is False
        assert await ties() == (False, True)
        says = f"This account blocks {binh}: unblock them first."
        for answer in (
            await app.post(f"/api/v1/accounts/{account_id(binh)}/follow", 403),
            *await send(client, "/v1/operations", [{"id": "again", "as": an, "do": "follow", "account": binh}]),
        ):
            assert (answer["error"], answer.get("status", 403)) == (says, 403)

        def follow_elsewhere(ctx: Context, now: float) -> None:
            """As another device of the account does that has not heard of the block."""
            me = account_from_text(an)
            append(ctx, me, [relate(hosted.salt_of(ctx, me), "follow", account_from_text(binh))], now)

        await door.node.worker.call(follow_elsewhere)
        assert await ties() == (True, True)
        await app.post(f"/api/v1/accounts/{account_id(binh)}/block")
        assert await ties() == (False, True), "also of who was blocked already"
        before = (await call("status", {}))["entries"]
        await app.post(f"/api/v1/accounts/{account_id(binh)}/block")
        assert (await call("status", {}))["entries"] == before, "a block that stands is not written again"
        assert (await call("store.verify", {}))["problems"] == []


async def test_one_operation_is_json_and_its_key_a_header(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, person = await door.person("an")
        key = {"idempotency-key": "k"}
        op = {"do": "post", "text": "once"}
        row = await person.ask("POST", "/v1/operations", json=op, headers=key)
        assert (await person.ask("POST", "/v1/operations", json=op, headers=key))["answer"] == row["answer"]
        await person.ask("POST", "/v1/operations", 422, json={"do": "post", "text": "other"}, headers=key)
        await person.ask("POST", "/v1/operations", 422, json=op)
        await person.ask("POST", "/v1/operations", 403, json={**op, "as": "bình"}, headers=key)
        await person.ask("POST", "/v1/operations", 400, content=b"{", headers={"content-type": "application/json"})
        await person.ask("POST", "/v1/operations", 415, content=b"{")
        rows = await send(person, "/v1/operations", [op, op], **key)
        assert [(row["id"], row["status"], row["repeated"]) for row in rows] == [
            ("k:1", 200, False),
            ("k:2", 200, False),
        ]
        await door.client().ask("POST", "/v1/operations", 401, json=op)
        await door.client(an, "read").ask("POST", "/v1/operations", 403, json=op)
        app = Client(door.url, door.store.mint(None, "an app of its own", ("read", "write")))
        async with app.http:  # it got its token for itself, and may act as nobody
            await app.ask("POST", "/v1/operations", 401, json={**op, "as": an}, headers=key)


async def test_clients_that_know_only_json_send_arrays_and_get_arrays(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        wanted = [{"name": "an"}, {"nmae": "bình"}, 7, {"name": "chi"}]
        opened = (await client.http.post("/v1/accounts/bulk", json=wanted)).json()
        assert [(row["line"], row["status"]) for row in opened] == [(1, 200), (2, 422), (3, 422), (4, 200)]
        said = [{"as": "an", "do": "post", "text": f"bài {n}"} for n in range(json_lines.BATCH + 1)]
        for repeated in (False, True):
            headers = {"idempotency-key": "many"}
            rows = (await client.http.post("/v1/operations", json=said, headers=headers)).json()
            assert [row["id"] for row in rows] == [f"many:{n}" for n in range(1, len(said) + 1)]
            assert {(row["status"], row["repeated"]) for row in rows} == {(200, repeated)}
        assert (await client.http.post("/v1/operations", json=[])).json() == []
        for path, body, status in (
            ("/v1/accounts/bulk", b'{"name": "an"}', 422),
            ("/v1/operations", b"[", 400),
            ("/v1/operations", b"[" + b" " * json_lines.ARRAY_BYTES + b"]", 413),
            ("/v1/operations", b"[" * 100_000, 400),
        ):
            answer = await client.http.post(path, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == status, answer.text


async def test_lines_that_are_too_long_or_never_end_are_refused_alone(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        await open_accounts(client, "an")
        post = {"as": "an", "do": "post", "text": "x"}
        long = b'{"a": "' + b"x" * json_lines.LINE_BYTES + b'"}'
        rows = await send(client, "/v1/operations", [{**post, "id": "1"}, long, {**post, "id": "3"}])
        assert [(row["line"], row["status"]) for row in rows] == [(1, 200), (2, 413), (3, 200)]


async def test_a_client_that_writes_all_before_it_reads_gets_its_answers(tmp_path: Path) -> None:
    """And one that leaves in the middle of a line has no half of it done."""
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        await open_accounts(client, "an")
        ops = [{"id": f"{n}", "as": "an", "do": "post", "text": ""} for n in range(20_000)]  # each is refused
        host = httpx.URL(door.url)
        line = await trio.open_tcp_stream(host.host, host.port or 0)
        body = ndjson(ops)
        names = {"host": "x", "authorization": f"Bearer {client.token}", **NDJSON}
        head = "POST /v1/operations HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in names.items())
        with trio.fail_after(200):
            await line.send_all(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
            answer = b"".join([piece async for piece in line])
            await line.aclose()
        assert answer.count(b'"status":422') == 20_000
        line = await trio.open_tcp_stream(host.host, host.port or 0)
        cut = ndjson(
            [
                {"id": "whole", "as": "an", "do": "post", "text": "whole"},
                {"id": "half", "as": "an", "do": "post", "text": "half"},
            ]
        )[:-1]
        await line.send_all(f"{head}content-length: {len(cut) + 1}\r\n\r\n".encode() + cut)
        await line.aclose()
        await trio.sleep(0.5)
        texts = {p["text"] for p in (await door.node.backend.call("feed", {"account": "an", "limit": 3}))["posts"]}
        assert "half" not in texts


async def test_no_more_is_read_than_can_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends for ever and reads nothing."""
    monkeypatch.setattr(json_lines, "ANSWER_BYTES", 10_000)
    came, done = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal came
        came += 1
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b'{"a": 1}\n' * 100, "more_body": True}

    async def send_nothing(message: Any) -> None:
        if message["type"] == "http.response.body":
            await trio.sleep_forever()

    async def do(some: Sequence[json_lines.NdjsonLine]) -> list[dict[str, Any]]:
        nonlocal done
        done += len(some)
        return [{"status": 200}] * len(some)

    scope = {"type": "http", "method": "POST", "headers": []}
    with trio.move_on_after(1):
        await json_lines.Conversation(RateLimits(), Request(scope, receive), do)(scope, receive, send_nothing)
    assert came < json_lines.PIECES + 20
    assert done < 2_000


async def test_a_body_that_pauses_is_ended_and_what_came_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "IDLE_S", 0.5)
    async with open_node(tmp_path) as door:
        _, person = await door.person("an")

        async def slowly() -> AsyncIterator[bytes]:
            yield ndjson([{"id": "1", "do": "post", "text": "một"}])
            await trio.sleep(2)
            yield ndjson([{"id": "2", "do": "post", "text": "hai"}])

        with trio.fail_after(60):
            async with person.http.stream("POST", "/v1/operations", content=slowly(), headers=NDJSON) as answer:
                rows = [json.loads(row) async for row in answer.aiter_lines()]
        assert [(row["line"], row["status"]) for row in rows] == [(1, 200), (2, 408)]


async def test_a_platform_mints_and_ends_tokens_for_its_users_alone(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        lotus, person = await door.person("Lotus")
        client = platform(door)
        an, _ = await open_accounts(client, "an", "bình")
        headers = {"idempotency-key": "an's phone"}
        wanted = {"scopes": ["read", "write"], "app": "Lotus for Android", "seconds": 60}
        answers = [(await client.http.post("/v1/accounts/an/tokens", json=wanted, headers=headers)) for _ in range(2)]
        made = answers[0].json()
        assert answers[1].json() == made, "a lost answer is answered again"
        assert (made["account"], made["scopes"]) == (an, ["read", "write"])
        theirs = Client(door.url, made["token"])
        door._clients.append(theirs)
        assert (await theirs.get("/api/v1/accounts/verify_credentials"))["uri"] == an
        wrong: list[dict[str, Any]] = [{"scopes": [one]} for one in ("host", "admin", "firehose")]
        for body in (*wrong, {"scopes": []}, {"scopes": ["read"], "seconds": 0}):
            await client.ask("POST", "/v1/accounts/an/tokens", 422, json=body)
        await client.ask("POST", "/v1/accounts/nobody/tokens", 422, json={"scopes": ["read"]})
        for other in (person, theirs):
            await other.ask("POST", "/v1/accounts/an/tokens", 403, json={"scopes": ["read"]})
        await client.ask("DELETE", f"/v1/accounts/bình/tokens/{made['id']}", 404)
        await client.ask("DELETE", f"/v1/accounts/an/tokens/{made['id']}", 200)
        await theirs.get("/api/v1/accounts/verify_credentials", 401)
        acts = [act["do"] for act in (await door.node.backend.call("audit.list", {}))["acts"]]
        assert (acts.count("token.add"), acts.count("token.revoke")) == (1, 1)
        assert lotus


async def test_a_platform_reports_in_the_name_of_a_user(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, person = await door.person("Lotus")
        client = platform(door)
        an, binh = await open_accounts(client, "an", "bình")
        made = await client.ask(
            "POST", "/v1/reports", 200, json={"as": "an", "account": binh, "comment": "rác", "category": "spam"}
        )
        assert made["account"]["account"] == binh
        mine = (await client.ask("GET", "/v1/reports", 200, params={"as": "an"}))["reports"]
        assert [one["id"] for one in mine] == [made["id"]]
        (queued,) = (await door.node.backend.call("report.list", {}))["reports"]
        assert queued["by"]["account"] == an
        assert "as" in (await client.post("/v1/reports", 422, account=binh))["error"]
        await person.ask("POST", "/v1/reports", 403, json={"as": an, "account": binh})
        await client.ask("POST", "/v1/reports", 422, json={"as": "an", "acount": binh})
