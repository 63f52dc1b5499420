"""What an account says to itself, as vectors: a wrapped secret, and one thing of each kind."""

from __future__ import annotations

from typing import Any

from banyan_crdt.ids import CellKey
from banyan_crdt.sealing import Opener, wrap
from banyan_schema.address import Target
from banyan_schema.private_kinds import (
    AccountList,
    Bookmark,
    Dismissal,
    Filter,
    FollowedTag,
    FollowWish,
    ListMember,
    Marker,
    Mute,
    Note,
    QuietThread,
    said,
    text_of,
)
from banyan_schema.social.private import KEYS, SEALED, WrappedSecret, hand_over, private_key, say_privately
from tests.crdt.make import b32
from tests.schema.laws import cell_of, element_of
from tests.vectors.shown import AN

SECRET, NAME, SALT = b32("a secret"), CellKey(b32("its name")[:16]), b32("the account's salt")
HOLDER = Opener(b32("a writer's seed"))
LIST = b32("a list")[:16]
THINGS = (
    Mute(b32("somebody")),
    Mute(b32("somebody else"), 1_800_000_000_000),
    Bookmark(Target(AN.id, CellKey(b32("a post")[:16]))),
    AccountList(LIST, "bạn bè"),
    ListMember(LIST, b32("somebody")),
    Filter(b32("a filter")[:16], "phim", "warn"),
    Filter(b32("of a filter")[:16], "bóng đá", "hide", 1_800_000_000_000, "Thể thao", b32("a filter of several")[:16]),
    Marker("notifications", "1800000000000", bytes(32)),
    Note(b32("somebody"), "bạn học"),
    AccountList(b32("another list")[:16], "tin", "yes", "none"),
    Filter(b32("a filter of a place")[:16], "xổ", "hide", None, "Số", b32("of two")[:16], "home public", "part"),
    FollowedTag("tết", "Tết"),
    QuietThread(Target(AN.id, CellKey(b32("a long conversation")[:16]))),
    Dismissal(f"{b32('an entry').hex()}.3"),
    FollowWish(b32("somebody"), "no", "en vi"),
)


def private() -> dict[str, Any]:
    box = wrap(SECRET, HOLDER.key, b32("an ephemeral seed"))
    assert box is not None
    wrapped = WrappedSecret(NAME, HOLDER.key, box)
    handed = hand_over(SALT, wrapped).op
    return {
        "secret": SECRET.hex(),
        "name": NAME.hex(),
        "account": AN.id.hex(),
        "wrapped": {
            "writer_seed": b32("a writer's seed").hex(),
            "writer": HOLDER.key.hex(),
            "ephemeral_seed": b32("an ephemeral seed").hex(),
            "box": box.hex(),
            "salt": SALT.hex(),
            "key": cell_of(handed).hex(),
            "element": element_of(handed).hex(),
            "content": KEYS.encode(wrapped).hex(),
        },
        "things": [_thing(content, n) for n, content in enumerate(THINGS)],
    }


def _thing(content: Any, n: int) -> dict[str, Any]:
    one, nonce = said(content), b32(f"nonce {n}")[:24]
    draft = say_privately(AN.id, NAME, SECRET, one, nonce)
    assert draft.content is not None
    sealed = SEALED.decode(draft.content)
    assert sealed is not None
    return {
        "kind": one.kind,
        "name": one.name.hex(),
        "plain": text_of(one).hex(),
        "key": private_key(SECRET, one).hex(),
        "nonce": nonce.hex(),
        "content": draft.content.hex(),
    }
