"""What programs ask of a server by its name: its limits, who an account is, whether it is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_schema.social.post import MAX_OPTION, MAX_OPTIONS, MAX_TEXT
from banyan_web.oauth.apps import covers, scopes_in
from banyan_web.refusals import HttpRefusal
from tests.web.door import open_node


async def test_an_app_is_told_the_limits_of_the_node_itself(tmp_path: Path) -> None:
    flags = {"http__url": "https://social.example", "http__title": "Lotus", "http__description": "Của chúng ta"}
    async with open_node(tmp_path, **flags, http__email="me@social.example") as door:
        did, client = await door.person("an")
        first, second = await client.get("/api/v1/instance/"), await client.get("/api/v2/instance/")
        assert (first["uri"], second["domain"]) == ("social.example", "social.example")
        assert (first["title"], second["title"]) == ("Lotus", "Lotus")
        assert (first["email"], second["description"]) == ("me@social.example", "Của chúng ta")
        assert second["contact"]["account"]["uri"] == did
        assert (first["urls"]["streaming_api"], second["configuration"]["urls"]["streaming"]) == (
            ("wss://social.example",) * 2
        )
        assert first["stats"] == {"user_count": 1, "status_count": 0, "domain_count": 0}
        limits = second["configuration"]
        assert {**limits, **first["configuration"]} == limits
        polls = limits["polls"]
        text = "🌳" * limits["statuses"]["max_characters"]
        options = [f"{i}" * polls["max_characters_per_option"] for i in range(polls["max_options"])]
        assert len(text.encode()) == MAX_TEXT
        assert (len("🌳".encode()) * polls["max_characters_per_option"], len(options)) == (MAX_OPTION, MAX_OPTIONS)
        await door.node.backend.call("post", {"text": text})
        assert (await client.get("/api/v1/instance"))["stats"]["status_count"] == 1
        for path in ("rules", "peers", "activity", "domain_blocks"):
            assert await door.client().get(f"/api/v1/instance/{path}") == []
        for path in ("custom_emojis", "announcements"):
            assert await door.client().get(f"/api/v1/{path}") == []


async def test_a_server_says_who_an_account_is_and_which_software_runs(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__url="https://social.example") as door:
        did, _ = await door.person("an")
        client, body = door.client(), did.removeprefix("did:banyan:")
        for resource in (did, f"acct:{body}@social.example", f"{body}@SOCIAL.example", "acct:an@social.example"):
            found = await client.get("/.well-known/webfinger", resource=resource)
            assert found["subject"] == "acct:an@social.example"
            assert did in found["aliases"]
            assert found["links"][0]["href"] == "https://social.example/@an"
        for resource in ("acct:nobody@social.example", f"acct:{body}@other.example", "did:banyan:z1", did[:-1] + "0"):
            await client.get("/.well-known/webfinger", 404, resource=resource)
        await client.get("/.well-known/webfinger", 400)
        links = (await client.get("/.well-known/nodeinfo"))["links"]
        assert links[0]["href"] == "https://social.example/nodeinfo/2.0"
        info = await client.get("/nodeinfo/2.0")
        assert info["metadata"]["upstream"]["name"] == "mastodon", "by which apps know what to speak"
        assert (info["software"]["name"], info["usage"]["users"]["total"]) == ("banyan", 1)
        meta = await client.http.get("/.well-known/host-meta")
        assert "https://social.example/.well-known/webfinger?resource={uri}" in meta.text
        health = await client.http.get("/health")
        assert (health.status_code, health.text) == (200, "OK")


async def test_an_owner_is_told_what_was_written_as_it_was_written(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        binh, other = await door.person("binh")
        fields = {"bio": "<b>me</b> & you", "site": "https://an.example/<x>"}
        await door.node.backend.call("profile.set", {"fields": fields, "as": an})
        await door.node.backend.call("lock", {"as": an})
        await door.node.backend.call("follow", {"account": an, "as": binh})
        me = await client.get("/api/v1/accounts/verify_credentials")
        assert me["note"] == "<p>&lt;b&gt;me&lt;/b&gt; &amp; you</p>"
        assert me["source"]["note"] == fields["bio"]
        assert {"name": "site", "value": fields["site"], "verified_at": None} in me["source"]["fields"]
        assert me["source"]["follow_requests_count"] == (1 if me["locked"] else 0)
        assert "source" in await other.get("/api/v1/accounts/verify_credentials")
        for scopes, status in ((("profile",), 200), (("read:accounts",), 200), (("write",), 403)):
            await door.client(an, *scopes).get("/api/v1/accounts/verify_credentials", status)
        await door.client().get("/api/v1/accounts/verify_credentials", 401)
        info = await door.client(an, "profile").get("/oauth/userinfo")
        assert (info["sub"], info["iss"]) == (an, door.url + "/")


def test_a_scope_covers_what_begins_with_it() -> None:
    assert scopes_in("read write:statuses read") == ("read", "write:statuses")
    assert scopes_in("read+follow") == ("read", "follow")
    assert covers(("read",), ("read:lists", "read"))
    assert not covers(("read:lists",), ("read",))
    assert not covers(("read",), ("read:lists", "write"))
    for wrong in ("admin", "host", "read:all", "read:", "x" * 100):
        with pytest.raises(HttpRefusal):
            scopes_in(wrong)
