"""What strangers and broken apps send to the endpoints of accounts, notifications, lists, filters and search: each is
answered with a sentence, and never with a mistake of the server."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from banyan_web.app import EVERY
from banyan_web.endpoint import Endpoint
from banyan_web.mastodon.endpoints import accounts, credentials, discovery, filters, instance, notifications
from tests.needs import numbers
from tests.web.door import open_node

MODULES = (accounts, filters, notifications, instance, credentials, discovery)
NAMES = [
    "acct",
    "avatar",
    "bot",
    "comment",
    "context",
    "duration",
    "display_name",
    "expires_in",
    "fields_attributes",
    "filter_action",
    "following",
    "header",
    "home",
    "id",
    "account_id",
    "account_ids",
    "keyword",
    "keywords_attributes",
    "limit",
    "locked",
    "max_id",
    "min_id",
    "note",
    "notifications",
    "offset",
    "order",
    "q",
    "resolve",
    "since_id",
    "source",
    "timeline",
    "title",
    "type",
    "types",
    "exclude_types",
    "grouped_types",
]
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**18,
    1.5,
    "",
    " ",
    "x",
    "\0",
    "0" * 78,
    "9" * 78,
    "0" * 131,
    "7" * 20,
    "1" * 39,
    "\u202e<script>alert(1)</script>",
    "did:banyan:z" + "1" * 43,
    "https://a.example/@x/1",
    "a" * 5_000,
    '-"(#from:',
    [],
    ["x"],
    [[1]],
    {},
    {"x": "y"},
    {"last_read_id": "1"},
    {"0": {"name": "a", "value": "b"}},
    [{"name": {}, "keyword": []}],
    {"privacy": 5, "language": [], "sensitive": "maybe"},
)
IDS = ("1", "x", "0" * 78, "9" * 78, "1" * 39, "0" * 20, "%00", "did:banyan:z1", "ungrouped-5", "favourite-", "٣" * 78)


def mine() -> list[Endpoint]:
    found = [one for module in MODULES for one in module.ENDPOINTS.all]
    declared = {(one.verb, one.path) for every in EVERY for one in every.all}
    assert {(one.verb, one.path) for one in found} <= declared
    return found


async def test_no_endpoint_fails_whatever_it_is_sent(tmp_path: Path) -> None:
    rng = random.Random("people")
    async with open_node(tmp_path) as door:
        _, client = await door.person("an")
        _, binh = await door.person("binh")
        theirs = (await binh.get("/api/v1/accounts/verify_credentials"))["id"]
        for endpoint in mine():
            for n in numbers(18):
                path = endpoint.path
                for part in ("{id}", "{key}", "{name}"):
                    path = path.replace(part, theirs if n % 4 == 3 else rng.choice(IDS))
                sent = {name: rng.choice(VALUES) for name in rng.sample(NAMES, rng.randint(0, 8))}
                if n % 2 and endpoint.verb == "GET":
                    flat = {name: str(value)[:900] for name, value in sent.items()}
                    answer = await client.http.request(endpoint.verb, path, params=flat)
                else:
                    answer = await client.http.request(endpoint.verb, path, json=sent)
                said = (endpoint.verb, path, sent, answer.status_code, answer.text[:200])
                assert answer.status_code < 500, said
                if answer.status_code >= 400:
                    assert isinstance(answer.json()["error"], str), said
        assert (await client.get("/api/v1/accounts/verify_credentials"))["acct"] == "an"


async def test_each_endpoint_needs_the_scope_that_it_names(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        wrong, nobody = door.client(an, "firehose"), door.client()
        for endpoint in mine():
            if endpoint.scope is None:
                continue
            path = endpoint.path.replace("{id}", "1").replace("{key}", "1").replace("{name}", "x")
            answer = await wrong.http.request(endpoint.verb, path)
            assert answer.status_code == 403, (endpoint.verb, path)
            assert (await nobody.http.request(endpoint.verb, path)).status_code == 401, (endpoint.verb, path)
            kinds = {one.partition(":")[0] for one in endpoint.scope.split("|")}
            assert ("read" if endpoint.verb == "GET" else "write") in kinds or endpoint.scope == "push"
