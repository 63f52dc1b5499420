"""Items: a new collection can be written and read through the API without any change of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from banyan_crdt.ids import CellKey
from banyan_crdt.ops import Add, Put, Text
from banyan_node.api import LocalBackend
from banyan_node.api.declare import named
from banyan_node.api.dispatch import EVERY
from banyan_node.api.methods.posts import items
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_schema import registry
from banyan_schema.collection import Collection, OpDraft
from banyan_storage import slots
from tests.node.real import converged, make_home, make_node, running
from tests.node.test_api import local
from tests.schema.poll import COLLECTIONS, POLL, VOTE

LUNCH: dict[str, Any] = {"question": "Ăn trưa?", "options": ["phở", "bún chả"]}
VISITS: Collection[Any] = Collection("vn.example.visits", "counter")
NOTES: Collection[Any] = Collection("vn.example.notes", "text")
ABSENT = "00" * 16


@pytest.fixture(autouse=True)
def _polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Acts as if tests/schema/poll.py were in social/; tests/cli/test_items.py really puts it there."""
    monkeypatch.setattr(registry, "SOCIAL", registry.SOCIAL.adding(*COLLECTIONS, VISITS, NOTES))
    for of in COLLECTIONS:
        slot = of.id + slots.KINDS[of.merge]
        monkeypatch.setitem(slots._OF_SLOT, slot, of)
        monkeypatch.setitem(slots._SEED_IN, slot, of.seed_in)


class Asked:
    """A store without a node; every answer is checked against its declaration."""

    def __init__(self, node: LocalBackend) -> None:
        self.node = node

    def __call__(self, method: str, **params: Any) -> Any:
        answer = self.node.call(method, **params)
        msgspec.convert(answer, EVERY[method].answers)
        return answer

    def put(self, collection: str, key: str | None = None, element: str | None = None, **fields: Any) -> Any:
        return self("items.put", collection=collection, key=key, element=element, fields=fields)

    def shown(self, collection: str, **params: Any) -> list[Any]:
        return [row["content"] for row in self("items.list", collection=collection, **params)["items"]]

    def live(self, op: Put | Add) -> int:
        """How many writes of a register or element are not replaced."""
        context = self.node.context
        return len(context.queries().live(hosted.my_account(context), op))

    def refused(self, method: str, code: str, **params: Any) -> str:
        with pytest.raises(CallError) as caught:
            self(method, **params)
        assert caught.value.code == code, caught.value.message
        assert caught.value.message.endswith((".", "?"))
        return caught.value.message


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    with local(tmp_path / "home") as node:
        asked = Asked(node)
        asked("account.create", name="an")
        yield asked


def test_a_poll_is_put_read_put_again_and_deleted_for_good(ask: Asked) -> None:
    made = ask.put(POLL.name, **LUNCH)
    row = ask("items.get", collection=POLL.name, key=made["key"])
    assert (row["content"], row["entry"], row["element"]) == (LUNCH, made["entry"], None)
    assert ask("items.list", collection=POLL.name) == {"items": [row], "after": None}

    better = {**LUNCH, "options": [*LUNCH["options"], "cơm tấm"]}
    assert ask.put(POLL.name, made["key"], **better)["key"] == made["key"]
    assert ask.shown(POLL.name) == [better]
    assert ask.live(Put(POLL.id, CellKey(bytes.fromhex(made["key"])), (), None)) == 1

    ask("items.delete", collection=POLL.name, key=made["key"])
    assert ask.shown(POLL.name) == []
    again = {"collection": POLL.name, "key": made["key"]}
    assert "shows no item" in ask.refused("items.get", "not_found", **again)
    assert "shows no item" in ask.refused("items.delete", "not_found", **again)
    assert "deleted for good" in ask.refused("items.put", "refused", **again, fields=LUNCH)


def test_elements_of_a_set_are_put_once_replaced_and_taken_back(ask: Asked) -> None:
    poll = ask.put(POLL.name, **LUNCH)
    said = {"account": poll["account"], "key": poll["key"]}

    def vote(option: int, element: str | None = None) -> Any:
        fields = {**said, "option": option}
        return ask("items.put", collection=VOTE.name, key=poll["key"], element=element, fields=fields)

    first, other = vote(0), vote(1)
    assert vote(0) == first
    assert first["element"] != other["element"]
    assert {row["option"] for row in ask.shown(VOTE.name)} == {0, 1}
    one = {"collection": VOTE.name, "key": poll["key"], "element": first["element"]}
    assert ask("items.get", **one)["content"] == {**said, "option": 0}
    assert ask.shown(VOTE.name, prefix=poll["key"] + other["element"]) == [{**said, "option": 1}]

    assert vote(7, first["element"])["element"] == first["element"]
    assert {row["option"] for row in ask.shown(VOTE.name)} == {7, 1}
    key, element = CellKey(bytes.fromhex(poll["key"])), CellKey(bytes.fromhex(first["element"]))
    assert ask.live(Add(VOTE.id, key, element, None)) == 1

    ask("items.delete", **one)
    assert [row["option"] for row in ask.shown(VOTE.name)] == [1]
    assert "shows no item" in ask.refused("items.delete", "not_found", **one)
    vote(7, first["element"])
    ask("items.delete", collection=VOTE.name, key=poll["key"])
    assert ask.shown(VOTE.name) == []
    vote(1)
    assert [row["option"] for row in ask.shown(VOTE.name)] == [1]


