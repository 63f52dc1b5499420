"""The public log of real nodes, over their doors: anybody reads and checks it, members cosign it, and who goes
backwards or shows two histories is found."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from banyan_crdt.errors import Reject
from banyan_crdt.ids import account_from_text
from banyan_node import policy
from banyan_node.context import Context
from banyan_node.transparency import lines, witnessing
from banyan_node.transparency.lines import opened
from banyan_node.transparency.remote_log import check_proof
from banyan_schema.public_line import PUBLIC_LINE
from banyan_storage.alliance_tables import TWO_HISTORIES, WITNESSED
from banyan_translog.checkpoints import (
    SplitView,
    TreeHead,
    checkpoint_of,
    cosigners,
    entry_proof_of,
    signed_checkpoint,
    verify_entry,
)
from banyan_translog.merkle import EMPTY, leaf_hash
from banyan_translog.notes import NOTE, NoteSigner, SignedNote, key_of, note_of
from banyan_translog.tiles import Tile, bundle, entries_of
from banyan_translog.witness import AddCheckpoint
from banyan_web import transparency as door_log
from tests.cli.shell import Ran, banyan
from tests.node.real import converged
from tests.node.test_orders import OTHERS, parameters
from tests.node.test_orders_on_nodes import following, realm_of, until
from tests.node.test_policy import Members
from tests.node.test_public_log import plain_root
from tests.translog.test_independent import judged, python_with_packages
from tests.web.door import Door, open_node


class Pair(NamedTuple):
    """Two members. The first one's ministry orders, the second one carries out. `writer` is at the second."""

    first: Door
    second: Door
    ministry: str
    judge: str
    member: str
    writer: str


async def call(door: Door, method: str, **params: Any) -> Any:
    return await door.node.backend.call(method, {"as" if name == "by" else name: v for name, v in params.items()})


async def created(door: Door, name: str) -> str:
    return str((await call(door, "account.create", name=name, hosted=True))["account"])


@asynccontextmanager
async def pair(folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int = 0) -> AsyncIterator[Pair]:
    """workers: by which the first one's door is served."""
    for module, name in ((policy, "NODES_S"), (policy, "LOOK_S"), (lines, "PUBLISH_S"), (door_log, "ASK_S")):
        monkeypatch.setattr(module, name, 0.2)
    local = {"http__local_webhooks": "true"}
    async with open_node(folder / "a", **local, http__workers=str(workers)) as first, AsyncExitStack() as stack:
        stack.enter_context(trio.fail_after(150))
        bootstrap = [first.node.edge.addresses[0]]
        second = await stack.enter_async_context(open_node(folder / "b", bootstrap, **local))
        ministry, judge, other = [await created(first, name) for name in ("ministry", "judge", "other")]
        member, writer = await created(second, "member"), await created(second, "an")
        p = parameters([ministry], member, judge)._replace(witnesses=1)
        accounts = [account_from_text(member), account_from_text(other), *OTHERS]
        for door in (first, second):
            made = Members(await door.node.worker.call(realm_of), accounts, p)
            await door.node.worker.call(partial(following, made, made.founded))
        await converged([first.node, second.node])
        yield Pair(first, second, ministry, judge, member, writer)


async def state(door: Door) -> Any:
    return await call(door, "transparency.show")


async def read(door: Door, path: str) -> bytes:
    answer = await door.client().http.get(f"/transparency/{path}")
    assert answer.status_code == 200, (path, answer.text)
    return answer.content


