"""Checkpoints (C2SP tlog-checkpoint): the size and root of a log, as a note that the log signs and others cosign; and
proofs that an entry is in a log, for people who are offline (C2SP tlog-proof).

    origin                      c2sp.org/tlog-proof@v1
    size, decimal               [extra base64]
    root, base64                index N
                                base64 of each hash of the proof
    -- signatures
                                the checkpoint
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from banyan_crdt.errors import BadSignature, Malformed, Reject
from banyan_translog.merkle import (
    BadProof,
    Hashes,
    consistency_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from banyan_translog.notes import COSIGNER, NoteKey, SignedNote, bytes_of, note_of, signers
from banyan_translog.tiles import size_of

_PROOF = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
"""Of a proof."""


class TreeHead(NamedTuple):
    """origin: the name of the log. root: 32 bytes. more: lines that the log adds, which mean nothing here."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of its note."""
        return "\n".join([self.origin, str(self.size), b64encode(self.root).decode(), *self.more, ""])


class SplitView(NamedTuple):
    """Proof that a log shows two histories, for everybody who knows its key: it signed `old`, and its tree `new`
    begins with another root than that. root: of the first entries of `new`, as many as `old` has. hashes: the proof
    that it begins so."""

    old: SignedNote
    new: SignedNote
    root: bytes
    hashes: tuple[bytes, ...]

    def verify(self, keys: Collection[NoteKey]) -> None:
        """Raises BadProof, BadSignature or Malformed if this proves nothing against the log with these keys."""
        old, new = (signed_checkpoint(one.raw, keys)[0] for one in (self.old, self.new))
        verify_consistency(old.size, self.root, new.size, new.root, self.hashes)
        if old.origin != new.origin or self.root == old.root:
            raise BadProof(f"these checkpoints of {old.origin} and {new.origin} do not contradict each other")


class TwoHistories(Reject):
    """A log signed two checkpoints, and the later one does not begin with the earlier one."""

    def __init__(self, sentence: str, proof: SplitView) -> None:
        super().__init__(sentence)
        self.proof = proof


def checkpoint_of(note: SignedNote) -> TreeHead:
    """Raises Malformed. Checks no signature."""
    lines = note.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise Malformed("a checkpoint has an origin, a size and a root, each in a line")
    origin, size, root, *more = lines
    found = TreeHead(origin, size_of(size), bytes_of(root), tuple(more))
    if len(found.root) != 32:
        raise Malformed(f"the root of a checkpoint has 32 bytes, and this one {len(found.root)}")
    return found


def signed_checkpoint(raw: bytes, keys: Collection[NoteKey]) -> tuple[TreeHead, SignedNote]:
    """A checkpoint that one of these keys of its log signed. Raises Malformed and BadSignature."""
    note = note_of(raw)
    found = checkpoint_of(note)
    if not signers(note, [key for key in keys if key.kind != COSIGNER]):
        raise BadSignature(f"the checkpoint of {found.origin} is not signed by a key of that log")
    return found, note


def cosigners(note: SignedNote, witnesses: Collection[NoteKey], since: int = 0) -> int:
    """How many of these witnesses cosigned, not before `since`, in seconds. One public key counts once. Raises
    BadSignature."""
    return len({one.key.key for one in signers(note, witnesses) if one.time is not None and one.time >= since})


def check_growth(old: SignedNote, new: SignedNote, hashes: Hashes) -> None:
    """That the second of two signed checkpoints of one log continues the first. hashes: of the second one's tree, whose
    root was checked. Raises TwoHistories with the proof, and BadProof if the log shrank, which proves nothing: somebody
    else may have shown an old checkpoint."""
    a, b = checkpoint_of(old), checkpoint_of(new)
    if a.origin != b.origin:
        raise BadProof(f"checkpoints of two logs, {a.origin} and {b.origin}, say nothing of each other")
    if b.size < a.size:
        raise BadProof(f"the checkpoint of {a.origin} shrank from {a.size} entries to {b.size}: a log only grows")
    root = root_hash(hashes, a.size)
    if root != a.root:
        proof = SplitView(old, new, root, tuple(consistency_proof(hashes, a.size, b.size)))
        raise TwoHistories(f"{a.origin} shows two histories: its first {a.size} entries have two roots", proof)


@dataclass(frozen=True, slots=True)
class EntryProof:
    """That an entry is in a log. note: a checkpoint, with its signatures. extra: what belongs to it, unsigned."""

    index: int
    hashes: tuple[bytes, ...]
    note: SignedNote
    extra: bytes = b""

    @property
    def raw(self) -> bytes:
        """The file."""
        extra = [f"extra {b64encode(self.extra).decode()}"] if self.extra else []
        hashes = (b64encode(one).decode() for one in self.hashes)
        return "\n".join([_PROOF, *extra, f"index {self.index}", *hashes, "", ""]).encode() + self.note.raw


def entry_proof_of(raw: bytes) -> EntryProof:
    """Raises Malformed. Checks nothing."""
    head, blank, rest = raw.partition(b"\n\n")
    try:
        name, *lines = head.decode().split("\n")
    except UnicodeDecodeError:
        raise Malformed("a proof is UTF-8") from None
    extra = b""
    if name == _PROOF and lines and lines[0].startswith("extra "):
        extra = bytes_of(lines.pop(0)[6:])
    if name != _PROOF or not blank or not lines or not lines[0].startswith("index "):
        raise Malformed(f"a proof begins with the lines '{_PROOF}' and 'index N'")
    return EntryProof(size_of(lines[0][6:]), hashes_of(lines[1:]), note_of(rest), extra)


def hashes_of(lines: Sequence[str]) -> tuple[bytes, ...]:
    """The hashes of a proof, one a line. Raises Malformed."""
    found = tuple(map(bytes_of, lines))
    if len(found) > MOST_HASHES or any(len(one) != 32 for one in found):
        raise Malformed(f"a proof has at most {MOST_HASHES} hashes of 32 bytes")
    return found


def verify_entry(
    entry: bytes, proof: EntryProof, keys: Collection[NoteKey], witnesses: Collection[NoteKey] = (), least: int = 0
) -> TreeHead:
    """That the log with these keys has the entry, and at least so many of the witnesses saw that. Raises BadProof,
    BadSignature and Malformed."""
    found, note = signed_checkpoint(proof.note.raw, keys)
    verify_inclusion(leaf_hash(entry), proof.index, found.size, proof.hashes, found.root)
    if (seen := cosigners(note, witnesses)) < least:
        raise BadProof(f"{seen} of {len(witnesses)} witnesses cosigned this checkpoint of {found.origin}, not {least}")
    return found
