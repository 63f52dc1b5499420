"""Notes, checkpoints, witnesses and proofs. The vectors are those of the specifications of C2SP."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from banyan_crdt.errors import BadSignature, Malformed
from banyan_crdt.ids import AccountId
from banyan_schema.public_line import PUBLIC_LINE, PublicLine
from banyan_translog.checkpoints import (
    EntryProof,
    SplitView,
    TreeHead,
    TwoHistories,
    check_growth,
    checkpoint_of,
    cosigners,
    entry_proof_of,
    signed_checkpoint,
    verify_entry,
)
from banyan_translog.merkle import BadProof, consistency_proof, inclusion_proof, root_hash
from banyan_translog.notes import COSIGNER, NOTE, NoteSigner, SignedNote, key_of, merged, note_of, signers
from banyan_translog.witness import AddCheckpoint, WitnessReply, answer, cosignatures, held_size, request_of
from tests.translog.test_merkle import LEAVES, hashes

LOG = NoteSigner("log.example/t", NOTE, b"l" * 32)
WITNESS = NoteSigner("w.example/w", COSIGNER, b"w" * 32)
OTHER = NoteSigner("v.example/w", COSIGNER, b"v" * 32)
ENTRIES = [b"%d" % n for n in range(len(LEAVES))]


def at(size: int, root: bytes | None = None, signer: NoteSigner = LOG) -> SignedNote:
    text = TreeHead("log.example/t", size, root_hash(hashes, size) if root is None else root).text
    return SignedNote(text, (signer.sign(text),))


def test_the_example_of_the_specification_is_read_and_its_cosigner_is_counted() -> None:
    raw = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()
    note = note_of(raw)
    assert note.raw == raw
    assert checkpoint_of(note).size == 20852163
    assert int.from_bytes(note.signatures[1].sig[:8], "big") == 1679315147
    assert signers(note, [LOG.key, WITNESS.key]) == []


def test_a_key_is_written_as_go_writes_it() -> None:
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"  # of golang.org/x/mod/sumdb/note
    key = key_of(text)
    assert key.text == text
    note = note_of(
        """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()
    )
    assert [one.key for one in signers(note, [key])] == [key]
    for wrong in (text.replace("c74f", "c74e"), text[:-4], "Peter Neumann" + text[12:], text.replace("+A", "+/")):
        with pytest.raises(Malformed):
            key_of(wrong)


def test_a_note_has_one_form() -> None:
    good = at(5).raw
    for wrong in (
        good[:-1],
        good + b"\n",
        good + b"x",
        good.replace("—".encode(), b"-"),
        good.replace(b"/t ", b"/t  "),
        good.replace(b"\n\n", b"\n"),
        good.replace(b"log", b"l\tog"),
        good.replace(b"log", b"\xff"),
        good.replace(b"=\n", b"\n"),
        good + good.splitlines(keepends=True)[-1] * 200,
    ):
        with pytest.raises(Malformed):
            note_of(wrong)
    line = good.splitlines(keepends=True)[-1]
    last = re.sub(rb"(.)(=+)\n", lambda found: bytes([found[1][0] + 1]) + found[2] + b"\n", line)
    with pytest.raises(Malformed, match="base64 in its one form"):
        note_of(good.replace(line, last))


def test_a_checkpoint_has_one_form() -> None:
    text = at(5).text
    for wrong in (text.replace("\n5\n", "\n05\n"), text.replace("\n5\n", "\n-5\n"), text[:20], "a\n5\nAAAA\n"):
        with pytest.raises(Malformed):
            checkpoint_of(SignedNote(wrong, ()))
    with pytest.raises(Malformed, match="not the size"):
        checkpoint_of(SignedNote(text.replace("\n5\n", f"\n{1 << 63}\n"), ()))
    assert checkpoint_of(SignedNote(text + "more\n", ())).more == ("more",)


def test_who_did_not_sign_is_not_counted_and_a_forged_line_spoils_the_note() -> None:
    note = at(5)
    with pytest.raises(BadSignature, match="is not signed by a key of that log"):
        signed_checkpoint(note.raw, [NoteSigner("log.example/t", NOTE, b"x" * 32).key])
    forged = SignedNote(note.text.replace("5", "6"), note.signatures)
    with pytest.raises(BadSignature, match="does not verify"):
        signed_checkpoint(forged.raw, [LOG.key])
    both = merged(merged(note, [WITNESS.sign(note.text, 7)]), [WITNESS.sign(note.text, 9), OTHER.sign(note.text, 9)])
    assert len(both.signatures) == 3
    keys = [WITNESS.key, OTHER.key, WITNESS.key._replace(name="again")]
    assert (cosigners(both, keys), cosigners(both, keys[:1]), cosigners(both, keys, 10)) == (2, 1, 0)
    with pytest.raises(BadSignature, match="is not signed"):  # a cosignature is none of the log
        signed_checkpoint(SignedNote(note.text, (WITNESS.sign(note.text, 7),)).raw, [WITNESS.key])


class Witness:
    def __init__(self) -> None:
        self.held: SignedNote | None = None

    def ask(self, old: int, proof: list[bytes], note: SignedNote, now: int = 100) -> WitnessReply:
        found = answer(
            AddCheckpoint(old, tuple(proof), note).raw,
            lambda origin: [LOG.key] if origin == "log.example/t" else [],
            lambda origin: self.held,
            WITNESS,
            now,
        )
        self.held = found.cosigned or self.held
        return found


