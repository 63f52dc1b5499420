"""A witness (C2SP tlog-witness): it cosigns what continues the checkpoint that it cosigned before, and nothing else.

old SIZE                    the size that the witness cosigned last
base64 of each hash         that the new tree begins with that one
                            a blank line
checkpoint
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from banyan_crdt.errors import BadSignature, Malformed
from banyan_translog.checkpoints import TreeHead, checkpoint_of, hashes_of, signed_checkpoint
from banyan_translog.merkle import EMPTY, BadProof, verify_consistency
from banyan_translog.notes import NoteKey, NoteSignature, NoteSigner, SignedNote, note_of, signature_of, signers
from banyan_translog.tiles import size_of

SIZE_TYPE = "text/x.tlog.size"
"""The Content-Type of a 409."""


class AddCheckpoint(NamedTuple):
    """What a log asks of a witness."""

    old: int
    hashes: tuple[bytes, ...]
    note: SignedNote

    @property
    def raw(self) -> bytes:
        """The body of the request."""
        hashes = (b64encode(one).decode() for one in self.hashes)
        return "\n".join([f"old {self.old}", *hashes, "", ""]).encode() + self.note.raw


class WitnessReply(NamedTuple):
    """status: of HTTP. body: the cosignature, or the size that is held (409), or a sentence. cosigned: what must be
    durable, in place of what was held, before the answer is given. against: a signed checkpoint that shows another
    history than the one that is held."""

    status: int
    body: str
    cosigned: SignedNote | None = None
    against: SignedNote | None = None


def request_of(raw: bytes) -> AddCheckpoint:
    """Raises Malformed."""
    head, blank, rest = raw.partition(b"\n\n")
    try:
        first, *lines = head.decode().split("\n")
    except UnicodeDecodeError:
        raise Malformed("a request to a witness is UTF-8") from None
    if not blank or not first.startswith("old "):
        raise Malformed("a request to a witness is 'old SIZE', hashes, a blank line and a checkpoint")
    return AddCheckpoint(size_of(first[4:]), hashes_of(lines), note_of(rest))


def answer(
    raw: bytes,
    logs: Callable[[str], Collection[NoteKey]],
    held: Callable[[str], SignedNote | None],
    witness: NoteSigner,
    now: int,
) -> WitnessReply:
    """logs: the keys of the log of this origin; none: it is not known. held: what was cosigned last. now: seconds since
    1970. Between `held` and the write of what is cosigned no other request of this log may be answered."""
    try:
        old, hashes, note = request_of(raw)
        new = checkpoint_of(note)
    except Malformed as why:
        return WitnessReply(400, f"{why}\n")
    keys = logs(new.origin)
    if not keys:
        return WitnessReply(404, f"no log {new.origin[:255]} is witnessed here\n")
    try:
        signed_checkpoint(note.raw, keys)
    except BadSignature as why:
        return WitnessReply(403, f"{why}\n")
    if old > new.size:
        return WitnessReply(
            400, f"the checkpoint has {new.size} entries, fewer than the old size {old}: a log only grows\n"
        )
    last = held(new.origin)
    before = TreeHead(new.origin, 0, EMPTY) if last is None else checkpoint_of(last)
    fork = note if last is not None and before.size == new.size and before.root != new.root else None
    if old != before.size:
        return WitnessReply(409, f"{before.size}\n", against=fork)
    try:
        if fork:
            raise BadProof(f"another checkpoint of {new.size} entries, with another root, was cosigned here before")
        verify_consistency(old, before.root, new.size, new.root, hashes)
    except BadProof as why:
        return WitnessReply(422, f"{why}\n", against=note if last is not None else None)
    if last is not None and any((one.time or 0) > now for one in signers(last, [witness.key])):
        return WitnessReply(503, "the clock of this witness stands before its last cosignature of this log\n")
    cosignature = witness.sign(note.text, now)
    return WitnessReply(200, cosignature.line, SignedNote(note.text, (*note.signatures, cosignature)))


def cosignatures(body: bytes, note: SignedNote, witnesses: Collection[NoteKey]) -> list[NoteSignature]:
    """The lines of an answer 200 that these witnesses signed. Raises Malformed, and BadSignature if one is forged."""
    try:
        lines = body.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise Malformed("an answer of a witness is UTF-8") from None
    found: Sequence[NoteSignature] = [signature_of(line) for line in lines[:16]]
    known = {(one.key.name, one.key.id) for one in signers(SignedNote(note.text, tuple(found)), witnesses)}
    return [one for one in found if (one.name, one.key_id) in known]


def held_size(body: bytes, sent: int, cosigned: int) -> int:
    """The size that a 409 says, for the next request. sent: the size of the checkpoint that was shown. cosigned: the
    largest one that this witness cosigned before. Raises Malformed, and BadProof if the witness went backwards."""
    held = size_of(body.decode("ascii", "replace").removesuffix("\n"))
    if held < cosigned:
        raise BadProof(f"the witness went backwards: it cosigned {cosigned} entries and now holds {held}")
    if held > sent:
        raise BadProof(f"the witness holds {held} entries of this log, which has {sent}: the log went backwards")
    return held
