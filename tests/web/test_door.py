"""The door: who is let in, what is refused, and in what words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from banyan_web.door_store import DoorStore
from banyan_web.mastodon import entity_ids
from banyan_web.params import nested
from banyan_web.refusals import HttpRefusal
from tests.web.door import open_node


async def test_a_token_opens_what_its_scopes_allow(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        assert (await client.get("/api/v1/preferences"))["posting:default:visibility"] == "public"
        assert await client.get("/api/v1/preferences/") == await client.get("/api/v1/preferences")
        for scopes, status in ((("read:accounts",), 200), (("write",), 403), (("read:lists",), 403)):
            await door.client(an, *scopes).get("/api/v1/preferences", status)
        said = await door.client().get("/api/v1/preferences", 401)
        assert said == {"error": "The access token is invalid", "code": "not_allowed"}
        door.store.revoke(client.token or "")
        await client.get("/api/v1/preferences", 401)
        late = door.store.mint(an, "test", ("read",), -1)
        assert door.store.token(late) is None
        answer = await client.http.post("/api/v1/preferences")
        assert answer.status_code == 405
        answer = await client.http.options("/api/v1/preferences", headers={"origin": "https://app.example"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
        answer = await client.http.get("/nothing")
        assert (answer.status_code, answer.json()) == (404, {"error": "Nothing is here.", "code": "not_here"})
        assert "access-control-allow-origin" not in answer.headers


def test_tokens_are_kept_as_hashes(tmp_path: Path) -> None:
    store = DoorStore(tmp_path / "door.db")
    raw = store.mint("did:banyan:z1", "app", ("read",), 60)
    found = store.token(raw)
    assert found is not None
    assert (found.account, found.app, found.scopes, found.expires) == (
        "did:banyan:z1",
        "app",
        ("read",),
        found.created + 60,
    )
    assert abs(found.created - time.time()) < 60
    store.close()
    assert raw.encode() not in (tmp_path / "door.db").read_bytes()
    again = DoorStore(tmp_path / "door.db")
    assert again.token(raw) == found
    again.close()


def test_names_with_brackets_are_nested() -> None:
    pairs = [
        ("a[]", "1"),
        ("a[]", "2"),
        ("p[o][]", "x"),
        ("p[o][]", "y"),
        ("p[e]", "9"),
        ("f[][n]", "1"),
        ("f[][v]", "2"),
    ]
    found = nested([*pairs, ("f[][n]", "3"), ("f[][v]", "4")])
    assert found == {
        "a": ["1", "2"],
        "p": {"o": ["x", "y"], "e": "9"},
        "f": [{"n": "1", "v": "2"}, {"n": "3", "v": "4"}],
    }
    for bad in ([("a", "1"), ("a[b]", "2")], [("a[b", "1")], [("a" + "[b]" * 6, "1")], [("a[]", "1"), ("a[b]", "2")]):
        with pytest.raises(HttpRefusal):
            nested(bad)


def test_ids_are_digits_whose_order_is_that_of_time() -> None:
    did = "did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH"
    uri = did + "/01a12f20b6cfeb9c3cd606dbc6b31f12"
    assert entity_ids.did_of(entity_ids.account_id(did)) == did
    post, repost, later = entity_ids.status_id(uri, 5), entity_ids.repost_id(uri, did, 6), entity_ids.status_id(uri, 7)
    assert post < repost < later
    assert entity_ids.parsed(post) == entity_ids.PostId(uri, 5)
    found = entity_ids.parsed(repost)
    assert isinstance(found, entity_ids.RepostId)
    assert (found.by, found.time_ms, entity_ids.id_of_repost(found)) == (did, 6, repost)
    now = entity_ids.status_id(uri, 1_796_000_000_000)
    assert entity_ids.parsed(str(int(now))) == entity_ids.PostId(uri, 1_796_000_000_000), (
        "a client may read an id as a number"
    )
    small = "did:banyan:z1tVojvhToWjQ8Xvo4UPx2Xz9eRy7auyYMmZBjc2XfN"
    assert entity_ids.did_of(str(int(entity_ids.account_id(small)))) == small
    for wrong in ("", "1", "x" * 131, post + "0", post[:-1], "9" * 131, "1" * 15 + "9" * 116, "٣" * 131, "9" * 69):
        with pytest.raises(HttpRefusal):
            entity_ids.parsed(wrong)
        with pytest.raises(HttpRefusal):
            entity_ids.did_of(wrong[:69])
