"""Push messages: encrypted for the app alone, signed, once, and never into a private network."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import http_ece
import pytest
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from mastodon.errors import MastodonAPIError, MastodonNotFoundError

from banyan_web.mastodon.push import sender
from banyan_web.mastodon.push.crypto import MOST, AppKeys, PushIdentity, encrypt, encrypt_old, from_64, point_of, url64
from banyan_web.outbound_http import OutboundHttp
from tests.web.door import Door, open_node
from tests.web.library import Person, person
from tests.web.test_platform_webhooks import Backend, until

EVERY = {f"{kind}_events": True for kind in ("follow", "favourite", "reblog", "mention", "follow_request", "poll")}
PATH = "/api/v1/push/subscription"


@pytest.fixture
def service() -> Iterator[Backend]:
    """A push service."""
    made = Backend()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_S", 0.1)
    monkeypatch.setattr(sender, "LOOK_S", 0.2)


# -- the bytes


def test_a_message_is_that_of_the_standard() -> None:
    """RFC 8291, appendix A."""
    point = from_64("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    secret = int.from_bytes(from_64("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
    key, salt = ec.derive_private_key(secret, ec.SECP256R1()), from_64("DGv6ra1nlYgDCS1FRnbzlw")
    made = encrypt(
        b"When I grow up, I want to be a watermelon", AppKeys(point, from_64("BTBZMqHH6r4Tts7J_aSIgg")), salt, key
    )
    assert url64(made.body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_both_forms_are_read_by_a_program_of_others_up_to_the_longest() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    app = AppKeys(point_of(key), b"a" * 16)
    for message in (b"", "tết".encode(), b"x" * MOST):
        made = encrypt(message, app)
        assert http_ece.decrypt(made.body, private_key=key, auth_secret=app.auth) == message
        old = encrypt_old(message, app)
        given = {"salt": old.salt, "dh": old.point, "auth_secret": app.auth, "version": "aesgcm"}
        assert http_ece.decrypt(old.body, private_key=key, **given) == message
    for form in (encrypt, encrypt_old):
        with pytest.raises(ValueError, match="at most 3993 bytes"):
            form(b"x" * (MOST + 1), app)


def test_the_key_of_a_node_stays_and_opens_its_own_tokens_alone() -> None:
    one, again, other = PushIdentity(b"1" * 32), PushIdentity(b"1" * 32), PushIdentity(b"2" * 32)
    assert one.server_key == again.server_key != other.server_key
    assert again.opened(one.seal("token")) == "token"
    assert other.opened(one.seal("token")) is None
    assert other.opened(b"") is None


# -- sent


class App:
    """An app of a person, with the library's own keys."""

    def __init__(self, who: Person) -> None:
        self.who = who
        made: Any = who.api.push_subscription_generate_keys()
        self.private, self.public = made

    async def subscribe(self, url: str, **wanted: Any) -> Any:
        return await self.who.ask("push_subscription_set", url, self.public, **wanted)

    def read(self, headers: dict[str, str], body: bytes) -> Any:
        """The old form."""
        return self.who.api.push_subscription_decrypt_push(
            body, self.private, headers["encryption"], headers["crypto-key"]
        )

    def read_new(self, body: bytes) -> Any:
        key = ec.derive_private_key(self.private["privkey"], ec.SECP256R1())
        return json.loads(http_ece.decrypt(body, private_key=key, auth_secret=self.private["auth"]))


def opened(path: Path) -> Any:
    return open_node(path, http__local_push="true", http__email="an@vn.example")


def signed(token: str, key: str) -> dict[str, Any]:
    """The claims of a JWT. Raises InvalidSignature."""
    said, _, signature = token.rpartition(".")
    raw = from_64(signature)
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), urlsafe_b64decode(key))
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    point.verify(pair, said.encode(), ec.ECDSA(hashes.SHA256()))
    claims: dict[str, Any] = json.loads(from_64(said.partition(".")[2]))
    return claims