def test_a_witness_follows_a_log_that_grows() -> None:
    witness, old = Witness(), 0
    for size in (0, 1, 4, 4, 9, 70):
        found = witness.ask(old, consistency_proof(hashes, old, size), at(size))
        assert found.status == 200, found
        [line] = cosignatures(found.body.encode(), at(size), [WITNESS.key])
        assert cosigners(merged(at(size), [line]), [WITNESS.key], 100) == 1
        old = size


def test_a_witness_refuses_each_in_a_sentence_and_keeps_what_it_had() -> None:
    witness = Witness()
    assert witness.ask(0, [], at(9)).status == 200
    kept = witness.held
    proof = consistency_proof(hashes, 9, 20)
    cases = [
        (404, 0, [], SignedNote(at(9).text.replace("log", "lag"), at(9).signatures), "is witnessed here"),
        (403, 9, proof, at(20, signer=NoteSigner("log.example/t", NOTE, b"x" * 32)), "is not signed"),
        (400, 21, proof, at(20), "fewer than the old size 21"),
        (409, 0, [], at(20), "^9\n$"),
        (409, 4, [], at(9, b"r" * 32), "^9\n$"),
        (422, 9, proof[:-1], at(20), "are meant"),
        (422, 9, proof, at(20, b"r" * 32), "it was rewritten"),
        (422, 9, [], at(9, b"r" * 32), "with another root"),
    ]
    for status, old, hashes_, note, sentence in cases:
        found = witness.ask(old, hashes_, note)
        assert found.status == status
        assert re.search(sentence, found.body)
        assert witness.held == kept
        if checkpoint_of(note).root == b"r" * 32:
            assert found.against == note  # what shows two histories is kept
    assert witness.ask(9, proof, at(20), now=99).status == 503
    assert answer(b"old 1\n", lambda _: [], lambda _: None, WITNESS, 0).status == 400
    with pytest.raises(Malformed, match="at most 63 hashes"):
        request_of(AddCheckpoint(9, (b"h" * 32,) * 64, at(20)).raw)


def test_a_witness_that_goes_backwards_and_a_log_that_shrinks_are_named() -> None:
    assert held_size(b"9\n", 20, 4) == 9
    with pytest.raises(BadProof, match="the witness went backwards: it cosigned 9 entries and now holds 4"):
        held_size(b"4\n", 20, 9)
    with pytest.raises(BadProof, match="the log went backwards"):
        held_size(b"21\n", 20, 9)
    with pytest.raises(BadProof, match="shrank from 9 entries to 4"):
        check_growth(at(9), at(4), hashes)


@pytest.mark.parametrize("old", [0, 1, 8, 9, 20])
def test_two_histories_are_proved_to_everybody(old: int) -> None:
    check_growth(at(old), at(20), hashes)
    lie = at(old, b"r" * 32)
    with pytest.raises(TwoHistories, match=f"its first {old} entries have two roots") as found:
        check_growth(lie, at(20), hashes)
    found.value.proof.verify([LOG.key])
    honest = SplitView(at(old), at(20), root_hash(hashes, old), tuple(consistency_proof(hashes, old, 20)))
    with pytest.raises(BadProof, match="do not contradict"):
        honest.verify([LOG.key])
    with pytest.raises(BadProof):
        found.value.proof._replace(root=b"s" * 32).verify([LOG.key])


def test_a_proof_shows_an_entry_to_who_is_offline() -> None:
    note = merged(at(20), [WITNESS.sign(at(20).text, 5)])
    proof = EntryProof(7, tuple(inclusion_proof(hashes, 7, 20)), note, b"salt")
    assert entry_proof_of(proof.raw) == proof
    assert entry_proof_of(replace(proof, extra=b"").raw) == replace(proof, extra=b"")
    verify_entry(ENTRIES[7], proof, [LOG.key], [WITNESS.key, OTHER.key], 1)
    with pytest.raises(BadProof, match=r"1 of 2 witnesses cosigned .* not 2"):
        verify_entry(ENTRIES[7], proof, [LOG.key], [WITNESS.key, OTHER.key], 2)
    with pytest.raises(BadProof, match="comes to another root"):
        verify_entry(ENTRIES[8], proof, [LOG.key])
    for wrong in (
        proof.raw[5:],
        proof.raw.replace(b"index 7", b"index 07"),
        b"c2sp.org/tlog-proof@v1\n\n",
        b"\xff\n\n",
    ):
        with pytest.raises(Malformed):
            entry_proof_of(wrong)
    one = EntryProof(0, (), at(1))
    verify_entry(ENTRIES[0], entry_proof_of(one.raw), [LOG.key])


def test_a_line_says_an_order_and_no_subject() -> None:
    line = PublicLine("order", 5, AccountId(b"a" * 32), b"o" * 32, "vn", "spam", "147/2024", "", 3, b"r" * 32, 86_400)
    raw = PUBLIC_LINE.encode(line)
    assert PUBLIC_LINE.decode(raw) == line
    assert PUBLIC_LINE.decode(raw + b"\0") is None
    assert {"subject", "uri", "why"}.isdisjoint(PUBLIC_LINE.names)
    with pytest.raises(ValueError, match="the basis of a line"):
        PUBLIC_LINE.encode(replace(line, basis="x" * 1_001))