def test_all_elements_of_a_large_set_are_taken_back_at_once(ask: Asked) -> None:
    """More than the operations of one entry can name."""
    poll = ask.put(POLL.name, **LUNCH)
    key, said = poll["key"], {"account": poll["account"], "key": poll["key"]}

    def vote(option: int) -> Any:
        return ask("items.put", collection=VOTE.name, key=key, fields={**said, "option": option})

    for option in range(500):
        vote(option)
    deleted = ask("items.delete", collection=VOTE.name, key=key)
    assert ask.shown(VOTE.name) == []
    assert deleted["element"] is None
    vote(1)
    assert len(ask.shown(VOTE.name)) == 1


def test_a_counter_that_was_deleted_takes_no_addition_that_nobody_would_see(ask: Asked) -> None:
    made = ask.put(VISITS.name, add=1)
    ask("items.delete", collection=VISITS.name, key=made["key"])
    sentence = ask.refused("items.put", "refused", collection=VISITS.name, fields={"add": 1})
    assert made["key"] in sentence


def test_an_element_without_a_key_is_in_the_accounts_one_set(ask: Asked) -> None:
    poll = ask.put(POLL.name, **LUNCH)
    said = {"account": poll["account"], "key": poll["key"]}
    votes = [ask("items.put", collection=VOTE.name, fields={**said, "option": option}) for option in (1, 2, 1)]
    assert len({vote["key"] for vote in votes}) == 1
    assert len({vote["element"] for vote in votes}) == 2
    assert len(ask.shown(VOTE.name)) == 2


