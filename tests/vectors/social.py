"""What people say beside posts, as vectors: the cells and the content of each collection, and short histories with what
a reader shows of them."""

from __future__ import annotations

from typing import Any

from banyan_crdt.ids import CellKey, WriterKey
from banyan_crdt.ops import Add, Put
from banyan_crdt.realm import TEST
from banyan_reading.groups import group_of
from banyan_reading.queries import queries
from banyan_schema.address import Target
from banyan_schema.collection import Collection, OpDraft, undo
from banyan_schema.media import Media
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, post_key, react, relate, repost, set_profile, write_post
from banyan_schema.social.channel import (
    Channel,
    Chapter,
    Episode,
    Playlist,
    Subscription,
    subscribe,
    write_channel,
    write_episode,
    write_playlist,
)
from banyan_schema.social.event import EventInvite, EventReply, SocialEvent, answer_event, invite_to_event, write_event
from banyan_schema.social.group import ACT, Group, GroupAct, GroupJoin, Kind, act, group_digest, join, write_group
from banyan_schema.social.identity import (
    HANDLE_FIELD,
    HandleConfirmation,
    Official,
    attest,
    confirm_handle,
    move_to,
    moved_from,
)
from banyan_schema.social.letter import hand_letter, write_letter
from banyan_schema.social.order import Appeal, Confirmation, OrderAct, OrderNotice, Receipt, Ruling, order_id, write_act
from banyan_schema.social.post import InteractionPolicy, Poll, ReplyTo
from banyan_schema.social.profile import LOCKED, LOCKED_VALUE
from banyan_schema.social.relation import FollowAnswer, answer_follow
from banyan_schema.social.response import Hidden, hide
from tests.crdt.make import b32
from tests.storage.social_accounts import Person, social_store
from tests.vectors.pages import block as lines_of
from tests.vectors.shown import AN

SALT = b32("the account's salt")
HERE = Target(AN.id, CellKey(b32("a group")[:16]))
THERE = Target(AN.id, CellKey(b32("a post")[:16]))
SOMEBODY = AN.id


def orders() -> dict[str, OrderAct]:
    notice = OrderNotice("vn", "unlawful", "Điều 23", 86_400, 0, 2, b32("a root"), "paper", b32("a paper"))
    order = order_id(SOMEBODY, notice)
    return {
        "what is ordered": notice,
        "a confirmation": Confirmation(order, b32("a paper")),
        "a receipt": Receipt(order, "refused", 0, "Châm biếm"),
        "an appeal": Appeal(order, b32("a leaf"), "Châm biếm"),
        "a decision about one item": Ruling(order, b32("a leaf"), "suspends", ""),
        "a decision about all": Ruling(order, None, "ends", "Nhầm"),
    }


