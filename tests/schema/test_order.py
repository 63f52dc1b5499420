"""Orders and what is said about them: registers whose keys follow from what they say."""

from __future__ import annotations

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Put
from banyan_schema.collection import OpDraft
from banyan_schema.social.order import (
    ORDER_ACTS,
    Appeal,
    Confirmation,
    OrderAct,
    OrderNotice,
    Receipt,
    Ruling,
    act_key,
    order_id,
    write_act,
)
from tests.schema.laws import keeps_the_laws, texts

AN, BE = AccountId(b"a" * 32), AccountId(b"b" * 32)
hashes, numbers = st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1)
orders = st.builds(
    OrderNotice,
    st.sampled_from(("vn", "vn.press")),
    texts,
    texts,
    numbers,
    numbers,
    numbers,
    hashes,
    st.sampled_from(("written", "phone", "paper")),
    st.none() | hashes,
)


def in_one_cell(act: OrderAct) -> OpDraft:
    draft = write_act(AN, act)
    assert isinstance(draft.op, Put)
    return draft._replace(op=draft.op._replace(key=CellKey(b"k" * 16)))


def test_orders_and_what_is_said_about_them_keep_the_laws() -> None:
    acts = {
        OrderNotice: orders,
        Confirmation: st.builds(Confirmation, hashes, st.none() | hashes),
        Receipt: st.builds(Receipt, hashes, st.sampled_from(("done", "refused")), numbers, texts),
        Appeal: st.builds(Appeal, hashes, hashes, texts),
        Ruling: st.builds(Ruling, hashes, st.none() | hashes, st.sampled_from(("suspends", "confirms", "ends")), texts),
    }
    for kind, some in acts.items():
        keeps_the_laws(ORDER_ACTS[kind], some, in_one_cell)


def test_an_order_that_is_edited_or_copied_by_another_issuer_is_another_order() -> None:
    one = OrderNotice("vn", "", "Law", 60, 0, 1, bytes(32))
    ids = {order_id(AN, one), order_id(BE, one), order_id(AN, OrderNotice("vn", "", "Law", 61, 0, 1, bytes(32)))}
    assert len(ids) == 3
    assert act_key(AN, one) == order_id(AN, one)[:16]


def test_what_is_said_of_one_order_has_one_cell_for_each_kind_and_item() -> None:
    order, leaf = order_id(AN, OrderNotice("vn", "", "", 1, 0, 1, bytes(32))), b"l" * 32
    acts = (
        Confirmation(order, None),
        Receipt(order, "done", 1, ""),
        Appeal(order, leaf, ""),
        Ruling(order, leaf, "ends", ""),
        Ruling(order, None, "ends", ""),
    )
    assert len({act_key(AN, act) for act in acts}) == len(acts)
    assert act_key(AN, Receipt(order, "refused", 0, "why")) == act_key(BE, acts[1])
    assert act_key(AN, Ruling(order, None, "suspends", "why")) == act_key(AN, acts[4])
