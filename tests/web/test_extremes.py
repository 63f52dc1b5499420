"""A stranger writes the least and the largest number into every whole number of every collection. Every way out shows
it: the methods of the node, the API of apps, the API of platforms, the pages, the exports and the commands."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from banyan_crdt.codec import Value, decode, encode
from banyan_crdt.ids import AccountId, CellKey, account_from_text
from banyan_crdt.ops import Add, Put
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY
from banyan_node.hosting.entry_writer import append_each
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError, NoNode
from banyan_schema.collection import Collection, OpDraft
from banyan_schema.dates import FIRST_MS, LAST_MS
from banyan_schema.registry import SOCIAL
from banyan_schema.social import post_from_text, post_key, post_to_text
from banyan_web.app import EVERY as DOOR
from tests.cli.shell import banyan
from tests.node.real import load_settings, make_home
from tests.web.door import Door, open_node

EXTREMES = (0, 1, 1 << 31, 1 << 53, 2 * LAST_MS, 2 * -FIRST_MS - 1, 1 << 63, (1 << 64) - 1)
"""Two are the ends of the calendar as `signed` writes them."""
ASKS = {"options": ["a", "b"], "closes_ms": int(time.time() * 1000) + 600_000}
NOT_ASKED = (
    "streaming|(live|network)/events|firehose|login|static|{secret}|oauth|nodeinfo"
    "|(filters|keywords|lists|reports|scheduled_statuses|requests|media|collections)/{id}"
)
NUMBERS = [of for of in SOCIAL if of.layout and any(re.search("number|object", f.json.kind) for f in of.layout.fields)]
"""The collections whose content has whole numbers."""
ASKED = (
    ("feed", "--all"),
    ("notifications",),
    ("search", "words"),
    ("trends",),
    ("suggestions",),
    ("event", "ls", "bình", "--since", "1960-01-01"),
    ("channel", "ls", "bình"),
    ("channel", "new"),
    ("playlist", "ls", "bình"),
    ("account", "show", "bình"),
    ("status",),
    ("store", "stats"),
)


def contents(of: Collection[Any], post: list[bytes], channel: list[bytes]) -> Iterator[bytes]:
    """Content in which each field says something, with each extreme in each whole number that may have it."""
    assert of.layout is not None
    target = channel if of.name == "episode" else post
    medium: Value = [b"r" * 32, 5, b"image/png", 8, 8, 9, b"words", b"LEHV6nWB2yk8pyo0adR*.7kCMdnj", b"p" * 32]
    texts: list[Value] = [b"words", b"Asia/Ho_Chi_Minh"]
    pieces: list[Value] = [
        5,
        target,
        [target, target],
        b"a" * 32,
        b"k" * 16,
        b"r" * 32,
        *([one] for one in post[:1]),
        [medium],
        medium,
    ]
    pieces += [[[b"a", b"b"], 0, 5], [[5, b"words"]], [b"words"], [1]]
    row: list[Value] = []
    for name, field in zip(of.layout.names, of.layout.fields, strict=True):
        tried = texts if field.json.kind == "a text" else [0] if field.json.kind.startswith("one of") else pieces
        alone = name == "group" or (name in ("reply", "quote") and not post)
        row.append(None if alone else next((piece for piece in tried if reads(field.read, piece)), None))
    assert of.decode(encode(row)) is not None, (of.name, row)
    for extreme in EXTREMES:
        now = encode(row)
        for nth in range(len(list(numbers(row)))):
            changed = decode(now)
            place, at = list(numbers(changed))[nth]
            place[at] = extreme
            if of.decode(encode(changed)) is not None:
                now = encode(changed)
        if now != encode(row):
            yield now


def reads(read: Any, piece: Value) -> bool:
    try:
        read(piece)
    except ValueError:
        return False
    return True


def numbers(value: Any) -> Iterator[tuple[list[Any], int]]:
    for at, one in enumerate(value):
        if type(one) is int:
            yield value, at
        elif type(one) is list:
            yield from numbers(one)


def written(node: LocalBackend) -> dict[str, Any]:
    """What `an` says, and what `bình` says of it in every collection. Answers what reads ask for, by parameter."""
    rng = random.Random("extremes")
    an = node.call("account.create", name="an")["account"]
    binh = node.call("account.create", name="bình", hosted=True)["account"]
    post = node.call("post", text="words of an", tags=["words"])["uri"]
    poll = node.call("post", text="words?", poll=ASKS)["uri"]
    account = account_from_text(binh)
    channel = post_from_text(node.call("channel.set", title="words", kind="video", by=binh)["uri"])
    groups: list[list[OpDraft]] = []
    keys = [channel.key.hex()]
    named: dict[str, Any] = {"uri": poll, "post": post, "account": binh, "text": "words"}
    for of in sorted(NUMBERS, key=lambda of: of.name):
        answers = [*post_from_text(post)]
        both = (answers, []) if of.name == "post" else (answers,)
        for content in (one for target in both for one in contents(of, target, [*channel])):
            cell = CellKey(post_key(b"s" * 32, rng.randbytes(16), len(groups)))
            named.setdefault(of.name, f"{binh}/{cell.hex()}")
            op = Put(of.id, cell, (), None) if of.merge == "register" else Add(of.id, cell, cell, None)
            groups.append([OpDraft(op, content)])
        keys += [draft.op.key.hex() for (draft,) in groups[-1:] if isinstance(draft.op, Put)]
    assert {"post", "profile", "vote", "episode", "event"} <= {of.name for of in NUMBERS}
    lost = rng.randbytes(16)
    below = next(contents(SOCIAL.by_name["post"], [account, lost], []))
    said = encode([1, b"k" * 32, b"order", b"basis", b"scope", EXTREMES[-1], EXTREMES[-1]])
    node.context.store.put_note(b"stated of post:" + account + lost, said)
    groups.append([OpDraft(Put(SOCIAL.by_name["post"].id, CellKey(rng.randbytes(16)), (), None), below)])
    append_each(node.context, AccountId(account), groups, time.time())
    node.call("follow", account=binh)
    node.call("channel.subscribe", channel=post_to_text(channel))
    return {**named, "keys": keys, "channel": post_to_text(channel), "lost": f"{binh}/{lost.hex()}", "an": an}


def methods(node: LocalBackend, named: dict[str, Any], folder: Path) -> None:
    """Every method that reads answers, or refuses with a sentence."""
    posts = [row["uri"] for row in node.call("feed", all=True, limit=100)["posts"]]
    assert len(posts) > len(EXTREMES)
    given: dict[str, Any] = {**named, "uris": posts, "accounts": [named["account"]], "answer": "yes", "key": "0" * 32}
    for name, method in EVERY.items():
        fields = [f.name for f in msgspec.structs.fields(method.asks)]
        params = {field: given[field] for field in fields if field in given}
        wants = {"path": str(folder / name), "collection": "post"}
        params |= {field: said for field, said in wants.items() if field in fields}
        asked = [params]
        if "uri" in fields:
            asked = [{**params, "uri": uri} for uri in (*posts, named["uri"], named["post"], named["lost"])]
        if name == "items.list":
            asked = [{"account": named["account"], "collection": of.name} for of in SOCIAL]
        for one in asked if method.kind == "read" else ():
            with suppress(CallError, NoNode):
                node.call(name, **one)


def commands(home: Path, named: dict[str, Any]) -> None:
    lines = [*ASKED, *(("item", "list", "bình", of.name) for of in SOCIAL)]
    lines += [(verb, named[what]) for what in ("uri", "post") for verb in ("thread", "why", "reactions", "reposts")]
    lines += [("event", "show", named["event"]), ("channel", "show", named["channel"])]
    for words in lines:
        for more in ((), ("--json",)):
            ran = banyan("--home", home, *words, *more)
            assert ran.code == 0, (words, ran.err)


async def pages(door: Door, named: dict[str, Any]) -> None:
    client = door.client(named["an"])
    statuses: list[dict[str, Any]] = []
    while rows := await client.get(
        "/api/v1/timelines/public", **({"max_id": statuses[-1]["id"]} if statuses else {}), limit="40"
    ):
        statuses += rows
    assert len(statuses) > len(EXTREMES)
    name = named["account"].removeprefix("did:banyan:")
    ids = [one["id"] for one in statuses if (one["poll"] or {"expires_at": ""})["expires_at"].startswith("9999")][:1]
    ids += [one["id"] for one in statuses if one["account"]["display_name"] == "an"]
    assert len(ids) == 3
    person = (await client.get("/api/v1/accounts/lookup", acct=named["account"]))["id"]
    fill = {
        "account": [named["account"]],
        "did": [named["account"]],
        "name": [name],
        "tag": ["words"],
        "key": named["keys"],
    }
    fill["id"] = [person]
    for endpoint in (one for every in DOOR for one in every.all):
        if endpoint.verb != "GET" or re.search(NOT_ASKED, endpoint.path):
            continue
        paths = [endpoint.path]
        for part in re.findall(r"{(\w+)(?::path)?}", endpoint.path):
            known = ids if part == "id" and "/accounts/" not in endpoint.path else fill.get(part)
            paths = [re.sub(rf"{{{part}(:path)?}}", one, path) for path in paths for one in known or []]
        for path in paths:
            answer = await client.http.get(path, params={"q": "words"})
            assert answer.status_code < 429, (path, answer.text[:300])
            long = re.search(r'"\w+":-?\d{11}', answer.text)
            assert long is None or not path.startswith("/api/"), (path, long, "apps read 32 bits")


async def test_every_read_takes_the_numbers_of_strangers(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        named = written(node)
        methods(node, named, tmp_path)
    commands(home.path, named)
    async with open_node(tmp_path / "home") as door:
        await pages(door, named)