DRAFTS = {
    "a group": write_group(HERE.key, Group("Vườn rau", "Trồng rau", "Vui vẻ", "request")),
    "a join": join(SALT, GroupJoin(HERE)),
    "a join that tells a moderator": join(SALT, GroupJoin(HERE, (SOMEBODY,))),
    "an invitation": act(SALT, GroupAct(HERE, "invite", SOMEBODY)),
    "a post removed": act(SALT, GroupAct(HERE, "remove", *THERE)),
    "a post that says all that it may": write_post(
        THERE.key,
        Post(
            "Chào",
            ReplyTo(HERE, THERE),
            HERE,
            "vi",
            1_700_000_000_000,
            "cẩn thận",
            "unlisted",
            ("cây", "phở"),
            (SOMEBODY,),
            (
                Media(b32("a film"), 1 << 33, "video/mp4", 640, 480, 62_000, "Một cái cây", "LEHV6n", b32("a picture")),
                Media(b32("captions"), 100, "text/vtt", description="vi"),
            ),
            Poll(("phở", "bún"), "several", 1_800_000_000_000),
            HERE,
            "urgent",
        ),
    ),
    "a post that says little": write_post(THERE.key, Post("")),
    "a reaction": react(SALT, THERE, "🌳"),
    "a repost": repost(SALT, THERE),
    "a follow": relate(SALT, "follow", SOMEBODY),
    "a block": relate(SALT, "block", SOMEBODY),
    "a post in a group": write_post(THERE.key, Post("Chào cả nhà", group=HERE)),
    "an event": write_event(
        HERE.key,
        SocialEvent("Tết", "", 4_075_014_600_000, None, "Asia/Ho_Chi_Minh", "Hà Nội", 210_285_000, 1_058_542_000),
    ),
    "an event before 1970": write_event(HERE.key, SocialEvent("1945", "", -767_750_400_000, None, "UTC", group=HERE)),
    "an answer": answer_event(SALT, EventReply(THERE, "maybe")),
    "an accepted follower": answer_follow(SALT, FollowAnswer(SOMEBODY, "accept")),
    "a refused follower": answer_follow(SALT, FollowAnswer(SOMEBODY, "refuse")),
    "a profile that is locked": set_profile(SALT, LOCKED, LOCKED_VALUE),
    "an avatar": set_profile(
        SALT,
        "avatar",
        "Em và mèo",
        media=Media(b32("a picture"), 51_234, "image/jpeg", 400, 400, None, None, "LEHV6nWB2yk8", b32("a preview")),
    ),
    "an avatar that was taken away": set_profile(SALT, "avatar", ""),
    "a handle that is claimed": set_profile(SALT, HANDLE_FIELD, "lan@vn.example"),
    "a handle that is confirmed": confirm_handle(SALT, HandleConfirmation("lan@vn.example", SOMEBODY)),
    "where an account went": move_to(SALT, SOMEBODY),
    "what an account was": moved_from(SALT, SOMEBODY),
    "an official channel": attest(SALT, Official(SOMEBODY, "Sở Y tế")),
    "an urgent post": write_post(THERE.key, Post("Bão", urgency="urgent")),
    "a post that only followers answer and nobody quotes": write_post(
        THERE.key, Post("Chào", policy=InteractionPolicy("followers", "nobody"))
    ),
    "a hidden answer": hide(SALT, Hidden(HERE.key, THERE)),
    "a channel": write_channel(
        HERE.key, Channel("Chuyện kể", "Mỗi tuần", "audio", "vi", "https://vn.example", b32("a picture"))
    ),
    "an episode": write_episode(
        THERE.key,
        Episode(HERE, THERE, "Tấm Cám", 1, 2, 1_700_000_000_000, (Chapter(0, "Đầu"), Chapter(62_000, "Cuối"))),
    ),
    "an episode without a number": write_episode(THERE.key, Episode(HERE, THERE, "Tấm Cám")),
    "a playlist": write_playlist(HERE.key, Playlist("Tối nay", "", (THERE, HERE))),
    "a subscription": subscribe(SALT, Subscription(HERE)),
    **{f"an order: {name}": write_act(SOMEBODY, act) for name, act in orders().items()},
    "a letter": write_letter(SOMEBODY, HERE.key, b32("a secret"), b"xin", b32("a nonce")[:24]),
    "who may read it": hand_letter(HERE.key, WriterKey(AN.id), b"w" * 80),
    "an invitation to an event": invite_to_event(SALT, EventInvite(THERE, SOMEBODY)),
}


def social() -> dict[str, Any]:
    return {
        "salt": SALT.hex(),
        "group": {"account": HERE.account.hex(), "key": HERE.key.hex(), "digest": group_digest(HERE.raw).hex()},
        "said": [_said(name, draft) for name, draft in DRAFTS.items()],
        "groups": [_history(kind) for kind in ("open", "request", "closed")],
    }


def _said(name: str, draft: OpDraft) -> dict[str, Any]:
    op = draft.op
    assert isinstance(op, Put | Add)
    assert draft.content is not None
    of: Collection[Any] = SOCIAL.by_id[op.coll]
    assert of.layout is not None
    values = zip(of.layout.names, of.layout.fields, of.layout.values(draft.content) or [], strict=True)
    return {
        "name": name,
        "collection": of.name,
        "key": op.key.hex(),
        "element": op.elem.hex() if isinstance(op, Add) else None,
        "content": draft.content.hex(),
        "fields": {word: field.json.show(value) for word, field, value in values if value is not None},
    }


