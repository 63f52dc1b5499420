"""The messages of the protocol by which blobs are fetched: one question, one answer, in order.

It has a stream of its own beside that of entries, so that a film never stands before an entry in a queue. Who asks
chooses what and how much; nobody sends a blob unasked.

    question = 1 | root 32               the list of the blob
             | 2 | root 32 | chunk u32   one chunk of it
             | 3 | token 32              the same two, of a blob that a draft names
             | 4 | token 32 | chunk u32
    answer   = 1 | size u64 | hashes     32 bytes for each chunk
             | 2 | bytes                 the chunk
             | 0 | reason                not here, or not given: at most 256 bytes of UTF-8

On the stream each stands behind its length, u32. Numbers are big-endian.

A draft is sealed for the devices of its account, and its pictures are for them alone until it is published. The token
says that the one who asks can read the draft, and says nothing else to others, nor can they use it: their peer ids are
other ones.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.blob import CHUNK, HASH_BYTES, MAX_BLOB, BlobList, BlobRoot, check_list
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import H

NOT_HERE, LIST, ONE_CHUNK, LIST_OF_DRAFT, CHUNK_OF_DRAFT = 0, 1, 2, 3, 4
MAX_REASON = 256
MAX_QUESTION = 1 + HASH_BYTES + 4
MAX_ANSWER = 1 + 8 + MAX_BLOB // CHUNK * HASH_BYTES
"""Bytes: the list of the largest blob."""
MAX_CHUNK_ANSWER = 1 + CHUNK


class BlobQuestion(NamedTuple):
    """root: of the blob; of one that a draft names, the token. chunk: None asks for the list."""

    root: bytes
    chunk: int | None
    of_draft: bool = False


class NotHere(Exception):
    """The peer does not have the blob, or does not give it. No fault of anybody."""


def draft_token(root: BlobRoot, draft: bytes, peer: str) -> bytes:
    """The token by which a peer asks for a blob of a draft, 32 bytes. draft: its id, 16 random bytes. peer: the id of
    the one who asks."""
    return H("blob of a draft", root, draft, peer.encode())


def encode_question(ask: BlobQuestion) -> bytes:
    if ask.chunk is None:
        return bytes((LIST_OF_DRAFT if ask.of_draft else LIST,)) + ask.root
    return bytes((CHUNK_OF_DRAFT if ask.of_draft else ONE_CHUNK,)) + ask.root + ask.chunk.to_bytes(4, "big")


def decode_question(raw: bytes) -> BlobQuestion:
    """Raises Malformed."""
    if len(raw) == 1 + HASH_BYTES and raw[0] in (LIST, LIST_OF_DRAFT):
        return BlobQuestion(raw[1:], None, raw[0] == LIST_OF_DRAFT)
    if len(raw) == MAX_QUESTION and raw[0] in (ONE_CHUNK, CHUNK_OF_DRAFT):
        return BlobQuestion(raw[1:-4], int.from_bytes(raw[-4:], "big"), raw[0] == CHUNK_OF_DRAFT)
    raise Malformed(f"{len(raw)} bytes are no question for a blob: it asks for a list (33 bytes) or a chunk (37)")


def encode_list_answer(of: BlobList) -> bytes:
    return bytes((LIST,)) + of.size.to_bytes(8, "big") + of.hashes


def encode_chunk_answer(chunk: bytes) -> bytes:
    return bytes((ONE_CHUNK,)) + chunk


def encode_not_here(reason: str) -> bytes:
    return bytes((NOT_HERE,)) + reason.encode()[:MAX_REASON]


def decode_list_answer(root: BlobRoot, raw: bytes) -> BlobList:
    """The list of the blob. Raises NotHere; Malformed if the answer is another or its list is not that of the root."""
    body = _body(LIST, raw)
    return check_list(root, int.from_bytes(body[:8], "big"), body[8:])


def decode_chunk_answer(raw: bytes) -> bytes:
    """The bytes, which are to be compared with the list. Raises NotHere, Malformed."""
    return _body(ONE_CHUNK, raw)


def _body(kind: int, raw: bytes) -> bytes:
    if raw[:1] == bytes((kind,)):
        return raw[1:]
    if raw[:1] == bytes((NOT_HERE,)) and len(raw) <= 1 + MAX_REASON:
        raise NotHere(raw[1:].decode("utf-8", "replace"))
    raise Malformed(
        f"an answer of {len(raw)} bytes begins with {raw[:1].hex() or 'nothing'}, not with {kind:02x} or 00"
    )
