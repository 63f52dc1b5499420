"""Every POST of the APIs is done once under its Idempotency-Key, or it does no harm that it is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from banyan_web.app import EVERY
from banyan_web.mastodon.entity_ids import account_id
from tests.web.door import Client, Door, open_node

UN = ("", "un")
STATE = "sets a state, and twice is as once"
READS = "changes nothing"
NOT_HERE = "is refused: this network has no such thing"
WITHOUT: dict[str, str] = {
    **dict.fromkeys(
        (
            *(
                f"/api/v1/accounts/{{id}}/{verb}"
                for verb in ("follow", "unfollow", "mute", "unmute", "block", "unblock")
            ),
            *(f"/api/v1/accounts/{{id}}/{verb}" for verb in ("note", "remove_from_followers")),
            *(f"/api/v1/follow_requests/{{id}}/{verb}" for verb in ("authorize", "reject")),
            *(f"/api/v1/statuses/{{id}}/{un}{verb}" for verb in ("favourite", "reblog", "bookmark") for un in UN),
            *(f"/api/v1/statuses/{{id}}/{un}{verb}" for verb in ("pin", "mute") for un in UN),
            *(f"/api/v1/tags/{{name}}/{un}{verb}" for verb in ("follow", "feature") for un in UN),
            *("/api/v1/lists/{id}/accounts", "/api/v1/featured_tags", "/api/v1/markers"),
            *("/api/v1/notifications/clear", "/api/v1/notifications/dismiss", "/api/v1/notifications/{id}/dismiss"),
            *("/api/v2/notifications/{key}/dismiss", "/api/v1/statuses/{id}/quotes/{by}/revoke"),
            *("/v1/firehose/consumers/{name}/ack", "/v1/webhooks/{id}/enable", "/v1/webhooks/{id}/replay"),
        ),
        STATE,
    ),
    **dict.fromkeys(
        (
            *("/api/v1/domain_blocks", "/api/v1/accounts/{id}/pin", "/api/v1/accounts/{id}/unpin"),
            *("/api/v1/accounts/{id}/endorse", "/api/v1/accounts/{id}/unendorse", "/api/v1/collections"),
            *("/api/v1/conversations/{id}/read", "/api/v1/filters", "/api/v2/filters/{id}/statuses"),
            *(f"/api/v1/notifications/requests/{{id}}/{verb}" for verb in ("accept", "dismiss")),
        ),
        NOT_HERE,
    ),
    "/v1/firehose": READS,
    "/oauth/userinfo": READS,
    "/api/v1/polls/{id}/votes": "an account votes once: the same vote under a key is answered, another is refused",
    "/api/v1/push/subscription": "a token has one, and a new one takes its place",
    "/api/v1/apps": "nobody has a token yet, so no key is anybody's; an app that nobody logs in with goes",
    "/oauth/authorize": "a person decides, and each decision has a code of its own",
    "/oauth/token": "a code is good for one token, and is used up",
    "/oauth/revoke": STATE,
    "/v1/accounts/bulk": "each line has an id of its own, which is its key",
}
"""The POSTs that take no key, each with why that does no harm."""
KEYED: dict[str, dict[str, Any]] = {
    "/api/v1/lists": {"title": "L"},
    "/api/v2/filters": {"title": "F", "context": ["home"], "keywords_attributes": [{"keyword": "x"}]},
    "/api/v2/filters/{id}/keywords": {"keyword": "y"},
    "/api/v1/reports": {"comment": "spam"},
    "/v1/reports": {"comment": "spam"},
    "/api/v1/statuses": {"status": "x"},
}
"""The POSTs that are sent twice here. The others that take a key have tests of their own."""
ELSEWHERE = {"/api/v1/media", "/api/v2/media"}


def posts() -> dict[str, bool]:
    """Each POST of the APIs, and whether the OpenAPI document says that it takes a key."""
    return {
        one.path: one.shape is not None and one.shape.keyed
        for part in EVERY
        for one in part.all
        if one.verb == "POST" and one.path.startswith(("/api/", "/v1/", "/oauth/"))
    }


def test_every_post_takes_a_key_or_says_why_not() -> None:
    found = posts()
    keyed = {path for path, said in found.items() if said} | KEYED.keys() | ELSEWHERE
    assert keyed | WITHOUT.keys() == found.keys()
    assert not keyed & WITHOUT.keys()


async def test_what_comes_again_under_its_key_is_answered_again_and_not_done_again(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, client = await door.person("an")
        other, _ = await door.person("bình")
        made: Any = {}
        for path, body in KEYED.items():
            path, key = path.replace("{id}", str(made.get("id"))), {"idempotency-key": path}
            if path.endswith("reports"):
                body = {**body, "account" if path.startswith("/v1") else "account_id": _named(path, other)}
            found = [await client.ask("POST", path, json=body, headers=key) for _ in range(3)]
            assert found[0] == found[1] == found[2], path
            await client.ask("POST", path, 422, json={**body, _text_of(body): "another"}, headers=key)
            made = found[0]
        assert [one["title"] for one in await client.get("/api/v1/lists")] == ["L"]
        (one,) = await client.get("/api/v2/filters")
        assert [word["keyword"] for word in one["keywords"]] == ["x", "y"]
        await _others_are_not_in_the_way(door, client)


async def _others_are_not_in_the_way(door: Door, client: Client) -> None:
    """The key is the account's own."""
    _, other = await door.person("chi")
    made = await other.ask("POST", "/api/v1/lists", json={"title": "M"}, headers={"idempotency-key": "/api/v1/lists"})
    assert made["title"] == "M"
    assert [one["title"] for one in await client.get("/api/v1/lists")] == ["L"]


def _named(path: str, did: str) -> str:
    return did if path.startswith("/v1") else account_id(did)


def _text_of(body: dict[str, Any]) -> str:
    return next(name for name in ("title", "keyword", "comment", "status") if name in body)


async def test_a_vote_that_is_sent_again_under_a_key_is_answered(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        (_, an), (_, binh) = [await door.person(name) for name in ("an", "binh")]
        asked = {"status": "?", "poll": {"options": ["a", "b"], "expires_in": 3_600}}
        poll = (await an.http.post("/api/v1/statuses", json=asked)).json()["poll"]["id"]

        async def vote(choice: int, **headers: str) -> tuple[int, Any]:
            answer = await binh.http.post(f"/api/v1/polls/{poll}/votes", json={"choices": [choice]}, headers=headers)
            return answer.status_code, answer.json().get("own_votes")

        once = {"Idempotency-Key": "k"}
        assert [await vote(1, **once), await vote(1, **once)] == [(200, [1])] * 2
        assert [(await vote(1))[0], (await vote(0, **once))[0]] == [422, 422]
