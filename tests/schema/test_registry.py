"""Registries find the files of the folder, and no two collections have the same name."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import banyan_schema.social
from banyan_crdt.codec import decode
from banyan_crdt.ids import AccountId, CellKey, coll
from banyan_schema.collection import OPERATIONS, Collection, Merge
from banyan_schema.fields import KEY
from banyan_schema.layout import Layout
from banyan_schema.registry import SOCIAL, Registry
from banyan_schema.social import RELATIONS, Poll, Post, ProfileField, Reaction, Relate, ReplyTo, Repost, Target, Vote
from banyan_schema.social.channel import Channel, Episode, Playlist, Subscription
from banyan_schema.social.event import EventInvite, EventReply, SocialEvent
from banyan_schema.social.group import Group, GroupAct, GroupJoin
from banyan_schema.social.identity import HandleConfirmation, MovedFrom, MovedTo, Official
from banyan_schema.social.post import InteractionPolicy
from banyan_schema.social.profile import PinnedPost
from banyan_schema.social.relation import FollowAnswer
from banyan_schema.social.response import Hidden
from banyan_storage.views.registry import VIEWS

SHIPPED = {
    *("block", "follow", "mute", "post", "profile", "reaction", "repost", "vote"),
    *("group", "group.join", "group.act", "event", "event.reply", "event.invite"),
    *("follow.answer", "handle", "moved.to", "moved.from", "official"),
    *("channel", "episode", "playlist", "subscription", "pinned", "hidden"),
}
"""Others may stand beside them: whoever adds a file changes no test."""
VECTORS = [
    said
    for said in json.loads((Path(__file__).parents[1] / "vectors" / "social.json").read_text())["said"]
    if said["content"]
]
LAYOUT = Layout(lambda key: key, lambda key: (key,), (KEY,))
POLL: Collection[bytes] = Collection("vn.example.poll", "register", LAYOUT)


def test_every_file_of_the_folder_is_known_and_nothing_names_them() -> None:
    files = {path.stem for path in Path(banyan_schema.social.__file__).parent.glob("*.py")} - {"__init__"}
    found = [of for name in files for of in import_module(f"banyan_schema.social.{name}").COLLECTIONS]
    assert sorted(found, key=lambda of: str(of.name)) == list(SOCIAL)
    assert SOCIAL.by_name.keys() >= SHIPPED
    for of in SOCIAL:
        assert SOCIAL.by_id[coll(of.name)] is SOCIAL.by_name[of.name] is of


def test_one_more_makes_another_registry() -> None:
    more = SOCIAL.adding(POLL)
    assert [of.name for of in more if of not in list(SOCIAL)] == ["vn.example.poll"]
    assert POLL.id not in SOCIAL.by_id


def test_two_collections_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two collections have one name or id among a, a"):
        Registry((Collection("a", "counter"), Collection("a", "text")))


def test_what_has_fields_has_a_layout_and_what_has_none_has_none() -> None:
    merges: dict[Merge, bool] = {"register": True, "set": True, "counter": False, "text": False}
    assert merges.keys() == OPERATIONS.keys()
    for merge, has_fields in merges.items():
        assert Collection("a", merge, LAYOUT if has_fields else None).op is OPERATIONS[merge]
        with pytest.raises(ValueError, match="collection 'a': a register or a set has a layout, a"):
            Collection("a", merge, None if has_fields else LAYOUT)


def test_a_view_listens_to_every_fact_that_a_collection_states_and_to_no_other() -> None:
    there = Target(AccountId(b"a" * 32), CellKey(b"k" * 16))
    said: dict[str, object] = {
        "profile": [ProfileField("locked", "yes"), ProfileField("handle", "lan@vn.example")],
        "post": Post(
            "hi",
            ReplyTo(there._replace(key=CellKey(b"r" * 16)), there),
            there,
            poll=Poll(("a", "b"), "one", 1 << 40),
            group=there,
            urgency="urgent",
            policy=InteractionPolicy("nobody"),
        ),
        "reaction": Reaction(there, "❤"),
        "repost": Repost(there),
        "group": Group("g", "", "", "open"),
        "group.join": GroupJoin(there),
        "group.act": GroupAct(there, "invite", there.account),
        "handle": HandleConfirmation("lan@vn.example", there.account),
        "official": Official(there.account, "x"),
        "moved.to": MovedTo(there.account),
        "moved.from": MovedFrom(there.account),
        "follow.answer": FollowAnswer(there.account, "accept"),
        "event": SocialEvent("e", "", 0, None, "UTC", group=there),
        "event.reply": EventReply(there, "yes"),
        "event.invite": EventInvite(there, there.account),
        "channel": Channel("c"),
        "episode": Episode(there, there, "e"),
        "playlist": Playlist("p", posts=(there,)),
        "subscription": Subscription(there),
        "pinned": PinnedPost(there.key),
        "hidden": Hidden(there.key, there),
        "vote": Vote(there, b"b" * 16, "one", 1 << 40, 2, (0,)),
        **{name: Relate(name, there.account) for name in RELATIONS.values()},
    }
    assert said.keys() == SHIPPED
    for name, content in said.items():
        of, kinds = SOCIAL.by_name[name], set[str]()
        for one in content if isinstance(content, list) else [content]:
            seed = of.seed_of(bytes(8), of.encode(one))
            assert seed is not None
            kinds |= {fact.kind for fact in of.facts(seed)}
        assert kinds == of.kinds
    assert {kind for of in SOCIAL for kind in of.kinds} == {kind for view in VIEWS for kind in view.rows}


UNTOLD = {
    "block": "who is blocked is told by nobody",
    "episode": "the account of its channel, which is its own: else it does not count",
    "event": "the account of its group: who makes events in a group joined it, which names that account",
    **dict.fromkeys(
        ("order", "order.confirmation", "order.receipt", "order.appeal", "order.ruling"),
        "hashes, and no accounts: who carries out orders holds those whom the charter names",
    ),
    "letter": "its readers: nobody else can open it",
    "letter.reader": "a writer, whose node reads the logs of those that write to it",
    "playlist": "the accounts of its posts: it is only for who made it",
    "post": "the account of its group, as of an event; and that of the first post of its conversation",
}
"""Collections of which some content names an account and states no fact of the kind `notices` for it, and why."""


@pytest.mark.parametrize("said", VECTORS, ids=lambda said: f"{said['collection']}: {said['name']}")
def test_whatever_names_an_account_can_be_found_by_it(said: dict[str, Any]) -> None:
    """Nodes that hold chosen accounts ask for it."""
    of, content = SOCIAL.by_name[said["collection"]], bytes.fromhex(said["content"])
    seed = of.seed_of(bytes(8), content)
    assert seed is not None
    told = {fact.key[1:33] for fact in of.facts(seed) if fact.kind == "notices"}
    left = {*ids_in(decode(content))} - told - {*of.blobs_in(content)}
    assert not left or of.name in UNTOLD


def ids_in(v: Any) -> Iterator[bytes]:
    """What has 32 bytes."""
    if isinstance(v, list):
        for x in v:
            yield from ids_in(x)
    elif isinstance(v, bytes) and len(v) == 32:
        yield v
