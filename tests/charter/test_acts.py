"""The bytes of acts, the keys of a seat, and what a proposal may not do."""

from __future__ import annotations

import pytest

from banyan_charter.acts import (
    Admit,
    Change,
    CharterId,
    ContentId,
    Expel,
    Founding,
    Proposal,
    Remark,
    Renew,
    Roll,
    RollAnswer,
    SetParameters,
    Sleep,
    Wake,
    admission,
    decode_act,
    encode_act,
    founding_body,
    id_of,
    proposal_of,
    renew_id,
)
from banyan_charter.keytree import KeyTree, check, root_of, signature_of
from banyan_charter.rules import MOST_ADMITTED, Epoch, first_epoch, next_epoch
from banyan_charter.values import Authority, Kind, Parameters, Scope, Seat, parameters_of, plain_parameters
from banyan_crdt.codec import encode
from banyan_crdt.errors import BadSignature, Malformed, Refused, Reject
from banyan_crdt.ids import AccountId, EntryId, H, WriterKey
from banyan_crdt.realm import TEST
from tests.charter.bridge import Bridge, account, seat, spare
from tests.model import charter_spec as spec


def epoch(size: int = 4) -> tuple[Bridge, Epoch]:
    bridge = Bridge(spec.Content(0, 0, -1, tuple(map(spec.Seat, range(size)))))
    return bridge, first_epoch(bridge.founding)


def made(e: Epoch, *proposals: Proposal) -> Epoch:
    return next_epoch(TEST, e, proposals, ContentId(bytes(32)))


def test_a_key_signs_its_number_alone_and_none_that_was_destroyed() -> None:
    keys = KeyTree.grown(TEST, bytes(32), 8)
    what = H("test", b"what")
    for leaf in (0, 1, 5, 7):
        signature = keys.sign(TEST, leaf, what)
        check(TEST, signature, what)
        assert signature.root == keys.root
        assert signature_of(list(signature[:4])) == signature
        assert root_of(leaf ^ 1, signature.key, signature.path) != keys.root
        with pytest.raises(BadSignature):
            check(TEST, signature, H("test", b"other"))
    same = keys.sign(TEST, 5, what)
    keys.destroy_below(5)
    assert keys.secret[0] == 5
    again = KeyTree(keys.leaves, *keys.secret)
    assert again.root == keys.root
    assert again.sign(TEST, 5, what) == same
    for leaf, why in ((4, "the keys below 5 are destroyed"), (4_096, "the last is 4095")):
        with pytest.raises(Refused, match=why):
            again.sign(TEST, leaf, what)


def test_a_founding_has_one_form() -> None:
    bridge, _ = epoch()
    raw = encode_act(bridge.founding)
    assert decode_act(TEST, raw) == bridge.founding
    for wrong, why in (
        (raw + b"\0", "not in deterministic form"),
        (encode([0, b"x", [], plain_parameters(Parameters())]), "1 to 4096 seats"),
        (encode([9]), "opens with its code"),
        (b"", "breaks off"),
    ):
        with pytest.raises(Reject, match=why):
            decode_act(TEST, wrong)
    seats = bridge.founding.seats
    for changed, why in (
        ((seats[1], seats[0], *seats[2:]), "in the order of their members"),
        ((seats[0], seats[1]._replace(domain=seats[0].domain)), "two seats have one domain"),
        ((seats[0]._replace(domain=b"Example.VN"),), "a domain is a DNS name in lower case"),
        ((seats[0]._replace(since=1),), "their first key signs number 0"),
        ((seats[0]._replace(voting=False),), "no founder has a vote"),
    ):
        body = founding_body(b"x", changed, Parameters())
        with pytest.raises(Malformed, match=why):
            decode_act(TEST, encode_act(Founding(ContentId(id_of(TEST, body)), b"x", changed, Parameters())))


def test_parameters_are_read_strictly() -> None:
    authority = Authority(account(7), (b"vn", b"vn.press"), 50)
    scope = Scope(b"vn", (account(1), account(2)), (account(8),))
    p = Parameters(100, 10, (account(5),), (authority,), (b"vn-147-2024",), (scope,))
    assert parameters_of(plain_parameters(p)) == p
    for wrong, why in (
        (p._replace(quota=0), "a quota of 0 lets no member host anybody"),
        (p._replace(labellers=(account(5), account(5))), "label issuers are in ascending order, none twice"),
        (p._replace(duties=(b"Vn 147",)), "a name has at most 64"),
        (p._replace(authorities=(authority._replace(scopes=(b"vn.press", b"vn")),)), "scopes are in ascending order"),
        (p._replace(scopes=(scope, scope)), "scopes are in ascending order, none twice"),
        (p._replace(scopes=(scope._replace(members=scope.members[::-1]),)), "members of a scope are in ascending"),
        (p._replace(scopes=(scope._replace(judges=(AccountId(account(8)[:31]),)),)), "an account is 32 bytes"),
    ):
        with pytest.raises(Malformed, match=why):
            parameters_of(plain_parameters(wrong))


