"""The public log of another node, read over HTTP and checked: for auditors and monitors, who trust nobody.

A log's key is in its name, so its checkpoint proves itself; whose log it is, the account's own entry says.
"""

from __future__ import annotations

import http.client
import re
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from banyan_crdt.errors import BadSignature, Reject
from banyan_crdt.ids import H, account_from_text
from banyan_duties.commitment import OrderItem
from banyan_node.client.wire import Address, HttpAnswer, HttpLine
from banyan_node.home.folder import write_private
from banyan_node.transparency.public_log import hashes_of, lines_of, log_key, make_durable, witness_key
from banyan_schema.address import post_from_text
from banyan_schema.public_line import PUBLIC_LINE
from banyan_schema.social.order import ORDER_ACTS, OrderNotice, order_id
from banyan_translog.checkpoints import (
    TreeHead,
    TwoHistories,
    check_growth,
    checkpoint_of,
    entry_proof_of,
    signed_checkpoint,
    verify_entry,
)
from banyan_translog.merkle import BadProof, leaf_hash, node_hash, root_hash
from banyan_translog.notes import NoteKey, SignedNote, note_of, signers
from banyan_translog.tiles import WIDTH, Tile

SECONDS = 20.0


class UnreadableLog(Reject):
    """The log cannot be read. A sentence without a full stop."""


class NoPublicLog(UnreadableLog):
    """The node answers, and has no log."""


class Audit(NamedTuple):
    """What a log shows now. kinds: how many lines there are of each kind; empty unless all were read."""

    checkpoint: TreeHead
    note: SignedNote
    kinds: dict[str, int]


class Proved(NamedTuple):
    """order: that withholds the post. line: the number of the line about it. cosigned: by how many witnesses."""

    order: OrderNotice
    checkpoint: TreeHead
    line: int
    cosigned: int


