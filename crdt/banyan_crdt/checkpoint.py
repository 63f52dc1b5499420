"""A checkpoint is a replaceable signed statement of a key about an account. It is beside the control log, not in it.

It says where the control log and other logs stood. For each (account, writer) the checkpoint with the greatest (n, id)
stands and all others are forgotten. This is a maximum, so order and repetition do not matter. `Control.entitles`
decides whose checkpoints are held; `resolve_control` uses them at ties, and `account_state` uses their pins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed, Oversized
from banyan_crdt.ids import ZERO_WRITER, AccountId, EntryId, H, Head, LogId, WriterKey, checkpoint_log
from banyan_crdt.ops import Pin
from banyan_crdt.realm import Realm
from banyan_crdt.signing import SignatureClaim, Signer

MAX_CHECKPOINT = 32 << 10
MAX_PINS = 256


class ControlRef(NamedTuple):
    """An entry of the control log: `seq` (48 bits) and id."""

    seq: int
    id: EntryId


class Checkpoint(NamedTuple):
    """`n`: 1 for the writer's first checkpoint of the account, then rising, 48 bits. `control`: where the control path
    ended then. `pins`: at most MAX_PINS, one per log. `sig`: 64 bytes."""

    id: EntryId
    account: AccountId
    writer: WriterKey
    n: int
    control: ControlRef
    pins: tuple[Pin, ...]
    sig: bytes

    @property
    def log_id(self) -> LogId:
        """Its name in the frontier."""
        return checkpoint_log(self.account, self.writer)

    @property
    def head(self) -> Head:
        """Its head in the frontier: (n, id, 0)."""
        return Head(self.n, self.id, 0)

    @property
    def signed(self) -> SignatureClaim:
        """Its signature, to be checked."""
        return SignatureClaim(self.writer, self.id, self.sig)


def make_checkpoint(
    realm: Realm, account: AccountId, signer: Signer, n: int, control: ControlRef, pins: Sequence[Pin]
) -> Checkpoint:
    """Makes and signs a checkpoint. Raises nothing: `decode_checkpoint` checks the bounds."""
    made = _id(realm, [account, signer.key, n, list(control), [list(pin) for pin in pins]])
    return Checkpoint(made, account, signer.key, n, control, tuple(pins), signer.sign(made))


def encode_checkpoint(c: Checkpoint) -> bytes:
    """CBOR of [account, writer, n, control, pins, sig]."""
    return encode([*_fields(c), c.sig])


def decode_checkpoint(realm: Realm, raw: bytes) -> Checkpoint:
    """The inverse of `encode_checkpoint`. Raises Malformed or Oversized. Does not check the signature."""
    if len(raw) > MAX_CHECKPOINT:
        raise Oversized(f"a checkpoint has {len(raw)} bytes; {MAX_CHECKPOINT} is the most")
    v = decode(raw, 3)
    if type(v) is not list or len(v) != 6:
        raise Malformed("a checkpoint is [account, writer, n, control, pins, sig]")
    account, writer, n, control, pins, sig = v
    _b(account, 32, "account")
    _b(sig, 64, "sig")
    if _b(writer, 32, "writer") == ZERO_WRITER:
        raise Malformed("a checkpoint is signed by a writer; 32 zero bytes are the control log's name")
    if not _u(n, 48, "n"):
        raise Malformed("checkpoints count from 1, this one says 0")
    if type(control) is not list or len(control) != 2:
        raise Malformed("control is [seq, id]")
    _u(control[0], 48, "seq")
    _b(control[1], 32, "id")
    if type(pins) is not list or len(pins) > MAX_PINS:
        raise Malformed(f"pins are an array of at most {MAX_PINS}")
    for pin in pins:
        if type(pin) is not list or len(pin) != 4:
            raise Malformed("a pin is [writer, log, seq, id]")
        for name, value, size in (("writer", pin[0], 32), ("id", pin[3], 32)):
            _b(value, size, name)
        _u(pin[1], 32, "log")
        _u(pin[2], 48, "seq")
    if len({(pin[0], pin[1]) for pin in pins}) < len(pins):
        raise Malformed("a checkpoint pins no log twice")
    return Checkpoint(
        _id(realm, v[:5]), account, writer, n, ControlRef(*control), tuple(Pin(*pin) for pin in pins), sig
    )


def newer(a: Checkpoint | None, b: Checkpoint) -> bool:
    """Whether `b` replaces `a`, which is of the same account and writer or None."""
    return a is None or (a.n, a.id) < (b.n, b.id)


def standing(checkpoints: Iterable[Checkpoint]) -> dict[WriterKey, Checkpoint]:
    """The checkpoint of each writer that stands, from checkpoints of one account."""
    out: dict[WriterKey, Checkpoint] = {}
    for c in checkpoints:
        if newer(out.get(c.writer), c):
            out[c.writer] = c
    return out


def _fields(c: Checkpoint) -> list[Any]:
    return [c.account, c.writer, c.n, list(c.control), [list(pin) for pin in c.pins]]


def _id(realm: Realm, fields: list[Any]) -> EntryId:
    return EntryId(H("checkpoint", realm.id, encode(fields)))


def _b(v: Any, size: int, name: str) -> bytes:
    if type(v) is not bytes or len(v) != size:
        raise Malformed(f"{name} is {size} bytes")
    return v


def _u(v: Any, bits: int, name: str) -> int:
    if type(v) is not int or v >> bits:
        raise Malformed(f"{name} is an unsigned integer of {bits} bits")
    return v
