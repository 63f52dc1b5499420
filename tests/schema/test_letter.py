"""Letters: sealed for some writers, in cells that these find by their own key."""

from __future__ import annotations

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Put
from banyan_crdt.sealing import Opener, wrap
from banyan_schema.social.letter import LETTERS, READERS, hand_letter, keys_of, read_letter, reader_key, write_letter

AN, BE = AccountId(b"a" * 32), AccountId(b"b" * 32)
NAME, SECRET = CellKey(b"n" * 16), b"s" * 32
READER, OTHER = Opener(b"r" * 32), Opener(b"o" * 32)


def test_a_letter_is_read_by_whom_it_was_handed_to_and_nowhere_else_than_where_it_stands() -> None:
    written = write_letter(AN, NAME, SECRET, b"which post", b"x" * 24)
    box = wrap(SECRET, READER.key, b"e" * 32)
    assert box is not None
    handed = hand_letter(NAME, READER.key, box)
    assert isinstance(handed.op, Put)
    assert handed.op.key == reader_key(NAME, READER.key)
    assert handed.op.key.startswith(keys_of(READER.key))
    assert not handed.op.key.startswith(keys_of(OTHER.key))
    letter, reader = LETTERS.decode(written.content or b""), READERS.decode(handed.content or b"")
    assert letter is not None
    assert reader is not None
    secret = READER.unwrap(reader.box)
    assert secret == SECRET
    assert OTHER.unwrap(reader.box) is None
    assert read_letter(AN, NAME, secret, letter) == b"which post"
    assert read_letter(BE, NAME, secret, letter) is None, "another account put it into its log"
    assert read_letter(AN, CellKey(b"m" * 16), secret, letter) is None, "under another name"
    assert b"which post" not in (written.content or b"")
