"""Withheld content: the structure stays, the content is erased, and peers that ask get a signed statement."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_crdt.errors import BadSignature, Malformed
from banyan_crdt.ids import EntryId
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.signing import Signer
from banyan_node.api.methods.content import _writes
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_replica.peers.withholding import Withheld, read_withheld, sign_withheld
from banyan_schema.social import post_from_text

ENTRY = EntryId(b"e" * 32)


def test_a_statement_reads_back_and_no_changed_byte_of_it_passes() -> None:
    signer = Signer(MAIN, b"p" * 32)
    said = Withheld(signer.key, 1_800_000_000_000, ENTRY, 3, "QĐ 12/2026", "Nghị định 147/2024", "VN", None)
    raw = sign_withheld(signer, said)
    assert read_withheld(MAIN, raw, ENTRY, 3) == said
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises((Malformed, BadSignature)):
            read_withheld(MAIN, bytes(changed), ENTRY, 3)
    for realm, entry, op in ((TEST, ENTRY, 3), (MAIN, EntryId(bytes(32)), 3), (MAIN, ENTRY, 4)):
        with pytest.raises((Malformed, BadSignature)):
            read_withheld(realm, raw, entry, op)


def test_a_withheld_post_is_gone_from_the_feed_while_the_frontier_stays_and_may_be_released(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    Keystore.create(home.keys)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        uri = node.call("post", text="một tin")["uri"]
        node.call("edit", uri=uri, text="một tin khác")
        before = node.call("digest")["digest"]
        assert node.call("content.withhold", uri=uri, order="QĐ 12", days=30)["withheld"] == 2
        assert node.call("feed", limit=9)["posts"] == []
        assert node.call("digest")["digest"] == before
        ctx = node.context
        for entry, op in _writes(ctx, post_from_text(uri)):
            assert ctx.store.part(entry, op) is None
            ((_, _, raw, reason),) = ctx.replica.missing.answer([(entry, op)])
            assert raw is None
            assert read_withheld(ctx.realm, reason, entry, op).order == "QĐ 12"
        with pytest.raises(CallError, match="No content"):
            node.call("content.withhold", uri=uri, order="QĐ 12")
        assert node.call("content.release", uri=uri)["released"] == 2
        assert node.call("digest")["lacking_parts"] == 2
        with pytest.raises(CallError, match="The order is empty"):
            node.call("content.withhold", uri=uri, order=" ")
