"""Acts of a charter on disk and between replicas: whoever follows it holds the same of it."""

from __future__ import annotations

import random

import pytest

from banyan_charter.acts import Act, Content, encode_act
from banyan_crdt.errors import Refused
from banyan_replica.sync.charter_exchange import CharterExchange
from banyan_storage import tables as t
from banyan_storage.check import verify
from tests.charter.alliance import Alliance
from tests.replica.helpers import World


def follows(w: World, name: str, alliance: Alliance, *acts: list[Act]) -> CharterExchange:
    """The replica follows the charter, and its owner brings these acts."""
    charter = w.replicas[name].charter
    charter.follow(encode_act(alliance.founding))
    for act in [*alliance.founded, *(act for some in acts for act in some)]:
        assert charter.offer(encode_act(act)) is None
    w.drain(name)
    return charter


def test_what_an_owner_brings_is_durable_and_a_start_finds_it() -> None:
    w, made = World("a"), Alliance(3)
    assert w.replicas["a"].charter.offer(encode_act(made.founded[0])) == "this node follows no charter"
    acts = [made.adopt() for _ in range(3)]
    charter = follows(w, "a", made, *acts)
    assert charter.ledger is not None
    assert charter.ledger.digest == made.ledger.digest
    assert [e.fields["epoch"] for e in w.events["a"] if e.name == "charter"][-1] == 3
    again = w.start("a").charter
    assert again.ledger is not None
    assert again.ledger.epochs == made.ledger.epochs
    assert again.view() == charter.view()
    assert not w.replicas["a"].store.pending


def test_acts_in_any_order_come_to_the_same_and_what_is_refused_for_now_waits() -> None:
    made = Alliance(3)
    acts = [a for some in (made.founded, made.adopt(), made.adopt()) for a in some]
    w = World("a")
    charter = follows(w, "a", made)
    later = [a for a in acts if a.number == 1]
    for act in random.Random(3).sample(later, len(later)):
        charter.offer(encode_act(act))
    view = charter.view()
    assert view is not None
    assert (view.epoch, view.waiting) == (1, 0)
    reason = charter.offer(encode_act(made.adopt()[0]))
    assert reason == "epoch 2 does not stand here yet"


def test_what_is_taken_back_by_a_failed_commit_is_no_longer_in_the_ledger() -> None:
    w, made = World("a"), Alliance(3)
    charter = follows(w, "a", made)
    assert charter.offer(encode_act(made.adopt()[0])) is None
    w.replicas["a"].store.rollback()
    w.replicas["a"].commit_failed("the disk is full")
    view = charter.view()
    assert view is not None
    assert view.acts == 3


def test_one_charter_is_followed_at_a_time_and_acts_of_the_other_are_kept() -> None:
    w, one, two = World("a"), Alliance(3), Alliance(3, b"Another")
    charter = follows(w, "a", one, one.adopt())
    follows(w, "a", two)
    assert charter.ledger is not None
    assert charter.ledger.charter == two.charter
    charter.leave()
    assert charter.view() is None
    charter.follow(encode_act(one.founding))
    assert charter.ledger is not None
    assert charter.ledger.digest == one.ledger.digest
    with pytest.raises(Refused, match="followed by its founding"):
        charter.follow(encode_act(one.founded[0]))


def test_a_check_finds_a_damaged_act_and_a_start_leaves_it_out() -> None:
    w, made = World("a"), Alliance(3)
    content = made.adopt()[0]
    assert isinstance(content, Content)
    follows(w, "a", made, [content])
    engine = w.engines["a"]

    def found() -> list[str]:
        return [p.sentence for p in verify(w.replicas["a"].store, lambda a, n: None)]

    rows = list(engine.write().prefix(t.CHARTER, made.charter + t.u32(1)))
    assert not found()
    key, raw = rows[0]
    engine.write().put(t.CHARTER, key, raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:])
    assert "checksum" in found()[0]
    engine.write().put(t.CHARTER, key, t.guard(key, raw[:-5] + bytes([raw[-5] ^ 1])))
    assert "signature" in found()[0]
    engine.write().put(t.CHARTER, key[:-1] + b"x", t.guard(key[:-1] + b"x", raw[:-4]))
    assert "is another" in " ".join(found())
    engine.write().put(t.CHARTER, key, raw[:9])
    engine.write().delete(t.CHARTER, key[:-1] + b"x")
    engine.commit()
    view = w.start("a").charter.view()
    assert view is not None
    assert view.acts == 3
