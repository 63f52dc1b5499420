"""/v1/admin: what an admin sees and does, and that each act is in the audit log with who and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.exporting.sinks import draft_of
from banyan_node.operator_errors import CallError
from banyan_web.oauth.logins import Person, open_session, session
from tests.node.real import converged
from tests.web.door import Client, Door, open_node

PEER = "12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV"


def admin(door: Door, *scopes: str) -> Client:
    made = Client(door.url, door.store.mint(None, "ops", scopes or ("admin",)))
    door._clients.append(made)
    return made


async def test_only_a_token_with_admin_may_and_unknown_parameters_are_refused(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("An")
        for path in ("peers", "bans", "tokens", "accounts", "moderators", "storage", "policy", "tasks", "reports",
                     "decisions", "audit"):  # fmt: skip
            await door.client().get(f"/v1/admin/{path}", 401)
            await door.client(an, "read", "write", "follow", "host").get(f"/v1/admin/{path}", 403)
            refused = await admin(door).get(f"/v1/admin/{path}", 422, colour="red")
            assert "There is no parameter 'colour'" in refused["error"]
            assert await admin(door).get(f"/v1/admin/{path}")
        refused = await admin(door).post("/v1/admin/bans", 422, peeer=PEER)
        assert "did you mean 'peer'?" in refused["error"]
        await admin(door).ask("DELETE", "/v1/admin/decisions/x", 404)
        await admin(door).ask("DELETE", "/v1/admin/tasks/99999999999999999999", 404)


async def test_peers_are_dialled_dropped_and_banned_with_reasons_and_ends(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door, open_node(tmp_path / "b") as other:
        await door.person("An")
        await other.person("Bình")
        client, address = admin(door), other.node.edge.addresses[0]
        peer = (await client.post("/v1/admin/peers", address=address))["peer"]
        await converged([door.node, other.node])
        assert [row["peer"] for row in (await client.get("/v1/admin/peers"))["peers"]] == [peer]
        refused = await client.post("/v1/admin/peers", 422, address="/ip4/1.2.3.4")
        assert "is not the address of a peer" in refused["error"]
        made = await client.post("/v1/admin/bans", peer=PEER, reason="spam", days=3)
        (row,) = made["peers"]
        assert (row["reason"], row["by_operator"], row["until_ms"] - row["since_ms"]) == ("spam", True, 3 * 86_400_000)
        await client.post("/v1/admin/bans", 422, peer=PEER, network="10.0.0.0/8")
        await client.post("/v1/admin/bans", 422, network="10.0.0.0/99")
        made = await client.post("/v1/admin/bans", network="127.0.0.0/8", reason="họ gửi rác")
        assert made["networks"][0]["until_ms"] is None
        with trio.fail_after(60):
            while any(row["connected"] for row in (await client.get("/v1/admin/peers"))["peers"]):
                await trio.sleep(0.05)
        refused = await client.post("/v1/admin/peers", 502, address=address)
        assert "cannot be reached" in refused["error"]
        await client.ask("DELETE", "/v1/admin/bans/networks", 422, params={"network": "127.0.0.0/8", "why": "n" * 501})
        await client.ask("DELETE", "/v1/admin/bans/networks", params={"network": "127.0.0.0/8", "why": "nhầm"})
        await client.ask("DELETE", "/v1/admin/bans/networks", 404, params={"network": "127.0.0.0/8"})
        await client.ask("DELETE", f"/v1/admin/bans/peers/{PEER}")
        assert await client.get("/v1/admin/bans") == {"peers": [], "networks": []}
        with trio.fail_after(120):  # who was hung up on waits before it dials again
            while not (await client.get("/v1/admin/peers"))["peers"]:
                await trio.sleep(0.1)
        assert (await client.ask("DELETE", f"/v1/admin/peers/{peer}"))["linked"]
        acts = (await client.get("/v1/admin/audit", do="networks."))["acts"]
        done = [(row["do"].partition(".")[2], row["why"]) for row in acts if row["refused"] is None]
        assert done == [("pardon", None), ("pardon", "nhầm"), ("ban", "họ gửi rác"), ("ban", None)]
        assert all(row["who"].endswith("(ops)") and row["via"] == "api" for row in acts)


async def test_a_ban_that_ended_is_lifted(tmp_path: Path) -> None:
    from banyan_node.links import peerstore

    async with open_node(tmp_path) as door:
        await door.person("An")
        client = admin(door)
        await client.post("/v1/admin/bans", peer=PEER, days=1)
        await client.post("/v1/admin/bans", network="192.0.2.0/24", days=1)
        day = 86_400.0
        await door.node.worker.call(lambda c, now: peerstore.lift_due(c, now + day - 60))
        assert len((await client.get("/v1/admin/bans"))["peers"]) == 1
        assert await door.node.worker.call(lambda c, now: peerstore.lift_due(c, now + day + 60)) == set()
        assert await client.get("/v1/admin/bans") == {"peers": [], "networks": []}


async def test_tokens_accounts_and_signing_out(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Lotus")
        an, person = await door.person("An")
        client = admin(door)
        rows = (await client.get("/v1/admin/tokens", account=an))["tokens"]
        assert {row["app"] for row in rows} == {"test"}
        assert all("token" not in row and "hash" not in row for row in rows)
        cookie = open_session(door.store, Person(an, "An"))
        (row,) = [row for row in (await client.get("/v1/admin/accounts"))["accounts"] if row["account"] == an]
        assert (row["sessions"], row["tokens"], row["password"], row["standing"]["suspended"]) == (1, 1, False, None)
        page = await client.get("/v1/admin/accounts", limit=1)
        assert page["count"] == 2
        assert (await client.get("/v1/admin/accounts", after=page["after"]))["accounts"][0]["account"] == an
        key = {"idempotency-key": "s1"}
        first = await client.ask("POST", "/v1/admin/accounts/An/suspend", json={"why": "rác"}, headers=key)
        again = await client.ask("POST", "/v1/admin/accounts/An/suspend", json={"why": "rác"}, headers=key)
        assert first == again
        await client.ask("POST", "/v1/admin/accounts/An/suspend", 422, json={"why": "khác"}, headers=key)
        await client.post("/v1/admin/accounts/An/suspend", 422)
        assert "suspended" in (await person.ask("POST", "/api/v1/statuses", 403, json={"status": "x"}))["error"]
        assert (await person.get("/api/v1/accounts/verify_credentials"))["id"]
        await client.post("/v1/admin/accounts/An/restore", why="đã giải thích")
        await client.post("/v1/admin/accounts/An/restore", 409)
        await person.ask("POST", "/api/v1/statuses", json={"status": "lại đây"})
        out = await client.post(f"/v1/admin/accounts/{an}/sign-out", why="máy mất")
        assert (out["sessions"], out["tokens"]) == (1, 1)
        assert session(door.store, cookie) is None
        await person.get("/api/v1/accounts/verify_credentials", 401)
        await client.post("/v1/admin/accounts/did:banyan:z1/sign-out", 422)
        raw = door.store.mint(an, "old", ("read",))
        id_ = next(one.id for one in door.store.tokens(an))
        await client.ask("DELETE", f"/v1/admin/tokens/{id_}", params={"why": "lộ"})
        assert door.store.token(raw) is None
        await client.ask("DELETE", f"/v1/admin/tokens/{id_}", 404)
        acts = (await client.get("/v1/admin/audit", limit=3))["acts"]
        assert [(row["do"], row["why"]) for row in acts[:2]] == [
            ("token.revoke", "lộ"),
            ("account.sign_out", "máy mất"),
        ]
        assert raw not in str(acts)


async def test_storage_policy_and_long_work(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        lotus, _ = await door.person("Lotus")
        an, person = await door.person("An")
        client = admin(door)
        for n in range(30):
            await person.ask("POST", "/api/v1/statuses", json={"status": f"bài {n} " + "x" * 500})
        found = await client.get("/v1/admin/storage")
        assert found["store"]["accounts"] == 2
        assert found["free"] > 0
        rows = (await client.get("/v1/admin/storage/accounts"))["accounts"]
        assert {row["account"]: row["origin"] for row in rows} == {lotus: "hosted", an: "hosted"}
        assert next(row["bytes"] for row in rows if row["account"] == an) > 15_000
        page = await client.get("/v1/admin/storage/accounts", limit=1)
        assert len((await client.get("/v1/admin/storage/accounts", limit=1, after=page["after"]))["accounts"]) == 1
        await client.post("/v1/admin/storage/dropped", 422, account=an)
        assert (await client.get("/v1/admin/storage/dropped"))["accounts"] == []
        policy = await client.get("/v1/admin/policy")
        assert (policy["mode"], policy["settings"]["storage"]["max_bytes"]) == ("all", 0)
        done = await client.ask("PATCH", "/v1/admin/policy", json={"settings": {"storage.max_bytes": "20 GB"}})
        assert done["restart"]
        assert "max_bytes = 20000000000" in door.node.home.config.read_text()
        for wrong in ({"http.address": "0.0.0.0:1"}, {"storage.max_bytes": "x"}):
            await client.ask("PATCH", "/v1/admin/policy", 422, json={"settings": wrong})
        for do, name in (("verify", None), ("export", "all.banyan"), ("import", "all.banyan"), ("compact", "copy")):
            made = await client.ask("POST", "/v1/admin/tasks", json={"do": do, "name": name})
            with trio.fail_after(60):
                while (row := await _task(client, made["id"]))["state"] in ("waiting", "running"):
                    await trio.sleep(0.02)
            assert (row["state"], row["why"]) == ("done", None), row
        assert (door.node.home.archives / "all.banyan").stat().st_size > 0
        made = await client.post("/v1/admin/tasks", do="export", name="all.banyan")
        with trio.fail_after(60):
            while (row := await _task(client, made["id"]))["state"] in ("waiting", "running"):
                await trio.sleep(0.02)
        assert (row["state"], "is there already" in row["why"]) == ("failed", True)
        left = draft_of(door.node.home.archives / "all.banyan")
        left.write_bytes(b"of one that broke off")
        made = await client.post("/v1/admin/tasks", do="export", name="all.banyan")
        with trio.fail_after(60):
            while left.exists():
                await trio.sleep(0.02)
        assert sorted(found.name for found in door.node.home.archives.iterdir()) == ["all.banyan", "copy"]
        for wrong_name in ("../x", "/etc/passwd", "", ".x"):
            await client.post("/v1/admin/tasks", 422, do="export", name=wrong_name)
        await client.ask("DELETE", f"/v1/admin/tasks/{made['id']}", 422)
        works = door.node.long_works
        with works.running("store.verify", "", 10) as step:
            step(4)
            row = await _task(client, works.rows()[0].id)
            assert (row["state"], row["done"], row["of"]) == ("running", 4, 10)
            await client.post("/v1/admin/tasks", 422, do="verify")
            assert (await client.ask("DELETE", f"/v1/admin/tasks/{row['id']}"))["state"] == "running"
            with pytest.raises(CallError, match="cancelled"):
                step(5)


async def _task(client: Client, number: int) -> dict[str, Any]:
    found = (await client.get("/v1/admin/tasks"))["works"]
    task: dict[str, Any] = next(row for row in found if row["id"] == number)
    return task
