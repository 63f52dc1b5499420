"""Webhooks: signed, in order, retried, and never sent into a private network."""

from __future__ import annotations

import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from banyan_node.client import NotGenuine, verified
from banyan_web.outbound_http import OutboundHttp, Unreachable, is_public
from banyan_web.platform import deliveries
from banyan_web.platform.webhooks import GAP, Hook
from tests.web.door import Door, open_node
from tests.web.test_platform import open_accounts, platform, send

INTO_THE_OWN = (
    "https://localhost/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://192.168.1.1:8080/hook",
)
"""Addresses of this machine or its network, as the system's resolver reads them."""


class Backend:
    """A platform's backend that takes webhooks. status: what it answers."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.status, self.location = 200, ""
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                told.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(told.status)
                if told.location:
                    self.send_header("location", told.location)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.came for event in json.loads(body)["events"]]


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "FIRST_S", 0.1)
    monkeypatch.setattr(deliveries, "LOOK_S", 0.1)


async def until(holds: Callable[[], bool], within: float = 60.0) -> None:
    with trio.fail_after(within):
        while not holds():
            await trio.sleep(0.05)


def opened(path: Path) -> Any:
    return open_node(path, http__local_webhooks="true")


def posts(account: str, *texts: str) -> list[dict[str, str]]:
    return [{"id": f"{account} {text}", "as": account, "do": "post", "text": text} for text in texts]


async def test_what_happens_is_told_signed_and_in_order(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        an, binh = await open_accounts(client, "an", "bình")
        hook = await client.post("/v1/webhooks", url=backend.url, accounts=[an], events=["entries"])
        assert hook["secret"].startswith("whsec_")
        for n in range(3):
            await send(client, "/v1/operations", [*posts(an, f"{n}"), *posts(binh, f"{n}")])
        await until(lambda: sum(event["entries"] for event in backend.events) >= 3)  # one may tell of several
        assert sum(event["entries"] for event in backend.events) == 3
        assert {event["log"]["account"] for event in backend.events} == {an}
        lengths = [event["length"] for event in backend.events]
        assert lengths == sorted(lengths)
        headers, body = backend.came[0]
        said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = b64decode(hook["secret"].removeprefix("whsec_"))
        assert headers["webhook-signature"] == "v1," + b64encode(hmac.digest(key, said, "sha256")).decode()
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30
        (shown,) = (await client.get("/v1/webhooks"))["webhooks"]
        assert "secret" not in shown
        assert (shown["state"], shown["error"], shown["accounts"]) == ("active", None, [an])
        monkeypatch.setattr(deliveries, "LOOK_S", 3_600)
        await trio.sleep(0.3)  # the last look that is soon
        assert await client.ask("DELETE", f"/v1/webhooks/{hook['id']}") == {}
        await client.ask("DELETE", f"/v1/webhooks/{hook['id']}", 404)
        await send(client, "/v1/operations", posts(an, "after"))
        await trio.sleep(0.5)
        assert [event["length"] for event in backend.events] == lengths


async def test_an_address_that_fails_is_tried_again_and_misses_nothing(tmp_path: Path, backend: Backend) -> None:
    backend.status = 500
    async with opened(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        (an,) = await open_accounts(client, "an")
        hook = await client.post("/v1/webhooks", url=backend.url, accounts=[an])
        await send(client, "/v1/operations", posts(an, "một"))
        await until(lambda: len(backend.came) >= 2)
        (shown,) = (await client.get("/v1/webhooks"))["webhooks"]
        assert shown["error"] == "It answered 500."
        assert shown["failing_since"]
        backend.status, backend.location = 302, backend.url
        await until(lambda: _error(door, hook["id"]).startswith("It answered 302: redirects"))
    backend.came.clear()
    backend.status = 200
    async with opened(tmp_path) as door:  # and a node that starts anew goes on
        await until(lambda: len(backend.events) >= 1)
        await until(lambda: _error(door, hook["id"]) == "")
        assert backend.events[0]["log"]["account"] == an


def _error(door: Door, id: str) -> str:
    return door.store.rows("select error from webhooks where id = ?", id)[0][0] or ""


async def test_what_failed_for_a_day_is_disabled_and_can_be_enabled(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "GIVEN_UP_S", 0)
    backend.status = 503
    async with opened(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        (an,) = await open_accounts(client, "an")
        hook = await client.post("/v1/webhooks", url=backend.url)
        await send(client, "/v1/operations", posts(an, "một"))
        with trio.fail_after(60):
            while (shown := (await client.get("/v1/webhooks"))["webhooks"][0])["state"] == "active":
                await trio.sleep(0.05)
        assert (shown["state"], shown["error"]) == ("disabled", "It answered 503.")
        tried = len(backend.came)
        await trio.sleep(0.5)
        assert len(backend.came) == tried
        backend.status = 200
        backend.came.clear()
        assert (await client.post(f"/v1/webhooks/{hook['id']}/enable"))["state"] == "active"
        await until(lambda: any(event["log"]["account"] == an for event in backend.events if "log" in event))


async def test_a_webhook_is_made_once_and_refused_with_a_reason(tmp_path: Path, backend: Backend) -> None:
    async with open_node(tmp_path) as door:
        _, person = await door.person("Lotus")
        client = platform(door)
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"url": backend.url}, "must begin with https://"),
            *(({"url": url}, "which is not of the public internet") for url in INTO_THE_OWN),
            ({"url": "https://user:pw@1.1.1.1/"}, "a user name or a password"),
            ({"url": "https://1.1.1.1/", "accounts": ["nobody"]}, "no account hosted here has that name"),
            ({"url": "https://1.1.1.1/", "accounts": ["did:banyan:x"]}, "did:banyan:x"),
            ({"url": "https://1.1.1.1/", "events": ["rain"]}, "invalid enum value 'rain' inside it"),
            ({"url": "https://1.1.1.1/", "secret": "short"}, "whsec_ and 24 to 64"),
            ({"url": "https://1.1.1.1/", "since": "x"}, "'x' is no cursor"),
            ({"url": "https://1.1.1.1/", "uri": "x"}, "did you mean 'url'?"),
            ({}, "needs 'url', a text"),
        ]
        for given, says in wrong:
            assert says in (await client.post("/v1/webhooks", 422, **given))["error"]
        key = {"idempotency-key": "one"}
        made_of = {"url": "https://1.1.1.1/hook"}
        made = await client.ask("POST", "/v1/webhooks", json=made_of, headers=key)
        assert (await client.ask("POST", "/v1/webhooks", json=made_of, headers=key))["secret"] == made["secret"]
        assert len((await client.get("/v1/webhooks"))["webhooks"]) == 1
        await client.ask("POST", "/v1/webhooks", 422, json={"url": "https://1.1.1.1/x"}, headers=key)
        await person.post("/v1/webhooks", 403, **made_of)
        other = door.store.mint(None, "other", ("host",))
        answer = await client.http.get("/v1/webhooks", headers={"authorization": f"Bearer {other}"})
        assert answer.json() == {"webhooks": []}


IANA = [
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
    "224.0.0.0/4",
]
"""The registries of special-purpose addresses of IANA, and multicast; without ::ffff:0:0/96 and 64:ff9b::/96, which
are what the address is that they carry."""


@pytest.mark.parametrize(
    "address",
    [*IANA, "::8.8.8.8", "::ffff:0:808:808", "fec0::1", "4000::1", "192.0.0.8", "192.0.0.170"]
    + ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]
    + ["255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
    + ["2002:7f00:1::", "2001:db8::1"],
)
def test_private_addresses_are_not_public(address: str) -> None:
    net = ip_network(address)
    for one in (net[0], net[-1], net[net.num_addresses // 2]):
        assert not is_public(one)
        if one.version == 4:
            assert not is_public(ip_address(f"::ffff:{one}"))
            assert not is_public(ip_address(int(ip_address("64:ff9b::")) + int(one)))


@given(st.ip_addresses())
def test_no_address_is_public_that_python_calls_private(address: Any) -> None:
    assert address.is_global or not is_public(address)


def test_public_addresses_are() -> None:
    for address in ("1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1"):
        assert is_public(ip_address(address)), address


@pytest.mark.parametrize("events", [["create"], ["entries"]])
async def test_what_a_restore_left_out_is_said_until_the_platform_looked(
    tmp_path: Path, backend: Backend, events: list[str]
) -> None:
    async with opened(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        (an,) = await open_accounts(client, "an")
        made = await client.post("/v1/webhooks", url=backend.url, events=events, accounts=["an"])
        assert made["accounts"] == [an]

        async def error() -> str:
            return str((await client.get("/v1/webhooks"))["webhooks"][0]["error"])

        await door.node.worker.call(lambda ctx, now: ctx.logs.put_back(ctx.replica))
        with trio.fail_after(60):
            while "another store" not in await error():
                await trio.sleep(0.05)
            for status, says in ((500, "It answered 500."), (200, GAP)):
                backend.status = status
                while "another store" not in (said := await error()) or not said.endswith(says):
                    await door.node.backend.call("post", {"text": f"bài {status}", "as": an})
                    await trio.sleep(0.2)
            while not (await client.get("/v1/webhooks"))["webhooks"][0]["delivered"]:
                await trio.sleep(0.05)
        assert (await error()).endswith(GAP), "also after a delivery"
        assert (await client.post(f"/v1/webhooks/{made['id']}/enable"))["error"] is None


async def test_a_name_that_leads_into_the_own_network_is_not_asked(backend: Backend) -> None:
    port = backend.server.server_port
    with pytest.raises(Unreachable, match="which is not of the public internet"):
        await OutboundHttp().ask("POST", f"https://localhost:{port}/", {}, b"")
    for url in INTO_THE_OWN:
        with pytest.raises(Unreachable, match="which is not of the public internet"):
            await OutboundHttp().ask("POST", url, {}, b"")
        with pytest.raises(Unreachable, match="which is not of the public internet"):
            await OutboundHttp().check(url)
    assert backend.came == []
    assert (await OutboundHttp(local=True).ask("POST", f"http://localhost:{port}/x", {}, b"{}"))[0] == 200
    assert backend.came[0][0]["host"] == f"localhost:{port}"


def test_that_an_account_wrote_something_to_itself_is_told_to_tokens_of_the_firehose_alone() -> None:
    for sealed in (False, True):
        filters = json.dumps({"accounts": [], "events": ["create"], "sealed": sealed})
        hook = Hook("wh_1", "", "https://x.example", "", filters, 0, "active", None, None, None, None, None)
        for collection in ("private", "keyring"):
            assert hook.wants({"kind": "create", "collection": collection}) is sealed
        assert hook.wants({"kind": "create", "collection": "post"})


async def test_a_webhook_with_content_tells_what_was_said_and_can_be_replayed(tmp_path: Path, backend: Backend) -> None:
    async with opened(tmp_path) as door:
        await door.person("Lotus")
        client = platform(door)
        an, binh = await open_accounts(client, "an", "bình")
        refusals: list[tuple[dict[str, Any], str]] = [
            ({"events": ["create", "entries"]}, "make a webhook for each"),
            ({"collections": ["post"]}, "collections are for events of create"),
            ({"events": ["create"], "collections": ["potato"]}, "no collection 'potato'"),
        ]
        for wrong, says in refusals:
            assert says in (await client.post("/v1/webhooks", 422, url=backend.url, **wrong))["error"]
        given: dict[str, Any] = {"events": ["create", "delete"], "collections": ["post"], "accounts": [an]}
        hook = await client.post("/v1/webhooks", url=backend.url, **given)
        await send(client, "/v1/operations", [*posts(an, "một", "hai"), *posts(binh, "không")])
        await until(lambda: len(backend.events) >= 2)
        assert [(event["kind"], event["content"]["text"]) for event in backend.events] == [
            ("create", "một"),
            ("create", "hai"),
        ]
        headers, body = backend.came[0]
        delivery = verified(headers, body, hook["secret"])
        assert delivery.webhook == hook["id"]
        assert delivery.events[0] == backend.events[0]
        for altered, name, now in (
            (body + b" ", "altered", None),
            (body, "made with this secret", None),
            (body, "dated", time.time() + 1_000),
        ):
            secret = hook["secret"] if name != "made with this secret" else "whsec_" + b64encode(b"x" * 32).decode()
            with pytest.raises(NotGenuine, match=name):
                verified(headers, altered, secret, now)
        with pytest.raises(NotGenuine, match="headers"):
            verified({}, body, hook["secret"])
        first = backend.events[0]["cursor"]
        backend.came.clear()
        replayed = await client.post(f"/v1/webhooks/{hook['id']}/replay", since=first)
        assert replayed["cursor"] == first
        await until(lambda: len(backend.events) >= 1)
        assert [event["content"]["text"] for event in backend.events] == ["hai"], "what came after that"
        backend.came.clear()
        await client.post(f"/v1/webhooks/{hook['id']}/replay", since="begin")
        await until(lambda: len(backend.events) >= 2)
        await send(client, "/v1/operations", posts(an, "ba"))
        await until(lambda: len(backend.events) >= 3)
        assert [event["content"]["text"] for event in backend.events] == ["một", "hai", "ba"]
        await client.post(f"/v1/webhooks/{hook['id']}/replay", 410, since="0" * 16 + "-1")
        await until(lambda: _cursor_of(door, hook["id"]) == backend.events[-1]["cursor"])


def _cursor_of(door: Door, id: str) -> str:
    return str(door.store.rows("select cursor from webhooks where id = ?", id)[0][0])
