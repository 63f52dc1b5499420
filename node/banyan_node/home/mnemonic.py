"""24 words: 32 secret bytes written on paper, and read again in any form that a person types.

There are two kinds: backup words are the master secret of a node (keystore.py), recovery words belong to an account
(recovery.py). Both are English BIP-39 words of the bytes themselves, without BIP-39's key stretching. The last word
holds 8 checksum bits; recovery words have these bits inverted. So the invariants:

- Recovery words are never accepted as a master: the checksum is wrong, and the error says what they are.
- Older recovery words do not have the inverted checksum. They are still read as recovery words; the caller compares
  their commitment with the account.
- No error message contains a word.
"""

import enum
import re
from collections.abc import Sequence
from functools import cache

from mnemonic import Mnemonic

from banyan_node.operator_errors import BadBackup

COUNT = 24
_LAST_BITS = 0xFF
"""The checksum: the low 8 bits of the last word's index in the list."""
_NUMBER = re.compile(r"[(\[#]*([0-9]{1,2})[.):\]]*")
_AROUND = "-–—.,;:|()[]\"'“”"


class Paper(enum.Enum):
    """The kind of 24 words."""

    BACKUP = "backup"
    RECOVERY = "recovery"


def spell(secret: bytes, paper: Paper) -> str:
    """32 bytes as 24 words."""
    words = _list().to_mnemonic(secret).split()
    return " ".join(_marked(words) if paper is Paper.RECOVERY else words)


def read(text: str, paper: Paper) -> bytes:
    """The 32 bytes of 24 words. Upper case, white space and punctuation do not matter.

    Words that are numbered from 1 to 24 are sorted by number. Raises BadBackup.
    """
    words = given(text)
    if len(words) != COUNT:
        raise BadBackup(f"{COUNT} words are needed and {len(words)} were given; give all of them, in order.")
    known = _list().wordlist
    for place, word in enumerate(words, 1):
        if word not in known:  # it is not shown, because it is nearly a secret
            raise BadBackup(f"Word {place} of the 24 is not on the list; check its spelling against the paper.")
    plain, marked = _secret(words), _secret(_marked(words))
    if paper is Paper.RECOVERY and (secret := marked or plain) is not None:
        return secret
    if plain is not None:
        return plain
    if marked is not None:
        raise BadBackup(
            "These are the recovery words of an account, and this needs the backup words of a node: those that "
            "`banyan keys backup` showed. Recovery words are for `banyan account recover`."
        )
    raise BadBackup("Every word is on the list but their checksum disagrees; a word is wrong or two are swapped.")


def is_marked(text: str) -> bool:
    """Whether the checksum marks the words as recovery words. Raises BadBackup."""
    secret = read(text, Paper.RECOVERY)
    return given(text) == spell(secret, Paper.RECOVERY).split()


def given(text: str) -> list[str]:
    """The words of a text in order, in lower case, without numbers and punctuation. Raises BadBackup."""
    numbers: list[int] = []
    words: list[str] = []
    for piece in text.lower().split():
        found = _NUMBER.match(piece)
        if found is not None:
            numbers.append(int(found[1]))
            piece = piece[found.end() :]
        if piece := piece.strip(_AROUND):
            words.append(piece)
    if not numbers or len(words) != COUNT:
        return words
    if len(numbers) != COUNT:
        raise BadBackup(f"{len(numbers)} of the 24 words have a number beside them; number all of them, or none.")
    missing = sorted(set(range(1, COUNT + 1)) - set(numbers))
    if missing:
        raise BadBackup(f"No word has the number {missing[0]} beside it; number them from 1 to 24, each once.")
    return [word for _, word in sorted(zip(numbers, words, strict=True))]


def has_words(text: str) -> bool:
    """Whether a text seems to hold 24 words, or most of them: a command line where they do not belong."""
    known = set(_list().wordlist)
    return sum(piece.strip(_AROUND) in known for piece in text.lower().split()) > COUNT // 2


def _marked(words: Sequence[str]) -> list[str]:
    """The same words with their checksum bits inverted."""
    known = _list().wordlist
    return [*words[:-1], known[known.index(words[-1]) ^ _LAST_BITS]]


def _secret(words: Sequence[str]) -> bytes | None:
    try:
        return bytes(_list().to_entropy(list(words)))
    except ValueError:
        return None


@cache
def _list() -> Mnemonic:
    return Mnemonic("english")