def test_what_a_proposal_may_not_do_is_said_in_a_sentence() -> None:
    bridge, e = epoch()
    new = seat(8, 0)
    stranger = spare(8, 0).sign(EntryId(bytes(32)))
    for p, why in (
        (Expel(account(9)), "has no seat in epoch 0"),
        (Admit(seat(1, 0), stranger), "has a seat already"),
        (Admit(new, stranger), "does not verify"),
        (Admit(new._replace(since=9), stranger), "keys begin with number 9, and this is 1"),
        (Sleep(account(1)), "missed 0 roll calls; who missed 2 may sleep"),
        (Renew(account(1), bytes(32), 9, new.spare, bytes(64)), "have none for number 2"),
        (Renew(account(1), bytes(32), 0, new.spare, bytes(64)), "does not verify"),
        (Change(account(1), b"m2.example", Kind.HOST, True), "two of one domain"),
    ):
        with pytest.raises(Reject, match=why):
            made(e, p)
    new_seats = [seat(m, 0) for m in range(100, 101 + MOST_ADMITTED)]
    many = [admission(CharterId(bridge.charter), s, spare(100 + k, 0)) for k, s in enumerate(new_seats)]
    assert len(made(e, *many[1:]).seats) == 4 + MOST_ADMITTED
    called = made(e, Roll())
    signer = bridge.signer(1, 0)
    for proposals, why in (
        (many, "at most one roll call and 64 admissions"),
        ((Roll(), Roll()), "at most one roll call"),
        ((RollAnswer(account(1), signer.present(1)),), "answers, and missed no roll call"),
        ((Wake(account(1), signer.present(1)),), "is awake"),
    ):
        with pytest.raises(Malformed, match=why):
            made(e, *proposals)
    assert made(called, RollAnswer(account(1), signer.present(2))).seats[account(1)].missed == 0
    with pytest.raises(Malformed, match="0 of 0 seats"):
        made(e, *(Change(account(m), b"m%d.example" % m, Kind.HOST, False) for m in range(4)))
    with pytest.raises(Malformed, match="0 to 9"):
        proposal_of([10])


def test_a_content_of_every_proposal_is_read_as_it_was_written() -> None:
    bridge, e = epoch(7)
    role = Authority(account(7), (b"vn", b"vn.press"), 50)
    parameters = Parameters(
        7, 8, (account(5), account(6)), (role,), (b"vn-147-2024",), (Scope(b"vn", (account(1),), ()),)
    )
    new = admission(bridge.charter, seat(8, 0), spare(8, 0))
    what = renew_id(bridge.charter, e.seats[account(2)], b"r" * 32, 0, bytes(32))
    signed = bridge.signer(2, 0).keys.sign(TEST, 1, what)
    renewed = Renew(account(2), b"r" * 32, 0, WriterKey(bytes(32)), signed)
    changed = Change(account(1), b"new.example", Kind.AUTHORITY, False)
    proposals = (
        new,
        Expel(account(3)),
        renewed,
        Roll(),
        changed,
        SetParameters(parameters),
        Remark("Xin chào".encode()),
    )
    content, after = bridge.signer(0, 0).content(e, proposals)
    assert decode_act(TEST, encode_act(content)) == content
    assert after.parameters == parameters
    body = founding_body(b"x", bridge.founding.seats, parameters)
    founding = Founding(ContentId(id_of(TEST, body)), b"x", bridge.founding.seats, parameters)
    assert decode_act(TEST, encode_act(founding)) == founding
    with pytest.raises(Malformed, match="too many arrays"):
        decode_act(TEST, b"\x9a" + (1 << 20).to_bytes(4, "big") + b"\x80" * (1 << 20))


def test_proposals_do_what_they_say() -> None:
    bridge, e = epoch()
    charter = CharterId(bridge.charter)

    def renewal(before: Epoch, root: int) -> Renew:
        """By the spare key of the root before."""
        new = seat(2, root)
        what = renew_id(charter, before.seats[account(2)], new.root, 0, new.spare)
        return Renew(account(2), new.root, 0, new.spare, spare(2, root - 1).sign(what))

    renewed = renewal(e, 1)
    new = SetParameters(Parameters(quota=7))
    after = made(e, Remark("Xin chào".encode()), Roll(), renewed, Expel(account(3)), new)
    assert set(after.seats) == {account(m) for m in range(3)}
    assert (after.seats[account(2)].root, after.seats[account(2)].spare) == (seat(2, 1).root, seat(2, 1).spare)
    assert after.parameters.quota == 7
    assert {s.missed for s in after.seats.values()} == {1}
    changed = made(e, Change(account(1), b"new.example", Kind.PUBLISHER, False)).seats[account(1)]
    assert changed == Seat(account(1), b"new.example", Kind.PUBLISHER, False, *e.seats[account(1)][4:])
    with pytest.raises(Malformed, match="is its old one"):
        made(after, renewed)
    with pytest.raises(BadSignature):  # a renewal is good once
        made(made(after, renewal(after, 2)), renewed)
