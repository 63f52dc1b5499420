"""The implementation against the vectors, from the JSON alone; and the files are what the code makes today."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from banyan_charter.acts import Founding, decode_act, encode_act
from banyan_charter.ledger import ActLedger
from banyan_charter.values import state_root
from banyan_crdt.blob import BlobRoot, blob_of, check_list
from banyan_crdt.cells import fold
from banyan_crdt.checkpoint import decode_checkpoint, encode_checkpoint
from banyan_crdt.codec import decode
from banyan_crdt.control import control_op, resolve_control
from banyan_crdt.entry import Entry, Header, encode_header, make_entry, skip_seq
from banyan_crdt.errors import BadSignature, BanyanError, Malformed, NotYet, Reject
from banyan_crdt.frontier import frontier_digest, head_bytes, head_item
from banyan_crdt.ids import (
    AccountId,
    CellKey,
    EntryId,
    H,
    Head,
    LogId,
    WriterKey,
    account_to_text,
    coll,
    control_log,
    key_digest,
)
from banyan_crdt.ops import Close, decode_body, encode_ops
from banyan_crdt.parts import make_part, open_part
from banyan_crdt.realm import REALMS, TEST, Realm
from banyan_crdt.run import decode_control, decode_run, encode_run, verify_run
from banyan_crdt.sealing import Opener
from banyan_crdt.signing import Signer, verify
from banyan_crdt.state import account_state, wish_of
from banyan_replica.frontier import sketch as sk
from banyan_replica.frontier.index import id_words, name_words
from banyan_replica.sync.exchange import PLACES, cells_for, estimate
from banyan_replica.wire.blob_messages import NotHere, decode_chunk_answer, decode_list_answer, decode_question
from banyan_replica.wire.message_table import TABLE, decode_message, encode_message, opens_as, says_nothing_stored
from banyan_schema.private_kinds import text_of
from banyan_schema.social.private import SEALED, private_key, read_privately, say_privately
from tests.crdt.make import Person, follow
from tests.replica.helpers import NOW_MS, new_ingest
from tests.vectors.borders import shown
from tests.vectors.generate import files, label
from tests.vectors.joints import read
from tests.vectors.shown import EXACT, plain
from tests.vectors.states import besides

HERE = Path(__file__).parent
x = bytes.fromhex


def load(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


def cases(*names: str) -> pytest.MarkDecorator:
    found = [v for name in names for v in load(name)]
    return pytest.mark.parametrize("v", found, ids=[v.get("name") or v["id"][:8] for v in found])


def test_generating_again_changes_nothing() -> None:
    stale = [path.name for path, want in files().items() if path.read_text() != want]
    assert not stale, f"{stale} differ from the code: run `uv run python -m tests.vectors.generate` and read the diff"


def test_names() -> None:
    v = load("ids")
    for r in v["realms"]:
        realm_id = x(r.pop("id"))
        assert Realm(**r).id == REALMS[r["name"]].id == realm_id
    for h in v["hashes"]:
        assert H(h["tag"], x(h["input"])).hex() == h["output"]
        assert hashlib.sha256(b"banyan/1/" + h["tag"].encode() + b"\0" + x(h["input"])).hexdigest() == h["output"]
    assert {n: coll(n).hex() for n in v["collections"]} == v["collections"]
    assert key_digest(WriterKey(x(v["key_digest"]["key"]))).hex() == v["key_digest"]["digest"]
    assert account_to_text(AccountId(x(v["account"]["id"]))) == v["account"]["text"]
    assert [skip_seq(q) for q in range(len(v["skips"]))] == v["skips"]
    raw = x(v["part"]["raw"])
    part, _ = make_part(x(v["part"]["salt"]), raw[19:])
    assert part.hash.hex() == H("part", raw).hex() == v["part"]["hash"]
    assert open_part(part, raw) == raw[19:]


@pytest.mark.parametrize("name", ["public", "salted"])
def test_a_sketch(name: str) -> None:
    v = load("sketch")
    key = sk.key_of(x(v[name]["salt"]))
    assert [n.to_bytes(8, "big").hex() for n in key] == v[name]["key"]
    table, items = sk.empty(), {}
    for item in v[name]["items"]:
        raw = x(item["head_bytes"])
        log = LogId(AccountId(raw[:32]), WriterKey(raw[32:64]), int.from_bytes(raw[64:68], "big"))
        head = Head(int.from_bytes(raw[68:76], "big"), EntryId(raw[76:108]), raw[108])
        h = sk.place(key, *name_words(log))
        t = sk.weight(key, *id_words(head), head.length, head.flag)
        assert (h.to_bytes(8, "big").hex(), t.to_bytes(8, "big").hex()) == (item["h"], item["t"])
        assert list(sk.walk(h, sk.CELLS)) == item["walk"]
        assert sk.length_of(t) == head.length
        sk.add_one(table, h, t)
        items[h] = t
    assert sk.pack(table[:40]).hex() == v[name]["cells"]
    assert sk.decode(sk.unpack(x(v[name]["cells"]))) == (items, 0)
    assert estimate(table, x(v[name]["probes"])) == 0
    assert PLACES.tolist() == v["probed"]
    assert {d: cells_for(int(d)) for d in v["cells_for"]} == v["cells_for"]


def test_a_signature() -> None:
    v = load("ids")["signature"]
    assert x(v["realm"]) == TEST.id
    signer, entry = Signer(TEST, x(v["seed"])), EntryId(x(v["entry"]))
    assert signer.key.hex() == v["key"]
    assert signer.sign(entry).hex() == v["sig"]
    verify(TEST, signer.key, entry, x(v["sig"]))


def made(v: Any) -> Entry:
    return make_entry(TEST, x(v["header"]), x(v["ops"]), x(v["sig"]) if v["sig"] else None)


@cases("entries")
def test_an_entry(v: Any) -> None:
    e = made(v)
    assert e.id.hex() == v["id"]
    fields: dict[str, Any] = {k: x(f) if isinstance(f, str) and k != "time" else f for k, f in v["fields"].items()}
    assert e.header == Header(**{**fields, "time": int(fields["time"])})
    assert encode_header(e.header).hex() == v["header"]
    if v["sig"]:
        verify(TEST, e.header.writer, e.id, x(v["sig"]))
    if e.header.log == 0:
        assert decode_control(TEST, [x(v["header"]), x(v["sig"]), x(v["ops"])]) == e


def test_operations_read_and_are_written_the_same() -> None:
    for v in load("ops")["ops"]:
        body = decode_body(x(v["body"]))
        assert not body.void, v["name"]
        assert encode_ops(body.ops, body.deps).hex() == v["body"]


def test_a_wish_to_be_erased_is_read_and_an_older_node_reads_a_close() -> None:
    wish, an = load("ops")["wish"], Person()
    body = decode_body(x(wish["close"]))
    assert control_op(body) == (Close(),)
    closed = follow(an.full("root0"), control_log(an.id), an.control, raw=x(wish["close"]))
    found = wish_of(resolve_control([*an.control, closed]))
    assert found is not None
    assert (found.entry, found.from_ms) == (closed.id, wish["from_ms"])


@pytest.mark.parametrize("v", load("ops")["verdicts"], ids=[v["name"] for v in load("ops")["verdicts"]])
def test_a_body_has_one_verdict(v: Any) -> None:
    if v["verdict"] == "reject":
        with pytest.raises(Reject):
            decode_body(x(v["body"]))
    else:
        assert decode_body(x(v["body"])).void == (v["verdict"] == "void")


def test_runs() -> None:
    for v in load("runs")["runs"]:
        run = decode_run(TEST, x(v["run"]))
        verify_run(TEST, run)
        assert [e.id.hex() for e in run.entries] == v["ids"]
        assert [run.log.account.hex(), run.log.writer.hex(), run.log.log] == v["log"]
        assert run.first == v["first"]
        assert encode_run(run.entries, run.base, run.skips).hex() == v["run"]


@pytest.mark.parametrize("v", load("runs")["rejected"], ids=[v["name"] for v in load("runs")["rejected"]])
def test_a_run_that_is_wrong_whatever_is_held(v: Any) -> None:
    with pytest.raises(Reject):
        verify_run(TEST, decode_run(TEST, x(v["run"])))


@cases("joints")
def test_a_run_that_joins_what_is_held(v: Any) -> None:
    control = [made(e) for e in v["control"]]
    ingest = new_ingest()
    ingest.control(AccountId(control[0].id), control, NOW_MS)
    ingest.run(decode_run(TEST, x(v["held"])), NOW_MS)
    run = decode_run(TEST, x(v["run"]))
    verify_run(TEST, run)
    kind, _, reason = v["verdict"].partition(": ")
    if kind == "accept":
        ingest.run(run, NOW_MS)
    else:
        with pytest.raises(NotYet if kind == "not yet" else Reject) as raised:
            ingest.run(run, NOW_MS)
        assert getattr(raised.value, "reason", "") == reason
    assert ingest.head(run.log).length == v["length"]


@cases("limits")
def test_a_limit(v: Any) -> None:
    since, realm = max(v["granted_ms"], TEST.birth_ms), REALMS[v["realm"]]
    elapsed, day = max(0, v["ms"] - since), 86_400_000
    entries = realm.entry_burst + realm.entries_per_day * elapsed // day
    most = realm.byte_burst + realm.bytes_per_day * elapsed // day
    assert (v["seq"] + 1 <= entries and v["total"] <= most) == v["within"]


@cases("signatures")
def test_a_signature_has_one_verdict(v: Any) -> None:
    key, entry = WriterKey(x(v["key"])), EntryId(x(v["entry"]))
    if v["good"]:
        verify(TEST, key, entry, x(v["sig"]))
    else:
        with pytest.raises(BadSignature):
            verify(TEST, key, entry, x(v["sig"]))


def test_some_keys_of_mixed_order_sign_and_others_do_not() -> None:
    mixed = [v["good"] for v in load("signatures") if "mixed order" in v["name"]]
    assert 0 < sum(mixed) < len(mixed)


@pytest.mark.parametrize("v", load("cbor")["refused"], ids=[v["name"] for v in load("cbor")["refused"]])
def test_a_second_spelling_is_refused(v: Any) -> None:
    with pytest.raises(Malformed):
        decode(x(v["raw"]))


def test_values_of_every_width_are_read() -> None:
    for v in load("cbor")["read"]:
        assert plain(shown(decode(x(v["raw"])))) == v["value"], v["name"]


def test_a_charter_comes_to_its_epochs() -> None:
    v = load("charter")
    founding = decode_act(TEST, x(v["founding"]))
    assert isinstance(founding, Founding)
    assert founding.id == x(v["charter"])
    ledger = ActLedger(TEST, founding)
    for one in v["acts"]:
        act = decode_act(TEST, x(one["raw"]))
        assert not isinstance(act, Founding)
        assert (bytes(act.id), act.by.root) == (x(one["id"]), x(one["root"]))
        assert encode_act(act) == x(one["raw"])
        ledger.add(act)
    ledger.settle()
    assert [e.id for e in ledger.epochs] == [x(e) for e in v["epochs"]]
    last = ledger.epochs[-1]
    assert state_root(tuple(last.seats.values()), last.parameters) == x(v["state_root"])
    assert ledger.digest == x(v["digest"])


def test_what_is_private_is_opened_and_sealed_again() -> None:
    v = load("private")
    secret, account, wrapped = x(v["secret"]), AccountId(x(v["account"])), v["wrapped"]
    opener = Opener(x(wrapped["writer_seed"]))
    assert opener.key.hex() == wrapped["writer"]
    assert opener.unwrap(x(wrapped["box"])) == secret
    for thing in v["things"]:
        sealed, key = SEALED.decode(x(thing["content"])), CellKey(x(thing["key"]))
        assert sealed is not None
        one = read_privately(account, key, secret, sealed)
        assert one is not None
        assert (one.kind, one.name.hex(), text_of(one).hex()) == (thing["kind"], thing["name"], thing["plain"])
        assert private_key(secret, one) == key
        again = say_privately(account, CellKey(x(v["name"])), secret, one, x(thing["nonce"]))
        assert again.content == x(thing["content"])


def test_blobs_are_named_by_their_size_and_the_hashes_of_their_chunks() -> None:
    v = load("blobs")
    for row in v["blobs"]:
        raw = bytes(i % v["period"] for i in range(row["size"]))
        hashes = b"".join(hashlib.sha256(raw[at : at + 262_144]).digest() for at in range(0, len(raw), 262_144))
        assert hashes.hex() == row["hashes"]
        said = b"banyan/1/blob\0" + row["size"].to_bytes(8, "big") + hashes
        assert hashlib.sha256(said).hexdigest() == row["root"]
        assert check_list(BlobRoot(x(row["root"])), row["size"], hashes) == blob_of(raw)
    small, frames = v["small"], {m["name"]: x(m["frame"]) for m in v["messages"]}
    root = BlobRoot(x(small["root"]))
    assert decode_question(frames["ask for the list"]) == (root, None, False)
    assert decode_question(frames["ask for chunk 0"]) == (root, 0, False)
    draft = v["draft"]
    said = b"banyan/1/blob of a draft\0" + root + x(draft["id"]) + draft["peer"].encode()
    assert hashlib.sha256(said).hexdigest() == draft["token"]
    assert decode_question(frames["ask for the list of a draft's"]) == (x(draft["token"]), None, True)
    assert decode_question(frames["ask for its chunk 0"]) == (x(draft["token"]), 0, True)
    assert decode_list_answer(root, frames["the list"]).hashes == x(small["hashes"])
    assert decode_chunk_answer(frames["chunk 0"]) == x(small["bytes"])
    with pytest.raises(NotHere, match="not here"):
        decode_chunk_answer(frames["not here"])


@pytest.mark.parametrize("name", ["public", "salted"])
def test_sums_of_ranges(name: str) -> None:
    v = load("sums")
    key, p = sk.key_of(x(v[name]["salt"])), (1 << 61) - 1
    for row in v[name]["ranges"]:
        prefix = x(row["prefix"]).hex()[1::2]
        for n, (count, total) in enumerate(row["children"]):
            inside = [h for h in map(x, v["head_bytes"]) if h.hex().startswith(f"{prefix}{n:x}")]
            s0 = s1 = 0
            for raw in inside:
                log = LogId(AccountId(raw[:32]), WriterKey(raw[32:64]), int.from_bytes(raw[64:68], "big"))
                head = Head(int.from_bytes(raw[68:76], "big"), EntryId(raw[76:108]), raw[108])
                h = sk.place(key, *name_words(log))
                t = sk.weight(key, *id_words(head), head.length, head.flag)
                s0, s1 = (s0 + t) % p, (s1 + t * h) % p
            assert (count, total) == (len(inside), (s0.to_bytes(8, "big") + s1.to_bytes(8, "big")).hex())
    assert sum(n for n, _ in v[name]["ranges"][0]["children"]) == len(v["head_bytes"])


@cases("archives")
def test_an_archive_is_good_up_to_where_it_is_damaged(v: Any) -> None:
    raw = x(v["archive"])
    assert read(raw) == {k: v[k] for k in ("frames", "damaged_at", "digest")}
    good = raw[: v["damaged_at"]]
    assert read(good)["frames"] == v["frames"]


@cases("refused")
def test_a_frame_that_is_malformed(v: Any) -> None:
    with pytest.raises(Malformed):
        decode_message(x(v["frame"]))


def test_no_number_in_a_vector_is_beyond_what_every_reader_of_json_keeps() -> None:
    def look(v: Any) -> None:
        for inner in v.values() if isinstance(v, dict) else v if isinstance(v, list) else ():
            look(inner)
        assert type(v) is not int or v <= EXACT

    for path in HERE.glob("*.json"):
        look(json.loads(path.read_text()))


@cases("checkpoints")
def test_a_checkpoint(v: Any) -> None:
    c = decode_checkpoint(TEST, x(v["checkpoint"]))
    verify(TEST, *c.signed)
    assert encode_checkpoint(c).hex() == v["checkpoint"]
    assert (c.id.hex(), c.account.hex(), c.writer.hex(), c.n) == (v["id"], v["account"], v["writer"], v["n"])
    assert [c.control.seq, c.control.id.hex()] == v["control"]
    assert [[p.writer.hex(), p.log, p.seq, p.id.hex()] for p in c.pins] == v["pins"]
    assert head_bytes(c.log_id, c.head).hex() == v["head_bytes"]


def log_id(v: Any) -> LogId:
    return LogId(AccountId(x(v[0])), WriterKey(x(v[1])), v[2])


def heads_of(v: Any) -> list[tuple[LogId, Head]]:
    return [(log_id(h), Head(h[3], EntryId(x(h[4])) if h[4] else None, h[5])) for h in v]


@cases("forks", "revocations")
def test_an_account_comes_to_one_state(v: Any) -> None:
    control = [made(e) for e in v["control"]]
    logs = {log_id(held["log"]): [made(e) for e in held["entries"]] for held in v["logs"]}
    said = [decode_checkpoint(TEST, x(c)) for c in v["checkpoints"]]
    for turned in (False, True):
        step = -1 if turned else 1
        given = {k: e[::step] for k, e in logs.items()}
        s = account_state(TEST, AccountId(x(v["account"])), control[::step], given, said[::step])
        assert s.control.frozen == v["frozen"]
        assert [e.id.hex() for e in s.control.path] == v["path"]
        assert sorted(s.heads.items()) == heads_of(v["heads"])
        rests = {f"{k.writer.hex()}/{k.log}": sorted(i.hex() for i in besides(s, k, logs[k])) for k in s.logs}
        assert rests == v["rests on"]
        assert frontier_digest(sorted(s.heads.items())).hex() == v["digest"]


@cases("merges", "text")
def test_cells_come_to_one_state(v: Any) -> None:
    zero = Header(AccountId(b""), WriterKey(b""), 1, 0, None, None, 0, 0, b"")
    entries = [Entry(EntryId(x(e["id"])), zero._replace(time=int(e["time"])), x(e["ops"]), None) for e in v["entries"]]
    at = {e.id: n for n, e in enumerate(entries)}
    for turned in (entries, entries[::-1], [*entries, *entries]):
        cells = fold((e, decode_body(e.ops)) for e in turned)
        shown = {c[1].hex(): [[at[s[1]], s[2]] for s, _ in found] for c, found in cells.registers.items()}
        assert shown == v["registers"]
        assert {c[1].hex(): sorted(e.hex() for e in found) for c, found in cells.sets.items()} == v["sets"]
        assert {c[1].hex(): n for c, n in cells.counters.items()} == v["counters"]
        texts = {c[1].hex(): [[at[r.entry], r.op, i] for r, i in found] for c, found in cells.texts.items()}
        assert texts == v["texts"]
        assert sorted(c[1].hex() for c in cells.tombs) == v["tombs"]


def test_frontiers() -> None:
    v = load("digests")
    heads = heads_of(v["heads"])
    assert [head_bytes(*h).hex() for h in heads] == v["head_bytes"]
    assert [head_item(*h).to_bytes(32, "big").hex() for h in heads] == v["head_items"]
    assert frontier_digest(heads).hex() == v["frontier_digest"]
    root = sum(int(i, 16) for i in v["head_items"]) % (1 << 256)
    assert root.to_bytes(32, "big").hex() == v["frontier_root"]
    assert frontier_digest([]).hex() == v["empty_digest"]


def test_messages() -> None:
    unstored = {line.shape.made: line.unstored for line in TABLE}
    for v in load("messages"):
        m = decode_message(x(v["frame"]))
        assert label(m) == v["name"]
        assert encode_message(m).hex() == v["frame"]
        with pytest.raises(BanyanError):
            decode_message(x(v["frame"]) + b"\0")
        assert opens_as(x(v["frame"]), type(m))
        assert says_nothing_stored(x(v["frame"])) == unstored[type(m)]
