"""The promise: labels, what they mean and appeals keep the laws of collections; a label names what it is about."""

from __future__ import annotations

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.social import label as schema
from banyan_schema.social.label import Label, LabelAppeal, LabelName
from tests.schema.laws import accounts, keeps_the_laws, targets, texts

SALT = b"s" * 32
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)


def test_labels_their_names_and_appeals_keep_the_laws() -> None:
    labels = st.builds(Label, targets, st.just("spam"), texts, st.integers(0, 2**64 - 1))
    keeps_the_laws(schema.LABEL_COLLECTION, labels, lambda said: schema.label(SALT, said))
    meanings = st.builds(LabelName, st.just("spam"), st.sampled_from(schema.SEVERITIES), texts, texts)
    keeps_the_laws(schema.NAME_COLLECTION, meanings, lambda said: schema.define(SALT, said))
    appeals = st.builds(LabelAppeal, accounts, targets, st.just("spam"), texts)
    keeps_the_laws(schema.APPEAL_COLLECTION, appeals, lambda said: schema.appeal(SALT, said))


def test_one_name_for_one_thing_is_one_element() -> None:
    post, other = (Target(AccountId(b"a" * 32), CellKey(key * 16)) for key in (b"k", b"l"))
    ops = [
        schema.label(SALT, said).op
        for said in (Label(post, "spam"), Label(post, "spam", "because"), Label(post, "scam"), Label(other, "spam"))
    ]
    assert ops[0] == ops[1]
    assert len(set(ops)) == 3
