"""What an author signed elsewhere and hands to a node is judged like what a peer sends."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from banyan_node.api.methods.posts.signed_entries import LOOKED
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import load_settings, make_home

RUN = 2
"""The kind of a frame with a run (docs/protocol.md, section 12); its last 64 bytes are the signature."""


def frames(raw: bytes) -> list[bytes]:
    found, at = list[bytes](), 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        found.append(raw[at + 36 : at + 36 + size])
        at += 36 + size
    return found


def archive(bodies: list[bytes]) -> str:
    return b64encode(b"".join(len(b).to_bytes(4, "big") + sha256(b).digest() + b for b in bodies)).decode()


def test_entries_that_are_handed_in_are_taken_if_their_author_signed_them(tmp_path: Path) -> None:
    here, there = make_home(tmp_path / "here"), make_home(tmp_path / "there")
    with open_local(there, load_settings(there)) as author:
        lan = author.call("account.create", name="Lan")["account"]
        binh = author.call("account.create", name="Bình", hosted=True)["account"]
        author.call("post", text="tôi ký")
        for who, name in ((lan, "lan"), (binh, "binh")):
            author.call("account.export", account=who, path=str(tmp_path / name))
    raw, other = frames((tmp_path / "lan").read_bytes()), frames((tmp_path / "binh").read_bytes())
    forged = [body[:-1] + bytes([body[-1] ^ 1]) if body[1] == RUN else body for body in raw]
    assert forged != raw
    with open_local(here, load_settings(here)) as node:
        for bad, says in (
            (archive(forged), "cannot be taken"),
            (archive(raw[:-1]), "no whole archive"),
            (archive([*raw[:-1], *other[1:]]), "of one account; it has 2"),
            (archive([raw[0], raw[-1]]), "of one account; it has 0"),
            ("ä", "base64"),
        ):
            with pytest.raises(CallError, match=says):
                node.call("entries.take", archive=bad)
            assert node.call("feed", account=lan)["posts"] == []
        with pytest.raises(CallError, match=f"is of {lan}, not of {binh}"):
            node.call("entries.take", archive=archive(raw), account=binh)
        done = node.call("entries.take", archive=archive(raw), account=lan)
        assert (done["account"], done["entries"] > 0) == (lan, True)
        assert [post["text"] for post in node.call("feed", account=lan)["posts"]] == ["tôi ký"]
        assert node.call("entries.take", archive=archive(raw))["entries"] == 0


def test_a_look_tells_who_has_a_key_of_an_account_that_is_here(tmp_path: Path) -> None:
    here, there = make_home(tmp_path / "here"), make_home(tmp_path / "there")
    with open_local(there, load_settings(there)) as author:
        lan = author.call("account.create", name="Lan")["account"]
        binh = author.call("account.create", name="Bình", hosted=True)["account"]

        def exported(who: str) -> list[bytes]:
            (tmp_path / "out").unlink(missing_ok=True)
            author.call("account.export", account=who, path=str(tmp_path / "out"))
            return frames((tmp_path / "out").read_bytes())

        author.call("post", text="một")
        before = exported(lan)
        author.call("post", text="hai")
        after, other = exported(lan), exported(binh)
        for _ in range(2):
            author.call("post", text="x" * (LOOKED // 2))
        large = exported(lan)
    with open_local(here, load_settings(here)) as node:

        def looked(bodies: list[bytes], account: str = lan) -> tuple[bool, bool]:
            found = node.call("entries.look", archive=archive(bodies), account=account)
            return found["held"], found["news"]

        assert looked(after) == (False, False), "whose keys are not known here proves nothing"
        node.call("entries.take", archive=archive(before))
        heads = node.call("digest")
        assert looked(after) == (True, True)
        assert looked(before) == (True, False), "what is here is public: everybody can bring it again"
        assert looked(large) == (True, False), "it is not read"
        forged = [body[:-1] + bytes([body[-1] ^ 1]) if body[1] == RUN else body for body in after]
        assert looked(forged) == (True, False)
        for bad, says in ((after[:-1], "no whole archive"), (other, f"is of {binh}, not of {lan}")):
            with pytest.raises(CallError, match=says):
                looked(bad)
        assert looked(other, binh) == (False, False)
        assert node.call("digest") == heads, "nothing was taken"
        node.call("entries.take", archive=archive(after))
        assert looked(after) == (True, False)