async def quiet(service: Backend, count: int) -> None:
    await trio.sleep(0.5)
    assert len(service.came) == count


def subscriptions(door: Door) -> list[tuple[Any, ...]]:
    return door.store.rows("select id, error from push_subscriptions")


async def test_an_app_is_told_what_it_asked_for_in_the_words_of_mastodon(tmp_path: Path, service: Backend) -> None:
    async with opened(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        post = (await an.node("post", text="một"))["uri"]
        await binh.node("react", uri=post, emoji="❤")  # before the app was there
        app = App(an)
        made = await app.subscribe(service.url, **EVERY)
        assert (made.endpoint, made["policy"], made.alerts.favourite) == (service.url, "all", True)
        key = made.server_key
        assert (await an.ask("instance")).configuration.vapid.public_key == key
        assert (await an.ask("app_verify_credentials")).vapid_key == key
        await binh.node("reply", uri=post, text="<b>trả</b> lời &amp; " + "dài " * 60)
        await until(lambda: len(service.came) == 1)
        headers, body = service.came[0]
        assert [headers[name] for name in ("content-encoding", "ttl", "urgency")] == ["aesgcm", "172800", "normal"]
        scheme, _, token = headers["authorization"].partition(" ")
        claims = signed(token, key)
        assert (scheme, claims["sub"]) == ("WebPush", "mailto:an@vn.example")
        assert claims["aud"] == service.url.removesuffix("/hook")
        assert time.time() < claims["exp"] <= time.time() + 24 * 3_600
        said = app.read(headers, body)
        (notice, *_) = await an.ask("notifications")
        assert (int(said.notification_id), said.notification_type) == (int(notice.id), "mention")
        assert said.access_token == an.api.access_token
        assert (said.title, said.preferred_locale) == ("You were mentioned by binh", "en")
        assert said.body.startswith("<b>trả</b> lời &amp; dài")
        assert len(said.body) == 140
        assert said.icon == notice.account.avatar_static

        # an app that reads the standard: another token, another subscription
        other, client = App(Person(door, an.did)), door.client(an.did, "read", "push")
        raw = {"p256dh": url64(other.public["pubkey"]), "auth": url64(other.public["auth"])}
        given = {"endpoint": service.url, "standard": True, "keys": raw}
        new = await client.post(PATH, subscription=given, data={"alerts": {"reblog": True}, "policy": "followed"})
        assert (new["standard"], new["alerts"], new["policy"]) == (True, {"reblog": True}, "followed")
        await binh.node("repost", uri=post)
        await until(lambda: len(service.came) == 2)
        await quiet(service, 2)  # the policy holds the other back
        await an.node("follow", account=binh.did)
        second = (await an.node("post", text="hai"))["uri"]
        await binh.node("repost", uri=second)
        await until(lambda: len(service.came) == 4)
        headers, body = next(one for one in service.came[2:] if one[0]["content-encoding"] == "aes128gcm")
        said = other.read_new(body)
        assert (said["notification_type"], said["access_token"]) == ("reblog", client.token)
        assert (said["title"], said["body"]) == ("binh boosted your post", "hai")
        token, shown = headers["authorization"].removeprefix("vapid t=").split(",k=")
        assert signed(token, shown + "=")["aud"] == claims["aud"]
        await client.ask("DELETE", PATH)

        # fewer, then none
        changed = await an.ask("push_subscription_update", follow_events=True, policy="all")
        assert dict(changed.alerts).get("follow") is True
        assert not dict(changed.alerts).get("favourite")
        await binh.node("react", uri=post, emoji="🎉")
        await quiet(service, 4)
        await binh.node("follow", account=an.did)
        await until(lambda: len(service.came) == 5)
        assert app.read(*service.came[4]).notification_type == "follow"
        assert str((await an.ask("push_subscription")).id) == str(made.id)
        await an.ask("push_subscription_delete")
        with pytest.raises(MastodonNotFoundError):
            await an.ask("push_subscription")
        await binh.node("reply", uri=post, text="nữa")
        await quiet(service, 5)


async def test_nothing_is_sent_twice_or_lost_by_a_service_that_fails_and_a_node_that_starts_anew(
    tmp_path: Path, service: Backend
) -> None:
    async with opened(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        app = App(an)
        await app.subscribe(service.url, **EVERY)
        await binh.node("post", text="một @an", mentions=[an.did])
        await until(lambda: len(service.came) == 1)
        await quiet(service, 1)
        service.status = 500
        await binh.node("post", text="hai @an", mentions=[an.did])
        await until(lambda: len(service.came) >= 3)
        assert subscriptions(door) == [(1, "It answered 500.")]
        for file in tmp_path.glob("door.db*"):
            assert str(an.api.access_token).encode() not in file.read_bytes(), "the token is sealed"
    service.came.clear()
    service.status = 201
    async with opened(tmp_path) as door:
        await until(lambda: len(service.came) == 1)
        assert app.read(*service.came[0]).body == "hai @an"
        await quiet(service, 1)
        assert subscriptions(door) == [(1, None)]
    async with opened(tmp_path) as door:
        await quiet(service, 1)

        async def mention(text: str) -> None:
            await door.node.backend.call("post", {"text": text, "mentions": [an.did], "as": "binh"})

        await mention("ba @an")
        await until(lambda: len(service.came) == 2)
        service.status = 410  # the app is not on the phone any more
        await mention("bốn @an")
        await until(lambda: len(service.came) == 3)
        await until(lambda: subscriptions(door) == [])
        service.status = 201
        other = App(Person(door, an.did))
        await other.subscribe(service.url, **EVERY)
        door.store.revoke(other.who.api.access_token)
        assert subscriptions(door) == [], "a token that is revoked ends what it asked for"
        await mention("năm @an")
        await quiet(service, 3)


async def _led_elsewhere(_: OutboundHttp, __: str) -> None:
    """The name had another address when the app subscribed."""


async def test_what_no_app_should_ask_for_is_refused_and_no_private_network_is_told(
    tmp_path: Path, service: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = service.server.server_port
    async with open_node(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        client, fine = door.client(an.did), App(an).public
        keys = {"p256dh": url64(fine["pubkey"]), "auth": url64(fine["auth"])}
        at = "https://1.1.1.1/x"
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, "subscription is missing"),
            ({"subscription": {"endpoint": at}}, "keys is missing"),
            ({"subscription": {"endpoint": at, "keys": {**keys, "auth": "AAAA"}}}, "16 bytes"),
            ({"subscription": {"endpoint": at, "keys": {**keys, "p256dh": "B" * 87}}}, "a point"),
            ({"subscription": {"endpoint": at, "keys": {**keys, "p256dh": "é"}}}, "base64"),
            ({"subscription": {"endpoint": f"http://localhost:{port}/", "keys": keys}}, "must begin with https://"),
            ({"subscription": {"endpoint": "https://10.0.0.1/", "keys": keys}}, "not of the public internet"),
            ({"subscription": {"endpoint": f"https://localhost:{port}/", "keys": keys}}, "not of the public internet"),
            ({"subscription": {"endpoint": at, "keys": keys}, "policy": "some"}, "policy is all"),
        ]
        for given, says in wrong:
            assert says in (await client.post(PATH, 422, **given))["error"]
        await door.client(an.did, "read").get(PATH, 403)
        local = {"endpoint": f"https://localhost:{port}/", "keys": keys}
        with monkeypatch.context() as patched:
            patched.setattr(OutboundHttp, "check", _led_elsewhere)
            await client.post(PATH, subscription=local, data={"alerts": {"mention": "true"}})
        await binh.node("post", text="một @an", mentions=[an.did])
        await until(lambda: "which is not of the public internet" in (subscriptions(door)[0][1] or ""))
        assert service.came == []
        with pytest.raises(MastodonAPIError, match="must begin with https"):
            await App(an).subscribe("http://push.example/", **EVERY)
