"""`DELETE /v1/accounts/NAME`: an account is closed, or erased, by whoever may and types its name again."""

from __future__ import annotations

from pathlib import Path

import trio

from banyan_node.hosting import erasing
from banyan_web.door_logins import Person, open_session, session
from tests.node.test_erasing import found
from tests.web.door import open_node
from tests.web.test_admin import admin
from tests.web.test_platform_webhooks import Backend, backend, until

__all__ = ["backend"]


async def test_an_account_is_closed_or_erased_by_an_admin_who_types_its_name_again(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Chủ")
        host = admin(door, "host", "write")
        an, binh = [
            (await host.post("/v1/accounts", name=name, profile={"bio": f"{name} có lời của {name}"}))["account"]
            for name in ("An", "Bình")
        ]
        for who in ("An", "Bình"):
            said = {"id": who, "do": "post", "as": who, "text": f"lời của {who}"}
            await host.ask("POST", "/v1/operations", json=said)
            made = {"id": f"{who} 2", "do": "profile.set", "as": who, "fields": {"bio": f"lời của {who}"}}
            await host.ask("POST", "/v1/operations", json=made)
        opened = {did: open_session(door.store, Person(did, did)) for did in (an, binh)}
        path = f"/v1/accounts/{an}"
        await host.ask("DELETE", f"{path}?confirm=An", 403)
        client = admin(door)
        for query in (
            "",
            "?confirm=Anh",
            "?confirm=An&erase=true",
            "?confirm=An&colour=red",
            "?confirm=An&erase=true&reason=x&days=91",
        ):
            await client.ask("DELETE", path + query, 422)
        assert session(door.store, opened[an]) is not None
        ended = await client.ask("DELETE", f"{path}?confirm=An&why=xin+đi")
        assert (ended["account"], ended["erasure"]) == (an, None)
        assert (session(door.store, opened[an]), session(door.store, opened[binh]) is not None) == (None, True)
        await client.get(f"{path}/erasure", 404)
        assert found(tmp_path, "lời của An")
        key = {"Idempotency-Key": "k1"}
        query = "?confirm=An&erase=true&reason=yêu+cầu"
        ended = await client.ask("DELETE", path + query, headers=key)
        assert await client.ask("DELETE", path + query, headers=key) == ended
        while await door.node.worker.call(erasing.step, True):
            pass
        receipt = await client.get(f"{path}/erasure")
        assert receipt["until_ms"] > receipt["erased_ms"]
        await client.ask("DELETE", path + query, 422)
        with trio.fail_after(60):
            while found(tmp_path, "lời của An"):
                await trio.sleep(0.2)
        assert found(tmp_path, "lời của Bình")
        again = await host.post("/v1/accounts", name="An", profile={"bio": "An có lời của An"})
        assert again["account"] != an
        acts = (await client.get("/v1/admin/audit?do=account."))["acts"]
        assert {"account.close", "account.erase"} <= {act["do"] for act in acts}
        rows = (await host.get("/v1/accounts"))["accounts"]
        assert an not in {row["account"] for row in rows}


async def test_an_erasure_is_taken_back_with_workers_and_webhooks_hear_of_both(
    tmp_path: Path, backend: Backend
) -> None:
    async with open_node(tmp_path, http__local_webhooks="true", http__workers="2") as door:
        await door.person("Chủ")
        host, client = admin(door, "host", "write", "firehose"), admin(door)
        an = (await host.post("/v1/accounts", name="An"))["account"]
        await host.post("/v1/webhooks", url=backend.url, events=["erasure", "create"])
        path = f"/v1/accounts/{an}"
        await client.ask("DELETE", f"{path}/erasure", 404)
        ended = await client.ask("DELETE", f"{path}?confirm=An&erase=true&reason=x&days=9")
        assert (ended["erasure"]["state"], ended["erasure"]["peers"]) == ("waits", [])
        await host.ask("DELETE", f"{path}/erasure", 403)
        await client.ask("DELETE", f"{path}/erasure?colour=red", 422)
        assert (await client.ask("DELETE", f"{path}/erasure"))["account"] == an
        await client.get(f"{path}/erasure", 404)
        until_ms = str(ended["erasure"]["until_ms"])
        await until(lambda: len(backend.events) >= 2)
        assert [event["said"] for event in backend.events] == [["waits", until_ms], ["taken back", "0"]]
