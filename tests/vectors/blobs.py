"""Blobs as vectors: sizes around the border of a chunk, and the questions and answers between peers."""

from __future__ import annotations

from typing import Any

from banyan_crdt.blob import CHUNK, blob_of
from banyan_replica.wire.blob_messages import (
    BlobQuestion,
    draft_token,
    encode_chunk_answer,
    encode_list_answer,
    encode_not_here,
    encode_question,
)

DRAFT, PEER = bytes(range(16)), "12D3KooWGzh3bJQFsmDbjVzdCZqS3bkUKhVx4RSzKJcMrMYZMhLK"
"""The id of a draft, and of a peer that can read it."""
PERIOD = 251
"""The byte at place i of a blob here is i mod PERIOD, which no power of two divides."""


def blob_bytes(size: int) -> bytes:
    return (bytes(range(PERIOD)) * (size // PERIOD + 1))[:size]


def blobs() -> dict[str, Any]:
    found = [(size, blob_of(blob_bytes(size))) for size in (1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)]
    small = blob_of(b"xin ch\xc3\xa0o")
    of_draft = BlobQuestion(draft_token(small.root, DRAFT, PEER), None, of_draft=True)
    return {
        "period": PERIOD,
        "blobs": [{"size": size, "hashes": of.hashes.hex(), "root": of.root.hex()} for size, of in found],
        "small": {"bytes": b"xin ch\xc3\xa0o".hex(), "hashes": small.hashes.hex(), "root": small.root.hex()},
        "draft": {"id": DRAFT.hex(), "peer": PEER, "token": of_draft.root.hex()},
        "messages": [
            {"name": "ask for the list", "frame": encode_question(BlobQuestion(small.root, None)).hex()},
            {"name": "the list", "frame": encode_list_answer(small).hex()},
            {"name": "ask for chunk 0", "frame": encode_question(BlobQuestion(small.root, 0)).hex()},
            {"name": "chunk 0", "frame": encode_chunk_answer(b"xin ch\xc3\xa0o").hex()},
            {"name": "ask for the list of a draft's", "frame": encode_question(of_draft).hex()},
            {"name": "ask for its chunk 0", "frame": encode_question(of_draft._replace(chunk=0)).hex()},
            {"name": "not here", "frame": encode_not_here("not here").hex()},
        ],
    }
