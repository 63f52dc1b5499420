"""Reading over /v1: rows as any account, conditional requests, and proofs that a light client checks for itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import trio

from banyan_crdt.ids import account_from_text
from banyan_node.home.settings import load
from banyan_node.local import open_local
from tests.needs import ROOT, skipped_without
from tests.node.real import make_home
from tests.web.door import Client, open_node
from tests.web.test_platform import open_accounts, platform, send

needs_node = skipped_without(None if shutil.which("node") else "no `node` here: install Node.js 20 or newer")


async def raw(client: Client, path: str, status: int = 200, known: str | None = None) -> httpx.Response:
    answer = await client.http.get(path, headers={} if known is None else {"if-none-match": known})
    assert answer.status_code == status, answer.text
    return answer


async def test_everything_is_read_as_any_account(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        own, _ = await door.person("Lotus")
        client = platform(door)
        an, binh = await open_accounts(client, "an", "bình")
        said = [
            {"id": "1", "as": an, "do": "post", "text": "phở ngon"},
            {"id": "2", "as": binh, "do": "follow", "account": an},
            {"id": "3", "as": binh, "do": "mute", "account": own},
            {"id": "4", "as": own, "do": "post", "text": "phở của Lotus"},
        ]
        rows = await send(client, "/v1/operations", said)
        uri = rows[0]["answer"]["uri"]
        (answer,) = await send(
            client, "/v1/operations", [{"id": "5", "as": binh, "do": "reply", "uri": uri, "text": "ngon"}]
        )
        post = await client.get(f"/v1/posts/{uri}")
        assert (post["text"], post["replies"], post["account"]) == ("phở ngon", 1, an)
        assert await client.get(f"/v1/posts/{uri.replace('/', '%2F')}") == post
        thread = await client.ask("GET", f"/v1/posts/{uri}/thread?as={an}&limit=5")
        assert [p["uri"] for p in thread["posts"]] == [uri, answer["answer"]["uri"]]
        assert (await client.get(f"/v1/accounts/{an}"))["name"] == "an"
        assert (await client.get(f"/v1/accounts/{an}/counts")) == {
            "account": an,
            "follows": 0,
            "followers": 1,
            "posts": 1,
        }
        assert [a["name"] for a in (await client.get(f"/v1/accounts/{an}/followers"))["accounts"]] == ["bình"]
        assert [a["name"] for a in (await client.get("/v1/accounts/bình/following"))["accounts"]] == ["an"]
        await client.ask("GET", f"/v1/posts/{rows[3]['answer']['uri']}", params={"as": an})
        await client.ask("GET", f"/v1/posts/{rows[3]['answer']['uri']}", 404, params={"as": binh})
        home = await client.ask("GET", f"/v1/feed?as={binh}")
        assert {p["text"] for p in home["posts"]} == {"phở ngon", "ngon"}
        assert len((await client.ask("GET", f"/v1/feed?all=true&as={an}"))["posts"]) == 3
        with trio.fail_after(60):
            while True:  # until the index has it
                found = await client.ask("GET", f"/v1/search?question=phở&as={binh}")
                if found["posts"] and not found["behind"]:
                    break
                await trio.sleep(0.1)
        assert [p["text"] for p in found["posts"]] == ["phở ngon"]  # whom it muted, it does not find
        assert (await client.get("/v1/counts"))["posts"] == 3
        assert (await client.ask("GET", f"/v1/notifications?as={an}"))["notices"][0]["kind"] == "reply"
        described = (await client.get("/openapi.json"))["paths"]
        for path in ("/v1/notifications", "/v1/reports", "/v1/decisions"):
            for query in ("", "?as="):
                refused = await client.ask("GET", path + query, 422)
                assert refused["error"] == (
                    "Say of which account: `as` is its DID, or its name here. Your token is of no account."
                )
            await client.ask("GET", f"{path}?as={an}")
            await door.client(an, "read").get(path)
            (said,) = (one for one in described[path]["get"]["parameters"] if one["name"] == "as")
            assert "has to name one" in json.dumps(said), path
        (said,) = (one for one in described["/v1/search"]["get"]["parameters"] if one["name"] == "as")
        assert "reads as nobody" in json.dumps(said)
        for path, says in (
            ("/v1/feed?limt=3", "There is no parameter 'limt'; did you mean 'limit'?"),
            ("/v1/feed?limit=x", "'limit' is a whole number from 0 to 1000; it got 'x'."),
            ("/v1/feed?all=perhaps", "'all' is true or false; it got 'perhaps'."),
            (f"/v1/posts/{uri}?limit=3", "There is no parameter 'limit'; it takes as."),
        ):
            assert (await client.ask("GET", path, 422))["error"] == says
        assert "no account" in (await client.get("/v1/accounts/nobody", 422))["error"]
        await client.get(f"/v1/posts/{an}/{'0' * 32}", 404)
        await client.get(f"/v1/posts/{an}/zz", 422)
        person = door.client(binh, "read")
        assert await person.get("/v1/feed") == home
        await person.ask("GET", f"/v1/feed?as={an}", 403)
        await person.ask("GET", f"/v1/notifications?as={an}", 403)
        await door.client(binh, "write").get("/v1/feed", 403)
        app = Client(door.url, door.store.mint(None, "an app of its own", ("read", "write")))
        async with app.http:
            await app.get("/v1/feed", 401)


async def test_what_is_known_already_is_not_sent_again(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, person = await door.person("an")
        row = await person.post("/v1/operations", id="1", do="post", text="một")
        path = f"/v1/posts/{row['answer']['uri']}"
        first = await raw(person, path)
        assert first.headers["cache-control"] == "private, no-cache"
        again = await raw(person, path, 304, known=first.headers["etag"])
        assert again.content == b""
        await raw(person, path, 304, known=f'"x", W/{first.headers["etag"]}')
        proof = await raw(person, path + "/proof")
        await raw(person, path + "/proof", 304, known=proof.headers["etag"])
        await person.post("/v1/operations", id="2", do="edit", uri=row["answer"]["uri"], text="hai")
        assert (await raw(person, path, known=first.headers["etag"])).json()["text"] == "hai"
        assert (await raw(person, path + "/proof", known=proof.headers["etag"])).headers != proof.headers


def prove(file: Path, uri: str) -> Any:
    done = subprocess.run(
        ["node", "test/interop.js", "prove", str(file), uri],
        cwd=ROOT / "js",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
async def test_a_light_client_proves_a_post_without_trusting_the_node(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door:
        an, person = await door.person("an")
        for n in range(3):
            row = await person.post("/v1/operations", id=f"{n}", do="post", text=f"số {n}")
        uri = row["answer"]["uri"]
        await person.post("/v1/operations", id="e", do="edit", uri=uri, text="số hai")
        file = tmp_path / "proof"
        file.write_bytes((await raw(person, f"/v1/posts/{uri}/proof")).content)
        shown = await door.node.backend.call("why", {"uri": uri})
        found = await trio.to_thread.run_sync(prove, file, uri)
        assert found == {
            "text": "số hai",
            "uri": uri,
            "entry": shown["entry"],
            "writer": shown["writer"],
            "timeMs": shown["time_ms"],
        }
        # an altered byte, another post, another account
        for at in (60, 400, len(file.read_bytes()) - 120):
            bad = bytearray(file.read_bytes())
            bad[at] ^= 1
            (tmp_path / "bad").write_bytes(bad)
            assert (await trio.to_thread.run_sync(prove, tmp_path / "bad", uri))["text"] is None
        other = await trio.to_thread.run_sync(prove, file, f"{an}/{'0' * 32}")
        assert other["text"] is None
        assert "does not write" in other["why"]
        stranger = "did:banyan:z" + "4fX8CQyKc2Gtf58nEPTkAAMJvWcZVzmFntkJ2Qw5ETyJ"
        assert len(account_from_text(stranger)) == 32
        assert (await trio.to_thread.run_sync(prove, file, f"{stranger}/{uri[-32:]}"))["text"] is None


async def test_an_archive_comes_whole_to_another_node(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door:
        an, person = await door.person("an")
        for n in range(3):
            await person.post("/v1/operations", id=f"{n}", do="post", text=f"số {n} " + "x" * 20_000)
        digest = (await person.get(f"/v1/accounts/{an}/digest"))["digest"]
        answer = await raw(person, f"/v1/accounts/{an}/archive")
        assert answer.headers["content-type"] == "application/octet-stream"
        await person.get("/v1/accounts/did:banyan:z4fX8CQyKc2Gtf58nEPTkAAMJvWcZVzmFntkJ2Qw5ETyJ/archive", 404)
    (tmp_path / "archive").write_bytes(answer.content)
    home = make_home(tmp_path / "other")
    with open_local(home, load(home, env={})) as other:
        other.call("archive.import", path=str(tmp_path / "archive"))
        assert other.call("digest", account=an)["digest"] == digest
        assert len(other.call("feed", account=an)["posts"]) == 3
