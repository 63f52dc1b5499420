"""A charter as vectors: a founding by four, one epoch that lets one in and puts nobody out, and what it comes to."""

from __future__ import annotations

from typing import Any

from banyan_charter.acts import encode_act
from banyan_charter.ledger import state_of
from banyan_charter.values import state_root
from banyan_crdt.realm import TEST
from tests.charter.bridge import Bridge
from tests.model import charter_spec as spec


def charter() -> dict[str, Any]:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(4))))
    bridge, proposals = Bridge(genesis), (("admit", 8, 0), ("roll",), ("note", 1))
    seats = spec.applied(genesis.seats, 1, proposals, spec.RULES)
    assert seats is not None
    content = bridge.act(spec.Content(1, 1, 0, seats, proposals))
    signed = [bridge.act(spec.Vote(1, 1, 1, 0, (m, 0, 1))) for m in (0, 1, 2, 8)]
    signed += [bridge.act(spec.Commit(1, 1, 1, (m, 0, 1))) for m in (0, 1, 2)]
    acts = [*bridge.founded(), content, *signed]
    ledger = state_of(TEST, bridge.founding, acts)
    assert len(ledger.epochs) == 2
    last = ledger.epochs[-1]
    return {
        "founding": encode_act(bridge.founding).hex(),
        "charter": ledger.charter.hex(),
        "acts": [{"id": bytes(act.id).hex(), "raw": encode_act(act).hex(), "root": act.by.root.hex()} for act in acts],
        "epochs": [epoch.id.hex() for epoch in ledger.epochs],
        "state_root": state_root(tuple(last.seats.values()), last.parameters).hex(),
        "digest": ledger.digest.hex(),
    }
