"""`DELETE /v1/accounts/NAME`: an account is closed, or erased, by whoever may and types its name again."""

from __future__ import annotations

from pathlib import Path

import trio

from banyan_node.hosting import erasure
from banyan_node.upkeep import maintenance
from banyan_web.oauth.logins import Person, make_link, open_session, session, set_password
from tests.node.test_erasure import found
from tests.web.door import open_node
from tests.web.login_page import PASSWORD, Browser
from tests.web.test_admin import admin
from tests.web.test_platform_webhooks import Backend, backend, until

__all__ = ["backend"]


async def test_an_account_is_closed_or_erased_by_an_admin_who_types_its_name_again(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Chủ")
        host = admin(door, "host", "write")
        an, binh = [
            (await host.post("/v1/accounts", name=name, profile={"bio": f"{name} có lời của {name}"}))
            for name in ("An", "Bình")
        ]
        words, an, binh = an["recovery_words"], an["account"], binh["account"]
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
            "?confirm=An&days=5",
            "?confirm=An&erase=false&reason=x",
        ):
            await client.ask("DELETE", path + query, 422)
        assert session(door.store, opened[an]) is not None
        ended = await client.ask("DELETE", f"{path}?confirm=An&why=xin+đi")
        assert (ended["account"], ended["erasure"]) == (an, None)
        assert await client.ask("DELETE", f"{path}?confirm=An") == ended
        await host.post(f"{path}/tokens", 409, scopes=["read"])
        assert (session(door.store, opened[an]), session(door.store, opened[binh]) is not None) == (None, True)
        await client.get(f"{path}/erasure", 404)
        assert found(tmp_path, "lời của An")
        key = {"Idempotency-Key": "k1"}
        query = "?confirm=An&erase=true&reason=yêu+cầu"
        ended = await client.ask("DELETE", "/v1/accounts/An" + query, headers=key)
        assert await client.ask("DELETE", "/v1/accounts/An" + query, headers=key) == ended
        while await door.node.worker.call(erasure.step, True):
            pass
        receipt = await client.get(f"{path}/erasure")
        assert receipt["until_ms"] > receipt["erased_ms"]
        again = await client.ask("DELETE", path + query + "&days=30")
        assert (again["account"], again["erasure"]) == (an, receipt)
        await client.ask("DELETE", f"{path}/erasure", 422)
        await door.node.worker.call(maintenance.bring_back)
        with trio.fail_after(60):
            while found(tmp_path, "lời của An"):
                await trio.sleep(0.2)
        assert found(tmp_path, "lời của Bình")
        again = await host.post("/v1/accounts", name="An", profile={"bio": "An có lời của An"})
        assert again["account"] != an
        assert again["recovery_words"] != words
        assert await client.ask("DELETE", "/v1/accounts/An" + query, headers=key) == ended, "not the other An"
        assert not (await door.node.backend.call("account.show", {"account": again["account"]}))["closed"]
        acts = (await client.get("/v1/admin/audit?do=account."))["acts"]
        assert {"account.close", "account.erase"} <= {act["do"] for act in acts}
        rows = (await host.get("/v1/accounts"))["accounts"]
        assert an not in {row["account"] for row in rows}


async def test_nobody_logs_in_as_an_account_that_is_closed(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("Chủ")
        an, binh = [(await door.person(name))[0] for name in ("An", "Bình")]
        set_password(door.store, an, "An", PASSWORD)
        opened = [open_session(door.store, Person(did, did)) for did in (an, binh)]
        browser = Browser(door.url)

        def log_in(status: int) -> None:
            browser.send(browser.see("/login"), status, name="An", password=PASSWORD)

        await trio.to_thread.run_sync(log_in, 303)
        await admin(door).ask("DELETE", "/v1/accounts/An?confirm=An")
        browser = Browser(door.url)
        await trio.to_thread.run_sync(log_in, 403)
        assert session(door.store, opened[0]) is None
        await door.node.backend.call("account.close", {"account": binh, "confirm": "Bình"})
        await door.node.worker.call(maintenance.bring_back)
        await door.node.worker.call(maintenance.sign_out_closed)
        assert [session(door.store, one) for one in opened] == [None, None]
        link = f"/login/link/{make_link(door.store, Person(an, 'An'))}"
        assert "closed" in (await trio.to_thread.run_sync(browser.see, link, 403)).text


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
