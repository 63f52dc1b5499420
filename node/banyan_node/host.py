"""What the replica asks of this node and tells it (`banyan_replica.host`), in one place."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId
from banyan_node.admission.throttle import Throttle
from banyan_node.alliance import invitations
from banyan_node.api.methods.moderation import content
from banyan_node.context import Context
from banyan_node.hosting import erasure, hosted
from banyan_node.hosting.interest import LocalDemand
from banyan_node.links.link_manager import Links
from banyan_node.moderation import withheld
from banyan_replica.host import PartItem, ReplicaHost
from banyan_storage.local_tables import DROPPED, HOSTED


class CommandHost(ReplicaHost):
    """Of a command that has the store for itself: no peer is linked."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def content_came(self, items: Sequence[PartItem]) -> None:
        content.tell_returned(self._ctx, items)


class NodeHost(ReplicaHost):
    """Of a running node. links: once they are served; until then there is no peer to ask about."""

    def __init__(self, ctx: Context, throttle: Throttle, links: Callable[[], Links]) -> None:
        self._ctx, self._throttle, self._links, self._wanted = ctx, throttle, links, LocalDemand(ctx)

    def hosted(self) -> Iterable[AccountId]:
        return hosted.ids(self._ctx)

    def is_hosted(self, account: AccountId) -> bool:
        return HOSTED.among_few(self._ctx.store, account)

    def is_wanted(self, account: AccountId) -> bool:
        return self._wanted(account)

    def is_dropped(self, account: AccountId) -> bool:
        return DROPPED.has(self._ctx.store, account)

    def unread(self, peer: str) -> int:
        return self._links().waiting(peer)

    def is_held(self, peer: str) -> bool:
        return self._links().held(peer)

    def has_to_wait(self, peer: str) -> bool:
        return self._throttle.has_to_wait(peer)

    def is_busy(self) -> bool:
        return self._throttle.busy

    def folds_later(self, account: AccountId) -> bool:
        self._ctx.to_fold.append(account)
        return True

    def came(self, account: AccountId, added: Sequence[Entry]) -> bool:
        self._ctx.came(account, added[0].header)
        return content.keep_back_edits(self._ctx, account, added)

    def content_came(self, items: Sequence[PartItem]) -> None:
        content.tell_returned(self._ctx, items)

    def stated(self, entry: EntryId, op: int, reason: bytes) -> None:
        withheld.met(self._ctx, entry, op, reason)

    def statement(self, entry: EntryId, op: int) -> bytes | None:
        return erasure.says(self._ctx, entry, op)

    def join(self, peer: str, invitation: bytes, card: bytes, sig: bytes) -> tuple[int, bytes] | None:
        followed = self._ctx.replica.charter.ledger
        stands = None if followed is None else followed.founding
        return invitations.answer(self._ctx.home.path / "alliance", invitation, card, sig, stands)

    def joined(self, peer: str, state: int, answer: bytes) -> None:
        self._ctx.joined[peer] = state, answer

    def answered(self, peer: str, said: Mapping[tuple[EntryId, int], bytes], now: float) -> None:
        erasure.answered(self._ctx, peer, said, now)
