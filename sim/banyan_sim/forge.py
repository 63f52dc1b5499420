"""What strangers make without a store: accounts, logs and frames, with the product's own codec, as fast as possible.
Randomness and the time are arguments, so that a seed repeats an attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.ids import AccountId, CellKey, EntryId, H, LogId, Time, WriterKey, key_digest
from banyan_crdt.ops import ControlOp, Init, Pin, Put, Slot, encode_ops
from banyan_crdt.parts import make_part
from banyan_crdt.realm import TEST
from banyan_crdt.run import encode_steps, skips_below
from banyan_crdt.signing import Signer
from banyan_replica.gossip.frames import AnyFrame, Push, PushFrame, encode_frame
from banyan_replica.intake.author import grant_to
from banyan_replica.wire.data_items import encode_item
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import Content, ControlItem, GossipFrame, Item, RunItem
from banyan_schema.social import POST

TINY = encode_ops(())
"""The operations of an entry that says nothing: with them it has seven bytes in a run."""
PAST_MS = 3_600_000
"""An account is dated back by an hour, so that its logs have room for times."""


class Forge:
    """random(n): n random bytes. now_ms(): the wall clock."""

    def __init__(self, random: Callable[[int], bytes], now_ms: Callable[[], int]) -> None:
        self.random, self.now_ms = random, now_ms

    def account(self, salt: int = 32) -> Account:
        """An account that nobody knows yet. salt: bytes of its salt."""
        return Account(self.random, self.now_ms() - PAST_MS, salt)

    def minted(self, count: int) -> tuple[bytes, list[Account]]:
        """One frame that pushes so many new accounts, and the accounts."""
        made = [self.account() for _ in range(count)]
        return pushes(*(pushed(a.item(), a.mid) for a in made)), made

    def large_post(self, size: int) -> tuple[bytes, int, bytes]:
        """(operations, bytes of content that they declare, the content) of a post that says nothing at length."""
        part, raw = make_part(self.random(16), self.random(size))
        return encode_ops((Put(POST, CellKey(self.random(16)), (), part),)), part.size, raw

    def writer(self) -> WriterKey:
        """A key that nobody has."""
        return Signer(TEST, self.random(32)).key


class Account:
    """An account: a root key, and a device that may write 65,535 logs. at_ms: when it was opened. salt_bytes: see
    `Forge.account`."""

    def __init__(self, random: Callable[[int], bytes], at_ms: int, salt_bytes: int = 32) -> None:
        self.random, self.at_ms = random, at_ms
        self.root, self.device = Signer(TEST, random(32)), Signer(TEST, random(32))
        self._time = at_ms << 16
        salt, self._salt = make_part(random(16), random(salt_bytes))
        init = Init((Slot(key_digest(self.root.key), random(32)),), salt)
        self.path: list[Entry] = []
        self.id = AccountId(b"")
        self.id = AccountId(self._add(encode_ops((init, grant_to(self.device.key))), salt.size).id)

    def control(self, *ops: ControlOp | Pin) -> Entry:
        """Appends one control entry."""
        return self._add(encode_ops(ops), 0)

    def _add(self, raw: bytes, parts: int) -> Entry:
        seq, self._time = len(self.path), self._time + 1
        parent, target = self.path[-1] if self.path else None, skip_seq(len(self.path))
        total = (parent.header.total if parent else 0) + len(raw) + parts
        skip = None if target is None else self.path[target].id
        header = Header(
            *(self.id, self.root.key, 0, seq, parent.id if parent else None, skip),
            *(Time(self._time), total, H("ops", raw)),
        )
        made = entry_id(TEST, encode_header(header))
        self.path.append(Entry(made, header, raw, self.root.sign(made)))
        return self.path[-1]

    def item(self, first: int = 0) -> ControlItem:
        """The control entries from place `first` on."""
        rows = [[encode_header(e.header), e.sig, e.ops] for e in self.path[first:]]
        return ControlItem(self.id, rows, [] if first else [self._salt])

    @property
    def mid(self) -> bytes:
        return self.path[-1].id[:16]

    def log(self, number: int, at_ms: int | None = None) -> ForgedLog:
        """at_ms: when its first entry is dated; half an hour after the account was opened, if that is not said."""
        return ForgedLog(self, number, self.at_ms + PAST_MS // 2 if at_ms is None else at_ms)


class ForgedLog:
    """A log of an account. It can be written far faster than any node can judge it."""

    def __init__(self, account: Account, number: int, at_ms: int) -> None:
        self.signer, self._random = account.device, account.random
        self.id = LogId(account.id, self.signer.key, number)
        self.ids: list[EntryId] = []
        self.steps: list[tuple[Time, int, bytes]] = []
        self._time = at_ms << 16

    def write(self, ops: bytes = TINY, parts: int = 0, count: int = 1) -> EntryId:
        """Appends `count` entries with these operations. parts: bytes of content that each declares."""
        hashed = H("ops", ops)
        for _ in range(count):
            seq = len(self.ids)
            target = skip_seq(seq)
            self._time += 1
            total = (self.steps[-1][1] if seq else 0) + len(ops) + parts
            header = Header(
                *(*self.id, seq, self.ids[-1] if seq else None, None if target is None else self.ids[target]),
                *(Time(self._time), total, hashed),
            )
            self.ids.append(entry_id(TEST, encode_header(header)))
            self.steps.append((Time(self._time), total, ops))
        return self.ids[-1]

    def fork(self, seq: int) -> ForgedLog:
        """A copy that goes on otherwise from place `seq` on: what it writes there has another time."""
        twin = object.__new__(ForgedLog)
        twin.signer, twin.id, twin._random = self.signer, self.id, self._random
        twin.ids, twin.steps = self.ids[:seq], self.steps[:seq]
        twin._time = self.steps[seq][0] + int.from_bytes(self._random(2), "big") + 1
        return twin

    def run(self, first: int, stop: int, contents: Sequence[Content] = ()) -> RunItem:
        """Entries first .. stop - 1, at most 1,024, under one signature."""
        before = self.ids[first - 1] if first else None
        base = self.steps[first - 1][1] if first else 0
        skips = [(seq, self.ids[seq]) for seq in skips_below(first, stop - first)]
        sig = self.signer.sign(self.ids[stop - 1])
        return RunItem(encode_steps(self.id, first, before, base, skips, self.steps[first:stop], sig), list(contents))

    def push(self, first: int, stop: int, contents: Sequence[Content] = ()) -> Push:
        """The same as a message of the gossip."""
        return pushed(self.run(first, stop, contents), self.ids[stop - 1])


def pushed(item: Item, last: bytes) -> Push:
    """A message of the gossip. last: the id of its last entry."""
    return Push(last[:16], 0, encode(encode_item(item)))


def gossip(frame: AnyFrame) -> bytes:
    """A frame of the gossip, as bytes of a link's frame."""
    return encode_message(GossipFrame(encode_frame(frame)))


def pushes(*items: Push) -> bytes:
    return gossip(PushFrame(items))
