"""What a proof shows to somebody who may not read what accounts say to themselves."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from banyan_crdt.ids import CellKey, account_from_text
from banyan_crdt.ops import Put, decode_body
from banyan_crdt.realm import Realm
from banyan_crdt.run import decode_run
from banyan_crdt.sealing import Opener
from banyan_schema.private_kinds import Mute, said
from banyan_schema.social.private import PRIVATE, private_key
from tests.web.door import Door, open_node
from tests.web.test_firehose import whole


async def _story(door: Door, an: str, chi: str, binh: str) -> None:
    """What is public and what is sealed, in one signed entry each."""
    call = door.node.backend.call
    await call(
        "move.ties",
        {"service": "x", "as": an, "ties": [{"kind": "follow", "account": binh}, {"kind": "mute", "account": chi}]},
    )
    draft = (await call("draft.set", {"as": an, "text": "nháp"}))["id"]
    await call("draft.publish", {"as": an, "id": draft})


async def test_a_proof_opens_nothing_and_names_nothing_of_what_its_author_said_to_itself(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        (an, _), (binh, _), (chi, _) = [await door.person(name) for name in ("an", "binh", "chi")]
        await _story(door, an, chi, binh)
        ctx = door.node.context
        assert ctx is not None
        (key,) = await whole(door.client(an, "firehose"), collection="keyring", account=an)
        box = bytes.fromhex(key["content"]["box"])
        secret = Opener(door.node.keys.device_seed()).unwrap(box)
        assert secret is not None

        reader = door.client(binh, "read")
        events = await whole(reader, account=an, proof="1")
        assert {event["collection"] for event in events} == {"account", "profile", "follow", "post"}
        assert await whole(reader, account=an, collection="private,keyring", proof="1") == []
        archive = await reader.http.get(f"/v1/posts/{events[-1]['uri']}/proof")
        assert archive.status_code == 200
        shown = [json.dumps(events).encode(), archive.content]
        assert not {key for event in events for key in sealed_keys(ctx.realm, event, shown)}
        sealed = await whole(door.client(an, "firehose"), collection="private", account=an, proof="1")
        keys = {key for event in sealed for key in sealed_keys(ctx.realm, event, shown)}
        assert private_key(secret, said(Mute(account_from_text(chi)))) in keys, "it is made with the secret"
        for raw in shown:
            for never in (secret, account_from_text(chi), chi.encode(), b"mute", box):
                assert never not in raw


def sealed_keys(realm: Realm, event: dict[str, Any], shown: list[bytes]) -> set[CellKey]:
    """The addresses of private cells in a proof. shown: gets its bytes."""
    shown += [b64decode(one) for one in event["proof"].values() if one is not None]
    run = event["proof"]["run"]
    entries = () if run is None else decode_run(realm, b64decode(run)).entries
    return {
        op.key for entry in entries for op in decode_body(entry.ops).ops if isinstance(op, Put) and op.coll == PRIVATE
    }
