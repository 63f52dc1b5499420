"""The social collections, of a kind together. registry.py finds every file with a tuple `COLLECTIONS`; there is no
list.

Code that writes or reads social content imports from here."""

from __future__ import annotations

from typing import TypeAlias

from banyan_schema.address import Target, post_from_text, post_to_text
from banyan_schema.collection import OpDraft, cell_key, seal, undo
from banyan_schema.social.post import (
    MAX_LANG,
    MAX_TEXT,
    POST,
    Audience,
    Poll,
    Post,
    ReplyTo,
    delete_post,
    encode_post,
    post_key,
    tags_in,
    write_post,
)
from banyan_schema.social.profile import MAX_FIELD, MAX_VALUE, PROFILE, ProfileField, set_profile
from banyan_schema.social.relation import BLOCK, FOLLOW, MUTE, RELATIONS, Relate, Relation, relate
from banyan_schema.social.response import MAX_EMOJI, REACTION, REPOST, Reaction, Repost, react, repost
from banyan_schema.social.vote import VOTE, Vote, write_vote

Content: TypeAlias = ProfileField | Post | Reaction | Repost | Relate | Vote