async def test_an_order_is_logged_cosigned_by_the_other_member_and_checked_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch, workers=2) as at:
        uri = (await call(at.second, "post", text="tin", by=at.writer))["uri"]
        await converged([at.first.node, at.second.node])
        began = time.monotonic()
        given = await call(at.first, "order.issue", by=at.ministry, scope="vn", posts=[uri])

        async def cosigned() -> bool:
            return all([(await state(door))["cosigned"] for door in (at.first, at.second)])

        await until(cosigned)
        print(f"\norder to cosigned at both: {time.monotonic() - began:.1f} s")
        kinds = list[str]()
        for door, other in ((at.first, at.second), (at.second, at.first)):
            said = await state(door)
            log, witness = key_of(said["log"]), key_of((await state(other))["witness"])
            assert [(row["url"], row["witness"]) for row in said["members"] if row["counts"]] == [
                (f"{other.url}/transparency", witness.text)
            ]
            found, note = signed_checkpoint(await read(door, "checkpoint"), [log])
            assert cosigners(note, [witness]) == 1
            raws = entries_of(await read(door, Tile(None, 0, found.size).path), found.size)
            hashes = await read(door, Tile(0, 0, found.size).path)
            assert hashes == b"".join(map(leaf_hash, raws))
            assert plain_root(list(map(leaf_hash, raws))) == found.root
            if (python := await trio.to_thread.run_sync(python_with_packages)) is not None:
                tiles = {Tile(None, 0, found.size).path: bundle(raws), Tile(0, 0, found.size).path: hashes}
                shown = {
                    "entries": [b64encode(raw).decode() for raw in raws],
                    "tiles": {path: b64encode(raw).decode() for path, raw in tiles.items()},
                    "note": b64encode(note.raw).decode(),
                    "request": b64encode(AddCheckpoint(0, (), note).raw).decode(),
                }
                more: dict[str, Any] = {
                    "log": log.text,
                    "witness": witness.text,
                    "inclusion": [(0, [])],
                    "consistency": [(1, [])],
                }
                said = await trio.to_thread.run_sync(judged, python, {**shown, **more})
                assert b64decode(said["root"]) == found.root
            told = [PUBLIC_LINE.decode(raw) for raw in raws]
            assert {one.order for one in told if one} == {bytes.fromhex(given["order"])}
            kinds += [one.kind for one in told if one]
        assert kinds == ["order", "receipt"]
        for door, orders in ((at.first, 0), (at.second, 1)):
            (row,) = (await call(door, "order.list"))["orders"]
            assert [a["word"] for a in row["answers"]] == ["done"]
            html = (await door.client().http.get("/transparency", headers={"accept-language": "en"})).text
            assert "1 / 1" in html
            assert f"<dt>Posts withheld here</dt><dd>{orders}</dd>" in html
            assert uri not in html
        await at.first.client().get("/transparency/tile/0/000.p/9", 404)
        await at.first.client().get("/transparency/tile/../key", 404)
        await at.first.client().get("/transparency/key", 404)