def _history(kind: Kind) -> dict[str, Any]:
    """Six accounts say everything that can be said of a group, in one order of many."""
    people = {
        name: Person(f"{kind} {name}") for name in ("owner", "moderator", "dismissed", "member", "banned", "liar")
    }
    owner, steps = people["owner"], list[dict[str, Any]]()
    here = Target(owner.id, post_key(owner.salt, owner.draw()))
    names = {person.id: name for name, person in people.items()}
    posts = dict[Target, str]()

    def say(name: str, *drafts: OpDraft) -> None:
        people[name].write(drafts)
        for draft in drafts:
            if draft.content is None:
                steps.append({"by": name, "takes_back": "its last"})
                continue
            steps.append({"by": name, **_said("", draft)})
            del steps[-1]["name"]

    def post(name: str) -> Target:
        target = Target(people[name].id, post_key(people[name].salt, people[name].draw()))
        posts[target] = name
        say(name, write_post(target.key, Post(f"by {name}", group=here)))
        return target

    def acts(name: str, what: Any, of: str) -> None:
        say(name, act(people[name].salt, GroupAct(here, what, people[of].id)))

    say("owner", write_group(here.key, Group("Vườn", "", "", kind)))
    acts("owner", "moderator", "moderator")
    acts("owner", "moderator", "dismissed")
    named = owner.last()
    for name in ("moderator", "member", "banned", "liar"):
        say(name, join(people[name].salt, GroupJoin(here)))
    acts("moderator", "accept" if kind == "request" else "invite", "member")
    acts("moderator", "accept", "banned")
    acts("moderator", "ban", "banned")
    acts("dismissed", "ban", "member")
    acts("liar", "accept", "liar")
    acts("liar", "ban", "owner")
    for name in people:
        post(name)
    removed = post("member")
    say("moderator", act(people["moderator"].salt, GroupAct(here, "remove", *removed)))
    say("owner", undo(ACT, [named]))
    say("owner", relate(owner.salt, "block", people["moderator"].id))
    store, engine = social_store()
    for person in people.values():
        person.send(store)
    with queries(engine, TEST) as ask:
        found = group_of(ask, here)
        assert found is not None
        return {
            "kind": kind,
            "group": [here.account.hex(), here.key.hex()],
            "accounts": {name: person.id.hex() for name, person in people.items()},
            "said": steps,
            "moderators": [names[one] for one in found.moderators],
            "members": sorted(names[one] for one in names if found.is_member(one)),
            "requests": sorted(names[one] for one in names if found.asks(one)),
            "shown_posts_of": sorted(posts[v.target] for _, v in found.posts(None) if v is not None),
        }


def examples(made: dict[str, Any]) -> dict[str, str]:
    """The blocks of docs/social.md."""

    def shown(name: str) -> str:
        (one,) = [said for said in made["said"] if said["name"] == name]
        lines = [name, f"  key      {one['key']}"]
        lines += [f"  element  {one['element']}"] if one["element"] else []
        return "\n".join([*lines, "  content", *(f"    {line}" for line in lines_of(one["content"]).split("\n"))])

    of_groups = ("a group", "a join", "an invitation", "a post removed", "a post in a group")
    top = f"salt     {made['salt']}\naccount  {made['group']['account']}\ndigest   {made['group']['digest']}"
    of_events = ("an event", "an event before 1970", "an answer", "an invitation to an event")
    of_locked = ("a profile that is locked", "an accepted follower")
    return {
        "groups": "\n".join([top, *map(shown, of_groups)]),
        "events": "\n".join(map(shown, of_events)),
        "channels": "\n".join(
            map(shown, ("a channel", "an episode", "an episode without a number", "a playlist", "a subscription"))
        ),
        "locked": "\n".join(map(shown, of_locked)),
        "profiles": "\n".join(map(shown, ("an avatar", "an avatar that was taken away"))),
        "interactions": "\n".join(
            map(shown, ("a post that only followers answer and nobody quotes", "a hidden answer"))
        ),
        "officials": "\n".join(map(shown, ("an official channel", "an urgent post"))),
        "moves": "\n".join(map(shown, ("where an account went", "what an account was"))),
        "handles": "\n".join(map(shown, ("a handle that is claimed", "a handle that is confirmed"))),
    }
