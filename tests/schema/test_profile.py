"""A profile: fields of any name, each in its own register; two of them are pictures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import encode
from banyan_crdt.ids import Coll
from banyan_crdt.ops import Put
from banyan_crdt.parts import make_part
from banyan_schema.fields import text
from banyan_schema.layout import Layout
from banyan_schema.media import Media
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, PROFILE, REACTION, Post, ProfileField, encode_post, set_profile
from banyan_schema.social.profile import COLLECTION, LAYOUT, PICTURES
from tests.schema.laws import keeps_the_laws, texts

SALT = b"s" * 16
FACE = Media(b"f" * 32, 5_000, "image/jpeg", 400, 400, blurhash="LEHV", preview=b"p" * 32)
hashes, whole = st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1)
pictures = st.builds(
    Media,
    hashes,
    whole,
    st.sampled_from(("image/png", "video/mp4", "")),
    st.none() | whole,
    st.none() | whole,
    st.none() | whole,
    description=st.none() | texts,
    blurhash=st.none(),
    preview=st.none() | hashes,
)


def test_a_profile_keeps_the_laws() -> None:
    fields = st.builds(ProfileField, st.just("name"), texts, st.none() | pictures)
    keeps_the_laws(COLLECTION, fields, lambda said: set_profile(SALT, said.field, said.value, media=said.media))


def test_a_picture_is_described_by_the_value_of_its_field() -> None:
    assert ProfileField("avatar", "Em và mèo", FACE).picture == FACE._replace(description="Em và mèo")
    said = ProfileField("banner", "", FACE._replace(description="another place for it"))
    assert said.picture == FACE


@given(st.sampled_from((*PICTURES, "name", "bio")), texts, st.none() | pictures)
def test_a_field_is_a_picture_or_a_text_or_was_taken_away(field: str, value: str, media: Media | None) -> None:
    said = ProfileField(field, value, media)
    is_picture = field in PICTURES and media is not None and media.type.startswith("image/")
    assert (said.picture is not None) == is_picture
    assert said.is_text == (not is_picture and (field not in PICTURES or value != ""))


def test_a_reader_that_knows_no_pictures_shows_the_description() -> None:
    old = Layout(lambda field, value: (field, value), tuple, (text("a field", 64), text("a value", 4_096)))
    assert old.decode(LAYOUT.encode(ProfileField("avatar", "Em và mèo", FACE))) == ("avatar", "Em và mèo")
    text_alone = LAYOUT.encode(ProfileField("bio", "x"))
    assert text_alone == old.encode(("bio", "x"))


def test_what_names_blobs_is_found_by_one_byte_of_its_collection_and_a_usual_post_names_none() -> None:
    post = encode_post(Post("Chào buổi sáng cả nhà, hôm nay trời đẹp", created_ms=1_700_000_000_000))
    with_picture = encode_post(Post("x", media=(FACE,)))
    reaction = encode([b"a" * 32, b"k" * 16, "👍".encode()])
    said = [(POST, post), (PROFILE, LAYOUT.encode(ProfileField("avatar", "", FACE))), (POST, with_picture)]
    said += [(REACTION, reaction), (PROFILE, LAYOUT.encode(ProfileField("name", "An"))), (Coll(b"x" * 8), with_picture)]
    colls, parts = [coll for coll, _ in said], [make_part(bytes(16), content)[1] for _, content in said]
    assert SOCIAL.naming(colls, parts) == [1, 2]
    for coll, part, found in zip(colls, parts, ([], [0], [0], [], [], []), strict=True):
        assert SOCIAL.naming([coll], [part]) == found
        assert not found or SOCIAL.may_name(part)
    assert not SOCIAL.may_name(parts[0])
    assert not SOCIAL.may_name(parts[4])
    assert SOCIAL.blobs_in(PROFILE, said[1][1]) == (b"p" * 32, b"f" * 32)


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
