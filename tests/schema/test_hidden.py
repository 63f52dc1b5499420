"""What an author hides below a post of its own."""

from hypothesis import strategies as st

from banyan_schema.social.response import HIDDEN_COLLECTION, Hidden, hide
from tests.schema.laws import keeps_the_laws, keys, targets

SALT = b"s" * 16


def test_what_is_hidden_keeps_the_laws() -> None:
    keeps_the_laws(HIDDEN_COLLECTION, st.builds(Hidden, keys, targets), lambda said: hide(SALT, said))
