"""A profile: fields of any name, each in its own register."""

import pytest
from hypothesis import strategies as st

from banyan_crdt.ops import Put
from banyan_schema.social import PROFILE, ProfileField, set_profile
from banyan_schema.social.profile import COLLECTION
from tests.schema.laws import keeps_the_laws, texts

SALT = b"s" * 16


def test_a_profile_keeps_the_laws() -> None:
    fields = st.builds(ProfileField, st.just("name"), texts)
    keeps_the_laws(COLLECTION, fields, lambda said: set_profile(SALT, said.field, said.value))


def test_each_field_is_a_cell_of_its_own() -> None:
    name, bio, again = (set_profile(SALT, field, "x").op for field in ("name", "bio", "name"))
    assert name == again
    assert name != bio
    assert isinstance(name, Put)
    assert name.coll == PROFILE


def test_what_is_too_long_is_named() -> None:
    with pytest.raises(ValueError, match="the profile field 'bio' has 5000 bytes; 4096 is the most"):
        set_profile(SALT, "bio", "x" * 5_000)
    with pytest.raises(ValueError, match="a profile field's name has 65 bytes; 64 is the most"):
        set_profile(SALT, "x" * 65, "x")
