"""Mistakes in the rules of schema/: what is a post."""

from tests.mutants.mutant import Mutant

IN_SCHEMA = (
    Mutant(
        "a string past its limit is read",
        "text.read",
        "type(value) is not bytes or len(value) > most",
        "type(value) is not bytes",
        ("tests/schema/test_post.py",),
    ),
    Mutant(
        "what looks the same is written in two ways",
        "normal",
        "unicodedata.normalize('NFC', value)",
        "value",
        ("tests/schema/test_post.py", "tests/schema/test_profile.py", "tests/schema/test_reaction.py"),
    ),
    Mutant(
        "content that lacks fields is read",
        "Layout.strictly",
        "len(found) < self.least",
        "not found",
        ("tests/schema/test_post.py", "tests/schema/test_profile.py", "tests/schema/test_reaction.py"),
    ),
    Mutant(
        "content with fields that are not known here is none",
        "Layout.strictly",
        "len(found) < self.least",
        "len(found) != self.least",
        ("tests/schema/test_post.py", "tests/schema/test_profile.py", "tests/schema/test_reaction.py"),
    ),
    Mutant(
        "a register whose last write has no content shows the write before",
        "collection.registers",
        "writes[0]",
        "next((w for w in writes if content_of(Ref(*w[0][1:]))), writes[0])",
        ("tests/schema/test_collection.py",),
    ),
    Mutant(
        "a post stands at a time after its entry if its author claims one",
        "post_time",
        "claimed if claimed < entry_time else entry_time",
        "claimed",
        ("tests/schema/test_post.py",),
    ),
    Mutant(
        "who knows the salt finds whom one mutes", "private_key", "secret", "b's'", ("tests/schema/test_private.py",)
    ),
    Mutant(
        "what is private can be moved to another account",
        "read_privately",
        "open_sealed(secret, account + PRIVATE + key, sealed.box)",
        "next((r for a in (account, b'a' * 32) if (r := open_sealed(secret, a + PRIVATE + key, sealed.box))), None)",
        ("tests/schema/test_private.py",),
    ),
    Mutant(
        "a vote that is late counts",
        "vote._seed",
        "late or (choices == 'one' and len(options) != 1) or list(options) != sorted({*options})",
        "choices == 'one' and len(options) != 1 or list(options) != sorted({*options})",
        ("tests/schema/test_vote.py", "tests/node/test_polls.py"),
    ),
    Mutant(
        "votes for a poll before its edit count",
        "ballot_of",
        "encode(POLL_OF_POST.plain(poll))",
        "b''",
        ("tests/schema/test_vote.py", "tests/node/test_polls.py"),
    ),
)