async def test_a_second_history_is_kept_as_proof_and_neither_log_nor_witness_goes_backwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch) as at:
        uri = (await call(at.second, "post", text="tin", by=at.writer))["uri"]
        await call(at.first, "order.issue", by=at.ministry, scope="vn", posts=[uri])

        async def cosigned() -> bool:
            return bool((one := await state(at.first))["size"] and one["cosigned"])

        await until(cosigned)

        async def time_of_log() -> int:
            return int(await at.first.node.worker.call(lambda ctx, now: witnessing.last_logged(ctx)))

        before = await time_of_log()

        async def goes_on() -> bool:
            return await time_of_log() > before

        with monkeypatch.context() as soon:
            soon.setattr(witnessing, "REFRESH_S", 0.5)
            await until(goes_on)
        note = note_of(await read(at.first, "checkpoint"))
        found = checkpoint_of(note)
        seeds = (at.first.node.home.transparency / "key").read_bytes()
        signer = NoteSigner(found.origin, NOTE, seeds[:32])

        async def shown(to: Door, size: int, root: bytes, old: int) -> tuple[int, str]:
            text = TreeHead(found.origin, size, root).text
            request = AddCheckpoint(old, (), SignedNote(text, (signer.sign(text),)))
            answer = await to.client().http.post("/transparency/add-checkpoint", content=request.raw)
            return answer.status_code, answer.text

        assert await shown(at.second, 0, EMPTY, 1) == (
            400,
            "the checkpoint has 0 entries, fewer than the old size 1: a log only grows\n",
        )
        assert await shown(at.second, 2, bytes(32), 0) == (409, "1\n")
        assert (await state(at.second))["two_histories"] == []
        assert (await shown(at.second, 1, bytes(32), 1))[0] == 422
        assert (await state(at.second))["two_histories"] == [found.origin]
        kept = await at.second.node.worker.call(lambda ctx, now: TWO_HISTORIES.get(ctx.store, found.origin))
        assert kept is not None
        SplitView(note_of(kept.held), note_of(kept.shown), bytes(32), ()).verify([signer.key])
        assert (await shown(at.first, 1, bytes(32), 1))[0] == 404, "a node is no witness of its own log"
        answer = await at.second.client().http.post("/transparency/add-checkpoint", content=b"old 1\n")
        assert (answer.status_code, answer.text[:26]) == (400, "a request to a witness is ")

        def forgets(ctx: Context, now: float) -> None:
            WITNESSED.put(ctx.store, found.origin, None)

        await at.second.node.worker.call(forgets)
        await call(at.first, "order.issue", by=at.ministry, scope="vn", posts=[uri])

        async def refused() -> bool:
            return bool(await at.first.node.worker.call(lambda ctx, now: opened(ctx, now).pauses))

        await until(refused)
        note = note_of(await read(at.first, "checkpoint"))
        answer = await at.second.client().http.post(
            "/transparency/add-checkpoint", content=AddCheckpoint(1, (), note).raw
        )
        assert (answer.status_code, answer.text) == (409, "0\n")
        assert answer.headers["content-type"] == "text/x.tlog.size"
        member = account_from_text(at.member)
        went = partial(witnessing.answered, member=member, size=2, status=409, body=answer.content, now=time.time())
        said = await at.first.node.worker.call(lambda ctx, now: went(ctx))
        assert said == "the witness went backwards: it cosigned 1 entries and now holds 0"
        assert (await call(at.first, "transparency.requests"))["requests"] == [], "it is left alone"
        tomorrow = int(time.time()) + 86_400
        ahead = await at.second.node.worker.call(lambda ctx, now: opened(ctx, now).witness.sign(note.text, tomorrow))
        dated = partial(witnessing.answered, member=member, size=2, status=200, body=ahead.line.encode())
        told = await at.first.node.worker.call(lambda ctx, now: dated(ctx, now=time.time()))
        assert told is not None
        assert told.startswith("its clock is 86,")
        await at.first.node.worker.call(lambda ctx, now: went(ctx))
        said = await state(at.first)
        assert (said["cosigned"], [row["why"][:26] for row in said["members"] if row["counts"]]) == (
            0,
            ["the witness went backwards"],
        )