class RemoteLog:
    """url: of a node's door. Raises ValueError for no URL; the methods raise Reject."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/transparency")
        self._line = HttpLine(Address.of_url(self.url), {}, SECONDS)
        self.close = self._line.close

    def get(self, path: str) -> HttpAnswer:
        """Raises Unread."""
        try:
            return self._line.ask("GET", f"/transparency/{path}")
        except (OSError, http.client.HTTPException) as why:
            raise UnreadableLog(f"the node at {self.url} cannot be reached ({why})") from why

    def tile(self, tile: Tile) -> bytes:
        answer = self.get(tile.path)
        if answer.status == 404:
            answer = self.get(Tile(tile.level, tile.index).path)
        if answer.status != 200:
            raise UnreadableLog(f"the node at {self.url} lacks {tile.path} of its log (status {answer.status})")
        return answer.content

    def audit(self, seen: Path, whole: bool) -> Audit:
        """Checks the log against what it showed before, which is in the folder `seen`, and keeps what it shows now.
        whole: reads every line too. Evidence against it stays in that folder."""
        answer = self.get("checkpoint")
        if answer.status == 404:
            raise NoPublicLog(f"the node at {self.url} shows no public log (status 404): it has logged nothing yet")
        if answer.status != 200:
            raise UnreadableLog(f"the node at {self.url} shows no public log (status {answer.status})")
        found, note = own_checkpoint(answer.content)
        hashes = hashes_of(self.tile, found.size)
        if root_hash(hashes, found.size) != found.root:
            raise BadProof(f"the tiles of {self.url} are not those of its checkpoint of {found.size} lines")
        path = seen / found.origin.rpartition("/")[2]
        try:
            if path.exists():
                check_growth(note_of(path.read_bytes()), note, hashes)
        except BadProof as why:
            _keep(path.with_suffix(".shrunk"), note.raw)
            raise BadProof(f"{why}; both checkpoints are kept in {seen}") from None
        except TwoHistories as why:
            proof = b"".join(one.hex().encode() + b"\n" for one in (why.proof.root, *why.proof.hashes))
            _keep(path.with_suffix(".proof"), why.proof.old.raw + b"\n" + note.raw + b"\n" + proof)
            raise BadProof(f"the log {why}; the proof is kept in {path.with_suffix('.proof')}") from None
        kinds = self._kinds(found) if whole else {}
        _keep(path, note.raw)
        return Audit(found, note, kinds)

    def _kinds(self, found: TreeHead) -> dict[str, int]:
        """Reads all lines. Raises BadProof unless they come to the root."""
        kinds, stack, count = Counter[str](), list[bytes](), 0
        for index in range(-(-found.size // WIDTH)):
            for raw in lines_of(self.tile, found.size, index):
                line, above = leaf_hash(raw), count
                while above & 1:
                    line, above = node_hash(stack.pop(), line), above >> 1
                stack.append(line)
                count += 1
                said = PUBLIC_LINE.decode(raw)
                kinds["unreadable" if said is None else said.kind] += 1
        while len(stack) > 1:
            right = stack.pop()
            stack.append(node_hash(stack.pop(), right))
        if stack and stack[0] != found.root:
            raise BadProof(f"the lines of {self.url} are not those of its checkpoint of {found.size}")
        return dict(kinds)


def own_checkpoint(raw: bytes) -> tuple[TreeHead, SignedNote]:
    """A checkpoint that is signed by the key in the name of its log. Raises Reject."""
    origin = checkpoint_of(note_of(raw)).origin
    return signed_checkpoint(raw, [log_key(_key_in(origin, "banyan-log"))])


def check_proof(found: Any, uri: str) -> Proved:
    """What `transparency.prove` answered about this post: that a line about the order is in the log, and with a salt
    that the order names the post. Raises Reject."""
    try:
        return _checked(found, uri)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise BadProof("what the node answers is no proof") from None


def _checked(found: Any, uri: str) -> Proved:
    order, proof = bytes.fromhex(found["order"]), entry_proof_of(found["proof"].encode())
    checkpoint, note = own_checkpoint(proof.note.raw)
    raw = b64decode(found["line"])
    verify_entry(raw, proof, [log_key(_key_in(checkpoint.origin, "banyan-log"))])
    line, notice = PUBLIC_LINE.decode(raw), ORDER_ACTS[OrderNotice].decode(b64decode(found["content"]))
    if notice is None or order_id(account_from_text(found["issuer"]), notice) != order:
        raise BadProof("the order that the node shows has another id")
    if line is None or line.order != order or found["uri"] != uri:
        raise BadProof("what the node proves is about another order, or another post")
    if (item := found["item"]) is not None:
        reached = OrderItem(bytes.fromhex(item["salt"]), post_from_text(uri), bytes.fromhex(item["digest"])).leaf
        for step in item["path"]:
            other = bytes.fromhex(step["hash"])
            reached = H("order/node", *((reached, other) if step["right"] else (other, reached)))
        if reached != notice.root:
            raise BadProof("the salt does not show that the order names this post")
    return Proved(notice, checkpoint, proof.index, len(self_named(note)))


def self_named(note: SignedNote) -> list[NoteKey]:
    """The witnesses below a note, by the keys in their names; who they are, nobody says. Raises BadSignature."""
    names = dict.fromkeys(one.name for one in note.signatures if one.name.startswith("banyan-witness/"))
    return [one.key for one in signers(note, [witness_key(_key_in(name, "banyan-witness")) for name in names])]


def _key_in(name: str, kind: str) -> bytes:
    head, _, digits = name.partition("/")
    if head != kind or not re.fullmatch("[0-9a-f]{64}", digits):
        raise BadSignature(f"'{name[:100]}' is no name with a key in it, as {kind}/KEY is")
    return bytes.fromhex(digits)


def _keep(path: Path, raw: bytes) -> None:
    make_durable(path.parent)
    write_private(path, raw)