def test_pages_go_on_where_the_one_before_ended_and_miss_nothing(ask: Asked) -> None:
    keys = [f"{k:02x}" * 16 for k in range(7)]
    for k, key in enumerate(keys):
        ask.put(POLL.name, key, question=f"{k}?", options=["x"])
    fields = {"account": ask("id")["account"], "key": keys[0], "option": 0}
    for k in range(5):
        ask("items.put", collection=VOTE.name, key=keys[k // 3], fields={**fields, "option": k})
    for collection, count in ((POLL.name, 7), (VOTE.name, 5)):
        for limit in (1, 2, 3, 7, 100):
            found, after = list[tuple[str, str | None]](), None
            while True:
                page = ask("items.list", collection=collection, limit=limit, after=after)
                assert len(page["items"]) <= limit
                found += [(row["key"], row["element"]) for row in page["items"]]
                assert len(found) <= count
                after = page["after"]
                if after is None:
                    break
            assert len(found) == len(set(found)) == count
            assert found == sorted(found)
    assert [row["question"] for row in ask.shown(POLL.name, prefix="05")] == ["5?"]
    assert ask("items.list", collection=POLL.name, limit=0) == {"items": [], "after": None}


def test_a_counter_is_added_to_and_a_text_is_read(ask: Asked) -> None:
    key = ask.put(VISITS.name, add=5)["key"]
    assert ask.put(VISITS.name, add=-2)["key"] == key
    assert ask.shown(VISITS.name) == [{"count": 3}]
    assert ask("items.get", collection=VISITS.name, key=key)["content"] == {"count": 3}
    assert ask.shown(VISITS.name, prefix=key[:4]) == [{"count": 3}]
    assert ask.shown(VISITS.name, after=key) == []
    for fields in ({}, {"add": "1"}, {"add": True}, {"add": 1, "more": 1}, {"add": 1 << 63}):
        assert "'add', a whole number" in ask.refused("items.put", "bad_request", collection=VISITS.name, fields=fields)
    ask("items.delete", collection=VISITS.name, key=key)
    assert ask.shown(VISITS.name) == []

    context = ask.node.context
    account = hosted.my_account(context)
    cell = CellKey(b"n" * 16)
    draft = OpDraft(Text(NOTES.id, cell, None, None, 3, None), b"ba\xcc\x81")
    append(context, account, [draft], 2_000_000_000)
    context.store.commit()
    assert ask.shown(NOTES.name) == [{"text": "ba\u0301"}]
    assert "texts, which items.put cannot write" in ask.refused(
        "items.put", "bad_request", collection=NOTES.name, fields={"text": "x"}
    )


def test_every_refusal_is_one_sentence_that_names_the_field(ask: Asked) -> None:
    def put(collection: str = POLL.name, **params: Any) -> str:
        return ask.refused("items.put", "bad_request", collection=collection, **{"fields": LUNCH, **params})

    sentence = put("vn.example.pol")
    known = ", ".join(of.name for of in registry.SOCIAL)
    assert sentence == f"There is no collection 'vn.example.pol' here; there are {known}."
    assert "private, profile, reaction, repost" in known
    assert ask.refused("items.list", "bad_request", collection="vn.example.pol") == sentence
    for said, refusal in (
        ({**LUNCH, "questoin": "x"}, "has no field 'questoin'; did you mean 'question'?"),
        ({"zzz": 1}, "has no field 'zzz'; it has question, options."),
        ({"question": "x"}, "needs 'options', a list of at most 10, each a text; it got nothing."),
        ({**LUNCH, "question": 7}, "refuses 'question': a question is a text, not 7."),
    ):
        assert put(fields=said) == f"The collection 'vn.example.poll' {refusal}"
    assert "1 to 10 are possible" in put(fields={**LUNCH, "options": []})
    assert "is the most: shorten it" in put(fields={**LUNCH, "question": "x" * 301})
    assert "has no elements" in put(element=ABSENT)
    assert "32 hexadecimal digits; it got 'zz'" in put(key="zz")
    assert "there are" not in put("post", fields={"text": "x"})
    assert "post, reply, quote, edit and delete" in put("post", fields={"text": "x"})
    good = {"account": ask("id")["account"], "key": ABSENT, "option": 1}
    for fields, says in (
        ({**good, "account": "an"}, "refuses 'account'"),
        ({**good, "account": 1}, "1 is not an account"),
        ({**good, "key": "12"}, "'12' is no key: it has 32 hexadecimal digits"),
        ({**good, "option": -1}, "it must be from 0 to 2^64 - 1"),
        ({**good, "option": True}, "an option is a whole number, not True"),
        ({**good, "option": 1.0}, "an option is a whole number, not 1.0"),
    ):
        assert says in put(VOTE.name, fields=fields)
    assert "name the 'element' too" in ask.refused("items.get", "bad_request", collection=VOTE.name, key=ABSENT)
    assert "hexadecimal digits; it got 'abc'" in ask.refused(
        "items.list", "bad_request", collection=POLL.name, prefix="abc"
    )


def test_collections_that_have_methods_are_read_as_items_too(ask: Asked) -> None:
    uri = ask("post", text="xin chào", lang="vi")["uri"]
    answer = ask("reply", uri=uri, text="chào")["uri"]
    ask("react", uri=uri, emoji="🌳")
    ask("repost", uri=uri)
    ask("profile.set", fields={"bio": "x"})
    other = ask("account.create", name="bình", hosted=True)["account"]
    ask("follow", account=other)
    by_key = {row["key"]: row["content"] for row in ask("items.list", collection="post")["items"]}
    assert by_key[uri.rpartition("/")[2]]["text"] == "xin chào"
    assert by_key[answer.rpartition("/")[2]]["reply"] == [uri, uri]
    account, _, key = uri.rpartition("/")
    assert ask.shown("reaction") == [{"account": account, "key": key, "emoji": "🌳"}]
    assert ask.shown("repost") == [{"account": account, "key": key}]
    assert {"field": "bio", "value": "x", "media": None} in ask.shown("profile")
    assert ask.shown("follow") == [{"account": other}]
    rows = {row["name"]: row for row in ask("collections")["collections"]}
    assert rows["vn.example.vote"]["fields"] == [
        {"name": "account", "holds": "an account", "optional": False},
        {"name": "key", "holds": "a key", "optional": False},
        {"name": "option", "holds": "a whole number", "optional": False},
    ]
    assert rows["vn.example.vote"]["methods"] == ""
    assert set(items.WRITTEN_BY) == {name for name, row in rows.items() if row["methods"]}
    for said in items.WRITTEN_BY.values():
        assert set(said.replace(" and ", ", ").split(", ")) <= set(EVERY)


def test_reads_are_of_a_snapshot_and_writes_are_writes() -> None:
    assert [EVERY[name].runs for name in ("collections", "items.list", "items.get")] == ["snapshot"] * 3
    assert [EVERY[name].kind for name in ("items.put", "items.delete")] == ["write"] * 2


def test_a_poll_that_one_node_wrote_is_read_at_another(tmp_path: Path) -> None:
    async def main() -> None:
        first = make_node(make_home(tmp_path / "a"))
        async with running(first):
            second = make_node(make_home(tmp_path / "b"), bootstrap=[first.addresses[0]])
            async with running(second):
                await both(first, second)

    async def call(node: Node, method: str, **params: Any) -> Any:
        return await node.backend.call(method, named(params))

    async def both(first: Node, second: Node) -> None:
        an = (await call(first, "account.create", name="an"))["account"]
        binh = (await call(second, "account.create", name="bình"))["account"]
        poll = await call(first, "items.put", collection=POLL.name, fields=LUNCH)
        fields = {"account": an, "key": poll["key"], "option": 1}
        await call(second, "items.put", collection=VOTE.name, fields=fields)
        await converged((first, second))
        for node in (first, second):
            page = await call(node, "items.list", account=an, collection=POLL.name)
            assert [row["content"] for row in page["items"]] == [LUNCH]
            page = await call(node, "items.list", account=binh, collection=VOTE.name)
            assert [row["content"] for row in page["items"]] == [fields]

    trio.run(main)
