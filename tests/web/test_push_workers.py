"""Push messages of a node whose door is served by workers: one for each notification, whoever was killed meanwhile."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import http_ece
import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from banyan_node.home.settings import set_in_file
from banyan_node.local import open_local
from banyan_web.door_store import DoorStore
from banyan_web.mastodon.push.crypto import point_of, url64
from tests.node.real import load_settings, make_home
from tests.web.test_platform_kill import Life
from tests.web.test_platform_webhooks import Backend
from tests.web.test_push import PATH, service

__all__ = ["service"]


class App:
    """An app that is told of mentions, in the standard's form."""

    def __init__(self, service: Backend, token: str) -> None:
        self._service, self._token = service, token
        self._key, self._auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)

    def subscribe(self, life: Life) -> None:
        keys = {"p256dh": url64(point_of(self._key)), "auth": url64(self._auth)}
        subscription = {"endpoint": self._service.url, "standard": True, "keys": keys}
        body = {"subscription": subscription, "data": {"alerts": {"mention": True}}}
        assert asked(life, self._token, "POST", PATH, body)["standard"] is True

    @property
    def read(self) -> list[str]:
        """The texts that came, in order."""
        found = [
            json.loads(http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth))
            for _, body in list(self._service.came)
        ]
        assert len({one["notification_id"] for one in found}) == len(found), "one comes twice"
        return [one["body"] for one in found]


def asked(life: Life, token: str, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer of any worker that lives."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            headers = {
                "authorization": f"Bearer {token}",
                "idempotency-key": sha256(f"{path} {body}".encode()).hexdigest(),
            }
            answer = httpx.request(verb, life.url + path, json=body, headers=headers, verify=False)
            assert answer.status_code == 200, answer.text
            return answer.json()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_notification_is_pushed_once_whoever_is_killed(tmp_path: Path, service: Backend) -> None:
    home = make_home(tmp_path / "home")
    set_in_file(home.config, "http.local_push", True)
    set_in_file(home.config, "http.cards", "off")
    with open_local(home, load_settings(home, node__role="platform")) as node:
        an = node.call("account.create", name="an")["account"]
        binh = node.call("account.create", name="binh", hosted=True)["account"]
    door = DoorStore(home.door)
    own, other = door.mint(an, "app", ("read", "write", "push")), door.mint(binh, "app", ("read", "write"))
    door.close()
    app, texts = App(service, own), list[str]()
    life = Life(home, "--http-workers", "2")
    try:

        def mention(text: str) -> None:
            """And it is told, and noted as told: who is killed between these two tells it again."""
            before = heard()
            texts.append(f"@an {text}")
            asked(life, other, "POST", "/api/v1/statuses", {"status": texts[-1]})
            told()
            until(lambda: heard() != before)

        def heard() -> list[Any]:
            with closing(DoorStore(home.door)) as door:
                return door.rows("select heard from push_subscriptions")

        def told() -> None:
            until(lambda: len(app.read) >= len(texts))
            assert app.read == texts

        app.subscribe(life)
        mention("một")
        for number in (0, 1):
            pid = life.workers()[number]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            mention(f"giết {number}")
            until(lambda: {*life.workers()}.isdisjoint({pid, None}))  # noqa: B023
        life.kill()
        life = Life(home, "--http-workers", "2")
        told()
        mention("sau")
        life.process.terminate()
        life.process.join(60)
        assert life.process.exitcode == 0
        with open_local(home, load_settings(home, node__role="platform")) as node:
            texts.append("@an khi đóng cửa")
            node.call("post", text=texts[-1], mentions=[an], by=binh)
        life = Life(home, "--http-workers", "2")
        told()
        time.sleep(2)  # what comes twice comes late
        assert app.read == texts
    finally:
        life.kill()