async def test_anybody_verifies_watches_and_proves_by_commands_and_a_cheat_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shell(*words: object) -> Ran:
        return await trio.to_thread.run_sync(partial(banyan, "--home", tmp_path / "auditor", *words))

    async with pair(tmp_path, monkeypatch) as at:
        found = await shell("transparency", "verify", at.second.url)
        says = f"banyan: The node at {at.second.url} shows no public log (status 404): it has logged nothing yet.\n"
        assert found.err == says
        found = await shell("transparency", "watch", at.second.url)
        assert (found.err, found.code) == (says, 1), "it does not look for ever"
        found = await shell("transparency", "watch", "http://127.0.0.1:9", "--times", "2", "--every", "0")
        assert (found.err.count("cannot be reached"), found.code) == (2, 1)
        assert "name one, such as" in (await shell("transparency", "watch")).err
        assert "is no address of a node" in (await shell("transparency", "verify", "x")).err
        uri = (await call(at.second, "post", text="tin", by=at.writer))["uri"]
        await at.second.client().get("/transparency/withheld", 404, uri=uri)
        await converged([at.first.node, at.second.node])
        order = (await call(at.first, "order.issue", by=at.ministry, scope="vn", posts=[uri]))["order"]

        async def cosigned() -> bool:
            return all([(await state(door))["cosigned"] for door in (at.first, at.second)])

        await until(cosigned)
        url = at.second.url
        found = await shell("transparency", "verify", url)
        says = (
            f"{url}: 1 line, cosigned by 1 witness, 0 of them members of your charter. All lines were read: 1 receipt."
        )
        assert found.out == says + "\n", found.err
        proved = await shell(
            "transparency", "prove", uri, "--node", url, "--salt", "--out", tmp_path / "proof", "--json"
        )
        assert (proved.json["order"], proved.json["index"], proved.json["cosigned"]) == (order, 0, 1), proved.err
        log = key_of((await state(at.second))["log"])
        witness = key_of((await state(at.first))["witness"])
        line = entries_of(await read(at.second, Tile(None, 0, 1).path), 1)[0]
        proof = entry_proof_of((tmp_path / "proof").read_bytes())
        assert verify_entry(line, proof, [log], [witness], 1).size == 1
        for wrong, why in (
            ({"uri": uri[:-1] + ("0" if uri[-1] != "0" else "1")}, "another post"),
            ({"order": "00" * 32}, "another id"),
            ({"item": {**proved.json["item"], "salt": "00" * 16}}, "does not show that the order names"),
            ({"line": b64encode(b"x").decode()}, "is not in this log"),
            ({"proof": 5}, "is no proof"),
        ):
            with pytest.raises(Reject, match=why):
                check_proof({**proved.json, **wrong}, uri)
        own = await trio.to_thread.run_sync(
            partial(banyan, "--home", at.second.node.home.path, "transparency", "prove", uri)
        )
        assert f"Order {order[:16]} of {at.ministry} withholds it in vn" in own.out, own.err
        watched = await trio.to_thread.run_sync(
            partial(banyan, "--home", at.first.node.home.path, "transparency", "watch", "--times", "1")
        )
        assert f"{url}/transparency: 1 line" in watched.out.replace(f"{url}:", f"{url}/transparency:"), watched.err
        assert "1 of them members of your charter" in watched.out
        for _ in range(59):
            await at.second.client().get("/transparency/withheld", uri=uri, salt="true")
        said = await at.second.client().get("/transparency/withheld", 429, uri=uri, salt="true")
        assert said["error"] == "At most 60 salts an hour are given to one address; ask without."
        assert (await at.second.client().get("/transparency/withheld", uri=uri))["item"] is None

        files = at.second.node.home.transparency
        signer = NoteSigner(log.name, NOTE, (files / "key").read_bytes()[:32])

        def shows(said: list[bytes]) -> None:
            text = TreeHead(log.name, len(said), plain_root(list(map(leaf_hash, said))) if said else EMPTY).text
            (files / "checkpoint").write_bytes(SignedNote(text, (signer.sign(text),)).raw)
            for level, raw in (("0", b"".join(map(leaf_hash, said))), ("entries", bundle(said))):
                (files / "tile" / level / "000.p").mkdir(parents=True, exist_ok=True)
                (files / "tile" / level / "000.p" / str(len(said))).write_bytes(raw)

        shows([])
        found = await shell("transparency", "watch", url, "--times", "1")
        assert "shrank from 1 entries to 0: a log only grows; both checkpoints are kept in" in found.err
        shows([b"another", b"history"])
        found = await shell("transparency", "watch", url, "--times", "1")
        assert "shows two histories: its first 1 entries have two roots; the proof is kept in" in found.err
        assert (found.code, len([*(tmp_path / "auditor" / "transparency" / "seen").glob("*.proof")])) == (1, 1)
