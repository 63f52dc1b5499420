"""Whom a node trusts: the members of the charter that it follows, while they are, and what each of them asks for."""

from __future__ import annotations

import time
from pathlib import Path

import trio

from banyan_charter.acts import (
    Act,
    CharterId,
    Content,
    ContentId,
    Expel,
    Founding,
    Proposal,
    encode_act,
    founding_body,
    id_of,
)
from banyan_charter.ledger import state_of
from banyan_charter.rules import Epoch
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.values import Kind, Parameters, Scope, Seat
from banyan_crdt.ids import AccountId, account_from_text
from banyan_crdt.realm import REALMS, Realm
from banyan_node import policy
from banyan_node.api.dispatch import settle
from banyan_node.context import Context
from banyan_node.node import Node
from banyan_storage.alliance_tables import MEMBERS
from banyan_storage.local_tables import LABELLERS
from tests.charter.bridge import seat, tree
from tests.node.real import make_home, make_node, running
from tests.node.test_labels import folded
from tests.node.test_moderation import a_node


class Members:
    """A charter of these accounts, which all sign what is proposed."""

    def __init__(self, realm: Realm, accounts: list[AccountId], parameters: Parameters) -> None:
        self.realm = realm
        order = sorted(accounts)
        seats: tuple[Seat, ...] = tuple(seat(k, 0)._replace(member=one, kind=Kind.HOST) for k, one in enumerate(order))
        body = founding_body(b"Test", seats, parameters)
        self.founding = Founding(ContentId(id_of(realm, body)), b"Test", seats, parameters)
        charter = CharterId(self.founding.id)
        self.signers = [SeatSigner(realm, charter, one, tree(k, 0)) for k, one in enumerate(order)]
        self.founded: list[Act] = [s.commit(0, 1, self.founding.id) for s in self.signers]

    @property
    def epoch(self) -> Epoch:
        return state_of(self.realm, self.founding, self.founded).epochs[-1]

    def expel(self, account: AccountId) -> list[Act]:
        return self.decided(Expel(account), [one for one in self.signers if one.member != account])

    def decided(self, proposal: Proposal, staying: list[SeatSigner] | None = None) -> list[Act]:
        """The first epoch, in which this is done."""
        (author, *_) = staying = staying or self.signers
        made: Content = author.content(self.epoch, [proposal])[0]
        votes = [s.vote(1, 1, made.id) for s in self.signers if s in staying]
        return [made, *votes, *(s.commit(1, 1, made.id) for s in staying)]


def stepped(ctx: Context) -> None:
    policy.step(ctx, time.time())
    settle(ctx)


def brought(ctx: Context, made: Members, acts: list[Act]) -> None:
    ctx.replica.charter.follow(encode_act(made.founding))
    for act in acts:
        assert ctx.replica.charter.offer(encode_act(act)) is None


def test_labels_and_channels_of_members_count_while_they_are_members(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        ids = {name: account_from_text(text) for name, text in who.items()}
        others = [AccountId(bytes((k,)) * 32) for k in range(1, 7)]
        made = Members(node.context.realm, [ids["chi"], *others], Parameters(labellers=(ids["dung"],)))
        uri = node.call("post", text="bài", by="an")["uri"]
        node.call("label.put", by="dung", about=uri, name="spam")
        node.call("handle.domain", domain="chi.vn", by="chi")
        node.call("official.verify", by="chi", account=who["an"], title="Báo An")
        ctx = node.context

        def officials() -> list[str]:
            return [one["title"] for one in node.call("profile.get", account=who["an"])["official"]]

        assert officials() == []
        brought(ctx, made, made.founded)
        stepped(ctx)
        assert officials() == ["Báo An"]
        follower = folded(node)
        assert node.call("post.get", uri=uri, by="bình")["label"] == "spam"
        assert ctx.replica.peers.trusts(ctx.device.key)
        for act in made.expel(ids["chi"]):
            assert ctx.replica.charter.offer(encode_act(act)) is None
        stepped(ctx)
        assert officials() == []
        assert {*MEMBERS.keys(ctx.store)} == {*others}
        ctx.replica.charter.leave()
        stepped(ctx)
        folded(node, follower)
        assert node.call("post.get", uri=uri, by="bình")["label"] is None
        assert [*MEMBERS.keys(ctx.store)] == [*LABELLERS.keys(ctx.store)] == []


async def test_a_node_of_chosen_accounts_holds_members_and_keeps_a_slot_for_their_nodes(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        mine = account_from_text((await a.backend.call("account.create", {"name": "Báo"}))["account"])
        judge = account_from_text((await a.backend.call("account.create", {"name": "Tòa", "hosted": True}))["account"])
        others = [AccountId(bytes((k,)) * 32) for k in range(1, 4)]
        rules = Parameters(scopes=(Scope(b"vn", (mine,), (judge,)),))
        made = Members(REALMS[a.settings.config.node.realm], [mine, *others], rules)
        await a.worker.call(lambda ctx, now: brought(ctx, made, made.founded))
        async with running(
            make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]], node__role="hobbyist", interest__mode="follows")
        ) as b:
            await b.backend.call("account.create", {"name": "Bình"})
            await b.worker.call(lambda ctx, now: brought(ctx, made, made.founded))
            with trio.fail_after(40):
                while not await b.worker.call(lambda ctx, now: policy.said_by(ctx, mine) is not None):
                    await trio.sleep(0.2)
                while not await b.worker.call(lambda ctx, now: ctx.queries().profile(judge).name == "Tòa"):
                    await trio.sleep(0.2)
                said = await b.worker.call(lambda ctx, now: policy.said_by(ctx, mine))
                assert said is not None
                assert (said.charter, said.epoch) == (made.founding.id, 0)
                while not _trusts(b, a):
                    await trio.sleep(0.2)
            assert await b.worker.call(lambda ctx, now: a.edge.peer_id in ctx.replica.peers.named)


def _trusts(node: Node, other: Node) -> bool:
    return node.edge.door.slots.is_named(other.edge.peer_id)
