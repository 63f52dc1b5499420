"""Handles: confirmations keep the laws, and what is no handle is none in content and in profiles alike."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId
from banyan_schema.social.identity import (
    HANDLE_COLLECTION,
    MAX_HANDLE,
    HandleConfirmation,
    confirm_handle,
    handle_key,
    is_handle,
)
from banyan_schema.social.profile import COLLECTION as PROFILES
from banyan_schema.social.profile import ProfileField
from tests.schema.laws import accounts, cell_of, element_of, keeps_the_laws, read_alike

SALT = b"s" * 32
AN = AccountId(b"a" * 32)
LONGEST = "a" * 64 + "@" + "b" * 63 + "." + "c" * 63 + "." + "d" * 7
GOOD = ("lan@vn.example", "a@b.c", "lan.1_2-x@sub.vn.example", "x@xn--h-nhva.vn", LONGEST)
BAD = (
    *("", "lan", "@vn.example", "lan@", "lan@vn", "Lan@vn.example", "lan@VN.example", "lan@-vn.example"),
    *(
        "lan@vn-.example",
        "lan@vn..example",
        ".lan@vn.example",
        "lan.@vn.example",
        "lan@vn.example\n",
        "la n@vn.example",
    ),
    *("lân@vn.example", "lan@hà.vn", "lan@vn@example.vn", LONGEST + "d", "a" * 65 + "@b.c", "a@" + "b" * 64 + ".c"),
)


def test_a_confirmation_keeps_the_laws() -> None:
    keeps_the_laws(
        HANDLE_COLLECTION,
        st.builds(HandleConfirmation, st.sampled_from(GOOD), accounts),
        lambda s: confirm_handle(SALT, s),
    )


@pytest.mark.parametrize("handle", GOOD)
def test_what_is_a_handle_is_one_in_a_profile_too(handle: str) -> None:
    assert is_handle(handle)
    assert len(handle.encode()) <= MAX_HANDLE
    seed = PROFILES.seed_of(bytes(8), PROFILES.encode(ProfileField("handle", handle)))
    assert seed == handle_key(handle)
    assert [fact.kind for fact in PROFILES.facts(seed)] == ["handle_claims"]


@pytest.mark.parametrize("handle", BAD)
def test_what_is_no_handle_is_neither_written_nor_read_and_claims_nothing(handle: str) -> None:
    assert not is_handle(handle)
    with pytest.raises(ValueError, match=r"has the form of lan@vn.example|200 is the most"):
        HANDLE_COLLECTION.encode(HandleConfirmation(handle, AN))
    raw = encode([handle.encode(), AN])
    assert HANDLE_COLLECTION.decode(raw) is None
    read_alike(HANDLE_COLLECTION, raw)
    assert PROFILES.seed_of(bytes(8), PROFILES.encode(ProfileField("handle", handle))) == b""


def test_one_handle_is_one_element_whoever_has_it() -> None:
    one, other = (confirm_handle(SALT, HandleConfirmation("a@b.c", AccountId(x * 32))).op for x in (b"x", b"y"))
    assert (cell_of(one), element_of(one)) == (cell_of(other), element_of(other))
